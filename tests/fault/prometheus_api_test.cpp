// The source `prometheus` against servers that throttle, fail, lie, or are slow.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <deque>
#include <memory>
#include <string>

#include "base/guarded.h"
#include "lab/agent.h"
#include "lab/server.h"
#include "lab/source.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

const RequestSeries kSeries{
    .counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {}};

std::string answer(int status, const std::string& body, const std::string& headers = "") {
  return fmt::format("HTTP/1.1 {} Lab\r\n{}Content-Length: {}\r\n\r\n{}", status, headers,
                     body.size(), body);
}

std::string series(const std::string& pod, const std::string& version, double t,
                   const std::string& value) {
  return fmt::format(
      R"({{"metric":{{"__name__":"n","code":"200","instance":"{0}:80","job":"shop","pod":"{0}",)"
      R"("version":"{1}"}},"values":[[{2:.3f},"{3}"]]}})",
      pod, version, t, value);
}

std::string matrix(const std::string& all, const std::string& more = "") {
  return R"({"status":"success","data":{"resultType":"matrix","result":[)" + all + "]}" + more +
         "}";
}

/// A server of the API. Its time is its own; what it is told to say comes first.
struct Api {
  struct State {
    double now = 1795164886.5;
    int v1 = 1000;
    int v2 = 100;
    std::deque<std::string> script{};     // whole answers to the next questions
    std::string instead{};                // of the samples of V2, when not ""
    std::vector<std::string> requests{};  // their heads
  };
  std::shared_ptr<Guarded<State>> state = std::make_shared<Guarded<State>>();
  lab::Server server{[state = state](const lab::Connection& connection) {
    while (true) {
      std::string head = connection.receive_until("\r\n\r\n");
      if (head.empty() || !connection.send(reply(*state->lock(), head))) return;
    }
  }};

  static std::string reply(State& state, const std::string& head) {
    state.requests.push_back(head);
    if (!state.script.empty()) {
      std::string next = state.script.front();
      state.script.pop_front();
      return next;
    }
    if (head.find("query=vector%281%29") != std::string::npos) {
      return answer(200, fmt::format(R"({{"status":"success","data":{{"resultType":"vector",)"
                                     R"("result":[{{"metric":{{}},"value":[{:.3f},"1"]}}]}}}})",
                                     state.now));
    }
    bool is_canary = head.find("version%3D%22v2%22") != std::string::npos;
    if (is_canary && !state.instead.empty()) return state.instead;
    return answer(200,
                  matrix(is_canary ? series("b", "v2", state.now - 2, std::to_string(state.v2))
                                   : series("a", "v1", state.now - 1, std::to_string(state.v1))));
  }

  void pass(double seconds, int v1, int v2) {
    auto now = state->lock();
    now->now += seconds;
    now->v1 += v1;
    now->v2 += v2;
  }
  void script(std::deque<std::string> answers) { state->lock()->script = std::move(answers); }
  void instead(std::string bytes) { state->lock()->instead = std::move(bytes); }
  std::size_t asked() { return state->lock()->requests.size(); }
};

