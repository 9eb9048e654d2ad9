#include "net/uri.h"

#include <algorithm>
#include <charconv>

namespace davy::net {
namespace {

constexpr std::string_view kEncodeHint =
    " (special characters of a password must be percent-encoded: @ as %40, / as %2F)";

bool is_scheme(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

Result<Done> take_user(std::string_view info, Uri& uri) {
  std::size_t colon = info.find(':');
  uri.user = percent_decoded(info.substr(0, colon));
  if (colon != std::string_view::npos) uri.password = percent_decoded(info.substr(colon + 1));
  bool password_ok = colon == std::string_view::npos || uri.password;
  if (!uri.user || !password_ok) {
    return Error{"has a user or password with a % that is not followed by two hexadecimal digits"};
  }
  return Done{};
}

Result<Done> take_host(std::string_view at, Uri& uri) {
  if (at.find(',') != std::string_view::npos) {
    return Error{"names several hosts, but one is asked (make a check for each host)"};
  }
  std::string_view host = at;
  std::string_view rest;
  if (!at.empty() && at.front() == '[') {  // RFC 3986, section 3.2.2: IPv6 in brackets
    std::size_t close = at.find(']');
    if (close == std::string_view::npos) return Error{"has a host whose [ has no ]"};
    host = at.substr(1, close - 1);
    rest = at.substr(close + 1);
    if (!rest.empty() && rest.front() != ':')
      return Error{"has something between the ] and the :port"};
  } else if (std::size_t colon = at.find(':'); colon != std::string_view::npos) {
    host = at.substr(0, colon);
    rest = at.substr(colon);
  }
  std::optional<std::string> decoded = percent_decoded(host);
  if (!decoded) return Error{"has a host with a % that is not followed by two hexadecimal digits"};
  uri.host = *decoded;
  if (rest.size() > 1) {
    std::optional<int> port = parse_port(rest.substr(1));
    if (!port)
      return Error{"has a port that is not a number from 1 to 65535" + std::string(kEncodeHint)};
    uri.port = *port;
  }
  return Done{};
}

}  // namespace

Result<Uri> parse_uri(std::string_view text) {
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7F) return Error{"holds a space or a control character"};
  }
  std::size_t mark = text.find("://");
  if (mark == std::string_view::npos) return Error{"has no scheme://"};

  Uri uri;
  for (char c : text.substr(0, mark)) {
    uri.scheme += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (!is_scheme(uri.scheme)) return Error{"has no scheme://"};
  if (text.find('#') != std::string_view::npos) {
    return Error{"holds a # (write %23 if it is part of a name or password)"};
  }

  std::string_view rest = text.substr(mark + 3);
  std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, end);
  std::string_view tail = rest.substr(end);
  std::size_t question = std::min(tail.find('?'), tail.size());
  uri.path = tail.substr(0, question);
  if (question < tail.size()) uri.query = tail.substr(question + 1);

  // The last @, so that one inside a password does no harm.
  if (std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    if (Result<Done> user = take_user(authority.substr(0, at), uri); !user) return user.error();
    authority.remove_prefix(at + 1);
  }
  if (Result<Done> host = take_host(authority, uri); !host) return host.error();
  return uri;
}

std::optional<std::string> percent_decoded(std::string_view s) {
  std::string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '%') {
      out += s[i];
      continue;
    }
    unsigned byte = 0;
    std::string_view digits = s.substr(i + 1, 2);
    auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() != 2 || code != std::errc() || end != digits.data() + 2) return std::nullopt;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

std::optional<int> parse_port(std::string_view s) {
  int port = 0;
  auto [end, code] = std::from_chars(s.data(), s.data() + s.size(), port);
  if (code != std::errc() || end != s.data() + s.size() || port < 1 || port > 65535) {
    return std::nullopt;
  }
  return port;
}

}  // namespace davy::net
