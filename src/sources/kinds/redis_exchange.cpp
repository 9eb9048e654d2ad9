// Redis exchange: the counts that instances publish to a Redis stream (`publish:`), merged.
//
// Every judge of a deployment reads the whole stream for itself and knows how far it is; there is
// no consumer group, so any number of judges can. What the blocks mean is decided elsewhere:
// exchange/block.h (one block), exchange/gathering.h (all of them).
// The stream is read again from its beginning when the last entry that was read is no longer there:
// then Redis has lost some of it, and what was lost has been added again. Nothing counts twice.
// Fails on: whatever Redis can fail on; blind after 3 rounds in a row. Entries that are no block
// are told and counted, never waited for. Never blocks past ctx.deadline, except name resolution.

#include <fmt/format.h>
#include <algorithm>

#include "base/archive.h"
#include "base/text.h"
#include "base/units.h"
#include "davy/source.h"
#include "sources/exchange/gathering.h"
#include "sources/exchange/publisher.h"
#include "sources/exchange/stream.h"

namespace davy::source {
namespace {

constexpr int kBlindAfter = 3;      // rounds without Redis
constexpr int kMostBatches = 1000;  // of one round
constexpr Duration kMostSettle = std::chrono::milliseconds(2500);

struct Settings {
  Duration every{0};
  Duration timeout{0};
};

class RedisExchange final : public Source {
 public:
  RedisExchange(ExchangeStream stream, GatheringRules rules, std::string text, Settings settings)
      : text_(std::move(text)),
        stream_(std::move(stream)),
        gathering_(std::move(rules)),
        settings_(settings) {}

  Collected collect(const SourceContext& ctx) override {
    Call call{ctx.deadline.earlier(Deadline::in(settings_.timeout)), ctx.net};
    junk_ = 0;
    Result<Done> done = read(ctx.clock, call);
    Time now = ctx.clock.now();
    Collected collected;
    if (!done) {
      ++failures_;
      // What was read before it failed stays, and is judged when the rest is there.
      collected.trouble = fmt::format("{} ({} {})", done.error().what, failures_,
                                      failures_ == 1 ? "time" : "times");
      collected.blind = failures_ >= kBlindAfter;
    } else {
      if (std::exchange(failures_, 0) > 0) gathering_.excuse_silence(now);
      collected = gathering_.finish_round(*clock_.at(now), now, ctx.canary_alone);
    }
    tell_junk(collected);
    if (losses_ > 0) collected.events.push_back({"stream_lost", std::exchange(losses_, 0)});
    return collected;
  }

  Duration every() const override { return settings_.every; }

  std::string describe() const override {
    return fmt::format("redis_exchange of {}", gathering_.describe());
  }

  void archive(Archive& state) override {
    std::string text = text_;
    state(text);
    if (text != text_) return state.fail();  // of another config
    state(gathering_, last_);
    if (state.reading()) known_ = last_;
  }

 private:
  Result<Done> read(const Clock& steady, const Call& call) {
    if (auto done = stream_.begin(call); !done) return done;
    if (auto done = stream_.tell_time(clock_, steady, call); !done) return done;
    if (!gathering_.has_begun()) {
      Result<std::optional<StreamId>> last = stream_.last(call);
      if (!last) return last.error();
      known_ = last_ = last->value_or(StreamId{});
      gathering_.begin(*clock_.at(steady.now()));
    }
    for (int pass = 0; pass < 2; ++pass) {
      std::uint64_t connection = stream_.connections();
      Result<bool> is_new = read_on(steady, call);
      if (!is_new) return is_new.error();
      bool is_sure = *is_new && connection == connection_ && connection == stream_.connections();
      Result<bool> holds =
          is_sure || known_.is_start() ? Result<bool>(true) : stream_.holds(known_.text(), call);
      if (!holds) return holds.error();
      if (*holds) {
        known_ = last_;
        connection_ = connection;
        return Done{};
      }
      ++losses_;
      known_ = last_ = {};
    }
    return Done{};
  }

  /// Whether there was anything.
  Result<bool> read_on(const Clock& steady, const Call& call) {
    for (int batch = 0; batch < kMostBatches; ++batch) {
      Result<std::vector<ExchangeStream::Entry>> entries = stream_.read_after(last_, call);
      if (!entries) return entries.error();
      if (entries->empty()) return batch > 0;
      for (const ExchangeStream::Entry& entry : *entries) {
        take(entry, steady.now());
        last_ = entry.id;
      }
    }
    return true;
  }

  void take(const ExchangeStream::Entry& entry, Time now) {
    Result<ExchangeBlock> block = entry.wrong.empty() ? decode(entry.bytes) : Error{entry.wrong};
    if (block) return gathering_.take(*block, *clock_.at(now), now);
    if (junk_++ == 0)
      first_junk_ = fmt::format("entry {}: {}", entry.id.text(), block.error().what);
  }

