// davy scrape and davy config suggest, against real exporters and against what answers otherwise.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lab/agent.h"
#include "lab/exporter.h"
#include "lab/prometheus.h"
#include "lab/protobuf_page.h"
#include "lab/server.h"
#include "net/http_client.h"
#include "net/means.h"

using namespace davy;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};
/// The davy binary, with both of its outputs apart.
Ran run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), DAVY_BINARY);
  lab::Process process({arguments});
  std::optional<int> code = process.wait(std::chrono::minutes(2));
  REQUIRE(code);
  return {*code, process.stdout_text(), process.stderr_text()};
}

Ran scrape(const std::string& url, std::vector<std::string> more = {}) {
  std::vector<std::string> all{"scrape", url, "--every", "100ms"};
  all.insert(all.end(), more.begin(), more.end());
  return run(all);
}

nlohmann::json scraped(const std::string& url, std::vector<std::string> more = {}) {
  more.emplace_back("--json");
  Ran ran = scrape(url, more);
  CAPTURE(ran.err);
  return nlohmann::json::parse(ran.out);
}

/// Two servers behind a real HAProxy; V2 fails every other request.
struct HaProxy {
  HaProxy() {
    std::string text = fmt::format(R"(global
  nbthread 1
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 1s
frontend stats
  bind 127.0.0.1:{}
  http-request use-service prometheus-exporter
frontend shop
  bind 127.0.0.1:{}
  default_backend app
backend app
  server v1-0 {}
  server v2-0 {}
)",
                                   stats, shop, v1.address(), v2.address());
    lab::write_file(dir / "haproxy.cfg", text);
    process.emplace(lab::Command{{"haproxy", "-db", "-f", dir / "haproxy.cfg"}});
    REQUIRE(lab::eventually([&] { return get() != 0; }));
  }
  /// The status of one request; 0 = no answer.
  int get() const {
    net::Means net;
    net::HttpClient client(*net::parse_url(fmt::format("http://127.0.0.1:{}/", shop)), {});
    auto answer = client.call({}, {Deadline::in(std::chrono::seconds(5)), net});
    const auto* response = std::get_if<net::HttpResponse>(&answer);
    return response == nullptr ? 0 : response->status;
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}/metrics", stats); }

  lab::TempDir dir;
  int stats = lab::free_port();
  int shop = lab::free_port();
  lab::Server v1{lab::http(200, "hello")};
  lab::Server v2{lab::http(500, "sorry")};
  std::optional<lab::Process> process;
};

/// Answers with the first text, then the second and so on; the last one stays.
lab::Behaviour in_turn(std::vector<std::string> answers) {
  auto next = std::make_shared<std::atomic<std::size_t>>(0);
  return [answers, next](const lab::Connection& c) {
    while (!c.receive_until("\r\n\r\n").empty()) {
      std::size_t i = std::min((*next)++, answers.size() - 1);
      if (!c.send(answers[i])) return;
    }
  };
}

std::string answer(const std::string& body, const std::string& status = "200 OK",
                   const std::string& type = "text/plain") {
  return fmt::format("HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{}", status,
                     type, body.size(), body);
}

}  // namespace

TEST_CASE("scrape shows what came of an exporter's requests, by the preset that fits") {
  lab::Exporter exporter(100, 0.05);
  Ran ran = scrape(exporter.url());
  CHECK(ran.code == 0);
  CHECK(ran.err.empty());
  CHECK(has(ran.out, exporter.url() + "\n  page 1  "));
  CHECK(has(ran.out, "the preset prometheus-http, which fits best"));
  CHECK(has(ran.out, "\n  requests  200 "));
  CHECK(has(ran.out, "\n  errors     10 "));
  CHECK(has(ran.out, "5.00%"));
  CHECK(has(ran.out, "davy config suggest"));
  CHECK_FALSE(has(ran.out, "\033"));

  nlohmann::json seen = scraped(exporter.url(), {"--rounds", "4"});
  CHECK(seen.at("ok") == true);
  CHECK(seen.at("pages").size() == 4);
  CHECK(seen.at("pages").at(1).at("predicted_lines") == 3);
  CHECK(seen.at("versions").at(0).at("grown").at("requests") == 300.0);
  CHECK(seen.at("versions").at(0).at("grown").at("errors") == 15.0);
}

