#include "sources/targets/url.h"

#include <fmt/format.h>

#include "base/text.h"
#include "net/uri.h"

namespace davy::source {
namespace {

constexpr std::string_view kUnix = "http+unix://";

Result<TargetUrl> parse_unix_url(std::string_view text) {
  auto wrong = [&](std::string_view why) {
    return Error{
        fmt::format("{} is not a URL of a socket (try "
                    "http+unix://%2Frun%2Fapp.sock/metrics): it {}",
                    text::quoted(text), why)};
  };
  Result<net::Uri> uri = net::parse_uri(text);
  if (!uri) return wrong(uri.error().what);
  if (uri->user || uri->port != 0) return wrong("has more than a path where its host would be");
  if (!uri->host.starts_with('/'))
    return wrong("names no absolute path, with its slashes as %2F, where its host would be");
  std::string target = uri->path.empty() ? "/" : uri->path;
  if (!uri->query.empty()) target += "?" + uri->query;
  return TargetUrl{std::string(text), {"http", "localhost", 80, target}, uri->host};
}

}  // namespace

std::vector<Side> TargetUrl::sides() const {
  std::vector<Side> sides;
  for (const Share& share : shares) sides.push_back(share.side);
  return sides;
}

std::string TargetUrl::shown() const {
  return text.substr(0, text.find('?'));
}

std::string_view TargetUrl::role() const {
  return shares.size() == 1 && !is_of_one_version ? word(shares[0].side) : "target";
}

std::string TargetUrl::name() const {
  return fmt::format("{} {}", role(), shown());
}

std::string TargetUrl::key() const {
  return fmt::format("{} {}", role(), text);
}

Result<TargetUrl> parse_target_url(std::string_view text) {
  if (text.starts_with(kUnix)) return parse_unix_url(text);
  Result<net::Url> url = net::parse_url(text);
  if (!url) return url.error();
  return TargetUrl{std::string(text), *std::move(url)};
}

}  // namespace davy::source
