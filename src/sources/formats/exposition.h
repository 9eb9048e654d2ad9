// Exposition: metrics as text (Prometheus 0.0.4, OpenMetrics 1.0), page after page, into a sink.
//
// Why: a target may expose a hundred thousand series of which twenty matter, and shows the same
// ones, in the same order, in every scrape. So the first page is parsed line by line, and the sink
// says once per series whether it wants its values. The next page is expected to say the same:
// every line up to its value is compared with what stood there before, and only the value is read.
// Where the first difference is, parsing goes on line by line. What comes out never depends on
// which of the two ways was taken (a test holds them side by side). A page may come in pieces of
// any length; only the line that was cut is held back. Memory: the text of the last page without
// its values, and 8 bytes per line; what is beyond a limit is parsed every time. Threading: not
// thread-safe; belongs to one target. Failure: an Error when the page is no metrics at all (HTML,
// JSON) or was cut: then nothing of it is to be trusted. A malformed line is left out, counted and
// described.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "davy/result.h"
#include "sources/formats/sample_line.h"
#include "sources/selector.h"

namespace davy::source {

class SampleSink {
 public:
  static constexpr std::uint32_t kUnwanted = 0xffffffff;
  virtual ~SampleSink() = default;
  /// A number for this series by which its values will come, below 0xfffffff0; or kUnwanted. Asked
  /// again only when the page's lines have changed. The views last for this call.
  virtual std::uint32_t intern(std::string_view name, Labels labels) = 0;
  virtual void see(std::uint32_t series, double value) = 0;
  /// "# TYPE name type"; as intern, only where the lines have changed.
  virtual void see_type(std::string_view /*name*/, std::string_view /*type*/) {}
};

struct Parsed {
  std::size_t lines = 0;      // of samples, wanted or not
  std::size_t predicted = 0;  // of all lines, how many were as on the last page
  std::size_t malformed = 0;
  std::vector<std::string> first_malformed{};  // "line 12: no closing quote"; three at most
};

enum class TextFormat { Prometheus, OpenMetrics };

class Exposition {
 public:
  static constexpr std::size_t kMostText = 64 << 20;

  /// Remembers so many bytes of a page at most.
  explicit Exposition(SampleSink& sink, std::size_t most_text = kMostText)
      : sink_(sink), most_text_(most_text) {}

  void begin(TextFormat format);
  /// The next bytes of the page.
  void feed(std::string_view bytes);
  /// The page is complete.
  Result<Parsed> finish();
  /// Nothing is expected any more; the sink will be asked about every series again.
  void forget();

  std::size_t memory() const;  // bytes

 private:
  /// What is behind `length` bytes that must be there: a series' value, or nothing.
  struct Line {
    std::uint32_t length = 0;
    std::uint32_t series = 0;  // or one of the following
  };
  static constexpr std::uint32_t kNoSample = 0xfffffffe;  // comments and blank lines
  static constexpr std::uint32_t kEnd = 0xfffffffd;       // # EOF
  static constexpr std::uint32_t kMalformed = 0xfffffffc;
  static constexpr std::uint32_t kFirstWithoutValue = 0xfffffffc;
  static constexpr std::uint32_t kLastWithoutValue = 0xfffffffe;

  void take_lines(const char* at, const char* end);
  const char* take_expected(const char* at, const char* end);
  void take_line(const char* at, const char* end, const char* limit);
  void take_comment(std::string_view line);
  void expect(const char* at, std::size_t length, std::uint32_t series);
  void pass(std::uint32_t without_value);
  void diverge();

  SampleSink& sink_;
  const std::size_t most_text_;
  SampleLine line_;
  TextFormat format_ = TextFormat::Prometheus;
  std::string text_;         // of the expected lines, one behind the other
  std::vector<Line> lines_;  // expected; those before at_ have been seen on this page
  std::size_t at_ = 0;
  std::size_t text_at_ = 0;
  std::size_t beyond_ = 0;              // lines of this page that there was no room for
  std::string cut_;                     // the start of a line whose end has not come yet
  std::vector<std::string> described_;  // malformed lines, by their order
  std::string_view not_metrics_;        // what the page is instead
  Parsed parsed_;
  bool is_first_ = true;        // nothing of the page has been looked at
  bool has_ended_ = false;      // # EOF
  bool goes_on_after_ = false;  // something came behind it
};

/// A whole page at once, with no memory of another one.
Result<Parsed> parse_exposition(std::string_view body, SampleSink& sink,
                                TextFormat format = TextFormat::Prometheus);

}  // namespace davy::source
