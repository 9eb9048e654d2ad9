// StatsD: the application itself sends what it counts, in StatsD's or DogStatsD's lines, over UDP
// or a Unix datagram socket.
//
// Nobody is asked: a thread (statsd/listener.h) takes what comes and counts it (statsd/intake.h);
// a round ends the span for both versions at once and makes its block (statsd/rounds.h). Addresses
// are bound by the first round, so that checking a config takes no port.
// Fails on: an address that is taken (told, tried again each round), requests that never come.
// Never blocks but for the lock that the thread holds for one batch of packets.

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <mutex>

#include "base/archive.h"
#include "base/fair_mutex.h"
#include "base/text.h"
#include "base/units.h"
#include "davy/source.h"
#include "sources/statsd/intake.h"
#include "sources/statsd/listener.h"
#include "sources/statsd/rounds.h"

namespace davy::source {
namespace {

std::string all_texts(const std::vector<StatsdAddress>& addresses) {
  std::vector<std::string> texts;
  for (const StatsdAddress& address : addresses) texts.push_back(address.text());
  return text::join(texts, " and ");
}

class Statsd final : public Source {
 public:
  Statsd(StatsdRules rules, const std::vector<StatsdAddress>& addresses, mode_t mode,
         Duration every, std::string_view deployment)
      : every_(every),
        where_(all_texts(addresses)),
        rounds_(rules, where_, std::string(deployment)),
        intake_(std::move(rules)),
        listener_(addresses, mode,
                  [this](std::span<const StatsdPacket> packets, Time now) { take(packets, now); }) {
  }

  Collected collect(const SourceContext& ctx) override {
    std::vector<std::string> unbound = listener_.open();
    if (!listener_.is_open()) return StatsdRounds::finish_deaf_round(unbound);
    StatsdSpan span;
    Time now;
    {
      std::lock_guard<FairMutex> lock(mutex_);
      now = ctx.clock.now();
      span = intake_.end_span(now);
    }
    for (const auto& [check, report] : span.reports) ctx.heartbeats.report(check, report);
    return rounds_.finish_round(std::move(span), unbound, listener_.take_lost(), now,
                                ctx.canary_alone);
  }

  Duration every() const override { return every_; }
  std::string describe() const override { return "StatsD on " + where_; }

  void archive(Archive& state) override {
    std::lock_guard<FairMutex> lock(mutex_);
    intake_.archive(state, machine_clock().now());
  }

 private:
  /// On the listener's thread.
  void take(std::span<const StatsdPacket> packets, Time now) {
    std::lock_guard<FairMutex> lock(mutex_);
    for (const StatsdPacket& packet : packets) intake_.take(packet.bytes, now, packet.is_truncated);
  }

  const Duration every_;
  const std::string where_;
  StatsdRounds rounds_;
  FairMutex mutex_;
  StatsdIntake intake_;      // behind mutex_
  StatsdListener listener_;  // last: its thread uses the others
};

Result<std::vector<StatsdAddress>> read_addresses(const Options& options) {
  std::vector<StatsdAddress> addresses;
  for (const std::string& text : options.list("listen")) {
    Result<StatsdAddress> address = StatsdAddress::parse(text);
    if (!address) return Error{address.error().what, "listen"};
    if (std::find(addresses.begin(), addresses.end(), *address) != addresses.end())
      return Error{address->text() + " stands there twice", "listen"};
    addresses.push_back(std::move(*address));
  }
  if (addresses.empty()) return Error{"names no address (try 127.0.0.1:8125)", "listen"};
  return addresses;
}

Result<mode_t> read_mode(const std::string& text) {
  constexpr unsigned kAll = 0777;
  unsigned mode = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (text.empty() || code != std::errc() || end != text.data() + text.size() || mode > kAll) {
    return Error{text::quoted(text) + " are no permissions (0722 lets everybody send)",
                 "socket_mode"};
  }
  return static_cast<mode_t>(mode);
}

/// By which tags versions are told apart, unless there is only one.
Result<std::array<std::string, 2>> read_versions(const Options& options, bool one_version) {
  std::array<std::string, 2> when = {"version=\"v1\"", "version=\"v2\""};
  for (Side side : kSides) {
    std::string setting = fmt::format("{}_when", word(side));
    if (!options.has(setting)) continue;
    if (one_version)
      return Error{"tells versions apart, and what is published is one (leave it out)", setting};
    when[index(side)] = options.text(setting);
  }
  return when;
}

Result<StatsdRules::Settings> read_settings(const Options& options, bool one_version) {
  constexpr double kMostSeries = 1e6;
  StatsdRules::Settings settings;
  settings.one_version = one_version;
  Result<std::array<std::string, 2>> when = read_versions(options, one_version);
  if (!when) return when.error();
  settings.when = std::move(*when);
  if (options.has("instance")) settings.instance_tag = options.text("instance");
  if (options.has("service_checks")) settings.service_checks = options.list("service_checks");
  double max_series = options.number("max_series");
  if (max_series < 1 || max_series > kMostSeries)
    return Error{"is not possible (1 to 1000000)", "max_series"};
  settings.max_series = static_cast<std::size_t>(max_series);
  return settings;
}

Result<std::unique_ptr<Source>> make(const SourceSetup& setup) {
  Result<std::vector<StatsdAddress>> addresses = read_addresses(setup.options);
  if (!addresses) return addresses.error();
  Result<mode_t> mode = read_mode(setup.options.text("socket_mode"));
  if (!mode) return mode.error();
  Result<StatsdRules::Settings> settings = read_settings(setup.options, setup.one_version);
  if (!settings) return settings.error();
  Duration every = setup.options.duration("every");
  if (every < std::chrono::milliseconds(100)) {
    return Error{fmt::format("{} is too often (100ms at least; 5s is usual)", units::show(every)),
                 "every"};
  }
  Result<StatsdRules> rules = StatsdRules::compile(setup.requests, setup.values, *settings);
  if (!rules) return rules.error();
  return std::unique_ptr<Source>(
      std::make_unique<Statsd>(std::move(*rules), *addresses, *mode, every, setup.deployment));
}

}  // namespace

extern const SourceKind statsd{
    .name = "statsd",
    .summary = "listens for the StatsD and DogStatsD metrics that the application sends",
    .options = {{"listen", OptionType::TextList, kOptional, "127.0.0.1:8125",
                 "UDP addresses, and unix:/path for datagram sockets"},
                {"socket_mode", OptionType::Text, kOptional, "0722",
                 "permissions of Unix sockets: who may send"},
                {"baseline_when", OptionType::Text, kOptional, "",
                 "the tags of the version that runs now; version=\"v1\" when left out"},
                {"canary_when", OptionType::Text, kOptional, "",
                 "the tags of the new version; version=\"v2\" when left out"},
                {"instance", OptionType::Text, kOptional, "",
                 "the tag that tells a version's instances apart, such as host"},
                {"service_checks", OptionType::TextList, kOptional, "",
                 "service checks that feed checks of the kind heartbeat: app.queue=worker"},
                {"every", OptionType::Duration, kOptional, "5s", "how often to make a block"},
                {"max_series", OptionType::Number, kOptional, "20000",
                 "how many series (names with their tags) are remembered"}},
    .example =
        R"({ listen: "127.0.0.1:8125", baseline_when: 'version="v1"', canary_when: 'version="v2"' })",
    .events = StatsdRounds::events(),
    .takes_one_version = true,
    .make = make,
};

}  // namespace davy::source