TEST_CASE("scrape and suggest know a real HAProxy, whole and by its servers") {
  HaProxy haproxy;
  int failed = 0;
  for (int i = 0; i < 20; ++i) failed += haproxy.get() == 500;
  nlohmann::json seen = scraped(haproxy.url(), {"--rounds", "2"});
  CHECK(seen.at("rules").at("from") == "the preset haproxy, which fits best");
  const nlohmann::json& whole = seen.at("versions").at(0).at("since_start");
  CHECK(whole.at("requests").get<double>() >= 20);
  CHECK(whole.at("errors").get<double>() >= failed);
  CHECK(failed >= 9);

  lab::TempDir dir;
  std::string file = dir / "davy.yaml";
  Ran ran = run(
      {"config", "suggest", haproxy.url(), "--wait", "100ms", "--name", "shop", "--write", file});
  CHECK(ran.code == 0);
  CHECK(ran.out.empty());
  CHECK(has(ran.err, "  haproxy-servers            chosen  requests and errors"));
  CHECK(has(ran.err, "  haproxy                    fits "));
  CHECK(has(ran.err, "Next: davy config check " + file));
  Ran check = run({"config", "check", file});
  CAPTURE(check.err);
  CHECK(check.code == 0);
  CHECK(has(check.out, "server=\"v1-0\""));

  // By this config both versions are told apart.
  nlohmann::json both = scraped(haproxy.url(), {"--config", file, "--deployment", "shop"});
  REQUIRE(both.at("versions").size() == 2);
  CHECK(both.at("versions").at(0).at("name") == "V1");
  CHECK(both.at("versions").at(0).at("since_start").at("errors") == 0.0);
  CHECK(both.at("versions").at(1).at("since_start").at("errors").get<double>() >= failed);
}

TEST_CASE("scrape and suggest know a real Prometheus, with its latencies") {
  lab::Prometheus prometheus({});
  (void)prometheus.value("vector(1)");
  std::string url = prometheus.url("/metrics");
  nlohmann::json seen = scraped(url);
  CHECK(seen.at("ok") == true);
  CHECK(seen.at("rules").at("from") == "the preset prometheus-server, which fits best");
  CHECK(seen.at("pages").at(0).at("packed") == true);
  CHECK(seen.at("versions").at(0).at("since_start").at("requests").get<double>() >= 1);
  CHECK(seen.at("versions").at(0).at("since_start").at("latency").at("le").size() > 5);
  CHECK(seen.at("left_out").size() >= 1);

  Ran ran = run({"config", "suggest", url, "--canary", url + "?", "--wait", "100ms"});
  CHECK(ran.code == 0);
  CHECK(has(ran.out, "preset: prometheus-server"));
  CHECK(has(ran.err, "  promhttp                   fits "));
  CHECK(has(ran.err, "V2: requests, errors"));
}

TEST_CASE("of a real node_exporter only its own scrapes are counted, and that is told") {
  std::string address = fmt::format("127.0.0.1:{}", lab::free_port());
  std::string url = "http://" + address + "/metrics";
  lab::Process exporter(
      lab::Command{{"prometheus-node-exporter", "--web.listen-address=" + address}});
  REQUIRE(lab::eventually([&] { return scrape(url, {"--rounds", "1"}).code != 3; }));
  Ran ran = scrape(url);
  CHECK(ran.code == 0);
  CHECK(has(ran.out, "the preset promhttp, which fits best"));
  CHECK(has(ran.out, "it counts scrapes of the target"));
  CHECK_FALSE(has(ran.out, "a guess"));
  Ran suggested = run({"config", "suggest", url, "--wait", "100ms"});
  CHECK(suggested.code == 0);
  CHECK(has(suggested.out, "preset: promhttp"));
  CHECK(has(suggested.err, "Note: it counts scrapes of the target"));
  CHECK_FALSE(has(suggested.err, "(a guess)"));
}

