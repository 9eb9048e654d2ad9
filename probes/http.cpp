// HTTP: a request is answered with an expected status, and optionally an expected text.
//
// Fails on: resolve, refused, unreachable, timeout, tls, protocol, status, header, body. Redirects
// are answers, not followed. Never blocks past its deadline.

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/shallow_json.h"
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
Result<std::vector<StatusRange>> parse_ranges(std::string_view s, const char* setting) {
  Error wrong{fmt::format("{} {} is not a list of codes (try 200 or 200,204,300-399)", setting,
                          text::quoted(s)),
              setting};
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
  constexpr std::string_view kWords[] = {"resolve", "refused", "unreachable", "timeout",
                                         "tls",     "body",    "protocol"};
  return kWords[static_cast<int>(failure)];
}

bool is_in(const std::vector<StatusRange>& ranges, int status) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const StatusRange& range) {
    return status >= range.first && status <= range.last;
  });
}

using Header = std::pair<std::string, std::string>;

/// "Name: value"
std::optional<Header> parse_header(std::string_view s) {
  std::size_t colon = s.find(':');
  if (colon == 0 || colon == std::string_view::npos) return std::nullopt;
  return Header{text::trim(s.substr(0, colon)), text::trim(s.substr(colon + 1))};
}

/// A place in a JSON body, and what must be there: "/status=UP".
struct JsonMember {
  std::string pointer;
  std::string value;
};

struct Expected {
  std::vector<StatusRange> status;
  std::string status_text;               // as configured, for messages
  std::vector<StatusRange> hard_status;  // fail at once
  std::optional<Header> header;
  std::string body_contains;  // "" = anything
  std::optional<JsonMember> json;
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
    if (!is_in(expected_.status, response.status)) {
      return Outcome::failed(
          "status",
          fmt::format("{}expected status {}, got {}", what, expected_.status_text, response.status),
          is_in(expected_.hard_status, response.status));
    }
    if (expected_.header && !has_header(response)) {
      return Outcome::failed(
          "header", fmt::format("{}expected the header {}: {}", what, expected_.header->first,
                                expected_.header->second));
    }
    if (response.body.find(expected_.body_contains) == std::string::npos) {
      return Outcome::failed(
          "body", fmt::format("{}expected a body with {}, got {}", what,
                              text::quoted(expected_.body_contains), text::quoted(response.body)));
    }
    if (expected_.json) {
      std::string found = json_member(response.body);
      if (found != expected_.json->value) {
        return Outcome::failed("body", fmt::format("{}expected {} at {} of the JSON body, got {}",
                                                   what, text::quoted(expected_.json->value),
                                                   expected_.json->pointer, found));
      }
    }
    return Outcome::passed(fmt::format("{}status {}", what, response.status));
  }

  bool has_header(const net::HttpResponse& response) const {
    return std::any_of(response.headers.begin(), response.headers.end(), [&](const Header& h) {
      return text::equals_ignoring_case(h.first, expected_.header->first) &&
             h.second.find(expected_.header->second) != std::string::npos;
    });
  }

  /// What stands at the pointer, in words.
  std::string json_member(const std::string& body) const {
    using nlohmann::json;
    constexpr int kDeepest = 64;
    json in = parse_shallow(body, kDeepest);
    if (in.is_discarded()) return "no JSON: " + text::quoted(body);
    json::json_pointer at(expected_.json->pointer);
    if (!in.contains(at)) return "nothing";
    const json& value = in[at];
    return value.is_string() ? value.get<std::string>()
                             : value.dump(-1, ' ', false, json::error_handler_t::replace);
  }

  const std::string origin_;
  const net::HttpRequest request_;
  const Expected expected_;
  net::HttpClient client_;
};

