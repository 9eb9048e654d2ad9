#include "sources/exchange/publisher.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <random>
#include <utility>

#include "base/archive.h"
#include "base/text.h"
#include "sources/exchange/block.h"
#include "sources/exchange/clock.h"
#include "sources/exchange/outbox.h"
#include "sources/exchange/stream.h"

namespace davy::source {
namespace {

constexpr double kShortestStream = 100;  // entries
constexpr double kLongestStream = 1e7;
constexpr int kMostTries = 3;  // to send over connections that break
constexpr Duration kFirstContact = std::chrono::seconds(1);

std::uint64_t random_number() {
  std::random_device device;
  std::uint64_t number = std::uint64_t{device()} << 32 | device();
  return number == 0 ? 1 : number;
}

class ExchangePublisher final : public Publisher {
 public:
  ExchangePublisher(PublisherSetup setup, ExchangeStream stream, std::uint64_t longest)
      : deployment_(std::move(setup.deployment)),
        version_(std::move(setup.version)),
        instance_(std::move(setup.instance)),
        values_(std::move(setup.values)),
        source_(std::move(setup.source)),
        stream_(std::move(stream)),
        longest_(longest) {}

  Duration until_due(Time now) const override {
    std::optional<ExchangeMillis> time = clock_.at(now);
    if (!time) return std::min(source_->every(), kFirstContact);
    ExchangeMillis due = nearest_boundary(*time, every());
    // The first one lies ahead: what it counts from must be read at a boundary, too.
    bool is_past = counted_ == 0 ? due < *time : due <= counted_;
    if (is_past) due = counted_ == 0 ? due + every() : counted_ + every();
    return std::chrono::milliseconds(std::max<std::int64_t>(0, due - *time));
  }

  void count(const SourceContext& ctx, bool is_last) override {
    std::optional<ExchangeMillis> time = clock_.at(ctx.clock.now());
    if (!time) return;
    ExchangeMillis slot = nearest_boundary(*time, every());
    if (is_last) {
      if (end_ == 0) return;  // nobody knows of it yet
      slot = std::max(*time / every() * every(), counted_) + every();
    }
    if (slot <= counted_) return;
    SourceContext alone = ctx;
    alone.canary_alone = true;
    Collected collected = source_->collect(alone);
    counting_trouble_ = collected.trouble;
    for (const SourceEvent& event : collected.events) events_[event.name] += event.times;
    if (collected.block) {
      add(block_of(collected.block->canary, begin_of(slot, collected.block->dt), slot, is_last));
    } else if (is_last) {
      add(block_of({}, end_, slot, is_last));
    }
    counted_ = slot;
  }

  PublisherReport send(const SourceContext& ctx) override {
    Result<Done> done = deliver(ctx.clock, {ctx.deadline, ctx.net});
    failures_ = done ? 0 : failures_ + 1;
    std::vector<std::string> troubles;
    if (!done)
      troubles.push_back(fmt::format(
          "{} ({} {}; {} to be sent)", done.error().what, failures_,
          failures_ == 1 ? "time" : "times",
          text::counted(static_cast<double>(outbox_.waiting()), "block waits", "blocks wait")));
    if (!encoding_trouble_.empty()) troubles.push_back(std::exchange(encoding_trouble_, ""));
    if (!counting_trouble_.empty()) troubles.push_back(counting_trouble_);
    PublisherReport report{.trouble = text::join_some(troubles),
                           .waiting = outbox_.waiting(),
                           .blocks = sequence_,
                           .requests = requests_};
    for (const auto& [event, times] : events_) report.events.push_back({event, times});
    events_.clear();
    return report;
  }

  std::string describe() const override {
    return fmt::format("{} {} as {} to {}", deployment_, version_, instance_, stream_.name());
  }

  void archive(Archive& state) override {
    std::string text = describe();
    state(text);
    if (text != describe()) return state.fail();  // of another config
    state(incarnation_, sequence_, counted_, end_, requests_, clock_, outbox_, *source_);
    if (incarnation_ == 0 || counted_ < 0 || end_ < 0 || end_ > counted_) state.fail();
  }

  void see_reboot() override { clock_.forget(); }

 private:
  std::int64_t every() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(source_->every()).count();
  }

  /// Of a block that ends with this slot and is so many seconds long: normally the end of the last
  /// one. Slots begin and end a little late, so the seconds are only near.
  ExchangeMillis begin_of(ExchangeMillis slot, double dt) const {
    auto slots = static_cast<std::int64_t>(std::llround(dt * 1e3 / static_cast<double>(every())));
    ExchangeMillis begin = std::max<ExchangeMillis>(
        0, slot - std::max<std::int64_t>(1, std::min(slots, slot / every())) * every());
    for (ExchangeMillis known : {end_, counted_}) {
      if (known > 0 && std::abs(begin - known) <= every()) return known;
    }
    return std::max(begin, end_);
  }

  ExchangeBlock block_of(const VersionCounts& counts, ExchangeMillis from, ExchangeMillis to,
                         bool is_last) const {
    ExchangeBlock block{.deployment = deployment_,
                        .version = version_,
                        .instance = instance_,
                        .incarnation = incarnation_,
                        .sequence = sequence_ + 1,
                        .from = from,
                        .to = to,
                        .is_last = is_last,
                        .requests = counts.requests,
                        .errors = counts.errors,
                        .latency = counts.latency};
    for (const PodCounts& pod : counts.pods) {
      block.restarts += pod.restarts;
      if (pod.age) block.age = std::min(*pod.age, block.age.value_or(*pod.age));
    }
    for (const Value& value : counts.values) {
      auto series = std::find_if(values_.begin(), values_.end(),
                                 [&](const ValueSeries& s) { return s.name == value.name; });
      if (series != values_.end())
        block.values.push_back({value.name, series->kind, series->per, value.value});
    }
    return block;
  }

