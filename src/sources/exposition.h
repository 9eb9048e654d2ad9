// Exposition: the Prometheus text format 0.0.4, line by line, into a sink.
//
// Why: a target may expose a hundred thousand series of which twenty matter. The sink is asked by
// name first; labels and values of other series are not even looked at.
// Also takes what OpenMetrics adds (exemplars, # EOF); timestamps are ignored.
// Threading: pure.
// Failure: an Error when the body is no metrics at all (HTML, JSON) or was cut: then no line of it
// is to be trusted. A line that is malformed is left out, counted and described.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "davy/result.h"
#include "sources/selector.h"

namespace davy::source {

class SampleSink {
 public:
  virtual ~SampleSink() = default;
  /// Whether samples of this name are wanted.
  virtual bool wants(std::string_view name) = 0;
  /// One sample of a wanted name. The views last for this call.
  virtual void take(std::string_view name, Labels labels, double value) = 0;
};

struct Parsed {
  std::size_t lines = 0;                       // of samples, wanted or not
  std::size_t malformed = 0;                   // of the wanted ones
  std::vector<std::string> first_malformed{};  // "line 12: no closing quote"; three at most
};

Result<Parsed> parse_exposition(std::string_view body, SampleSink& sink);

}  // namespace davy::source
