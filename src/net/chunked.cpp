#include "net/chunked.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace davy::net {
namespace {

constexpr std::size_t kLongestLine = 4096;  // a size with extensions, or a trailer
constexpr std::size_t kMostTrailers = 64 * 1024;
constexpr std::size_t kShown = 20;  // bytes of a wrong line that a message repeats

}  // namespace

std::string_view Chunked::take(std::string_view& wire) {
  while (!wire.empty() && state_ != State::Done && state_ != State::Broken) {
    if (state_ == State::Data) {
      std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, wire.size()));
      std::string_view piece = wire.substr(0, size);
      wire.remove_prefix(size);
      left_ -= size;
      if (left_ == 0) state_ = State::DataEnd;
      return piece;
    }
    if (take_line(wire)) read_line();
  }
  return {};
}

/// Whether the line is whole now.
bool Chunked::take_line(std::string_view& wire) {
  std::size_t newline = wire.find('\n');
  line_ += wire.substr(0, newline);
  wire.remove_prefix(newline == std::string_view::npos ? wire.size() : newline + 1);
  if (line_.size() > kLongestLine) give_up("a line between its chunks does not end");
  if (newline == std::string_view::npos || state_ == State::Broken) return false;
  if (line_.empty() || line_.back() != '\r') {
    give_up("a line between its chunks ends in a bare line feed");
    return false;
  }
  line_.pop_back();
  return true;
}

void Chunked::read_line() {
  if (state_ == State::Size) {
    read_size();
  } else if (state_ == State::DataEnd) {
    if (!line_.empty()) return give_up("a chunk is longer than it says");
    state_ = State::Size;
  } else if (line_.empty()) {
    state_ = State::Done;
  } else {  // a trailer: nothing that we would heed
    trailers_ += line_.size();
    if (trailers_ > kMostTrailers) give_up("its trailers do not end");
  }
  line_.clear();
}

/// "1a2b", maybe with spaces and an extension behind it.
void Chunked::read_size() {
  std::string_view digits = std::string_view(line_).substr(0, line_.find(';'));
  while (!digits.empty() && (digits.back() == ' ' || digits.back() == '\t'))
    digits.remove_suffix(1);
  const char* end = digits.data() + digits.size();
  auto [at, failed] = std::from_chars(digits.data(), end, left_, 16);
  if (digits.empty() || failed != std::errc() || at != end)
    return give_up("a chunk begins with " + text::quoted(line_, kShown) + ", not with its size");
  state_ = left_ == 0 ? State::Trailer : State::Data;
}

void Chunked::give_up(std::string why) {
  state_ = State::Broken;
  trouble_ = std::move(why);
}

}  // namespace davy::net
