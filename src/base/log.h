// Log: one line per thing worth telling, as text for people or JSON for machines, on stderr.
//
// Why: `log::warn("check failed", {{"check", "db"}, {"reason", "timeout"}})` reads the same in both
// forms. Never blocks the caller: lines go through a bounded queue to the thread `davy-log`; when
// stderr does not take them, the oldest are dropped and counted.
// Threading: thread-safe after start(). Before start() (and in one-shot commands) lines are written
// at once. Never put a secret into a field.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace davy::log {

enum class Level { Debug, Info, Warn, Error };
enum class Format { Text, Json };

using Field = std::pair<std::string_view, std::string>;
using Fields = std::initializer_list<Field>;

/// Starts the queue and its thread; call once, before other threads.
void start(Format format, Level level);
/// Writes what is queued, but gives up after a second: a blocked stderr must not hold the exit.
void stop();

void debug(std::string_view what, Fields fields = {});
void info(std::string_view what, Fields fields = {});
void warn(std::string_view what, Fields fields = {});
void error(std::string_view what, Fields fields = {});

/// Lines dropped because stderr did not take them.
std::uint64_t dropped();

}  // namespace davy::log
