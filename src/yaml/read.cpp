#include "yaml/read.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>
#include <algorithm>
#include <map>
#include <sstream>

#include "base/text.h"

namespace davy::yaml {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxKeys = 1000;      // in one mapping
constexpr std::size_t kMaxTree = 64 << 20;  // bytes, aliases copied out

/// Ends the parsing from inside a handler; caught in read().
struct GaveUp {
  int line;
  std::string what;
};

/// What a tree costs, roughly, and how deep it is.
struct Extent {
  std::size_t bytes = 0;
  std::size_t depth = 0;
};

Extent extent(const Node& node) {
  Extent total{sizeof(Node) + node.text.size() + node.written.size() + node.key.size(), 1};
  for (const Node& item : node.items) {
    Extent inner = extent(item);
    total.bytes += inner.bytes;
    total.depth = std::max(total.depth, inner.depth + 1);
  }
  return total;
}

/// Builds the tree out of yaml-cpp's events.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(Problems& problems) : problems_(problems) {}

  Node take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.line = line(mark);
    place(std::move(node), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    Node node;
    node.kind = Node::Kind::Scalar;
    node.line = line(mark);
    node.text = node.written = value;
    node.quoted = tag == "!";
    place(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto found = anchored_.find(anchor);
    if (found == anchored_.end()) {
      throw GaveUp{line(mark),
                   "an alias (*) to what is around it (aliases copy, they cannot nest)"};
    }
    spend(line(mark), found->second.extent);
    Node copy = found->second.node;
    copy.line = line(mark);
    place(std::move(copy), 0);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::List);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::Map);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;  // a mapping whose next value belongs to `key`
    std::string key;
    int key_line = 0;
    bool skip_value = false;  // the key was refused
  };
  struct Anchored {
    Node node;
    Extent extent;
  };

  static int line(const YAML::Mark& mark) { return mark.line + 1; }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    problems_.add(line(mark), fmt::format("the tag {} means nothing here (leave it out; quote a "
                                          "value that is to be text)",
                                          text::quoted(tag)));
  }

  void spend(int line, const Extent& extent) {
    bytes_ += extent.bytes;
    if (bytes_ > kMaxTree) {
      throw GaveUp{line, "the aliases (*) copy out to more than 64 MiB (write less, or plainly)"};
    }
    if (open_.size() + extent.depth > kMaxDepth) {
      throw GaveUp{line, fmt::format("nested deeper than {} levels (a config needs 8)", kMaxDepth)};
    }
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            Node::Kind kind) {
    refuse_tag(mark, tag);
    spend(line(mark), {sizeof(Node), 1});
    Frame frame;
    frame.node.kind = kind;
    frame.node.line = line(mark);
    frame.anchor = anchor;
    open_.push_back(std::move(frame));
  }

  void close() {
    Frame done = std::move(open_.back());
    open_.pop_back();
    place(std::move(done.node), done.anchor);
  }

  /// A node is complete: it becomes a key, a member, an item or the root.
  void place(Node node, YAML::anchor_t anchor) {
    if (node.kind == Node::Kind::Scalar || node.kind == Node::Kind::Null) {
      spend(node.line, {sizeof(Node) + 2 * node.text.size(), 0});
    }
    if (anchor != 0) {
      Extent cost = extent(node);
      bytes_ += cost.bytes;
      anchored_[anchor] = {node, cost};
    }
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& around = open_.back();
    if (around.node.kind == Node::Kind::List) {
      around.node.items.push_back(std::move(node));
    } else if (!around.has_key) {
      take_key(around, node);
    } else {
      around.has_key = false;
      if (around.skip_value) return;
      node.key = std::move(around.key);
      if (node.kind == Node::Kind::List) {
        for (Node& item : node.items) item.key = node.key;
      }
      if (node.kind != Node::Kind::Scalar) node.line = around.key_line;
      around.node.items.push_back(std::move(node));
    }
  }

  void take_key(Frame& around, const Node& node) {
    if (around.node.items.size() == kMaxKeys) {
      throw GaveUp{node.line,
                   fmt::format("more than {} keys in one mapping (a config needs 20)", kMaxKeys)};
    }
    around.has_key = true;
    around.key = node.text;
    around.key_line = node.line;
    around.skip_value = true;
    if (node.kind != Node::Kind::Scalar) {
      problems_.add(node.line, "a key that is not a word (keys are plain words)");
    } else if (node.text == "<<" && !node.quoted) {
      problems_.add(node.line, "merges (<<) are not supported (write the settings out)");
    } else if (const Node* first = around.node.find(node.text)) {
      problems_.add(node.line,
                    fmt::format("{} stands here twice, first in line {} (keep one of them)",
                                text::quoted(node.text), first->line));
    } else {
      around.skip_value = false;
    }
  }

  Problems& problems_;
  Node root_;
  std::vector<Frame> open_;
  std::map<YAML::anchor_t, Anchored> anchored_;
  std::size_t bytes_ = 0;
};

