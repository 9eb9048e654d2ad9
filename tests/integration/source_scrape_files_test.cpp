// Targets that are named by files of Prometheus' file_sd, and the files that change meanwhile.

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "lab/process.h"
#include "lab/scraped.h"
#include "lab/source.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

/// As whoever writes such files should: nobody ever sees a half of it.
void replace_file(const std::string& path, const std::string& content) {
  lab::write_file(path + ".new", content);
  REQUIRE(std::rename((path + ".new").c_str(), path.c_str()) == 0);
}

std::string group(const std::vector<std::string>& targets, const std::string& labels) {
  std::string list;
  for (const std::string& target : targets) list += (list.empty() ? "\"" : ", \"") + target + "\"";
  return "- targets: [" + list + "]\n  labels: {" + labels + "}\n";
}

struct Discovering : lab::SourceRunner {
  explicit Discovering(const std::string& files, lab::Settings more = {})
      : SourceRunner("scrape", with(files, std::move(more)), lab::Scraping::kSeries) {}

  static lab::Settings with(const std::string& files, lab::Settings more) {
    lab::Settings settings = {{"file_sd", files},
                              {"baseline_when", "track=\"stable\""},
                              {"canary_when", "track=\"canary\""}};
    settings.insert(settings.end(), more.begin(), more.end());
    return settings;
  }
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string refusal(const lab::Settings& settings) {
  auto made = lab::make_source("scrape", settings, lab::Scraping::kSeries);
  return made ? "" : made.error().setting + ": " + made.error().what;
}

}  // namespace

TEST_CASE("labels in files say which targets there are and of which version") {
  lab::TempDir dir;
  lab::Scraped v1;
  lab::Scraped v2;
  v1.count(0, 0);
  v2.count(0, 0);
  lab::write_file(dir / "v1.yml", group({v1.address()}, "track: stable") +
                                      group({"127.0.0.1:1"}, "track: somebody-else"));
  lab::write_file(dir / "v2.json",
                  "[{\"targets\": [\"" + v2.address() +
                      "\"], \"labels\": {\"track\": \"canary\", \"__metrics_path__\": \"/m\","
                      " \"__param_a\": \"b c\"}}]");
  Discovering scrape((dir / "*.yml") + "\n" + (dir / "v2.json"));
  Collected first = scrape.collect();
  CHECK(first.trouble == "");
  CHECK(lab::times(first, "target_new") == 2);
  CHECK(scrape.source().describe() == "scrape of 1 baseline and 1 canary targets, also those in " +
                                          (dir / "*.yml") + ", " + (dir / "v2.json"));
  v1.count(90, 10);
  v2.count(30, 0);
  Collected second = scrape.collect();
  REQUIRE(second.block);
  CHECK(second.block->baseline.requests == 100);
  CHECK(second.block->baseline.errors == 10);
  CHECK(second.block->canary.requests == 30);
  CHECK(second.events.empty());
  CHECK(v1.requests().at(0).starts_with("GET /metrics HTTP/1.1\r\n"));
  CHECK(v2.requests().at(0).starts_with("GET /m?a=b%20c HTTP/1.1\r\n"));
}

TEST_CASE("files may name one version while URLs name the other") {
  lab::TempDir dir;
  lab::Scraped v1;
  lab::Scraped v2;
  lab::write_file(dir / "sd.yml", group({v2.address()}, "track: canary"));
  lab::SourceRunner scrape(
      "scrape",
      {{"baseline", v1.url()}, {"file_sd", dir / "sd.yml"}, {"canary_when", "track=\"canary\""}},
      lab::Scraping::kSeries);
  v1.count(0, 0);
  v2.count(0, 0);
  scrape.collect();
  v1.count(5, 0);
  v2.count(7, 0);
  Collected second = scrape.collect();
  REQUIRE(second.block);
  CHECK(second.block->baseline.requests == 5);
  CHECK(second.block->canary.requests == 7);
}

