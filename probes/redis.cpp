// Redis: PING is answered, and the server has the expected role.
//
// Fails on: resolve, refused, timeout, closed, protocol; on answers such as loading, busy,
// masterdown; hard on auth, database and role. A server that refuses writes (misconf) warns, or
// fails when they are expected. Keeps its connection, and makes a new one after any trouble with
// it. Never blocks past its deadline, except name resolution.

#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include "base/text.h"
#include "davy/probe.h"
#include "net/means.h"
#include "net/socket.h"
#include "net/uri.h"

namespace davy::probe {
namespace {

using Context = std::unique_ptr<redisContext, decltype(&redisFree)>;
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

struct Target {
  net::Endpoint at;
  std::string user;
  std::string password;  // "" = no AUTH
  int database = 0;
};

/// redis://[user:password@]host[:port][/database]
Result<Target> parse_target(std::string_view url) {
  auto wrong = [](const std::string& why) {
    return Error{"not a Redis URL (try redis://host:6379/0): it " + why, "url"};
  };
  Result<net::Uri> uri = net::parse_uri(url);
  if (!uri) return wrong(uri.error().what);
  if (uri->scheme == "rediss")
    return Error{"rediss:// (Redis over TLS) is not supported by this build", "url"};
  if (uri->scheme != "redis") return wrong("does not start with redis://");
  if (uri->host.empty()) return wrong("names no host");
  if (!uri->query.empty()) return wrong("has a query after the ?, which is not supported");

  Target target;
  target.at = {uri->host, uri->port == 0 ? 6379 : uri->port};
  target.user = uri->user.value_or("");
  target.password = uri->password.value_or("");
  if (std::string_view path = uri->path; path.size() > 1) {
    path.remove_prefix(1);
    auto [end, code] = std::from_chars(path.data(), path.data() + path.size(), target.database);
    if (code != std::errc() || end != path.data() + path.size() || target.database < 0) {
      return wrong("has a path that is not the number of a database");
    }
  }
  return target;
}

/// An answer must not make us reserve memory for a hundred million elements (hiredis 1.x can be
/// told).
template <typename Reader>
void limit_elements(Reader& reader) {
  if constexpr (requires { reader.maxelements; }) reader.maxelements = 1024;
}

/// What an error reply says, by its first word.
Outcome explain_error(const std::string& what, const redisReply& reply) {
  std::string_view said(reply.str, reply.len);
  std::string_view code = said.substr(0, said.find(' '));
  std::string message = what + ": " + text::quoted(said, 160);
  auto holds = [&](std::string_view part) { return said.find(part) != std::string_view::npos; };

  constexpr std::string_view kAuth[] = {"NOAUTH", "WRONGPASS", "NOPERM", "DENIED", "-DENIED"};
  if (std::find(std::begin(kAuth), std::end(kAuth), code) != std::end(kAuth) ||
      holds("invalid password") || holds("no password is set") ||
      holds("without any password configured")) {
    return Outcome::failed("auth", message, Outcome::kHard);
  }
  if (holds("DB index")) return Outcome::failed("database", message, Outcome::kHard);
  if (holds("max number of clients")) return Outcome::failed("too_many_connections", message);
  // Soft: these pass by themselves (a restart that reads its data, a long script, a lost primary).
  constexpr std::pair<std::string_view, const char*> kSoft[] = {{"LOADING", "loading"},
                                                                {"BUSY", "busy"},
                                                                {"MASTERDOWN", "masterdown"},
                                                                {"CLUSTERDOWN", "clusterdown"},
                                                                {"MISCONF", "misconf"}};
  for (const auto& [word, reason] : kSoft) {
    if (code == word) return Outcome::failed(reason, message);
  }
  return Outcome::failed("error", message);
}

struct Redis final : Probe {
  Redis(Target target, std::string expect)
      : target_(std::move(target)),
        expect_(std::move(expect)),
        name_("redis " + target_.at.text()) {}

  Outcome run(const ProbeContext& ctx) override {
    Time start = machine_clock().now();
    bool was_kept = connection_ != nullptr;
    Outcome seen = attempt(ctx);
    // A kept connection that the server closed in the meantime says nothing about the server.
    if (was_kept && connection_ == nullptr && seen.reason == "closed" && !ctx.deadline.expired()) {
      seen = attempt(ctx);
    }
    return std::move(seen).measured(seconds(machine_clock().now() - start), "s");
  }

 private:
  Outcome attempt(const ProbeContext& ctx) {
    bool is_new = connection_ == nullptr;
    if (is_new) {
      if (std::optional<Outcome> trouble = connect(ctx)) return *trouble;
    }
    Outcome seen;
    bool is_usable;
    {
      net::Watchdog::Guard guard(ctx.net.watchdog, ctx.deadline, connection_->fd);
      set_timeout(ctx.deadline);
      seen = talk(is_new, guard);
      bool is_logged_in = seen.reason != "auth" && seen.reason != "database";
      is_usable = connection_->err == 0 && !guard.fired() && is_logged_in;
    }
    if (!is_usable)
      connection_.reset();  // hiredis cannot go on after an error, not even a time-out
    return seen;
  }

  std::optional<Outcome> connect(const ProbeContext& ctx) {
    std::variant<net::Socket, net::ConnectError> made = net::connect_tcp(target_.at, ctx);
    if (auto* error = std::get_if<net::ConnectError>(&made)) {
      std::string reason(word(error->kind));
      return error->kind == net::ConnectFailure::Resources ? Outcome::unable(reason, error->what)
                                                           : Outcome::failed(reason, error->what);
    }
    connection_.reset(redisConnectFd(std::get<net::Socket>(made).fd()));
    if (connection_ == nullptr) return Outcome::unable("resources", name_ + ": out of memory");
    std::get<net::Socket>(made).release();  // redisFree closes it
    limit_elements(*connection_->reader);
    return std::nullopt;
  }

