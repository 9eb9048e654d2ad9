#include "sources/recording.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/text.h"
#include "davy/sketch.h"

namespace davy::source {
namespace {

using Json = nlohmann::ordered_json;  // values keep their order

constexpr std::size_t kMaxLine = 1 << 20;
constexpr int kMaxDepth = 64;  // nlohmann's destructor survives depth, its copies and dumps do not
constexpr std::size_t kMostKeys = 1000;  // of one object
constexpr double kLargest = 1e15;        // counts stay exact in a double

const std::vector<double>& sketch_bounds() {
  static const std::vector<double> bounds = Sketch().histogram().bounds;
  return bounds;
}

/// Watches a line while it is parsed, and stops what would cost too much, or what the parsed line
/// no longer shows: of two equal keys it holds the last.
class Watch {
 public:
  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    if (depth > kMaxDepth)
      wrong(fmt::format("nested deeper than {} levels (a block needs 6)", kMaxDepth));
    if (event == Json::parse_event_t::object_start) open_.emplace_back();
    if (event == Json::parse_event_t::object_end && !open_.empty()) open_.pop_back();
    if (event == Json::parse_event_t::key && !open_.empty())
      see(parsed.get_ref<const std::string&>());
    return wrong_.empty();
  }
  const std::string& first_wrong() const { return wrong_; }

 private:
  void see(const std::string& key) {
    if (!wrong_.empty()) return;
    if (!open_.back().insert(key).second)
      wrong(fmt::format("{} stands there twice in one object (once would be right)",
                        text::quoted(key)));
    if (open_.back().size() > kMostKeys)
      wrong(fmt::format("more than {} keys in one object", kMostKeys));
  }
  void wrong(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
  }

  std::vector<std::set<std::string>> open_;  // keys of the objects that are open
  std::string wrong_;
};

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
    Watch watch;
    try {
      Json json = Json::parse(text.begin(), text.end(), std::ref(watch));
      if (watch.first_wrong().empty()) return json;
      wrong(watch.first_wrong());
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
      wrong(where + " is not a number (a number, 0 or more)");
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
    only(*found, path, {"requests", "errors", "latency", "pods", "values"});
    counts.requests = number(*found, path, "requests");
    counts.errors = errors(*found, path, counts.requests);
    if (found->contains("latency"))
      counts.latency = histogram((*found)["latency"], path + "latency");
    if (found->contains("pods"))
      counts.pods = pods((*found)["pods"], path + "pods", counts.latency);
    if (found->contains("values")) counts.values = values((*found)["values"], path + "values");
    return counts;
  }

  double errors(const Json& object, const std::string& path, double requests) {
    double errors = number(object, path, "errors");
    if (errors > requests) {
      wrong(fmt::format("{}errors is {:g}, more than its {:g} requests", path, errors, requests));
    }
    return errors;
  }

