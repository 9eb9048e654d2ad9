// Prometheus: asks a server that has scraped both versions already: Prometheus, Thanos, Mimir,
// VictoriaMetrics.
//
// Every round asks the server for its time, and then, of each version, for the raw samples of the
// last minutes at that moment: `{__name__=~"a|b",namespace="prod",version="v2"}[120s]`. Nothing is
// computed by the server: increase() and rate() extrapolate, and the judge takes counts only. What
// the samples mean is decided elsewhere: prometheus/fleet.h (one round), rounds.h (all of them).
// Whose clock: the server's. Ours only measures how long a round was.
// Fails on: whatever HTTP can fail on, any status but 200, what is no answer, partial answers.
// Never blocks past ctx.deadline.

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <map>

#include "base/archive.h"
#include "base/text.h"
#include "base/units.h"
#include "davy/source.h"
#include "net/http_client.h"
#include "net/means.h"
#include "sources/prometheus/client.h"
#include "sources/prometheus/fleet.h"
#include "sources/rounds.h"

namespace davy::source {
namespace {

constexpr int kBlindAfter = 3;     // rounds without an answer, as a scraped target is given up
constexpr double kQuietFor = 2.5;  // distances of scrapes without a new sample

struct Settings {
  Duration every{0};
  Duration window{0};
  Duration timeout{0};
  std::size_t max_series = 0;
};

/// What is asked of one version: a query per set of matchers.
using Queries = std::vector<std::string>;

class Prometheus final : public Source {
 public:
  Prometheus(PromClient client, Rules rules, FleetSetup fleet, std::array<Queries, 2> queries,
             const Settings& settings, std::string text)
      : client_(std::move(client)),
        rules_(std::make_unique<const Rules>(std::move(rules))),
        fleet_{*rules_, std::move(fleet.when), std::move(fleet.asked_for),
               std::move(fleet.instance_label), fleet.has_instances},
        queries_(std::move(queries)),
        rounds_(*rules_),
        settings_(settings),
        text_(std::move(text)) {}

  Collected collect(const SourceContext& ctx) override {
    client_.refresh(ctx);
    Collected collected = finish_round(ctx);
    std::vector<std::string> troubles = client_.troubles();
    if (!troubles.empty()) collected.events.push_back({"credentials_broken", 1});
    if (!collected.trouble.empty()) troubles.push_back(collected.trouble);
    collected.trouble = text::join(troubles, "; ");
    for (const SourceEvent& event : client_.take_events()) collected.events.push_back(event);
    return collected;
  }

  /// Not more often than the server scrapes: there would be nothing new.
  Duration every() const override {
    bool is_slower = scraped_every_ > settings_.every + settings_.every / 20;
    return is_slower ? std::min(scraped_every_, settings_.window) : settings_.every;
  }

  void archive(Archive& state) override {
    std::string text = text_;
    state(text);
    if (text != text_) state.fail();  // of another config
    if (!state.failed()) state(rounds_);
  }

  std::string describe() const override {
    return fmt::format("{}: {} as the baseline, {} as the canary", client_.name(),
                       fleet_.asked_for[index(Side::Baseline)],
                       fleet_.asked_for[index(Side::Canary)]);
  }

 private:
  Collected finish_round(const SourceContext& ctx) {
    Call call{ctx.deadline.earlier(Deadline::in(settings_.timeout)), ctx.net};
    std::array<std::vector<PromTable>, 2> tables;
    Result<double> moment = client_.server_time(call);
    Time now = ctx.clock.now();
    Result<Done> done = moment ? look(*moment, tables, call) : Result<Done>(moment.error());
    if (!done) return in_trouble(done.error().what);
    Fleet fleet = read_fleet(tables, fleet_);
    if (!fleet.overlap.empty()) {
      return in_trouble(fmt::format(
          "{} matches both baseline_when and canary_when (each series belongs to one version)",
          fleet.overlap));
    }
    if (std::optional<Collected> quiet = without_news(fleet, *moment)) return *quiet;
    failures_ = 0;
    scraped_every_ = std::chrono::milliseconds(10 * std::llround(fleet.spacing * 100));
    Collected collected = rounds_.finish_round(
        fleet.answers, now, static_cast<WallMillis>(*moment * 1000), ctx.canary_alone);
    if (fleet.late > 0)
      collected.events.push_back({"late_targets", static_cast<double>(fleet.late)});
    return collected;
  }

  Result<Done> look(double moment, std::array<std::vector<PromTable>, 2>& tables,
                    const Call& call) {
    for (Side side : kSides) {
      std::size_t series = 0;
      for (const std::string& query : queries_[index(side)]) {
        PromTable& table = tables[index(side)].emplace_back();
        Result<PromAnswer> answer = client_.query(query, moment, table, call);
        if (!answer) return answer.error();
        series += table.series().size();
        if (series > settings_.max_series) {
          return Error{fmt::format(
              "{} matches more than {} series (narrow the selectors, or raise max_series)",
              fleet_.asked_for[index(side)],
              text::grouped(static_cast<double>(settings_.max_series)))};
        }
      }
    }
    return Done{};
  }

