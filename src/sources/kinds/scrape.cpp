// Scrape: asks the instances of both versions for their Prometheus metrics, as Prometheus would.
//
// Every round all instances are asked at once on the workers, each over a connection that is kept.
// An instance that is still busy with the last round is not asked again. What the answers mean is
// decided elsewhere: reading.h (one answer), rounds.h (all of them).
// Fails on: whatever HTTP can fail on, any status but 200, HTML, a body that is cut or too large.
// Never blocks past ctx.deadline; workers may, and come to nothing.

#include <fmt/format.h>
#include <algorithm>
#include <atomic>
#include <map>

#include "base/archive.h"
#include "base/text.h"
#include "base/units.h"
#include "base/workers.h"
#include "davy/source.h"
#include "net/means.h"
#include "sources/page_reader.h"
#include "sources/rounds.h"
#include "sources/slot.h"
#include "sources/target_list.h"

namespace davy::source {
namespace {

struct Settings {
  Duration every{0};
  Duration timeout{0};
  std::size_t max_body = 0;
  std::size_t max_series = 0;
};

/// One instance's connection, and what is known of its page. Used by one worker at a time:
/// `is_busy` says so.
struct Connection {
  Connection(const net::Url& url, net::HttpOptions options, std::shared_ptr<const Rules> of,
             const std::vector<Share>& shares, std::size_t max_series)
      : client(url, std::move(options)), rules(std::move(of)), page(*rules, shares, max_series) {}
  net::HttpClient client;
  const std::shared_ptr<const Rules> rules;
  PageReader page;
  std::atomic<bool> is_busy = false;
};

/// All that a worker needs; it may outlive the source.
struct Errand {
  std::shared_ptr<Connection> connection;
  std::shared_ptr<Slot<Result<Reading>>> answer = std::make_shared<Slot<Result<Reading>>>();
  std::string path;
};

Result<Reading> ask(const Errand& errand, const Call& call) {
  PageReader& page = errand.connection->page;
  bool has_begun = false;
  auto begin_once = [&](const net::HttpResponse& head) {
    if (!std::exchange(has_begun, true)) page.begin(head.content_type);
  };
  net::HttpRequest request{.target = errand.path,
                           .headers = {{"Accept", std::string(page.accept())}}};
  request.on_body = [&](const net::HttpResponse& head, std::string_view piece) {
    begin_once(head);
    if (head.status == 200) page.feed(piece);
    return true;
  };
  auto answer = errand.connection->client.call(request, call);
  if (const auto* error = std::get_if<net::HttpError>(&answer)) {
    page.forget_format();  // what answers next may be another process
    return Error{error->what};
  }
  const net::HttpResponse& response = std::get<net::HttpResponse>(answer);
  if (response.status != 200)
    return Error{fmt::format("answered {} (200 would be right)", response.status)};
  begin_once(response);  // an empty page
  return page.finish();
}

class Scrape final : public Source {
 public:
  Scrape(std::vector<TargetUrl> urls, std::string urls_text, Rules rules, const Settings& settings,
         bool one_version)
      : urls_text_(std::move(urls_text)),
        targets_(std::move(urls)),
        rules_(std::make_shared<const Rules>(std::move(rules))),
        rounds_(*rules_, one_version),
        settings_(settings) {}

  Collected collect(const SourceContext& ctx) override {
    Deadline deadline = ctx.deadline.earlier(Deadline::in(settings_.timeout));
    Time now = ctx.clock.now();
    WallMillis wall = ctx.clock.wall();
    std::vector<Instance> instances = targets_.instances(ctx.workers, ctx.net, now, deadline);
    drop_connections_but(instances);

    std::vector<std::shared_ptr<Slot<Result<Reading>>>> slots;
    std::vector<Answer> answers;
    for (const Instance& instance : instances) {
      answers.push_back({instance.key(), instance.name(),
                         instance.target->shares.size() == 1 ? instance.pod() : std::string(),
                         instance.target->sides(), Error{instance.error}});
      slots.push_back(instance.address.empty() ? nullptr
                                               : send(instance, answers.back(), deadline, ctx));
    }
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (slots[i] == nullptr) continue;
      std::optional<Result<Reading>> reading = slots[i]->take(deadline);
      answers[i].reading =
          reading ? std::move(*reading)
                  : Error{fmt::format("no answer within {}", units::show(settings_.timeout))};
    }
    return rounds_.finish_round(answers, now, wall, ctx.canary_alone);
  }

  Duration every() const override { return settings_.every; }

