// Protobuf page: metrics as length-delimited io.prometheus.client.MetricFamily messages.
//
// Why: native histograms are exposed in no other way. The fields are those of Prometheus'
// client_model, metrics.proto; the wire format is protobuf.dev/programming-guides/encoding. Names
// come out as in text: `name_bucket` with `le`, `name_sum`, `name_count`, `name` with `quantile`.
// A page may come in pieces of any length; one family is held at a time, of 16 MiB at most.
// Threading: not thread-safe; belongs to one target.
// Failure: an Error when the bytes are no such messages, or end within one: then nothing of the
// page is to be trusted. A family that contradicts itself is left out and counted as malformed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "davy/result.h"
#include "sources/formats/exposition.h"
#include "stats/foreign_histograms.h"

namespace davy::source {

class NativeSink : public SampleSink {
 public:
  /// By its base name; its classic buckets, if it has any, are seen as well.
  virtual void see_native(std::string_view name, Labels labels,
                          const stats::NativeHistogram& histogram) = 0;
};

class ProtobufPage {
 public:
  explicit ProtobufPage(NativeSink& sink) : sink_(sink) {}

  void begin();
  void feed(std::string_view bytes);
  Result<Parsed> finish();

 private:
  class Family;

  NativeSink& sink_;
  std::string waiting_;    // what has come of the next family
  std::size_t bytes_ = 0;  // of the page, before `waiting_`
  std::string wrong_;
  Parsed parsed_;
};

}  // namespace davy::source
