#include "sources/exchange/stream.h"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <utility>

#include "base/archive.h"
#include "base/text.h"

namespace davy::source {
namespace {

using Kind = net::RedisReply::Kind;

constexpr const char* kField = "block";
constexpr const char* kBatch =
    "128";  // entries; of the longest blocks less than an answer may have

bool take_number(std::string_view& text, std::uint64_t& out) {
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (code != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

/// [id, [field, value, ...]]
std::optional<ExchangeStream::Entry> entry_of(const net::RedisReply& reply) {
  if (reply.items.size() != 2) return std::nullopt;
  std::optional<StreamId> id = StreamId::parse(reply.items[0].text);
  if (!id) return std::nullopt;
  ExchangeStream::Entry entry{.id = *id, .bytes = "", .wrong = ""};
  const std::vector<net::RedisReply>& fields = reply.items[1].items;
  if (fields.size() == 2 && fields[0].text == kField) {
    entry.bytes = fields[1].text;
  } else {
    entry.wrong = fmt::format("it has no field {} alone", kField);
  }
  return entry;
}

/// An entry's id in an answer that was too large to be taken whole: the first one behind the line
/// `after`, if there is such a line before it.
std::optional<StreamId> id_in(std::string_view head, const std::string& after) {
  if (std::size_t at = head.find("\r\n" + after + "\r\n"); at != std::string_view::npos)
    head.remove_prefix(at + after.size() + 2);
  for (std::string_view line : text::split(head, '\n')) {
    if (auto id = StreamId::parse(text::trim(line))) return id;
  }
  return std::nullopt;
}

Error told(const net::RedisError& error) {
  bool lacks_right = error.code == "NOPERM";
  return {lacks_right ? error.what + " (docs/config.md says which rights it takes)" : error.what};
}

}  // namespace

std::optional<StreamId> StreamId::parse(std::string_view text) {
  StreamId id;
  bool is_id = take_number(text, id.ms) && text.starts_with('-');
  if (!is_id) return std::nullopt;
  text.remove_prefix(1);
  if (!take_number(text, id.number) || !text.empty()) return std::nullopt;
  return id;
}

std::string StreamId::text() const {
  return fmt::format("{}-{}", ms, number);
}

void StreamId::archive(Archive& state) {
  state(ms, number);
}

ExchangeStream::ExchangeStream(net::RedisTarget target, std::string key)
    : key_(std::move(key)), client_(std::move(target)) {}

std::string ExchangeStream::name() const {
  return fmt::format("{}, stream {}", client_.name(), key_);
}

Result<Done> ExchangeStream::begin(const Call& call) {
  if (auto trouble = client_.begin(call)) return told(*trouble);
  return Done{};
}

Error ExchangeStream::no_answer(std::string_view command) const {
  return {fmt::format("{}: {} was answered by something else", name(), command)};
}

Result<net::RedisReply> ExchangeStream::ask(const std::vector<std::string>& words,
                                            const Call& call) {
  net::RedisAnswer answer = client_.command(words, call);
  if (const auto* error = std::get_if<net::RedisError>(&answer)) return told(*error);
  return std::get<net::RedisReply>(std::move(answer));
}

Result<Done> ExchangeStream::tell_time(ExchangeClock& clock, const Clock& steady,
                                       const Call& call) {
  Time sent = steady.now();
  Result<net::RedisReply> reply = ask({"TIME"}, call);
  if (!reply) return reply.error();
  Time received = steady.now();
  std::uint64_t seconds = 0;
  std::uint64_t micros = 0;
  bool is_time = reply->items.size() == 2;
  if (is_time) {
    std::string_view first = reply->items[0].text;
    std::string_view second = reply->items[1].text;
    is_time = take_number(first, seconds) && take_number(second, micros) &&
              seconds < (1ULL << 40) && micros < 1'000'000;
  }
  if (!is_time) return no_answer("TIME");
  clock.learn(static_cast<ExchangeMillis>(seconds * 1000 + micros / 1000), sent, received);
  return Done{};
}

Result<std::string> ExchangeStream::add(const std::string& bytes, std::uint64_t longest,
                                        const Call& call) {
  Result<net::RedisReply> reply =
      ask({"XADD", key_, "MAXLEN", "~", std::to_string(longest), "*", kField, bytes}, call);
  if (!reply) return reply.error();
  if (!StreamId::parse(reply->text)) return no_answer("XADD");
  return reply->text;
}

Result<bool> ExchangeStream::holds(const std::string& id, const Call& call) {
  net::RedisAnswer answer = client_.command({"XRANGE", key_, id, id}, call);
  if (const auto* error = std::get_if<net::RedisError>(&answer)) {
    if (error->reason != "too_large") return told(*error);
    if (auto trouble = client_.begin(call)) return told(*trouble);
    return true;  // somebody's giant
  }
  return !std::get<net::RedisReply>(answer).items.empty();
}

Result<std::uint64_t> ExchangeStream::length(const Call& call) {
  Result<net::RedisReply> reply = ask({"XLEN", key_}, call);
  if (!reply) return reply.error();
  if (reply->kind != Kind::Integer || reply->integer < 0) return no_answer("XLEN");
  return static_cast<std::uint64_t>(reply->integer);
}

Result<std::optional<StreamId>> ExchangeStream::end_of(const char* command, const char* from,
                                                       const char* to, const Call& call) {
  net::RedisAnswer answer = client_.command({command, key_, from, to, "COUNT", "1"}, call);
  if (const auto* error = std::get_if<net::RedisError>(&answer)) {
    std::optional<StreamId> giant = id_in(error->head, "");
    if (!giant) return told(*error);
    if (auto trouble = client_.begin(call)) return told(*trouble);
    return giant;
  }
  const net::RedisReply& reply = std::get<net::RedisReply>(answer);
  if (reply.items.empty()) return std::optional<StreamId>();
  std::optional<Entry> entry = entry_of(reply.items[0]);
  if (!entry) return no_answer(command);
  return std::optional<StreamId>(entry->id);
}

Result<std::optional<StreamId>> ExchangeStream::first(const Call& call) {
  return end_of("XRANGE", "-", "+", call);
}

Result<std::optional<StreamId>> ExchangeStream::last(const Call& call) {
  return end_of("XREVRANGE", "+", "-", call);
}

Result<std::vector<ExchangeStream::Entry>> ExchangeStream::read_after(const StreamId& id,
                                                                      const Call& call) {
  net::RedisAnswer answer;
  for (const char* count : {kBatch, "1"}) {
    answer = client_.command({"XREAD", "COUNT", count, "STREAMS", key_, id.text()}, call);
    const auto* error = std::get_if<net::RedisError>(&answer);
    if (error == nullptr) break;
    if (error->reason != "too_large") return told(*error);
    // Somebody put a giant in: one by one, and it is named instead of taken.
    if (auto trouble = client_.begin(call)) return told(*trouble);
  }
  if (const auto* error = std::get_if<net::RedisError>(&answer)) {
    std::optional<StreamId> giant = id_in(error->head, key_);
    if (!giant) return told(*error);
    return std::vector<Entry>{{.id = *giant, .bytes = "", .wrong = "it is larger than 16 MiB"}};
  }
  const net::RedisReply& reply = std::get<net::RedisReply>(answer);
  std::vector<Entry> entries;
  if (reply.kind == Kind::Nil) return entries;
  bool is_stream = reply.items.size() == 1 && reply.items[0].items.size() == 2;
  if (!is_stream) return no_answer("XREAD");
  for (const net::RedisReply& item : reply.items[0].items[1].items) {
    std::optional<Entry> entry = entry_of(item);
    if (!entry) return no_answer("XREAD");
    entries.push_back(std::move(*entry));
  }
  return entries;
}

}  // namespace davy::source
