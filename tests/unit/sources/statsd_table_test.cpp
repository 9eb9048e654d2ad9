#include "sources/statsd/table.h"

#include <doctest/doctest.h>

#include <string>

using namespace davy;
using namespace davy::source;

namespace {

bool insert(StatsdTable& table, const std::string& name, const std::string& rest, double weight) {
  return table.insert(table.hash(name, rest), name, rest, {.weight = weight});
}

double weight(const StatsdTable& table, const std::string& name, const std::string& rest) {
  const StatsdAction* action = table.find(table.hash(name, rest), name, rest);
  return action != nullptr ? action->weight : -1;
}

}  // namespace

TEST_CASE("each of many series is found by its own bytes") {
  StatsdTable table(5000);
  for (int i = 0; i < 5000; ++i)
    CHECK(insert(table, "name." + std::to_string(i % 50), "c|#id:" + std::to_string(i), i));
  CHECK(table.size() == 5000);
  for (int i = 0; i < 5000; ++i)
    CHECK(weight(table, "name." + std::to_string(i % 50), "c|#id:" + std::to_string(i)) == i);
  CHECK(weight(table, "name.1", "c|#id:2") == -1);
  CHECK(weight(table, "name.", "c|#id:1") == -1);
}

TEST_CASE("where a name ends is part of the series") {
  StatsdTable table(10);
  CHECK(insert(table, "ab", "c", 1));
  CHECK(insert(table, "a", "bc", 2));
  CHECK(weight(table, "ab", "c") == 1);
  CHECK(weight(table, "a", "bc") == 2);
  CHECK(table.hash("ab", "c") != table.hash("a", "bc"));
  CHECK(table.hash("a", "b") != table.hash("b", "a"));
}

TEST_CASE("hashes differ for texts of all lengths that differ in one byte or in length") {
  StatsdTable table(1);
  std::string text(100, 'x');
  for (std::size_t n = 1; n <= text.size(); ++n) {
    std::string one = text.substr(0, n);
    CHECK(table.hash("a", one) != table.hash("a", one.substr(1)));
    for (std::size_t i = 0; i < n; ++i) {
      std::string other = one;
      other[i] = 'y';
      CHECK(table.hash("a", one) != table.hash("a", other));
    }
  }
}

TEST_CASE("a full table takes no more, and says so until it is emptied") {
  StatsdTable table(3);
  for (int i = 0; i < 3; ++i) CHECK(insert(table, std::to_string(i), "c", i));
  CHECK_FALSE(table.is_full());
  CHECK_FALSE(insert(table, "3", "c", 3));
  CHECK(table.is_full());
  CHECK(weight(table, "3", "c") == -1);
  CHECK(weight(table, "2", "c") == 2);
  table.clear();
  CHECK_FALSE(table.is_full());
  CHECK(weight(table, "2", "c") == -1);
  CHECK(insert(table, "3", "c", 3));
}

TEST_CASE("long names fill a table as well") {
  StatsdTable table(10);
  CHECK(insert(table, "a", std::string(1500, 'x'), 1));
  CHECK_FALSE(insert(table, "b", std::string(1500, 'x'), 2));
  CHECK(table.is_full());
  CHECK(insert(table, "c", "c", 3));
}