TEST_CASE("a target that the config names already is asked once, as the config has it") {
  lab::TempDir dir;
  lab::Scraped v1;
  lab::Scraped v2;
  v1.count(1, 0);
  v2.count(1, 0);
  lab::write_file(dir / "sd.yml", group({v1.address(), v2.address()}, "track: canary"));
  lab::SourceRunner scrape(
      "scrape",
      {{"baseline", v1.url()}, {"file_sd", dir / "sd.yml"}, {"canary_when", "track=\"canary\""}},
      lab::Scraping::kSeries);
  Collected first = scrape.collect();
  CHECK(first.baseline_targets == 1);
  CHECK(first.canary_targets == 1);
  CHECK(v1.requests().size() == 1);
}

TEST_CASE("a target that files add begins at a commit, and one they drop is gone at once") {
  lab::TempDir dir;
  lab::Scraped v1;
  lab::Scraped v2;
  lab::Scraped next;
  for (lab::Scraped* one : {&v1, &v2, &next}) one->count(1000, 0);
  auto write = [&](const std::vector<std::string>& canaries) {
    replace_file(dir / "sd.yml",
                 group({v1.address()}, "track: stable") + group(canaries, "track: canary"));
  };
  write({v2.address()});
  Discovering scrape(dir / "sd.yml");
  scrape.collect();

  write({v2.address(), next.address()});
  v2.count(1010, 0);
  next.count(1500, 0);
  Collected added = scrape.collect();
  CHECK(lab::times(added, "target_new") == 1);
  REQUIRE(added.block);
  CHECK(added.block->canary.requests == 10);  // nothing of before the new one was there

  write({next.address()});
  v2.count(9999, 0);
  next.count(1520, 0);
  Collected dropped = scrape.collect();
  CHECK(lab::times(dropped, "target_gone") == 1);
  CHECK(dropped.trouble == "");
  REQUIRE(dropped.block);
  CHECK(dropped.block->canary.requests == 20);
  CHECK(dropped.canary_targets == 1);
}

TEST_CASE("a target whose label changes begins anew in the other version") {
  lab::TempDir dir;
  lab::Scraped v1;
  lab::Scraped moved;
  lab::Scraped v2;
  for (lab::Scraped* one : {&v1, &moved, &v2}) one->count(1000, 0);
  lab::write_file(dir / "sd.yml", group({v1.address(), moved.address()}, "track: stable") +
                                      group({v2.address()}, "track: canary"));
  Discovering scrape(dir / "sd.yml");
  scrape.collect();
  replace_file(dir / "sd.yml", group({v1.address()}, "track: stable") +
                                   group({v2.address(), moved.address()}, "track: canary"));
  moved.count(5000, 0);
  Collected change = scrape.collect();
  REQUIRE(change.block);
  CHECK(change.block->baseline.requests == 0);
  CHECK(change.block->canary.requests == 0);
  moved.count(5001, 0);
  CHECK(scrape.collect().block->canary.requests == 1);
}

TEST_CASE(
    "a file that is half written keeps its targets and is told with its line, until it is whole") {
  lab::TempDir dir;
  lab::Scraped v1;
  lab::Scraped v2;
  v1.count(0, 0);
  v2.count(0, 0);
  std::string whole = "[\n  {\"targets\": [\"" + v1.address() +
                      "\"], \"labels\": {\"track\": \"stable\"}},\n  {\"targets\": [\"" +
                      v2.address() + "\"], \"labels\": {\"track\": \"canary\"}}\n]\n";
  std::string path = dir / "sd.json";
  lab::write_file(path, whole);
  Discovering scrape(path);
  scrape.collect();
  for (std::size_t size : {whole.size() / 3, whole.size() / 2, whole.size() - 3}) {
    lab::write_file(path, whole.substr(0, size));
    Collected half = scrape.collect();
    CHECK(half.block);
    CHECK(half.baseline_targets == 1);
    CHECK(half.canary_targets == 1);
    CHECK(half.trouble.starts_with(path + ":"));
    CHECK(holds(half.trouble, " (its 2 targets are kept)"));
    CHECK(lab::times(half, "file_sd_broken") == 1);
  }
  lab::write_file(path, whole);
  Collected again = scrape.collect();
  CHECK(again.trouble == "");
  CHECK(again.events.empty());
  CHECK(v1.connections() == 1);  // nothing was begun anew
}

