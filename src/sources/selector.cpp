#include "sources/selector.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "base/text.h"

namespace davy::source {
namespace {

constexpr int kPatternMemory = 1 << 20;  // bytes that one compiled pattern may take

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
}
/// Dots and dashes stand in StatsD's names and tags, never in Prometheus' own.
bool is_name_part(char c) {
  return is_name_start(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

re2::StringPiece piece(std::string_view s) {
  return {s.data(), s.size()};
}

/// In double quotes, as Go and so Prometheus reads them.
std::string promql_quoted(std::string_view s) {
  std::string text = "\"";
  for (char c : s) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}

/// What PromQL takes as the name of a label without quotes.
bool is_plain_label(std::string_view name) {
  return !name.empty() && is_name_start(name[0]) &&
         name.find_first_of(".-:") == std::string_view::npos &&
         std::all_of(name.begin(), name.end(), is_name_part);
}

}  // namespace

class SelectorParser {
 public:
  explicit SelectorParser(std::string_view text) : text_(text) {}

  Result<Selector> selector() {
    Selector selector;
    skip_space();
    selector.name = name();
    bool may_be_inside = at_ < text_.size() && text_[at_] == '{';
    if (selector.name.empty() && !may_be_inside) return wrong("a name such as http_requests_total");
    skip_space();
    if (take('{')) {
      if (auto matchers = list('}', &selector.name); !matchers)
        return matchers.error();
      else
        selector.matchers = std::move(*matchers);
      if (!take('}')) return wrong("a comma or }");
      skip_space();
    }
    if (at_ < text_.size()) return wrong("{ or the end");
    if (selector.name.empty()) return wrong("a name in the braces: {\"http.requests\"}");
    return selector;
  }

  Result<Matchers> matchers() {
    if (Result<Matchers> found = list('\0', nullptr); !found || at_ == text_.size()) {
      if (found && found->all_.empty()) return wrong("a matcher such as code=~\"5..\"");
      return found;
    }
    return wrong("a comma or the end");
  }

 private:
  Error wrong(std::string_view expected) const {
    std::string_view rest = text_.substr(at_);
    return Error{fmt::format("{} is not a selector: at character {} stands {}, expected is {}",
                             text::quoted(text_), at_ + 1,
                             rest.empty() ? "the end" : text::quoted(rest.substr(0, 1)), expected)};
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  bool take(char c) {
    bool is_there = at_ < text_.size() && text_[at_] == c;
    if (is_there) ++at_;
    return is_there;
  }
  std::string name() {
    std::size_t start = at_;
    if (at_ < text_.size() && is_name_start(text_[at_])) {
      while (at_ < text_.size() && is_name_part(text_[at_])) ++at_;
    }
    return std::string(text_.substr(start, at_ - start));
  }

  /// Matchers up to `end`, which is not taken. A comma may stand after the last one. The name of
  /// the series may stand among them, once.
  Result<Matchers> list(char end, std::string* name_of_series) {
    Matchers matchers;
    while (true) {
      skip_space();
      if (at_ == text_.size() || (end != '\0' && text_[at_] == end)) return matchers;
      Matchers::Matcher matcher;
      bool is_quoted = text_[at_] == '"' || text_[at_] == '\'';
      if (!is_quoted) {
        matcher.label = name();
      } else if (Result<std::string> label = quoted()) {
        matcher.label = std::move(*label);
      } else {
        return label.error();
      }
      if (matcher.label.empty()) return wrong("the name of a label");
      skip_space();
      bool may_be_name = is_quoted && name_of_series != nullptr && name_of_series->empty();
      if (may_be_name && (at_ == text_.size() || text_[at_] == ',' || text_[at_] == end)) {
        *name_of_series = std::move(matcher.label);
      } else {
        if (Result<Done> done = comparison(matcher); !done) return done.error();
        add(std::move(matcher), name_of_series, matchers);
      }
      skip_space();
      if (!take(',')) return matchers;
    }
  }

  static void add(Matchers::Matcher matcher, std::string* name_of_series, Matchers& matchers) {
    bool is_name = name_of_series != nullptr && name_of_series->empty() &&
                   matcher.label == "__name__" && matcher.wanted && matcher.pattern == nullptr;
    if (is_name) {
      *name_of_series = std::move(matcher.value);
    } else {
      matchers.all_.push_back(std::move(matcher));
    }
  }

  Result<Done> comparison(Matchers::Matcher& matcher) {
    skip_space();
    bool is_negated = take('!');
    bool is_pattern = false;
    if (is_negated) {
      is_pattern = take('~');
      if (!is_pattern && !take('=')) return wrong("!= or !~");
    } else {
      if (!take('=')) return wrong("one of = != =~ !~");
      is_pattern = take('~');
    }
    matcher.wanted = !is_negated;
    skip_space();
    std::size_t start = at_;
    if (Result<std::string> value = quoted(); !value)
      return value.error();
    else
      matcher.value = std::move(*value);
    if (!is_pattern) return Done{};
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kPatternMemory);
    auto pattern = std::make_shared<re2::RE2>(matcher.value, options);
    if (!pattern->ok()) {
      return Error{
          fmt::format("{} is not a selector: the pattern at character {} is wrong: {} (RE2 syntax, "
                      "the whole value must match)",
                      text::quoted(text_), start + 1, pattern->error())};
    }
    matcher.pattern = std::move(pattern);
    return Done{};
  }

  /// "..." or '...', with \\ \" \' and \n; other backslashes stay, for patterns such as "\d".
  Result<std::string> quoted() {
    char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '"' && quote != '\'') return wrong("a value in quotes");
    std::string value;
    for (++at_; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == quote) {
        ++at_;
        return value;
      }
      if (c == '\\' && at_ + 1 < text_.size()) {
        char next = text_[at_ + 1];
        if (next == '\\' || next == '"' || next == '\'' || next == 'n') {
          value += next == 'n' ? '\n' : next;
          ++at_;
          continue;
        }
      }
      value += c;
    }
    return wrong("the closing quote");
  }

