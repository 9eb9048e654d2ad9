#include "base/log.h"

#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <atomic>
#include <chrono>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>

#include "base/text.h"

namespace davy::log {
namespace {

// spdlog makes the whole queue at once, 400 bytes a line. A thousand checks may change together.
constexpr std::size_t kQueueLines = 1024;

struct State {
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::logger> logger;
  Format format = Format::Text;
};

State& state() {
  static State s;
  return s;
}

/// "2026-11-20T10:15:30.123Z"
std::string timestamp() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  std::time_t whole = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  gmtime_r(&whole, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

/// The line is made whole here: spdlog's own pattern does not escape what it puts into JSON.
std::string render(Format format, std::string_view level, std::string_view what, Fields fields) {
  if (format == Format::Json) {
    nlohmann::ordered_json line{{"time", timestamp()}, {"level", level}, {"msg", what}};
    for (const Field& field : fields) line[std::string(field.first)] = field.second;
    return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  }
  std::string line = fmt::format("{} {:<5} {}", timestamp(), level, what);
  for (const Field& field : fields) {
    bool plain =
        !field.second.empty() && field.second.find_first_of(" \"\n\t=") == std::string::npos;
    line +=
        fmt::format(" {}={}", field.first, plain ? field.second : text::quoted(field.second, 400));
  }
  return text::valid_utf8(line);
}

void write(spdlog::level::level_enum level, std::string_view name, std::string_view what,
           Fields fields) {
  State& s = state();
  if (!s.logger) {
    if (level < spdlog::level::warn) return;  // one-shot commands speak on stdout themselves
    std::string line = render(Format::Text, name, what, fields) + "\n";
    [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
    return;
  }
  if (!s.logger->should_log(level)) return;
  s.logger->log(level, "{}", render(s.format, name, what, fields));
}

spdlog::level::level_enum spd_level(Level level) {
  switch (level) {
    case Level::Debug: return spdlog::level::debug;
    case Level::Info: return spdlog::level::info;
    case Level::Warn: return spdlog::level::warn;
    case Level::Error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void start(Format format, Level level) {
  State& s = state();
  s.format = format;
  s.pool = std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1,
                                                          [] { prctl(PR_SET_NAME, "davy-log"); });
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  // overrun_oldest never blocks the caller (discard_new does not exist in spdlog 1.10).
  auto logger = std::make_shared<spdlog::async_logger>(
      "davy", sink, s.pool, spdlog::async_overflow_policy::overrun_oldest);
  logger->set_formatter(std::make_unique<spdlog::pattern_formatter>("%v"));
  logger->set_level(spd_level(level));
  logger->flush_on(spdlog::level::info);
  s.logger = logger;
}

void stop() {
  State& s = state();
  if (!s.logger) return;
  std::atomic<bool> done{false};
  // spdlog's async shutdown waits for ever when the sink is blocked, so it runs beside a clock.
  auto close = [&s, &done] {
    s.pool.reset();  // writes what is queued, joins its thread
    s.logger.reset();
    done = true;
  };
  std::thread closer;
  try {
    closer = std::thread(close);
  } catch (const std::system_error&) {  // the kernel gives us no thread: then without the clock
    return close();
  }
  for (int i = 0; i < 100 && !done; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  if (!done) _exit(0);
  closer.join();
}

void debug(std::string_view what, Fields fields) {
  write(spdlog::level::debug, "debug", what, fields);
}
void info(std::string_view what, Fields fields) {
  write(spdlog::level::info, "info", what, fields);
}
void warn(std::string_view what, Fields fields) {
  write(spdlog::level::warn, "warn", what, fields);
}
void error(std::string_view what, Fields fields) {
  write(spdlog::level::err, "error", what, fields);
}

std::uint64_t dropped() {
  State& s = state();
  return s.pool ? s.pool->overrun_counter() : 0;
}

}  // namespace davy::log
