// Archive: state to bytes and back, by one list of members for both ways.
//
// Why: what is saved must be what is loaded, bit for bit. A type that has state says it once:
//   void archive(Archive& a) { a(sum_, count_, cells_); }
// The same call writes or reads, as the archive was made.
// Shapes: numbers as 8 bytes, little-endian; whatever has a length says it first. No names: the
// file around it carries a version.
// Threading: not thread-safe.
// Failure: bytes that end early or make no sense set `failed()`; nothing throws, and everything
// read from then on is worthless.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace davy {

class Archive {
 public:
  static Archive writer() { return Archive(false, {}); }
  static Archive reader(std::string bytes) { return Archive(true, std::move(bytes)); }

  bool reading() const { return reading_; }
  bool failed() const { return failed_; }
  /// A reader has taken everything that was there.
  bool at_end() const { return at_ == bytes_.size(); }
  const std::string& bytes() const { return bytes_; }
  /// For a type that finds what it read impossible.
  void fail() { failed_ = true; }

  template <typename... T>
  void operator()(T&... values) {
    (item(values), ...);
  }

 private:
  Archive(bool reading, std::string bytes) : reading_(reading), bytes_(std::move(bytes)) {}

  void item(std::uint64_t& word) {
    if (!reading_) {
      for (int i = 0; i < 8; ++i) bytes_.push_back(static_cast<char>(word >> (8 * i)));
      return;
    }
    if (failed_ || bytes_.size() - at_ < 8) {
      failed_ = true;
      word = 0;
      return;
    }
    word = 0;
    for (unsigned i = 0; i < 8; ++i)
      word |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes_[at_ + i])) << (8 * i);
    at_ += 8;
  }

  template <typename T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void item(T& value) {
    std::uint64_t word = 0;
    if constexpr (std::is_floating_point_v<T>) {
      word = std::bit_cast<std::uint64_t>(static_cast<double>(value));
      item(word);
      value = static_cast<T>(std::bit_cast<double>(word));
    } else {
      word = static_cast<std::uint64_t>(value);
      item(word);
      value = static_cast<T>(word);
    }
  }

  /// Of what follows; never more than there are bytes.
  std::size_t size(std::size_t now) {
    std::uint64_t n = now;
    item(n);
    if (n > bytes_.size() - at_ && reading_) failed_ = true;
    return failed_ ? 0 : static_cast<std::size_t>(n);
  }

  void item(std::string& text) {
    std::size_t n = size(text.size());
    if (!reading_) {
      bytes_ += text;
      return;
    }
    text.assign(bytes_, at_, n);
    at_ += n;
  }

  template <typename Rep, typename Period>
  void item(std::chrono::duration<Rep, Period>& d) {
    Rep count = d.count();
    item(count);
    d = std::chrono::duration<Rep, Period>(count);
  }

  template <typename T>
  void item(std::optional<T>& value) {
    bool has = value.has_value();
    item(has);
    if (!reading_) {
      if (has) item(*value);
      return;
    }
    value.reset();
    if (!has) return;
    T read{};
    item(read);
    value = std::move(read);
  }

  template <typename T>
  void item(std::vector<T>& values) {
    std::size_t n = size(values.size());
    if (reading_) values.assign(n, T{});
    for (T& value : values) item(value);
  }

  template <typename T, std::size_t N>
  void item(std::array<T, N>& values) {
    for (T& value : values) item(value);
  }

  template <typename Map>
  requires requires { typename Map::mapped_type; }
  void item(Map& map) {
    std::size_t n = size(map.size());
    if (!reading_) {
      for (auto& [key, value] : map) {
        auto copy = key;
        item(copy);
        item(value);
      }
      return;
    }
    map.clear();
    for (std::size_t i = 0; i < n && !failed_; ++i) {
      typename Map::key_type key{};
      typename Map::mapped_type value{};
      item(key);
      item(value);
      map.insert_or_assign(std::move(key), std::move(value));
    }
  }

  template <typename T>
  requires requires(T& t, Archive& a) { t.archive(a); }
  void item(T& value) { value.archive(*this); }

  /// Plain structs of other folders: a free function beside its user.
  template <typename T>
  requires requires(T& t, Archive& a) {
    archive(a, t);
  } &&(!requires(T & t, Archive& a) { t.archive(a); }) void item(T& value) {
    archive(*this, value);
  }

  bool reading_;
  bool failed_ = false;
  std::string bytes_;
  std::size_t at_ = 0;
};

}  // namespace davy
