#include "net/watchdog.h"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

using namespace davy;
using namespace std::chrono_literals;

TEST_CASE("a guard runs its action at the deadline and then says so") {
  net::Watchdog dog;
  std::promise<void> ran;
  net::Watchdog::Guard guard(dog, Deadline::in(1ms), [&] { ran.set_value(); });
  ran.get_future().wait();
  CHECK(guard.fired());
}

TEST_CASE("a guard that is gone never runs its action") {
  net::Watchdog dog;
  std::atomic<bool> ran = false;
  {
    net::Watchdog::Guard guard(dog, Deadline::in(20ms), [&] { ran = true; });
  }
  std::promise<void> later;
  net::Watchdog::Guard after(dog, Deadline::in(40ms), [&] { later.set_value(); });
  later.get_future().wait();
  CHECK_FALSE(ran);
}

TEST_CASE("a guard that is made too late fires at once") {
  net::Watchdog dog;
  std::promise<void> ran;
  net::Watchdog::Guard guard(dog, Deadline::in(-1s), [&] { ran.set_value(); });
  ran.get_future().wait();
  CHECK(guard.fired());
}

TEST_CASE("guards fire in the order of their deadlines whatever the order they were made in") {
  net::Watchdog dog;
  std::vector<int> order;  // written by the watchdog's thread only, read after the last has run
  std::promise<void> last;
  Deadline start = Deadline::in(30ms);
  net::Watchdog::Guard third(dog, Deadline(start.at() + 20ms), [&] {
    order.push_back(3);
    last.set_value();
  });
  net::Watchdog::Guard first(dog, start, [&] { order.push_back(1); });
  net::Watchdog::Guard second(dog, Deadline(start.at() + 10ms), [&] { order.push_back(2); });
  net::Watchdog::Guard never(dog, Deadline(Time::never()), [&] { order.push_back(4); });
  last.get_future().wait();
  CHECK(order == std::vector<int>{1, 2, 3});
  CHECK_FALSE(never.fired());
}

TEST_CASE("a guard's end waits for its action while the action runs") {
  net::Watchdog dog;
  std::promise<void> started;
  std::promise<void> proceed;
  std::atomic<bool> finished = false;
  std::thread helper;
  {
    net::Watchdog::Guard guard(dog, Deadline::in(1ms), [&] {
      started.set_value();
      proceed.get_future().wait();
      finished = true;
    });
    started.get_future().wait();
    helper = std::thread([&] { proceed.set_value(); });
  }
  CHECK(finished);
  helper.join();
}
