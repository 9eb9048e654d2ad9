// What the resolver remembers, with answers by hand and a clock moved by hand.

#include "net/resolver.h"

#include <doctest/doctest.h>

#include <thread>

#include "unit/fakes/clock.h"

using namespace davy;
using namespace std::chrono_literals;
using Kind = wire::LookedUp::Kind;

namespace {

struct Bench {
  wire::LookedUp next{Kind::Found, {"10.0.0.1"}, ""};
  Duration takes = 0s;
  int asked = 0;
  Duration allowed{0};  // to the last query
  fakes::HandClock clock;
  net::Resolver resolver{[this](const std::string&, Deadline deadline) {
                           ++asked;
                           allowed = deadline.left();
                           clock.advance(takes);
                           return next;
                         },
                         clock};

  Result<std::vector<std::string>> resolve(Duration patience = 2s) {
    return resolver.resolve("db", Deadline::in(patience));
  }
  /// No name server answers: a query is cut after `waited`.
  void go_silent(Duration waited) {
    next = {Kind::Cut, {}, "no name server answered"};
    takes = waited;
  }
};

using List = std::vector<std::string>;

}  // namespace

TEST_CASE("a numeric host is its own address and asks nobody") {
  Bench b;
  CHECK(*b.resolver.resolve("127.0.0.1", Deadline::in(1s)) == List{"127.0.0.1"});
  CHECK(*b.resolver.resolve("::1", Deadline::in(1s)) == List{"::1"});
  CHECK(b.asked == 0);
}

TEST_CASE("an answer is fresh for ten seconds and asked for again after that") {
  Bench b;
  CHECK(*b.resolve() == List{"10.0.0.1"});
  b.clock.advance(9s);
  CHECK(b.resolve());
  CHECK(b.asked == 1);
  b.clock.advance(2s);
  b.next.addresses = {"10.0.0.2"};
  CHECK(*b.resolve() == List{"10.0.0.2"});
  CHECK(b.asked == 2);
}

TEST_CASE("while the resolver is silent the last answer is served, for ten minutes") {
  Bench b;
  REQUIRE(b.resolve());
  b.go_silent(500ms);
  b.clock.advance(60s);
  CHECK(*b.resolve() == List{"10.0.0.1"});
  CHECK(b.resolver.timeouts() == 1);
  CHECK(b.resolver.stale_answers() == 1);
  b.clock.advance(8min);
  CHECK(*b.resolve() == List{"10.0.0.1"});
  b.clock.advance(2min);
  Result<List> seen = b.resolve();
  REQUIRE_FALSE(seen);
  CHECK(seen.error().what ==
        "cannot resolve \"db\": the resolver did not answer (no name server answered)");
}

TEST_CASE("who has an old answer in hand waits for a third of its time only") {
  Bench b;
  REQUIRE(b.resolve());
  b.go_silent(0s);
  b.clock.advance(60s);
  CHECK(b.resolve(3s));
  CHECK(b.allowed <= 1s);
  CHECK(b.allowed > 0s);
  b.clock.advance(60s);
  CHECK(b.resolve(1h));
  CHECK(b.allowed <= 1800ms);
}

TEST_CASE("a name that does not exist is an answer, which ends what was known of it") {
  Bench b;
  REQUIRE(b.resolve());
  b.clock.advance(60s);
  b.next = {Kind::NoSuchName, {}, "Name or service not known"};
  Result<List> seen = b.resolve();
  REQUIRE_FALSE(seen);
  CHECK(seen.error().what == "cannot resolve \"db\": Name or service not known");
  CHECK(b.resolver.timeouts() == 0);
  b.go_silent(2s);
  CHECK_FALSE(b.resolve());
  CHECK(b.resolver.stale_answers() == 0);
}

TEST_CASE("after a time-out callers are told at once for five seconds, then one asks again") {
  Bench b;
  b.go_silent(2s);
  CHECK_FALSE(b.resolve());
  for (int i = 0; i < 10; ++i) CHECK_FALSE(b.resolve());
  CHECK(b.asked == 1);
  b.clock.advance(6s);
  CHECK_FALSE(b.resolve());
  CHECK(b.asked == 2);
}

TEST_CASE("a caller with much more time than the last one had may ask, as its answer may be slow") {
  Bench b;
  b.go_silent(100ms);
  CHECK_FALSE(b.resolve(100ms));
  b.next = {Kind::Found, {"10.0.0.1"}, ""};
  CHECK(b.resolve(2s));
  CHECK(b.asked == 2);
}

TEST_CASE("when libc has given up by itself, more time does not help for five seconds") {
  Bench b;
  b.next = {Kind::NoAnswer, {}, "Temporary failure in name resolution"};
  CHECK_FALSE(b.resolve(1s));
  CHECK_FALSE(b.resolve(1h));
  CHECK(b.asked == 1);
}

TEST_CASE("not being able to ask is our own trouble, said as such and asked again at once") {
  Bench b;
  b.next = {Kind::Unable, {}, "cannot start a helper process: Too many open files"};
  Result<List> seen = b.resolve();
  REQUIRE_FALSE(seen);
  CHECK(seen.error().what ==
        "cannot resolve \"db\": davy could not ask: cannot start a helper process: Too many open "
        "files");
  CHECK(b.resolver.timeouts() == 0);
  CHECK_FALSE(b.resolve());
  CHECK(b.asked == 2);
}

TEST_CASE("one query is in flight for a name, and the others get its answer") {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_asked = false;
  bool may_answer = false;
  std::atomic<int> asked = 0;
  net::Resolver resolver([&](const std::string&, Deadline) {
    ++asked;
    std::unique_lock<std::mutex> lock(mutex);
    is_asked = true;
    changed.notify_all();
    changed.wait(lock, [&] { return may_answer; });
    return wire::LookedUp{Kind::Found, {"10.0.0.1"}, ""};
  });
  std::atomic<int> found = 0;
  {
    std::jthread first([&] { found += resolver.resolve("db", Deadline::in(1min)) ? 1 : 0; });
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return is_asked; });
    lock.unlock();
    // One whose time is up does not wait for the others' query.
    CHECK_FALSE(resolver.resolve("db", Deadline(Time{})));
    std::jthread second([&] { found += resolver.resolve("db", Deadline::in(1min)) ? 1 : 0; });
    lock.lock();
    may_answer = true;
    lock.unlock();
    changed.notify_all();
  }
  CHECK(found == 2);
  CHECK(asked == 1);
}
