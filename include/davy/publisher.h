// Publisher: what one instance of one version served, sent to where judges read it.
//
// Why: where no Prometheus sees all instances, the davy beside each counts its own and publishes; a
// source of the same kind (`SourceKind::publisher`) reads what all of them published.
// Threading: used by one thread at a time. Calls return by ctx.deadline, except name resolution.
// Failure: trouble is told in the report, never thrown; what could not be sent waits.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "davy/options.h"
#include "davy/result.h"
#include "davy/source.h"
#include "davy/time.h"

namespace davy {

class Archive;

struct PublisherReport {
  std::string trouble;  // of the counting or of the sending, for a person; "" when all is well
  std::vector<SourceEvent> events;
  std::size_t waiting = 0;   // blocks that have not arrived yet
  std::uint64_t blocks = 0;  // that were made since its memory began
  double requests = 0;       // in them
};

class Publisher {
 public:
  virtual ~Publisher() = default;

  /// How long until the present slot ends, which is when to count.
  virtual Duration until_due(Time now) const = 0;
  /// Counts, and makes a block of it. `is_last` says that the instance leaves.
  virtual void count(const SourceContext& ctx, bool is_last) = 0;
  /// Sends what waits. REQUIRES: what was counted is saved, where anything is.
  virtual PublisherReport send(const SourceContext& ctx) = 0;
  /// "shop v2 as web-1 to redis 127.0.0.1:6379, stream davy:exchange:shop"
  virtual std::string describe() const = 0;

  /// What it must remember over a restart of davy so that nothing is lost or published twice. After
  /// a reading that failed the publisher is to be thrown away.
  virtual void archive(Archive& state) = 0;
  /// To be told after such a reading: the steady clock has begun anew since it was written.
  virtual void see_reboot() = 0;
};

/// What a publisher is made of.
struct PublisherSetup {
  const Options& options;
  std::string deployment;
  std::string version;
  std::string instance;
  std::vector<ValueSeries> values;  // those that the source reads
  std::unique_ptr<Source> source;   // of one version
};

struct PublisherKind {
  std::vector<OptionSpec> options;
  std::string_view example;
  /// What may befall it: the label `event` of davy_publish_events_total.
  std::vector<std::string_view> events{};
  /// An Error's `setting` is the option, or "version" or "instance".
  Result<std::unique_ptr<Publisher>> (*make)(PublisherSetup);
};

}  // namespace davy
