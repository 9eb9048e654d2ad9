#include "sources/formats/exposition.h"

#include <fmt/format.h>
#include <cstring>

#include "base/text.h"
#include "sources/formats/number.h"

namespace davy::source {
namespace {

constexpr std::string_view kBlank = " \t\r\n\xEF\xBB\xBF";
constexpr std::size_t kDescribed = 3;  // malformed lines told in words

/// What the page is when it is no metrics, or "". By its first line that is not blank, so that it
/// does not depend on how the page came.
std::string_view not_metrics(std::string_view body) {
  std::size_t first = body.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return "";
  std::string_view line = text::trim(body.substr(first, body.find('\n', first) - first));
  if (line[0] == '<') return "HTML";
  // A line may start with {" when a name is not plain: {"http.requests"} 5
  bool is_object = line[0] == '{' && (line.size() == 1 || text::trim(line.substr(1))[0] == '}' ||
                                      line.substr(0, 64).find("\":") != std::string_view::npos);
  return is_object || line[0] == '[' ? "JSON" : "";
}

const char* line_end(const char* at, const char* end) {
  return static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
}

}  // namespace

void Exposition::begin(TextFormat format) {
  format_ = format;
  at_ = 0;
  text_at_ = 0;
  beyond_ = 0;
  cut_.clear();
  parsed_ = {};
  not_metrics_ = {};
  is_first_ = true;
  has_ended_ = false;
  goes_on_after_ = false;
}

void Exposition::forget() {
  diverge();
  lines_.clear();
  text_.clear();
}

std::size_t Exposition::memory() const {
  return text_.capacity() + lines_.capacity() * sizeof(Line) + cut_.capacity();
}

void Exposition::feed(std::string_view bytes) {
  if (!cut_.empty()) {
    std::size_t end = bytes.find('\n');
    cut_ += bytes.substr(0, end == std::string_view::npos ? end : end + 1);
    if (end == std::string_view::npos) return;
    std::string line = std::move(cut_);
    take_lines(line.data(), line.data() + line.size());
    cut_ = std::move(line);  // its memory
    cut_.clear();
    bytes.remove_prefix(end + 1);
  }
  std::size_t last = bytes.rfind('\n');
  std::size_t whole = last == std::string_view::npos ? 0 : last + 1;
  if (whole > 0) take_lines(bytes.data(), bytes.data() + whole);
  cut_ = bytes.substr(whole);
}

Result<Parsed> Exposition::finish() {
  if (is_first_ && !cut_.empty()) not_metrics_ = not_metrics(cut_);
  if (!not_metrics_.empty()) {
    return Error{fmt::format("answered {}, not metrics (is the path right? /metrics is usual)",
                             not_metrics_)};
  }
  constexpr const char* kCut = "so it was cut (nothing of it is counted)";
  if (!cut_.empty()) return Error{fmt::format("the answer ends in the middle of a line, {}", kCut)};
  if (format_ == TextFormat::OpenMetrics && !has_ended_)
    return Error{fmt::format("the answer has no # EOF at its end, {}", kCut)};
  if (goes_on_after_) return Error{"the answer goes on after # EOF (nothing of it is counted)"};
  if (at_ < lines_.size()) diverge();  // the page is shorter than the last one
  parsed_.first_malformed = described_;
  return std::move(parsed_);
}

/// Whole lines only.
void Exposition::take_lines(const char* at, const char* end) {
  if (is_first_) {
    std::string_view page(at, static_cast<std::size_t>(end - at));
    is_first_ = page.find_first_not_of(kBlank) == std::string_view::npos;
    not_metrics_ = not_metrics(page);
  }
  if (!not_metrics_.empty()) return;
  if (at_ < lines_.size()) {
    at = take_expected(at, end);
    if (at == end) return;
    diverge();
  }
  while (at != end) {
    const char* stop = line_end(at, end);
    take_line(at, stop, end);
    at = stop + 1;
  }
}

/// Goes as far as the lines are as expected.
const char* Exposition::take_expected(const char* at, const char* end) {
  const Line* line = lines_.data() + at_;
  const Line* const last = lines_.data() + lines_.size();
  const char* expected = text_.data() + text_at_;
  std::size_t samples = 0;
  for (; line != last && at != end; ++line) {
    bool has_value = line->series < kFirstWithoutValue || line->series > kLastWithoutValue;
    if (static_cast<std::size_t>(end - at) < line->length + has_value) break;
    if (std::memcmp(at, expected, line->length) != 0) break;
    const char* behind = at + line->length;
    if (has_value) {
      double value = 0;
      number::Wrong wrong = number::Wrong::No;
      behind = parse_number(behind, end, value, wrong);
      if (wrong != number::Wrong::No) break;
      if (*behind != '\n') {
        if (*behind != ' ' && *behind != '\t' && *behind != '\r') break;
        const char* stop = line_end(behind, end);
        if (!SampleLine::check_tail(behind, stop).empty()) break;
        behind = stop;
      }
      ++behind;
      ++samples;
      if (has_ended_) goes_on_after_ = true;
      if (line->series != SampleSink::kUnwanted) sink_.see(line->series, value);
    } else {
      pass(line->series);
    }
    expected += line->length;
    at = behind;
  }
  std::size_t taken = static_cast<std::size_t>(line - (lines_.data() + at_));
  parsed_.lines += samples;
  parsed_.predicted += taken;
  at_ += taken;
  text_at_ = static_cast<std::size_t>(expected - text_.data());
  return at;
}

/// From here on the page differs from the last one.
void Exposition::diverge() {
  lines_.resize(at_);
  text_.resize(text_at_);
  described_.resize(std::min(described_.size(), parsed_.malformed));
}

void Exposition::take_line(const char* at, const char* end, const char* limit) {
  const char* start = at;
  std::size_t whole = static_cast<std::size_t>(end - start) + 1;
  while (*at == ' ' || *at == '\t') ++at;
  if (*at == '#' || *at == '\n' || (*at == '\r' && at + 1 == end)) {
    std::string_view comment(at, static_cast<std::size_t>(end - at));
    bool is_end = text::trim(comment) == "# EOF";
    take_comment(comment);
    expect(start, whole, is_end ? kEnd : kNoSample);
    pass(is_end ? kEnd : kNoSample);
    return;
  }
  goes_on_after_ |= has_ended_;
  std::string_view wrong = line_.parse(at, end, limit);
  if (!wrong.empty()) {
    if (parsed_.malformed < kDescribed)
      described_.push_back(fmt::format("line {}: {}", at_ + beyond_ + 1, wrong));
    expect(start, whole, kMalformed);
    pass(kMalformed);
    return;
  }
  std::uint32_t series = sink_.intern(line_.name(), line_.labels());
  expect(start, static_cast<std::size_t>(line_.value_at() - start), series);
  ++parsed_.lines;
  if (series != SampleSink::kUnwanted) sink_.see(series, line_.value());
}

/// Remembers a line that has been seen, if there is room for it.
void Exposition::expect(const char* at, std::size_t length, std::uint32_t series) {
  if (beyond_ > 0 || text_.size() + length > most_text_) {
    ++beyond_;
    return;
  }
  text_.append(at, length);
  lines_.push_back({static_cast<std::uint32_t>(length), series});
  ++at_;
  text_at_ += length;
}

/// A line without a value has been seen.
void Exposition::pass(std::uint32_t without_value) {
  goes_on_after_ |= has_ended_;
  if (without_value == kMalformed) {
    ++parsed_.lines;
    ++parsed_.malformed;
  }
  has_ended_ |= without_value == kEnd && format_ == TextFormat::OpenMetrics;
}

void Exposition::take_comment(std::string_view line) {
  constexpr std::string_view kType = "# TYPE ";
  if (!line.starts_with(kType)) return;
  line = text::trim(line.substr(kType.size()));
  std::size_t space = line.find_last_of(" \t");
  if (space == std::string_view::npos) return;
  std::string_view name = text::trim(line.substr(0, space));
  if (name.size() > 2 && name.front() == '"' && name.back() == '"')
    name = name.substr(1, name.size() - 2);
  sink_.see_type(name, line.substr(space + 1));
}

Result<Parsed> parse_exposition(std::string_view body, SampleSink& sink, TextFormat format) {
  Exposition exposition(sink);
  exposition.begin(format);
  exposition.feed(body);
  return exposition.finish();
}

}  // namespace davy::source