TEST_CASE("scrape reads native histograms, which come in protobuf only") {
  lab::Server server([](const lab::Connection& c) {
    for (double requests = 100;; requests += 100) {
      std::string head = c.receive_until("\r\n\r\n");
      if (head.empty()) return;
      bool asks = has(head, "application/vnd.google.protobuf");
      std::int64_t n = static_cast<std::int64_t>(requests / 2);
      if (!c.send(asks ? answer(lab::protobuf_page(requests, 3, -30, {n, n}), "200 OK",
                                lab::kProtobufType)
                       : answer("n 1\n")))
        return;
    }
  });
  std::vector<std::string> rules{"--counter",     "n",           "--error-when",
                                 "code=~\"5..\"", "--histogram", "h"};
  nlohmann::json seen = scraped(server.url(), rules);
  for (const nlohmann::json& page : seen.at("pages")) CHECK(page.at("format") == "protobuf");
  const nlohmann::json& grown = seen.at("versions").at(0).at("grown");
  CHECK(grown.at("requests") == 200.0);
  double above = grown.at("latency").at("quantiles").at(2).at("above");
  CHECK(above > 0.06);
  CHECK(above < 0.09);
  CHECK(has(scrape(server.url(), rules).out, "h: 1 histogram, native"));
  // Nothing knows n: what is guessed is told to be a guess, or nothing is.
  CHECK(scrape(server.url()).code == 1);
}

TEST_CASE("where no preset fits, a guess is told to be one") {
  lab::Server server(in_turn(
      {answer("# TYPE acme_requests_total counter\nacme_requests_total{status=\"200\"} 10\n"
              "acme_requests_total{status=\"503\"} 1\n# TYPE acme_request_latency_ms histogram\n"
              "acme_request_latency_ms_bucket{le=\"100\"} 11\n"
              "acme_request_latency_ms_bucket{le=\"+Inf\"} 11\n"),
       answer("# TYPE acme_requests_total counter\nacme_requests_total{status=\"200\"} 30\n"
              "acme_requests_total{status=\"503\"} 2\n# TYPE acme_request_latency_ms histogram\n"
              "acme_request_latency_ms_bucket{le=\"100\"} 32\n"
              "acme_request_latency_ms_bucket{le=\"+Inf\"} 32\n")}));
  Ran ran = scrape(server.url("/metrics"));
  CHECK(ran.code == 0);
  CHECK(has(ran.out, "a guess, for no preset fits"));
  CHECK(has(ran.out, "\n  requests  21 "));
  CHECK(has(ran.out, "p50   at most 100 ms"));
  CHECK(has(ran.out, "look at the guess"));
  Ran suggested = run({"config", "suggest", server.url("/metrics"), "--wait", "0s"});
  CHECK(suggested.code == 0);
  CHECK(has(suggested.out, "A GUESS"));
  CHECK(has(suggested.err, "  (a guess)                  chosen"));
}

TEST_CASE("a page by which davy cannot judge ends with 1 and says what is missing") {
  lab::Server gauges(lab::http(200, "# TYPE up gauge\nup 1\n"));
  Ran nothing = scrape(gauges.url());
  CHECK(nothing.code == 1);
  CHECK(has(nothing.out, "is this the right target?"));
  Ran suggested = run({"config", "suggest", gauges.url(), "--wait", "0s"});
  CHECK(suggested.code == 1);
  CHECK(suggested.out.empty());
  CHECK(has(suggested.err, "Next: is this the right target?"));

  lab::Server blind(lab::http(200, "http_requests_total{path=\"/\"} 5\n"));
  Ran without_errors = scrape(blind.url(), {"--preset", "prometheus-http"});
  CHECK(without_errors.code == 1);
  CHECK(has(without_errors.out, "no error would show"));
  CHECK(has(without_errors.out, "It has path"));
}