TEST_CASE("a file that a pattern no longer finds takes its targets along") {
  lab::TempDir dir;
  lab::Scraped v1;
  lab::Scraped v2;
  lab::write_file(dir / "v1.yml", group({v1.address()}, "track: stable"));
  lab::write_file(dir / "real", group({v2.address()}, "track: canary"));
  lab::write_file(dir / ".v3.yml", "hidden and broken");
  std::filesystem::last_write_time(dir / "real",
                                   std::filesystem::file_time_type::clock::now() - 1h);
  std::filesystem::create_symlink(dir / "real", dir / "v2.yml");
  Discovering scrape(dir / "*.yml");
  v1.count(0, 0);
  v2.count(0, 0);
  Collected both = scrape.collect();
  CHECK(both.trouble == "");
  CHECK(both.canary_targets == 1);
  std::filesystem::remove(dir / "v2.yml");
  Collected without = scrape.collect();
  CHECK(without.blind);
  CHECK(lab::times(without, "target_gone") == 1);
  CHECK(lab::times(without, "file_sd_broken") == 0);
  CHECK(holds(without.trouble,
              (dir / "*.yml") + ": none of 1 target matches canary_when track=\"canary\""));
  CHECK(holds(without.trouble, "no canary target answers"));
  std::filesystem::create_symlink(dir / "real", dir / "v2.yml");
  CHECK(scrape.collect().canary_targets == 1);
}

TEST_CASE("a file that was named itself and is gone, or cannot be read, keeps its targets") {
  lab::TempDir dir;
  lab::Scraped v1;
  lab::Scraped v2;
  lab::write_file(dir / "sd.yml",
                  group({v1.address()}, "track: stable") + group({v2.address()}, "track: canary"));
  Discovering scrape(dir / "sd.yml");
  v1.count(0, 0);
  v2.count(0, 0);
  CHECK(scrape.collect().trouble == "");
  std::filesystem::remove(dir / "sd.yml");
  Collected gone = scrape.collect();
  CHECK(gone.canary_targets == 1);
  CHECK(gone.trouble.starts_with((dir / "sd.yml") + ": No such file or directory"));
  CHECK(lab::times(gone, "file_sd_broken") == 1);
  std::filesystem::create_directory(dir / "sd.yml");
  CHECK(scrape.collect().trouble.starts_with((dir / "sd.yml") + " is not a plain file"));
  std::filesystem::remove(dir / "sd.yml");
  lab::write_file(dir / "sd.yml", std::string(2 << 20, '#'));
  CHECK(scrape.collect().trouble.starts_with((dir / "sd.yml") + " is larger than 1 MiB"));
}

