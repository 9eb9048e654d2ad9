// Scrape: asks the instances of both versions for their Prometheus metrics, as Prometheus would.
//
// Which they are is said by URLs, by names with several addresses, by files (discovery.h). Every
// round all of them are asked on the workers, spread a little (stagger.h), each over a connection
// that is kept and with a deadline of its own. An instance that is still busy with the last round
// is not asked again. What the answers mean is decided elsewhere: reading.h (one answer), rounds.h
// (all of them). Fails on: whatever HTTP can fail on, any status but 200, HTML, a body that is cut
// or too large. Never blocks past ctx.deadline; workers may, and come to nothing.

#include <fmt/format.h>
#include <algorithm>
#include <atomic>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "base/archive.h"
#include "base/text.h"
#include "base/units.h"
#include "base/workers.h"
#include "davy/source.h"
#include "net/means.h"
#include "sources/formats/page_reader.h"
#include "sources/rounds.h"
#include "sources/slot.h"
#include "sources/targets/access.h"
#include "sources/targets/discovery.h"
#include "sources/targets/list.h"
#include "sources/targets/stagger.h"

namespace davy::source {
namespace {

/// What may befall a source of this kind.
namespace event {
constexpr std::string_view kFailed = "scrape_failed";
constexpr std::string_view kLate = "scrape_late";
constexpr std::string_view kTooLarge = "body_too_large";
constexpr std::string_view kMalformed = "malformed_lines";
constexpr std::string_view kLeftOut = "left_out_series";
constexpr std::string_view kNotFound = "lookup_failed";
constexpr std::string_view kNoWorker = "no_worker";
constexpr std::string_view kNew = "target_new";
constexpr std::string_view kGone = "target_gone";
constexpr std::string_view kBrokenFile = "file_sd_broken";
constexpr std::string_view kBrokenCredentials = "credentials_broken";
}  // namespace event

struct Settings {
  Duration every{0};
  Duration timeout{0};
  std::size_t max_body = 0;
  std::size_t max_series = 0;
};

/// One instance's connection, and what is known of its page. Used by one worker at a time:
/// `is_busy` says so.
struct Connection {
  Connection(std::shared_ptr<const Rules> of, const std::vector<Share>& shares,
             std::size_t max_series)
      : rules(std::move(of)), page(*rules, shares, max_series) {}
  std::optional<net::HttpClient> client;
  std::uint64_t generation = 0;  // of the TLS settings that the client has
  const std::shared_ptr<const Rules> rules;
  PageReader page;
  std::atomic<bool> is_busy = false;
};

/// What came of asking one instance.
struct Heard {
  Result<Reading> reading;
  std::string_view event{};  // "" = it answered
};

/// All that a worker needs; it may outlive the source.
struct Errand {
  std::shared_ptr<Connection> connection;
  std::shared_ptr<Slot<Heard>> answer = std::make_shared<Slot<Heard>>();
  std::string path;
  Access::Headers headers;
};

std::string_view event_of(net::HttpFailure failure) {
  switch (failure) {
    case net::HttpFailure::Timeout: return event::kLate;
    case net::HttpFailure::TooLarge: return event::kTooLarge;
    default: return event::kFailed;
  }
}

/// Adds what the config has not said itself.
void add_header(Access::Headers& headers, const char* name, std::string_view value) {
  bool is_there = std::any_of(headers.begin(), headers.end(), [&](const auto& header) {
    return text::equals_ignoring_case(header.first, name);
  });
  if (!is_there) headers.emplace_back(name, value);
}

std::string wrong_status(int status) {
  std::string_view why = status == 401 || status == 403  ? ", and it wants to know who asks"
                         : status >= 300 && status < 400 ? ", and redirects are not followed"
                                                         : "";
  return fmt::format("answered {} (200 would be right{})", status, why);
}

/// On a worker.
Heard ask(const Errand& errand, const Call& call) {
  PageReader& page = errand.connection->page;
  bool has_begun = false;
  auto begin_once = [&](const net::HttpResponse& head) {
    if (!std::exchange(has_begun, true)) page.begin(head.content_type);
  };
  net::HttpRequest request{.target = errand.path, .headers = errand.headers};
  add_header(request.headers, "Accept", page.accept());
  request.on_body = [&](const net::HttpResponse& head, std::string_view piece) {
    begin_once(head);
    if (head.status == 200) page.feed(piece);
    return true;  // another page is read to its end, so that the connection can be kept
  };
  auto answer = errand.connection->client->call(request, call);
  if (const auto* error = std::get_if<net::HttpError>(&answer)) {
    page.forget_format();  // what answers next may be another process
    return {Error{error->what}, event_of(error->kind)};
  }
  const net::HttpResponse& response = std::get<net::HttpResponse>(answer);
  if (response.status != 200) return {Error{wrong_status(response.status)}, event::kFailed};
  begin_once(response);  // an empty page
  Heard heard{page.finish()};
  if (!heard.reading) heard.event = event::kFailed;
  return heard;
}

class Scrape final : public Source {
 public:
  Scrape(std::vector<TargetUrl> urls, std::string urls_text, Discovery discovery, Access access,
         Rules rules, const Settings& settings, bool one_version)
      : urls_text_(std::move(urls_text)),
        targets_(std::move(urls)),
        discovery_(std::move(discovery)),
        access_(std::move(access)),
        rules_(std::make_shared<const Rules>(std::move(rules))),
        rounds_(*rules_, one_version),
        settings_(settings) {}

