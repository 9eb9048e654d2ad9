#include "serve/framing.h"

#include <strings.h>
#include <algorithm>
#include <charconv>
#include <optional>

#include "base/text.h"

namespace davy::serve {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::size_t kLongestPath = 1024;
constexpr std::size_t kMostHeaders = 100;

bool is(std::string_view name, std::string_view wanted) {
  return name.size() == wanted.size() && strncasecmp(name.data(), wanted.data(), name.size()) == 0;
}

}  // namespace

Frame frame_request(std::string_view bytes, std::size_t max_head, std::size_t max_body) {
  std::size_t end = bytes.find(kHeadEnd);
  std::size_t head = end == std::string_view::npos ? bytes.size() : end + kHeadEnd.size();
  if (head > max_head) return {0, 431, "Request head too large"};
  std::size_t line_end = bytes.find("\r\n");
  if (std::min(line_end, bytes.size()) > kLongestPath + 64)
    return {0, 414, "Request line too long"};
  if (end == std::string_view::npos) return {};

  std::optional<std::size_t> length;
  std::size_t headers = 0;
  for (std::size_t at = line_end + 2; at < end + 2;) {
    std::size_t next = bytes.find("\r\n", at);
    std::string_view line = bytes.substr(at, next - at);
    at = next + 2;
    if (++headers > kMostHeaders) return {0, 431, "Too many headers"};
    std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return {0, 400, "Bad header"};
    std::string_view name = line.substr(0, colon);
    std::string_view value = text::trim(line.substr(colon + 1));
    if (name.back() == ' ' || name.back() == '\t') return {0, 400, "Bad header"};
    if (is(name, "Transfer-Encoding"))
      return {0, 411, "Send a Content-Length, not a Transfer-Encoding"};
    if (is(name, "Content-Encoding")) return {0, 415, "Send the body unencoded"};
    if (!is(name, "Content-Length")) continue;
    std::size_t n = 0;
    auto [stop, code] = std::from_chars(value.data(), value.data() + value.size(), n);
    if (code != std::errc() || stop != value.data() + value.size() || (length && *length != n)) {
      return {0, 400, "Bad Content-Length"};
    }
    length = n;
  }
  std::size_t body = length.value_or(0);
  if (body > max_body) return {0, 413, "Body too large"};
  return {bytes.size() >= head + body ? head + body : 0, 0, ""};
}

}  // namespace davy::serve
