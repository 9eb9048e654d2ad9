#include "net/inflater.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>

namespace davy::net {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
constexpr int kAnyHeader = 15 + 32;  // zlib.h: the largest window; gzip or zlib, by the header

}  // namespace

struct Inflater::Stream {
  Stream() { is_made = inflateInit2(&zlib, kAnyHeader) == Z_OK; }
  ~Stream() {
    if (is_made) inflateEnd(&zlib);
  }
  z_stream zlib{};
  bool is_made = false;
  bool at_end = false;  // of a member
  std::array<char, kPiece> out;
};

Inflater::Inflater() : stream_(new Stream) {
  if (!stream_->is_made) trouble_ = "there is no memory to unpack it";
}

Inflater::~Inflater() = default;

bool Inflater::feed(std::string_view packed, const Out& out) {
  z_stream& zlib = stream_->zlib;
  while (trouble_.empty()) {
    if (packed.empty() && zlib.avail_in == 0) return true;
    if (zlib.avail_in == 0) {
      std::size_t size = std::min<std::size_t>(packed.size(), std::numeric_limits<uInt>::max());
      zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
      zlib.avail_in = static_cast<uInt>(size);
      packed.remove_prefix(size);
    }
    if (stream_->at_end) {  // RFC 1952, section 2.2: members may follow each other
      inflateReset(&zlib);
      stream_->at_end = false;
    }
    int said = Z_OK;
    do {
      zlib.next_out = reinterpret_cast<Bytef*>(stream_->out.data());
      zlib.avail_out = static_cast<uInt>(kPiece);
      said = inflate(&zlib, Z_NO_FLUSH);
      std::string_view piece(stream_->out.data(), kPiece - zlib.avail_out);
      if (!piece.empty() && !out(piece)) return false;
    } while (said == Z_OK && zlib.avail_out == 0);
    stream_->at_end = said == Z_STREAM_END;
    if (said != Z_OK && said != Z_STREAM_END && said != Z_BUF_ERROR)
      trouble_ = zlib.msg != nullptr ? zlib.msg : "it is not gzip";
  }
  return false;
}

bool Inflater::is_whole() const {
  return stream_->at_end && stream_->zlib.avail_in == 0 && trouble_.empty();
}

}  // namespace davy::net
