#include "sources/targets/groups.h"

#include <fmt/format.h>
#include <algorithm>
#include <optional>

#include "base/text.h"
#include "yaml/problems.h"
#include "yaml/read.h"

namespace davy::source {
namespace {

using yaml::Node;
using Labels = std::map<std::string, std::string>;

constexpr std::string_view kParam = "__param_";

bool is_unreserved(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         std::string_view("-._~").find(c) != std::string_view::npos;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

class GroupReader {
 public:
  GroupReader(const std::string& path, yaml::Problems& problems)
      : path_(path), problems_(problems) {}

  std::vector<GroupTarget> read(const Node& root) {
    if (root.kind == Node::Kind::List) {
      for (const Node& group : root.items) read_group(group);
    } else if (root.kind != Node::Kind::Null) {
      problems_.add(root.line, "is not a list of {targets: [...], labels: {...}}");
    }
    return std::move(targets_);
  }

 private:
  void read_group(const Node& group) {
    if (group.kind != Node::Kind::Map)
      return problems_.add(group.line, "is not a group: {targets: [...], labels: {...}}");
    const std::vector<std::string> known = {"targets", "labels"};
    for (const Node& item : group.items) {
      if (item.key == "targets" || item.key == "labels") continue;
      std::string near = text::nearest(item.key, known);
      problems_.add(item.line, fmt::format("{} means nothing here ({}known: targets, labels)",
                                           text::quoted(item.key),
                                           near.empty() ? "" : "did you mean " + near + "? "));
    }
    Labels labels = read_labels(group.find("labels"));
    const Node* targets = group.find("targets");
    if (targets == nullptr || targets->kind == Node::Kind::Null) return;
    if (targets->kind != Node::Kind::List)
      return problems_.add(targets->line, "targets is not a list of host:port");
    for (const Node& target : targets->items) read_target(target, labels);
  }

  Labels read_labels(const Node* node) {
    Labels labels;
    if (node == nullptr || node->kind == Node::Kind::Null) return labels;
    if (node->kind != Node::Kind::Map) {
      problems_.add(node->line, "labels is not a mapping of names to texts");
      return labels;
    }
    for (const Node& label : node->items) {
      if (label.kind == Node::Kind::Scalar || label.kind == Node::Kind::Null) {
        labels[label.key] = label.text;
      } else {
        problems_.add(label.line, fmt::format("the label {} is not a text", label.key));
      }
    }
    return labels;
  }

  void read_target(const Node& node, Labels labels) {
    bool is_address = node.kind == Node::Kind::Scalar && !node.text.empty() &&
                      node.text.find_first_of("/?#@ ") == std::string::npos;
    if (!is_address) {
      // With an @ it may be a password.
      bool may_be_secret = node.text.find('@') != std::string::npos;
      return problems_.add(
          node.line,
          fmt::format("{} is not host:port", may_be_secret ? "a target" : text::quoted(node.text)));
    }
    labels["__address__"] = node.text;
    labels["__meta_filepath"] = path_;
    Result<TargetUrl> url = parse_target_url(url_of(labels));
    if (!url) return problems_.add(node.line, url.error().what);
    targets_.push_back({*std::move(url), std::move(labels), node.line});
  }

  static std::string url_of(const Labels& labels) {
    auto or_else = [&](const char* name, const char* usual) {
      auto found = labels.find(name);
      return found == labels.end() || found->second.empty() ? usual : found->second;
    };
    std::string path = or_else("__metrics_path__", "/metrics");
    std::string url = fmt::format("{}://{}{}{}", or_else("__scheme__", "http"),
                                  labels.at("__address__"), path.starts_with('/') ? "" : "/", path);
    bool has_query = path.find('?') != std::string::npos;
    for (const auto& [name, value] : labels) {
      if (!name.starts_with(kParam)) continue;
      url += fmt::format("{}{}={}", has_query ? "&" : "?",
                         percent_encoded(std::string_view(name).substr(kParam.size())),
                         percent_encoded(value));
      has_query = true;
    }
    return url;
  }

  const std::string& path_;
  yaml::Problems& problems_;
  std::vector<GroupTarget> targets_;
};

}  // namespace

Result<std::vector<GroupTarget>> read_target_groups(const std::string& path,
                                                    std::string_view text) {
  yaml::Problems problems(path);
  std::optional<Node> root = yaml::read(text, problems);
  std::vector<GroupTarget> targets;
  if (root) targets = GroupReader(path, problems).read(*root);
  std::vector<yaml::Problem> wrong = problems.sorted();
  if (wrong.empty()) return targets;
  std::string more = wrong.size() == 1 ? "" : fmt::format(" (and {} more)", wrong.size() - 1);
  return Error{wrong[0].text() + more};
}

}  // namespace davy::source
