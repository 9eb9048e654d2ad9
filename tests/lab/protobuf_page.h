// A page of metrics in Prometheus' protobuf format (io.prometheus.client, metrics.proto), the only
// one in which native histograms are scraped: one counter and one histogram, as a service has them.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace davy::lab {

class Protobuf {
 public:
  Protobuf& number(int field, std::uint64_t value) {
    varint(static_cast<std::uint64_t>(field) << 3);
    varint(value);
    return *this;
  }
  Protobuf& signed_number(int field, std::int64_t value) {
    return number(field,
                  static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63));
  }
  Protobuf& real(int field, double value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 1);
    auto bits = std::bit_cast<std::uint64_t>(value);
    for (int i = 0; i < 8; ++i) bytes_ += static_cast<char>(bits >> (8 * i));
    return *this;
  }
  Protobuf& text(int field, const std::string& value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Protobuf& part(int field, const Protobuf& value) { return text(field, value.bytes_); }

  const std::string& bytes() const { return bytes_; }
  std::string delimited() const {
    Protobuf size;
    size.varint(bytes_.size());
    return size.bytes_ + bytes_;
  }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

inline constexpr const char* kProtobufType =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// `n{code="200"}` and the native histogram `h` of this schema, with counts in the buckets from
/// `first` on.
inline std::string protobuf_page(double requests, int schema, int first,
                                 const std::vector<std::int64_t>& counts) {
  Protobuf label = Protobuf().text(1, "code").text(2, "200");
  Protobuf counter = Protobuf().part(1, label).part(3, Protobuf().real(1, requests));
  std::int64_t sum = 0;
  for (std::int64_t count : counts) sum += count;
  Protobuf histogram;
  histogram.number(1, static_cast<std::uint64_t>(sum))
      .real(2, 1)
      .signed_number(5, schema)
      .real(6, 1e-9)
      .number(7, 0)
      .part(12, Protobuf().signed_number(1, first).number(2, counts.size()));
  std::int64_t before = 0;
  for (std::int64_t count : counts)
    histogram.signed_number(13, count - std::exchange(before, count));
  return Protobuf().text(1, "n").number(3, 0).part(4, counter).delimited() +
         Protobuf().text(1, "h").number(3, 4).part(4, Protobuf().part(7, histogram)).delimited();
}

}  // namespace davy::lab
