#include "net/postgres.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <pqxx/connection>
#include <pqxx/dbtransaction>
#include <pqxx/except>
#include <pqxx/largeobject>
#include <pqxx/nontransaction>
#include <pqxx/result>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "net/lazy_libpq.h"
#include "net/means.h"
#include "net/socket.h"

namespace davy::net {
namespace {

constexpr bool kHard = true;
constexpr std::size_t kMostRows = 65536;

/// PostgreSQL manual, appendix A: the first two characters of an SQLSTATE are its class. The first
/// line that fits is meant.
struct Meaning {
  std::string_view state;  // or the beginning of one
  const char* reason;
  bool hard = false;
};
constexpr Meaning kMeanings[] = {
    {"28", "auth", kHard},
    {"3D000", "no_such_database", kHard},
    {"53300", "too_many_connections"},
    {"53100", "disk_full"},
    {"53", "resources_of_server"},
    {"57P03", "starting"},
    {"57P05", "closed"},  // idle_session_timeout
    {"57P", "stopping"},
    {"57014", "timeout"},  // the server's statement_timeout
    {"55P03", "lock_timeout"},
    {"25006", "read_only", kHard},
    {"40", "conflict"},
    {"42501", "permission", kHard},
    // Syntax, missing tables: wrong in itself.
    {"42", "query", kHard},
    {"3F", "query", kHard},
    {"58", "io"},
    {"XX001", "corrupt", kHard},
    {"XX002", "corrupt", kHard},
};

/// What libpq (whose words are English, because nothing of ours sets a locale) and PgBouncer (whose
/// errors nearly all have the SQLSTATE 08P01) say.
struct Words {
  std::string_view text;
  const char* reason;
  bool hard = false;
};
constexpr Words kOfPooler[] = {
    {"server login has been failing", "backend_down"},
    {"pgbouncer cannot connect to server", "backend_down"},
    {"client_login_timeout (server down)", "backend_down"},
    {"server conn crashed", "backend_down"},
    // Its server is down, or all its connections are taken: the two look the same from here.
    {"query_wait_timeout", "pool_full"},
    {"no more connections allowed", "too_many_connections"},
    {"no such user", "auth", kHard},
    {"no such database", "no_such_database", kHard},
    {"is disabled", "disabled", kHard},
    {"bouncer config error", "settings", kHard},
    {"unsupported startup parameter", "settings", kHard},
    {"pooler is shutting down", "stopping"},
};
constexpr Words kOfLibpq[] = {
    {"Connection refused", "refused"},
    {"No such file or directory", "refused"},  // a Unix socket
    {"timeout expired", "timeout"},
    {"Connection timed out", "timeout"},
    {"could not translate host name", "resolve"},
    {"No route to host", "unreachable"},
    {"unreachable", "unreachable"},
    {"no password supplied", "auth", kHard},
    {"invalid connection option", "settings", kHard},
    {"invalid sslmode", "settings", kHard},
    {"invalid response to SSL negotiation", "protocol"},
    {"expected authentication request", "protocol"},
    {"server closed the connection", "closed"},
    {"Connection reset", "closed"},
};
/// Such words occur in the server's own messages too: they count only when its SQLSTATE says
/// nothing.
constexpr Words kOfNobody[] = {
    {"authentication failed", "auth", kHard},  // PgBouncer
    {"certificate", "tls"},
    {"SSL", "tls"},
};

template <std::size_t N>
const Words* find_words(const Words (&table)[N], std::string_view said) {
  const Words* found = std::find_if(std::begin(table), std::end(table), [&](const Words& words) {
    return said.find(words.text) != std::string_view::npos;
  });
  return found == std::end(table) ? nullptr : found;
}

const Meaning* meaning_of(std::string_view state) {
  const Meaning* found =
      std::find_if(std::begin(kMeanings), std::end(kMeanings),
                   [&](const Meaning& meaning) { return state.starts_with(meaning.state); });
  return state.empty() || found == std::end(kMeanings) ? nullptr : found;
}

/// The first line; the others repeat the query or ask whether the server is running.
std::string first_line(std::string_view s) {
  return text::valid_utf8(text::trim(s.substr(0, s.find('\n'))));
}

std::string with_state(std::string_view said, const std::string& state) {
  return first_line(said) + " (SQLSTATE " + (state.empty() ? "none" : state) + ")";
}

/// The code in "FATAL:  28P01: password authentication failed ...", which is the verbose form of
/// libpq's messages in every language.
std::string state_in(std::string_view said) {
  auto is_code = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); };
  constexpr std::size_t kLength = 5;
  for (std::size_t at = said.find(":  "); at != std::string_view::npos;
       at = said.find(":  ", at + 1)) {
    std::string_view code = said.substr(at + 3, kLength);
    bool is_state = code.size() == kLength && std::all_of(code.begin(), code.end(), is_code) &&
                    said.substr(at + 3 + kLength, 2) == ": ";
    if (is_state) return std::string(code);
  }
  return "";
}

