#include "sources/formats/page_reader.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>

using namespace davy;
using namespace davy::source;

namespace {

const Rules& rules() {
  static const Rules all =
      *Rules::compile({.counter = {"n", "m{x!=\"\"}"},
                       .error_when = {"code=~\"5..\""},
                       .errors = {},
                       .histogram = {"h"}},
                      {{.name = "queue", .series = "q"},
                       {.name = "bytes", .series = "b", .kind = ValueSeries::Kind::Rate}});
  return all;
}

/// All that a reading says, in one text.
std::string text_of(const Result<Reading>& reading) {
  if (!reading) return "error: " + reading.error().what;
  std::string text;
  for (const Reading::Counter& c : reading->counters)
    text += fmt::format("{} {} {} {} {}\n", c.series, c.value, c.is_request, c.is_error,
                        c.values.size());
  for (const Reading::Buckets& b : reading->histograms) {
    text += b.series;
    for (double bound : b.bounds) text += fmt::format(" le {}", bound);
    for (double count : b.cumulative) text += fmt::format(" {}", count);
    text += "\n";
  }
  for (Side side : kSides) {
    const Reading::Seen& seen = reading->seen[index(side)];
    text += fmt::format("seen {} {}\n", seen.requests, seen.errors);
    for (const Reading::Shown& shown : reading->values[index(side)])
      text += fmt::format("value {} {}\n", shown.is_there, shown.gauge);
  }
  text += fmt::format("start {}\n", reading->start.value_or(-1));
  for (const std::string& remark : reading->remarks) text += remark + "\n";
  return text;
}

Result<Reading> read_in_pieces(PageReader& reader, std::string_view page, std::string_view type,
                               std::mt19937& random) {
  reader.begin(type);
  while (!page.empty()) {
    std::size_t piece = 1 + random() % 200;
    reader.feed(page.substr(0, piece));
    page.remove_prefix(std::min(piece, page.size()));
  }
  return reader.finish();
}

Result<Reading> read_whole(PageReader& reader, std::string_view page,
                           std::string_view type = "text/plain") {
  reader.begin(type);
  reader.feed(page);
  return reader.finish();
}

/// A page whose lines stay or change with the random numbers.
class Target {
 public:
  explicit Target(std::mt19937& random) : random_(random) {
    for (int i = 0; i < 30; ++i) lines_.push_back(line());
  }

  std::string next_page() {
    for (int changes = static_cast<int>(random_() % 4); changes > 1 && !lines_.empty(); --changes) {
      std::size_t at = random_() % lines_.size();
      switch (random_() % 4) {
        case 0: lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(at)); break;
        case 1: lines_.insert(lines_.begin() + static_cast<std::ptrdiff_t>(at), line()); break;
        case 2: lines_[at] = line(); break;
        default: std::swap(lines_[at], lines_[random_() % lines_.size()]);
      }
    }
    std::string page;
    for (const std::string& prefix : lines_) page += prefix + value(prefix) + "\n";
    return page;
  }

 private:
  std::string line() {
    constexpr const char* kKinds[] = {"# HELP n Things.",
                                      "# TYPE h histogram",
                                      "",
                                      "n{{code=\"{}\"}} ",
                                      "n{{code=\"{}\",path=\"ü\"}} ",
                                      "m{{x=\"{}\"}} ",
                                      "h_bucket{{le=\"{}\"}} ",
                                      "other{{y=\"{}\"}} ",
                                      "q{{z=\"{}\"}}  ",
                                      "b{{z=\"{}\"}} ",
                                      "process_start_time_seconds ",
                                      "broken{{z=\"{} ",
                                      "{{\"quoted.name\",code=\"{}\"}} ",
                                      "n{{code=\"5\\\\n{}\"}} "};
    return fmt::format(fmt::runtime(kKinds[random_() % std::size(kKinds)]), 500 + random_() % 8);
  }
  std::string value(const std::string& prefix) {
    if (prefix.empty() || prefix[0] == '#') return "";
    constexpr const char* kOdd[] = {"NaN",
                                    "+Inf",
                                    "-1",
                                    "1e3",
                                    "0x1",
                                    "",
                                    "1 2 3",
                                    "1 # {} 2",
                                    "7 1700000000123",
                                    "12345678901234567890",
                                    "0.1234567890123456789",
                                    "1e999",
                                    "5\r"};
    if (random_() % 20 == 0) return kOdd[random_() % std::size(kOdd)];
    return std::to_string(random_() % 100000);
  }

  std::mt19937& random_;
  std::vector<std::string> lines_;
};

}  // namespace

TEST_CASE("a page read by what the last one said comes out as if it were the first") {
  std::size_t predicted = 0;
  for (unsigned seed = 0; seed < 400; ++seed) {
    std::mt19937 random(seed);
    Target target(random);
    PageReader reader(rules(), {{Side::Canary}}, 1000);
    for (int page_number = 0; page_number < 12; ++page_number) {
      std::string page = target.next_page();
      PageReader fresh(rules(), {{Side::Canary}}, 1000);
      auto sorted = [](const Result<Reading>& reading) {
        // The order of the series is that in which they were first seen; it means nothing.
        Result<Reading> copy = reading;
        if (!copy) return copy;
        std::sort(copy->counters.begin(), copy->counters.end(),
                  [](const auto& a, const auto& b) { return a.series < b.series; });
        std::sort(copy->histograms.begin(), copy->histograms.end(),
                  [](const auto& a, const auto& b) { return a.series < b.series; });
        std::erase_if(copy->remarks, [](const std::string& remark) {
          return remark.find("counters left out") != std::string::npos;  // names the last one
        });
        return copy;
      };
      CAPTURE(seed);
      CAPTURE(page);
      REQUIRE(text_of(sorted(read_in_pieces(reader, page, "text/plain", random))) ==
              text_of(sorted(read_whole(fresh, page))));
      predicted += reader.predicted();
    }
  }
  CHECK(predicted > 10000);  // or the way that is tested was hardly taken
}

