#include "sources/recording.h"

#include <fmt/format.h>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.h"

namespace davy::source {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxLine = 1 << 20;
constexpr int kMaxDepth = 64;  // nlohmann's destructor survives depth, its copies and dumps do not
constexpr double kLargest = 1e15;  // counts stay exact in a double

/// Reads one block out of one line. Keeps the first thing that is wrong and goes on as if it were
/// well, so that the reading itself needs no branches.
class Line {
 public:
  Block read(std::string_view text) {
    Block block;
    std::optional<Json> json = parse(text);
    if (!json) return block;
    if (!json->is_object()) {
      wrong("not a block (each line is one JSON object: {\"t\":..., \"dt\":..., ...})");
      return block;
    }
    only(*json, "", {"t", "dt", "weight", "baseline", "canary"});
    block.t = number(*json, "", "t");
    block.dt = number(*json, "", "dt");
    if (block.dt <= 0) wrong("dt must be more than 0: it is the length of the span in seconds");
    if (json->contains("weight")) {
      block.weight = number(*json, "", "weight");
      if (*block.weight > 1)
        wrong("weight must be from 0 to 1: it is the canary's share of traffic");
    }
    block.baseline = version(*json, "baseline");
    block.canary = version(*json, "canary");
    return block;
  }

  void wrong(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
  }
  const std::string& first_wrong() const { return wrong_; }

 private:
  std::optional<Json> parse(std::string_view text) {
    bool too_deep = false;
    auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
      if (depth > kMaxDepth) too_deep = true;
      return !too_deep;
    };
    try {
      Json json = Json::parse(text.begin(), text.end(), watch_depth);
      if (!too_deep) return json;
      wrong(fmt::format("nested deeper than {} levels (a block needs 4)", kMaxDepth));
    } catch (const Json::parse_error& e) {
      wrong(
          fmt::format("not JSON, it breaks off at byte {} (each line is one JSON object)", e.byte));
    } catch (const Json::exception&) {
      wrong("a number is too large for anybody to have counted");
    }
    return std::nullopt;
  }

  /// Every key must be one of `known`.
  void only(const Json& object, std::string_view path, const std::vector<std::string>& known) {
    for (const auto& item : object.items()) {
      if (std::find(known.begin(), known.end(), item.key()) != known.end()) continue;
      std::string near = text::nearest(item.key(), known);
      wrong(fmt::format(
          "{}{} is not known here ({})", path, text::quoted(item.key()),
          near.empty() ? "known: " + text::join(known, ", ") : "did you mean " + near + "?"));
    }
  }

  /// A finite number from 0 to kLargest; 0 when it is not.
  double number(const Json& object, std::string_view path, const char* key) {
    auto found = object.find(key);
    if (found == object.end()) {
      wrong(fmt::format("{}{} is missing (a number, 0 or more)", path, key));
      return 0;
    }
    return number(*found, fmt::format("{}{}", path, key));
  }
  double number(const Json& value, const std::string& where) {
    if (!value.is_number()) {
      wrong(fmt::format("{} is not a number (a number, 0 or more)", where));
      return 0;
    }
    double n = value.get<double>();
    if (!(n >= 0 && n <= kLargest)) {
      wrong(fmt::format("{} is {:g} (from 0 to {:g} would be right)", where, n, kLargest));
      return 0;
    }
    return n;
  }

  VersionCounts version(const Json& block, const char* name) {
    VersionCounts counts;
    auto found = block.find(name);
    if (found == block.end() || !found->is_object()) {
      wrong(fmt::format("{} is missing (an object with requests and errors)", name));
      return counts;
    }
    std::string path = std::string(name) + ".";
    only(*found, path, {"requests", "errors", "latency", "pods"});
    counts.requests = number(*found, path, "requests");
    counts.errors = errors(*found, path, counts.requests);
    if (found->contains("latency"))
      counts.latency = histogram((*found)["latency"], path + "latency");
    if (found->contains("pods")) counts.pods = pods((*found)["pods"], path + "pods");
    return counts;
  }

  double errors(const Json& object, const std::string& path, double requests) {
    double errors = number(object, path, "errors");
    if (errors > requests) {
      wrong(fmt::format("{}errors is {:g}, more than its {:g} requests", path, errors, requests));
    }
    return errors;
  }

