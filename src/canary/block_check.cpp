#include "canary/block_check.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace davy::canary {
namespace {

constexpr double kMostCount = 1e15;  // beyond it doubles no longer count one by one

bool is_count(double x) {
  return x >= 0 && x <= kMostCount && x == static_cast<double>(static_cast<std::int64_t>(x));
}

std::optional<std::string> wrong_count(double count, std::string_view what) {
  if (is_count(count)) return std::nullopt;
  if (!std::isfinite(count)) return fmt::format("{} is not a number", what);
  if (count < 0) return fmt::format("{} is negative ({:g})", what, count);
  if (count > kMostCount) return fmt::format("{} is more than {:g}", what, kMostCount);
  return fmt::format("{} is {:g}, not a whole number (counts must be raw, not extrapolated)", what,
                     count);
}

std::optional<std::string> wrong_with(const Histogram& h) {
  if (h.bounds.empty() || h.counts.size() != h.bounds.size() + 1)
    return "the latency histogram does not have one count more than bounds";
  for (std::size_t i = 0; i < h.bounds.size(); ++i) {
    bool ascends = i == 0 || h.bounds[i] > h.bounds[i - 1];
    if (!std::isfinite(h.bounds[i]) || !ascends)
      return "the latency histogram's bounds are not finite and ascending";
  }
  auto bad = std::find_if_not(h.counts.begin(), h.counts.end(), is_count);
  if (bad != h.counts.end()) return wrong_count(*bad, "a count of the latency histogram");
  return std::nullopt;
}

std::optional<std::string> wrong_with(const VersionCounts& v) {
  if (auto wrong = wrong_count(v.requests, "the number of requests")) return wrong;
  if (auto wrong = wrong_count(v.errors, "the number of errors")) return wrong;
  if (v.errors > v.requests)
    return fmt::format("more errors ({:g}) than requests ({:g})", v.errors, v.requests);
  if (v.latency) {
    if (auto wrong = wrong_with(*v.latency)) return wrong;
  }
  for (const PodCounts& pod : v.pods) {
    if (auto wrong = wrong_count(pod.requests, "an instance's number of requests")) return wrong;
    if (auto wrong = wrong_count(pod.errors, "an instance's number of errors")) return wrong;
    if (auto wrong = wrong_count(pod.restarts, "an instance's number of restarts")) return wrong;
    if (pod.errors > pod.requests)
      return fmt::format("instance {} has more errors than requests", pod.id);
    if (pod.age && !(*pod.age >= 0)) return fmt::format("instance {} has no possible age", pod.id);
    if (pod.latency) {
      if (auto wrong = wrong_with(*pod.latency)) return wrong;
    }
  }
  for (const Value& value : v.values) {
    if (!std::isfinite(value.value))
      return fmt::format("the value of {} is not a number", value.name);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> wrong_with(const Block& block, std::optional<double> since) {
  if (!std::isfinite(block.t) || !std::isfinite(block.dt)) return "the block's time is no number";
  if (block.dt <= 0) return fmt::format("the block lasts {:g} s (more than 0)", block.dt);
  if (since && block.t <= *since)
    return fmt::format("time goes backwards: a block at {:g} s after one at {:g} s", block.t,
                       *since);
  if (block.weight && !(*block.weight >= 0 && *block.weight <= 1))
    return fmt::format("the canary's share is {:g} (0 to 1)", *block.weight);
  if (auto wrong = wrong_with(block.baseline)) return "V1: " + *wrong;
  if (auto wrong = wrong_with(block.canary)) return "V2: " + *wrong;
  return std::nullopt;
}

}  // namespace davy::canary