TEST_CASE("all lines of a page with the same series are as expected") {
  PageReader reader(rules(), {{Side::Canary}}, 1000);
  std::string page =
      "# TYPE n counter\nn{code=\"200\"} 5\nother 1\n\nn{code=\"500\"} 1 1700000000000\n";
  REQUIRE(read_whole(reader, page));
  CHECK(reader.predicted() == 0);
  std::string next =
      "# TYPE n counter\nn{code=\"200\"} 75\nother 1e9\n\nn{code=\"500\"} 1.5 1700000005000\n";
  Result<Reading> reading = read_whole(reader, next);
  REQUIRE(reading);
  CHECK(reader.predicted() == 5);
  CHECK(reading->counters[0].value == 75);
  CHECK(reading->counters[1].value == 1.5);
}

TEST_CASE("a malformed line is told on every page that has it") {
  PageReader reader(rules(), {{Side::Canary}}, 1000);
  for (int page = 0; page < 3; ++page) {
    Result<Reading> reading = read_whole(reader, "n 1\nother{x=1} 2\n");
    REQUIRE(reading);
    REQUIRE(reading->remarks.size() == 1);
    CHECK(reading->remarks[0] ==
          "1 malformed lines left out (line 2: a label's value without quotes)");
  }
  CHECK(read_whole(reader, "n 1\nother{x=\"1\"} 2\n")->remarks.empty());
}

TEST_CASE("OpenMetrics ends in # EOF or is not counted") {
  constexpr const char* kType = "application/openmetrics-text; version=1.0.0; charset=utf-8";
  PageReader reader(rules(), {{Side::Canary}}, 1000);
  for (int page = 0; page < 2; ++page) {
    CHECK(read_whole(reader, "n 1\n# EOF\n", kType));
    Result<Reading> cut = read_whole(reader, "n 1\n", kType);
    REQUIRE_FALSE(cut);
    CHECK(cut.error().what ==
          "the answer has no # EOF at its end, so it was cut (nothing of it is counted)");
    CHECK_FALSE(read_whole(reader, "n 1\n# EOF\nn 2\n", kType));
    CHECK_FALSE(read_whole(reader, "n 1\n# EOF\n# EOF\n", kType));
    CHECK(read_whole(reader, "n 1\n# EOF\nn{code=\"1\"} 2\n"));  // a comment in the other format
  }
}

TEST_CASE("a target with too many series is refused until it has fewer") {
  PageReader reader(rules(), {{Side::Canary}}, 3);
  std::string many;
  for (int i = 0; i < 5; ++i) many += fmt::format("n{{code=\"{}\"}} 1\n", i);
  for (int page = 0; page < 2; ++page) {
    Result<Reading> refused = read_whole(reader, many);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().what.starts_with("has more than 3 series that match"));
  }
  Result<Reading> few = read_whole(reader, "n{code=\"4\"} 1\nn{code=\"9\"} 2\n");
  REQUIRE(few);
  CHECK(few->counters.size() == 2);
}

TEST_CASE("series that come and go are forgotten") {
  PageReader reader(rules(), {{Side::Canary}}, 1000);
  for (int i = 0; i < 2000; ++i) {
    Result<Reading> reading = read_whole(reader, fmt::format("n{{code=\"{}\"}} {}\n", i, i));
    REQUIRE(reading);
    REQUIRE(reading->counters.size() == 1);
    CHECK(reading->counters[0].value == i);
  }
}

TEST_CASE("a summary where a histogram is meant is told") {
  PageReader reader(rules(), {{Side::Canary}}, 1000);
  Result<Reading> reading =
      read_whole(reader, "# TYPE h summary\nh{quantile=\"0.99\"} 0.5\nh_sum 1\nh_count 2\nn 2\n");
  REQUIRE(reading);
  REQUIRE(reading->remarks.size() == 1);
  CHECK(reading->remarks[0].starts_with("h is a summary: quantiles of instances cannot be added"));
}

TEST_CASE("a line of a megabyte is read, in pieces as well") {
  PageReader reader(rules(), {{Side::Canary}}, 1000);
  std::string page = "n{code=\"" + std::string(1 << 20, 'x') + "\"} 5\n";
  std::mt19937 random(1);
  for (int i = 0; i < 2; ++i) {
    Result<Reading> reading = read_in_pieces(reader, page, "text/plain", random);
    REQUIRE(reading);
    CHECK(reading->counters[0].value == 5);
  }
}

TEST_CASE("a series with the same label twice is left out and told on every page") {
  PageReader reader(rules(), {{Side::Canary}}, 1000);
  for (int page = 0; page < 2; ++page) {
    Result<Reading> reading = read_whole(reader, "n{code=\"1\",x=\"1\",code=\"2\"} 1\nn 5\n");
    REQUIRE(reading);
    CHECK(reading->counters.size() == 1);
    REQUIRE(reading->remarks.size() == 1);
    CHECK(reading->remarks[0] == "series of n are left out that have the same label twice");
  }
}