/// Connects once more to hear why the server refused: libpqxx has its answer only as a text in the
/// server's language. "" when it does not say in time, or lets us in this time.
std::string ask_why(const PostgresDsn& dsn, Deadline deadline) {
  std::unique_ptr<PGconn, decltype(&PQfinish)> c(PQconnectStart(dsn.conninfo().c_str()), &PQfinish);
  if (c == nullptr || PQstatus(c.get()) == CONNECTION_BAD) return "";
  PQsetErrorVerbosity(c.get(), PQERRORS_VERBOSE);
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (next == PGRES_POLLING_WRITING || next == PGRES_POLLING_READING) {
    auto wanted = static_cast<short>(next == PGRES_POLLING_READING ? POLLIN : POLLOUT);
    pollfd socket{PQsocket(c.get()), wanted, 0};
    if (deadline.expired()) return "";
    int ready = poll(&socket, 1, static_cast<int>(deadline.left_ms().count()));
    if (ready == 0 || (ready < 0 && errno != EINTR)) return "";
    if (ready > 0) next = PQconnectPoll(c.get());
  }
  return next == PGRES_POLLING_FAILED ? state_in(PQerrorMessage(c.get())) : "";
}

/// libpqxx 6.4 knows the SQLSTATE of these, but does not hand it on.
std::string state_of(const std::exception& e) {
  if (const auto* sql = dynamic_cast<const pqxx::sql_error*>(&e); sql && !sql->sqlstate().empty())
    return sql->sqlstate();
  if (dynamic_cast<const pqxx::insufficient_privilege*>(&e) != nullptr) return "42501";
  if (dynamic_cast<const pqxx::undefined_table*>(&e) != nullptr) return "42P01";
  if (dynamic_cast<const pqxx::transaction_rollback*>(&e) != nullptr) return "40001";
  return "";
}

/// The way to libpq's own connection that libpqxx leaves to heirs: its large objects, and a
/// transaction that never begins.
struct Raw : pqxx::largeobject {
  using pqxx::largeobject::raw_connection;
};
struct Idle final : pqxx::dbtransaction {
#if PQXX_VERSION_MAJOR < 7
  explicit Idle(pqxx::connection& connection)
      : pqxx::internal::namedclass("idle"), dbtransaction(connection) {}
  ~Idle() override {
    End();
  }
#else
  explicit Idle(pqxx::connection& connection) : dbtransaction(connection) {}
  ~Idle() override {
    close();
  }
#endif

 private:
  void do_commit() override {}
};

PGconn* raw_connection_of(pqxx::connection& connection) {
  Idle idle(connection);
  return Raw::raw_connection(idle);
}

