// Source: one way of learning what both versions served.
//
// Why: every source makes the same blocks, so the judge knows none of them. A kind of source is one
// file in `src/sources/kinds/` that ends in `extern const SourceKind NAME`.
// Threading: `collect` is called from one thread at a time (the deployment's), and may use the
// workers it is given to ask several targets at once. It returns by `ctx.deadline`.
// Failure: trouble of one target or of all is told in Collected, never thrown.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "davy/block.h"
#include "davy/options.h"
#include "davy/result.h"
#include "davy/time.h"

namespace davy {

class Archive;
class Heartbeats;
struct PublisherKind;
class Workers;
namespace net {
struct Means;
}

/// Which series count requests, errors and latency, written as in PromQL: `name{label="value"}`.
/// Several entries are alternatives: every series that matches any of them counts, once.
struct RequestSeries {
  std::vector<std::string> counter;     // requests
  std::vector<std::string> error_when;  // matchers on those counters: `code=~"5.."`
  std::vector<std::string> errors;      // or counters of errors of their own
  std::vector<std::string> histogram;   // base names, without _bucket
  double latency_unit = 1.0;            // seconds per unit of the histogram's bounds

  friend bool operator==(const RequestSeries&, const RequestSeries&) = default;
};

/// A series of the deployment's own metrics: what a version's instances show of it.
struct ValueSeries {
  enum class Kind {
    Gauge,  // the value as it is
    Rate,   // of a counter, per second
  };
  enum class Per {
    Instance,  // the mean over the version's instances
    Request,   // of a counter: what it grew by, per request served
  };
  std::string name;    // "memory": Value::name
  std::string series;  // `process_resident_memory_bytes{job="shop"}`; all that match are added up
  Kind kind = Kind::Gauge;
  Per per = Per::Instance;

  friend bool operator==(const ValueSeries&, const ValueSeries&) = default;
};

struct SourceContext {
  Deadline deadline;
  net::Means& net;
  Workers& workers;
  const Clock& clock;
  Heartbeats& heartbeats;     // for what applications report of themselves along the same way
  bool canary_alone = false;  // V2 has all the traffic: V1 may be gone
};

/// Something that befell a source, for davy's own metrics.
struct SourceEvent {
  std::string_view name;  // "malformed_lines": one of SourceKind::events
  double times = 0;       // since the last round
};

/// What one round brought.
struct Collected {
  // The counts since the last block; `t` is left 0 (the caller knows the run's zero). Absent on the
  // first round, and while a side is incomplete: then the next block covers the longer span.
  std::optional<Block> block;
  std::string trouble;  // what is wrong with the telemetry now, for a person; "" when all is well
  bool blind = false;   // nothing can be judged while this lasts
  std::size_t baseline_targets = 0;  // that answered
  std::size_t canary_targets = 0;
  std::vector<SourceEvent> events;
};

/// What a source is made of.
struct SourceSetup {
  const Options& options;
  const RequestSeries& requests;
  const std::vector<ValueSeries>& values;
  std::string_view deployment;  // its name
  // All is of one version: its instance's davy counts it, to publish it. Then it is the canary of
  // every block, and there is no baseline.
  bool one_version = false;
};

class Source {
 public:
  virtual ~Source() = default;
  virtual Collected collect(const SourceContext& ctx) = 0;
  /// How often to collect.
  virtual Duration every() const = 0;
  /// "scrape of 2 baseline and 1 canary targets"
  virtual std::string describe() const = 0;
  /// What it must remember over a restart of davy so that nothing is counted twice, written or read
  /// (base/archive.h). After a reading that failed the source is to be thrown away.
  virtual void archive(Archive& state) = 0;
};

struct SourceKind {
  std::string_view name;  // the key in the config: `scrape:`
  std::string_view summary;
  std::vector<OptionSpec> options;
  std::string_view example;
  /// What may befall it, by names that stay: the label `event` of davy_source_events_total.
  std::vector<std::string_view> events{};
  bool takes_one_version = false;            // see SourceSetup
  bool reads_series = true;                  // by RequestSeries; otherwise others have counted
  const PublisherKind* publisher = nullptr;  // whose blocks it merges; null = nobody's
  /// An Error's `setting` is the option, or the part of the RequestSeries, or "metrics".
  Result<std::unique_ptr<Source>> (*make)(const SourceSetup&);
};

/// Every kind in `src/sources/kinds/`, in the order of their names. Written by the build.
const std::vector<const SourceKind*>& source_kinds();

}  // namespace davy
