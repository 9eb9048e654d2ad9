// A Prometheus' answers. Whatever comes: what is taken holds what nlohmann reads in it, and an
// answer that comes twice has counted nothing in between.
#include "sources/prometheus/json.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "promjson_oracle.h"
#include "sources/prometheus/fleet.h"

using namespace davy::source;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const Rules rules = *Rules::compile(
      {.counter = {"n"}, .error_when = {"code=~\"5..\""}, .errors = {}, .histogram = {"h"}});
  static const FleetSetup setup{.rules = rules,
                                .when = {*Matchers::parse("v=\"1\""), *Matchers::parse("v=\"2\"")},
                                .asked_for = {},
                                .instance_label = ""};
  std::string body(reinterpret_cast<const char*>(bytes), size);
  davy::fuzz::Kept kept;
  if (!read_prom_answer(body, kept)) return 0;
  std::optional<davy::fuzz::Kept> expected = davy::fuzz::by_nlohmann(body);
  if (!expected || kept.all != expected->all) std::abort();

  std::array<std::vector<PromTable>, 2> tables;
  for (Side side : kSides) {
    PromTable& table = tables[index(side)].emplace_back();
    if (!read_prom_answer(body, table)) std::abort();
  }
  Fleet fleet = read_fleet(tables, setup);
  Rounds rounds(rules);
  for (davy::Time now : {davy::Time{std::chrono::hours(1)}, davy::Time{std::chrono::hours(2)}}) {
    davy::Collected collected = rounds.finish_round(fleet.answers, now, 1);
    if (!collected.block) continue;
    // The same answer again: nothing has happened since.
    if (collected.block->baseline.requests != 0 || collected.block->canary.requests != 0)
      std::abort();
  }
  return 0;
}
