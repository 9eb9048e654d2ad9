// The `publish:` section.

#include <fmt/format.h>
#include <unistd.h>
#include <algorithm>
#include <climits>

#include "config/kind_options.h"
#include "config/sections.h"

namespace davy::config {
namespace {

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

Result<std::unique_ptr<Source>> source_of(const Publication& publication) {
  return publication.source->make({.options = publication.source_options,
                                   .requests = publication.requests,
                                   .values = publication.values,
                                   .deployment = publication.deployment,
                                   .one_version = true});
}

class PublicationReader {
 public:
  PublicationReader(const Node& node, std::size_t number, const Kinds& kinds, Problems& problems)
      : settings_(node, label(node, number), problems), kinds_(kinds) {
    publication_.line = node.line;
    publication_.settings = fingerprint(node);
  }

  Publication read() {
    std::size_t before = settings_.problems().count();
    read_names();
    if (const Node* list = settings_.find("metrics"))
      publication_.values =
          read_published_metrics(*list, settings_.inside("metrics"), settings_.problems());
    source_ = choose("source", sources(), "kind of source that can be published",
                     "scrape: {targets: ...}", publication_.source_options);
    exchange_ = choose("to", exchanges(), "way to publish", "redis_exchange: {url: ...}",
                       publication_.exchange_options);
    if (!source_ || source_->kind->reads_series) {
      requests_ =
          settings_.require("requests", "preset: prometheus-http, or counter: and error_when:");
      if (requests_ != nullptr)
        publication_.requests =
            read_requests(*requests_, settings_.inside("requests"), settings_.problems());
    } else if (settings_.find("requests") != nullptr) {
      settings_.problem(
          "requests", fmt::format("is not what {} counts by (leave it out)", source_->kind->name));
    }
    bool is_complete = settings_.problems().count() == before && !is_broken(settings_.node());
    if (is_complete) try_to_make();
    settings_.finish();
    return std::move(publication_);
  }

 private:
  static std::string label(const Node& node, std::size_t number) {
    const Node* name = node.find("deployment");
    bool is_named = name != nullptr && !name->text.empty() && !wrong_name(name->text);
    return is_named ? "publish " + name->text : fmt::format("publish number {}", number);
  }

  void read_names() {
    std::optional<std::string> name =
        settings_.text_of(settings_.require("deployment", "its name, as its judge has it"));
    if (name) {
      if (auto wrong = wrong_name(*name)) settings_.problem("deployment", *wrong);
      publication_.deployment = std::move(*name);
    }
    settings_.require("version", "which version runs here, such as v2 or its revision");
    settings_.read("version", publication_.version);
    publication_.instance = host_name();
    settings_.read("instance", publication_.instance);
  }

  std::vector<const SourceKind*> sources() const {
    std::vector<const SourceKind*> all;
    std::copy_if(kinds_.sources.begin(), kinds_.sources.end(), std::back_inserter(all),
                 [](const SourceKind* kind) { return kind->takes_one_version; });
    return all;
  }
  std::vector<const SourceKind*> exchanges() const {
    std::vector<const SourceKind*> all;
    std::copy_if(kinds_.sources.begin(), kinds_.sources.end(), std::back_inserter(all),
                 [](const SourceKind* kind) { return kind->publisher != nullptr; });
    return all;
  }

  std::optional<ChosenSource> choose(std::string_view key,
                                     const std::vector<const SourceKind*>& kinds,
                                     std::string_view what, std::string_view example,
                                     Options& out) {
    const Node* node = settings_.require(key, example);
    if (node == nullptr) return std::nullopt;
    Settings part(*node, settings_.inside(key), settings_.problems());
    std::optional<ChosenSource> chosen = choose_source(part, kinds, what);
    if (!chosen) return std::nullopt;
    Settings settings(*chosen->node, chosen->where, settings_.problems());
    const std::vector<OptionSpec>& specs =
        key == "to" ? chosen->kind->publisher->options : chosen->kind->options;
    if (std::optional<Options> options = read_options(settings, specs)) out = std::move(*options);
    return chosen;
  }

  /// So that it cannot refuse when it counts.
  void try_to_make() {
    publication_.source = source_->kind;
    publication_.exchange = exchange_->kind;
    Result<std::unique_ptr<Source>> source = source_of(publication_);
    if (!source) {
      blame_part(source.error(), *source_);
      return;
    }
    if (auto made = make_publisher_of(publication_); !made) blame_part(made.error(), *exchange_);
  }

  void blame_part(const Error& error, const ChosenSource& chosen) {
    Problems& problems = settings_.problems();
    constexpr std::string_view kOurs[] = {"metrics", "version", "instance"};
    if (requests_ != nullptr && is_of_requests(error.setting)) {
      Settings series(*requests_, settings_.inside("requests"), problems);
      blame(series, error);
    } else if (std::find(std::begin(kOurs), std::end(kOurs), error.setting) != std::end(kOurs)) {
      blame(settings_, error);
    } else {
      Settings settings(*chosen.node, chosen.where, problems);
      blame(settings, error);
    }
  }

  Settings settings_;
  const Kinds& kinds_;
  Publication publication_;
  std::optional<ChosenSource> source_;
  std::optional<ChosenSource> exchange_;
  const Node* requests_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<Publisher>> make_publisher_of(const Publication& publication) {
  Result<std::unique_ptr<Source>> source = source_of(publication);
  if (!source) return source.error();
  return publication.exchange->publisher->make({.options = publication.exchange_options,
                                                .deployment = publication.deployment,
                                                .version = publication.version,
                                                .instance = publication.instance,
                                                .values = publication.values,
                                                .source = std::move(*source)});
}

std::vector<Publication> read_publications(const Node& list, const Kinds& kinds,
                                           Problems& problems) {
  std::vector<Publication> publications;
  for (const Node& item : list.items) {
    publications.push_back(
        PublicationReader(item, publications.size() + 1, kinds, problems).read());
    const Publication& last = publications.back();
    auto first =
        std::find_if(publications.begin(), publications.end(), [&](const Publication& other) {
          return other.deployment == last.deployment && other.instance == last.instance;
        });
    if (first != publications.end() - 1 && !last.deployment.empty()) {
      problems.add(last.line,
                   fmt::format("publish {}: line {} publishes as {}, too (give each its own "
                               "`instance`)",
                               last.deployment, first->line, last.instance));
    }
  }
  return publications;
}

}  // namespace davy::config
