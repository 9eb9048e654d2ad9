// Signature: proves that a text comes from somebody who knows the same secret (HMAC-SHA-256, RFC
// 2104, FIPS 180-4; from OpenSSL).
//
// Threading: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace davy::net {

/// 64 hexadecimal digits.
std::string sign(std::string_view text, std::string_view key);
/// In constant time: says nothing about how much of it is right.
bool is_signed(std::string_view text, std::string_view signature, std::string_view key);
/// 32 hexadecimal digits that nobody can guess.
std::string random_word();

}  // namespace davy::net