TEST_CASE("a target that has no page ends with 3, and each says what to do next") {
  struct Case {
    std::string url;
    std::string why;
    std::string next;
  };
  lab::Server absent(lab::http(404, "nothing"));
  lab::Server closed(lab::http(401, "who?"));
  lab::Server moved(lab::http(302, "", {{"Location", "http://elsewhere/metrics?token=x"}}));
  lab::Server broken(lab::http(503, "later"));
  lab::Server page(lab::http(200, "<html><body>hello</body></html>"));
  lab::Server json(lab::http(200, "{\"status\": \"ok\"}"));
  lab::Server empty(lab::http(200, ""));
  lab::Server comments(lab::http(200, "# HELP a_total a\n# TYPE a_total counter\n"));
  lab::Server prose(lab::http(200, "It works!\nThis is the default page.\n"));
  lab::Server cut(lab::http(200, "a_total 1\nb_to"));
  lab::Server huge(lab::http(200, std::string((32 << 20) + 1, 'a')));
  lab::Server silent(lab::mute());
  lab::Server other(lab::raw("SSH-2.0-OpenSSH_9.2\r\n"));
  for (const Case& is :
       {Case{fmt::format("http://127.0.0.1:{}/metrics", lab::free_port()), "refused",
             "is it running"},
        Case{absent.url("/metric"), "answered 404", "is the path right? /metrics is usual"},
        Case{closed.url("/metrics?token=secret"), "answered 401", "--bearer-token-file"},
        Case{moved.url("/metrics"), "points to \"http://elsewhere/metrics\"",
             "is that the address"},
        Case{broken.url("/metrics"), "answered 503", "its own log"},
        Case{page.url("/"), "answered HTML, not metrics", "/actuator/prometheus"},
        Case{json.url("/"), "answered JSON, not metrics", "/stats/prometheus"},
        Case{empty.url("/"), "answered an empty page", "does the application register metrics"},
        Case{comments.url("/"), "without a single series", "send some requests"},
        Case{prose.url("/"), "without a single series", "/metrics is usual"},
        Case{cut.url("/"), "ends in the middle of a line", "is the address right"},
        Case{huge.url("/"), "larger than 32 MiB", "--config FILE"},
        Case{"http://nobody.invalid/metrics", "cannot resolve", "is the name right"},
        Case{silent.url("/metrics"), "timed out", "--timeout"},
        Case{other.url("/metrics"), "expected an HTTP/1 answer", "https://"}}) {
    CAPTURE(is.why);
    Ran ran = scrape(is.url, {"--timeout", "500ms"});
    CHECK(ran.code == 3);
    CHECK(ran.out.empty());
    CHECK(has(ran.err, is.why));
    CHECK(has(ran.err, is.next));
    CHECK_FALSE(has(ran.err, "secret"));
    Ran suggested = run({"config", "suggest", is.url, "--timeout", "500ms"});
    CHECK(suggested.code == 3);
    CHECK(has(suggested.err, is.next));
    nlohmann::json told =
        nlohmann::json::parse(scrape(is.url, {"--timeout", "500ms", "--json"}).out);
    CHECK(told.at("ok") == false);
    CHECK(has(told.at("error"), is.why));
  }
}

TEST_CASE("a page that fails later is told, and the others count") {
  std::string first = answer("http_requests_total{code=\"200\"} 10\n");
  std::string last = answer("http_requests_total{code=\"200\"} 16\n");
  lab::Server server(in_turn({first, answer("no", "500 Oops"), answer("<html>"), last}));
  Ran ran = scrape(server.url("/metrics"), {"--rounds", "4"});
  CHECK(ran.code == 0);
  CHECK(has(ran.out, "page 2  " + server.url("/metrics") + " answered 500"));
  CHECK(has(ran.out, "answered HTML"));
  CHECK(has(ran.out, "\n  requests  6 "));
}

