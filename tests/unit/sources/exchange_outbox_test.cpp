#include "sources/exchange/outbox.h"

#include <doctest/doctest.h>

#include "base/archive.h"

using namespace davy;
using namespace davy::source;

namespace {

/// All that waits, in its order.
std::string waiting(Outbox outbox) {
  std::string all;
  for (int id = 0; outbox.next() != nullptr; ++id) {
    all += outbox.next()->bytes + " ";
    outbox.acknowledge("9-" + std::to_string(id), 9);
  }
  return all;
}

/// a to e, acknowledged as 1-0 to 5-0: two over connection 1, the others over 2.
Outbox delivered() {
  Outbox outbox;
  for (int i = 0; i < 5; ++i) {
    outbox.add(std::string(1, static_cast<char>('a' + i)));
    outbox.acknowledge(std::to_string(i + 1) + "-0", i < 2 ? 1 : 2);
  }
  return outbox;
}

}  // namespace

TEST_CASE("blocks wait in their order until they are acknowledged") {
  Outbox outbox;
  CHECK(outbox.next() == nullptr);
  CHECK(outbox.last_held() == nullptr);
  for (const char* bytes : {"a", "b", "c"}) CHECK(outbox.add(bytes) == 0);
  CHECK(outbox.waiting() == 3);
  outbox.acknowledge("1-0", 1);
  CHECK(outbox.last_held()->id == "1-0");
  CHECK(waiting(outbox) == "b c ");
}

TEST_CASE("what came over an earlier connection is unsure until the stream is found to have it") {
  Outbox outbox = delivered();
  CHECK(outbox.unsure_of(2)->id == "2-0");
  outbox.confirm("2-0", 2);
  CHECK(outbox.unsure_of(2) == nullptr);
  CHECK(outbox.unsure_of(3)->id == "5-0");
  outbox.doubt();
  CHECK(outbox.unsure_of(2)->id == "5-0");
}

TEST_CASE("what the stream has lost waits again, in the old order and before what is new") {
  Outbox outbox = delivered();
  outbox.add("f");
  while (const Outbox::Entry* unsure = outbox.unsure_of(3)) {
    if (unsure->id == "2-0") {
      outbox.confirm("2-0", 3);
      break;
    }
    outbox.send_again(std::string(unsure->id));
  }
  CHECK(outbox.unsure_of(3) == nullptr);
  CHECK(waiting(outbox) == "c d e f ");
}

TEST_CASE("the oldest is dropped when too many wait, and the held ones go first") {
  Outbox outbox = delivered();
  for (std::size_t i = 0; i < Outbox::kMostWaiting; ++i) CHECK(outbox.add("x") == 0);
  CHECK(outbox.add("y") == 1);
  CHECK(outbox.waiting() == Outbox::kMostWaiting);
  CHECK(outbox.last_held() != nullptr);

  Outbox large = delivered();
  std::string big(Outbox::kMostBytes / 4, 'x');
  for (int i = 0; i < 4; ++i) CHECK(large.add(big) == 0);
  CHECK(large.last_held() == nullptr);
  CHECK(large.add(big) == 1);
  CHECK(large.waiting() == 4);
}

TEST_CASE("no more are held than a Redis may lose in ten minutes") {
  Outbox outbox;
  for (std::size_t i = 0; i < Outbox::kMostHeld + 5; ++i) {
    outbox.add("x");
    outbox.acknowledge(std::to_string(i) + "-0", 1);
  }
  std::size_t held = 0;
  for (; const Outbox::Entry* entry = outbox.unsure_of(2); ++held)
    outbox.send_again(std::string(entry->id));
  CHECK(held == Outbox::kMostHeld);
}

TEST_CASE("an outbox that is saved and loaded is sure of nothing that it held") {
  Outbox outbox = delivered();
  outbox.add("f");
  Archive out = Archive::writer();
  out(outbox);
  Outbox loaded;
  Archive in = Archive::reader(out.bytes());
  in(loaded);
  REQUIRE_FALSE(in.failed());
  CHECK(waiting(loaded) == "f ");
  CHECK(loaded.unsure_of(2)->id == "5-0");
}