PostgresRows rows_of(const pqxx::result& result) {
  PostgresRows rows;
  for (const auto& row : result) {
    if (rows.size() == kMostRows) break;
    PostgresRow& out = rows.emplace_back();
    for (const auto& field : row) {
      out.push_back(field.is_null() ? std::nullopt : std::optional<std::string>(field.c_str()));
    }
  }
  return rows;
}

}  // namespace

struct PostgresClient::Session {
  explicit Session(const std::string& conninfo)
      : connection(conninfo), raw(raw_connection_of(connection)) {}
  /// What the server said before it closed the connection. libpqxx loses it: it asks the closed
  /// connection for its encoding first, and reports that this failed.
  std::string last_words() const { return PQerrorMessage(raw); }

  pqxx::connection connection;
  PGconn* raw;  // the connection's
  Time made = machine_clock().now();
};

PostgresClient::PostgresClient(PostgresDsn dsn, Duration renew_every)
    : dsn_([&] {
        dsn.set_default("application_name", "davy");
        dsn.set_default("gssencmode", "disable");  // saves a round trip and a search for tickets
        return std::move(dsn);
      }()),
      renew_every_(renew_every),
      name_("postgres " + dsn_.where()) {}

PostgresClient::~PostgresClient() = default;

int PostgresClient::server_version() const {
  return session_ ? session_->connection.server_version() : 0;
}

/// The new session is made before the old one is given up: at the server's limit we would not get
/// in again, and could not say any more how full it is.
std::optional<PostgresError> PostgresClient::begin(const Call& call) {
  is_kept_ = session_ != nullptr;
  bool is_due = is_kept_ && machine_clock().now() - session_->made >= renew_every_;
  crowded_.reset();
  if (is_kept_ && !is_due) return std::nullopt;
  std::optional<PostgresError> trouble = connect(call);
  if (!trouble) {
    is_kept_ = false;
  } else if (is_kept_ && trouble->reason == "too_many_connections") {
    crowded_ = std::move(trouble);
    return std::nullopt;
  } else {
    session_.reset();
  }
  return trouble;
}

/// Tries the host's addresses in turn, each with its share of the time.
std::optional<PostgresError> PostgresClient::connect(const Call& call) {
  if (Result<Done> loaded = load_libpq(call); !loaded)
    return PostgresError{"no_libpq", name_ + ": " + loaded.error().what, false, true};
  PostgresDsn dsn = dsn_;
  std::vector<std::string> addresses = {""};
  if (dsn.is_tcp() && !dsn.has("hostaddr")) {
    Step step(call, "resolve");
    Result<std::vector<std::string>> found =
        call.net.resolver.resolve(dsn.get("host"), call.deadline);
    if (!found) return PostgresError{"resolve", name_ + ": " + found.error().what};
    addresses = *found;
  }

  Step step(call, "connect");
  PostgresError last{"timeout", name_ + ": no time left to connect"};
  for (std::size_t i = 0; i < addresses.size() && !call.deadline.expired(); ++i) {
    if (!addresses[i].empty()) dsn.settings["hostaddr"] = addresses[i];
    auto still_to_try = static_cast<Duration::rep>(addresses.size() - i);
    auto share = std::chrono::ceil<std::chrono::seconds>(call.deadline.left() / still_to_try);
    dsn.settings["connect_timeout"] =
        std::to_string(std::max<long>(1, share.count()));  // 0 = for ever
    std::optional<PostgresError> trouble = connect_to(dsn, call.deadline);
    if (!trouble) return std::nullopt;
    last = std::move(*trouble);
    step.note(last.reason);
    bool is_about_address =
        last.reason == "refused" || last.reason == "timeout" || last.reason == "unreachable";
    if (!is_about_address) break;
  }
  return last;
}