TEST_CASE("scrape sends the headers and the token that it is given, and shows neither") {
  lab::TempDir dir;
  lab::write_file(dir / "token", "s3cret\n");
  lab::Server server([](const lab::Connection& c) {
    while (true) {
      std::string head = c.receive_until("\r\n\r\n");
      if (head.empty()) return;
      bool is_known =
          has(head, "Authorization: Bearer s3cret\r\n") && has(head, "X-Team: shop\r\n");
      c.send(is_known ? answer("http_requests_total{code=\"200\"} 10\n")
                      : answer("who?", "403 Forbidden"));
    }
  });
  CHECK(scrape(server.url("/metrics")).code == 3);
  Ran ran = scrape(server.url("/metrics"),
                   {"--bearer-token-file", dir / "token", "--header", "X-Team: shop"});
  CHECK(ran.code == 0);
  CHECK_FALSE(has(ran.out, "s3cret"));
  CHECK(run({"config", "suggest", server.url("/metrics"), "--wait", "0s", "--bearer-token-file",
             dir / "token", "--header", "X-Team: shop"})
            .code == 0);
  Ran absent = scrape(server.url("/metrics"), {"--bearer-token-file", dir / "none"});
  CHECK(absent.code == 2);
  CHECK(has(absent.err, "none cannot be read"));
}

TEST_CASE("a target behind a socket of this machine is looked at as the scrape source does") {
  lab::TempDir dir;
  std::string path = dir / "app.sock";
  lab::Server server(lab::http(200, "http_requests_total{code=\"200\"} 10\n"), path);
  std::string url = "http+unix://";
  for (char c : path) url += c == '/' ? "%2F" : std::string(1, c);
  url += "/metrics?token=secret";
  Ran ran = scrape(url);
  CHECK(ran.code == 0);
  CHECK(has(ran.out, "the preset prometheus-http"));
  CHECK_FALSE(has(ran.out, "secret"));
  Ran suggested = run({"config", "suggest", url, "--wait", "0s"});
  CHECK(suggested.code == 0);
  CHECK(has(suggested.out, "baseline: '" + url + "'"));
  CHECK(scrape("http+unix://app.sock/metrics").code == 2);
}

TEST_CASE("too many series that match are told, with what to do") {
  std::string page;
  for (int i = 0; i < 10050; ++i)
    page += fmt::format("http_requests_total{{code=\"200\",path=\"/{}\"}} 1\n", i);
  lab::Server server(lab::http(200, page));
  Ran ran = scrape(server.url(), {"--preset", "prometheus-http", "--rounds", "1"});
  CHECK(ran.code == 3);
  CHECK(has(ran.err, "more than 10,000 series that match"));
  CHECK(has(ran.err, "narrow the selectors"));
}

