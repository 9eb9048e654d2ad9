// Shallow JSON: parses text that somebody else wrote, whatever its depth.
//
// Why: nlohmann parses any depth without recursion, but copying, comparing and printing what it
// made recurse, and a body of brackets would end the process.
// Threading: pure.
// Failure: text that is not JSON gives a discarded value.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace davy {

/// What lies inside `levels` objects and arrays or more is left out.
template <typename Json = nlohmann::json>
Json parse_shallow(std::string_view text, int levels) {
  auto is_kept = [levels](int depth, typename Json::parse_event_t, Json&) {
    return depth < levels;
  };
  return Json::parse(text, is_kept, false);
}

}  // namespace davy