  void tell_junk(Collected& collected) const {
    if (junk_ == 0) return;
    std::string told = fmt::format(
        "{}: {} (skipped), {}", stream_.name(),
        text::counted(static_cast<double>(junk_), "entry is no block", "entries are no blocks"),
        first_junk_);
    collected.trouble += (collected.trouble.empty() ? "" : "; ") + told;
    collected.events.push_back({"junk_entries", static_cast<double>(junk_)});
  }

  const std::string text_;
  ExchangeStream stream_;
  ExchangeClock clock_;
  Gathering gathering_;
  const Settings settings_;
  StreamId last_;                 // that was read
  StreamId known_;                // that was read, and was the last one when a round ended well
  std::uint64_t connection_ = 0;  // over which that was seen
  int failures_ = 0;              // rounds in a row
  double losses_ = 0;             // of the round, as junk_
  std::size_t junk_ = 0;
  std::string first_junk_;
};

Result<Settings> read_settings(const Options& options) {
  constexpr Duration kUsualTimeout = std::chrono::seconds(2);
  Settings settings{.every = options.duration("every")};
  if (settings.every < std::chrono::milliseconds(100))
    return Error{
        fmt::format("{} is too often (100ms at least; 5s is usual)", units::show(settings.every)),
        "every"};
  settings.timeout = std::min(kUsualTimeout, settings.every);
  return settings;
}

Result<GatheringRules> read_rules(const SourceSetup& setup, Duration every) {
  constexpr Duration kMostPatience = std::chrono::minutes(10);
  GatheringRules rules{.deployment = std::string(setup.deployment),
                       .baseline = setup.options.text("baseline"),
                       .canary = setup.options.text("canary"),
                       .values = {},
                       .patience = setup.options.duration("patience"),
                       .settle = std::min(every / 2, kMostSettle)};
  for (Side side : kSides) {
    const std::string& version = setup.options.text(word(side));
    if (auto wrong = wrong_exchange_name(version)) return Error{*wrong, std::string(word(side))};
  }
  if (rules.baseline == rules.canary)
    return Error{fmt::format("is {}, as the baseline is (the version that is new)", rules.canary),
                 "canary"};
  if (rules.patience < 2 * every || rules.patience > kMostPatience)
    return Error{fmt::format("{} is not possible (twice `every`, which is {}, to 10m)",
                             units::show(rules.patience), units::show(every)),
                 "patience"};
  for (const ValueSeries& value : setup.values) {
    rules.values.push_back({.name = value.name,
                            .series = {},
                            .is_counter = value.kind == ValueSeries::Kind::Rate,
                            .per_request = value.per == ValueSeries::Per::Request});
  }
  return rules;
}

Result<std::unique_ptr<Source>> make(const SourceSetup& setup) {
  Result<net::RedisTarget> target = net::parse_redis_url(setup.options.text("url"));
  if (!target) return target.error();
  Result<Settings> settings = read_settings(setup.options);
  if (!settings) return settings.error();
  Result<GatheringRules> rules = read_rules(setup, settings->every);
  if (!rules) return rules.error();
  std::string key =
      setup.options.has("stream") ? setup.options.text("stream") : default_stream(setup.deployment);
  ExchangeStream stream(std::move(*target), std::move(key));
  std::string text = fmt::format("redis_exchange 1\n{}\n{}\n{}\n{}", stream.name(),
                                 rules->deployment, rules->baseline, rules->canary);
  return std::unique_ptr<Source>(std::make_unique<RedisExchange>(
      std::move(stream), *std::move(rules), std::move(text), *settings));
}

std::vector<std::string_view> events() {
  std::vector<std::string_view> all = Gathering::events();
  all.insert(all.end(), {"junk_entries", "stream_lost"});
  return all;
}

}  // namespace

extern const SourceKind redis_exchange{
    .name = "redis_exchange",
    .summary = "merges what the instances of both versions publish to a Redis stream",
    .options = {{"url", OptionType::Secret, kRequired, "",
                 "redis://[user:password@]host[:port][/database], rediss:// for TLS (hiredis 1.0, "
                 "Debian 13), or unix://[user:password@]/path[?db=N]"},
                {"stream", OptionType::Text, kOptional, "",
                 "the key of the stream; davy:exchange:DEPLOYMENT when not said"},
                {"baseline", OptionType::Text, kRequired, "",
                 "the version that runs now, as its instances publish it"},
                {"canary", OptionType::Text, kRequired, "", "the new version"},
                {"every", OptionType::Duration, kOptional, "5s", "how often to read"},
                {"patience", OptionType::Duration, kOptional, "30s",
                 "how long to wait for an instance that says nothing, before it counts as lost"}},
    .example = R"({ url: "redis://127.0.0.1:6379/0", baseline: v1, canary: v2 })",
    .events = events(),
    .reads_series = false,
    .publisher = &redis_publisher,
    .make = make,
};

}  // namespace davy::source
