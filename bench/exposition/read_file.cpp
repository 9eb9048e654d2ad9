// bench_exposition FILE NEXT_FILE SECONDS [WAY]: how fast davy reads a page of metrics from memory.
//
// NEXT_FILE holds the same series with other values, as the next scrape does. Ways, all in turn:
//   memchr    finds the line ends alone: what any reader of text has to do
//   cold      a page that was never seen: every name, label and value, UTF-8 checked
//   identity  the same, and every series gets a number by its name and labels
//   hot       a page with the series of the last one, all of which are wanted
//   policy    the same through Catalogue, of whose series a policy wants those of one histogram
// Prints the best of many passes of each, since the machine is shared: best=<MB/s> ns/item=<ns per
// sample>. With SECONDS = 0 and one way it makes 7 passes, for counting instructions (callgrind).

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "sources/formats/catalogue.h"
#include "sources/formats/exposition.h"

using namespace davy;
using namespace davy::source;

namespace {

constexpr std::size_t kPiece = 64 * 1024;  // as it comes from a socket

/// A page in memory that nobody has written over first, so that counted instructions are the
/// passes'.
struct Page {
  explicit Page(const char* name) {
    std::ifstream file(name, std::ios::binary | std::ios::ate);
    size = file ? static_cast<std::size_t>(file.tellg()) : 0;
    bytes = std::make_unique_for_overwrite<char[]>(size);
    file.seekg(0);
    if (size > 0 && file.read(bytes.get(), static_cast<std::streamsize>(size))) return;
    std::fprintf(stderr, "%s: cannot be read, or is empty\n", name);
    std::exit(2);
  }
  std::string_view text() const { return {bytes.get(), size}; }

  std::size_t size;
  std::unique_ptr<char[]> bytes;
};

/// Wants everything, keeps the values in the order of the lines.
struct All final : SampleSink {
  std::vector<double> values;
  std::uint32_t intern(std::string_view, Labels) override {
    values.push_back(0);
    return static_cast<std::uint32_t>(values.size() - 1);
  }
  void see(std::uint32_t series, double value) override { values[series] = value; }
};

/// Adds up the values; series have no memory.
struct Sum final : SampleSink {
  double sum = 0;
  std::uint32_t intern(std::string_view name, Labels labels) override {
    return static_cast<std::uint32_t>(name.size() + labels.size());
  }
  void see(std::uint32_t, double value) override { sum += value; }
};

struct Identities final : SampleSink {
  std::unordered_map<std::string, std::uint32_t> numbers;
  std::vector<double> values;
  std::string key;
  std::uint32_t intern(std::string_view name, Labels labels) override {
    key.assign(name);
    for (const Label& label : labels) {
      key += '\x1f';
      key += label.name;
      key += '=';
      key += label.value;
    }
    auto [at, is_new] = numbers.try_emplace(key, static_cast<std::uint32_t>(values.size()));
    if (is_new) values.push_back(0);
    return at->second;
  }
  void see(std::uint32_t series, double value) override { values[series] = value; }
};

std::size_t check(const Result<Parsed>& parsed, bool is_predicted) {
  bool is_right = parsed && parsed->malformed == 0 && (!is_predicted || parsed->predicted > 0);
  if (is_right) return parsed->lines;
  std::fprintf(stderr, "the file is not what this bench reads: %s\n",
               parsed ? "malformed lines, or other series" : parsed.error().what.c_str());
  std::exit(1);
}

Result<Parsed> read(Exposition& page, std::string_view text) {
  page.begin(TextFormat::Prometheus);
  for (std::size_t at = 0; at < text.size(); at += kPiece) page.feed(text.substr(at, kPiece));
  return page.finish();
}

struct Way {
  const char* name;
  std::function<void(std::string_view)> pass;
  double best = 1e18;  // seconds
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s FILE NEXT_FILE SECONDS [memchr|cold|identity|hot|policy]\n",
                 argv[0]);
    return 2;
  }
  const Page pages[] = {Page(argv[1]), Page(argv[2])};
  double wanted_seconds = std::atof(argv[3]);
  std::string only = argc > 4 ? argv[4] : "";

  std::size_t samples = 0;
  std::size_t line_count = 0;
  All all;
  Exposition hot(all);
  Sum sum;
  Exposition cold(sum);
  Identities identities;
  Exposition new_series(identities);
  Rules rules = *Rules::compile({.counter = {"http_requests_total"},
                                 .error_when = {"code=~\"5..\""},
                                 .errors = {},
                                 .histogram = {"rpc_latency_seconds"}});
  Catalogue catalogue(rules, {{Side::Baseline}}, 100'000);
  Exposition policy(catalogue);
  if (only.empty() || only == "hot") check(read(hot, pages[0].text()), false);
  if (only.empty() || only == "policy") {
    catalogue.begin();
    check(read(policy, pages[0].text()), false);
  }

  std::vector<Way> ways = {
      {"memchr",
       [&](std::string_view page) {
         const char* at = page.data();
         const char* end = at + page.size();
         while (const void* next = std::memchr(at, '\n', static_cast<std::size_t>(end - at))) {
           at = static_cast<const char*>(next) + 1;
           ++line_count;
         }
       }},
      {"cold",
       [&](std::string_view page) {
         cold.forget();
         samples = check(read(cold, page), false);
       }},
      {"identity",
       [&](std::string_view page) {
         new_series.forget();
         check(read(new_series, page), false);
       }},
      {"hot", [&](std::string_view page) { samples = check(read(hot, page), true); }},
      {"policy", [&](std::string_view page) {
         catalogue.begin();
         check(read(policy, page), true);
       }}};
  std::erase_if(ways, [&](const Way& way) { return !only.empty() && only != way.name; });

  auto start = std::chrono::steady_clock::now();
  auto elapsed = [](auto since) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
  };
  std::size_t passes = 0;
  for (; wanted_seconds > 0 ? elapsed(start) < wanted_seconds : passes < 7; ++passes) {
    for (Way& way : ways) {
      std::string_view page = pages[(passes + 1) % 2].text();
      auto begin = std::chrono::steady_clock::now();
      way.pass(page);
      way.best = std::min(way.best, elapsed(begin) / static_cast<double>(page.size()));
    }
  }
  std::printf("%zu bytes, %zu samples, %zu passes\n", pages[0].size, samples, passes);
  for (const Way& way : ways) {
    double share = ways.front().best / way.best;
    std::printf("%-9s best=%.0f MB/s  ns/item=%.1f  %.0f%% of %s\n", way.name, 1e-6 / way.best,
                way.best * 1e9 * static_cast<double>(pages[0].size) / static_cast<double>(samples),
                100 * share, ways.front().name);
  }
  if (only.empty() || only == "hot")
    std::printf("memory of the page that is expected: %.1f MB\n",
                static_cast<double>(hot.memory()) / 1e6);
  return 0;
}
