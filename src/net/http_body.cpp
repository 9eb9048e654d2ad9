#include "net/http_body.h"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "base/units.h"

namespace davy::net {
namespace {

constexpr std::size_t kSlack = 64 * 1024;  // gzip's own bytes; small bodies in odd chunks
constexpr std::size_t kMostFraming = 8;    // times the body

std::vector<std::string_view> values_of(const HttpBody::Headers& head, std::string_view name) {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : head) {
    if (text::equals_ignoring_case(key, name)) values.push_back(text::trim(value));
  }
  return values;
}

bool has_no_body(int status) {
  return status < 200 || status == 204 || status == 304;
}

}  // namespace

HttpBody::HttpBody(int status, const Headers& head, std::size_t limit) : limit_(limit) {
  if (has_no_body(status)) {
    framing_ = Framing::Length;
    is_whole_ = true;
    return;
  }
  read_packing(head);
  read_framing(head);
  if (framing_ == Framing::Length && left_ == 0 && failure_ == Failure::None) complete();
}

void HttpBody::read_packing(const Headers& head) {
  for (std::string_view coding : values_of(head, "Content-Encoding")) {
    auto is = [&](std::string_view known) { return text::equals_ignoring_case(coding, known); };
    if (coding.empty() || is("identity")) continue;
    bool is_known = is("gzip") || is("x-gzip") || is("deflate");
    if (!is_known || inflater_) {
      return fail(Failure::Damaged, fmt::format("is packed as {} (gzip is what was asked for)",
                                                text::quoted(coding)));
    }
    inflater_.emplace();
  }
}

void HttpBody::read_framing(const Headers& head) {
  std::vector<std::string_view> codings = values_of(head, "Transfer-Encoding");
  if (!codings.empty()) {
    if (codings.size() > 1 || !text::equals_ignoring_case(codings[0], "chunked")) {
      return fail(Failure::Damaged, fmt::format("is transferred as {} (only chunked is known)",
                                                text::quoted(codings.back())));
    }
    framing_ = Framing::Chunked;
    return;
  }
  std::vector<std::string_view> lengths = values_of(head, "Content-Length");
  if (lengths.empty()) return;
  framing_ = Framing::Length;
  std::string_view digits = lengths[0];
  const char* end = digits.data() + digits.size();
  auto [at, failed] = std::from_chars(digits.data(), end, left_);
  bool is_number = !digits.empty() && failed == std::errc() && at == end;
  bool is_one = std::all_of(lengths.begin(), lengths.end(),
                            [&](std::string_view other) { return other == digits; });
  if (!is_number || !is_one) {
    return fail(Failure::Damaged, fmt::format("has the length {}", text::quoted(lengths.back())));
  }
  if (left_ > limit_ + (inflater_ ? kSlack : 0)) fail_as_too_large();
}

void HttpBody::feed(std::string_view& wire, const Out& out) {
  std::size_t before = wire.size();
  while (!is_over() && !wire.empty()) {
    if (framing_ == Framing::Chunked) {
      std::string_view piece = chunks_.take(wire);
      if (!chunks_.trouble().empty())
        return fail(Failure::Damaged, "is damaged: " + chunks_.trouble());
      if (!piece.empty()) hand_on(piece, out);
      if (chunks_.is_done()) complete();
    } else {
      std::size_t size = wire.size();
      if (framing_ == Framing::Length)
        size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size));
      hand_on(wire.substr(0, size), out);
      wire.remove_prefix(size);
      left_ -= framing_ == Framing::Length ? size : 0;
      if (framing_ == Framing::Length && left_ == 0) complete();
    }
  }
  on_wire_ += before - wire.size();
  if (!is_over() && on_wire_ > kMostFraming * limit_ + kSlack) fail_as_too_large();
}

void HttpBody::end() {
  if (is_over()) return;
  if (framing_ == Framing::UntilEnd) return complete();
  fail(Failure::Damaged, "ends early");
}

void HttpBody::hand_on(std::string_view payload, const Out& out) {
  auto take = [&](std::string_view piece) {
    if (piece.size() > limit_ - size_) {
      fail_as_too_large();
      return false;
    }
    size_ += piece.size();
    if (out(piece)) return true;
    fail(Failure::Unwanted, "is not wanted");
    return false;
  };
  payload_ += payload.size();
  if (!inflater_) {
    take(payload);
    return;
  }
  if (payload_ > limit_ + kSlack) return fail_as_too_large();
  if (!inflater_->feed(payload, take) && failure_ == Failure::None)
    fail(Failure::Damaged, "cannot be unpacked: " + inflater_->trouble());
}

/// The framing says that this was all of it.
void HttpBody::complete() {
  if (failure_ != Failure::None) return;
  if (inflater_ && payload_ > 0 && !inflater_->is_whole())
    return fail(Failure::Damaged, "ends early: what is packed in it does not end");
  is_whole_ = true;
}

void HttpBody::fail(Failure failure, std::string trouble) {
  if (failure_ != Failure::None) return;
  failure_ = failure;
  trouble_ = std::move(trouble);
}

void HttpBody::fail_as_too_large() {
  fail(Failure::TooLarge,
       fmt::format("the body is larger than {}{}", units::show_bytes(static_cast<double>(limit_)),
                   inflater_ ? " when unpacked" : ""));
}

}  // namespace davy::net
