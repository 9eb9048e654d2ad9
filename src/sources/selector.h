// Selector: `name{label="value"}` and bare lists of matchers, as in PromQL, over parsed series.
//
// Why: which series count requests and errors is said in the language people know from Prometheus.
//   =  !=  equal, not equal      =~  !~  the whole value matches an RE2 pattern, or does not
// A label that a series does not have is "", as in PromQL. Names may hold dots and dashes, which
// those of StatsD do: `requests.count{status-class="5xx"}`. Or they stand in quotes, as in
// Prometheus 3: `{"http.server.requests", "http.status"="500"}`.
// Threading: immutable once parsed; match from any thread.
// Failure: an Error that names the character at which the text goes wrong.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "davy/result.h"

namespace re2 {
class RE2;
}

namespace davy::source {

struct Label {
  std::string_view name;
  std::string_view value;

  friend auto operator<=>(const Label&, const Label&) = default;
};
using Labels = std::span<const Label>;

class Matchers {
 public:
  Matchers() = default;  // matches everything

  /// `code=~"5..",method!="GET"`, without braces. At least one matcher.
  static Result<Matchers> parse(std::string_view text);

  bool match(Labels labels) const;
  /// The names of the labels that are looked at.
  std::vector<std::string> label_names() const;
  /// As a Prometheus reads them: `code=~"5..",method!="GET"`; "" when there are none.
  std::string promql() const;

 private:
  friend class SelectorParser;
  struct Matcher {
    std::string label;
    std::string value;
    std::shared_ptr<const re2::RE2> pattern;  // null for = and !=
    bool wanted = true;                       // false for != and !~
  };
  std::vector<Matcher> all_;
};

struct Selector {
  std::string name;
  Matchers matchers;

  /// `name`, `name{matchers}` or `{"name", matchers}`.
  static Result<Selector> parse(std::string_view text);

  bool match(std::string_view series, Labels labels) const {
    return series == name && matchers.match(labels);
  }
};

/// The matcher of series with any of these names: `__name__="a"`, `__name__=~"a|b.c"`. Unlike a
/// name in quotes, every kind of server knows it. REQUIRES: at least one name.
std::string promql_of_names(const std::vector<std::string>& names);

}  // namespace davy::source
