#include "app/cli/reference.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"
#include "config/sections.h"

namespace davy::app {
namespace {

std::string type_of(const OptionSpec& spec) {
  switch (spec.type) {
    case OptionType::Text: return "text";
    case OptionType::Secret: return "text, never shown";
    case OptionType::Url: return "URL";
    case OptionType::Address: return "host:port";
    case OptionType::Path: return "absolute path";
    case OptionType::Duration: return "duration";
    case OptionType::Bytes: return "bytes";
    case OptionType::Amount: return "bytes or percentage";
    case OptionType::Ratio: return "percentage";
    case OptionType::Number: return "number";
    case OptionType::Flag: return "true or false";
    case OptionType::Choice: {
      std::vector<std::string> words(spec.choices.begin(), spec.choices.end());
      return text::join(words, ", ");
    }
    case OptionType::TextList: return "list of texts";
  }
  return "";
}

std::string_view where(const ProbeKind& kind) {
  return kind.runner == ProbeKind::Runner::Helper
             ? "Runs in a helper process, which is killed at the deadline."
             : "Runs on a thread; its socket is shut at the deadline.";
}

std::string_view may_decide(const ProbeKind& kind) {
  return kind.reach == ProbeKind::Reach::Local
             ? "Asks this machine: may decide liveness; scope local."
             : "Asks elsewhere: scope shared unless it asks this machine.";
}

std::string default_of(const OptionSpec& spec) {
  if (spec.required) return "required";
  return spec.fallback.empty() ? "" : std::string(spec.fallback);
}

/// A cell of a table: its bars would end it.
std::string cell(std::string_view text) {
  std::string out;
  for (char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string section(const ProbeKind& kind) {
  std::string out =
      fmt::format("## {}\n\n{} {}\n{}{}\n\n", kind.name, kind.summary, where(kind),
                  may_decide(kind), kind.is_weak ? " Weak: says little when it passes." : "");
  if (!kind.doubt_in_readiness.empty())
    out += fmt::format("In readiness: {}.\n\n", kind.doubt_in_readiness);
  out +=
      fmt::format("```yaml\n- {{ name: {}, {}: {} }}\n```\n\n", kind.name, kind.name, kind.example);
  if (!kind.options.empty()) {
    out += "| setting | | default | |\n|---|---|---|---|\n";
    for (const OptionSpec& spec : kind.options) {
      std::string fallback = default_of(spec);
      bool is_value = !spec.required && !fallback.empty();
      out += fmt::format("| `{}` | {} | {} | {} |\n", spec.name, cell(type_of(spec)),
                         is_value ? "`" + cell(fallback) + "`" : fallback, cell(spec.help));
    }
    out += "\n";
  }
  if (kind.reasons.empty()) return out;
  out += "| reason | | meaning |\n|---|---|---|\n";
  for (const ProbeKind::Reason& reason : kind.reasons)
    out += fmt::format("| `{}` | {} | {} |\n", reason.word, reason.hard ? "hard" : "",
                       cell(reason.meaning));
  return out + "\n";
}

}  // namespace

std::string describe(const ProbeKind& kind) {
  std::string out =
      fmt::format("{}: {}\n{}\n{}\n\n  - {{ name: {}, {}: {} }}\n", kind.name, kind.summary,
                  where(kind), may_decide(kind), kind.name, kind.name, kind.example);
  if (!kind.options.empty()) out += "\nsettings\n";
  for (const OptionSpec& spec : kind.options) {
    std::string fallback = default_of(spec);
    out += fmt::format("  {:<20} {}{}\n{:24}{}\n", spec.name, type_of(spec),
                       fallback.empty() ? ""
                       : spec.required  ? "; required"
                                        : "; " + fallback,
                       "", spec.help);
  }
  if (!kind.reasons.empty()) out += "\nreasons\n";
  for (const ProbeKind::Reason& reason : kind.reasons)
    out +=
        fmt::format("  {:<20} {}{}\n", reason.word, reason.hard ? "(hard) " : "", reason.meaning);
  return out;
}

std::string probe_reference() {
  std::string out =
      "# Probes\n\n"
      "Every kind of probe, from its own description (`davy probes --markdown` writes this page; "
      "a test compares).\n"
      "What its outcomes come to: [checks.md](checks.md). Settings that every check has: "
      "[config.md](config.md#checks).\n"
      "Try one: `davy check --kind KIND SETTING=VALUE ...`.\n\n"
      "| kind | |\n|---|---|\n";
  for (const ProbeKind* kind : probe_kinds())
    out += fmt::format("| [{}](#{}) | {} |\n", kind->name, kind->name, cell(kind->summary));
  out +=
      "\n"
      "A *hard* reason fails a check at once; others count towards `failure_threshold`. Beside its "
      "kind's reasons a check may have these:\n\n"
      "| reason | meaning |\n|---|---|\n"
      "| `timeout` | no answer within the check's timeout |\n"
      "| `stuck` | a run has passed its deadline and has not come back: it is not started again |\n"
      "| `waits` | not asked while a check that it depends on fails |\n"
      "| `level`, `not_clear` | beyond a level of the check, or not far enough on its good side "
      "again |\n"
      "| `no_worker`, `helper_died`, `defect` | davy's own trouble: says nothing of what is asked "
      "|\n\n";
  for (const ProbeKind* kind : probe_kinds()) out += section(*kind);
  out.pop_back();  // one end of line is enough
  return out;
}

std::string preset_table() {
  std::string out = "| preset | for | latency | names checked against |\n|---|---|---|---|\n";
  for (const config::Preset& preset : config::presets()) {
    out += fmt::format("| `{}` | {}{} | {} | {} |\n", preset.name, cell(preset.description),
                       preset.versions_by.empty() ? "" : " (`targets`)",
                       preset.requests.histogram.empty() ? "no" : "yes",
                       preset.checked.empty() ? "nothing" : cell(preset.checked));
  }
  return out;
}

}  // namespace davy::app
