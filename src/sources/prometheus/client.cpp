#include "sources/prometheus/client.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <thread>

#include "base/text.h"
#include "base/units.h"
#include "net/means.h"

namespace davy::source {
namespace {

using namespace std::chrono_literals;

constexpr int kMostAttempts = 5;            // at one question
constexpr Duration kFirstPause = 200ms;     // doubled with every attempt
constexpr Duration kLongestPause = 3s;      //
constexpr Duration kLeastForAnswer = 50ms;  // that must be left after a pause
constexpr Duration kLongestWait = 10min;    // that a Retry-After is kept
constexpr std::size_t kShown = 200;         // bytes of the server's own words

std::string percent_encoded(std::string_view s) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (char c : s) {
    bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c == '.' || c == '~';
    auto byte = static_cast<unsigned char>(c);
    if (is_plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::string_view header(const net::HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (text::equals_ignoring_case(key, name)) return value;
  }
  return "";
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool is_all = code == std::errc() && end == text.data() + text.size();
  return is_all && value >= 0 ? std::optional(value) : std::nullopt;
}

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7), in seconds since 1970.
std::optional<std::int64_t> parse_http_date(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || !text.ends_with(" GMT")) return std::nullopt;
  std::size_t month = kMonths.find(text.substr(8, 3));
  std::optional<int> day = number(text.substr(5, 2));
  std::optional<int> year = number(text.substr(12, 4));
  std::optional<int> hour = number(text.substr(17, 2));
  std::optional<int> minute = number(text.substr(20, 2));
  std::optional<int> second = number(text.substr(23, 2));
  if (month == std::string_view::npos || month % 3 != 0 || !day || !year || !hour || !minute ||
      !second)
    return std::nullopt;
  std::chrono::year_month_day date{std::chrono::year(*year),
                                   std::chrono::month(static_cast<unsigned>(month / 3 + 1)),
                                   std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + *hour) * 60 + *minute) * 60 + *second;
}

/// What to do about a status, for a person.
std::string_view advice(int status) {
  switch (status) {
    case 401: return " (are bearer_token_file, or username and password, right?)";
    case 403: return " (may this user read? is tenant right?)";
    case 404:
      return " (is the path right? Mimir's is /prometheus, that of a VictoriaMetrics cluster "
             "/select/0/prometheus)";
    case 414: return " (the selectors are too long)";
    default: return "";
  }
}

std::string name_of(const net::Url& url) {
  std::string path = url.target.substr(0, url.target.find('?'));
  return "Prometheus at " + url.origin() + (path == "/" ? "" : path);
}

/// Half a fleet's answer is worse than none: servers that could give one are asked not to (Thanos
/// by `partial_response`, VictoriaMetrics by `deny_partial_response`). The others do not mind.
std::string target_of(const net::Url& url) {
  std::size_t question = url.target.find('?');
  std::string path = url.target.substr(0, question);
  while (path.ends_with('/')) path.pop_back();
  std::string more = question == std::string::npos ? "" : url.target.substr(question + 1) + "&";
  return path + "/api/v1/query?" + more +
         "dedup=true&partial_response=false&deny_partial_response=1&query=";
}

/// The sink of answers whose samples nobody wants but for their time.
struct FirstTime final : PromSink {
  std::optional<double> t;
  void begin() override { t.reset(); }
  void take(const PromSeries& series) override {
    if (!t && !series.samples.empty()) t = series.samples.front().t;
  }
};

}  // namespace

std::optional<Duration> parse_retry_after(std::string_view text, std::string_view date,
                                          WallMillis now) {
  if (std::optional<int> seconds = number(text)) return std::chrono::seconds(*seconds);
  std::optional<std::int64_t> until = parse_http_date(text);
  if (!until) return std::nullopt;
  std::int64_t from = parse_http_date(date).value_or(now / 1000);
  return std::chrono::seconds(std::clamp<std::int64_t>(*until - from, 0, 86400));
}

PromClient::PromClient(net::Url url, Access access, std::string tenant, std::size_t max_body)
    : url_(std::move(url)),
      tenant_(std::move(tenant)),
      max_body_(max_body),
      name_(name_of(url_)),
      target_(target_of(url_)),
      access_(std::move(access)) {}

Result<PromAnswer> PromClient::query(const std::string& promql, std::optional<double> at,
                                     PromSink& sink, const Call& call) {
  if (std::optional<Error> held = held_back()) return *held;
  for (int attempt = 1;; ++attempt) {
    Attempt came = ask(promql, at, sink, call);
    if (auto* answer = std::get_if<PromAnswer>(&came)) return std::move(*answer);
    Trouble& trouble = std::get<Trouble>(came);
    ++events_[trouble.event];
    Duration pause = std::max(pause_before(attempt), trouble.wait.value_or(0s));
    bool is_time_left = pause + kLeastForAnswer < call.deadline.left();
    if (trouble.may_pass && is_time_left && attempt < kMostAttempts) {
      ++events_["retries"];
      std::this_thread::sleep_for(pause);
      continue;
    }
    if (trouble.wait) {
      not_before_ = machine_clock().now() + std::min(*trouble.wait, kLongestWait);
      not_before_why_ = trouble.what;
    }
    return Error{fmt::format("{}: {}", name_, trouble.what)};
  }
}

