#include "app/cli/scraped_target.h"

#include <fmt/format.h>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "base/units.h"
#include "net/authorization.h"

namespace davy::app {
namespace {

constexpr const char* kUsualPaths =
    "/metrics is usual; Spring has /actuator/prometheus, Envoy and Istio /stats/prometheus";

std::string header_of(const net::HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (text::equals_ignoring_case(key, name)) return value;
  }
  return "";
}

std::string next_of(const net::HttpError& error, Duration timeout) {
  switch (error.kind) {
    case net::HttpFailure::Connect:
      return "is it running, and is this its port? Metrics often have a port of their own";
    case net::HttpFailure::Resolve: return "is the name right, and can this machine look it up?";
    case net::HttpFailure::Unreachable:
      return "can this machine reach that network? Inside a cluster, try from a pod";
    case net::HttpFailure::Timeout:
      return fmt::format("is it overloaded, or behind a firewall? --timeout waits longer than {}",
                         units::show(timeout));
    case net::HttpFailure::Tls:
      return "--ca-file names the authority, --cert-file and --key-file our own certificate, "
             "--server-name the name in its certificate; is it http:// perhaps?";
    case net::HttpFailure::TooLarge:
      return "can it expose less? max_body in a config allows more: davy scrape URL --config FILE";
    case net::HttpFailure::Protocol: return "is it https:// perhaps, or no HTTP at all?";
  }
  return "";
}

NoPage no_page_of(const net::HttpResponse& response, const std::string& url) {
  std::string why = fmt::format("{} answered {}", url, response.status);
  std::string location = header_of(response, "Location");
  if (response.status == 401 || response.status == 403) {
    return {why, "it wants to know who asks: --bearer-token-file FILE, or --header 'Name: value'"};
  }
  if (response.status / 100 == 3 && !location.empty()) {
    return {why + " and points to " + text::quoted(location.substr(0, location.find('?'))),
            "redirects are not followed: is that the address?"};
  }
  if (response.status == 404 || response.status == 405)
    return {why, fmt::format("is the path right? {}", kUsualPaths)};
  return {why, response.status >= 500 ? "what does its own log say?"
                                      : "200 would be right; what does its own log say?"};
}

/// An answer that is right, and shows nothing: whether its lines are none, comments, or no metrics.
NoPage no_series(const std::string& body, const std::string& url) {
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) {
    return {url + " answered an empty page",
            "does the application register metrics, and with the registry that this page shows?"};
  }
  return {fmt::format("{} answered {} without a single series", url,
                      text::counted(static_cast<double>(body.size()), "byte", "bytes")),
          fmt::format("open it in a browser: are these metrics? {}. If they are, none has a value "
                      "yet: send some requests",
                      kUsualPaths)};
}

/// The header's value.
Result<std::string> read_token(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  if (!in) return Error{fmt::format("--bearer-token-file: {} cannot be read", file)};
  Result<std::string> value = net::bearer_authorization(all.str());
  return value ? value : value.error().prefix("--bearer-token-file: ");
}

}  // namespace

std::string_view format_of(std::string_view content_type) {
  if (content_type.starts_with("application/vnd.google.protobuf")) return "protobuf";
  return content_type.starts_with("application/openmetrics-text") ? "OpenMetrics" : "text";
}

ScrapedTarget::ScrapedTarget(source::TargetUrl url, net::HttpOptions http, Headers headers,
                             Duration timeout)
    : shown_(url.shown()),
      url_(std::move(url)),
      headers_(std::move(headers)),
      timeout_(timeout),
      client_(url_.url, std::move(http)) {}

Result<std::unique_ptr<ScrapedTarget>> ScrapedTarget::make(const std::string& url,
                                                           const TargetOptions& options,
                                                           std::size_t max_body) {
  Result<source::TargetUrl> parsed = source::parse_target_url(url);
  if (!parsed) return parsed.error();
  if (options.timeout <= Duration::zero()) return Error{"--timeout must be more than 0 (try 5s)"};
  if (options.cert_file.empty() != options.key_file.empty())
    return Error{"--cert-file and --key-file belong together"};
  Headers headers;
  for (const std::string& line : options.headers) {
    std::size_t colon = line.find(':');
    std::string_view name = text::trim(std::string_view(line).substr(0, colon));
    if (colon == std::string::npos || name.empty())
      return Error{"--header is not a header (try 'Name: value')"};
    headers.emplace_back(name, text::trim(std::string_view(line).substr(colon + 1)));
  }
  if (!options.bearer_token_file.empty()) {
    Result<std::string> token = read_token(options.bearer_token_file);
    if (!token) return token.error();
    headers.emplace_back("Authorization", *token);
  }
  net::HttpOptions http{.max_body = max_body,
                        .tls = {.verify = options.no_verify_tls ? net::TlsSettings::Verify::No
                                                                : net::TlsSettings::Verify::Yes,
                                .ca_file = options.ca_file,
                                .cert_file = options.cert_file,
                                .key_file = options.key_file},
                        .server_name = options.server_name,
                        .unix_path = parsed->unix_path};
  return std::make_unique<ScrapedTarget>(std::move(*parsed), std::move(http), std::move(headers),
                                         options.timeout);
}

std::variant<Scraped, NoPage> ScrapedTarget::ask(std::string_view accept) {
  net::HttpRequest request{.target = url_.url.target, .headers = headers_};
  request.headers.emplace_back("Accept", accept);
  Time began = machine_clock().now();
  auto answer = client_.call(request, {Deadline::in(timeout_), net_});
  if (const net::HttpError* error = std::get_if<net::HttpError>(&answer))
    return NoPage{error->what, next_of(*error, timeout_)};
  net::HttpResponse& response = std::get<net::HttpResponse>(answer);
  Time now = machine_clock().now();
  if (response.status != 200) return no_page_of(response, shown_);
  Result<source::Survey> survey = source::Survey::of(response.body, response.content_type);
  if (!survey) {
    return NoPage{shown_ + " " + survey.error().what,
                  fmt::format("is the address right? {}", kUsualPaths)};
  }
  if (survey->series() == 0) return no_series(response.body, shown_);
  Scraped out{.page = {std::move(response.body), response.content_type, now},
              .survey = std::move(*survey),
              .is_packed = !header_of(response, "Content-Encoding").empty(),
              .packed = {},
              .took = now - began};
  if (Result<double> length = units::parse_number(header_of(response, "Content-Length"));
      out.is_packed && length)
    out.packed = static_cast<std::size_t>(*length);
  return out;
}

void print_no_page(const NoPage& none) {
  fmt::print(stderr, "error: {}\nNext: {}\n", none.why, none.next);
}

}  // namespace davy::app
