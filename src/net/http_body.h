// HTTP body: the bytes behind an answer's head -> the body itself, unpacked, piece by piece.
//
// Why: whoever reads a body must know that it is whole and not too large, however it is framed
// (a length, chunks, the connection's end) and packed. Pieces are handed on where they lie, so a
// large plain body costs little more than receiving it.
// Bounds: `limit` for the body itself; the same and 64 KiB for a packed one on its way; 8 times
// that for all its framing (chunks of one byte cost six).
// Threading: not thread-safe; belongs to one exchange. Failure: told by `failure()`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/chunked.h"
#include "net/inflater.h"

namespace davy::net {

class HttpBody {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  /// False = no more, please.
  using Out = std::function<bool(std::string_view)>;

  enum class Failure {
    None,
    Damaged,   // the head contradicts itself, the framing or the packing is wrong, or it was cut
    TooLarge,  // said by the head already, or seen on the way
    Unwanted,  // `out` has said no
  };

  /// How it ends, by the head (RFC 9112, section 6.3), which may make it a failure at once.
  HttpBody(int status, const Headers& head, std::size_t limit);

  /// Takes what belongs to the body off the front of `wire` and hands it on.
  void feed(std::string_view& wire, const Out& out);
  /// The peer has closed the connection.
  void end();

  /// Nothing more is to be fed: it is whole, or a failure.
  bool is_over() const { return is_whole_ || failure_ != Failure::None; }
  Failure failure() const { return failure_; }
  const std::string& trouble() const { return trouble_; }  // in words
  bool ends_with_connection() const { return framing_ == Framing::UntilEnd; }
  std::size_t size() const { return size_; }  // handed on so far

 private:
  enum class Framing { Length, Chunked, UntilEnd };

  void read_framing(const Headers& head);
  void read_packing(const Headers& head);
  void hand_on(std::string_view payload, const Out& out);
  void complete();
  void fail(Failure failure, std::string trouble);
  void fail_as_too_large();

  const std::size_t limit_;
  Framing framing_ = Framing::UntilEnd;
  std::uint64_t left_ = 0;  // of a body with a length
  Chunked chunks_;
  std::optional<Inflater> inflater_;  // of a packed body
  std::size_t on_wire_ = 0;           // bytes taken, with their framing
  std::size_t payload_ = 0;           // without it, still packed
  std::size_t size_ = 0;
  bool is_whole_ = false;
  Failure failure_ = Failure::None;
  std::string trouble_;
};

}  // namespace davy::net