TEST_CASE("options of scrape that cannot work are told with exit code 2") {
  lab::TempDir dir;
  lab::write_file(dir / "two.yaml", R"(service: shop
deployments:
  - { name: a, source: { scrape: { baseline: "http://x/m", canary: "http://y/m" } }, requests: { preset: istio } }
  - { name: b, source: { scrape: { baseline: "http://x/m", canary: "http://y/m" } }, requests: { preset: istio } }
)");
  lab::write_file(dir / "bad.yaml", "service: shop\nchekcs: []\n");
  struct Case {
    std::vector<std::string> options;
    std::string told;
  };
  for (const Case& is :
       {Case{{"--preset", "istoi"}, "did you mean istio?"},
        Case{{"--counter", "n"}, "say what an error is"},
        Case{{"--error-when", "code=\"5\""}, "say which series count requests"},
        Case{{"--counter", "n{", "--errors", "e"}, "--counter: "},
        Case{{"--counter", "n", "--error-when", "code"}, "--error-when: "},
        Case{{"--deployment", "a"}, "--config FILE"},
        Case{{"--config", dir / "two.yaml"}, "say which of its deployments"},
        Case{{"--config", dir / "two.yaml", "--deployment", "c"}, "there is no deployment"},
        Case{{"--config", dir / "two.yaml", "--preset", "istio"},
             "says which series count already"},
        Case{{"--config", dir / "bad.yaml"}, "bad.yaml:2: unknown key"},
        Case{{"--rounds", "0"}, "--rounds must be 1 to 1000"},
        Case{{"--header", "nonsense"}, "is not a header"},
        Case{{"--cert-file", "x"}, "belong together"},
        Case{{"--timeout", "0s"}, "--timeout must be more than 0"},
        Case{{"--unit", "minutes"}, "--unit"}}) {
    CAPTURE(is.told);
    Ran ran = scrape("http://127.0.0.1:1/metrics", is.options);
    CHECK(ran.code == 2);
    CHECK(has(ran.err + ran.out, is.told));
  }
  for (const char* url : {"nonsense", "", "ftp://x/metrics", "http://x:99999/metrics"}) {
    CAPTURE(url);
    Ran scraped = scrape(url);
    CHECK(scraped.code == 2);
    CHECK(has(scraped.err, "is not a URL (try http://host:port/path): it "));
    Ran suggested = run({"config", "suggest", url});
    CHECK(suggested.code == 2);
    CHECK(suggested.err == scraped.err);
  }
}

TEST_CASE("suggest writes a file once, over it only when forced, and a name only when it is one") {
  lab::Exporter v1(10, 0.1), v2(10, 0.1);
  lab::TempDir dir;
  std::string file = dir / "davy.yaml";
  std::vector<std::string> base{"config", "suggest", v1.url(),  "--canary", v2.url(),
                                "--wait", "0s",      "--write", file};
  auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> all = base;
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  };
  CHECK(with({}).code == 0);
  std::string written = read(file);
  CHECK(has(written, "canary: '" + v2.url() + "'"));
  lab::write_file(file, "mine\n");
  Ran again = with({});
  CHECK(again.code == 2);
  CHECK(has(again.err, "is there already, and stays as it is"));
  CHECK(read(file) == "mine\n");
  CHECK(with({"--force"}).code == 0);
  CHECK(read(file) == written);
  CHECK(with({"--name", "not a name"}).code == 2);
  CHECK(run({"config", "suggest", v1.url(), "--canary", v1.url()}).code == 2);
  CHECK(run({"config", "suggest", v1.url(), "--force"}).code == 2);
  Ran nowhere = run({"config", "suggest", v1.url(), "--wait", "0s", "--write", dir / "no/x.yaml"});
  CHECK(nowhere.code == 2);
  CHECK(has(nowhere.err, "cannot be written"));
}

TEST_CASE("what suggest prints is a config that an agent judges by") {
  lab::Exporter v1(2000, 0.002), bad(2000, 0.2);
  Ran ran = run({"config", "suggest", v1.url(), "--canary", bad.url(), "--wait", "0s"});
  REQUIRE(ran.code == 0);
  std::size_t begin = ran.out.find("deployments:");
  std::string yaml = ran.out.substr(begin);
  std::size_t every = yaml.find("every: 5s");
  yaml.replace(every, 9, "every: 500ms");
  lab::Agent agent(yaml + "    policy: { latency: off, min_stage: 1s, warm_up: 0s }\n");
  CHECK(lab::davy({"gate", "wait", "shop", "--url", agent.api_url(), "--timeout", "90s"}).code ==
        1);
}

TEST_CASE("presets lists them, shows one, and knows a misspelt name") {
  Ran all = run({"presets"});
  CHECK(all.code == 0);
  CHECK(has(all.out, "\nistio "));
  Ran one = run({"presets", "linkerd"});
  CHECK(one.code == 0);
  CHECK(has(one.out, "counter: 'response_total{direction=\"inbound\""));
  Ran none = run({"presets", "linkered"});
  CHECK(none.code == 2);
  CHECK(has(none.err, "did you mean linkerd?"));
}