  std::vector<PodCounts> pods(const Json& list, const std::string& path) {
    std::vector<PodCounts> pods;
    if (!list.is_array()) {
      wrong(path + " is not a list (of objects with id, requests and errors)");
      return pods;
    }
    for (const Json& item : list) {
      std::string here = fmt::format("{}[{}].", path, pods.size());
      if (!item.is_object() || !item.contains("id") || !item["id"].is_string()) {
        wrong(here + "id is missing (a string)");
        return pods;
      }
      only(item, here, {"id", "requests", "errors"});
      double requests = number(item, here, "requests");
      pods.push_back({.id = item["id"].get<std::string>(),
                      .requests = requests,
                      .errors = errors(item, here, requests)});
    }
    return pods;
  }

  Histogram histogram(const Json& object, const std::string& path) {
    Histogram histogram;
    if (!object.is_object() || !object.contains("le") || !object["le"].is_array() ||
        !object.contains("counts") || !object["counts"].is_array()) {
      wrong(path + " is not a histogram (an object with the lists le and counts)");
      return histogram;
    }
    only(object, path + ".", {"le", "counts"});
    const Json& le = object["le"];
    for (std::size_t i = 0; i < le.size(); ++i) {
      bool is_last = i + 1 == le.size();
      if (is_last && (le[i].is_null() || le[i] == "+Inf"))
        break;  // every histogram ends there anyway
      std::string here = fmt::format("{}.le[{}]", path, i);
      double bound = number(le[i], here);
      if (bound <= (i == 0 ? 0 : histogram.bounds.back())) {
        wrong(fmt::format("{} is {:g} (bounds are seconds, above 0 and ascending)", here, bound));
      }
      histogram.bounds.push_back(bound);
    }
    for (const Json& count : object["counts"]) {
      histogram.counts.push_back(
          number(count, fmt::format("{}.counts[{}]", path, histogram.counts.size())));
    }
    if (histogram.counts.size() != histogram.bounds.size() + 1) {
      wrong(fmt::format(
          "{} has {} counts for {} bounds (one count per bound and one above the last, "
          "so {})",
          path, histogram.counts.size(), histogram.bounds.size(), histogram.bounds.size() + 1));
    }
    return histogram;
  }

  std::string wrong_;
};

enum class Got { Line, TooLong, End };

/// Like std::getline, but never holds more than kMaxLine bytes. Throws std::ios_base::failure when
/// the file cannot be read (libstdc++ says so of a folder).
Got next_line(std::istream& in, std::string& line) {
  line.clear();
  std::streambuf* bytes = in.rdbuf();
  for (int c = bytes->sbumpc(); c != EOF; c = bytes->sbumpc()) {
    if (c == '\n') return Got::Line;
    if (line.size() == kMaxLine) return Got::TooLong;
    line.push_back(static_cast<char>(c));
  }
  return line.empty() ? Got::End : Got::Line;
}

Result<std::vector<Block>> read_lines(std::istream& in, const std::string& file) {
  std::vector<Block> blocks;
  std::string text;
  for (int number = 1;; ++number) {
    Got got = next_line(in, text);
    if (got == Got::End) break;
    Line line;
    if (got == Got::TooLong) {
      line.wrong("longer than 1 MiB (one block per line)");
    } else if (text::trim(text).empty()) {
      continue;
    } else {
      double before = blocks.empty() ? -1 : blocks.back().t;
      const Block& block = blocks.emplace_back(line.read(text));
      if (block.t <= before) {
        line.wrong(fmt::format("t is {:g}, not after the block before it ({:g})", block.t, before));
      }
    }
    if (!line.first_wrong().empty()) {
      return Error{fmt::format("{}:{}: {}", file, number, line.first_wrong())};
    }
  }
  if (blocks.empty()) return Error{file + ": holds no blocks (one JSON object per line)"};
  return blocks;
}

}  // namespace

Result<std::vector<Block>> read_recording(std::istream& in, const std::string& file) {
  Error unreadable{file + ": cannot be read (a file with one JSON object per line)"};
  if (!in) return unreadable;
  try {
    return read_lines(in, file);
  } catch (const std::ios_base::failure&) {
    return unreadable;
  }
}

}  // namespace davy::source
