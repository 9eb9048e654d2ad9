#include "sources/suggest/guess.h"

#include <doctest/doctest.h>

using namespace davy;
using namespace davy::source;

namespace {

using Names = std::vector<std::string>;

Survey survey(const std::string& page) {
  Result<Survey> read = Survey::of(page, "text/plain");
  REQUIRE(read);
  return *read;
}

/// What is guessed of a counter of requests whose one label has these values.
Names error_when(const std::string& label, const Names& values) {
  std::string page;
  for (const std::string& value : values)
    page += "shop_requests_total{" + label + "=\"" + value + "\"} 1\n";
  std::optional<Guess> found = guess(survey(page));
  return found ? found->requests.error_when : Names{};
}

}  // namespace

TEST_CASE("a label tells errors by the words that most use") {
  CHECK(error_when("code", {"200", "404"}) == Names{"code=~\"5..\""});
  CHECK(error_when("status", {"2XX", "4XX"}) == Names{"status=~\"5XX\""});
  CHECK(error_when("status_class", {"2", "4"}) == Names{"status_class=\"5\""});
  CHECK(error_when("success", {"true"}) == Names{"success=\"false\""});
  CHECK(error_when("error", {"true", "false"}) == Names{"error=\"true\""});
  CHECK(error_when("outcome", {"ok", "failed", "timeout"}) == Names{"outcome=~\"failed|timeout\""});
  CHECK(error_when("result", {"ok"}) == Names{"result!=\"ok\""});
  CHECK(error_when("path", {"/", "/cart"}).empty());
}

TEST_CASE("a counter of errors of its own must be of the same thing") {
  std::optional<Guess> own =
      guess(survey("shop_requests_total 9\nshop_errors_total 1\nother_errors_total 4\n"));
  REQUIRE(own);
  CHECK(own->requests.counter == Names{"shop_requests_total"});
  CHECK(own->requests.errors == Names{"shop_errors_total"});
  std::optional<Guess> named =
      guess(survey("shop_http_requests_total 9\nshop_http_requests_failed_total 1\n"));
  REQUIRE(named);
  CHECK(named->requests.errors == Names{"shop_http_requests_failed_total"});
  CHECK_FALSE(guess(survey("shop_requests_total 9\nother_errors_total 4\n")));
  CHECK_FALSE(guess(survey("shop_requests_total 9\nshop_timex_pps_error_total 4\n")));
}

TEST_CASE("what a kernel counts of its disks are no requests") {
  Survey node = survey(
      "# TYPE node_disk_flush_requests_total counter\nnode_disk_flush_requests_total 9\n"
      "# TYPE node_timex_pps_error_total counter\nnode_timex_pps_error_total 0\n");
  CHECK_FALSE(guess(node));
  CHECK(likely_counters(node, 4).empty());
}

TEST_CASE("requests that come in go before those that go out") {
  Survey both = survey(
      "http_client_requests_total{code=\"200\"} 900\nhttp_server_requests_total{code=\"200\"} 9\n"
      "cache_requests_total{code=\"200\"} 9\n");
  CHECK(guess(both)->requests.counter == Names{"http_server_requests_total"});
  CHECK(likely_counters(both, 1) == Names{"http_server_requests_total"});
  CHECK(likely_counters(both, 9).size() == 2);
}

TEST_CASE("bounds of no service's latencies are doubted") {
  CHECK(doubt_about_bounds({}).empty());
  CHECK(doubt_about_bounds({0.005, 0.1, 10}).empty());
  CHECK(doubt_about_bounds({5, 10000}).find("milliseconds?") != std::string::npos);
  CHECK(doubt_about_bounds({0.00001, 0.01}).find("are they seconds?") != std::string::npos);
}
