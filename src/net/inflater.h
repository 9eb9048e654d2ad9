// Inflater: unpacks a gzip (or zlib) body, piece by piece, within a limit.
//
// Why: a kilobyte may unpack to a gigabyte; and httplib takes a stream that was cut, or that has
// something else behind it, for complete.
// Threading: not thread-safe; belongs to one exchange.
// Failure: `trouble()` says what is wrong; nothing more comes out of it then.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace davy::net {

class Inflater {
 public:
  /// False = no more, please.
  using Out = std::function<bool(std::string_view)>;

  Inflater();
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Hands what `packed` unpacks to on, in pieces of at most 64 KiB. False when it is broken or
  /// `out` has said no.
  bool feed(std::string_view packed, const Out& out);

  /// Whether what was fed is complete: one gzip member after the other, the last one to its end.
  bool is_whole() const;
  const std::string& trouble() const { return trouble_; }

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
  std::string trouble_;
};

}  // namespace davy::net