TEST_CASE("a large file is read whole, in the parts that a helper can send") {
  lab::TempDir dir;
  lab::Scraped v1;
  lab::Scraped v2;
  v1.count(0, 0);
  v2.count(0, 0);
  std::string others;
  for (int i = 0; i < 5000; ++i)
    others += group({"10.0.0.1:" + std::to_string(i + 1)}, "track: somebody-else");
  REQUIRE(others.size() > 200'000);
  lab::write_file(dir / "sd.yml", group({v1.address()}, "track: stable") + others +
                                      group({v2.address()}, "track: canary"));
  Collected first = Discovering(dir / "sd.yml").collect();
  CHECK(first.trouble == "");
  CHECK(first.baseline_targets == 1);
  CHECK(first.canary_targets == 1);
}

TEST_CASE("a target of both versions counts for neither, and one named twice counts once") {
  lab::TempDir dir;
  lab::Scraped v1;
  lab::Scraped v2;
  v1.count(0, 0);
  v2.count(0, 0);
  lab::write_file(dir / "a.yml", group({v1.address(), v1.address()}, "track: stable") +
                                     group({v2.address()}, "track: canary"));
  lab::write_file(dir / "b.yml",
                  group({v2.address()}, "track: stable") + group({"10.0.0.1:1"}, "track: both"));
  lab::SourceRunner scrape("scrape",
                           {{"file_sd", dir / "*.yml"},
                            {"baseline_when", "track=~\"stable|both\""},
                            {"canary_when", "track=~\"canary|both\""}},
                           lab::Scraping::kSeries);
  Collected first = scrape.collect();
  CHECK(first.baseline_targets == 1);
  CHECK(first.canary_targets == 1);
  CHECK(holds(first.trouble, (dir / "b.yml") + ":3: http://10.0.0.1:1/metrics matches both"));
  CHECK(holds(first.trouble, (dir / "b.yml") + ":1: http://" + v2.address() +
                                 "/metrics belongs to both versions, here to the baseline; it "
                                 "counts for the canary"));
}

TEST_CASE("two hundred targets are asked over a connection each, and all of them are counted") {
  lab::TempDir dir;
  Guarded<std::map<std::string, int>> asked;
  lab::Scraped all([&](const std::string& head) {
    std::string path = head.substr(4, head.find(' ', 4) - 4);
    int times = (*asked.lock())[path]++;
    return lab::answer_of(200, lab::page_of(100 * times, times));
  });
  std::string text;
  for (int i = 0; i < 200; ++i) {
    text += group({all.address()}, "track: " + std::string(i < 180 ? "stable" : "canary") +
                                       ", __metrics_path__: /m/" + std::to_string(i));
  }
  lab::write_file(dir / "sd.yml", text);
  Discovering scrape(dir / "sd.yml", {{"every", "20s"}, {"timeout", "15s"}});
  Collected first = scrape.collect();
  CHECK(first.trouble == "");
  CHECK(first.baseline_targets == 180);
  CHECK(first.canary_targets == 20);
  for (int round = 0; round < 2; ++round) {
    Collected next = scrape.collect();
    REQUIRE(next.block);
    CHECK(next.block->baseline.requests == 180 * 101);
    CHECK(next.block->canary.requests == 20 * 101);
    CHECK(next.block->canary.errors == 20);
  }
  CHECK(all.connections() == 200);
}

TEST_CASE("targets in files survive a restart of davy with what was counted of them") {
  lab::TempDir dir;
  lab::Scraped v1;
  lab::Scraped v2;
  v1.count(0, 0);
  v2.count(0, 0);
  lab::write_file(dir / "sd.yml",
                  group({v1.address()}, "track: stable") + group({v2.address()}, "track: canary"));
  std::string saved;
  {
    Discovering killed(dir / "sd.yml");
    killed.collect();
    saved = killed.saved();
  }
  v1.count(50, 0);
  v2.count(5, 0);
  Discovering next(dir / "sd.yml");
  REQUIRE(next.load(saved));
  Collected first = next.collect();
  REQUIRE(first.block);
  CHECK(first.block->baseline.requests == 50);
  CHECK(first.block->canary.requests == 5);
  CHECK_FALSE(Discovering(dir / "*.yml").load(saved));
}

TEST_CASE("settings of files that cannot work are refused") {
  lab::Settings whens = {{"baseline_when", "t=\"s\""}, {"canary_when", "t=\"c\""}};
  auto with = [&](lab::Settings settings) {
    settings.insert(settings.end(), whens.begin(), whens.end());
    return refusal(settings);
  };
  CHECK(with({{"file_sd", "/etc/sd/*.json"}}) == "");
  CHECK(holds(with({{"file_sd", "sd/*.json"}}), "file_sd: \"sd/*.json\" is not an absolute path"));
  CHECK(holds(with({{"file_sd", "/etc/*/x.json"}}), "has a * in the name of a folder"));
  CHECK(holds(with({{"file_sd", "/etc/sd/x.conf"}}), "does not end in .json, .yml or .yaml"));
  CHECK(holds(with({{"targets", "http://a/"}, {"file_sd", "/x.json"}}),
              "file_sd: stands beside targets"));
  CHECK(holds(refusal({{"file_sd", "/x.json"}, {"canary_when", "t=\"c\""}}),
              "baseline is missing (which targets in file_sd are its own: baseline_when"));
  CHECK(holds(refusal({{"file_sd", "/x.json"}, {"baseline", "http://a/"}, {"canary", "http://b/"}}),
              "file_sd: needs baseline_when or canary_when"));
  CHECK(holds(refusal({{"file_sd", "/x.json"}, {"baseline_when", "t"}, {"canary_when", "t=\"c\""}}),
              "baseline_when: "));
}
