// Result<T>: a value, or an Error that a person can act on.
//
// Why: expected failures are values here. Nothing throws across a thread, a probe or a handler.
// Threading: plain values; share them like any other. Failure: reading the wrong side aborts.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace davy {

/// What went wrong, in one line: what, where, what was expected, what was seen.
struct Error {
  std::string what;
  std::string
      setting;  // the setting that is to blame, when there is one: lets the config name its line

  /// The same error, said from further out: `prefix("baseline: ")`.
  Error prefix(std::string_view where) const { return {std::string(where) + what, setting}; }
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : held_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by design
  Result(Error error)
      : held_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design

  explicit operator bool() const { return held_.index() == 0; }

  T& operator*() & { return *value(); }
  const T& operator*() const& { return *const_cast<Result*>(this)->value(); }
  T&& operator*() && { return std::move(*value()); }
  T* operator->() { return value(); }
  const T* operator->() const { return const_cast<Result*>(this)->value(); }

  /// REQUIRES: no value is held.
  const Error& error() const {
    if (const Error* e = std::get_if<1>(&held_)) return *e;
    std::abort();
  }

 private:
  T* value() {
    if (T* v = std::get_if<0>(&held_)) return v;
    std::abort();
  }

  std::variant<T, Error> held_;
};

/// Success with nothing to hand back.
struct Done {};

}  // namespace davy
