// Packed: numbers and texts in few bytes, and a reader that takes nothing else.
//
// Why: what goes over the wire (sketches, exchanged blocks) must be small, and must read back to
// exactly what was written: each value has one form only, so equal values are equal bytes.
// Shapes: whole numbers below 2^63 as varints (7 bits a byte, the lowest first); doubles and words
// in 8 bytes, little-endian; texts behind their length. Threading: plain values. Failure: after the
// first thing that is wrong a reader reads zeros, and says where it was.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace davy::packed {

inline void put(std::string& out, std::uint64_t n) {
  for (; n >= 0x80; n >>= 7) out.push_back(static_cast<char>(n | 0x80));
  out.push_back(static_cast<char>(n));
}
inline void put_word(std::string& out, std::uint64_t word) {
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(word >> (8 * i)));
}
inline void put_double(std::string& out, double value) {
  put_word(out, std::bit_cast<std::uint64_t>(value));
}
inline void put_text(std::string& out, std::string_view text) {
  put(out, text.size());
  out += text;
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  /// A whole number of at most `most`, in as few bytes as it needs.
  std::uint64_t take(std::uint64_t most) {
    std::uint64_t n = 0;
    for (unsigned shift = 0; !failed_; shift += 7) {
      if (at_ == bytes_.size() || shift > 56) return fail();
      std::uint64_t byte = static_cast<unsigned char>(bytes_[at_++]);
      n |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      bool is_longer_than_needed = byte == 0 && shift > 0;
      return is_longer_than_needed || n > most ? fail() : n;
    }
    return 0;
  }
  std::uint64_t take_word() {
    std::string_view eight = take_bytes(8);
    std::uint64_t word = 0;
    for (std::size_t i = eight.size(); i-- > 0;)
      word = word << 8 | static_cast<unsigned char>(eight[i]);
    return word;
  }
  double take_double() { return std::bit_cast<double>(take_word()); }
  std::string_view take_text(std::size_t longest) {
    return take_bytes(static_cast<std::size_t>(take(longest)));
  }

  std::uint64_t fail() {
    failed_ = true;
    return 0;
  }
  bool failed() const { return failed_; }
  bool at_end() const { return at_ == bytes_.size(); }
  std::size_t at() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }

 private:
  std::string_view take_bytes(std::size_t n) {
    if (failed_ || n > left()) {
      fail();
      return {};
    }
    at_ += n;
    return bytes_.substr(at_ - n, n);
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace davy::packed
