// Chunked: takes the framing off a chunked HTTP body, piece by piece (RFC 9112, section 7.1).
//
// Why: httplib 0.11 takes a body whose chunks are not followed by a line end for complete, copies
// every byte twice and hands it on in pieces of 4 KiB. Nothing is copied here.
// Threading: not thread-safe; belongs to one exchange.
// Failure: `trouble()` says what is wrong; nothing more comes out of it then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace davy::net {

class Chunked {
 public:
  /// Takes framing off the front of `wire`, and the piece of the body behind it, which is returned.
  /// "" = it needs more bytes than these, or is done, or is broken.
  std::string_view take(std::string_view& wire);

  bool is_done() const { return state_ == State::Done; }
  const std::string& trouble() const { return trouble_; }

 private:
  enum class State { Size, Data, DataEnd, Trailer, Done, Broken };

  bool take_line(std::string_view& wire);
  void read_line();
  void read_size();
  void give_up(std::string why);

  State state_ = State::Size;
  std::uint64_t left_ = 0;    // of the chunk
  std::string line_;          // as far as it has come, without its end
  std::size_t trailers_ = 0;  // bytes of them
  std::string trouble_;
};

}  // namespace davy::net
