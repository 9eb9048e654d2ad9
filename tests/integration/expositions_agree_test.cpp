// Real programs' pages, read by davy and by a real Prometheus: both must have read the same.
//
// Each page is taken once from the program and then served as it was to both, so that no value
// moves in between.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "lab/process.h"
#include "lab/prometheus.h"
#include "lab/server.h"
#include "net/http_client.h"
#include "net/means.h"
#include "sources/formats/exposition.h"

using namespace davy;
using namespace davy::source;
using namespace std::chrono_literals;

namespace {

using Samples = std::map<std::map<std::string, std::string>, double>;

/// All samples of a page by name and labels. Empty labels are none, as in Prometheus.
class Everything final : public SampleSink {
 public:
  std::uint32_t intern(std::string_view name, Labels labels) override {
    std::map<std::string, std::string> key = {{"__name__", std::string(name)}};
    for (const Label& label : labels) {
      if (!label.value.empty()) key.emplace(label.name, label.value);
    }
    keys_.push_back(std::move(key));
    return static_cast<std::uint32_t>(keys_.size() - 1);
  }
  void see(std::uint32_t series, double value) override { samples.emplace(keys_[series], value); }

  Samples samples;

 private:
  std::vector<std::map<std::string, std::string>> keys_;
};

net::HttpResponse get(const std::string& url, const std::string& accept = "*/*") {
  static net::Means means;
  net::Url parsed = *net::parse_url(url);
  net::HttpClient client(parsed, {.max_body = 64 << 20});
  auto answer = client.call({.target = parsed.target, .headers = {{"Accept", accept}}},
                            Call{Deadline::in(10s), means});
  if (const auto* error = std::get_if<net::HttpError>(&answer))
    throw std::runtime_error(error->what);
  return std::get<net::HttpResponse>(answer);
}

/// The page of a program that has just been started.
net::HttpResponse page_of(const std::string& url, const std::string& accept) {
  std::string why;
  bool is_there = lab::eventually([&] {
    try {
      return get(url, accept).status == 200;
    } catch (const std::runtime_error& e) {
      why = e.what();
      return false;
    }
  });
  if (!is_there) FAIL(url << ": " << why);
  return get(url, accept);
}

/// What Prometheus has read of one target, without the labels that it adds itself.
Samples read_by_prometheus(const lab::Prometheus& prometheus, const std::string& instance) {
  net::HttpResponse answer =
      get(prometheus.url("/api/v1/query?query=%7Binstance%3D%22" + instance + "%22%7D"));
  Samples samples;
  const nlohmann::json parsed = nlohmann::json::parse(answer.body);
  for (const auto& series : parsed.at("data").at("result")) {
    auto labels = series.at("metric").get<std::map<std::string, std::string>>();
    for (const char* own : {"instance", "job", "monitor"}) labels.erase(own);
    const std::string& name = labels.at("__name__");
    bool is_own = name == "up" || name.starts_with("scrape_");
    std::string value = series.at("value").at(1);
    if (!is_own) samples.emplace(std::move(labels), std::strtod(value.c_str(), nullptr));
  }
  return samples;
}

bool is_same(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

void check_agreement(const net::HttpResponse& page) {
  Everything mine;
  bool is_openmetrics = page.content_type.starts_with("application/openmetrics-text");
  Result<Parsed> parsed = parse_exposition(
      page.body, mine, is_openmetrics ? TextFormat::OpenMetrics : TextFormat::Prometheus);
  REQUIRE(parsed);
  CHECK(parsed->malformed == 0);
  CHECK(mine.samples.size() > 50);

  lab::Server frozen(lab::http(200, page.body, {{"Content-Type", page.content_type}}));
  lab::Prometheus prometheus({{frozen.address(), {}}});
  REQUIRE(prometheus.shows("up{instance=\"" + frozen.address() + "\"}", 1));
  Samples theirs = read_by_prometheus(prometheus, frozen.address());
  CHECK(theirs.size() == mine.samples.size());
  for (const auto& [series, value] : mine.samples) {
    std::string text;
    for (const auto& [name, of] : series) text += name + "=" + of + " ";
    CAPTURE(text);
    auto found = theirs.find(series);
    REQUIRE(found != theirs.end());
    REQUIRE(is_same(found->second, value));
  }
}

}  // namespace

TEST_CASE("Prometheus' own page is read by davy as by Prometheus, as text and as OpenMetrics") {
  lab::Prometheus source({});
  check_agreement(page_of(source.url("/metrics"), "text/plain;version=0.0.4"));
  check_agreement(page_of(source.url("/metrics"), "application/openmetrics-text;version=1.0.0"));
}

TEST_CASE("node_exporter's page is read by davy as by Prometheus") {
  std::string address = "127.0.0.1:" + std::to_string(lab::free_port());
  lab::Process exporter(
      lab::Command{{"prometheus-node-exporter", "--web.listen-address=" + address}});
  check_agreement(page_of("http://" + address + "/metrics", "text/plain;version=0.0.4"));
}

TEST_CASE("HAProxy's page is read by davy as by Prometheus") {
  lab::TempDir dir;
  int port = lab::free_port();
  lab::write_file(dir / "cfg", fmt::format(R"(
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend metrics
  bind 127.0.0.1:{}
  http-request use-service prometheus-exporter
backend shop
  server v1 127.0.0.1:1 check
  server v2 127.0.0.1:1 disabled
)",
                                           port));
  lab::Process haproxy(lab::Command{{"haproxy", "-db", "-f", dir / "cfg"}});
  check_agreement(page_of("http://127.0.0.1:" + std::to_string(port) + "/metrics", "text/plain"));
}
