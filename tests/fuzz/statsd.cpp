// Packets of StatsD as anybody may send them: whatever comes, nothing crashes, every count is one,
// and a series counts the same whether it is remembered or decided anew for each line.
//
// The first byte says what the rest is: a packet, a packet that was cut off, or a saved state.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/archive.h"
#include "sources/statsd/intake.h"

using namespace davy;
using namespace davy::source;

namespace {

constexpr Time kStart{std::chrono::hours(1)};

StatsdRules make_rules() {
  StatsdRules::Settings settings;
  settings.when = {"version=\"v1\"", "version=~\"v2|\""};
  settings.instance_tag = "host";
  settings.service_checks = {"queue=worker"};
  settings.max_series = 100;
  return *StatsdRules::compile(
      {.counter = {"n"},
       .error_when = {"code=~\"5..\""},
       .errors = {"e"},
       .histogram = {"n", "h"},
       .latency_unit = 1},
      {{.name = "g", .series = "g"}, {.name = "r", .series = "n", .kind = ValueSeries::Kind::Rate}},
      settings);
}

const StatsdRules& rules() {
  static const StatsdRules all = make_rules();
  return all;
}

void insist(bool is_so) {
  if (!is_so) std::abort();
}

void check(const StatsdSpan& span) {
  for (const Portion& portion : span.portions) {
    insist(portion.tally.requests >= 0 && portion.tally.requests <= 1e15);
    insist(portion.tally.errors >= 0 && portion.tally.errors <= portion.tally.requests);
    for (const Tally::Sum& sum : portion.tally.values) insist(std::isfinite(sum.of));
  }
}

void check_same(const StatsdSpan& a, const StatsdSpan& b) {
  insist(a.lines == b.lines && a.malformed.times == b.malformed.times &&
         a.refused.times == b.refused.times && a.portions.size() == b.portions.size());
  for (std::size_t i = 0; i < a.portions.size(); ++i) {
    insist(a.portions[i].tally.requests == b.portions[i].tally.requests);
    insist(a.portions[i].tally.errors == b.portions[i].tally.errors);
  }
  insist(a.latency == b.latency);
}

void take_packet(std::string_view packet, bool is_truncated) {
  StatsdIntake remembering(rules());
  StatsdIntake forgetful(rules());
  for (StatsdIntake* intake : {&remembering, &forgetful}) (void)intake->end_span(kStart);
  Time now = kStart;
  for (int i = 0; i < 3; ++i) {
    now = now + std::chrono::seconds(40);
    remembering.take(packet, now, is_truncated);
    forgetful.take(packet, now, is_truncated);
    StatsdSpan span = remembering.end_span(now);
    check(span);
    check_same(span, forgetful.end_span(now));
    forgetful.empty_table();
  }
  Archive out = Archive::writer();
  remembering.archive(out, now);
  StatsdIntake loaded(rules());
  Archive in = Archive::reader(out.bytes());
  loaded.archive(in, now);
  insist(!in.failed() && in.at_end());
}

void load(std::string_view bytes) {
  StatsdIntake intake(rules());
  Archive in = Archive::reader(std::string(bytes));
  intake.archive(in, kStart);
  if (in.failed()) return;
  (void)intake.end_span(kStart);
  intake.take("n:1|c|#version:v1,host:a\ng:1|g|#version:v2", kStart);
  check(intake.end_span(kStart + std::chrono::seconds(5)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  std::string_view rest(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  if (bytes[0] == 's')
    load(rest);
  else
    take_packet(rest, bytes[0] == 't');
  return 0;
}
