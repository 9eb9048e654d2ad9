#include "sources/targets/stagger.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "base/archive.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

using Seats = std::vector<source::Stagger::Seat>;

void add(Seats& seats, const std::string& version, int first, int count) {
  for (int i = first; i < first + count; ++i)
    seats.push_back({version + " " + std::to_string(i), version});
}

double mean(const std::vector<double>& places, std::size_t from, std::size_t count) {
  auto begin = places.begin() + static_cast<long>(from);
  return std::accumulate(begin, begin + static_cast<long>(count), 0.0) / static_cast<double>(count);
}

}  // namespace

TEST_CASE("the window is a tenth of the interval, and never more than the timeout leaves of it") {
  CHECK(source::stagger_window(5s, 2s) == 500ms);
  CHECK(source::stagger_window(60s, 2s) == 1s);
  CHECK(source::stagger_window(5s, 4800ms) == 200ms);
  CHECK(source::stagger_window(5s, 5s) == 0s);
}

TEST_CASE("a few targets are asked at once") {
  source::Stagger stagger;
  Seats seats;
  add(seats, "baseline", 0, 5);
  add(seats, "canary", 0, 2);
  CHECK(stagger.places(seats) == std::vector<double>(7, 0.0));
}

TEST_CASE("both versions are spread alike, however different their numbers are") {
  for (int canaries : {1, 2, 3, 7, 20, 100}) {
    source::Stagger stagger;
    Seats seats;
    add(seats, "baseline", 0, 100);
    add(seats, "canary", 0, canaries);
    std::vector<double> places = stagger.places(seats);
    auto n = static_cast<std::size_t>(canaries);
    CHECK(mean(places, 0, 100) == doctest::Approx(0.5).epsilon(0.04));
    CHECK(std::abs(mean(places, 100, n) - mean(places, 0, 100)) < 0.13);
    if (canaries == 1) CHECK(places.back() == 0.5);
    for (double place : places) CHECK((place > 0 && place < 1));
  }
}

TEST_CASE("no two of a version's targets stand at the same place, and the gaps are even") {
  source::Stagger stagger;
  Seats seats;
  add(seats, "baseline", 0, 200);
  std::vector<double> places = stagger.places(seats);
  std::sort(places.begin(), places.end());
  double widest = 0;
  for (std::size_t i = 1; i < places.size(); ++i) {
    CHECK(places[i] > places[i - 1]);
    widest = std::max(widest, places[i] - places[i - 1]);
  }
  CHECK(widest <= 2.0 / 200);
}

TEST_CASE(
    "a target keeps its place while others come and go, and in whatever order they are told") {
  source::Stagger stagger;
  Seats seats;
  add(seats, "baseline", 0, 20);
  add(seats, "canary", 0, 4);
  std::map<std::string, double> first;
  std::vector<double> places = stagger.places(seats);
  for (std::size_t i = 0; i < seats.size(); ++i) first[seats[i].key] = places[i];

  Seats later(seats.begin() + 5, seats.end());
  add(later, "baseline", 100, 3);
  std::shuffle(later.begin(), later.end(), std::minstd_rand(7));
  places = stagger.places(later);
  for (std::size_t i = 0; i < later.size(); ++i) {
    auto before = first.find(later[i].key);
    if (before != first.end()) CHECK(places[i] == before->second);
    for (std::size_t j = 0; j < i; ++j)
      CHECK((later[i].version != later[j].version || places[i] != places[j]));
  }

  Seats few(later.begin(), later.begin() + 3);  // fewer than are spread at first
  std::vector<double> still = stagger.places(few);
  for (std::size_t i = 0; i < few.size(); ++i) CHECK(still[i] == places[i]);
}

TEST_CASE("whoever is new takes the places of those who went") {
  source::Stagger stagger;
  Seats seats;
  add(seats, "canary", 0, 8);
  std::vector<double> before = stagger.places(seats);
  Seats others;
  add(others, "canary", 100, 8);
  std::vector<double> after = stagger.places(others);
  std::sort(before.begin(), before.end());
  std::sort(after.begin(), after.end());
  CHECK(before == after);
}

TEST_CASE("places survive a restart of davy") {
  source::Stagger stagger;
  Seats seats;
  add(seats, "baseline", 0, 12);
  stagger.places(seats);
  seats.erase(seats.begin(), seats.begin() + 6);
  std::vector<double> places = stagger.places(seats);
  Archive out = Archive::writer();
  stagger.archive(out);
  Archive in = Archive::reader(out.bytes());
  source::Stagger next;
  next.archive(in);
  CHECK(next.places(seats) == places);
  CHECK(source::Stagger().places(seats) != places);
}