  std::vector<PodCounts> pods(const Json& list, const std::string& path,
                              const std::optional<Histogram>& whole) {
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
      only(item, here, {"id", "requests", "errors", "restarts", "age", "latency"});
      PodCounts& pod = pods.emplace_back();
      pod.id = item["id"].get<std::string>();
      pod.requests = number(item, here, "requests");
      pod.errors = errors(item, here, pod.requests);
      if (item.contains("restarts")) pod.restarts = number(item, here, "restarts");
      if (item.contains("age")) pod.age = number(item, here, "age");
      if (item.contains("latency")) pod.latency = part(item["latency"], here + "latency", whole);
    }
    return pods;
  }

  /// A pod's latency: a histogram of its own, or only counts at the bounds of the whole.
  Histogram part(const Json& object, const std::string& path,
                 const std::optional<Histogram>& whole) {
    bool has_bounds = !object.is_object() || object.contains("le");
    if (has_bounds || !whole) return histogram(object, path);
    if (whole->bounds == sketch_bounds()) return sketch(object, path, {"from", "counts"});
    only(object, path + ".", {"counts"});
    return with_counts({whole->bounds, {}}, object, path);
  }

  std::vector<Value> values(const Json& object, const std::string& path) {
    std::vector<Value> values;
    if (!object.is_object()) {
      wrong(path + " is not an object (of metrics' names and numbers)");
      return values;
    }
    for (const auto& item : object.items()) {
      if (!item.value().is_number())
        wrong(fmt::format("{}.{} is not a number", path, text::quoted(item.key())));
      else
        values.push_back({item.key(), item.value().get<double>()});
    }
    return values;
  }

  Histogram histogram(const Json& object, const std::string& path) {
    Histogram histogram;
    if (object.is_object() && object.contains("le") && object["le"] == "sketch")
      return sketch(object, path, {"le", "from", "counts"});
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
    return with_counts(std::move(histogram), object, path);
  }

  /// A sketch's counts from the bucket `from` on; those before and after them are 0.
  Histogram sketch(const Json& object, const std::string& path,
                   const std::vector<std::string>& known) {
    only(object, path + ".", known);
    Histogram histogram{sketch_bounds(), {}};
    const std::size_t buckets = histogram.bounds.size() + 1;
    double from = object.contains("from") ? number(object, path + ".", "from") : 0;
    auto counts = object.find("counts");
    bool fits = counts != object.end() && counts->is_array() && counts->size() <= buckets &&
                from == std::floor(from) && from <= static_cast<double>(buckets - counts->size());
    if (!fits) {
      wrong(fmt::format("{} has no list of counts that is part of a sketch's {} from {:g} on", path,
                        buckets, from));
      return histogram;
    }
    histogram.counts.assign(static_cast<std::size_t>(from), 0.0);
    for (const Json& count : *counts) {
      histogram.counts.push_back(
          number(count, fmt::format("{}.counts[{}]", path,
                                    histogram.counts.size() - static_cast<std::size_t>(from))));
    }
    histogram.counts.resize(buckets, 0.0);
    return histogram;
  }

  Histogram with_counts(Histogram histogram, const Json& object, const std::string& path) {
    auto counts = object.find("counts");
    if (counts == object.end() || !counts->is_array()) {
      wrong(path + ".counts is missing (a list of numbers)");
      return histogram;
    }
    for (const Json& count : *counts) {
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

/// The shortest digits that read back to the same bits.
std::string digits(double n) {
  if (n == 0) return std::signbit(n) ? "-0.0" : "0";
  return fmt::format("{}", n);
}

std::string in_quotes(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string list(const std::vector<double>& numbers) {
  std::string out;
  for (double n : numbers) out += (out.empty() ? "" : ",") + digits(n);
  return "[" + out + "]";
}

/// A sketch's counts, without the zeros around them.
std::string inner_counts(const std::vector<double>& counts) {
  auto is_told = [](double n) { return n != 0 || std::signbit(n); };
  auto first = std::find_if(counts.begin(), counts.end(), is_told);
  auto last = std::find_if(counts.rbegin(), std::make_reverse_iterator(first), is_told).base();
  return fmt::format("\"from\":{},\"counts\":{}", first == last ? 0 : first - counts.begin(),
                     list({first, last}));
}

/// Without its bounds when they are those of `whole`.
std::string histogram(const Histogram& h, const std::optional<Histogram>& whole) {
  bool is_sketch = h.bounds == sketch_bounds();
  std::string le = whole && whole->bounds == h.bounds ? ""
                   : is_sketch                        ? "\"le\":\"sketch\","
                                                      : "\"le\":" + list(h.bounds) + ",";
  std::string counts = is_sketch ? inner_counts(h.counts) : "\"counts\":" + list(h.counts);
  return "\"latency\":{" + le + counts + "}";
}

std::string pod(const PodCounts& pod, const std::optional<Histogram>& whole) {
  std::string out = fmt::format("{{\"id\":{},\"requests\":{},\"errors\":{}", in_quotes(pod.id),
                                digits(pod.requests), digits(pod.errors));
  if (pod.restarts != 0) out += ",\"restarts\":" + digits(pod.restarts);
  if (pod.age) out += ",\"age\":" + digits(*pod.age);
  if (pod.latency) out += "," + histogram(*pod.latency, whole);
  return out + "}";
}

std::string version(const VersionCounts& counts) {
  std::string out = fmt::format("{{\"requests\":{},\"errors\":{}", digits(counts.requests),
                                digits(counts.errors));
  if (counts.latency) out += "," + histogram(*counts.latency, std::nullopt);
  std::vector<std::string> pods;
  for (const PodCounts& p : counts.pods) pods.push_back(pod(p, counts.latency));
  if (!pods.empty()) out += ",\"pods\":[" + text::join(pods, ",") + "]";
  std::vector<std::string> values;
  for (const Value& v : counts.values) values.push_back(in_quotes(v.name) + ":" + digits(v.value));
  if (!values.empty()) out += ",\"values\":{" + text::join(values, ",") + "}";
  return out + "}";
}

}  // namespace

std::string recording_line(const Block& block) {
  std::string weight = block.weight ? ",\"weight\":" + digits(*block.weight) : "";
  return fmt::format("{{\"t\":{},\"dt\":{}{},\"baseline\":{},\"canary\":{}}}", digits(block.t),
                     digits(block.dt), weight, version(block.baseline), version(block.canary));
}

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
