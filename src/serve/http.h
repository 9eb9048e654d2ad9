// What routes see of HTTP: plain types, no library.
//
// Threading: handlers are called from several threads at once.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "davy/time.h"

namespace davy::serve {

struct Request {
  std::string method;                                      // "GET", "HEAD", "POST"
  std::string path;                                        // decoded, without the query
  std::vector<std::pair<std::string, std::string>> query;  // in no particular order
  std::string accept;
  std::string body;
  bool from_loopback = false;

  /// The first value of a query parameter, or nullptr.
  const std::string* param(std::string_view name) const {
    for (const auto& [key, value] : query) {
      if (key == name) return &value;
    }
    return nullptr;
  }
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  Duration hold{0};  // answered only after this long; holds no thread
};

using Handler = std::function<Response(const Request&)>;

inline bool is_read(const Request& request) {
  return request.method == "GET" || request.method == "HEAD";
}

// Answers that are never to be kept by whoever stands between.
inline Response json(int status, std::string body) {
  return {.status = status,
          .content_type = "application/json",
          .body = std::move(body),
          .headers = {{"Cache-Control", "no-store"}}};
}
inline Response plain(int status, std::string body) {
  return {.status = status, .body = std::move(body), .headers = {{"Cache-Control", "no-store"}}};
}
inline Response refuse_method(std::string allow) {
  Response no = plain(405, "method not allowed\n");
  no.headers.emplace_back("Allow", std::move(allow));
  return no;
}

}  // namespace davy::serve
