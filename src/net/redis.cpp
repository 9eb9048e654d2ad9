#include "net/redis.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#ifdef DAVY_REDIS_TLS
#include <arpa/inet.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "base/units.h"
#include "net/means.h"
#include "net/uri.h"

namespace davy::net {
namespace {

constexpr bool kHard = true;
constexpr int kPort = 6379;
constexpr std::size_t kMostAnswer = 16 << 20;  // bytes
constexpr std::size_t kHead = 512;             // of an answer that was too large

struct FreeContext {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Context = std::unique_ptr<redisContext, FreeContext>;
using Reply = std::unique_ptr<redisReply, FreeReply>;

std::optional<int> parse_database(std::string_view s) {
  int number = -1;
  auto [end, code] = std::from_chars(s.data(), s.data() + s.size(), number);
  bool is_number = code == std::errc() && end == s.data() + s.size() && number >= 0;
  return is_number ? std::optional(number) : std::nullopt;
}

/// An answer must not make us reserve memory for a hundred million elements (hiredis 1.x can be
/// told).
template <typename Reader>
void limit_elements(Reader& reader) {
  if constexpr (requires { reader.maxelements; }) reader.maxelements = 65536;
}

/// What an error reply means, by its first word.
struct Meaning {
  std::string_view code;
  const char* reason;
  bool hard = false;
};
constexpr Meaning kMeanings[] = {
    {"NOAUTH", "auth", kHard},
    {"WRONGPASS", "auth", kHard},
    {"DENIED", "auth", kHard},  // protected mode
    {"-DENIED", "auth", kHard},
    {"NOPERM", "permission", kHard},
    // These pass by themselves: a restart that reads its data, a long script, a lost primary.
    {"LOADING", "loading"},
    {"BUSY", "busy"},
    {"MASTERDOWN", "masterdown"},
    {"CLUSTERDOWN", "clusterdown"},
    {"TRYAGAIN", "tryagain"},
    // It answers, and takes no writes.
    {"MISCONF", "misconf"},
    {"OOM", "out_of_memory"},
    {"READONLY", "read_only"},
    {"NOREPLICAS", "no_replicas"},
    // In a cluster, but the key is elsewhere: the name of a key is wrong for this node.
    {"MOVED", "moved", kHard},
};
/// Those whose first word is ERR.
constexpr Meaning kOfErr[] = {
    {"invalid password", "auth", kHard},                 // before Redis 6
    {"no password is set", "auth", kHard},               // before Redis 6
    {"without any password configured", "auth", kHard},  // Redis 6
    {"DB index", "database", kHard},
    {"SELECT is not allowed in cluster mode", "database", kHard},
    {"max number of clients", "too_many_connections"},
    {"unknown command", "unknown_command", kHard},
};

RedisError explain(const std::string& what, std::string_view said) {
  std::string code(said.substr(0, said.find(' ')));
  RedisError error{"error", what + ": " + text::quoted(said, 160), false, false, code};
  auto use = [&](const Meaning& meaning) {
    error.reason = meaning.reason;
    error.hard = meaning.hard;
  };
  for (const Meaning& meaning : kMeanings) {
    if (code == meaning.code) use(meaning);
  }
  for (const Meaning& meaning : kOfErr) {
    if (code == "ERR" && said.find(meaning.code) != std::string_view::npos) use(meaning);
  }
  return error;
}

RedisReply value_of(const redisReply& reply) {
  RedisReply out;
  switch (reply.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:  // inside a list
      out.kind = RedisReply::Kind::Text;
      out.text.assign(reply.str, reply.len);
      break;
    case REDIS_REPLY_INTEGER:
      out.kind = RedisReply::Kind::Integer;
      out.integer = reply.integer;
      break;
    case REDIS_REPLY_ARRAY:
      out.kind = RedisReply::Kind::List;
      for (std::size_t i = 0; i < reply.elements; ++i)
        out.items.push_back(value_of(*reply.element[i]));
      break;
    default: break;
  }
  return out;
}

/// What came back: an answer, or why there is none.
struct Received {
  Reply reply;                // null: see the context's error, or
  bool is_too_large = false;  // it was given up
  std::string head;           // its first bytes, when it was
};

/// As redisCommandArgv, but one who may write to a Redis must not fill our memory.
Received ask_bounded(redisContext& c, const std::vector<std::string>& words) {
  std::vector<const char*> argv;
  std::vector<std::size_t> sizes;
  for (const std::string& word : words) {
    argv.push_back(word.data());
    sizes.push_back(word.size());
  }
  Received received;
  if (redisAppendCommandArgv(&c, static_cast<int>(argv.size()), argv.data(), sizes.data()) !=
      REDIS_OK)
    return received;
  for (int is_written = 0; is_written == 0;) {
    if (redisBufferWrite(&c, &is_written) != REDIS_OK) return received;
  }
  std::size_t total = 0;
  while (true) {
    void* reply = nullptr;
    if (redisGetReplyFromReader(&c, &reply) != REDIS_OK) return received;
    received.reply.reset(static_cast<redisReply*>(reply));
    if (received.reply != nullptr) return received;
    std::size_t before = c.reader->len;
    if (redisBufferRead(&c) != REDIS_OK) return received;
    if (total == 0) received.head.assign(c.reader->buf, std::min(c.reader->len, kHead));
    total += c.reader->len - std::min(before, c.reader->len);
    received.is_too_large = total > kMostAnswer;
    if (received.is_too_large) return received;
  }
}

std::variant<Socket, RedisError> connect_unix(const std::string& path, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());  // its length is checked when read
  Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return RedisError{"resources", name + ": no descriptors left", false, true};
  // A full queue of a stopped server is EAGAIN at once instead of for ever.
  timeval soon{0, 100000};
  setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
  if (::connect(socket.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
    return socket;
  const char* reason = errno == EAGAIN ? "timeout" : errno == EACCES ? "permission" : "refused";
  return RedisError{reason, name + ": connect: " + std::system_category().message(errno),
                    errno == EACCES};
}

}  // namespace

std::string RedisTarget::where() const {
  return socket.empty() ? at.text() : socket;
}

bool redis_has_tls() {
#ifdef DAVY_REDIS_TLS
  return true;
#else
  return false;
#endif
}

Result<RedisTarget> parse_redis_url(std::string_view url) {
  auto wrong = [](const std::string& why) {
    return Error{"not a Redis URL (try redis://host:6379/0): it " + why, "url"};
  };
  Result<Uri> uri = parse_uri(url);
  if (!uri) return wrong(uri.error().what);
  bool is_unix = uri->scheme == "unix";
  if (uri->scheme == "rediss" && !redis_has_tls())
    return Error{
        "rediss:// (Redis over TLS) needs hiredis 1.0, and this build has an older one "
        "(Debian 13 has 1.2)",
        "url"};
  if (!is_unix && uri->scheme != "redis" && uri->scheme != "rediss")
    return wrong("does not start with redis://, rediss:// or unix://");

  RedisTarget target;
  target.is_tls = uri->scheme == "rediss";
  target.user = uri->user.value_or("");
  target.password = uri->password.value_or("");
  std::string_view database;
  if (is_unix) {
    std::optional<std::string> path = percent_decoded(uri->path);
    if (!uri->host.empty() || !path || path->size() < 2)
      return wrong("names no path of a socket (try unix:///run/redis.sock)");
    if (path->size() >= sizeof(sockaddr_un::sun_path))
      return wrong("has a path that is too long for a socket");
    target.socket = *path;
    database = uri->query;
    if (database.starts_with("db=")) {
      database.remove_prefix(3);
    } else if (!database.empty()) {
      return wrong("has a query after the ? that is not db=NUMBER");
    }
  } else {
    if (uri->host.empty()) return wrong("names no host");
    if (!uri->query.empty()) return wrong("has a query after the ?, which is not supported");
    target.at = {uri->host, uri->port == 0 ? kPort : uri->port};
    if (uri->path.size() > 1) database = std::string_view(uri->path).substr(1);
  }
  if (!database.empty()) {
    std::optional<int> number = parse_database(database);
    if (!number) return wrong("names a database that is not a number");
    target.database = *number;
  }
  return target;
}

struct RedisClient::Connection {
  Context context;
};

RedisClient::RedisClient(RedisTarget target)
    : target_(std::move(target)), name_("redis " + target_.where()) {}

RedisClient::RedisClient(RedisClient&&) noexcept = default;
RedisClient::~RedisClient() = default;

std::optional<RedisError> RedisClient::begin(const Call& call) {
  is_kept_ = connection_ != nullptr;
  return is_kept_ ? std::nullopt : connect(call);
}

std::optional<RedisError> RedisClient::connect(const Call& call) {
  Socket socket;
  if (!target_.socket.empty()) {
    Step step(call, "connect");
    std::variant<Socket, RedisError> made = connect_unix(target_.socket, name_);
    if (auto* error = std::get_if<RedisError>(&made)) return *error;
    socket = std::move(std::get<Socket>(made));
  } else {
    std::variant<Socket, ConnectError> made = connect_tcp(target_.at, call);
    if (auto* error = std::get_if<ConnectError>(&made)) {
      bool is_ours = error->kind == ConnectFailure::Resources;
      return RedisError{std::string(word(error->kind)), error->what, false, is_ours};
    }
    socket = std::move(std::get<Socket>(made));
  }
  Context context(redisConnectFd(socket.fd()));
  if (context == nullptr) return RedisError{"resources", name_ + ": out of memory", false, true};
  socket.release();  // redisFree closes it
  limit_elements(*context->reader);
  connection_ = std::make_unique<Connection>(Connection{std::move(context)});
  ++connections_;
  std::optional<RedisError> trouble;
  if (target_.is_tls) trouble = start_tls(call);
  if (!trouble) trouble = log_in(call);
  if (trouble) connection_.reset();
  return trouble;
}

std::optional<RedisError> RedisClient::log_in(const Call& call) {
  std::vector<std::vector<std::string>> steps;
  if (!target_.password.empty()) {
    std::vector<std::string> auth = {"AUTH", target_.user, target_.password};
    if (target_.user.empty()) auth.erase(auth.begin() + 1);  // before Redis 6 there are no users
    steps.push_back(auth);
  }
  if (target_.database != 0) steps.push_back({"SELECT", std::to_string(target_.database)});
  for (const std::vector<std::string>& words : steps) {
    RedisAnswer answer = ask(words, call);
    if (auto* error = std::get_if<RedisError>(&answer)) return *error;
    if (std::get<RedisReply>(answer).text != "OK")
      return RedisError{"protocol", name_ + ": " + words.front() + ": expected \"OK\", got " +
                                        text::quoted(std::get<RedisReply>(answer).text)};
  }
  return std::nullopt;
}

#ifdef DAVY_REDIS_TLS
/// hiredis' own context does not check the certificate's name, so the session is made here.
std::optional<RedisError> RedisClient::start_tls(const Call& call) {
  Step step(call, "tls");
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                            &SSL_CTX_free);
  SSL* session = context ? SSL_new(context.get()) : nullptr;
  if (session == nullptr) return RedisError{"resources", name_ + ": out of memory", false, true};
  SSL_CTX_set_default_verify_paths(context.get());
  SSL_set_verify(session, SSL_VERIFY_PEER, nullptr);
  const std::string& host = target_.at.host;
  unsigned char number[sizeof(in6_addr)];
  if (inet_pton(AF_INET, host.c_str(), number) == 1 ||
      inet_pton(AF_INET6, host.c_str(), number) == 1) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host.c_str());
  } else {
    SSL_set1_host(session, host.c_str());
    SSL_set_tlsext_host_name(session, host.c_str());
  }
  redisContext& c = *connection_->context;
  Watchdog::Guard guard(call.net.watchdog, call.deadline, c.fd);
  ERR_clear_error();
  if (redisInitiateSSL(&c, session) == REDIS_OK) return std::nullopt;  // now it owns the session
  SSL_free(session);
  if (guard.fired()) return RedisError{"timeout", name_ + ": TLS: no handshake in time"};
  return RedisError{"tls", name_ + ": TLS: " + text::quoted(c.errstr, 160)};
}
#else
std::optional<RedisError> RedisClient::start_tls(const Call&) {
  return RedisError{"tls", name_ + ": this build has no TLS for Redis", true};
}
#endif

