// Page reader: the body of one scrape after the other, of one target, in pieces -> readings.
//
// Why: what was learnt from a target's last page makes its next one cheap (exposition.h,
// catalogue.h), and a page is never in memory as a whole, however long it is.
// Formats: text 0.0.4, OpenMetrics 1.0, and protobuf for native histograms. A new target is asked
// for protobuf first; when it has no native histogram among those wanted, for text from then on.
// Threading: not thread-safe; used by one worker at a time.
// Failure: as exposition.h and protobuf.h say.
#pragma once

#include <string_view>

#include "davy/result.h"
#include "sources/formats/catalogue.h"
#include "sources/formats/exposition.h"
#include "sources/formats/protobuf.h"
#include "sources/reading.h"

namespace davy::source {

class PageReader {
 public:
  /// `rules` must outlive it.
  PageReader(const Rules& rules, const std::vector<Share>& shares, std::size_t max_series);

  /// What to ask for: the header Accept.
  std::string_view accept() const;
  /// The target may be another process now.
  void forget_format() { asks_protobuf_ = wants_histograms_; }

  void begin(std::string_view content_type);
  void feed(std::string_view bytes);
  Result<Reading> finish();

  /// Of the last page.
  std::size_t lines() const { return lines_; }
  std::size_t predicted() const { return predicted_; }

 private:
  Catalogue catalogue_;
  Exposition exposition_;
  ProtobufPage protobuf_;
  const bool wants_histograms_;
  bool asks_protobuf_;
  bool is_protobuf_ = false;
  std::size_t lines_ = 0;
  std::size_t predicted_ = 0;
};

}  // namespace davy::source
