// The `deployments:` section.

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "config/kind_options.h"
#include "config/sections.h"

namespace davy::config {
namespace {

class DeploymentReader {
 public:
  DeploymentReader(const Node& node, std::size_t number, const Kinds& kinds, Problems& problems)
      : settings_(node, label(node, number), problems), kinds_(kinds) {
    deployment_.line = node.line;
    deployment_.settings = fingerprint(node);
  }

  Deployment read() {
    read_name();
    settings_.read("revision", deployment_.revision);
    read_stages();
    read_expected();
    if (const Node* policy = settings_.find("policy")) {
      deployment_.policy = read_policy(*policy, settings_.inside("policy"), settings_.problems());
    }
    std::size_t before = settings_.problems().count();
    const Node* requests =
        settings_.require("requests", "preset: prometheus-http, or counter: and error_when:");
    if (requests != nullptr) {
      deployment_.requests =
          read_requests(*requests, settings_.inside("requests"), settings_.problems());
    }
    bool requests_are_good =
        settings_.problems().count() == before && requests != nullptr && !is_broken(*requests);
    if (const Node* source = settings_.require("source", "scrape: {baseline: ..., canary: ...}")) {
      read_source(*source, requests_are_good ? requests : nullptr);
    }
    settings_.finish();
    return std::move(deployment_);
  }

 private:
  static std::string label(const Node& node, std::size_t number) {
    const Node* name = node.find("name");
    bool is_named = name != nullptr && !name->text.empty() && !wrong_name(name->text);
    return is_named ? "deployment " + name->text : fmt::format("deployment number {}", number);
  }

  void read_name() {
    std::optional<std::string> name =
        settings_.text_of(settings_.require("name", "the service's name is usual"));
    if (!name) return;
    if (auto wrong = wrong_name(*name)) settings_.problem("name", *wrong);
    deployment_.name = std::move(*name);
  }

  void read_stages() {
    std::vector<std::string> texts;
    std::size_t before = settings_.problems().count();
    settings_.read("stages", texts);
    if (settings_.problems().count() > before) return;
    for (const std::string& text : texts) {
      if (Result<double> share = parse_stage(text, deployment_.stages)) {
        deployment_.stages.push_back(*share);
      } else {
        settings_.problem("stages", share.error().what);
      }
    }
  }

  void read_expected() {
    const Node* node = settings_.find("expect");
    if (node == nullptr) return;
    Settings expect(*node, settings_.inside("expect"), settings_.problems());
    Expected out;
    std::size_t before = settings_.problems().count();
    bool has_rate =
        expect.require("requests_per_second", "of both versions together: 4") != nullptr;
    expect.read_number("requests_per_second", out.requests_per_second);
    expect.read_ratio("error_rate", out.error_rate);
    bool is_read = settings_.problems().count() == before;
    if (is_read && has_rate && out.requests_per_second <= 0)
      expect.problem("requests_per_second", "is no traffic (more than 0)");
    if (is_read && out.error_rate >= 1)
      expect.problem("error_rate", "leaves no request that works (less than 100%)");
    expect.finish();
    deployment_.expect = out;
  }

  void read_source(const Node& node, const Node* requests) {
    Settings source(node, settings_.inside("source"), settings_.problems());
    if (node.kind != Node::Kind::Map) return;
    std::vector<std::string> names;
    for (const SourceKind* kind : kinds_.sources) names.emplace_back(kind->name);
    if (node.items.size() != 1) {
      source.problem_at(node, fmt::format("must name one kind of source, not {} (known: {})",
                                          node.items.size(), text::join(names, ", ")));
      return;
    }
    const Node& chosen = node.items.front();
    auto kind = std::find(names.begin(), names.end(), chosen.key);
    if (kind == names.end()) {
      std::string near = text::nearest(chosen.key, names);
      source.problem_at(chosen, fmt::format("is not a kind of source ({}known: {})",
                                            near.empty() ? "" : "did you mean " + near + "? ",
                                            text::join(names, ", ")));
      return;
    }
    deployment_.source = kinds_.sources[static_cast<std::size_t>(kind - names.begin())];
    make_source(chosen, source.inside(chosen.key), requests);
  }

  void make_source(const Node& node, const std::string& where, const Node* requests) {
    Settings settings(node, where, settings_.problems());
    std::optional<Options> options = read_options(settings, deployment_.source->options);
    if (!options || requests == nullptr) return;
    deployment_.source_options = std::move(*options);
    auto made = make_source_of(deployment_);
    if (made) return;
    if (is_of_requests(made.error().setting)) {
      Settings series(*requests, settings_.inside("requests"), settings_.problems());
      blame(series, made.error());
    } else if (made.error().setting == "metrics") {
      Settings policy(*settings_.find("policy"), settings_.inside("policy"), settings_.problems());
      blame(policy, made.error());
    } else {
      blame(settings, made.error());
    }
  }

  static bool is_of_requests(std::string_view setting) {
    constexpr std::string_view kOwn[] = {"counter", "error_when", "errors", "histogram", "unit"};
    return std::find(std::begin(kOwn), std::end(kOwn), setting) != std::end(kOwn);
  }

  Settings settings_;
  const Kinds& kinds_;
  Deployment deployment_;
};

}  // namespace

Result<double> parse_stage(std::string_view text, const std::vector<double>& before) {
  Result<double> share = units::parse_ratio(text);
  if (!share) return share;
  if (*share <= 0 || *share > 1) {
    return Error{fmt::format("{} is no share of the traffic (more than 0%, at most 100%)", text)};
  }
  if (!before.empty() && *share <= before.back())
    return Error{fmt::format("{} does not go up (ascending: 5%, 25%, 50%, 100%)", text)};
  return share;
}

Result<std::unique_ptr<Source>> make_source_of(const Deployment& deployment) {
  return deployment.source->make({.options = deployment.source_options,
                                  .requests = deployment.requests,
                                  .values = deployment.policy.value_series(),
                                  .deployment = deployment.name});
}

std::vector<Deployment> read_deployments(const Node& list, const Kinds& kinds, Problems& problems) {
  std::vector<Deployment> deployments;
  for (const Node& item : list.items) {
    deployments.push_back(DeploymentReader(item, deployments.size() + 1, kinds, problems).read());
    const Deployment& last = deployments.back();
    auto first = std::find_if(deployments.begin(), deployments.end(),
                              [&](const Deployment& d) { return d.name == last.name; });
    if (first != deployments.end() - 1 && !last.name.empty()) {
      problems.add(last.line,
                   fmt::format("deployment {}: the name is taken by the deployment in line {} "
                               "(names must differ)",
                               last.name, first->line));
    }
  }
  return deployments;
}

}  // namespace davy::config
