#include "peers/peers.h"

#include <doctest/doctest.h>

using namespace davy;
using namespace davy::peers;

namespace {

/// An hour of blocks in which V2 fails `k2` of its 50 requests; the peer's rollback.
std::optional<double> verdict(const std::string& name, double k2) {
  for (const NamedPeer& named : all_peers()) {
    if (named.name != name) continue;
    std::unique_ptr<Peer> peer = named.make();
    for (double t = 5; t <= 3600; t += 5) {
      Block b;
      b.baseline.requests = 950;
      b.baseline.errors = 1;
      b.canary.requests = 50;
      b.canary.errors = k2;
      peer->see(b, t);
    }
    return peer->rolled_back();
  }
  FAIL("no such peer");
  return std::nullopt;
}

}  // namespace

TEST_CASE("thresholds count failing minutes") {
  CHECK(verdict("errors > 0.1% in a minute (Argo)", 1) == 60);
  CHECK(verdict("errors > 0.1% in 5 minutes (Flagger)", 1) == 300);
  CHECK_FALSE(verdict("errors > 0.1% in a minute (Argo)", 0));
}

TEST_CASE("the z-test looks as often as it is told") {
  // p = 2/1000, se = sqrt(0.002 * 0.998 * (1/950 + 1/50)), z = (0.02 - 1/950)/se = 2.92
  CHECK(verdict("z-test 1%, every scrape", 1) == 5);
  CHECK(verdict("z-test 5%, once at the end", 1) == 3600);
  CHECK_FALSE(verdict("z-test 5%, every scrape", 0));
}

TEST_CASE("Kayenta waits ten minutes, then sees one flat level above another") {
  CHECK(verdict("Kayenta, every minute", 1) == 600);
  CHECK(verdict("Kayenta, once at the end", 1) == 3600);
  CHECK_FALSE(verdict("Kayenta, every minute", 0));
}