  const std::string_view text_;
  std::size_t at_ = 0;
};

Result<Matchers> Matchers::parse(std::string_view text) {
  return SelectorParser(text).matchers();
}
Result<Selector> Selector::parse(std::string_view text) {
  return SelectorParser(text).selector();
}

bool Matchers::match(Labels labels) const {
  for (const Matcher& matcher : all_) {
    std::string_view value;
    for (const Label& label : labels) {
      if (label.name == matcher.label) value = label.value;
    }
    bool is_match = matcher.pattern ? re2::RE2::FullMatch(piece(value), *matcher.pattern)
                                    : value == matcher.value;
    if (is_match != matcher.wanted) return false;
  }
  return true;
}

std::vector<std::string> Matchers::label_names() const {
  std::vector<std::string> names;
  for (const Matcher& matcher : all_) names.push_back(matcher.label);
  return names;
}

std::string Matchers::promql() const {
  std::vector<std::string> parts;
  for (const Matcher& matcher : all_) {
    std::string_view sign =
        matcher.pattern == nullptr ? (matcher.wanted ? "=" : "!=") : (matcher.wanted ? "=~" : "!~");
    parts.push_back(fmt::format(
        "{}{}{}", is_plain_label(matcher.label) ? matcher.label : promql_quoted(matcher.label),
        sign, promql_quoted(matcher.value)));
  }
  return text::join(parts, ",");
}

std::string promql_of_names(const std::vector<std::string>& names) {
  if (names.size() == 1) return "__name__=" + promql_quoted(names.front());
  std::vector<std::string> patterns;
  for (const std::string& name : names) {
    std::string pattern;
    for (char c : name) {
      if (std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos) pattern += '\\';
      pattern += c;
    }
    patterns.push_back(std::move(pattern));
  }
  return "__name__=~" + promql_quoted(text::join(patterns, "|"));
}

}  // namespace davy::source
