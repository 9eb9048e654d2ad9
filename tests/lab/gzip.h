// Packs texts with zlib itself, for tests of what unpacks them.
#pragma once

#include <zlib.h>

#include <stdexcept>
#include <string>

namespace davy::lab {

/// As one gzip member.
inline std::string gzip(const std::string& text) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;  // zlib.h: the largest window, a gzip header
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzip, 9, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("zlib cannot start");
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  int said = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (said != Z_STREAM_END) throw std::runtime_error("zlib cannot pack");
  return packed;
}

/// The beginning of a gzip member that goes on for ever and unpacks to nothing: empty stored
/// blocks (RFC 1951, section 3.2.4).
inline std::string endless_gzip(std::size_t blocks) {
  std::string packed = gzip("").substr(0, 10);
  for (std::size_t i = 0; i < blocks; ++i) packed += std::string("\0\0\0\xFF\xFF", 5);
  return packed;
}

}  // namespace davy::lab