RedisAnswer RedisClient::command(const std::vector<std::string>& words, const Call& call) {
  RedisAnswer answer = ask(words, call);
  const auto* error = std::get_if<RedisError>(&answer);
  bool was_closed = error != nullptr && error->reason == "closed";
  if (!was_closed || !std::exchange(is_kept_, false) || call.deadline.expired()) return answer;
  if (std::optional<RedisError> trouble = connect(call)) return *trouble;
  return ask(words, call);
}

RedisAnswer RedisClient::ask(const std::vector<std::string>& words, const Call& call) {
  if (connection_ == nullptr)
    return RedisError{"closed", name_ + ": " + words.front() + ": the connection is gone"};
  bool is_usable = false;
  RedisAnswer answer = exchange(words, call, is_usable);
  if (!is_usable) connection_.reset();
  return answer;
}

RedisAnswer RedisClient::exchange(const std::vector<std::string>& words, const Call& call,
                                  bool& is_usable) {
  const std::string& verb = words.front();  // never more of it: AUTH holds the password
  const std::string what = name_ + ": " + verb;
  Step step(call, verb);
  redisContext& c = *connection_->context;
  Watchdog::Guard guard(call.net.watchdog, call.deadline, c.fd);
  // A second line of defence: the guard ends what drips, this ends what is silent.
  auto left = std::chrono::duration_cast<std::chrono::microseconds>(call.deadline.left_ms());
  redisSetTimeout(&c, timeval{left.count() / 1000000, left.count() % 1000000});

  Received received = ask_bounded(c, words);
  const Reply& reply = received.reply;
  is_usable = reply != nullptr && c.err == 0 && !guard.fired();
  if (reply != nullptr && reply->type == REDIS_REPLY_ERROR) {
    RedisError error = explain(what, {reply->str, reply->len});
    // After a failover the name may lead elsewhere; the old primary's connection does not.
    for (const char* reason : {"auth", "too_many_connections", "read_only"})
      is_usable = is_usable && error.reason != reason;
    step.note(error.reason);
    return error;
  }
  if (reply != nullptr) return value_of(*reply);
  if (received.is_too_large) {
    RedisError error{"too_large", fmt::format("{}: an answer of more than {}", what,
                                              units::show_bytes(kMostAnswer))};
    error.head = std::move(received.head);
    step.note(error.reason);
    return error;
  }

  // The connection failed under the command, and hiredis cannot go on after that, not even after a
  // time-out. It has errno's text only: "Resource temporarily unavailable" is its timeout.
  std::string said = c.errstr;
  bool is_late = guard.fired() || said.find("temporarily unavailable") != std::string::npos;
  RedisError error{"closed", what + ": " + said};
  if (is_late) {
    error = {"timeout", what + ": no answer in time"};
  } else if (c.err == REDIS_ERR_PROTOCOL) {
    error = {"protocol", what + ": not a Redis answer: " + said};
  }
  step.note(error.reason);
  return error;
}

}  // namespace davy::net
