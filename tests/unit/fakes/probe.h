// A probe that answers what the test wants.
#pragma once

#include <memory>

#include "config/config.h"
#include "davy/probe.h"

namespace davy::fakes {

struct NothingProbe final : Probe {
  Outcome run(const ProbeContext&) override { return {}; }
};

inline const ProbeKind kNothing{
    .name = "nothing",
    .summary = "for tests",
    .options = {},
    .make = [](const Options&) -> Result<std::unique_ptr<Probe>> {
      return std::unique_ptr<Probe>(new NothingProbe());
    },
};

/// Fails after 3, passes again after 2, every 10 s, at most 2 s, no jitter.
inline config::Check check(std::string name, std::vector<Role> roles = {Role::Readiness}) {
  config::Check c;
  c.name = std::move(name);
  c.kind = &kNothing;
  c.roles = std::move(roles);
  c.schedule.jitter = 0;
  c.schedule.stale_after = std::chrono::seconds(32);
  return c;
}

}  // namespace davy::fakes