std::optional<PostgresError> PostgresClient::connect_to(const PostgresDsn& dsn, Deadline deadline) {
  std::string said;
  try {
    session_ = std::make_unique<Session>(dsn.conninfo());
    return std::nullopt;
  } catch (const std::exception& e) {
    said = e.what();
  }
  auto error = [&](const char* reason, bool hard) {
    return PostgresError{reason, name_ + ": " + first_line(said), hard};
  };
  if (said.find("Too many open files") != std::string::npos)
    return PostgresError{"resources", name_ + ": " + first_line(said), false, true};
  if (const Words* words = find_words(kOfLibpq, said)) return error(words->reason, words->hard);
  if (const Words* words = find_words(kOfPooler, said)) return error(words->reason, words->hard);

  std::string state = ask_why(dsn, deadline);
  PostgresError trouble = error("connect", false);
  if (!state.empty()) trouble.what = name_ + ": " + with_state(said, state);
  trouble.state = state;
  // 57P03 is both ends of a server's life; in other languages than English it reads as "starting".
  bool is_end = state == "57P03" && said.find("shutting down") != std::string::npos;
  if (const Meaning* meaning = meaning_of(is_end ? "57P01" : state)) {
    trouble.reason = meaning->reason;
    trouble.hard = meaning->hard;
  } else if (const Words* words = find_words(kOfNobody, said)) {
    trouble.reason = words->reason;
    trouble.hard = words->hard;
  }
  return trouble;
}

std::variant<PostgresRows, PostgresError> PostgresClient::query(const std::string& sql,
                                                                const Call& call) {
  std::variant<PostgresRows, PostgresError> answer = ask(sql, call);
  const auto* error = std::get_if<PostgresError>(&answer);
  bool was_closed = error != nullptr && error->reason == "closed";
  if (!was_closed || !std::exchange(is_kept_, false) || call.deadline.expired()) return answer;
  if (std::optional<PostgresError> trouble = connect(call)) return *trouble;
  return ask(sql, call);
}

std::variant<PostgresRows, PostgresError> PostgresClient::ask(const std::string& sql,
                                                              const Call& call) {
  if (!session_) return PostgresError{"closed", name_ + ": the connection is gone"};
  Step step(call, "query");
  pqxx::connection& connection = session_->connection;
  // On a descriptor of our own: libpq closes its own when a connection breaks.
  Socket second = Socket::duplicate_of(connection.sock());
  if (!second && connection.is_open())
    return PostgresError{"resources", name_ + ": no descriptors left", false, true};
  Watchdog::Guard guard(call.net.watchdog, call.deadline, second.fd());

  // A server does not notice that its client has gone while it works: without a limit of its own,
  // each run would leave one more query behind. A bit earlier than our guard, so that the session
  // survives.
  long long limit_ms = std::max<long long>(1, call.deadline.left_ms().count() * 9 / 10);
  std::string state;
  std::string said;
  std::string last_words;
  try {
    pqxx::nontransaction work(connection);
    try {
      return rows_of(work.exec(fmt::format("SET LOCAL statement_timeout = {}; {}", limit_ms, sql)));
    } catch (...) {
      last_words = session_->last_words();  // before the transaction's end asks the dead connection
      throw;
    }
  } catch (const std::exception& e) {
    state = state_of(e);
    said = e.what();
  }

  bool is_open = connection.is_open();
  if (!is_open && !last_words.empty()) said = last_words;
  if (!is_open || guard.fired()) session_.reset();
  if (guard.fired()) return PostgresError{"timeout", name_ + ": no answer to the query in time"};
  if (const Words* words = find_words(kOfPooler, said); words != nullptr && !meaning_of(state))
    return PostgresError{words->reason, name_ + ": " + first_line(said), words->hard, false, state};
  if (!is_open) return PostgresError{"closed", name_ + ": " + first_line(said)};
  const Meaning* meaning = meaning_of(state);
  return PostgresError{meaning != nullptr ? meaning->reason : "query",
                       name_ + ": " + with_state(said, state), meaning != nullptr && meaning->hard,
                       false, state};
}

}  // namespace davy::net
