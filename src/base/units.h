// Units: "250ms", "20%", "1GiB", "0.5pp" in both directions.
//
// Why: one spelling everywhere (config, messages, command line). Errors say what would be right.
// Threading: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "davy/options.h"
#include "davy/result.h"
#include "davy/time.h"

namespace davy::units {

/// "250ms", "5s", "1.5m", "2h", "1d", "1m30s". The unit is required; no spaces, no sign.
Result<Duration> parse_duration(std::string_view s);
/// "512", "10kB", "1MB" (decimal), "1KiB", "1GiB" (binary).
Result<double> parse_bytes(std::string_view s);
/// "20%" is 0.2; "0.2" is 0.2. At least 0; values above 1 are allowed ("150%").
Result<double> parse_ratio(std::string_view s);
/// "20%" or bytes.
Result<Amount> parse_amount(std::string_view s);
/// A finite decimal number, all of `s`.
Result<double> parse_number(std::string_view s);

/// The shortest honest form: "250ms", "1m30s", "4.2s".
std::string show(Duration d);
/// "1.2 GiB"
std::string show_bytes(double bytes);
/// 0.05 as "5%", all of its digits: what parse_ratio reads.
std::string show_ratio(double ratio);
/// 0.00521 as "0.52%": two significant digits or more, never "0%" for something that is not zero.
std::string show_percent(double ratio);
/// Seconds as a latency: "199 ms", "1.2 s", "350 us".
std::string show_latency(double seconds);
/// A moment for people and machines: "2026-11-20T11:35:09.215Z" (RFC 3339).
std::string show_time(WallMillis ms);
/// What a probe measured, in its unit: "s", "bytes", "ratio", "1" for a count, or another word.
std::string show_measured(double value, std::string_view unit);
/// A level as a person writes it ("500ms", "1GiB", "90%", "3"), in those units.
Result<double> parse_measured(std::string_view s);

}  // namespace davy::units
