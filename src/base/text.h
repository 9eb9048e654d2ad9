// Text: the few string helpers the whole house shares.
//
// Threading: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace davy::text {

std::string_view trim(std::string_view s);
std::vector<std::string_view> split(std::string_view s, char at);
/// Of ASCII letters.
bool equals_ignoring_case(std::string_view a, std::string_view b);
std::string join(const std::vector<std::string>& parts, std::string_view between);

/// For messages: in double quotes, control characters and bad UTF-8 escaped, cut after `limit`
/// bytes.
std::string quoted(std::string_view s, std::size_t limit = 80);

/// Replaces every byte that is not part of valid UTF-8 by U+FFFD.
std::string valid_utf8(std::string_view s);
bool is_utf8(std::string_view s);

/// 1234567 as "1,234,567"; rounded to a whole number.
std::string grouped(double n);

/// "1 error", "1,204 errors".
std::string counted(double n, std::string_view one, std::string_view many);

/// The known word nearest to a misspelt one, or "" when none is near: "did you mean ...".
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace davy::text