int line_at(std::string_view yaml, std::size_t offset) {
  return 1 +
         static_cast<int>(std::count(yaml.begin(), yaml.begin() + static_cast<long>(offset), '\n'));
}

/// yaml-cpp takes a byte 4 for the end of the file, and zeros for UTF-16.
bool is_text(std::string_view yaml, Problems& problems) {
  if (yaml.size() > kMaxFile) {
    problems.add(0, "is larger than 1 MiB (a config is a few pages)");
    return false;
  }
  std::string valid = text::valid_utf8(yaml);
  if (valid != yaml) {
    auto [good, at] = std::mismatch(valid.begin(), valid.end(), yaml.begin(), yaml.end());
    problems.add(line_at(yaml, static_cast<std::size_t>(at - yaml.begin())),
                 "not UTF-8 (save the file as UTF-8)");
    return false;
  }
  for (std::size_t i = 0; i < yaml.size(); ++i) {
    auto c = static_cast<unsigned char>(yaml[i]);
    if (c >= 0x20 || c == '\t' || c == '\n' || c == '\r') continue;
    problems.add(line_at(yaml, i),
                 fmt::format("holds a control character (byte {:#04x}; take it out)", c));
    return false;
  }
  return true;
}

}  // namespace

std::optional<Node> read(std::string_view yaml, Problems& problems) {
  if (!is_text(yaml, problems)) return std::nullopt;
  std::istringstream in{std::string(yaml)};
  Builder builder(problems);
  try {
    YAML::Parser parser(in);
    bool any = parser.HandleNextDocument(builder);
    Node root = builder.take_root();
    Builder rest(problems);
    if (any && parser.HandleNextDocument(rest)) {
      Node second = rest.take_root();
      if (second.kind != Node::Kind::Null) {  // a --- at the end of the file is harmless
        problems.add(second.line,
                     "a second document begins here (one file, one document; take out the ---)");
      }
    }
    return root;
  } catch (const GaveUp& e) {
    problems.add(e.line, e.what);
  } catch (const YAML::Exception& e) {
    problems.add(e.mark.line + 1,
                 fmt::format("not YAML at column {}: {} (look for indentation, quotes "
                             "and brackets here or just above)",
                             e.mark.column + 1, e.msg));
  }
  return std::nullopt;
}

bool is_broken(const Node& node) {
  return node.is_broken || std::any_of(node.items.begin(), node.items.end(),
                                       [](const Node& item) { return is_broken(item); });
}

std::string written(const Node& node) {
  std::string out;
  std::string_view between;
  switch (node.kind) {
    case Node::Kind::Null: return "~";
    case Node::Kind::Scalar: return text::quoted(node.written, kMaxFile);
    case Node::Kind::List:
      for (const Node& item : node.items) {
        out += fmt::format("{}{}", between, written(item));
        between = ", ";
      }
      return "[" + out + "]";
    case Node::Kind::Map:
      for (const Node& item : node.items) {
        out += fmt::format("{}{}: {}", between, text::quoted(item.key), written(item));
        between = ", ";
      }
      return "{" + out + "}";
  }
  return out;
}

}  // namespace davy::yaml
