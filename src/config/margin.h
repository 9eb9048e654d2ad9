// Margins as people write them: "20%" (relative), "0.5pp" (points of percent), "20% + 0.01pp".
//
// Threading: pure. Failure: an Error that says what would be right.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/policy.h"
#include "config/settings.h"
#include "davy/result.h"

namespace davy::config {

/// "0.01" of "0.01pp" as 0.0001. By way of the text, so that it is the double nearest to what was
/// written: 0.01 / 100 is not.
Result<double> hundredths(std::string_view digits);

/// Of a rate: relative in percent, absolute in points of percent.
Result<Margin> parse_rate_margin(std::string_view text);
/// Of a value in a unit of its own: relative in percent, absolute as a number or bytes ("20% +
/// 64MiB").
Result<Margin> parse_value_margin(std::string_view text);

std::string show(const Margin& margin);

/// Takes `key` apart with `parse`; tells what is wrong with it.
void read_margin(Settings& settings, std::string_view key,
                 Result<Margin> (*parse)(std::string_view), std::optional<Margin>& out);

}  // namespace davy::config