  Collected collect(const SourceContext& ctx) override {
    events_.clear();
    access_.refresh(ctx.workers, ctx.net, ctx.deadline);
    discovery_.refresh(ctx.workers, ctx.net, ctx.deadline);
    targets_.set_found(discovery_.targets());
    std::vector<Instance> instances =
        targets_.instances(ctx.workers, ctx.net, ctx.clock.now(),
                           ctx.deadline.earlier(Deadline::in(settings_.timeout)));
    note_changes(instances);
    Time now = ctx.clock.now();
    WallMillis wall = ctx.clock.wall();
    std::vector<Answer> answers = ask_all(instances, ctx);
    Collected collected = rounds_.finish_round(answers, now, wall, ctx.canary_alone);
    add_troubles(collected);
    for (const auto& [name, times] : events_) collected.events.push_back({name, times});
    return collected;
  }

  Duration every() const override { return settings_.every; }

  void archive(Archive& state) override {
    std::string urls_text = urls_text_;
    state(urls_text);
    if (urls_text != urls_text_) state.fail();  // of another config
    if (!state.failed()) state(targets_, stagger_, rounds_);
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
    std::string files = discovery_.describe();
    return fmt::format("scrape of {} baseline and {} canary targets{}{}", baseline, canary,
                       files.empty() ? "" : ", also those in ", files);
  }

 private:
  /// An instance that has been asked.
  struct Asked {
    std::shared_ptr<Slot<Heard>> slot;  // null when it could not be
    Deadline deadline{Time{}};
  };

  std::vector<Answer> ask_all(const std::vector<Instance>& instances, const SourceContext& ctx) {
    std::vector<Answer> answers;
    std::vector<Stagger::Seat> seats;
    for (const Instance& instance : instances) {
      bool is_pod = instance.target->shares.size() == 1;
      answers.push_back({instance.key(), instance.name(), is_pod ? instance.pod() : std::string(),
                         instance.target->sides(), Error{instance.error}});
      seats.push_back(
          {instance.key(), std::string(is_pod ? word(instance.target->shares[0].side) : "both")});
    }
    std::vector<double> places = stagger_.places(seats);
    std::vector<std::size_t> order(instances.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return places[a] < places[b]; });