Result<double> PromClient::server_time(const Call& call) {
  FirstTime time;
  Result<PromAnswer> answer = query("vector(1)", std::nullopt, time, call);
  if (!answer) return answer.error();
  if (!time.t || !(*time.t > 0 && *time.t < kLatestTime)) {
    ++events_["bad_answers"];
    return Error{name_ + ": its answer to vector(1) tells no time"};
  }
  return *time.t;
}

std::vector<SourceEvent> PromClient::take_events() {
  std::vector<SourceEvent> events;
  for (const auto& [name, times] : events_) events.push_back({name, times});
  events_.clear();
  return events;
}

std::optional<Error> PromClient::held_back() const {
  Duration left = not_before_ - machine_clock().now();
  if (left <= Duration::zero()) return std::nullopt;
  return Error{fmt::format("{}: {}; it is asked again in {}", name_, not_before_why_,
                           units::show(std::chrono::ceil<std::chrono::seconds>(left)))};
}

/// Twice as long with every attempt, and half as much to half as much again, so that not all who
/// were sent away come back together.
Duration PromClient::pause_before(int attempt) {
  Duration pause = std::min(kFirstPause * (1 << (attempt - 1)), kLongestPause);
  std::uint64_t mixed = (++pauses_ + std::hash<std::string>()(name_)) *
                        0x9E3779B97F4A7C15;  // Knuth's multiplicative hash
  return pause / 2 + pause * static_cast<int>(mixed >> 54) / 1024;
}

/// Makes the client when there is none, or only one with outdated certificates.
Result<Done> PromClient::connect() {
  net::HttpOptions options{.max_body = max_body_, .server_name = access_.server_name()};
  if (url_.scheme == "https") {
    Result<std::shared_ptr<const net::TlsContext>> tls = access_.tls();
    if (!tls) return tls.error();
    options.tls_context = *tls;
  }
  if (!client_ || generation_ != access_.generation()) {
    client_.emplace(url_, std::move(options));
    generation_ = access_.generation();
  }
  return Done{};
}

PromClient::Attempt PromClient::ask(const std::string& promql, std::optional<double> at,
                                    PromSink& sink, const Call& call) {
  Result<Access::Headers> headers = access_.headers();
  if (!headers) return Trouble{headers.error().what, "refusals"};
  if (auto done = connect(); !done) return Trouble{done.error().what, "refusals"};
  net::HttpRequest request{.target = target_ + percent_encoded(promql),
                           .headers = std::move(*headers)};
  if (at) request.target += fmt::format("&time={:.3f}", *at);
  request.target += fmt::format("&timeout={:.3f}", std::max(0.001, seconds(call.deadline.left())));
  request.headers.emplace_back("Accept", "application/json");
  if (!tenant_.empty()) request.headers.emplace_back("X-Scope-OrgID", tenant_);
  auto came = client_->call(request, call);
  if (const auto* error = std::get_if<net::HttpError>(&came)) {
    using enum net::HttpFailure;
    bool is_wrong = error->kind == TooLarge || error->kind == Tls;
    return Trouble{error->kind == TooLarge
                       ? error->what + " (narrow the selectors, or raise max_body)"
                       : error->what,
                   error->kind == TooLarge ? "bad_answers" : "no_answers", !is_wrong};
  }
  return read(std::get<net::HttpResponse>(came), sink);
}

PromClient::Attempt PromClient::read(const net::HttpResponse& response, PromSink& sink) const {
  if (response.status != 200) return refused(response);
  if (std::string_view(text::trim(response.body)).starts_with('<'))
    return Trouble{"answered HTML, not JSON (a login page? is the path right?)", "bad_answers"};
  Result<PromAnswer> answer = read_prom_answer(response.body, sink);
  if (!answer) return Trouble{"its answer is wrong: it " + answer.error().what, "bad_answers"};
  if (!answer->is_success) {
    return Trouble{
        fmt::format("answered {}: {}", answer->error_type, text::quoted(answer->error, kShown)),
        "refusals"};
  }
  if (answer->is_partial || !answer->warnings.empty()) {
    return Trouble{
        fmt::format("its answer may lack a part, so nothing of it is counted: {}",
                    answer->warnings.empty() ? "isPartial"
                                             : text::quoted(answer->warnings.front(), kShown)),
        "partial_answers", true};
  }
  return std::move(*answer);
}

PromClient::Trouble PromClient::refused(const net::HttpResponse& response) const {
  int status = response.status;
  if (status >= 300 && status < 400) {
    return Trouble{
        fmt::format("answered {} and sends to {} (redirects are not followed: is the url right? "
                    "does it want a token?)",
                    status, text::quoted(header(response, "Location"))),
        "refusals"};
  }
  FirstTime unwanted;
  std::string words;
  Result<PromAnswer> answer = read_prom_answer(response.body, unwanted);
  if (answer && !answer->error.empty())
    words = fmt::format(": {}", text::quoted(answer->error, kShown));
  Trouble trouble{fmt::format("answered {}{}{}", status, words, advice(status)), "refusals"};
  bool is_throttled = status == 429;
  if (is_throttled || status >= 500 || status == 408) {
    trouble.event = is_throttled ? "throttled" : "server_errors";
    trouble.may_pass = true;
    trouble.wait = parse_retry_after(header(response, "Retry-After"), header(response, "Date"),
                                     machine_clock().wall());
  }
  if (trouble.wait) trouble.what += fmt::format(" and asks to wait {}", units::show(*trouble.wait));
  return trouble;
}

}  // namespace davy::source
