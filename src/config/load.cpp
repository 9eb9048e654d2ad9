// The outline of a config file, and the ways in: load_file(), load_text(), load_policy_file().

#include <fmt/format.h>
#include <fstream>
#include <functional>

#include "base/text.h"
#include "config/address.h"
#include "config/interpolation.h"
#include "config/read.h"
#include "config/sections.h"

namespace davy::config {
namespace {

void read_address(Settings& settings, std::string_view key, Address& out) {
  std::optional<std::string> text = settings.text_of(settings.find(key));
  if (!text) return;
  Result<Address> address = parse_address(*text);
  if (address) {
    out = *address;
  } else {
    settings.problem(key, address.error().what);
  }
}

/// One of them would get the other's port, or all of its traffic.
bool collide(const Address& a, const Address& b) {
  auto is_any = [](const std::string& host) { return host == "0.0.0.0" || host == "::"; };
  return a.port != 0 && a.port == b.port && (a.host == b.host || is_any(a.host) || is_any(b.host));
}

void read_listen(const Node& node, Problems& problems, Config& config) {
  Settings settings(node, "listen", problems);
  read_address(settings, "health", config.health);
  read_address(settings, "api", config.api);
  settings.finish();
  if (collide(config.health, config.api)) {
    settings.problem("api",
                     fmt::format("{} is taken by listen.health, {} (give the API a port of its "
                                 "own: 8687 is usual)",
                                 config.api.text(), config.health.text()));
  }
}

void read_log(const Node& node, Problems& problems, Log& log) {
  Settings settings(node, "log", problems);
  settings.read("format", log.format, {"text", "json"});
  settings.read("level", log.level, {"debug", "info", "warn", "error"});
  settings.finish();
}

void read_answers(const Node& node, Problems& problems, Answers& answers) {
  Settings settings(node, "answers", problems);
  auto read = [&](const char* key, int& code, std::initializer_list<std::string_view> codes) {
    std::optional<std::size_t> chosen = settings.choice(settings.find(key), codes);
    if (chosen) code = std::stoi(std::string(codes.begin()[*chosen]));
  };
  read("warn_status", answers.warn_status, {"200", "429"});
  read("drain_status", answers.drain_status, {"503", "404"});
  settings.finish();
}

void read_fail_open(const Node& node, Problems& problems, FailOpen& rule) {
  Settings settings(node, "fail_open", problems);
  settings.read_ratio("quorum", rule.quorum);
  if (rule.quorum <= 0 || rule.quorum > 1)
    settings.problem("quorum", "must be above 0% and at most 100% (50% is usual)");
  settings.read("min_peers", rule.min_peers, 1);
  settings.read("max_hold", rule.max_hold);
  settings.finish();
}

void read_peers(const Node& node, Problems& problems, Peers& peers) {
  Settings settings(node, "peers", problems);
  settings.require("addresses", "host:port of the other instances' health listeners");
  settings.read("addresses", peers.addresses);
  for (const std::string& address : peers.addresses) {
    if (Result<Address> parsed = parse_address(address); !parsed)
      settings.problem("addresses", parsed.error().what);
  }
  constexpr std::size_t kShortestKey = 16;
  settings.require("key", "a secret that all instances share, best as ${file:/run/secrets/...}");
  settings.read("key", peers.key);
  if (!peers.key.empty() && peers.key.size() < kShortestKey) {
    settings.problem("key", fmt::format("is shorter than {} characters and could be guessed "
                                        "(try: openssl rand -hex 32)",
                                        kShortestKey));
  }
  settings.read("every", peers.every);
  if (peers.every < std::chrono::milliseconds(100))
    settings.problem("every", "is too often (100ms at least, 2s is usual)");
  settings.finish();
}

void read_liveness_budget(const Node& node, Problems& problems, LivenessBudget& budget) {
  Settings settings(node, "liveness_budget", problems);
  settings.read("restarts", budget.restarts, 0);
  settings.read("within", budget.within);
  settings.finish();
}

/// The key's list, or null. An empty list is as if it were not there.
const Node* list_of(Settings& settings, std::string_view key) {
  const Node* node = settings.find(key);
  if (node == nullptr || node->kind == Node::Kind::List) return node;
  settings.problem(key, "is not a list (lines that start with `- name: ...`)");
  return nullptr;
}

Config read_config(const Node& root, const Kinds& kinds, Problems& problems) {
  Config config;
  Settings settings(root, "", problems);
  settings.require("service", "the name of the service this agent stands beside");
  settings.read("service", config.service);
  if (const Node* node = settings.find("listen")) read_listen(*node, problems, config);
  settings.read("drain_delay", config.drain_delay);
  settings.read("state_dir", config.state_dir);
  settings.read("restore_max_age", config.restore_max_age);
  if (const Node* node = settings.find("answers")) read_answers(*node, problems, config.answers);
  if (const Node* node = settings.find("fail_open"))
    read_fail_open(*node, problems, config.fail_open);
  if (const Node* node = settings.find("peers")) read_peers(*node, problems, config.peers);
  if (const Node* node = settings.find("liveness_budget"))
    read_liveness_budget(*node, problems, config.liveness_budget);
  if (const Node* node = settings.find("log")) read_log(*node, problems, config.log);
  if (const Node* list = list_of(settings, "checks"))
    config.checks = read_checks(*list, kinds, problems);
  if (const Node* list = list_of(settings, "deployments")) {
    config.deployments = read_deployments(*list, kinds, problems);
  }
  if (const Node* list = list_of(settings, "publish"))
    config.publications = read_publications(*list, kinds, problems);
  settings.finish();
  bool is_idle = config.checks.empty() && config.deployments.empty() && config.publications.empty();
  if (problems.count() == 0 && is_idle) {
    problems.add(root.line,
                 "has neither checks nor deployments nor publish, so there is nothing to do (add "
                 "one of them)");
  }
  return config;
}

/// The raw tree with its ${...} filled in; nothing when it cannot be read to its end.
std::optional<Node> read_tree(std::string_view yaml, Problems& problems) {
  std::optional<Node> root = read_yaml(yaml, problems);
  if (root) interpolate(*root, problems);
  return root;
}

/// The file's text; nothing, and a problem, when it cannot be read.
std::optional<std::string> content_of(const std::string& file, Problems& problems) {
  try {
    std::ifstream in(file, std::ios::binary);
    if (in) {
      std::string content;
      char part[16 * 1024];
      // A little too much shows that it is too large.
      while (content.size() <= kMaxFile && (in.read(part, sizeof part) || in.gcount() > 0))
        content.append(part, static_cast<std::size_t>(in.gcount()));
      return content;
    }
  } catch (const std::ios_base::failure&) {  // libstdc++ says so of a folder
  }
  problems.add(0, "cannot be read (a YAML file that davy's user may read)");
  return std::nullopt;
}

}  // namespace

std::string Problem::text() const {
  return line == 0 ? fmt::format("{}: {}", file, what) : fmt::format("{}:{}: {}", file, line, what);
}

std::string fingerprint(const Node& node) {
  std::string meant;
  std::function<void(const Node&)> collect = [&](const Node& n) {
    meant += n.text + '\0';
    for (const Node& item : n.items) collect(item);
  };
  collect(node);
  return fmt::format("{} #{:x}", written(node), std::hash<std::string>()(meant));
}

Loaded load_text(std::string_view yaml, const std::string& file, const Kinds& kinds) {
  Problems problems(file);
  Loaded loaded;
  if (std::optional<Node> root = read_tree(yaml, problems)) {
    if (root->kind == Node::Kind::Null) {
      problems.add(0, "is empty (start from config/davy.yaml)");
    } else {
      loaded.config = read_config(*root, kinds, problems);
    }
  }
  loaded.problems = problems.sorted();
  if (!loaded.problems.empty()) loaded.config.reset();
  return loaded;
}

Loaded load_file(const std::string& file, const Kinds& kinds) {
  Problems problems(file);
  if (auto content = content_of(file, problems)) return load_text(*content, file, kinds);
  return {std::nullopt, problems.sorted()};
}

LoadedPolicy load_policy_file(const std::string& file) {
  Problems problems(file);
  if (std::optional<std::string> content = content_of(file, problems))
    return load_policy_text(*content, file);
  return {std::nullopt, problems.sorted()};
}

LoadedPolicy load_policy_text(std::string_view yaml, const std::string& file) {
  Problems problems(file);
  LoadedPolicy loaded;
  if (std::optional<Node> root = read_tree(yaml, problems)) {
    const Node* inside = root->find("policy");
    bool is_wrapped = inside != nullptr && root->items.size() == 1;
    loaded.policy = read_policy(is_wrapped ? *inside : *root, is_wrapped ? "policy" : "", problems);
  }
  loaded.problems = problems.sorted();
  if (!loaded.problems.empty()) loaded.policy.reset();
  return loaded;
}

}  // namespace davy::config