  void archive(Archive& state) override {
    std::string urls_text = urls_text_;
    state(urls_text);
    if (urls_text != urls_text_) state.fail();  // of another config
    if (!state.failed()) state(targets_, rounds_);
  }

  std::string describe() const override {
    std::size_t baseline = 0;
    std::size_t canary = 0;
    for (const TargetUrl& url : targets_.urls()) {
      if (url.shares.size() > 1)
        return fmt::format("scrape of {} targets that serve both versions", targets_.urls().size());
      if (url.is_of_one_version) return fmt::format("scrape of {} targets", targets_.urls().size());
      ++(url.shares[0].side == Side::Baseline ? baseline : canary);
    }
    return fmt::format("scrape of {} baseline and {} canary targets", baseline, canary);
  }

 private:
  /// Puts a worker on its way; null when that was not possible, then the answer says why.
  std::shared_ptr<Slot<Result<Reading>>> send(const Instance& instance, Answer& answer,
                                              Deadline deadline, const SourceContext& ctx) {
    std::shared_ptr<Connection>& connection = connections_[instance.key()];
    if (connection == nullptr) {
      connection = std::make_shared<Connection>(
          instance.target->url,
          net::HttpOptions{.max_body = settings_.max_body, .connect_to = instance.address}, rules_,
          instance.target->shares, settings_.max_series);
    }
    if (connection->is_busy) {
      answer.reading = Error{"is still busy with the last round"};
      return nullptr;
    }
    Errand errand{.connection = connection, .path = instance.target->url.target};
    connection->is_busy = true;
    bool is_taken = ctx.workers.submit([errand, call = Call{deadline, ctx.net}] {
      Result<Reading> reading = ask(errand, call);
      errand.connection->is_busy = false;
      errand.answer->put(std::move(reading));
    });
    if (is_taken) return errand.answer;
    connection->is_busy = false;
    answer.reading = Error{"davy has no worker free to ask it"};
    return nullptr;
  }

  void drop_connections_but(const std::vector<Instance>& instances) {
    std::erase_if(connections_, [&](const auto& item) {
      return std::none_of(instances.begin(), instances.end(),
                          [&](const Instance& instance) { return instance.key() == item.first; });
    });
  }

