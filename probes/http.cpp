// HTTP: a request is answered with an expected status, and optionally an expected text.
//
// Fails on: resolve, refused, timeout, tls, protocol, status, body. Redirects are answers, not
// followed. Never blocks past its deadline, except name resolution.

#include <fmt/format.h>
#include <charconv>
#include <optional>

#include "base/text.h"
#include "base/units.h"
#include "davy/probe.h"
#include "net/http_client.h"

namespace davy::probe {
namespace {

struct StatusRange {
  int first = 0;
  int last = 0;
};

/// "200,204,300-399"
Result<std::vector<StatusRange>> parse_ranges(std::string_view s) {
  Error wrong{
      "expect_status " + text::quoted(s) + " is not a list of codes (try 200 or 200,204,300-399)",
      "expect_status"};
  auto code = [](std::string_view digits) -> std::optional<int> {
    digits = text::trim(digits);
    int value = 0;
    auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    bool ok = failed == std::errc() && end == digits.data() + digits.size() && value >= 100 &&
              value <= 599;
    return ok ? std::optional<int>(value) : std::nullopt;
  };
  std::vector<StatusRange> ranges;
  for (std::string_view part : text::split(s, ',')) {
    std::size_t dash = part.find('-');
    std::optional<int> first = code(part.substr(0, dash));
    std::optional<int> last = dash == std::string_view::npos ? first : code(part.substr(dash + 1));
    if (!first || !last || *first > *last) return wrong;
    ranges.push_back({*first, *last});
  }
  return ranges;
}

std::string_view word(net::HttpFailure failure) {
  constexpr std::string_view kWords[] = {"resolve", "refused", "timeout",
                                         "tls",     "body",    "protocol"};
  return kWords[static_cast<int>(failure)];
}

struct Expected {
  std::vector<StatusRange> status;
  std::string status_text;    // as configured, for messages
  std::string body_contains;  // "" = anything
};

struct Http final : Probe {
  Http(const net::Url& url, net::HttpRequest request, Expected expected, net::HttpOptions options)
      : origin_(url.origin()),
        request_(std::move(request)),
        expected_(std::move(expected)),
        client_(url, std::move(options)) {}

  Outcome run(const ProbeContext& ctx) override {
    Time start = machine_clock().now();
    std::variant<net::HttpResponse, net::HttpError> answer = client_.call(request_, ctx);
    double took = seconds(machine_clock().now() - start);
    if (auto* error = std::get_if<net::HttpError>(&answer)) {
      if (error->ours) return Outcome::unable("resources", error->what);
      return Outcome::failed(std::string(word(error->kind)), error->what);
    }
    return judge(std::get<net::HttpResponse>(answer)).measured(took, "s");
  }

 private:
  Outcome judge(const net::HttpResponse& response) const {
    // Without the query, which may hold a token.
    std::string what = fmt::format("{} {}{}: ", request_.method, origin_,
                                   request_.target.substr(0, request_.target.find('?')));
    bool is_expected = false;
    for (const StatusRange& range : expected_.status) {
      is_expected =
          is_expected || (response.status >= range.first && response.status <= range.last);
    }
    if (!is_expected) {
      return Outcome::failed("status", fmt::format("{}expected status {}, got {}", what,
                                                   expected_.status_text, response.status));
    }
    if (response.body.find(expected_.body_contains) == std::string::npos) {
      return Outcome::failed(
          "body", fmt::format("{}expected a body with {}, got {}", what,
                              text::quoted(expected_.body_contains), text::quoted(response.body)));
    }
    return Outcome::passed(fmt::format("{}status {}", what, response.status));
  }

  const std::string origin_;
  const net::HttpRequest request_;
  const Expected expected_;
  net::HttpClient client_;
};

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Result<net::Url> url = net::parse_url(options.text("url"));
  if (!url) return Error{url.error().what, "url"};
  Result<std::vector<StatusRange>> status = parse_ranges(options.text("expect_status"));
  if (!status) return status.error();
  Expected expected{*status, options.text("expect_status"),
                    options.has("body_contains") ? options.text("body_contains") : ""};
  net::HttpRequest request{options.text("method"), url->target, {}, ""};
  if (request.method == "HEAD" && !expected.body_contains.empty()) {
    return Error{"body_contains needs method GET: the answer to HEAD has no body", "body_contains"};
  }

  // A new connection every time: an app that no longer accepts any must not look well.
  request.headers.emplace_back("Connection", "close");
  if (options.has("host")) request.headers.emplace_back("Host", options.text("host"));
  net::HttpOptions how;
  how.max_body = static_cast<std::size_t>(options.number("max_body"));
  how.verify_tls = options.flag("verify_tls");
  return std::unique_ptr<Probe>(new Http(*url, std::move(request), std::move(expected), how));
}

}  // namespace

extern const ProbeKind http{
    .name = "http",
    .summary = "An HTTP request is answered with an expected status.",
    .reach = ProbeKind::Reach::Remote,
    .options =
        {
            {"url", OptionType::Url, kRequired, "", "http:// or https:// address to ask"},
            {"expect_status", OptionType::Text, kOptional, "200-399",
             "the codes that pass: a list of codes and ranges"},
            {"method", OptionType::Choice, kOptional, "GET", "how to ask", {"GET", "HEAD"}},
            {"body_contains", OptionType::Text, kOptional, "", "a text that the body must hold"},
            {"host", OptionType::Text, kOptional, "",
             "the Host header, when it is not the URL's host"},
            {"verify_tls", OptionType::Flag, kOptional, "true",
             "whether the certificate must be trusted"},
            {"max_body", OptionType::Bytes, kOptional, "64KiB", "a larger body fails the check"},
        },
    .example = "{ url: \"http://127.0.0.1:3000/up\" }",
    .make = make,
};

}  // namespace davy::probe
