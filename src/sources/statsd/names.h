// StatsdNames: a few of the names that came, for a person whose settings match none of them.
//
// Threading: not thread-safe; owned by the StatsdIntake. Failure: none. Memory: a few names.
#pragma once

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "sources/statsd/line.h"
#include "sources/statsd/rules.h"

namespace davy::source {

class StatsdNames {
 public:
  /// A series that counts no requests: likely ones are told first.
  void see_other(const StatsdMetric& metric) {
    // By how far it is from what is looked for: 0 for a counter of requests.
    std::size_t distance = metric.name.find("request") == std::string_view::npos ? 3 : 0;
    bool is_last = metric.type == StatsdType::Gauge || metric.type == StatsdType::Set;
    distance += metric.type == StatsdType::Counter ? 0 : is_last ? 2 : 1;
    std::vector<std::string>& names = others_[distance];
    if (names.size() == kFew) return;
    std::string name = text::quoted(metric.name, kLongest);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }

  /// Requests of neither version: how they are tagged instead.
  void see_stranger(const StatsdMetric& metric, const std::vector<std::string>& version_tags) {
    if (strangers_.size() == kFew) return;
    std::vector<std::string> found;
    if (std::find(version_tags.begin(), version_tags.end(), kNameTag) != version_tags.end())
      found.push_back(text::quoted(metric.name, kLongest));
    for (const Label& tag : metric.tags) {
      if (std::find(version_tags.begin(), version_tags.end(), tag.name) != version_tags.end())
        found.push_back(std::string(tag.name) + "=" + text::quoted(tag.value, kLongest));
    }
    strangers_.insert(found.empty() ? "no tag " + text::join(version_tags, ", ")
                                    : text::join(found, ","));
  }

  std::string others() const {
    std::vector<std::string> few;
    for (const std::vector<std::string>& names : others_) {
      for (const std::string& name : names) {
        if (few.size() < kFew) few.push_back(name);
      }
    }
    return text::join(few, ", ");
  }
  std::string strangers() const { return text::join({strangers_.begin(), strangers_.end()}, "; "); }

 private:
  static constexpr std::size_t kFew = 4;
  static constexpr std::size_t kLongest = 60;  // bytes of a name or value

  std::array<std::vector<std::string>, 6> others_;
  std::set<std::string> strangers_;
};

}  // namespace davy::source
