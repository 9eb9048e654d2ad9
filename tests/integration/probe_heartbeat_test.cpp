#include <doctest/doctest.h>

#include <memory>

#include "lab/probe.h"
#include "lab/process.h"
#include "net/means.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

struct Bench {
  explicit Bench(const std::string& ttl) {
    const ProbeKind& kind = lab::kind("heartbeat");
    probe = *kind.make(lab::options_for(kind.options, {{"ttl", ttl}}));
  }
  Outcome run() {
    return probe->run(ProbeContext{{Deadline::in(10s), means}, "queue", &heartbeats});
  }
  void report(Heartbeats::Said said, const std::string& message, Duration ago = {}) {
    heartbeats.report("queue", {said, message, machine_clock().now() - ago});
  }
  net::Means means;
  Heartbeats heartbeats;
  std::unique_ptr<Probe> probe;
};

}  // namespace

TEST_CASE("an application that has not reported yet has its ttl from the first run") {
  Bench b("1h");
  CHECK(lab::show(b.run()) == "error waiting: nothing reported yet");
  Bench impatient("50ms");
  CHECK(impatient.run().reason == "waiting");
  CHECK(lab::eventually([&] { return impatient.run().reason == "silent"; }));
}

TEST_CASE("a report counts for as long as its ttl") {
  Bench b("30s");
  b.report(Heartbeats::Said::Pass, "turning");
  Outcome fresh = b.run();
  CHECK(lab::show(fresh) == "pass: turning");
  CHECK(fresh.clear_of_fail > 0.5);
  b.report(Heartbeats::Said::Pass, "turning", 31s);
  Outcome silent = b.run();
  CHECK(lab::show(silent) == "fail silent: nothing reported for 31s, ttl is 30s");
  CHECK(silent.clear_of_fail < 0);
}

TEST_CASE("what the application says of itself is the outcome") {
  Bench b("30s");
  b.report(Heartbeats::Said::Warn, "queue is long");
  CHECK(lab::show(b.run()) == "warn reported: queue is long");
  b.report(Heartbeats::Said::Fail, "");
  CHECK(lab::show(b.run()) == "fail hard reported: it reports a failure");
  b.report(Heartbeats::Said::Fail, "poisoned \xff" + std::string(1000, 'x'));
  CHECK(b.run().message.size() < 600);
}

TEST_CASE("a report of another check is not this one's") {
  Bench b("1h");
  b.heartbeats.report("other", {Heartbeats::Said::Pass, "", machine_clock().now()});
  CHECK(b.run().reason == "waiting");
}

TEST_CASE("outside of the agent nobody can report") {
  CHECK(lab::run_probe("heartbeat", {}).reason == "no_listener");
  CHECK(lab::refusal("heartbeat", {{"ttl", "0s"}}) != "");
}
