#include "sources/process_start.h"

#include <doctest/doctest.h>

using namespace davy;
using namespace davy::source;
using namespace std::chrono_literals;
using Change = ProcessStart::Change;

namespace {

Time at(std::chrono::seconds s) {
  return Time{s};
}

}  // namespace

TEST_CASE("a process is the same while its start time moves by a second at most") {
  ProcessStart process;
  CHECK(process.see(1000, at(0s)) == Change::Unknown);
  CHECK(process.see(1001, at(5s)) == Change::Same);
  CHECK(process.see(1002, at(10s)) == Change::Same);
  CHECK(process.see(1001.5, at(15s)) == Change::Same);
}

TEST_CASE("a start time that moved is another process") {
  ProcessStart process;
  process.see(1000, at(0s));
  CHECK(process.see(1001.5, at(5s)) == Change::New);
  CHECK(process.see(1001.5, at(10s)) == Change::Same);
}

TEST_CASE("a start time before the moment at which the old process still answered is a set clock") {
  ProcessStart process;
  process.see(1000, at(0s));
  process.see(1000, at(60s));
  CHECK(process.see(1030, at(65s)) == Change::Moved);
  CHECK(process.see(1030, at(70s)) == Change::Same);
  CHECK(process.see(900, at(75s)) == Change::Moved);
  CHECK(process.see(976, at(80s)) == Change::New);
}

TEST_CASE("a process after one that was watched for long is told apart") {
  ProcessStart process;
  process.see(1000, at(0s));
  process.see(1000, at(600s));
  CHECK(process.see(1601, at(605s)) == Change::NewAfterLong);
}

TEST_CASE("a reading without a start time tells nothing and forgets nothing") {
  ProcessStart process;
  process.see(1000, at(0s));
  CHECK(process.see({}, at(5s)) == Change::Unknown);
  CHECK(process.see(1008, at(10s)) == Change::New);
  process.see({}, at(15s));
  process.forget();
  CHECK(process.see(1018, at(20s)) == Change::Unknown);
}
