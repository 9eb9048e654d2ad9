#include "unit/config/fakes.h"

namespace davy::config::fakes {
namespace {

struct Silent final : Probe {
  Outcome run(const ProbeContext&) override { return {}; }
};

struct Empty final : Source {
  Collected collect(const SourceContext&) override { return {}; }
  Duration every() const override { return std::chrono::seconds(5); }
  std::string describe() const override { return "nothing"; }
  void archive(Archive&) override {}
};

Result<std::unique_ptr<Probe>> make_probe(const Options&) {
  return std::unique_ptr<Probe>(std::make_unique<Silent>());
}

/// Refuses a DSN with two hosts, as the real one does.
Result<std::unique_ptr<Probe>> make_db(const Options& options) {
  if (options.text("dsn").find(',') != std::string::npos) {
    return Error{"names several hosts (one per check)", "dsn"};
  }
  return make_probe(options);
}

struct Mute final : Publisher {
  Duration until_due(Time) const override { return std::chrono::seconds(5); }
  void count(const SourceContext&, bool) override {}
  PublisherReport send(const SourceContext&) override { return {}; }
  std::string describe() const override { return "nobody"; }
  void archive(Archive&) override {}
  void see_reboot() override {}
};

/// Refuses a version with a space, and a length of 0.
Result<std::unique_ptr<Publisher>> make_publisher(PublisherSetup setup) {
  if (setup.version.find(' ') != std::string::npos) return Error{"has a space", "version"};
  if (setup.options.number("length") == 0) return Error{"keeps nothing", "length"};
  return std::unique_ptr<Publisher>(std::make_unique<Mute>());
}

Result<std::unique_ptr<Source>> make_exchange(const SourceSetup&) {
  return std::unique_ptr<Source>(std::make_unique<Empty>());
}

/// Refuses a counter with a space, an `every` below a second, and, as of one version, a canary.
Result<std::unique_ptr<Source>> make_source(const SourceSetup& setup) {
  if (setup.one_version && setup.options.has("canary"))
    return Error{"tells versions apart", "canary"};
  if (!setup.values.empty() && setup.values[0].series.find(' ') != std::string::npos)
    return Error{"memory: is no selector", "metrics"};
  if (setup.requests.counter.front().find(' ') != std::string::npos)
    return Error{"is no selector", "counter"};
  if (setup.options.duration("every") < std::chrono::seconds(1))
    return Error{"is too often", "every"};
  return std::unique_ptr<Source>(std::make_unique<Empty>());
}

const ProbeKind db{.name = "db",
                   .summary = "",
                   .reach = ProbeKind::Reach::Remote,
                   .options = {{"dsn", OptionType::Secret, kRequired, "", "where and as whom"}},
                   .example = "",
                   .make = make_db};
const ProbeKind file{.name = "file",
                     .summary = "",
                     .reach = ProbeKind::Reach::Local,
                     .options = {{"path", OptionType::Path, kRequired, "", "an absolute path"}},
                     .example = "",
                     .make = make_probe};
const ProbeKind http{.name = "http",
                     .summary = "",
                     .reach = ProbeKind::Reach::Remote,
                     .options = {{"url", OptionType::Url, kRequired, "", "what to ask"}},
                     .example = "",
                     .make = make_probe};
const ProbeKind all_types{
    .name = "all_types",
    .summary = "",
    .reach = ProbeKind::Reach::Local,
    .options = {{"text", OptionType::Text, kOptional, "fallen back", ""},
                {"url", OptionType::Url, kOptional, "", ""},
                {"address", OptionType::Address, kOptional, "", ""},
                {"path", OptionType::Path, kOptional, "", ""},
                {"duration", OptionType::Duration, kOptional, "3s", ""},
                {"bytes", OptionType::Bytes, kOptional, "", ""},
                {"amount", OptionType::Amount, kOptional, "", ""},
                {"ratio", OptionType::Ratio, kOptional, "", ""},
                {"number", OptionType::Number, kOptional, "", ""},
                {"flag", OptionType::Flag, kOptional, "true", ""},
                {"choice", OptionType::Choice, kOptional, "", "", {"primary", "standby"}},
                {"list", OptionType::TextList, kOptional, "", ""}},
    .example = "",
    .make = make_probe};
const SourceKind scrape{
    .name = "scrape",
    .summary = "",
    .options = {{"baseline", OptionType::TextList, kRequired, "", "URLs of the old version"},
                {"canary", OptionType::TextList, kRequired, "", "URLs of the new version"},
                {"every", OptionType::Duration, kOptional, "5s", ""}},
    .example = "",
    .make = make_source};
const SourceKind own{.name = "own",
                     .summary = "",
                     .options = {{"canary", OptionType::Text, kOptional, "", ""},
                                 {"every", OptionType::Duration, kOptional, "5s", ""}},
                     .example = "",
                     .takes_one_version = true,
                     .make = make_source};
const PublisherKind publisher{
    .options = {{"url", OptionType::Secret, kRequired, "", "where to"},
                {"length", OptionType::Number, kOptional, "10", "how much is kept"}},
    .example = "",
    .make = make_publisher};
const SourceKind exchange{.name = "exchange",
                          .summary = "",
                          .options = {{"url", OptionType::Secret, kRequired, "", "where from"}},
                          .example = "",
                          .reads_series = false,
                          .publisher = &publisher,
                          .make = make_exchange};

}  // namespace

const Kinds& kinds() {
  static const std::vector<const ProbeKind*> probes = {&all_types, &db, &file, &http};
  static const std::vector<const SourceKind*> sources = {&scrape, &exchange, &own};
  static const Kinds kinds{probes, sources};
  return kinds;
}

std::string problems_of(std::string_view yaml) {
  std::string all;
  for (const Problem& problem : load_text(yaml, "f", kinds()).problems)
    all += problem.text() + "\n";
  return all;
}

std::string with_check(std::string_view lines) {
  std::string yaml = "service: shop\nchecks:\n  - name: x\n    ";
  for (char c : lines) {
    yaml += c;
    if (c == '\n') yaml += "    ";
  }
  return yaml + "\n";
}

}  // namespace davy::config::fakes
