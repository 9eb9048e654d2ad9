// davy config suggest: looks at a target twice, and proposes a config for what it shows.
//
// The config goes to stdout (or a file), why it is this one to stderr. Exit codes: 0 proposed, 1
// nothing there to judge by, 2 usage, 3 the target cannot be reached or shows no metrics.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

#include "app/cli/commands.h"
#include "app/cli/rules_given.h"
#include "app/cli/scrape_report.h"
#include "app/cli/scraped_target.h"
#include "app/cli/suggestion.h"
#include "base/descriptor.h"
#include "base/text.h"
#include "base/units.h"
#include "config/config.h"
#include "config/settings.h"
#include "sources/suggest/guess.h"

namespace davy::app {
namespace {

/// One target, and all presets held against it.
struct Looked {
  std::unique_ptr<ScrapedTarget> target;
  source::Fitting fitting;
  std::optional<source::Guess> guess{};
  std::optional<source::Survey> survey{};

  std::variant<Done, NoPage> look() {
    std::variant<Scraped, NoPage> answer = target->ask(fitting.accept());
    if (const NoPage* none = std::get_if<NoPage>(&answer)) return *none;
    Scraped& scraped = std::get<Scraped>(answer);
    if (Result<Done> seen = fitting.see(scraped.page, scraped.survey); !seen)
      return NoPage{target->url() + " " + seen.error().what, "davy scrape shows what came"};
    if (!guess && !fits_well(fitting.ranked().front())) {
      guess = source::guess(scraped.survey);
      if (guess) fitting.add(guess_candidate(*guess), scraped.page, scraped.survey);
    }
    survey = std::move(scraped.survey);
    return Done{};
  }
};

Result<Looked> looked(const std::string& url, const ConfigSuggestOptions& options) {
  Result<std::unique_ptr<ScrapedTarget>> target =
      ScrapedTarget::make(url, options.target, kMaxBody);
  if (!target) return target.error();
  return Looked{std::move(*target),
                source::Fitting(preset_candidates(), options.canary.empty(), kMaxSeries)};
}

/// What is wrong with what was proposed: davy's own fault.
std::string defect_of(const std::string& yaml) {
  config::Loaded loaded = config::load_text(yaml, "proposed", {probe_kinds(), source_kinds()});
  std::string out;
  for (const config::Problem& problem : loaded.problems) out += problem.text() + "\n";
  return out;
}

bool write_all(int fd, const std::string& content) {
  std::size_t at = 0;
  while (at < content.size()) {
    ssize_t n = ::write(fd, content.data() + at, content.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += static_cast<std::size_t>(n);
  }
  return true;
}

/// "" or what went wrong. A file that is there stays as it is, unless forced.
std::string write(const ConfigSuggestOptions& options, const std::string& yaml) {
  int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (options.force ? O_TRUNC : O_EXCL);
  Descriptor file(::open(options.file.c_str(), flags, 0644));
  if (file.fd() < 0 && errno == EEXIST)
    return options.file + " is there already, and stays as it is (--force writes over it)";
  if (file.fd() < 0 || !write_all(file.fd(), yaml))
    return fmt::format("{} cannot be written: {}", options.file, std::strerror(errno));
  return "";
}

int usage(const std::string& wrong) {
  fmt::print(stderr, "{}\n", wrong);
  return kExitUsage;
}

}  // namespace

int config_suggest(const ConfigSuggestOptions& options) {
  if (options.wait < Duration::zero() || options.wait > std::chrono::hours(1))
    return usage("--wait must be 0s to 1h");
  std::string name = options.name.empty() ? name_by_url(options.url) : options.name;
  if (auto wrong = config::wrong_name(name)) return usage("--name: " + *wrong);
  if (!options.canary.empty() && options.canary == options.url)
    return usage("--canary is the same URL: leave it out when one target serves both versions");
  if (options.file.empty() && options.force) return usage("--force goes with --write FILE");
  if (!options.file.empty() && !options.force && ::access(options.file.c_str(), F_OK) == 0)
    return usage(options.file + " is there already, and stays as it is (--force writes over it)");
  std::vector<Looked> targets;
  std::vector<std::string> urls{options.url};
  if (!options.canary.empty()) urls.push_back(options.canary);
  for (const std::string& url : urls) {
    Result<Looked> target = looked(url, options);
    if (!target) return usage(target.error().what);
    targets.push_back(std::move(*target));
  }

  for (int look = 1; look <= 2; ++look) {
    if (look == 2) {
      if (options.wait == Duration::zero()) break;
      if (isatty(STDERR_FILENO) == 1)
        fmt::print(stderr, "Looking again in {} ...", units::show(options.wait));
      std::this_thread::sleep_for(options.wait);
      if (isatty(STDERR_FILENO) == 1) fmt::print(stderr, "\r\033[K");
    }
    for (Looked& target : targets) {
      std::variant<Done, NoPage> seen = target.look();
      if (const NoPage* none = std::get_if<NoPage>(&seen)) {
        print_no_page(*none);
        return kExitError;
      }
    }
  }

  Look look = look_of_stderr();
  Seen seen{.url = options.url,
            .canary = options.canary,
            .name = name,
            .fits = targets[0].fitting.ranked(),
            .of_canary = {},
            .guess = targets[0].guess};
  if (targets.size() > 1) seen.of_canary = targets[1].fitting.ranked();
  Suggestion suggestion = suggest(seen, look);
  fmt::print(stderr, "{}, {}:\n{}", targets[0].target->url(),
             text::counted(static_cast<double>(targets[0].survey->series()), "series", "series"),
             suggestion.table);
  if (suggestion.yaml.empty()) {
    ScrapeReport nothing = report_of_nothing(*targets[0].survey);
    for (const std::string& next : nothing.next) fmt::print(stderr, "Next: {}\n", next);
    return kExitFail;
  }
  for (const std::string& remark : suggestion.remarks) fmt::print(stderr, "Note: {}\n", remark);
  if (std::string defect = defect_of(suggestion.yaml); !defect.empty()) {
    fmt::print(stderr, "{}this is a defect of davy; please report it\n", defect);
    return kExitError;
  }
  std::fflush(stderr);
  if (options.file.empty()) {
    fmt::print("{}", suggestion.yaml);
    return kExitPass;
  }
  if (std::string wrong = write(options, suggestion.yaml); !wrong.empty()) return usage(wrong);
  fmt::print(stderr, "Next: davy config check {}\n", options.file);
  return kExitPass;
}

}  // namespace davy::app
