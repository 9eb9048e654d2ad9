#include "config/kind_options.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "config/address.h"

namespace davy::config {
namespace {

template <typename T>
Result<Done> store(Options& options, const OptionSpec& spec, const Result<T>& parsed) {
  if (!parsed) return parsed.error();
  options.set(std::string(spec.name), *parsed);
  return Done{};
}

Result<std::string> parse_choice(const std::string& text, const OptionSpec& spec) {
  std::vector<std::string> known(spec.choices.begin(), spec.choices.end());
  if (std::find(known.begin(), known.end(), text) != known.end()) return text;
  std::string near = text::nearest(text, known);
  return Error{fmt::format("{} is not one of {}{}", text::quoted(text), text::join(known, ", "),
                           near.empty() ? "" : " (did you mean " + near + "?)")};
}

Result<std::string> parse_url(const std::string& text) {
  if (!host_of_url(text).empty() || text.starts_with("unix://")) return text;
  return Error{text::quoted(without_user_info(text)) + " is not a URL (try http://host:8080/path)"};
}

Result<std::string> parse_address_text(const std::string& text) {
  Result<Address> address = parse_address(text);
  if (!address) return address.error();
  return text;
}

Result<std::string> parse_path(const std::string& text) {
  if (text.starts_with('/')) return text;
  return Error{text::quoted(text) + " is not an absolute path (it must start with /)"};
}

Result<bool> parse_flag(const std::string& text) {
  if (text == "true" || text == "false") return text == "true";
  return Error{text::quoted(text) + " is neither true nor false"};
}

/// One text by its type.
Result<Done> store_text(Options& options, const OptionSpec& spec, const std::string& text) {
  switch (spec.type) {
    case OptionType::Text:
    case OptionType::Secret: return store(options, spec, Result<std::string>(text));
    case OptionType::Url: return store(options, spec, parse_url(text));
    case OptionType::Address: return store(options, spec, parse_address_text(text));
    case OptionType::Path: return store(options, spec, parse_path(text));
    case OptionType::Duration: return store(options, spec, units::parse_duration(text));
    case OptionType::Bytes: return store(options, spec, units::parse_bytes(text));
    case OptionType::Amount: return store(options, spec, units::parse_amount(text));
    case OptionType::Ratio: return store(options, spec, units::parse_ratio(text));
    case OptionType::Number: return store(options, spec, units::parse_number(text));
    case OptionType::Flag: return store(options, spec, parse_flag(text));
    case OptionType::Choice: return store(options, spec, parse_choice(text, spec));
    case OptionType::TextList:
      return store(options, spec, Result<std::vector<std::string>>(std::vector<std::string>{text}));
  }
  return Error{"of a type that nobody knows"};
}

/// One text may hold a whole list, so that an environment variable can: "http://a,http://b".
std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts;
  for (std::string_view part : text::split(text, ',')) parts.emplace_back(text::trim(part));
  return parts;
}

bool holds_secret(const Node& node) {
  return node.is_secret || std::any_of(node.items.begin(), node.items.end(), holds_secret);
}

void read_one(Settings& settings, const OptionSpec& spec, Options& options) {
  std::string name(spec.name);
  const Node* node = spec.required ? settings.require(name, spec.help) : settings.find(name);
  if (node == nullptr) {
    if (spec.fallback.empty()) return;
    Result<Done> stored = store_text(options, spec, std::string(spec.fallback));
    // The kind's own mistake; a test of every kind finds it.
    if (!stored) settings.problem(name, "its default is wrong: " + stored.error().what);
    return;
  }
  if (holds_secret(*node)) options.hide(name);
  if (spec.type == OptionType::TextList) {
    std::vector<std::string> texts;
    settings.read(name, texts);
    if (texts.size() == 1) texts = split_list(texts[0]);
    options.set(name, std::move(texts));
    return;
  }
  std::optional<std::string> text = settings.text_of(node);
  if (!text) return;
  Result<Done> stored = store_text(options, spec, *text);
  if (stored) return;
  // What came out of a file may be a secret in the wrong place.
  settings.problem(name, node->is_secret
                             ? node->written + " does not hold a value of the right form"
                             : stored.error().what);
}

}  // namespace

std::optional<Options> read_options(Settings& settings, const std::vector<OptionSpec>& specs) {
  std::size_t before = settings.problems().count();
  Options options;
  for (const OptionSpec& spec : specs) read_one(settings, spec, options);
  settings.finish();
  if (settings.problems().count() > before || is_broken(settings.node())) return std::nullopt;
  return options;
}

std::string show_option(const Options& options, const OptionSpec& spec) {
  if (!options.has(spec.name)) return "";
  if (options.is_hidden(spec.name)) return "***";
  switch (spec.type) {
    case OptionType::Secret: return "***";
    case OptionType::Url: return without_user_info(options.text(spec.name));
    case OptionType::Text:
    case OptionType::Address:
    case OptionType::Path:
    case OptionType::Choice: return options.text(spec.name);
    case OptionType::Duration: return units::show(options.duration(spec.name));
    case OptionType::Bytes: return units::show_bytes(options.number(spec.name));
    case OptionType::Amount: {
      Amount amount = options.amount(spec.name);
      return amount.is_ratio ? units::show_percent(amount.value) : units::show_bytes(amount.value);
    }
    case OptionType::Ratio: return units::show_percent(options.number(spec.name));
    case OptionType::Number: return fmt::format("{:g}", options.number(spec.name));
    case OptionType::Flag: return options.flag(spec.name) ? "true" : "false";
    case OptionType::TextList: {
      std::vector<std::string> shown;
      for (const std::string& text : options.list(spec.name))
        shown.push_back(without_user_info(text));
      return text::join(shown, ", ");
    }
  }
  return "";
}

void blame(Settings& settings, const Error& error) {
  if (error.setting.empty()) {
    settings.problem_at(settings.node(), error.what);
  } else {
    settings.problem(error.setting, error.what);
  }
}

}  // namespace davy::config
