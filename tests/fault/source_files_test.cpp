// Files of targets and tokens on a file system that hangs: rounds go on with what was read last.

#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>

#include "lab/hung_mount.h"
#include "lab/process.h"
#include "lab/scraped.h"
#include "lab/source.h"

using namespace davy;
using namespace std::chrono_literals;

namespace {

/// As atomic writers do it: the link points elsewhere from one moment to the next.
void point(const std::string& link, const std::string& at) {
  std::filesystem::remove(link + ".new");
  std::filesystem::create_symlink(at, link + ".new");
  std::filesystem::rename(link + ".new", link);
}

}  // namespace

TEST_CASE("a file system that hangs costs no round, and its targets and tokens stay as they were") {
  lab::HungMount mount;
  if (!mount) return;  // it says why
  lab::TempDir dir;
  lab::Scraped v1;
  lab::Scraped v2;
  v1.count(0, 0);
  v2.count(0, 0);
  lab::write_file(dir / "sd", "- targets: [\"" + v1.address() +
                                  "\"]\n  labels: {track: a}\n- targets: [\"" + v2.address() +
                                  "\"]\n  labels: {track: b}\n");
  lab::write_file(dir / "secret", "token");
  point(dir / "sd.yml", dir / "sd");
  point(dir / "token", dir / "secret");
  {
    lab::SourceRunner scrape("scrape",
                             {{"file_sd", dir / "sd.yml"},
                              {"bearer_token_file", dir / "token"},
                              {"baseline_when", "track=\"a\""},
                              {"canary_when", "track=\"b\""}},
                             {.counter = {"n"}, .error_when = {"code=~\"5..\""}});
    CHECK(scrape.collect().trouble == "");
    point(dir / "sd.yml", mount.path() + "/sd.yml");
    point(dir / "token", mount.path() + "/token");
    for (int round = 1; round <= 4; ++round) {
      v1.count(10 * round, 0);
      v2.count(round, 0);
      Collected hung = scrape.collect();
      REQUIRE(hung.block);
      CHECK(hung.block->baseline.requests == 10);
      CHECK(hung.block->canary.requests == 1);
      CHECK(hung.trouble.find((dir / "sd.yml") + ": the file system does not answer") !=
            std::string::npos);
      CHECK(lab::times(hung, "file_sd_broken") == 1);
      CHECK(lab::times(hung, "credentials_broken") == 1);
    }
    point(dir / "sd.yml", dir / "sd");
    point(dir / "token", dir / "secret");
    mount.abort();
    CHECK(lab::eventually([&] { return scrape.collect().trouble.empty(); }));
    CHECK(v2.requests().back().find("\r\nAuthorization: Bearer token\r\n") != std::string::npos);
  }
}
