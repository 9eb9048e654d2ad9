// Survey: all that one page of metrics shows, family by family, wanted or not.
//
// Why: whoever asks "why was nothing counted?" needs to see what there is instead; guess.h looks
// for requests in it. The readers themselves never hold more than what is wanted.
// Bounded: 64 values of a label and 64 bounds of a histogram are told apart, 100,000 families kept.
// Threading: not thread-safe. Failure: as exposition.h and protobuf.h say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "davy/result.h"
#include "sources/formats/protobuf.h"

namespace davy::source {

class Survey final : public NativeSink {
 public:
  enum class Type { Unknown, Counter, Gauge, Histogram, Summary };

  struct Family {
    Type type = Type::Unknown;
    std::size_t series = 0;  // of a histogram or summary, those that differ in other labels
    double total = 0;        // of a counter its values, of a histogram or summary its counts
    std::map<std::string, std::set<std::string>> labels{};  // without le and quantile
    std::set<double> bounds{};                              // of a histogram, as written
    bool is_native = false;
  };

  static constexpr std::size_t kValues = 64;  // of a label
  static constexpr std::size_t kBounds = 64;
  static constexpr std::size_t kFamilies = 100'000;

  static Result<Survey> of(std::string_view body, std::string_view content_type);

  /// By the name that a selector has: counters with their _total, histograms and summaries without
  /// _bucket, _sum and _count.
  const std::map<std::string, Family, std::less<>>& families() const { return families_; }
  std::size_t series() const { return series_; }
  /// Series of exactly this name: of a histogram's _bucket all of them.
  std::size_t series_named(std::string_view name) const;

  std::uint32_t intern(std::string_view name, Labels labels) override;
  void see(std::uint32_t series, double value) override;
  void see_type(std::string_view name, std::string_view type) override;
  void see_native(std::string_view name, Labels labels,
                  const stats::NativeHistogram& histogram) override;

 private:
  enum class Part { Value, Bucket, Count, Sum, Created };
  struct Meaning {
    std::string family;
    Type type;
    Part part;
  };
  Meaning meaning(std::string_view name, Labels labels) const;

  std::map<std::string, Type, std::less<>> types_;  // as declared
  std::map<std::string, Family, std::less<>> families_;
  std::map<std::string, std::size_t, std::less<>> names_;
  std::size_t series_ = 0;
  Family* counted_ = nullptr;  // whose total the next value adds to
};

/// "counter", "histogram", ...
std::string_view word(Survey::Type type);

}  // namespace davy::source