lab::Settings settings_for(const std::string& url, const lab::Settings& more) {
  lab::Settings settings = {
      {"url", url}, {"baseline_when", "version=\"v1\""}, {"canary_when", "version=\"v2\""}};
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

struct Asking : lab::SourceRunner {
  explicit Asking(const Api& api, const lab::Settings& more = {})
      : Asking(api.server.url(""), more) {}
  explicit Asking(const std::string& url, const lab::Settings& more = {})
      : SourceRunner("prometheus", settings_for(url, more), kSeries) {}
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// What is told when this is the answer to the question for V2's samples.
std::string told_of(const std::string& bytes, const lab::Settings& more = {}) {
  Api api;
  Asking asking(api, more);
  CHECK(asking.collect().trouble == "");
  api.pass(15, 10, 1);
  api.instead(bytes);
  Collected bad = asking.collect();
  CHECK_FALSE(bad.block);
  CHECK_FALSE(bad.blind);
  api.instead("");
  api.pass(15, 10, 1);
  Collected good = asking.collect();
  CHECK(good.trouble == "");
  REQUIRE(good.block);
  CHECK(good.block->canary.requests == 2);  // of both spans
  CHECK(good.block->baseline.requests == 20);
  return bad.trouble;
}

}  // namespace

TEST_CASE("429 and 5xx are asked again within the round, and the answer then counts") {
  Api api;
  Asking asking(api);
  asking.collect();
  api.pass(15, 10, 1);
  api.script({answer(429, "slow down", "Retry-After: 0\r\n"),
              answer(503, R"({"status":"error","errorType":"timeout","error":"query timed out"})"),
              answer(502, "<html>bad gateway</html>")});
  Collected second = asking.collect();
  CHECK(second.trouble == "");
  REQUIRE(second.block);
  CHECK(second.block->canary.requests == 1);
  CHECK(lab::times(second, "retries") == 3);
  CHECK(lab::times(second, "throttled") == 1);
  CHECK(lab::times(second, "server_errors") == 2);
}

TEST_CASE("a server that asks to wait longer than the round is left alone for so long") {
  Api api;
  Asking asking(api, {{"timeout", "900ms"}});
  asking.collect();
  api.script({answer(429, "", "Retry-After: 1\r\n")});
  std::size_t asked = api.asked();
  Collected sent_away = asking.collect();
  CHECK(holds(sent_away.trouble, ": answered 429 and asks to wait 1s (1 time)"));
  CHECK(api.asked() == asked + 1);
  Collected held = asking.collect();
  CHECK(holds(held.trouble, "; it is asked again in 1s (2 times)"));
  CHECK(api.asked() == asked + 1);
  api.pass(15, 10, 1);
  Collected back;
  REQUIRE(lab::eventually([&] {
    back = asking.collect();
    return back.trouble.empty();
  }));
  CHECK(back.block->canary.requests == 1);
  CHECK(api.asked() == asked + 4);
}

TEST_CASE("a date in Retry-After is seen from the answer's own date") {
  Api api;
  Asking asking(api, {{"timeout", "900ms"}});
  api.script({answer(503, "",
                     "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                     "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n")});
  CHECK(holds(asking.collect().trouble, "answered 503 and asks to wait 1m (1 time)"));
}

TEST_CASE("a server that stays away blinds after three rounds") {
  Api api;
  Asking asking(api, {{"timeout", "50ms"}});
  for (int round = 1; round <= 3; ++round) {
    api.script({answer(503, "")});
    Collected collected = asking.collect();
    CHECK(holds(collected.trouble, fmt::format("answered 503 ({} time", round)));
    CHECK(collected.blind == (round == 3));
    CHECK_FALSE(collected.block);
  }
  CHECK(asking.collect().trouble == "");
  for (int round = 0; round < 2; ++round) {
    api.script({answer(500, "")});
    CHECK_FALSE(asking.collect().blind);
  }
}

TEST_CASE("with a server that only fails the verdict is error, never fail") {
  Api api;
  api.script(std::deque<std::string>(1000, answer(503, "")));
  lab::Agent agent(fmt::format(R"(deployments:
  - name: shop
    source: {{ prometheus: {{ url: "{}", baseline_when: 'version="v1"', canary_when: 'version="v2"', every: 1s }} }}
    requests: {{ counter: n, error_when: 'code=~"5.."' }}
)",
                               api.server.url("")));
  std::string verdict;
  REQUIRE(lab::eventually([&] {
    verdict = agent.get("/v1/gate/shop").body;
    return verdict.starts_with("error");
  }));
  CHECK(holds(verdict, "answered 503"));
  CHECK(agent.get("/v1/gate/shop").status == 503);
  CHECK(holds(agent.get("/metrics").body,
              "davy_source_events_total{deployment=\"shop\",event=\"server_errors\"}"));
}

TEST_CASE("answers that may lack a part are not counted, with the sentence that says so") {
  std::string one = series("b", "v2", 1795164899, "1");
  CHECK(holds(told_of(answer(200, matrix(one, R"(,"warnings":["store 10.0.0.7 is unreachable"])")),
                      {{"timeout", "150ms"}}),
              "its answer may lack a part, so nothing of it is counted: \"store 10.0.0.7 is "
              "unreachable\" (1 time)"));
  CHECK(holds(told_of(answer(200, matrix(one, R"(,"isPartial":true)")), {{"timeout", "150ms"}}),
              "so nothing of it is counted: isPartial (1 time)"));
}

TEST_CASE("what is no answer is told as what it is") {
  std::string whole = matrix(series("b", "v2", 1795164899, "1"));
  CHECK(holds(told_of(answer(200, "\n<!DOCTYPE html><html>Sign in</html>")),
              "answered HTML, not JSON (a login page? is the path right?)"));
  CHECK(holds(told_of(answer(200, whole.substr(0, 100))),
              "its answer is wrong: it ends at byte 100"));
  CHECK(holds(told_of(answer(200, "")), "its answer is wrong: it ends at byte 0"));
  CHECK(holds(told_of(answer(200, R"({"status":"success","data":{"resultType":"vector","result":)"
                                  R"([{"metric":{},"values":[[1,"2"]]}]}})")),
              "it has a result that is not of the type it says"));
  CHECK(holds(told_of(answer(200, R"({"status":"success","data":{"resultType":"streams",)"
                                  R"("result":[]}})")),
              "it has the result type \"streams\""));
  CHECK(holds(told_of(answer(200, R"({"status":"error","errorType":"bad_data","error":"no"})")),
              "answered bad_data: \"no\" (1 time)"));
  CHECK(holds(
      told_of("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + whole, {{"timeout", "300ms"}}),
      "of body (1 time)"));
  CHECK(holds(told_of(answer(200, matrix(std::string(2000, ' '))), {{"max_body", "1KiB"}}),
              "larger than 1 KiB (narrow the selectors, or raise max_body)"));
}

TEST_CASE("refusals say what to do") {
  CHECK(
      holds(told_of(answer(400, R"({"status":"error","errorType":"bad_data","error":"1:5: bad"})")),
            ": answered 400: \"1:5: bad\" (1 time)"));
  CHECK(holds(told_of(answer(401, "no org id")),
              "answered 401 (are bearer_token_file, or username and password, right?)"));
  CHECK(holds(told_of(answer(403, "")), "answered 403 (may this user read? is tenant right?)"));
  CHECK(holds(told_of(answer(404, "")), "answered 404 (is the path right? Mimir's is /prometheus"));
  CHECK(
      holds(told_of(answer(302, "", "Location: https://sso.example/login\r\n")),
            "answered 302 and sends to \"https://sso.example/login\" (redirects are not followed"));
  CHECK(holds(told_of(answer(422, R"({"status":"error","errorType":"execution",)"
                                  R"("error":"too many samples"})")),
              "answered 422: \"too many samples\""));
}

TEST_CASE("a version without series is waited for, and begins anew when they are back") {
  for (const std::string& nothing :
       {matrix(""),
        std::string(R"({"status":"success","data":{"resultType":"matrix","result":null}})")}) {
    Api api;
    Asking asking(api);
    asking.collect();
    api.pass(15, 10, 1);
    api.instead(answer(200, nothing));
    Collected bad = asking.collect();
    CHECK_FALSE(bad.block);
    CHECK_FALSE(bad.blind);
    CHECK(bad.canary_targets == 0);
    CHECK(bad.trouble ==
          "canary: no series of n match {version=\"v2\"} (are the name and canary_when right?) (1 "
          "time)");
    api.instead("");
    for (int round = 1; round <= 2; ++round) {
      api.pass(15, 10, 1);
      Collected good = asking.collect();
      CHECK(good.trouble == "");
      REQUIRE(good.block.has_value() == (round == 2));
      if (good.block) CHECK(good.block->canary.requests == 1);
    }
  }
}

TEST_CASE("a value that is no number is no count, and counts nothing anew") {
  Api api;
  Asking asking(api);
  asking.collect();
  api.pass(15, 10, 1);
  api.instead(answer(200, matrix(series("b", "v2", 1795164899, "NaN"))));
  Collected bad = asking.collect();
  CHECK_FALSE(bad.block);
  CHECK_FALSE(bad.blind);
  api.instead("");
  api.pass(15, 10, 1);
  Collected good = asking.collect();
  REQUIRE(good.block);
  CHECK(good.block->canary.requests == 2);
}

TEST_CASE("more series than are wanted are refused") {
  Api api;
  std::string many;
  for (int i = 0; i < 6; ++i)
    many += (i > 0 ? "," : "") + series("b" + std::to_string(i), "v2", 1795164886, "1");
  api.instead(answer(200, matrix(many)));
  CHECK(holds(Asking(api, {{"max_series", "5"}}).collect().trouble,
              "{version=\"v2\"} matches more than 5 series (narrow the selectors, or raise "
              "max_series)"));
  CHECK(Asking(api, {{"max_series", "6"}}).collect().trouble == "");
}

TEST_CASE("nobody's clock but the server's counts") {
  Api api;
  api.state->lock()->now = 3e9;  // a century ahead
  Asking asking(api);
  asking.collect();
  api.pass(15, 10, 1);
  Collected second = asking.collect();
  REQUIRE(second.block);
  CHECK(second.block->canary.requests == 1);
  CHECK(second.trouble == "");
  CHECK(holds(api.state->lock()->requests.back(), "&time=3000000015.000&"));
}

TEST_CASE("a server whose samples no longer come is told, and blinds") {
  Api api;
  Asking asking(api, {{"every", "2s"}});
  asking.collect();
  Collected quiet = asking.collect();
  CHECK_FALSE(quiet.block);
  CHECK(quiet.trouble == "");
  CHECK(quiet.canary_targets == 1);
  for (int round = 1; round <= 3; ++round) {
    std::string time = fmt::format(R"({{"status":"success","data":{{"resultType":"vector",)"
                                   R"("result":[{{"metric":{{}},"value":[{:.3f},"1"]}}]}}}})",
                                   1795164886.5 + 10 * round);
    api.script({answer(200, time)});
    Collected stalled = asking.collect();
    CHECK(holds(stalled.trouble, fmt::format("no new sample for {}s (does it still scrape?) "
                                             "({} time",
                                             10 * round, round)));
    CHECK(stalled.blind == (round == 3));
  }
}

TEST_CASE("the answer of a replica that scraped earlier is no reset") {
  Api api;
  Asking asking(api);
  asking.collect();
  api.pass(15, 10, 1);
  // Another Prometheus behind the same address: its last scrape is older, its counter smaller.
  api.instead(answer(200, matrix(series("b", "v2", 1795164886.5 - 5, "97"))));
  Collected other = asking.collect();
  REQUIRE(other.block);
  CHECK(other.block->canary.requests == 0);
  CHECK(other.block->canary.pods.at(0).restarts == 0);
  api.instead("");
  api.pass(15, 10, 1);
  Collected back = asking.collect();
  CHECK(back.block->canary.requests == 2);
}

TEST_CASE("a server that scrapes seldom is asked seldom") {
  Api api;
  Asking asking(api);
  CHECK(asking.source().every() == 15s);
  std::string values;
  for (int i = 0; i < 2; ++i)
    values += fmt::format("{}[{},\"{}\"]", i > 0 ? "," : "", 1795164820 + 60 * i, i);
  api.instead(answer(
      200, matrix(R"({"metric":{"__name__":"n","code":"200","pod":"b","version":"v2"},"values":[)" +
                  values + "]}")));
  CHECK(asking.collect().trouble == "");
  CHECK(asking.source().every() == 60s);
}

TEST_CASE("a series of both versions is refused") {
  Api api;
  lab::SourceRunner asking("prometheus",
                           {{"url", api.server.url("")},
                            {"baseline_when", "version=\"v1\""},
                            {"canary_when", "version=~\"v.\""}},
                           kSeries);
  CHECK(holds(asking.collect().trouble, "matches both baseline_when and canary_when"));
}

TEST_CASE("what is asked, and who asks") {
  Api api;
  lab::TempDir dir;
  lab::write_file(dir / "token", "first\n");
  RequestSeries requests{.counter = {"n", "m{a=\"b\"}"},
                         .error_when = {},
                         .errors = {"shop.errors"},
                         .histogram = {"h"}};
  lab::SourceRunner asking("prometheus",
                           {{"url", api.server.url("/prometheus/?extra=1")},
                            {"baseline_when", "version=\"v1\""},
                            {"canary_when", "version=\"v2\""},
                            {"selector", "namespace=\"prod\""},
                            {"window", "90s"},
                            {"tenant", "shop-team"},
                            {"bearer_token_file", dir / "token"}},
                           requests);
  Collected first = asking.collect();
  CHECK(first.trouble == "");
  CHECK(first.canary_targets == 1);
  auto head = [&](std::size_t number) { return api.state->lock()->requests.at(number); };
  CHECK(
      head(0).starts_with("GET /prometheus/api/v1/query?extra=1&dedup=true&partial_response=false&"
                          "deny_partial_response=1&query=vector%281%29&timeout="));
  CHECK(holds(head(0), "X-Scope-OrgID: shop-team\r\n"));
  CHECK(holds(head(0), "Authorization: Bearer first\r\n"));
  // {__name__=~"n|shop\\.errors|h_bucket|process_start_time_seconds",namespace="prod",version="v1"}[90000ms]
  CHECK(holds(head(1),
              "&query=%7B__name__%3D~%22n%7Cshop%5C%5C.errors%7Ch_bucket%7C"
              "process_start_time_seconds%22%2Cnamespace%3D%22prod%22%2Cversion%3D%22v1%22%7D"
              "%5B90000ms%5D&time=1795164886.500&timeout="));
  CHECK(holds(head(2),
              "&query=%7B__name__%3D%22m%22%2Ca%3D%22b%22%2Cnamespace%3D%22prod%22%2C"
              "version%3D%22v1%22%7D%5B90000ms%5D&"));
  CHECK(api.asked() == 5);
  lab::write_file(dir / "token", "second\n");
  asking.collect();
  CHECK(holds(head(5), "Authorization: Bearer second\r\n"));

  Asking basic(api, {{"username", "Aladdin"}, {"password", "open sesame"}});
  basic.collect();
  CHECK(holds(head(api.asked() - 1), "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
  Asking token(api, {{"bearer_token", "abc"}});
  token.collect();
  CHECK(holds(head(api.asked() - 1), "Authorization: Bearer abc\r\n"));
  Asking lost(api, {{"bearer_token_file", dir / "none"}});
  Collected unasked = lost.collect();
  CHECK(holds(unasked.trouble, dir / "none"));
  CHECK(holds(unasked.trouble, "not asked, as there is no token to show"));
  CHECK(lab::times(unasked, "credentials_broken") == 1);
}

TEST_CASE("the settings of a Prometheus that cannot work are refused") {
  auto refused = [](const lab::Settings& more, const RequestSeries& requests = kSeries) {
    lab::Settings settings = {{"url", "http://p:9090"},
                              {"baseline_when", "version=\"v1\""},
                              {"canary_when", "version=\"v2\""}};
    for (const auto& setting : more) {
      std::erase_if(settings, [&](const auto& item) { return item.first == setting.first; });
      settings.push_back(setting);
    }
    auto made = lab::make_source("prometheus", settings, requests);
    return made ? "" : made.error().setting + ": " + made.error().what;
  };
  CHECK(refused({}) == "");
  CHECK(refused({{"instance", "none"}, {"native_histograms", "true"}}) == "");
  CHECK(holds(refused({{"url", "p:9090"}}), "url: "));
  CHECK(refused({{"url", "http://p:9090/api/v1/query"}}) ==
        "url: goes too far (give what stands before /api/v1)");
  CHECK(holds(refused({{"baseline_when", "v1"}}), "baseline_when: \"v1\" is not a selector"));
  CHECK(holds(refused({{"canary_when", "a=~\"(\""}}), "canary_when: "));
  CHECK(holds(refused({{"selector", "x"}}), "selector: "));
  CHECK(holds(refused({{"every", "500ms"}}), "every: 500ms is too often"));
  CHECK(holds(refused({{"every", "3m"}}), "window: 2m is not possible (from `every`, 3m, to 1h)"));
  CHECK(holds(refused({{"window", "2h"}}), "window: 2h is not possible"));
  CHECK(holds(refused({{"timeout", "20s"}}), "timeout: 20s is not within the interval of 15s"));
  CHECK(holds(refused({{"password", "a"}}), "password: needs a username beside it"));
  CHECK(holds(refused({{"bearer_token", "a"}, {"bearer_token_file", "/t"}}),
              "bearer_token_file: stands beside bearer_token"));
  CHECK(holds(refused({{"username", "a:b"}, {"password", "c"}}), "username: holds a colon"));
  CHECK(holds(refused({{"bearer_token", "a b"}}), "bearer_token: holds more than a token"));
  CHECK(holds(refused({{"headers", "x"}}), "headers: has a line that is not a header"));
  CHECK(refused({{"headers", "X-Team: a"}, {"server_name", "p"}}) == "");
  CHECK(holds(refused({{"cert_file", "/c"}}), "cert_file: cert_file and key_file belong together"));
  CHECK(holds(refused({{"max_body", "1"}}), "max_body: "));
  CHECK(holds(refused({{"max_series", "0"}}), "max_series: "));
  CHECK(holds(refused({}, {.counter = {"1"}}), "counter: "));
}
