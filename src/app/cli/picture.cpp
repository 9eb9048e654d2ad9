#include "app/cli/picture.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "base/units.h"

namespace davy::app {
namespace {

using Panel = Picture::Panel;

// Pixels.
constexpr double kWidth = 960;
constexpr double kLeft = 76, kRight = 140;  // room for the axes' words and the lines' names
constexpr double kEvidence = 132, kRates = 62, kBetween = 12;
constexpr double kPanel = 30 + kEvidence + kBetween + kRates + 40;
constexpr double kMarks = 44;  // where stages and verdicts are named
constexpr double kLetter = 6.4;
constexpr std::size_t kReason = 138;  // letters per line

// The evidence's axis, in shares of the limit.
constexpr double kLowest = -0.5, kHighest = 1.15;
constexpr std::size_t kMostPoints = 400;
constexpr std::size_t kBuckets = 48;
constexpr std::size_t kMostPanels = 6;

constexpr const char* kStyle = R"(
    text { fill: #1f2328; font-size: 12px }
    .title { font-size: 17px; font-weight: 600 }
    .name { font-size: 14px; font-weight: 600 }
    .soft { fill: #59636e }
    .page { fill: #ffffff; stroke: #d0d7de }
    .plot { fill: #f6f8fa }
    .grid { stroke: #d8dee4; stroke-width: 1 }
    .limit { stroke: #59636e; stroke-width: 1.2; stroke-dasharray: 6 4 }
    .stage { stroke: #8c959f; stroke-width: 1; stroke-dasharray: 2 3 }
    .line { fill: none; stroke-width: 2; stroke-linejoin: round }
    .fail { stroke: #cf222e } text.fail { fill: #cf222e; stroke: none }
    .hold { stroke: #bc4c00 } text.hold { fill: #bc4c00; stroke: none }
    .warn { stroke: #8250df } text.warn { fill: #8250df; stroke: none }
    .pass { stroke: #1a7f37 } text.pass { fill: #1a7f37; stroke: none }
    .v1 { stroke: #6e7781 } text.v1 { fill: #59636e; stroke: none }
    .v2 { stroke: #0969da } text.v2 { fill: #0969da; stroke: none }
    .verdict { stroke-width: 1.5 }
    text.verdict { font-weight: 600 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .soft, text.v1 { fill: #9198a1 }
      .page { fill: #0d1117; stroke: #30363d }
      .plot { fill: #151b23 }
      .grid { stroke: #2a313a }
      .limit { stroke: #9198a1 }
      .stage { stroke: #6e7681 }
      .fail { stroke: #ff7b72 } text.fail { fill: #ff7b72 }
      .hold { stroke: #ffa657 } text.hold { fill: #ffa657 }
      .warn { stroke: #d2a8ff } text.warn { fill: #d2a8ff }
      .pass { stroke: #56d364 } text.pass { fill: #56d364 }
      .v1 { stroke: #9198a1 }
      .v2 { stroke: #58a6ff } text.v2 { fill: #58a6ff }
    }
)";

/// Text between tags; what XML cannot hold becomes a space.
std::string escaped(std::string_view raw) {
  std::string out;
  for (char c : text::valid_utf8(raw)) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

std::string time_text(double seconds) {
  return units::show(
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::round(seconds))));
}

const char* css_class(VerdictKind kind) {
  switch (kind) {
    case VerdictKind::Pass: return "pass";
    case VerdictKind::Marginal: return "hold";
    case VerdictKind::Fail:
    case VerdictKind::Error: return "fail";
    case VerdictKind::Inconclusive: break;
  }
  return "v1";
}

std::vector<std::string> lines_of(std::string_view words, std::size_t letters) {
  std::vector<std::string> lines(1);
  for (std::string_view word : text::split(words, ' ')) {
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > letters)
      lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + std::string(word);
  }
  return lines;
}

double step_of_time(double span) {
  constexpr double kSteps[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                               600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400};
  for (double step : kSteps) {
    if (span / step <= 9) return step;
  }
  return std::ceil(span / 9 / 86400) * 86400;
}

/// Draws with the axes of one run.
class Canvas {
 public:
  Canvas(double first, double last) : first_(first), span_(std::max(1e-9, last - first)) {}

  std::string svg;

  double x(double t) const { return kLeft + (t - first_) / span_ * (kWidth - kLeft - kRight); }
  static double right() { return kWidth - kRight; }

  void text(double x, double y, const std::string& words, const char* style,
            const char* anchor = "start") {
    svg +=
        fmt::format("  <text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\" text-anchor=\"{}\">{}</text>\n",
                    x, y, style, anchor, escaped(words));
  }
  void line(double x1, double y1, double x2, double y2, const char* style) {
    svg += fmt::format(
        "  <line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1, y1,
        x2, y2, style);
  }
  void box(double y, double height) {
    svg += fmt::format(
        "  <rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"plot\"/>\n",
        kLeft, y, right() - kLeft, height);
  }
  /// Points in pixels.
  void curve(const std::vector<std::pair<double, double>>& points, const char* style) {
    if (points.empty()) return;
    std::string list;
    for (auto [px, py] : points) list += fmt::format("{:.1f},{:.1f} ", px, py);
    list.pop_back();
    svg += fmt::format("  <polyline class=\"line {}\" points=\"{}\"/>\n", style, list);
  }

  void time_axis(double y, bool is_named) {
    double step = step_of_time(span_);
    for (double t = std::ceil(first_ / step) * step; t <= first_ + span_ * 1.0001; t += step) {
      line(x(t), y, x(t), y + 4, "grid");
      if (is_named) text(x(t), y + 16, t == 0 ? "0" : time_text(t), "soft", "middle");
    }
  }

 private:
  double first_, span_;
};

/// What stands at the right end of a line; moved apart where they would overlap.
struct Label {
  double y;
  std::string words;
  const char* style;
};

void write_labels(Canvas& canvas, std::vector<Label> labels, double top, double bottom) {
  constexpr double kApart = 13;
  std::sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) { return a.y < b.y; });
  double least = top + 6;
  for (Label& label : labels) {
    label.y = std::max(label.y, least);
    least = label.y + kApart;
  }
  double most = bottom;
  for (auto label = labels.rbegin(); label != labels.rend(); ++label) {
    label->y = std::min(label->y, most);
    most = label->y - kApart;
  }
  for (const Label& label : labels)
    canvas.text(Canvas::right() + 8, label.y + 4, label.words, label.style);
}

/// Every so many points, and the last one.
Picture::Line thinned(const Picture::Line& line) {
  std::size_t every = line.size() / kMostPoints + 1;
  Picture::Line out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (i % every == 0 || i + 1 == line.size()) out.push_back(line[i]);
  }
  return out;
}

void draw_evidence(Canvas& canvas, const Panel& panel, double top) {
  auto y = [&](double share) {
    double clipped = std::clamp(share, kLowest, kHighest);
    return top + (kHighest - clipped) / (kHighest - kLowest) * kEvidence;
  };
  canvas.box(top, kEvidence);
  canvas.line(kLeft, y(0), Canvas::right(), y(0), "grid");
  canvas.line(kLeft, y(1), Canvas::right(), y(1), "limit");
  canvas.text(kLeft - 8, y(1) + 4, "proven", "soft", "end");
  canvas.text(kLeft - 8, y(0) + 4, "nothing", "soft", "end");
  canvas.text(kLeft - 8, y(kLowest) + 2, "against", "soft", "end");
  struct Drawn {
    const Picture::Line& line;
    const char* name;
    const char* style;
  };
  std::vector<Label> labels;
  for (const Drawn& d : {Drawn{panel.warn, "WARN", "warn"}, Drawn{panel.hold, "HOLD", "hold"},
                         Drawn{panel.pass, "PASS", "pass"}, Drawn{panel.fail, "FAIL", "fail"}}) {
    if (d.line.empty()) continue;
    std::vector<std::pair<double, double>> points;
    for (auto [t, share] : thinned(d.line)) points.emplace_back(canvas.x(t), y(share));
    canvas.curve(points, d.style);
    double share = d.line.back().second;
    labels.push_back({points.back().second,
                      share >= 1 ? fmt::format("{} proven", d.name)
                      : share < kLowest
                          ? fmt::format("{} against", d.name)
                          : fmt::format("{} {:.0f}%", d.name, std::round(share * 100) + 0.0),
                      d.style});
  }
  write_labels(canvas, labels, top, top + kEvidence);
}

/// Rates over time: what was added in each of some spans of the run.
struct Rates {
  Picture::Line v1, v2;
  double most = 0, least = 0;
};

Rates rates_of(const std::vector<Panel::Counts>& counts, double first, double last) {
  Rates out;
  Panel::Counts begin{first, 0, 0, 0, 0};
  double span = (last - first) / static_cast<double>(kBuckets);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const Panel::Counts& now = counts[i];
    if (now.t - begin.t < span && i + 1 < counts.size()) continue;
    auto step = [&](Picture::Line& line, double n, double k) {
      if (n <= 0) return;
      line.emplace_back(begin.t, k / n);
      line.emplace_back(now.t, k / n);
    };
    step(out.v1, now.n1 - begin.n1, now.k1 - begin.k1);
    step(out.v2, now.n2 - begin.n2, now.k2 - begin.k2);
    begin = now;
  }
  for (const Picture::Line* line : {&out.v1, &out.v2}) {
    for (auto [t, rate] : *line) {
      out.most = std::max(out.most, rate);
      out.least = std::min(out.least, rate);
    }
  }
  return out;
}

std::string value_text(double value, bool is_rate) {
  return is_rate ? units::show_percent(value) : fmt::format("{:.3g}", value);
}

void draw_rates(Canvas& canvas, const Panel& panel, double top, double first, double last) {
  bool is_rate = panel.values.empty();
  Rates rates = rates_of(is_rate ? panel.counts : panel.values, first, last);
  double span = rates.most > rates.least ? (rates.most - rates.least) * 1.1 : 1;
  auto y = [&](double rate) { return top + kRates * (1 - (rate - rates.least) / span); };
  canvas.box(top, kRates);
  if (rates.most > 0) {
    canvas.line(kLeft, y(rates.most), Canvas::right(), y(rates.most), "grid");
    canvas.text(kLeft - 8, y(rates.most) + 4, value_text(rates.most, is_rate), "soft", "end");
  }
  canvas.text(kLeft - 8, top + kRates + 2, rates.least < 0 ? value_text(rates.least, is_rate) : "0",
              "soft", "end");
  std::vector<Label> labels;
  auto draw = [&](const Picture::Line& line, const char* name, const char* style) {
    if (line.empty()) return;
    std::vector<std::pair<double, double>> points;
    for (auto [t, rate] : line) points.emplace_back(canvas.x(t), y(rate));
    canvas.curve(points, style);
    labels.push_back({points.back().second,
                      fmt::format("{} {}", name, value_text(line.back().second, is_rate)), style});
  };
  draw(rates.v1, "V1", "v1");
  draw(rates.v2, "V2", "v2");
  write_labels(canvas, labels, top, top + kRates);
}

/// Names above the first panel, in two rows. Verdicts go first, the last one before all: what finds
/// no room is a line without a name.
class Names {
 public:
  explicit Names(double y) : rows_{{{y + 36, {}}, {y + 18, {}}}} {}

  void write(Canvas& canvas, const Picture::Mark& mark, std::size_t row, const char* style) {
    double width = static_cast<double>(mark.text.size()) * kLetter * 1.1;
    double from = std::clamp(canvas.x(mark.t) - width / 2, kLeft, kWidth - width - 16);
    for (; row < rows_.size(); ++row) {
      auto& [y, taken] = rows_[row];
      bool overlaps = std::any_of(taken.begin(), taken.end(), [&](const auto& other) {
        return from < other.second && other.first < from + width;
      });
      if (overlaps) continue;
      taken.emplace_back(from - 8, from + width + 8);
      return canvas.text(from, y, mark.text, style);
    }
  }

 private:
  struct Row {
    double y;
    std::vector<std::pair<double, double>> taken;
  };
  std::array<Row, 2> rows_;
};

std::string description(const Verdict& v, const std::vector<const Panel*>& shown) {
  std::vector<std::string> titles;
  for (const Panel* panel : shown) titles.push_back(panel->title);
  return fmt::format(
      "Evidence over time for {}: each test's log odds as a share of the limit at which it is "
      "proven, and below it both versions' rates. The final verdict is {}. {}",
      text::join(titles, ", "), word(v.kind), v.reason);
}

}  // namespace

void Picture::add(const Block& block, const Verdict& v) {
  recorded_ = std::max(recorded_, block.t);
  if (final_.kind == VerdictKind::Fail) return;  // it stands: nothing is judged any more
  if (!first_) first_ = std::max(0.0, block.t - block.dt);
  last_ = std::max(last_, block.t);
  panels_.resize(v.metrics.size());
  for (std::size_t i = 0; i < v.metrics.size(); ++i) {
    const MetricVerdict& m = v.metrics[i];
    Panel& panel = panels_[i];
    panel.name = m.name;
    panel.title = m.title;
    panel.gates = m.gates;
    auto follow = [&](Line& line, const Evidence& e) {
      double share = e.limit > 0 && std::isfinite(e.log_e) ? e.log_e / e.limit : 0;
      line.emplace_back(block.t, share);
    };
    follow(panel.fail, m.fail);
    if (m.hold) follow(panel.hold, *m.hold);
    if (!m.objective) follow(panel.warn, m.warn);
    if (m.gates || m.pass.log_e > 0) follow(panel.pass, m.pass);
    panel.counts.push_back(
        {block.t, m.baseline_requests, m.baseline_events, m.canary_requests, m.canary_events});
    panel.matters = panel.matters || (m.canary_requests > 0 && (m.gates || m.canary_events > 0)) ||
                    (m.values && m.values->intervals > 0);
    auto value_in = [&](const VersionCounts& side) -> const Value* {
      auto at = std::find_if(side.values.begin(), side.values.end(),
                             [&](const Value& value) { return value.name == m.name; });
      return at == side.values.end() ? nullptr : &*at;
    };
    const Value* v1 = value_in(block.baseline);
    const Value* v2 = value_in(block.canary);
    if (v1 != nullptr && v2 != nullptr) {
      Panel::Counts before = panel.values.empty() ? Panel::Counts{} : panel.values.back();
      panel.values.push_back({block.t, before.n1 + block.dt, before.k1 + v1->value * block.dt,
                              before.n2 + block.dt, before.k2 + v2->value * block.dt});
    }
  }
  if (!v.stage.empty() && (stages_.empty() || stages_.back().text != "stage " + v.stage))
    stages_.push_back({block.t - block.dt, "stage " + v.stage});
  bool is_new = final_.metrics.empty() || v.kind != final_.kind;
  if (is_new && v.kind != VerdictKind::Inconclusive) {
    verdicts_.push_back(
        {block.t, fmt::format("{} at {}", word(v.kind), time_text(block.t)), v.kind});
  }
  final_ = v;
}

std::string Picture::svg() const {
  std::vector<const Panel*> shown;
  std::vector<std::string> left_out;
  for (bool decides : {true, false}) {
    for (const Panel& panel : panels_) {
      if (!panel.matters || (panel.name == final_.decided_by) != decides) continue;
      if (shown.size() < kMostPanels) shown.push_back(&panel);
    }
  }
  for (const Panel& panel : panels_) {
    if (std::find(shown.begin(), shown.end(), &panel) == shown.end())
      left_out.push_back(panel.title);
  }
  double first = first_.value_or(0);
  double last = std::max(last_, first + 1);
  last = std::min(std::max(recorded_, last), last + 0.06 * (last - first));
  Canvas canvas(first, last);
  double y = 34;
  std::string name = final_.deployment.empty() ? name_ : final_.deployment;
  canvas.text(20, y, fmt::format("{}: {}", name, word(final_.kind)), "title");
  y += 22;
  for (const std::string& line : lines_of(final_.reason, kReason)) {
    canvas.text(20, y, line, "reason");
    y += 17;
  }
  canvas.text(20, y + 4,
              "Evidence: the log of each test's odds, as a share of what proves it (dashed). Below "
              "it, both versions' rates over time.",
              "soft");
  if (recorded_ > last) {
    y += 17;
    canvas.text(20, y + 4,
                fmt::format("The recording goes on until {}; a fail stands, so nothing more is "
                            "judged.",
                            time_text(recorded_)),
                "soft");
  }
  double marks = y + 8;
  double top = marks + kMarks;
  double end = top;
  for (const Panel* panel : shown) {
    bool decided = !final_.decided_by.empty() && panel->name == final_.decided_by;
    canvas.text(kLeft, end + 16, panel->title + (decided ? ": decided the verdict" : ""), "name");
    double rates = end + 26 + kEvidence + kBetween;
    draw_evidence(canvas, *panel, end + 26);
    draw_rates(canvas, *panel, rates, first, last);
    canvas.time_axis(rates + kRates, true);
    for (const Mark& stage : stages_)
      canvas.line(canvas.x(stage.t), end + 26, canvas.x(stage.t), rates + kRates, "stage");
    for (const Mark& verdict : verdicts_) {
      canvas.line(canvas.x(verdict.t), end + 26, canvas.x(verdict.t), rates + kRates,
                  fmt::format("verdict {}", css_class(verdict.kind)).c_str());
    }
    end += kPanel;
  }
  Names names(marks);
  for (auto verdict = verdicts_.rbegin(); verdict != verdicts_.rend(); ++verdict)
    names.write(canvas, *verdict, 0, fmt::format("verdict {}", css_class(verdict->kind)).c_str());
  for (const Mark& stage : stages_) names.write(canvas, stage, 1, "soft");
  if (!left_out.empty()) {
    canvas.text(20, end + 10,
                "Not drawn, because there was nothing to see: " + text::join(left_out, ", "),
                "soft");
    end += 12;
  }
  double height = end + 14;
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
             "width=\"{0:.0f}\" height=\"{1:.0f}\" role=\"img\" aria-labelledby=\"title desc\" "
             "font-family=\"-apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, "
             "sans-serif\">\n"
             "  <title id=\"title\">{2}</title>\n  <desc id=\"desc\">{3}</desc>\n"
             "  <style>{4}  </style>\n"
             "  <rect x=\"0.5\" y=\"0.5\" width=\"{5:.0f}\" height=\"{6:.0f}\" rx=\"8\" "
             "class=\"page\"/>\n",
             kWidth, height, escaped(fmt::format("davy's evidence for {}", name)),
             escaped(description(final_, shown)), kStyle, kWidth - 1, height - 1) +
         canvas.svg + "</svg>\n";
}

}  // namespace davy::app
