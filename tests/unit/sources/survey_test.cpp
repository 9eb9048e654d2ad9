#include "sources/suggest/survey.h"

#include <doctest/doctest.h>
#include <fstream>
#include <sstream>

using namespace davy;
using namespace davy::source;

namespace {

Survey survey(const std::string& page, const std::string& type = "text/plain") {
  Result<Survey> read = Survey::of(page, type);
  if (!read) MESSAGE(read.error().what);
  REQUIRE(read);
  return *read;
}

Survey::Family family(const Survey& survey, const std::string& name) {
  auto at = survey.families().find(name);
  REQUIRE(at != survey.families().end());
  return at->second;
}

}  // namespace

TEST_CASE("a survey tells families, their series, labels and totals") {
  Survey all = survey(R"(# TYPE n_total counter
n_total{code="200",m="GET"} 5
n_total{code="500",m="GET"} 2
n_total{code="501",m="GET"} NaN
# TYPE h histogram
h_bucket{m="a",le="0.1"} 1
h_bucket{m="a",le="+Inf"} 3
h_sum{m="a"} 1
h_count{m="a"} 3
h_bucket{m="b",le="0.2"} 4
h_bucket{m="b",le="+Inf"} 4
h_sum{m="b"} 1
h_count{m="b"} 4
# TYPE s summary
s{quantile="0.5"} 1
s_sum 1
s_count 7
# TYPE g gauge
g 3
)");
  CHECK(all.families().size() == 4);
  CHECK(all.series() == 15);
  Survey::Family n = family(all, "n_total");
  CHECK(n.type == Survey::Type::Counter);
  CHECK(n.series == 3);
  CHECK(n.total == 7);
  CHECK(n.labels.at("code") == std::set<std::string>{"200", "500", "501"});
  Survey::Family h = family(all, "h");
  CHECK(h.type == Survey::Type::Histogram);
  CHECK(h.series == 2);
  CHECK(h.total == 7);
  CHECK(h.bounds == std::set<double>{0.1, 0.2});
  CHECK(h.labels.size() == 1);
  CHECK_FALSE(h.is_native);
  Survey::Family s = family(all, "s");
  CHECK(s.type == Survey::Type::Summary);
  CHECK(s.series == 1);
  CHECK(s.total == 7);
  CHECK(s.labels.empty());
  CHECK(family(all, "g").type == Survey::Type::Gauge);
  CHECK(all.series_named("h_bucket") == 4);
  CHECK(all.series_named("absent") == 0);
}

TEST_CASE("a survey of a page without types goes by the names") {
  Survey all = survey(
      "n_total 5\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n"
      "jobs_count 3\nlist_bucket 9\ng 1\n");
  CHECK(family(all, "n_total").type == Survey::Type::Counter);
  CHECK(family(all, "h").type == Survey::Type::Histogram);
  CHECK(family(all, "h").total == 2);
  CHECK(family(all, "jobs_count").type == Survey::Type::Counter);
  CHECK(family(all, "list_bucket").type == Survey::Type::Unknown);
  CHECK(family(all, "g").type == Survey::Type::Unknown);
}

TEST_CASE("OpenMetrics declares a counter without its _total, and has a time beside each") {
  Survey all = survey(
      "# TYPE n counter\nn_total{a=\"1\"} 5\nn_created{a=\"1\"} 1.7e9\n# TYPE h histogram\n"
      "h_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 1\nh_created 1.7e9\n# EOF\n",
      "application/openmetrics-text; version=1.0.0");
  CHECK(all.families().size() == 2);
  CHECK(family(all, "n_total").type == Survey::Type::Counter);
  CHECK(family(all, "n_total").total == 5);
  CHECK(family(all, "h").series == 1);
}

TEST_CASE("a survey of a Go process is the same in every format") {
  auto read = [](const std::string& extension, const std::string& type) {
    std::ifstream in(DAVY_SOURCE_DIR "/tests/data/clients/go_client." + extension,
                     std::ios::binary);
    std::ostringstream all;
    all << in.rdbuf();
    return survey(all.str(), type);
  };
  for (const Survey& all : {read("txt", "text/plain"), read("om", "application/openmetrics-text"),
                            read("pb", "application/vnd.google.protobuf; encoding=delimited")}) {
    CHECK(all.families().size() == 6);
    CHECK(family(all, "http_requests_total").type == Survey::Type::Counter);
    CHECK(family(all, "http_requests_total").total == 100);
    CHECK(family(all, "classic_seconds").bounds == std::set<double>{0.01, 0.1, 1});
    CHECK(family(all, "native_seconds").total == 1001);
    CHECK(family(all, "summary_seconds").type == Survey::Type::Summary);
  }
  CHECK(family(read("pb", "application/vnd.google.protobuf"), "native_seconds").is_native);
  CHECK_FALSE(family(read("pb", "application/vnd.google.protobuf"), "classic_seconds").is_native);
}

TEST_CASE("a survey is bounded") {
  std::string page;
  for (int i = 0; i < 300; ++i) page += "n_total{path=\"/" + std::to_string(i) + "\"} 1\n";
  CHECK(family(survey(page), "n_total").labels.at("path").size() == Survey::kValues);
  CHECK(family(survey(page), "n_total").series == 300);
}

TEST_CASE("a page that is no metrics has no survey") {
  CHECK_FALSE(Survey::of("<html></html>\n", "text/html"));
  CHECK_FALSE(Survey::of("n 1\n", "application/openmetrics-text"));
}
