// The scheduler on real threads, with probes that hang for as long as the test wants.

#include "schedule/scheduler.h"

#include <doctest/doctest.h>

#include <atomic>
#include <future>

#include "base/guarded.h"
#include "lab/process.h"
#include "net/means.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

std::promise<void> release;  // ends the hanging probes
std::shared_future<void> released;
std::atomic<int> started{0};

struct HangingProbe final : Probe {
  Outcome run(const ProbeContext&) override {
    ++started;
    released.wait();
    return {};
  }
};

struct ThrowingProbe final : Probe {
  Outcome run(const ProbeContext&) override { throw std::runtime_error("a defect"); }
};

template <typename P>
Result<std::unique_ptr<Probe>> make(const Options&) {
  return std::unique_ptr<Probe>(new P());
}

const ProbeKind kHanging{
    .name = "hanging", .summary = "", .options = {}, .example = "", .make = make<HangingProbe>};
const ProbeKind kThrowing{
    .name = "throwing", .summary = "", .options = {}, .example = "", .make = make<ThrowingProbe>};

config::Check check(const std::string& name, const ProbeKind& kind) {
  config::Check c;
  c.name = name;
  c.kind = &kind;
  c.roles = {Role::Readiness};
  c.schedule.period = c.schedule.period_fast = c.schedule.period_down = 100ms;
  c.schedule.timeout = 50ms;
  c.schedule.jitter = 0;
  c.schedule.stale_after = 1s;
  return c;
}

struct Bench {
  telemetry::Metrics metrics;
  net::Means net;
  Workers workers{"test", 1, 0};
  Guarded<std::vector<CheckView>> seen;
  Heartbeats heartbeats;
  schedule::Scheduler scheduler{
      {machine_clock(), workers, net, heartbeats, metrics, {}},
      [this](std::vector<CheckView> views) { *seen.lock() = std::move(views); }};

  CheckView view(std::size_t i) {
    auto views = seen.lock();
    return i < views->size() ? (*views)[i] : CheckView{};
  }
};

}  // namespace

TEST_CASE(
    "a probe that never returns fails its check, is started once, and leaves the others without a "
    "worker, which is said") {
  release = {};
  released = release.get_future().share();
  started = 0;
  Bench b;
  b.scheduler.set_checks({check("hangs", kHanging), check("waits", kHanging)});
  b.scheduler.start();
  CHECK(lab::eventually([&] { return b.view(0).status == CheckStatus::Fail && b.view(0).stuck; }));
  CHECK(lab::eventually([&] { return b.view(1).reason == "no_worker"; }));
  CHECK(b.view(1).status == CheckStatus::Pending);  // never asked: nothing is known of it
  CHECK(started == 1);
  CHECK(b.metrics.render({}, machine_clock().now()).find("davy_check_no_worker_total 0\n") ==
        std::string::npos);
  release.set_value();
  CHECK(lab::eventually([&] { return b.view(0).status == CheckStatus::Pass && !b.view(0).stuck; }));
  b.scheduler.stop();
}

TEST_CASE("a probe that throws is our own defect and says nothing about the dependency") {
  Bench b;
  b.scheduler.set_checks({check("throws", kThrowing)});
  b.scheduler.start();
  CHECK(lab::eventually([&] { return b.view(0).reason == "defect"; }));
  CHECK(b.view(0).status == CheckStatus::Pending);
  b.scheduler.stop();
}
