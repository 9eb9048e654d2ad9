// Which preset davy takes for which page (tests/data/expositions), what it guesses when there is
// none, and that what it proposes loads.

#include "app/cli/suggestion.h"

#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "app/cli/rules_given.h"
#include "config/config.h"
#include "sources/suggest/guess.h"

using namespace davy;
using namespace davy::app;
using source::Fit;

namespace {

namespace fs = std::filesystem;

const fs::path kPages = DAVY_SOURCE_DIR "/tests/data/expositions";

std::string content(const std::string& name) {
  std::ifstream in(kPages / (name + ".txt"), std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

std::vector<std::string> all_pages() {
  std::vector<std::string> names;
  for (const auto& file : fs::directory_iterator(kPages))
    names.push_back(file.path().stem().string());
  return names;
}

source::Survey survey(const std::string& page) {
  Result<source::Survey> read = source::Survey::of(page, "text/plain");
  REQUIRE(read);
  return *read;
}

/// All presets, and a guess if need be, held against pages a second apart.
struct Held {
  explicit Held(const std::vector<std::string>& pages, bool wants_versions = false)
      : fitting(preset_candidates(), wants_versions, 10000) {
    int second = 0;
    for (const std::string& body : pages) {
      source::Page page{body, "text/plain", Time{std::chrono::seconds(++second)}};
      REQUIRE(fitting.see(page, survey(body)));
      if (!guess && !fits_well(fitting.ranked().front())) {
        guess = source::guess(survey(body));
        if (guess) fitting.add(guess_candidate(*guess), page, survey(body));
      }
    }
  }
  std::string best() const { return fitting.ranked().front().candidate.name; }
  Suggestion suggestion(const std::string& url, const std::string& canary = "",
                        const std::string& name = "shop") const {
    return suggest({.url = url,
                    .canary = canary,
                    .name = name,
                    .fits = fitting.ranked(),
                    .of_canary = {},
                    .guess = guess},
                   {});
  }

  source::Fitting fitting;
  std::optional<source::Guess> guess;
};

/// The first deployment of a config that must load.
config::Deployment loaded(const std::string& yaml) {
  CAPTURE(yaml);
  config::Loaded loaded = config::load_text(yaml, "proposed", {probe_kinds(), source_kinds()});
  for (const config::Problem& problem : loaded.problems) FAIL_CHECK(problem.text());
  REQUIRE(loaded.config);
  return loaded.config->deployments.at(0);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("every page's own preset is the one that fits it best") {
  for (const std::string& name : all_pages()) {
    CAPTURE(name);
    Held held({content(name)});
    CHECK(held.best() == (name == "prom-client-fastify" ? "prom-client" : name));
    CHECK_FALSE(held.guess.has_value());
    CHECK(held.fitting.ranked().front().grade == Fit::Grade::Full);
  }
}

TEST_CASE("what is proposed for a page loads as a config, with its preset's series") {
  for (const std::string& name : all_pages()) {
    CAPTURE(name);
    for (const char* canary : {"", "http://v2:9102/metrics"}) {
      Held held({content(name)}, *canary == '\0');
      std::string yaml = held.suggestion("http://v1:9102/metrics?a=b&c='d'", canary).yaml;
      config::Deployment deployment = loaded(yaml);
      const Fit best = held.fitting.ranked().front();
      CHECK(deployment.name == "shop");
      CHECK(deployment.requests == best.candidate.requests);
      CHECK(has(yaml, "CHANGE") == (*canary == '\0'));
      const Options& source = deployment.source_options;
      CHECK(source.list(source.has("targets") ? "targets" : "baseline") ==
            std::vector<std::string>{"http://v1:9102/metrics?a=b&c='d'"});
    }
  }
}

TEST_CASE("one target that serves both versions is told apart by its preset's label") {
  struct Case {
    const char* page;
    const char* preset;
    const char* baseline;
    const char* canary;
  };
  for (const Case& is :
       {Case{"haproxy", "haproxy-servers", "server=\"v1-0\"", "server=\"v2-0\""},
        Case{"traefik", "traefik", "service=\"shop@docker\"", "service=\"shop-canary@docker\""},
        Case{"nginx-ingress", "nginx-ingress", "canary=\"\"",
             "canary=\"default-shop-canary-80\""}}) {
    CAPTURE(is.page);
    Held held({content(is.page)}, true);
    CHECK(held.best() == is.preset);
    config::Deployment deployment = loaded(held.suggestion("http://lb:8404/metrics").yaml);
    CHECK(deployment.source_options.text("baseline_when") == is.baseline);
    CHECK(deployment.source_options.text("canary_when") == is.canary);
  }
  // With a URL for each version, the whole of each is what counts.
  CHECK(Held({content("haproxy")}, false).best() == "haproxy");
}

TEST_CASE("a guess finds what presets know otherwise") {
  // Where a matcher is needed that no name tells (its own scrapes, outgoing requests, sums over all
  // hosts), a guess counts too much; and scrapes are no requests.
  const std::set<std::string> kBeyondGuessing{"envoy",     "istio",    "linkerd",
                                              "nginx-vts", "promhttp", "spring"};
  std::set<std::string> missed;
  for (const std::string& name : all_pages()) {
    CAPTURE(name);
    std::optional<source::Guess> guess = source::guess(survey(content(name)));
    if (!guess) {
      missed.insert(name);
      continue;
    }
    source::Page page{content(name), "text/plain", Time{}};
    source::Fitting fitting({guess_candidate(*guess)}, false, 10000);
    REQUIRE(fitting.see(page, survey(page.body)));
    source::Tally counted = fitting.ranked().front().view->whole(source::Side::Canary);
    bool is_server = name == "prometheus-server";
    if (counted.requests != (is_server ? 24 : 120) || counted.errors != (is_server ? 0 : 3))
      missed.insert(name);
  }
  CHECK(missed == kBeyondGuessing);
}

TEST_CASE("a guess is marked, says what it goes by, and loads") {
  Held held(
      {"# TYPE acme_orders_requests_total counter\n"
       "acme_orders_requests_total{outcome=\"ok\",shop=\"it's\"} 5\n"
       "acme_orders_requests_total{outcome=\"error\",shop=\"${HOME}\"} 1\n"
       "# TYPE acme_orders_latency_ms histogram\n"
       "acme_orders_latency_ms_bucket{le=\"10\"} 4\n"
       "acme_orders_latency_ms_bucket{le=\"1000\"} 6\n"
       "acme_orders_latency_ms_bucket{le=\"+Inf\"} 6\n"
       "# TYPE promhttp_metric_handler_requests_total counter\n"
       "promhttp_metric_handler_requests_total{code=\"200\"} 9\n"});
  CHECK(held.best() == kGuessed);
  Suggestion suggestion = held.suggestion("http://v1:1/metrics", "http://v2:1/metrics");
  CHECK(has(suggestion.yaml, "A GUESS"));
  CHECK(has(suggestion.yaml, "#   acme_orders_requests_total: a counter with the word"));
  CHECK(has(suggestion.table, "(a guess)                  chosen"));
  CHECK(has(suggestion.remarks.at(0), "guess"));
  config::Deployment deployment = loaded(suggestion.yaml);
  CHECK(deployment.requests.counter == std::vector<std::string>{"acme_orders_requests_total"});
  CHECK(deployment.requests.error_when == std::vector<std::string>{"outcome=~\"error\""});
  CHECK(deployment.requests.histogram == std::vector<std::string>{"acme_orders_latency_ms"});
  CHECK(deployment.requests.latency_unit == 1e-3);
}

TEST_CASE("values that YAML or a matcher could misread come through as they are") {
  Held held({"haproxy_server_http_responses_total{server=\"it's \\\"a\\\" ${X} #1\",code=\"5xx\"} "
             "9\nhaproxy_server_http_responses_total{server=\"b\\\\c\",code=\"2xx\"} 5\n"},
            true);
  config::Deployment deployment = loaded(held.suggestion("http://lb/metrics").yaml);
  CHECK(deployment.source_options.text("baseline_when") == "server=\"it's \\\"a\\\" ${X} #1\"");
  CHECK(deployment.source_options.text("canary_when") == "server=\"b\\\\c\"");
}

TEST_CASE("the table says of every preset why or why not") {
  Held held({content("prometheus-http"), content("prometheus-http")});
  Suggestion suggestion = held.suggestion("http://v1:9102/metrics", "http://v2:9102/metrics");
  CHECK(suggestion.table.starts_with("  prometheus-http            chosen  requests, errors and "));
  CHECK(has(suggestion.table, "no request came"));
  CHECK(has(suggestion.table, "  promhttp                   fits "));
  CHECK(has(suggestion.table, "only its own"));
  CHECK(has(suggestion.table, "  fastapi                    no      http_requests_total without"));
  CHECK(has(suggestion.table, "  istio                      no      istio_requests_total is"));
  CHECK(has(suggestion.remarks.at(0), "nothing moved"));
}

TEST_CASE(
    "of several that fit, the one with latency, that moves, in a unit that makes sense, is "
    "chosen") {
  source::Candidate errors_only{
      .name = "errors-only",
      .requests = {
          .counter = {"a_total"}, .error_when = {"code=\"500\""}, .errors = {}, .histogram = {}}};
  source::Candidate wrong_unit{.name = "wrong-unit",
                               .requests = {.counter = {"b_total"},
                                            .error_when = {"code=\"500\""},
                                            .errors = {},
                                            .histogram = {"h"}}};
  source::Candidate right = wrong_unit;
  right.name = "right";
  right.requests.latency_unit = 1e-3;
  source::Candidate moving = right;
  moving.name = "moving";
  moving.requests.counter = {"c_total"};
  auto page = [](int c) {
    return "a_total{code=\"500\"} 1\nb_total{code=\"500\"} 1\nc_total{code=\"500\"} " +
           std::to_string(c) + "\nh_bucket{le=\"10000\"} 1\nh_bucket{le=\"+Inf\"} 1\n";
  };
  source::Fitting fitting({errors_only, wrong_unit, right, moving}, false, 1000);
  for (int second : {1, 2}) {
    std::string body = page(second);
    REQUIRE(fitting.see({body, "text/plain", Time{std::chrono::seconds(second)}}, survey(body)));
  }
  std::vector<std::string> order;
  for (const Fit& fit : fitting.ranked()) order.push_back(fit.candidate.name);
  CHECK(order == std::vector<std::string>{"moving", "right", "errors-only", "wrong-unit"});
  CHECK(has(fitting.ranked()[3].notes.at(0), "are they milliseconds?"));
}

TEST_CASE("what fits nothing at first may fit later") {
  Held held({"up 1\n",
             "up 1\n# TYPE http_requests_total counter\nhttp_requests_total{code=\"200\"} 3\n"});
  CHECK(held.best() == "prometheus-http");
}

TEST_CASE("a page of nothing has no suggestion") {
  Held held({"up 1\n"});
  CHECK(held.suggestion("http://v1/metrics").yaml.empty());
}

TEST_CASE("a service is named by its host") {
  CHECK(name_by_url("http://checkout.prod.svc:9102/metrics") == "checkout");
  CHECK(name_by_url("http://127.0.0.1:9102/metrics") == "shop");
  CHECK(name_by_url("http://[::1]:9102/metrics") == "shop");
  CHECK(name_by_url("http://localhost/metrics") == "shop");
  CHECK(name_by_url("nonsense") == "shop");
}