  /// The server has not answered, or what it says cannot be used. The span goes on: counters do not
  /// forget, so the next block covers this time as well.
  Collected in_trouble(const std::string& what) {
    ++failures_;
    return {
        .trouble = fmt::format("{} ({} {})", what, failures_, failures_ == 1 ? "time" : "times"),
        .blind = failures_ >= kBlindAfter};
  }

  /// A round in which no sample is newer than the last one's is none.
  std::optional<Collected> without_news(const Fleet& fleet, double moment) {
    if (fleet.newest == 0 || fleet.newest > newest_) {
      newest_ = fleet.newest;
      news_at_ = moment;
      return std::nullopt;
    }
    double quiet = moment - news_at_;
    double patience = kQuietFor * std::max(fleet.spacing, seconds(settings_.every));
    if (quiet > patience) {
      return in_trouble(fmt::format("{}: no new sample for {} (does it still scrape?)",
                                    client_.name(),
                                    units::show(std::chrono::seconds(std::llround(quiet)))));
    }
    return Collected{.baseline_targets = fleet.targets[index(Side::Baseline)],
                     .canary_targets = fleet.targets[index(Side::Canary)]};
  }

  PromClient client_;
  const std::unique_ptr<const Rules> rules_;
  const FleetSetup fleet_;
  const std::array<Queries, 2> queries_;
  Rounds rounds_;
  const Settings settings_;
  const std::string text_;  // of all that says which series are counted
  int failures_ = 0;        // rounds in a row
  double newest_ = 0;       // time of the newest sample, by the server
  double news_at_ = 0;      // when it was seen
  Duration scraped_every_{0};
};

/// Names of series by the matchers that go with them.
std::map<std::string, std::vector<std::string>> names_by_matchers(const Rules& rules,
                                                                  bool native_histograms,
                                                                  bool has_instances) {
  std::map<std::string, std::vector<std::string>> all;
  auto add = [&](const Selector& selector, std::string name) {
    std::vector<std::string>& names = all[selector.matchers.promql()];
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(std::move(name));
  };
  for (const auto* selectors : {&rules.counter, &rules.errors}) {
    for (const Selector& selector : *selectors) add(selector, selector.name);
  }
  for (const Selector& selector : rules.histogram) {
    std::string base =
        selector.name.substr(0, selector.name.size() - std::string("_bucket").size());
    add(selector, native_histograms ? base : selector.name);
  }
  for (const Rules::Value& value : rules.values) add(value.series, value.series.name);
  if (has_instances) add({std::string(kStartTime), {}}, std::string(kStartTime));
  return all;
}

std::string joined(const std::vector<std::string>& matchers) {
  std::vector<std::string> some;
  std::copy_if(matchers.begin(), matchers.end(), std::back_inserter(some),
               [](const std::string& one) { return !one.empty(); });
  return text::join(some, ",");
}

Result<Matchers> read_matchers(const Options& options, std::string_view name) {
  if (!options.has(name)) return Matchers();
  Result<Matchers> matchers = Matchers::parse(options.text(name));
  if (!matchers) return Error{matchers.error().what, std::string(name)};
  return matchers;
}

Result<Settings> read_settings(const Options& options) {
  constexpr double kMostBody = 1 << 30;
  constexpr double kMostSeries = 1e6;
  constexpr Duration kUsualTimeout = std::chrono::seconds(10);
  Settings settings{.every = options.duration("every"), .window = options.duration("window")};
  settings.timeout = options.has("timeout") ? options.duration("timeout")
                                            : std::min(kUsualTimeout, settings.every);
  if (settings.every < std::chrono::seconds(1)) {
    return Error{
        fmt::format("{} is too often (1s at least; 15s is usual)", units::show(settings.every)),
        "every"};
  }
  if (settings.window < settings.every || settings.window > std::chrono::hours(1)) {
    return Error{fmt::format("{} is not possible (from `every`, {}, to 1h)",
                             units::show(settings.window), units::show(settings.every)),
                 "window"};
  }
  if (settings.timeout <= Duration::zero() || settings.timeout > settings.every) {
    return Error{fmt::format("{} is not within the interval of {} (more than 0, at most as long)",
                             units::show(settings.timeout), units::show(settings.every)),
                 "timeout"};
  }
  double max_body = options.number("max_body");
  if (max_body < 1024 || max_body > kMostBody)
    return Error{"is not possible (1KiB to 1GiB)", "max_body"};
  double max_series = options.number("max_series");
  if (max_series < 1 || max_series > kMostSeries)
    return Error{"is not possible (1 to 1000000)", "max_series"};
  settings.max_series = static_cast<std::size_t>(max_series);
  return settings;
}

Result<PromClient> read_client(const Options& options) {
  Result<net::Url> url = net::parse_url(options.text("url"));
  if (!url) return Error{url.error().what, "url"};
  if (url->target.find("/api/v1") != std::string::npos)
    return Error{"goes too far (give what stands before /api/v1)", "url"};
  Result<Access> access = Access::make(options);
  if (!access) return access.error();
  return PromClient(std::move(*url), std::move(*access), options.text_or("tenant"),
                    static_cast<std::size_t>(options.number("max_body")));
}

/// All that says which series are counted for what, in one text.
std::string text_of(const Options& options) {
  std::string text = "prometheus 1";
  for (const char* name : {"url", "selector", "baseline_when", "canary_when", "instance", "tenant"})
    text += fmt::format("\n{} {}", name, options.text_or(name));
  return text + (options.flag("native_histograms") ? "\nnative" : "\nclassic");
}

Result<std::unique_ptr<Source>> make(const SourceSetup& setup) {
  const Options& options = setup.options;
  Result<Settings> settings = read_settings(options);
  if (!settings) return settings.error();
  Result<PromClient> client = read_client(options);
  if (!client) return client.error();
  Result<Rules> rules = Rules::compile(setup.requests, setup.values);
  if (!rules) return rules.error();
  Result<Matchers> selector = read_matchers(options, "selector");
  if (!selector) return selector.error();

  std::string instance = options.text_or("instance");
  bool has_instances = instance != "none";
  FleetSetup fleet{.rules = *rules,
                   .when = {},
                   .asked_for = {},
                   .instance_label = has_instances ? instance : "",
                   .has_instances = has_instances};
  auto names = names_by_matchers(*rules, options.flag("native_histograms"), has_instances);
  std::array<Queries, 2> queries;
  for (Side side : kSides) {
    Result<Matchers> when = read_matchers(options, fmt::format("{}_when", word(side)));
    if (!when) return when.error();
    std::string where = joined({selector->promql(), when->promql()});
    fleet.asked_for[index(side)] = fmt::format("{{{}}}", where);
    fleet.when[index(side)] = std::move(*when);
    for (const auto& [own, series] : names) {
      queries[index(side)].push_back(
          fmt::format("{{{}}}[{}ms]", joined({promql_of_names(series), own, where}),
                      std::chrono::ceil<std::chrono::milliseconds>(settings->window).count()));
    }
  }
  return std::unique_ptr<Source>(std::make_unique<Prometheus>(std::move(*client), std::move(*rules),
                                                              std::move(fleet), std::move(queries),
                                                              *settings, text_of(options)));
}

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> all = {
      {"url", OptionType::Url, kRequired, "",
       "address of the server, with the path before /api/v1 where there is one"},
      {"baseline_when", OptionType::Text, kRequired, "",
       "the matchers of the series of the version that runs now: 'version=\"v1\"'"},
      {"canary_when", OptionType::Text, kRequired, "", "the matchers of the new version's series"},
      {"selector", OptionType::Text, kOptional, "",
       "matchers of both: 'namespace=\"prod\",service=\"checkout\"'"},
      {"instance", OptionType::Text, kOptional, "",
       "the label that names an instance, when it is not `pod`, or else `instance`; `none` for "
       "series of a load balancer, which tell of no instances"},
      {"native_histograms", OptionType::Flag, kOptional, "false",
       "whether latency is in native histograms, instead of series with `le`"},
      {"every", OptionType::Duration, kOptional, "15s",
       "how often to ask; less often when the server scrapes less often"},
      {"window", OptionType::Duration, kOptional, "2m",
       "how far back to look: a series without a sample in it is gone; twice the distance of "
       "scrapes at least"},
      {"timeout", OptionType::Duration, kOptional, "",
       "until when all must be answered, with all attempts; 10s, or `every` when that is "
       "shorter"},
      {"tenant", OptionType::Text, kOptional, "", "sent as X-Scope-OrgID, for Mimir"},
      {"max_body", OptionType::Bytes, kOptional, "64MiB",
       "the largest answer taken, after decompression"},
      {"max_series", OptionType::Number, kOptional, "50000",
       "how many series of one version may match"}};
  for (OptionSpec& spec : Access::options()) all.push_back(std::move(spec));
  return all;
}

}  // namespace

extern const SourceKind prometheus{
    .name = "prometheus",
    .summary =
        "asks a Prometheus (Thanos, Mimir, VictoriaMetrics) for the metrics of both versions",
    .options = options(),
    .example =
        R"({ url: "http://prometheus:9090", selector: 'namespace="prod"', baseline_when: 'version="v1"', canary_when: 'version="v2"' })",
    .events = {PromClient::kEvents[0], PromClient::kEvents[1], PromClient::kEvents[2],
               PromClient::kEvents[3], PromClient::kEvents[4], PromClient::kEvents[5],
               PromClient::kEvents[6], "late_targets", "credentials_broken"},
    .make = make,
};

}  // namespace davy::source
