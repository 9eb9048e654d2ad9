#include "base/helper_wire.h"

#include <type_traits>
#include <utility>

#include "base/archive.h"

namespace davy {

static void archive(Archive& a, Amount& amount) {
  a(amount.value, amount.is_ratio);
}

static void archive(Archive& a, Measurement& m) {
  a(m.name, m.value, m.unit);
}

static void archive(Archive& a, Trace::Phase& phase) {
  a(phase.name, phase.took, phase.note);
}

static void archive(Archive& a, Outcome& o) {
  a(o.kind, o.hard, o.blocks_deploy, o.instance, o.reason, o.message, o.value, o.unit, o.also,
    o.clear_of_fail, o.clear_of_warn);
  if (o.kind < Outcome::Kind::Pass || o.kind > Outcome::Kind::Error) a.fail();
}

namespace wire {
namespace {

/// The alternative `index` of a variant, made new.
template <std::size_t I = 0>
std::optional<Options::Value> empty_value(std::size_t index) {
  if constexpr (I == std::variant_size_v<Options::Value>) {
    return std::nullopt;
  } else {
    if (index == I) return Options::Value(std::in_place_index<I>);
    return empty_value<I + 1>(index);
  }
}

void write_value(Archive& a, Options::Value value) {
  std::uint64_t index = value.index();
  a(index);
  std::visit([&](auto& held) { a(held); }, value);
}

std::optional<Options::Value> read_value(Archive& a) {
  std::uint64_t index = 0;
  a(index);
  std::optional<Options::Value> value = empty_value(index);
  if (value) std::visit([&](auto& held) { a(held); }, *value);
  return value;
}

void write_options(Archive& a, const Options& options) {
  std::uint64_t count = options.values().size();
  a(count);
  for (const auto& [name, value] : options.values()) {
    std::string its_name = name;
    bool is_hidden = options.is_hidden(name);
    a(its_name, is_hidden);
    write_value(a, value);
  }
}

void read_options(Archive& a, Options& options) {
  std::uint64_t count = 0;
  a(count);
  for (std::uint64_t i = 0; i < count && !a.failed(); ++i) {
    std::string name;
    bool is_hidden = false;
    a(name, is_hidden);
    std::optional<Options::Value> value = read_value(a);
    if (!value) return a.fail();
    if (is_hidden) options.hide(name);
    options.set(std::move(name), *std::move(value));
  }
}

template <typename T>
std::optional<T> whole(Archive& a, T value) {
  if (a.failed() || !a.at_end()) return std::nullopt;
  return value;
}

}  // namespace

std::string write(const Options& options) {
  Archive a = Archive::writer();
  write_options(a, options);
  return a.bytes();
}

std::string write(const Request& request) {
  Archive a = Archive::writer();
  std::uint64_t what = request.index();
  a(what);
  if (const LookUp* name = std::get_if<LookUp>(&request)) {
    std::string host = name->host;
    a(host);
    return a.bytes();
  }
  if (const FindFiles* find = std::get_if<FindFiles>(&request)) {
    std::string pattern = find->pattern;
    a(pattern);
    return a.bytes();
  }
  if (const ReadFile* read = std::get_if<ReadFile>(&request)) {
    ReadFile copy = *read;
    a(copy.path, copy.from);
    return a.bytes();
  }
  RunProbe run = std::get<RunProbe>(request);
  a(run.kind, run.check, run.deadline.since_boot, run.is_traced);
  write_options(a, run.options);
  return a.bytes();
}

std::optional<Request> read_request(const std::string& bytes) {
  Archive a = Archive::reader(bytes);
  std::uint64_t what = 0;
  a(what);
  if (what == 1) {
    LookUp name;
    a(name.host);
    return whole(a, Request(std::move(name)));
  }
  if (what == 2) {
    FindFiles find;
    a(find.pattern);
    return whole(a, Request(std::move(find)));
  }
  if (what == 3) {
    ReadFile read;
    a(read.path, read.from);
    return whole(a, Request(std::move(read)));
  }
  if (what != 0) return std::nullopt;
  RunProbe run;
  a(run.kind, run.check, run.deadline.since_boot, run.is_traced);
  read_options(a, run.options);
  return whole(a, Request(std::move(run)));
}

std::string write(const Ran& ran) {
  Archive a = Archive::writer();
  Ran copy = ran;
  a(copy.outcome, copy.phases);
  return a.bytes();
}

std::optional<Ran> read_ran(const std::string& bytes) {
  Archive a = Archive::reader(bytes);
  Ran ran;
  a(ran.outcome, ran.phases);
  return whole(a, std::move(ran));
}

std::string write(const LookedUp& answer) {
  Archive a = Archive::writer();
  LookedUp copy = answer;
  a(copy.kind, copy.addresses, copy.why);
  return a.bytes();
}

std::optional<LookedUp> read_looked_up(const std::string& bytes) {
  Archive a = Archive::reader(bytes);
  LookedUp answer;
  a(answer.kind, answer.addresses, answer.why);
  if (answer.kind < LookedUp::Kind::Found || answer.kind > LookedUp::Kind::Unable) a.fail();
  return whole(a, std::move(answer));
}

std::string write(const files::Sight& sight) {
  Archive a = Archive::writer();
  files::Sight copy = sight;
  a(copy);
  return a.bytes();
}

std::string write(const files::Part& part) {
  Archive a = Archive::writer();
  files::Part copy = part;
  a(copy);
  return a.bytes();
}

std::optional<files::Sight> read_sight(const std::string& bytes) {
  Archive a = Archive::reader(bytes);
  files::Sight sight;
  a(sight);
  return whole(a, std::move(sight));
}

std::optional<files::Part> read_part(const std::string& bytes) {
  Archive a = Archive::reader(bytes);
  files::Part part;
  a(part);
  return whole(a, std::move(part));
}

}  // namespace wire
}  // namespace davy