Result<Expected> parse_expected(const Options& options) {
  Expected expected{.status_text = options.text("expect_status"),
                    .body_contains = options.text_or("body_contains")};
  Result<std::vector<StatusRange>> status = parse_ranges(expected.status_text, "expect_status");
  if (!status) return status.error();
  expected.status = *status;
  if (options.has("hard_status")) {
    Result<std::vector<StatusRange>> hard =
        parse_ranges(options.text("hard_status"), "hard_status");
    if (!hard) return hard.error();
    expected.hard_status = *hard;
  }
  if (options.has("expect_header")) {
    expected.header = parse_header(options.text("expect_header"));
    if (!expected.header)
      return Error{"expect_header is not a header (try \"X-Version: 2\")", "expect_header"};
  }
  if (options.has("body_json")) {
    std::string both = options.text("body_json");
    std::size_t equals = both.find('=');
    if (both.front() != '/' || equals == std::string::npos) {
      return Error{
          "body_json " + text::quoted(both) + " is not a place and a value (try /status=UP)",
          "body_json"};
    }
    expected.json = JsonMember{both.substr(0, equals), both.substr(equals + 1)};
    try {
      nlohmann::json::json_pointer parsed(expected.json->pointer);
    } catch (const nlohmann::json::exception&) {
      return Error{text::quoted(expected.json->pointer) + " is not a JSON pointer (RFC 6901)",
                   "body_json"};
    }
  }
  bool needs_body = !expected.body_contains.empty() || expected.json;
  if (options.text("method") == "HEAD" && needs_body) {
    const char* setting = expected.json ? "body_json" : "body_contains";
    return Error{fmt::format("{} needs method GET: the answer to HEAD has no body", setting),
                 setting};
  }
  return expected;
}

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Result<net::Url> url = net::parse_url(options.text("url"));
  if (!url) return Error{url.error().what, "url"};
  Result<Expected> expected = parse_expected(options);
  if (!expected) return expected.error();
  net::HttpRequest request{options.text("method"), url->target, {}, ""};

  // A new connection every time: an app that no longer accepts any must not look well.
  request.headers.emplace_back("Connection", "close");
  if (options.has("host")) request.headers.emplace_back("Host", options.text("host"));
  if (options.has("headers")) {
    for (const std::string& line : options.list("headers")) {
      std::optional<Header> header = parse_header(line);
      if (!header)
        return Error{"headers has a line that is not a header (try \"Name: value\")", "headers"};
      request.headers.push_back(*std::move(header));
    }
  }
  net::HttpOptions how;
  how.max_body = static_cast<std::size_t>(options.number("max_body"));
  how.tls.verify =
      options.flag("verify_tls") ? net::TlsSettings::Verify::Yes : net::TlsSettings::Verify::No;
  how.tls.ca_file = options.text_or("ca_file");
  how.tls.cert_file = options.text_or("cert_file");
  how.tls.key_file = options.text_or("key_file");
  if (how.tls.cert_file.empty() != how.tls.key_file.empty())
    return Error{"cert_file and key_file belong together", "cert_file"};
  how.server_name = options.text_or("server_name");
  how.unix_path = options.text_or("unix_socket");
  how.family = options.text("ip") == "v4"   ? net::AddressFamily::V4
               : options.text("ip") == "v6" ? net::AddressFamily::V6
                                            : net::AddressFamily::Any;
  return std::unique_ptr<Probe>(new Http(*url, std::move(request), *std::move(expected), how));
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
            {"hard_status", OptionType::Text, kOptional, "",
             "codes that fail the check at once, such as 404,410"},
            {"headers", OptionType::TextList, kOptional, "",
             "more headers to send: a list of \"Name: value\""},
            {"expect_header", OptionType::Text, kOptional, "",
             "a header that the answer must have, its value holding this: \"X-Version: 2\""},
            {"body_contains", OptionType::Text, kOptional, "", "a text that the body must hold"},
            {"body_json", OptionType::Text, kOptional, "",
             "a place in a JSON body and what must be there: /status=UP"},
            {"host", OptionType::Text, kOptional, "",
             "the Host header, when it is not the URL's host"},
            {"verify_tls", OptionType::Flag, kOptional, "true",
             "whether the certificate must be trusted"},
            {"ca_file", OptionType::Path, kOptional, "",
             "the authorities to trust, as PEM, instead of the system's"},
            {"cert_file", OptionType::Path, kOptional, "", "our own certificate, for mTLS"},
            {"key_file", OptionType::Path, kOptional, "", "its key"},
            {"server_name", OptionType::Text, kOptional, "",
             "the name that the certificate must hold, when it is not the URL's host"},
            {"unix_socket", OptionType::Path, kOptional, "",
             "a socket of this machine to ask through, instead of the URL's host and port"},
            {"ip",
             OptionType::Choice,
             kOptional,
             "any",
             "which addresses to use",
             {"any", "v4", "v6"}},
            {"max_body", OptionType::Bytes, kOptional, "64KiB", "a larger body fails the check"},
        },
    .example = "{ url: \"http://127.0.0.1:3000/up\" }",
    .reasons =
        {
            {"status", "the code is not in expect_status; hard when it is in hard_status"},
            {"header", "the answer lacks expect_header"},
            {"body", "the body does not hold what it must, or is larger than max_body"},
            {"timeout", "no complete answer within the timeout"},
            {"refused", "nobody listens on the port"},
            {"unreachable", "no way to the host"},
            {"resolve", "the host's name is not found, or the resolver does not answer"},
            {"tls", "no TLS, or a certificate that is not trusted for the name"},
            {"protocol", "what came back is not HTTP, or ends early"},
            {"resources", "davy has no descriptors left"},
        },
    .make = make,
};

}  // namespace davy::probe
