#include "config/address.h"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace davy::config {
namespace {

/// The part of a URL between "://" and the path: [begin, end), and where the host starts in it.
struct Authority {
  std::size_t begin = 0;
  std::size_t host = 0;
  std::size_t end = 0;
};

Authority authority_of(std::string_view url) {
  std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  Authority part;
  part.begin = part.host = scheme + 3;
  part.end = std::min(url.find_first_of("/?#", part.begin), url.size());
  std::size_t user = url.substr(0, part.end).rfind('@');
  if (user != std::string_view::npos && user >= part.begin) part.host = user + 1;
  return part;
}

}  // namespace

std::string Address::text() const {
  bool needs_brackets = host.find(':') != std::string::npos;
  return needs_brackets ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<Address> parse_address(std::string_view text) {
  std::string_view host;
  std::string_view port;
  bool is_bracketed = text.starts_with('[');
  if (is_bracketed) {
    std::size_t end = text.find("]:");
    if (end != std::string_view::npos) {
      host = text.substr(1, end - 1);
      port = text.substr(end + 2);
    }
  } else if (std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  std::string_view digits = text.substr(text.starts_with(':') ? 1 : 0);
  if (!digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos) {
    return Error{fmt::format("{} has no host (try 0.0.0.0:{} or 127.0.0.1:{})", text::quoted(text),
                             digits, digits)};
  }
  int number = -1;
  auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), number);
  bool is_port =
      code == std::errc() && end == port.data() + port.size() && number >= 0 && number <= 65535;
  constexpr std::string_view kName =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  constexpr std::string_view kIpv6 = "0123456789abcdefABCDEF:.%";
  bool is_host = !host.empty() &&
                 host.find_first_not_of(is_bracketed ? kIpv6 : kName) == std::string_view::npos;
  if (!is_host || !is_port) {
    return Error{fmt::format("{} is not an address (try 127.0.0.1:8686, name:8686, [::1]:8686)",
                             text::quoted(text))};
  }
  return Address{std::string(host), number};
}

std::string host_of_url(std::string_view url) {
  Authority part = authority_of(url);
  std::string_view host = url.substr(part.host, part.end - part.host);
  if (host.starts_with('['))
    return std::string(host.substr(1, std::min(host.find(']'), host.size()) - 1));
  return std::string(host.substr(0, host.find(':')));
}

bool is_loopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  std::vector<std::string_view> parts = text::split(host, '.');
  return parts.size() == 4 && parts[0] == "127" &&
         std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
           return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
         });
}

std::string without_user_info(std::string_view url) {
  Authority part = authority_of(url);
  if (part.host == part.begin) return std::string(url);
  return fmt::format("{}***@{}", url.substr(0, part.begin), url.substr(part.host));
}

}  // namespace davy::config
