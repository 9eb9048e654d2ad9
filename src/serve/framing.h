// Framing: where one HTTP/1.1 request ends, and which requests are refused before any parser sees
// them.
//
// Why: whatever two parsers could frame differently is refused (RFC 9112, sections 6.1 and 11.2):
// Transfer-Encoding, differing Content-Lengths. cpp-httplib accepts both.
// Threading: pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace davy::serve {

struct Frame {
  std::size_t size = 0;  // of the whole request; 0 = not all of it is there yet
  int refuse = 0;        // status to refuse it with; 0 = fine so far
  std::string_view why;
};

Frame frame_request(std::string_view bytes, std::size_t max_head, std::size_t max_body);

}  // namespace davy::serve
