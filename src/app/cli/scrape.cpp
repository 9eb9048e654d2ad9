// davy scrape: asks one metrics URL some times, and shows what davy sees of it.
//
// Read by the rules that are given, or else by the preset that fits best, or by a guess. Exit
// codes: 0 davy could judge by it, 1 it could not (no requests, or no error would show), 2 usage or
// config, 3 the target cannot be reached or shows no metrics.

#include <fmt/format.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/cli/commands.h"
#include "app/cli/rules_given.h"
#include "app/cli/scrape_report.h"
#include "app/cli/scraped_target.h"
#include "base/units.h"
#include "sources/suggest/guess.h"

namespace davy::app {
namespace {

/// The line that a terminal shows between two pages.
class Progress {
 public:
  explicit Progress(bool quiet) : shown_(!quiet && isatty(STDERR_FILENO) == 1) {}
  void show(int page, int of, const std::string& what) const {
    if (!shown_) return;
    fmt::print(stderr, "\r\033[Kpage {} of {} {}", page, of, what);
    std::fflush(stderr);
  }
  void finish() const {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }

 private:
  bool shown_;
};

/// Whatever reads the pages: rules that are given, or all that are known.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual std::string_view accept() const = 0;
  virtual Result<Done> see(const Scraped& scraped) = 0;
  /// Null when there are no pages, or nothing fits.
  virtual const source::TargetView* view() const = 0;
  virtual ScrapeReport report(const source::Survey& survey, const std::string& url) const = 0;
};

class Given final : public Reader {
 public:
  static Result<std::unique_ptr<Reader>> make(RulesGiven given) {
    Result<source::Rules> rules = source::Rules::compile(given.requests, given.values);
    if (!rules) {
      constexpr std::pair<std::string_view, std::string_view> kOptions[] = {
          {"counter", "--counter"},
          {"error_when", "--error-when"},
          {"errors", "--errors"},
          {"histogram", "--histogram"}};
      for (auto [setting, option] : kOptions) {
        if (rules.error().setting == setting)
          return rules.error().prefix(fmt::format("{}: ", option));
      }
      return rules.error();
    }
    return std::unique_ptr<Reader>(std::make_unique<Given>(std::move(given), std::move(*rules)));
  }
  Given(RulesGiven given, source::Rules rules)
      : given_(std::move(given)), view_(std::move(rules), given_.shares, given_.max_series) {}

  std::string_view accept() const override { return view_.accept(); }
  Result<Done> see(const Scraped& scraped) override { return view_.see(scraped.page); }
  const source::TargetView* view() const override { return view_.pages() > 0 ? &view_ : nullptr; }
  ScrapeReport report(const source::Survey& survey, const std::string& /*url*/) const override {
    ScrapeReport report = report_of(view_, given_.requests, survey);
    report.rules = given_.from;
    return report;
  }

 private:
  const RulesGiven given_;
  source::TargetView view_;
};

class Found final : public Reader {
 public:
  Found() : fitting_(preset_candidates(), false, kMaxSeries) {}

  std::string_view accept() const override { return fitting_.accept(); }

  Result<Done> see(const Scraped& scraped) override {
    Result<Done> seen = fitting_.see(scraped.page, scraped.survey);
    if (!seen) return seen;
    ranked_ = fitting_.ranked();
    if (!guess_ && !fits_well(ranked_.front())) {
      guess_ = source::guess(scraped.survey);
      if (guess_) {
        fitting_.add(guess_candidate(*guess_), scraped.page, scraped.survey);
        ranked_ = fitting_.ranked();
      }
    }
    return Done{};
  }

  const source::TargetView* view() const override {
    return ranked_.empty() ? nullptr : ranked_.front().view;
  }

  ScrapeReport report(const source::Survey& survey, const std::string& url) const override {
    if (view() == nullptr) return report_of_nothing(survey);
    const source::Fit& best = ranked_.front();
    ScrapeReport report = report_of(*best.view, best.candidate.requests, survey);
    if (best.candidate.name == kGuessed) {
      report.rules = "a guess, for no preset fits:";
      report.reasons = guess_->reasons;
      report.next.emplace_back(
          "look at the guess, and say it better with --counter, --error-when, --histogram and "
          "--unit");
    } else {
      report.rules =
          fmt::format("the preset {}, which {}", best.candidate.name,
                      best.grade < source::Fit::Grade::NoLatency ? "comes nearest" : "fits best");
      if (best.candidate.resort == source::Candidate::Resort::Last)
        report.next.emplace_back(kOnlyScrapes);
    }
    if (report.is_good())
      report.next.push_back(
          fmt::format("a config for it, and why by these rules: davy config suggest {}", url));
    return report;
  }