  Outcome talk(bool is_new, const net::Watchdog::Guard& guard) {
    if (is_new && !target_.password.empty()) {
      std::vector<std::string> auth = {"AUTH", target_.user, target_.password};
      if (target_.user.empty()) auth.erase(auth.begin() + 1);  // before Redis 6 there are no users
      if (std::optional<Outcome> trouble = expect_status(auth, "OK", guard)) return *trouble;
    }
    if (is_new && target_.database != 0) {
      std::vector<std::string> select = {"SELECT", std::to_string(target_.database)};
      if (std::optional<Outcome> trouble = expect_status(select, "OK", guard)) return *trouble;
    }

    Outcome seen = Outcome::passed();
    if (std::optional<Outcome> trouble = expect_status({"PING"}, "PONG", guard)) {
      // After a failed save Redis refuses writes, and PING with them; reads still work.
      if (trouble->reason != "misconf" || expect_ == "writable") return *trouble;
      seen = Outcome::warned("misconf", trouble->message);
    }
    if (expect_ != "any") {
      if (std::optional<Outcome> trouble = check_role(guard)) return *trouble;
    }
    return seen;
  }

  std::optional<Outcome> check_role(const net::Watchdog::Guard& guard) {
    Reply reply = command({"ROLE"});
    if (!reply) return broken("ROLE", guard);
    if (reply->type == REDIS_REPLY_ERROR) return explain_error(name_ + ": ROLE", *reply);
    bool has_role = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                    reply->element[0]->type == REDIS_REPLY_STRING;
    if (!has_role)
      return Outcome::failed("protocol", name_ + ": ROLE: expected a role, got something else");

    std::string_view role(reply->element[0]->str, reply->element[0]->len);
    std::string_view expected = expect_ == "replica" ? "slave" : "master";
    if (role == expected) return std::nullopt;
    return Outcome::failed("role",
                           name_ + ": expected " + expect_ + ", got role " + text::quoted(role),
                           Outcome::kHard);
  }

  std::optional<Outcome> expect_status(const std::vector<std::string>& words,
                                       std::string_view expected,
                                       const net::Watchdog::Guard& guard) {
    const std::string& verb = words.front();  // never more of it: AUTH holds the password
    Reply reply = command(words);
    if (!reply) return broken(verb, guard);
    if (reply->type == REDIS_REPLY_ERROR) return explain_error(name_ + ": " + verb, *reply);
    bool is_text = reply->type == REDIS_REPLY_STATUS || reply->type == REDIS_REPLY_STRING;
    std::string_view said = is_text ? std::string_view(reply->str, reply->len) : "another type";
    if (is_text && said == expected) return std::nullopt;
    return Outcome::failed("protocol", name_ + ": " + verb + ": expected " +
                                           text::quoted(expected) + ", got " + text::quoted(said));
  }

  Reply command(const std::vector<std::string>& words) {
    std::vector<const char*> argv;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
      argv.push_back(word.data());
      sizes.push_back(word.size());
    }
    return Reply(static_cast<redisReply*>(redisCommandArgv(
        connection_.get(), static_cast<int>(argv.size()), argv.data(), sizes.data())));
  }

  /// The connection failed under a command. hiredis has errno's text only: "Resource temporarily
  /// unavailable" is its timeout.
  Outcome broken(const std::string& verb, const net::Watchdog::Guard& guard) const {
    std::string error = connection_->errstr;
    if (guard.fired() || error.find("temporarily unavailable") != std::string::npos) {
      return Outcome::failed("timeout", name_ + ": " + verb + ": no answer in time");
    }
    if (connection_->err == REDIS_ERR_PROTOCOL) {
      return Outcome::failed("protocol", name_ + ": " + verb + ": not a Redis answer: " + error);
    }
    return Outcome::failed("closed", name_ + ": " + verb + ": " + error);
  }

  /// A second line of defence: the guard ends what drips, this ends what is silent.
  void set_timeout(Deadline deadline) {
    auto left = std::chrono::duration_cast<std::chrono::microseconds>(deadline.left_ms());
    timeval tv{left.count() / 1000000, left.count() % 1000000};
    redisSetTimeout(connection_.get(), tv);
  }

  const Target target_;
  const std::string expect_;
  const std::string name_;
  Context connection_{nullptr, &redisFree};
};

}  // namespace

extern const ProbeKind redis{
    .name = "redis",
    .summary = "A Redis server answers PING and has the expected role.",
    .reach = ProbeKind::Reach::Remote,
    .options =
        {
            {"url", OptionType::Secret, kRequired, "",
             "redis://[user:password@]host[:port][/database]"},
            {"expect",
             OptionType::Choice,
             kOptional,
             "any",
             "the role it must have; writable is a primary that also takes writes",
             {"any", "primary", "replica", "writable"}},
        },
    .example = "{ url: \"redis://127.0.0.1:6379/0\" }",
    .make = [](const Options& options) -> Result<std::unique_ptr<Probe>> {
      Result<Target> target = parse_target(options.text("url"));
      if (!target) return target.error();
      return std::unique_ptr<Probe>(new Redis(*target, options.text("expect")));
    },
};

}  // namespace davy::probe