    double window = seconds(stagger_window(settings_.every, settings_.timeout));
    Time start = machine_clock().now();
    Result<Access::Headers> headers = access_.headers();
    std::vector<Asked> asked(instances.size());
    for (std::size_t i : order) {
      auto offset = std::chrono::duration<double>(places[i] * window);
      Deadline due(start + std::chrono::duration_cast<Duration>(offset));
      if (Duration wait = due.earlier(ctx.deadline).left(); wait > Duration::zero())
        std::this_thread::sleep_for(wait);
      asked[i] = send(instances[i], headers, answers[i], ctx);
    }
    for (std::size_t i = 0; i < asked.size(); ++i) {
      if (asked[i].slot != nullptr) answers[i].reading = hear(asked[i]);
    }
    return answers;
  }

  /// Puts a worker on its way; when that is not possible, the answer says why.
  Asked send(const Instance& instance, const Result<Access::Headers>& headers, Answer& answer,
             const SourceContext& ctx) {
    auto not_asked = [&](std::string_view event, std::string why) {
      ++events_[event];
      answer.reading = Error{std::move(why)};
      return Asked{};
    };
    if (!instance.error.empty()) return not_asked(event::kNotFound, instance.error);
    if (!headers) return not_asked(event::kFailed, headers.error().what);
    std::shared_ptr<Connection>& connection = connections_[instance.key()];
    if (connection != nullptr && connection->is_busy)
      return not_asked(event::kLate, "is still busy with the last round");
    if (auto done = connect(instance, connection); !done)
      return not_asked(event::kFailed, done.error().what);
    Errand errand{
        .connection = connection, .path = instance.target->url.target, .headers = *headers};
    // Within a machine, packing costs both ends more than it saves: unpacking is seven times as
    // dear as receiving.
    add_header(errand.headers, "Accept-Encoding", instance.is_local() ? "identity" : "gzip");
    Deadline deadline = ctx.deadline.earlier(Deadline::in(settings_.timeout));
    connection->is_busy = true;
    bool is_taken = ctx.workers.submit([errand, call = Call{deadline, ctx.net}] {
      Heard heard = ask(errand, call);
      errand.connection->is_busy = false;
      errand.answer->put(std::move(heard));
    });
    if (is_taken) return {errand.answer, deadline};
    connection->is_busy = false;
    return not_asked(event::kNoWorker, "davy has no worker free to ask it");
  }

  /// Makes the client when there is none, or only one with outdated certificates.
  Result<Done> connect(const Instance& instance, std::shared_ptr<Connection>& connection) {
    const TargetUrl& target = *instance.target;
    net::HttpOptions options{.max_body = settings_.max_body,
                             .server_name = access_.server_name(),
                             .connect_to = instance.address,
                             .unix_path = target.unix_path};
    if (target.url.scheme == "https") {
      Result<std::shared_ptr<const net::TlsContext>> tls = access_.tls();
      if (!tls) return tls.error();
      options.tls_context = *tls;
    }
    if (connection == nullptr)
      connection = std::make_shared<Connection>(rules_, target.shares, settings_.max_series);
    if (!connection->client || connection->generation != access_.generation()) {
      connection->client.emplace(target.url, std::move(options));
      connection->generation = access_.generation();
    }
    return Done{};
  }

  Result<Reading> hear(const Asked& asked) {
    std::optional<Heard> heard = asked.slot->take(asked.deadline);
    if (!heard) {
      ++events_[event::kLate];
      return Error{fmt::format("no answer within {}", units::show(settings_.timeout))};
    }
    if (!heard->event.empty()) ++events_[heard->event];
    if (heard->reading) {
      events_[event::kMalformed] += static_cast<double>(heard->reading->malformed);
      events_[event::kLeftOut] += static_cast<double>(heard->reading->left_out);
    }
    return std::move(heard->reading);
  }

  void note_changes(const std::vector<Instance>& instances) {
    std::set<std::string> present;
    for (const Instance& instance : instances) present.insert(instance.key());
    for (const std::string& key : present) events_[event::kNew] += present_.count(key) == 0 ? 1 : 0;
    for (const std::string& key : present_)
      events_[event::kGone] += present.count(key) == 0 ? 1 : 0;
    std::erase_if(connections_, [&](const auto& item) { return present.count(item.first) == 0; });
    present_ = std::move(present);
  }