 private:
  source::Fitting fitting_;
  std::vector<source::Fit> ranked_;
  std::optional<source::Guess> guess_;
};

Result<std::unique_ptr<Reader>> reader_of(const std::optional<RulesGiven>& given) {
  if (given) return Given::make(*given);
  return std::unique_ptr<Reader>(std::make_unique<Found>());
}

ScrapeReport::Round round_of(const Scraped& scraped) {
  const std::string& body = scraped.page.body;
  return {.trouble = {},
          .format = std::string(format_of(scraped.page.content_type)),
          .bytes = body.size(),
          .is_packed = scraped.is_packed,
          .packed = scraped.packed,
          .lines = static_cast<std::size_t>(std::count(body.begin(), body.end(), '\n')),
          .asked = scraped.took,
          .read = {}};
}

/// A view that was made later, or could not read some pages, knows fewer of them.
void add_reads(const source::TargetView* view, std::vector<ScrapeReport::Round>& rounds) {
  if (view == nullptr) return;
  auto read = view->reads().rbegin();
  for (auto round = rounds.rbegin(); round != rounds.rend() && read != view->reads().rend();
       ++round) {
    if (round->trouble.empty()) round->read = *read++;
  }
}

void print_no_page_as_json(const NoPage& none) {
  nlohmann::ordered_json out{{"ok", false}, {"error", none.why}, {"next", {none.next}}};
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace

int scrape(const ScrapeOptions& options) {
  auto usage = [](const std::string& wrong) {
    fmt::print(stderr, "{}\n", wrong);
    return kExitUsage;
  };
  if (options.rounds < 1 || options.rounds > 1000) return usage("--rounds must be 1 to 1000");
  if (options.every < std::chrono::milliseconds(100) || options.every > std::chrono::hours(1))
    return usage("--every must be 100ms to 1h");
  Result<std::optional<RulesGiven>> given = rules_given(options);
  if (!given) return usage(given.error().what);
  Result<std::unique_ptr<Reader>> reader = reader_of(*given);
  if (!reader) return usage(reader.error().what);
  Result<std::unique_ptr<ScrapedTarget>> target =
      ScrapedTarget::make(options.url, options.target, *given ? (*given)->max_body : kMaxBody);
  if (!target) return usage(target.error().what);

  Progress progress(options.json);
  std::vector<ScrapeReport::Round> rounds;
  std::optional<source::Survey> survey;
  std::optional<NoPage> none;
  for (int i = 1; i <= options.rounds; ++i) {
    Time began = machine_clock().now();
    progress.show(i, options.rounds, "...");
    std::variant<Scraped, NoPage> answer = (*target)->ask((*reader)->accept());
    if (Scraped* scraped = std::get_if<Scraped>(&answer)) {
      Result<Done> seen = (*reader)->see(*scraped);
      rounds.push_back(round_of(*scraped));
      if (!seen) rounds.back().trouble = seen.error().what;
      survey = std::move(scraped->survey);
    } else {
      none = std::get<NoPage>(answer);
      if (!survey) break;  // not even the first one
      rounds.push_back({.trouble = none->why});
    }
    if (i == options.rounds) break;
    progress.show(i, options.rounds,
                  fmt::format("is here; the next in {}", units::show(options.every)));
    std::this_thread::sleep_for(began + options.every - machine_clock().now());
  }
  progress.finish();
  if (!survey) {
    options.json ? print_no_page_as_json(*none) : print_no_page(*none);
    return kExitError;
  }
  const source::TargetView* view = (*reader)->view();
  if (view == nullptr && *given) {
    NoPage unread{(*target)->url() + " " + rounds.back().trouble,
                  "narrow the selectors, so that fewer series match"};
    options.json ? print_no_page_as_json(unread) : print_no_page(unread);
    return kExitError;
  }
  add_reads(view, rounds);
  ScrapeReport report = (*reader)->report(*survey, (*target)->url());
  report.url = (*target)->url();
  report.rounds = std::move(rounds);
  fmt::print("{}", options.json ? scrape_json(report) : scrape_text(report, look_of_stdout()));
  return report.is_good() ? kExitPass : kExitFail;
}

}  // namespace davy::app
