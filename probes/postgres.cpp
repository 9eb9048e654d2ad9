// PostgreSQL: a query of the owner's choice succeeds.
//
// Fails on: resolve, refused, unreachable, timeout, closed, tls, too_many_connections, starting,
// stopping, query, connect (any other refusal); hard on auth, no_such_database, settings and on
// queries that are wrong in themselves. Keeps its connection: at the server's limit a new one would
// not get in, and each costs the server a process.
// A query never outlasts the deadline. Connecting may, by the 2 s that are libpq's shortest
// timeout.

#include <fmt/format.h>
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <pqxx/connection>
#include <pqxx/except>
#include <pqxx/nontransaction>

#include "base/text.h"
#include "davy/probe.h"
#include "net/means.h"
#include "net/postgres_dsn.h"
#include "net/socket.h"

namespace davy::probe {
namespace {

/// While connecting, libpq gives the server's error as text only, in the server's language. What is
/// not recognised is "connect", which is soft.
struct Hint {
  std::string_view text;
  std::string_view also;  // must occur too
  const char* reason;
  bool hard = false;
};
constexpr Hint kHints[] = {
    {"Connection refused", "", "refused"},
    {"No such file or directory", "", "refused"},  // a Unix socket
    {"timeout expired", "", "timeout"},
    {"Connection timed out", "", "timeout"},
    {"could not translate host name", "", "resolve"},
    {"No route to host", "", "unreachable"},
    {"unreachable", "", "unreachable"},
    {"authentication failed", "", "auth", Outcome::kHard},
    {"no password supplied", "", "auth", Outcome::kHard},
    {"pg_hba.conf", "", "auth", Outcome::kHard},
    {"not permitted to log in", "", "auth", Outcome::kHard},
    {"role \"", "does not exist", "auth", Outcome::kHard},
    {"no such user", "", "auth", Outcome::kHard},  // PgBouncer
    {"database \"", "does not exist", "no_such_database", Outcome::kHard},
    {"no such database", "", "no_such_database", Outcome::kHard},  // PgBouncer
    {"too many clients", "", "too_many_connections"},
    {"too many connections", "", "too_many_connections"},
    {"remaining connection slots", "", "too_many_connections"},
    {"no more connections allowed", "", "too_many_connections"},  // PgBouncer
    {"starting up", "", "starting"},
    {"not yet accepting connections", "", "starting"},
    {"in recovery mode", "", "starting"},
    {"shutting down", "", "stopping"},
    {"invalid connection option", "", "settings", Outcome::kHard},
    {"invalid sslmode", "", "settings", Outcome::kHard},
    {"unsupported startup parameter", "", "settings", Outcome::kHard},  // PgBouncer and options=
    {"server closed the connection", "", "closed"},
    {"Connection reset", "", "closed"},
    {"certificate", "", "tls"},
    {"SSL", "", "tls"},
};

/// The first line; the others repeat the query or ask whether the server is running.
std::string first_line(std::string_view s) {
  return text::valid_utf8(text::trim(s.substr(0, s.find('\n'))));
}

Outcome explain_connect(const std::string& what, std::string_view said) {
  std::string message = what + ": " + first_line(said);
  if (said.find("Too many open files") != std::string_view::npos)
    return Outcome::unable("resources", message);
  for (const Hint& hint : kHints) {
    if (said.find(hint.text) != std::string_view::npos &&
        said.find(hint.also) != std::string_view::npos) {
      return Outcome::failed(hint.reason, message, hint.hard);
    }
  }
  return Outcome::failed("connect", message);
}

/// PostgreSQL manual, appendix A: the first two characters of an SQLSTATE are its class.
Outcome explain_query(const std::string& what, const std::string& state, std::string_view said) {
  std::string message =
      what + ": " + first_line(said) + " (SQLSTATE " + (state.empty() ? "none" : state) + ")";
  std::string its_class = state.substr(0, 2);
  if (state == "57014")
    return Outcome::failed("timeout", message);  // the server's statement_timeout
  if (state == "57P03") return Outcome::failed("starting", message);
  if (state == "53300") return Outcome::failed("too_many_connections", message);
  if (state == "3D000") return Outcome::failed("no_such_database", message, Outcome::kHard);
  if (its_class == "28") return Outcome::failed("auth", message, Outcome::kHard);
  // Syntax, missing tables, missing rights: asking again will not help.
  bool is_wrong_in_itself = its_class == "42" || its_class == "3F";
  return Outcome::failed("query", message, is_wrong_in_itself);
}

struct Postgres final : Probe {
  Postgres(net::PostgresDsn dsn, std::string query)
      : dsn_(std::move(dsn)), query_(std::move(query)), name_("postgres " + dsn_.where()) {}