  const std::string urls_text_;
  TargetList targets_;
  const std::shared_ptr<const Rules> rules_;
  Rounds rounds_;
  const Settings settings_;
  std::map<std::string, std::shared_ptr<Connection>> connections_;
};

Result<Done> add_urls(const Options& options, std::string_view setting,
                      const std::vector<Share>& shares, std::vector<TargetUrl>& out) {
  if (!options.has(setting)) return Done{};
  for (const std::string& text : options.list(setting)) {
    Result<net::Url> url = net::parse_url(text);
    if (!url) return Error{url.error().what, std::string(setting)};
    bool is_twice = std::any_of(out.begin(), out.end(),
                                [&](const TargetUrl& other) { return other.text == text; });
    if (is_twice)
      return Error{text + " stands there twice (each instance belongs to one version)",
                   std::string(setting)};
    out.push_back({text, std::move(*url), shares});
  }
  return Done{};
}

/// Of an instance that publishes: only `targets`.
Result<std::vector<TargetUrl>> read_urls_of_one_version(const Options& options) {
  for (const char* other : {"baseline", "canary", "baseline_when", "canary_when"}) {
    if (options.has(other))
      return Error{"tells versions apart, and what is published is one (name its targets)", other};
  }
  if (!options.has("targets"))
    return Error{"targets is missing (the metrics URL of the instance itself)"};
  std::vector<TargetUrl> urls;
  if (auto done = add_urls(options, "targets", {{Side::Canary}}, urls); !done) return done.error();
  for (TargetUrl& url : urls) url.is_of_one_version = true;
  return urls;
}

/// Either `baseline` and `canary`, or `targets` with `baseline_when` and `canary_when`.
Result<std::vector<TargetUrl>> read_urls(const Options& options) {
  std::vector<TargetUrl> urls;
  if (!options.has("targets")) {
    for (const char* when : {"baseline_when", "canary_when"}) {
      if (options.has(when))
        return Error{"is for targets that serve both versions (name them under targets)", when};
    }
    for (Side side : kSides) {
      if (!options.has(word(side))) {
        return Error{fmt::format("{} is missing (the metrics URL of its instances)", word(side))};
      }
      if (auto done = add_urls(options, word(side), {{side}}, urls); !done) return done.error();
    }
    return urls;
  }
  for (Side side : kSides) {
    if (options.has(word(side))) {
      return Error{"stands beside targets (either the one or the other)", std::string(word(side))};
    }
  }
  std::vector<Share> shares;
  for (Side side : kSides) {
    std::string when = fmt::format("{}_when", word(side));
    if (!options.has(when))
      return Error{
          fmt::format("{} is missing (which series are its own: 'server=~\"v1.*\"')", when)};
    Result<Matchers> matchers = Matchers::parse(options.text(when));
    if (!matchers) return Error{matchers.error().what, when};
    shares.push_back({side, std::move(*matchers)});
  }
  if (auto done = add_urls(options, "targets", shares, urls); !done) return done.error();
  return urls;
}

/// All that says which series of which target belong to which version, in one text.
std::string text_of_urls(const Options& options) {
  std::string text = "scrape 1";
  for (const char* list : {"baseline", "canary", "targets"}) {
    text += fmt::format("\n{}", list);
    if (!options.has(list)) continue;
    for (const std::string& url : options.list(list)) text += "\n- " + url;
  }
  for (const char* when : {"baseline_when", "canary_when"}) {
    if (options.has(when)) text += fmt::format("\n{} {}", when, options.text(when));
  }
  return text;
}

Result<Settings> read_settings(const Options& options) {
  constexpr double kMostBody = 1 << 30;
  constexpr double kMostSeries = 1e6;
  constexpr Duration kUsualTimeout = std::chrono::seconds(2);
  Settings settings{.every = options.duration("every")};
  settings.timeout = options.has("timeout") ? options.duration("timeout")
                                            : std::min(kUsualTimeout, settings.every);
  if (settings.every < std::chrono::milliseconds(100)) {
    return Error{
        fmt::format("{} is too often (100ms at least; 5s is usual)", units::show(settings.every)),
        "every"};
  }
  if (settings.timeout <= Duration::zero() || settings.timeout > settings.every) {
    return Error{fmt::format("{} is not within the interval of {} (more than 0, at most as long)",
                             units::show(settings.timeout), units::show(settings.every)),
                 "timeout"};
  }
  double max_body = options.number("max_body");
  double max_series = options.number("max_series");
  if (max_body < 1024 || max_body > kMostBody)
    return Error{"is not possible (1KiB to 1GiB)", "max_body"};
  if (max_series < 1 || max_series > kMostSeries)
    return Error{"is not possible (1 to 1000000)", "max_series"};
  settings.max_body = static_cast<std::size_t>(max_body);
  settings.max_series = static_cast<std::size_t>(max_series);
  return settings;
}

Result<std::unique_ptr<Source>> make(const SourceSetup& setup) {
  Result<std::vector<TargetUrl>> urls =
      setup.one_version ? read_urls_of_one_version(setup.options) : read_urls(setup.options);
  if (!urls) return urls.error();
  Result<Settings> settings = read_settings(setup.options);
  if (!settings) return settings.error();
  Result<Rules> rules = Rules::compile(setup.requests, setup.values);
  if (!rules) return rules.error();
  return std::unique_ptr<Source>(
      std::make_unique<Scrape>(std::move(*urls), text_of_urls(setup.options), std::move(*rules),
                               *settings, setup.one_version));
}

}  // namespace

extern const SourceKind scrape{
    .name = "scrape",
    .summary = "asks the instances of both versions for their Prometheus metrics",
    .options = {{"baseline", OptionType::TextList, kOptional, "",
                 "metrics URLs of the version that runs now; a name with "
                 "several addresses is several instances"},
                {"canary", OptionType::TextList, kOptional, "", "metrics URLs of the new version"},
                {"targets", OptionType::TextList, kOptional, "",
                 "instead of the two: URLs that tell of both versions, such as a load balancer's; "
                 "in publish, the instance's own"},
                {"baseline_when", OptionType::Text, kOptional, "",
                 "with targets: the matchers of the baseline's series"},
                {"canary_when", OptionType::Text, kOptional, "",
                 "with targets: the matchers of the canary's series"},
                {"every", OptionType::Duration, kOptional, "5s", "how often to ask"},
                {"timeout", OptionType::Duration, kOptional, "",
                 "until when all must have answered; 2s, or `every` when that is shorter"},
                {"max_body", OptionType::Bytes, kOptional, "32MiB",
                 "the largest answer taken, after decompression"},
                {"max_series", OptionType::Number, kOptional, "10000",
                 "how many series of one target may match"}},
    .example =
        R"({ baseline: ["http://v1:9102/metrics"], canary: ["http://v2:9102/metrics"], every: 5s })",
    .takes_one_version = true,
    .make = make,
};

}  // namespace davy::source
