// The `deployments:` section.

#include <fmt/format.h>
#include <algorithm>

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
    read_source();
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

  void read_source() {
    const Node* node = settings_.require("source", "scrape: {baseline: ..., canary: ...}");
    std::optional<ChosenSource> chosen;
    if (node != nullptr) {
      Settings source(*node, settings_.inside("source"), settings_.problems());
      chosen = choose_source(source, kinds_.sources, "kind of source");
    }
    bool is_complete = true;
    const Node* requests = nullptr;
    if (!chosen || chosen->kind->reads_series) {
      requests =
          settings_.require("requests", "preset: prometheus-http, or counter: and error_when:");
      is_complete = requests != nullptr && read_requests_of(*requests);
    } else if (settings_.find("requests") != nullptr) {
      settings_.problem("requests",
                        fmt::format("is said where they are counted, and {} merges what "
                                    "others counted (leave it out here)",
                                    chosen->kind->name));
    }
    if (chosen) make_source(*chosen, is_complete, requests);
  }

  bool read_requests_of(const Node& node) {
    std::size_t before = settings_.problems().count();
    deployment_.requests = read_requests(node, settings_.inside("requests"), settings_.problems());
    return settings_.problems().count() == before && !is_broken(node);
  }

  void make_source(const ChosenSource& chosen, bool is_complete, const Node* requests) {
    deployment_.source = chosen.kind;
    Settings settings(*chosen.node, chosen.where, settings_.problems());
    std::optional<Options> options = read_options(settings, chosen.kind->options);
    if (!options || !is_complete) return;
    deployment_.source_options = std::move(*options);
    auto made = make_source_of(deployment_);
    if (made) return;
    if (requests != nullptr && is_of_requests(made.error().setting)) {
      Settings series(*requests, settings_.inside("requests"), settings_.problems());
      blame(series, made.error());
    } else if (made.error().setting == "metrics") {
      Settings policy(*settings_.find("policy"), settings_.inside("policy"), settings_.problems());
      blame(policy, made.error());
    } else {
      blame(settings, made.error());
    }
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