  Outcome run(const ProbeContext& ctx) override {
    Time start = machine_clock().now();
    bool was_kept = connection_ != nullptr;
    Outcome seen = attempt(ctx);
    // A kept connection that the server closed in the meantime says nothing about the server.
    if (was_kept && seen.reason == "closed" && !ctx.deadline.expired()) seen = attempt(ctx);
    return std::move(seen).measured(seconds(machine_clock().now() - start), "s");
  }

 private:
  Outcome attempt(const ProbeContext& ctx) {
    if (!connection_) {
      if (std::optional<Outcome> trouble = connect(ctx)) return *trouble;
    }
    Outcome seen;
    bool is_usable;
    {
      // On a descriptor of our own: libpq closes its own when a connection breaks.
      net::Socket second = net::Socket::duplicate_of(connection_->sock());
      if (!second) return Outcome::unable("resources", name_ + ": no descriptors left");
      net::Watchdog::Guard guard(ctx.net.watchdog, ctx.deadline, second.fd());
      seen = ask(guard, ctx.deadline);
      is_usable = connection_->is_open() && !guard.fired();
    }
    if (!is_usable) connection_.reset();
    return seen;
  }

  /// Tries the host's addresses in turn, each with its share of the time.
  std::optional<Outcome> connect(const ProbeContext& ctx) {
    Deadline deadline = ctx.deadline;
    net::PostgresDsn dsn = dsn_;
    std::vector<std::string> addresses = {""};
    if (dsn.is_tcp() && !dsn.has("hostaddr")) {
      Result<std::vector<std::string>> found =
          ctx.net.resolver.resolve(dsn.get("host"), ctx.deadline);
      if (!found) return Outcome::failed("resolve", name_ + ": " + found.error().what);
      addresses = *found;
    }

    Outcome last = Outcome::failed("timeout", name_ + ": no time left to connect");
    for (std::size_t i = 0; i < addresses.size() && !deadline.expired(); ++i) {
      if (!addresses[i].empty()) dsn.settings["hostaddr"] = addresses[i];
      auto still_to_try = static_cast<Duration::rep>(addresses.size() - i);
      auto share = std::chrono::ceil<std::chrono::seconds>(deadline.left() / still_to_try);
      dsn.settings["connect_timeout"] =
          std::to_string(std::max<long>(1, share.count()));  // 0 = for ever
      try {
        connection_ = std::make_unique<pqxx::connection>(dsn.conninfo());
        return std::nullopt;
      } catch (const std::exception& e) {
        last = explain_connect(name_, e.what());
      }
      bool is_about_address =
          last.reason == "refused" || last.reason == "timeout" || last.reason == "unreachable";
      if (!is_about_address) break;
    }
    return last;
  }

  Outcome ask(const net::Watchdog::Guard& guard, Deadline deadline) {
    // A server does not notice that its client has gone while it works: without a limit of its own,
    // each run would leave one more query behind. In one message, hence one transaction, so that
    // the setting ends with it, also behind PgBouncer. A bit earlier than our guard, so that the
    // session survives.
    long long limit_ms = std::max<long long>(1, deadline.left_ms().count() * 9 / 10);
    std::string message = fmt::format("SET LOCAL statement_timeout = {}; {}", limit_ms, query_);
    std::string state;
    std::string said;
    try {
      pqxx::nontransaction work(*connection_);
      work.exec(message);
      return Outcome::passed();
    } catch (const pqxx::sql_error& e) {
      state = e.sqlstate();
      said = e.what();
    } catch (const std::exception& e) {
      said = e.what();
    }
    if (guard.fired())
      return Outcome::failed("timeout", name_ + ": no answer to the query in time");
    if (!connection_->is_open()) return Outcome::failed("closed", name_ + ": " + first_line(said));
    return explain_query(name_, state, said);
  }

  const net::PostgresDsn dsn_;
  const std::string query_;
  const std::string name_;
  std::unique_ptr<pqxx::connection> connection_;
};

}  // namespace

extern const ProbeKind postgres{
    .name = "postgres",
    .summary = "A PostgreSQL server answers a query.",
    .reach = ProbeKind::Reach::Remote,
    .options =
        {
            {"dsn", OptionType::Secret, kRequired, "",
             "postgresql://user:password@host/database or \"host=... user=...\"; one host"},
            {"query", OptionType::Text, kOptional, "SELECT 1",
             "must succeed, in a transaction; its rows are not looked at"},
        },
    .example = "{ dsn: \"postgresql://app@127.0.0.1/shop\" }",
    .make = [](const Options& options) -> Result<std::unique_ptr<Probe>> {
      Result<net::PostgresDsn> dsn = net::parse_postgres_dsn(options.text("dsn"));
      if (!dsn) return Error{dsn.error().what, "dsn"};
      dsn->set_default("application_name", "davy");
      dsn->set_default("gssencmode", "disable");  // saves a round trip and a search for tickets
      return std::unique_ptr<Probe>(new Postgres(*dsn, options.text("query")));
    },
};

}  // namespace davy::probe
