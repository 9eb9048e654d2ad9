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

}  // namespace davy::serve