  /// What is wrong with files stands before what is wrong with targets, which may come of it.
  void add_troubles(Collected& collected) {
    std::vector<std::string> troubles = access_.troubles();
    if (!troubles.empty()) events_[event::kBrokenCredentials] += 1;
    for (const Discovery::Trouble& trouble : discovery_.troubles()) {
      troubles.push_back(trouble.what);
      if (trouble.is_broken_file) events_[event::kBrokenFile] += 1;
    }
    if (!collected.trouble.empty()) troubles.push_back(collected.trouble);
    collected.trouble = text::join(troubles, "; ");
    std::erase_if(events_, [](const auto& item) { return item.second == 0; });
  }

  const std::string urls_text_;
  TargetList targets_;
  Discovery discovery_;
  Access access_;
  Stagger stagger_;
  const std::shared_ptr<const Rules> rules_;
  Rounds rounds_;
  const Settings settings_;
  std::map<std::string, std::shared_ptr<Connection>> connections_;
  std::set<std::string> present_;                // keys of the last round's instances
  std::map<std::string_view, double> events_{};  // of this round
};

Result<Done> add_urls(const Options& options, std::string_view setting,
                      const std::vector<Share>& shares, std::vector<TargetUrl>& out) {
  if (!options.has(setting)) return Done{};
  for (const std::string& text : options.list(setting)) {
    Result<TargetUrl> url = parse_target_url(text);
    if (!url) return Error{url.error().what, std::string(setting)};
    bool is_twice = std::any_of(out.begin(), out.end(),
                                [&](const TargetUrl& other) { return other.text == text; });
    if (is_twice)
      return Error{url->shown() + " stands there twice (each instance belongs to one version)",
                   std::string(setting)};
    url->shares = shares;
    out.push_back(*std::move(url));
  }
  return Done{};
}

std::string when_of(Side side) {
  return fmt::format("{}_when", word(side));
}

/// `targets`, whose series `baseline_when` and `canary_when` tell apart.
Result<std::vector<TargetUrl>> read_shared_urls(const Options& options) {
  for (const char* other : {"baseline", "canary", "file_sd"}) {
    if (options.has(other))
      return Error{"stands beside targets (either the one or the other)", other};
  }
  std::vector<Share> shares;
  for (Side side : kSides) {
    std::string when = when_of(side);
    if (!options.has(when))
      return Error{
          fmt::format("{} is missing (which series are its own: 'server=~\"v1.*\"')", when)};
    Result<Matchers> matchers = Matchers::parse(options.text(when));
    if (!matchers) return Error{matchers.error().what, when};
    shares.push_back({side, std::move(*matchers)});
  }
  std::vector<TargetUrl> urls;
  if (auto done = add_urls(options, "targets", shares, urls); !done) return done.error();
  return urls;
}

/// Of an instance that publishes: only `targets`.
Result<std::vector<TargetUrl>> read_urls_of_one_version(const Options& options) {
  for (const char* other : {"baseline", "canary", "file_sd", "baseline_when", "canary_when"}) {
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

/// `baseline` and `canary`, where they are; the files may name the rest.
Result<std::vector<TargetUrl>> read_urls(const Options& options) {
  if (options.has("targets")) return read_shared_urls(options);
  std::vector<TargetUrl> urls;
  for (Side side : kSides) {
    std::string when = when_of(side);
    if (options.has(when) && !options.has("file_sd")) {
      return Error{
          "is for targets that serve both versions (name them under targets), or for the "
          "labels of those in file_sd",
          when};
    }
    if (!options.has(word(side)) && !options.has(when)) {
      std::string how = options.has("file_sd") ? fmt::format(
                                                     "which targets in file_sd are its own: {} "
                                                     "'track=\"{}\"'",
                                                     when, word(side))
                                               : "the metrics URL of its instances";
      return Error{fmt::format("{} is missing ({})", word(side), how)};
    }
    if (auto done = add_urls(options, word(side), {{side}}, urls); !done) return done.error();
  }
  return urls;
}

Result<Discovery> read_discovery(const Options& options) {
  if (!options.has("file_sd")) return Discovery({}, {});
  for (const std::string& pattern : options.list("file_sd")) {
    if (auto done = Discovery::check_pattern(pattern); !done)
      return Error{done.error().what, "file_sd"};
  }
  std::vector<Discovery::Version> versions;
  for (Side side : kSides) {
    std::string when = when_of(side);
    if (!options.has(when)) continue;
    Result<Matchers> matchers = Matchers::parse(options.text(when));
    if (!matchers) return Error{matchers.error().what, when};
    versions.push_back({side, options.text(when), std::move(*matchers)});
  }
  if (versions.empty()) {
    return Error{
        "needs baseline_when or canary_when, or both: which labels its targets have "
        "(track=\"canary\")",
        "file_sd"};
  }
  return Discovery(options.list("file_sd"), std::move(versions));
}

/// All that says which series of which target belong to which version, in one text.
std::string text_of_urls(const Options& options) {
  std::string text = "scrape 2";
  for (const char* list : {"baseline", "canary", "targets", "file_sd"}) {
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
  Result<Discovery> discovery = read_discovery(setup.options);
  if (!discovery) return discovery.error();
  Result<Access> access = Access::make(setup.options);
  if (!access) return access.error();
  Result<Settings> settings = read_settings(setup.options);
  if (!settings) return settings.error();
  Result<Rules> rules = Rules::compile(setup.requests, setup.values);
  if (!rules) return rules.error();
  return std::unique_ptr<Source>(std::make_unique<Scrape>(
      std::move(*urls), text_of_urls(setup.options), std::move(*discovery), std::move(*access),
      std::move(*rules), *settings, setup.one_version));
}

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> all = {
      {"baseline", OptionType::TextList, kOptional, "",
       "metrics URLs of the version that runs now; a name with several addresses is several "
       "instances"},
      {"canary", OptionType::TextList, kOptional, "", "metrics URLs of the new version"},
      {"file_sd", OptionType::TextList, kOptional, "",
       "beside or instead of the two: files of Prometheus' file_sd, /etc/sd/*.json"},
      {"targets", OptionType::TextList, kOptional, "",
       "instead of them: URLs that tell of both versions, such as a load balancer's; in publish, "
       "the instance's own"},
      {"baseline_when", OptionType::Text, kOptional, "",
       "with file_sd: the matchers of the labels of the baseline's targets; with targets: of its "
       "series"},
      {"canary_when", OptionType::Text, kOptional, "", "the same of the canary"},
      {"every", OptionType::Duration, kOptional, "5s", "how often to ask"},
      {"timeout", OptionType::Duration, kOptional, "",
       "how long each may take to answer; 2s, or `every` when that is shorter"},
      {"max_body", OptionType::Bytes, kOptional, "32MiB", "the largest answer taken, unpacked"},
      {"max_series", OptionType::Number, kOptional, "10000",
       "how many series of one target may match"}};
  for (OptionSpec& spec : Access::options()) all.push_back(std::move(spec));
  return all;
}

}  // namespace

extern const SourceKind scrape{
    .name = "scrape",
    .summary = "asks the instances of both versions for their Prometheus metrics",
    .options = options(),
    .example =
        R"({ baseline: ["http://v1:9102/metrics"], canary: ["http://v2:9102/metrics"], every: 5s })",
    .events = {event::kFailed, event::kLate, event::kTooLarge, event::kMalformed, event::kLeftOut,
               event::kNotFound, event::kNoWorker, event::kNew, event::kGone, event::kBrokenFile,
               event::kBrokenCredentials},
    .takes_one_version = true,
    .make = make,
};

}  // namespace davy::source
