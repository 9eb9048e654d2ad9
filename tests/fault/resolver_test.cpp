// Name servers that are dead, slow or of two minds, in a network namespace of the test's own.

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "base/child.h"
#include "lab/dns_server.h"
#include "lab/process.h"
#include "lab/server.h"
#include "net/means.h"
#include "net/socket.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

using List = std::vector<std::string>;

/// Runs the test of this name where port 53 of loopback is the only name server.
void run_inside(const std::string& inner) {
  lab::TempDir dir;
  lab::write_file(dir / "resolv.conf", "nameserver 127.0.0.1\n");
  std::string setup = "ip link set lo up && mount --bind " + dir / "resolv.conf" +
                      " /etc/resolv.conf && exec \"$0\" \"-tc=$1\" --no-skip";
  lab::Finished ran = lab::run({{"unshare", "-n", "-m", "sh", "-c", setup, own_path(), inner}});
  bool may_not = ran.output.find("unshare:") != std::string::npos ||
                 ran.output.find("mount:") != std::string::npos;
  if (may_not) {
    MESSAGE("skipped: a network of one's own needs root: " << ran.output);
    return;
  }
  CHECK_MESSAGE(ran.code == 0, ran.output);
  CHECK_MESSAGE(ran.output.find("1 passed") != std::string::npos, ran.output);
}

}  // namespace

TEST_CASE("inner: a dead resolver" * doctest::skip()) {
  lab::DnsServer server({.records = {"127.0.0.1"}}, "127.0.0.1", 53);
  server.answer_from_now_on({.is_silent = true});
  net::Means means;
  Time began = machine_clock().now();
  Result<List> seen = means.resolver.resolve("db.test", Deadline::in(400ms));
  Duration took = machine_clock().now() - began;
  REQUIRE_FALSE(seen);
  CHECK(seen.error().what ==
        "cannot resolve \"db.test\": the resolver did not answer (no name server answered)");
  CHECK(took < 4s);  // libc's own patience is 10 s
  CHECK(means.resolver.timeouts() == 1);
  CHECK(means.helpers.killed() == 1);
  int asked = server.questions();
  std::vector<std::jthread> callers;
  for (int i = 0; i < 20; ++i) {
    callers.emplace_back(
        [&] { CHECK_FALSE(means.resolver.resolve("db.test", Deadline::in(400ms))); });
  }
  callers.clear();
  CHECK(server.questions() == asked);  // told at once
  CHECK(means.helpers.alive() == 0);
  // A name that needs no name server still works, and so does a connection to it.
  CHECK(means.resolver.resolve("localhost", Deadline::in(10s)));
}

TEST_CASE("inner: a connection to a name nobody resolves" * doctest::skip()) {
  lab::DnsServer server({.records = {"127.0.0.1"}}, "127.0.0.1", 53);
  server.answer_from_now_on({.is_silent = true});
  net::Means means;
  auto made = net::connect_tcp({"db.test", 5432}, {Deadline::in(300ms), means});
  REQUIRE(std::holds_alternative<net::ConnectError>(made));
  CHECK(std::get<net::ConnectError>(made).kind == net::ConnectFailure::Resolve);
}

TEST_CASE("inner: answers and failures" * doctest::skip()) {
  lab::DnsServer server({.records = {"127.0.0.1"}}, "127.0.0.1", 53);
  net::Means means;
  server.answer_from_now_on({.records = {"127.0.0.7"}});
  Result<List> found = means.resolver.resolve("db.test", Deadline::in(10s));
  REQUIRE(found);
  CHECK(*found == List{"127.0.0.7"});
  CHECK(means.helpers.started() == 1);

  server.answer_from_now_on({.rcode = 3});
  Result<List> missing = means.resolver.resolve("nobody.test", Deadline::in(10s));
  REQUIRE_FALSE(missing);
  CHECK(missing.error().what.find("Name or service not known") != std::string::npos);
  CHECK(means.resolver.timeouts() == 0);

  server.answer_from_now_on({.rcode = 2});
  Result<List> failed = means.resolver.resolve("broken.test", Deadline::in(10s));
  REQUIRE_FALSE(failed);
  CHECK(failed.error().what.find("did not answer (Temporary failure") != std::string::npos);
  CHECK(means.resolver.timeouts() == 1);
  CHECK(means.helpers.started() == 1);  // nobody had to be killed
}

TEST_CASE("inner: a slow resolver" * doctest::skip()) {
  lab::DnsServer server({.records = {"127.0.0.1"}}, "127.0.0.1", 53);
  server.answer_from_now_on({.records = {"127.0.0.7"}, .late = 300ms});
  net::Means means;
  CHECK_FALSE(means.resolver.resolve("db.test", Deadline::in(50ms)));
  // Somebody with the time for it gets the answer all the same.
  Result<List> found = means.resolver.resolve("db.test", Deadline::in(20s));
  REQUIRE(found);
  CHECK(*found == List{"127.0.0.7"});
}

TEST_CASE("inner: a resolver of two minds" * doctest::skip()) {
  lab::DnsServer server({.records = {"127.0.0.1"}}, "127.0.0.1", 53);
  net::Means means;
  server.answer_from_now_on({.records = {"127.0.0.7"}});
  CHECK(means.resolver.resolve("db.test", Deadline::in(10s)));
  server.answer_from_now_on({.is_silent = true});
  int asked = server.questions();
  for (int i = 0; i < 50; ++i) {
    Result<List> seen = means.resolver.resolve("db.test", Deadline::in(1s));
    CHECK((seen && *seen == List{"127.0.0.7"}));
  }
  CHECK(server.questions() == asked);  // it is fresh for a while
  for (int i = 0; i < 3; ++i) {
    bool is_missing = i % 2 == 0;
    server.answer_from_now_on(is_missing ? lab::DnsServer::Answer{.rcode = 3}
                                         : lab::DnsServer::Answer{.records = {"127.0.0.8"}});
    Result<List> seen = means.resolver.resolve("flips.test", Deadline::in(10s));
    CHECK(static_cast<bool>(seen) == (i % 2 == 1));
    if (seen) break;  // from here on it is remembered
  }
}

TEST_CASE("a dead resolver costs one caller its deadline, and the others nothing") {
  run_inside("inner: a dead resolver");
}

TEST_CASE("a name that nobody resolves is a failure to resolve, at the deadline") {
  run_inside("inner: a connection to a name nobody resolves");
}

TEST_CASE("a name that does not exist, a failing and an answering name server are told apart") {
  run_inside("inner: answers and failures");
}

TEST_CASE("a slow name server answers whoever has the time") {
  run_inside("inner: a slow resolver");
}

TEST_CASE("a name server that answers differently each time is asked seldom") {
  run_inside("inner: a resolver of two minds");
}