  void add(ExchangeBlock block) {
    Result<std::string> bytes = encode(block);
    if (!bytes && block.latency) {  // better without it than not at all
      encoding_trouble_ = "published without latencies: " + bytes.error().what;
      block.latency.reset();
      bytes = encode(block);
    }
    if (!bytes) {
      encoding_trouble_ = "a block cannot be published: " + bytes.error().what;
      events_["refused_blocks"] += 1;
      return;
    }
    if (std::size_t dropped = outbox_.add(*std::move(bytes)); dropped > 0)
      events_["dropped_blocks"] += static_cast<double>(dropped);
    ++sequence_;
    requests_ += block.requests;
    end_ = block.to;
  }

  Result<Done> deliver(const Clock& steady, const Call& call) {
    if (auto done = stream_.begin(call); !done) return done;
    if (auto done = stream_.tell_time(clock_, steady, call); !done) return done;
    if (auto done = look_for_losses(call); !done) return done;
    for (int i = 0; i < kMostTries; ++i) {
      std::uint64_t connection = stream_.connections();
      while (outbox_.next() != nullptr) {
        Result<std::string> id = stream_.add(outbox_.next()->bytes, longest_, call);
        if (!id) return id.error();
        outbox_.acknowledge(*std::move(id), stream_.connections());
      }
      if (connection == stream_.connections()) break;
      // It broke meanwhile; what was acknowledged before that may be gone.
      if (auto done = look_for_losses(call); !done) return done;
    }
    return Done{};
  }

  /// What the stream has lost waits again.
  Result<Done> look_for_losses(const Call& call) {
    if (const Outbox::Entry* last = outbox_.last_held()) {
      Result<bool> holds = stream_.holds(last->id, call);
      if (!holds) return holds.error();
      if (!*holds) outbox_.doubt();
    }
    std::uint64_t connection = stream_.connections();
    while (const Outbox::Entry* entry = outbox_.unsure_of(connection)) {
      Result<bool> is_gone = lost(entry->id, call);
      if (!is_gone) return is_gone.error();
      if (!*is_gone) {
        outbox_.confirm(std::string(entry->id), connection);
        break;
      }
      outbox_.send_again(std::string(entry->id));
      events_["added_again"] += 1;
    }
    return Done{};
  }

  /// Not there, and not because the stream was full.
  Result<bool> lost(const std::string& id, const Call& call) {
    Result<bool> holds = stream_.holds(id, call);
    if (!holds || *holds) return holds ? Result<bool>(false) : holds;
    Result<std::optional<StreamId>> first = stream_.first(call);
    if (!first) return first.error();
    Result<std::uint64_t> length = stream_.length(call);
    if (!length) return length.error();
    bool is_cut_off = *first && StreamId::parse(id) < **first && *length >= longest_;
    return !is_cut_off;
  }

  const std::string deployment_;
  const std::string version_;
  const std::string instance_;
  const std::vector<ValueSeries> values_;
  const std::unique_ptr<Source> source_;
  ExchangeStream stream_;
  const std::uint64_t longest_;  // the stream

  std::uint64_t incarnation_ = random_number();
  std::uint64_t sequence_ = 0;  // of the last block
  ExchangeMillis counted_ = 0;  // the last slot whose end was seen
  ExchangeMillis end_ = 0;      // of the last block
  double requests_ = 0;
  ExchangeClock clock_;
  Outbox outbox_;

  std::string counting_trouble_;  // of the last slot
  std::string encoding_trouble_;
  int failures_ = 0;  // in a row
  std::map<std::string_view, double> events_;
};

Result<std::unique_ptr<Publisher>> make(PublisherSetup setup) {
  Result<net::RedisTarget> target = net::parse_redis_url(setup.options.text("url"));
  if (!target) return target.error();
  for (const auto& [setting, name] :
       {std::pair("version", &setup.version), std::pair("instance", &setup.instance)}) {
    if (auto wrong = wrong_exchange_name(*name)) return Error{*wrong, setting};
  }
  double longest = setup.options.number("max_length");
  if (longest < kShortestStream || longest > kLongestStream || longest != std::floor(longest))
    return Error{"is not possible (a whole number from 100 to 10000000)", "max_length"};
  std::string key =
      setup.options.has("stream") ? setup.options.text("stream") : default_stream(setup.deployment);
  ExchangeStream stream(std::move(*target), std::move(key));
  return std::unique_ptr<Publisher>(std::make_unique<ExchangePublisher>(
      std::move(setup), std::move(stream), static_cast<std::uint64_t>(longest)));
}

}  // namespace

std::string default_stream(std::string_view deployment) {
  return fmt::format("davy:exchange:{}", deployment);
}

const PublisherKind redis_publisher{
    .options = {{"url", OptionType::Secret, kRequired, "",
                 "redis://[user:password@]host[:port][/database], rediss:// for TLS (hiredis 1.0, "
                 "Debian 13), or unix://[user:password@]/path[?db=N]"},
                {"stream", OptionType::Text, kOptional, "",
                 "the key of the stream; davy:exchange:DEPLOYMENT when not said"},
                {"max_length", OptionType::Number, kOptional, "10000",
                 "about how many blocks, of all instances together, the stream keeps"}},
    .example = R"({ url: "redis://127.0.0.1:6379/0" })",
    .events = {"added_again", "dropped_blocks", "refused_blocks"},
    .make = make,
};

}  // namespace davy::source
