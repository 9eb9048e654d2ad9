// DNS: a name has the expected addresses, at the servers one names or as this system sees it.
//
// Each named server is asked directly, over UDP, with one repetition; every one of them must answer
// well. NXDOMAIN, SERVFAIL and silence are different things and have different reasons. Without
// servers the system's own way is asked (files, search domains and all).
// Never blocks past its deadline. Messages are made and read by libc's resolver library (RFC 1035).

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <poll.h>
#include <resolv.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "base/text.h"
#include "davy/probe.h"
#include "net/means.h"
#include "net/socket.h"

namespace davy::probe {
namespace {

constexpr int kLargestMessage = 4096;
constexpr int kTries = 2;

struct RecordType {
  std::string_view name;
  int number;
};
constexpr RecordType kTypes[] = {{"A", ns_t_a},    {"AAAA", ns_t_aaaa}, {"CNAME", ns_t_cname},
                                 {"MX", ns_t_mx},  {"NS", ns_t_ns},     {"TXT", ns_t_txt},
                                 {"SRV", ns_t_srv}};

struct Settings {
  std::string name;
  RecordType type;
  std::vector<net::Endpoint> servers;
  std::size_t min_answers = 1;
  std::set<std::string> expected;  // all of these, and nothing else
};

/// What one server said: the answers, or why there are none.
struct Answers {
  std::set<std::string> records;
  std::string reason;  // "" = it answered well
  std::string message;
  bool hard = false;
};

Answers failed(std::string reason, std::string message, bool hard = false) {
  return {{}, std::move(reason), std::move(message), hard};
}

/// One record as text; "" = of another type.
std::string record_text(ns_msg& message, const ns_rr& record, int type) {
  if (static_cast<int>(ns_rr_type(record)) != type) return "";
  const unsigned char* data = ns_rr_rdata(record);
  std::size_t size = ns_rr_rdlen(record);
  char text[NS_MAXDNAME] = "";
  auto name_at = [&](std::size_t offset) -> std::string {
    if (size <= offset) return "";
    int n = dn_expand(ns_msg_base(message), ns_msg_end(message), data + offset, text, sizeof text);
    return n < 0 ? "" : text;
  };
  switch (type) {
    case ns_t_a: return size == 4 ? inet_ntop(AF_INET, data, text, sizeof text) : "";
    case ns_t_aaaa: return size == 16 ? inet_ntop(AF_INET6, data, text, sizeof text) : "";
    case ns_t_cname:
    case ns_t_ns: return name_at(0);
    case ns_t_mx: return name_at(2);
    case ns_t_srv: return size > 6 ? fmt::format("{}:{}", name_at(6), ns_get16(data + 4)) : "";
    case ns_t_txt:
      return size > 1 && data[0] < size
                 ? text::valid_utf8({reinterpret_cast<const char*>(data + 1), data[0]})
                 : "";
    default: return "";
  }
}

/// A server's message, taken apart. Nothing when it is not an answer to our question.
std::optional<Answers> understand(const unsigned char* bytes, int size, std::uint16_t id,
                                  const Settings& asked, const std::string& server) {
  ns_msg message{};
  if (ns_initparse(bytes, size, &message) != 0) return std::nullopt;
  if (ns_msg_id(message) != id || ns_msg_getflag(message, ns_f_qr) == 0) return std::nullopt;
  std::string what = fmt::format("{} says of {} {}: ", server, asked.type.name, asked.name);
  switch (ns_msg_getflag(message, ns_f_rcode)) {
    case ns_r_noerror: break;
    case ns_r_nxdomain: return failed("nxdomain", what + "there is no such name", true);
    case ns_r_servfail: return failed("servfail", what + "SERVFAIL (it could not find out)");
    case ns_r_refused: return failed("denied", what + "REFUSED (it does not answer us)", true);
    default:
      return failed("rcode", fmt::format("{}RCODE {}", what, ns_msg_getflag(message, ns_f_rcode)));
  }
  Answers out;
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    ns_rr record{};
    if (ns_parserr(&message, ns_s_an, i, &record) != 0)
      return failed("protocol", what + "a message that cannot be read");
    std::string text = record_text(message, record, asked.type.number);
    if (!text.empty()) out.records.insert(text);
  }
  return out;
}

struct Dns final : Probe {
  explicit Dns(Settings settings) : settings_(std::move(settings)) {}

  Outcome run(const ProbeContext& ctx) override {
    Time start = machine_clock().now();
    std::string all;
    if (settings_.servers.empty()) {
      Answers system = ask_system(ctx);
      if (auto trouble = judge(system, "this system")) return *trouble;
      all = listed(system.records);
    }
    for (std::size_t i = 0; i < settings_.servers.size(); ++i) {
      const net::Endpoint& server = settings_.servers[i];
      auto still_to_ask = static_cast<Duration::rep>(settings_.servers.size() - i);
      Deadline share = Deadline::in(ctx.deadline.left() / still_to_ask);
      Step step(ctx, "ask");
      Answers answers = ask(server, share);
      step.note(server.text() + ": " +
                (answers.reason.empty() ? listed(answers.records) : answers.reason));
      if (auto trouble = judge(answers, server.text())) return *trouble;
      all = listed(answers.records);
    }
    return Outcome::passed(fmt::format("{} {} is {}", settings_.type.name, settings_.name, all))
        .measured(seconds(machine_clock().now() - start), "s");
  }

 private:
  Answers ask_system(const ProbeContext& ctx) const {
    Step step(ctx, "resolve");
    Result<std::vector<std::string>> found = ctx.net.resolver.resolve(settings_.name, ctx.deadline);
    if (!found) return failed("resolve", found.error().what);
    Answers out;
    for (const std::string& address : *found) {
      bool is_v6 = address.find(':') != std::string::npos;
      if (is_v6 == (settings_.type.number == ns_t_aaaa)) out.records.insert(address);
    }
    step.note(listed(out.records));
    return out;
  }

  Answers ask(const net::Endpoint& server, Deadline deadline) const {
    std::uint16_t id = 0;
    if (getrandom(&id, sizeof id, 0) != sizeof id) id = 4711;
    unsigned char question[512];
    int size = res_mkquery(ns_o_query, settings_.name.c_str(), ns_c_in, settings_.type.number,
                           nullptr, 0, nullptr, question, sizeof question);
    if (size < 0) return failed("settings", "the name cannot be put into a question", true);
    question[0] = static_cast<unsigned char>(id >> 8);
    question[1] = static_cast<unsigned char>(id);

    sockaddr_storage address{};
    socklen_t length = to_sockaddr(server, address);
    net::Socket socket(::socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return failed("resources", "no descriptors left");
    if (::connect(socket.fd(), reinterpret_cast<sockaddr*>(&address), length) != 0)
      return failed("unreachable", server.text() + ": " + std::strerror(errno));
    for (int left = kTries; left > 0; --left) {
      Deadline one = Deadline::in(deadline.left() / left);
      if (::send(socket.fd(), question, static_cast<std::size_t>(size), 0) < 0)
        return failed("refused", server.text() + ": " + std::strerror(errno));
      if (std::optional<Answers> answer = hear(socket.fd(), id, server.text(), one)) return *answer;
    }
    return failed("timeout", server.text() + ": no answer");
  }

  /// Waits for the answer to our question; others are not for us.
  std::optional<Answers> hear(int fd, std::uint16_t id, const std::string& server,
                              Deadline deadline) const {
    while (!deadline.expired()) {
      pollfd one{fd, POLLIN, 0};
      if (::poll(&one, 1, static_cast<int>(deadline.left_ms().count())) <= 0) continue;
      unsigned char bytes[kLargestMessage];
      ssize_t n = ::recv(fd, bytes, sizeof bytes, 0);
      if (n < 0 && errno == ECONNREFUSED)
        return failed("refused", server + ": nobody listens there");
      if (n <= 0) continue;
      auto answer = understand(bytes, static_cast<int>(n), id, settings_, server);
      if (answer) return answer;
    }
    return std::nullopt;
  }

  static socklen_t to_sockaddr(const net::Endpoint& at, sockaddr_storage& out) {
    auto port = htons(static_cast<std::uint16_t>(at.port));
    auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
    if (inet_pton(AF_INET, at.host.c_str(), &v4->sin_addr) == 1) {
      v4->sin_family = AF_INET;
      v4->sin_port = port;
      return sizeof *v4;
    }
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
    inet_pton(AF_INET6, at.host.c_str(), &v6->sin6_addr);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = port;
    return sizeof *v6;
  }

  std::optional<Outcome> judge(const Answers& answers, const std::string& who) const {
    if (answers.reason == "resources") return Outcome::unable("resources", answers.message);
    if (!answers.reason.empty())
      return Outcome::failed(answers.reason, answers.message, answers.hard);
    std::string what = fmt::format("{} says {} {} is {}", who, settings_.type.name, settings_.name,
                                   answers.records.empty() ? "nothing" : listed(answers.records));
    if (!settings_.expected.empty() && answers.records != settings_.expected)
      return Outcome::failed("unexpected", what + ", expected " + listed(settings_.expected));
    if (answers.records.size() < settings_.min_answers) {
      return Outcome::failed(
          "too_few", fmt::format("{}, expected {} answers or more", what, settings_.min_answers));
    }
    return std::nullopt;
  }

  static std::string listed(const std::set<std::string>& records) {
    return text::join({records.begin(), records.end()}, ", ");
  }

  const Settings settings_;
};

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Settings settings{.name = options.text("name"), .type = kTypes[0]};
  for (const RecordType& type : kTypes) {
    if (type.name == options.text("type")) settings.type = type;
  }
  settings.min_answers = static_cast<std::size_t>(options.number("min_answers"));
  if (options.has("servers")) {
    for (const std::string& text : options.list("servers")) {
      net::Endpoint server{text, 53};
      if (!net::is_numeric_address(text)) {
        Result<net::Endpoint> parsed = net::parse_endpoint(text);
        if (!parsed || !net::is_numeric_address(parsed->host)) {
          return Error{text::quoted(text) +
                           " is not the address of a name server (try 10.0.0.2, "
                           "10.0.0.2:5353 or [fd00::2]:53: a name would have to "
                           "be looked up first)",
                       "servers"};
        }
        server = *parsed;
      }
      settings.servers.push_back(server);
    }
  }
  if (options.has("expect")) {
    const std::vector<std::string>& all = options.list("expect");
    settings.expected = {all.begin(), all.end()};
  }
  bool is_address = settings.type.number == ns_t_a || settings.type.number == ns_t_aaaa;
  if (settings.servers.empty() && !is_address)
    return Error{"type other than A and AAAA needs servers to ask", "type"};
  return std::unique_ptr<Probe>(new Dns(std::move(settings)));
}

}  // namespace

extern const ProbeKind dns{
    .name = "dns",
    .summary = "A name has the expected addresses, at named servers or as this system sees it.",
    .reach = ProbeKind::Reach::Remote,
    .options =
        {
            {"name", OptionType::Text, kRequired, "", "the name to ask for"},
            {"type",
             OptionType::Choice,
             kOptional,
             "A",
             "the kind of record",
             {"A", "AAAA", "CNAME", "MX", "NS", "TXT", "SRV"}},
            {"servers", OptionType::TextList, kOptional, "",
             "name servers by address, each asked directly; this system's own way when not given"},
            {"min_answers", OptionType::Number, kOptional, "1", "fails with fewer records"},
            {"expect", OptionType::TextList, kOptional, "",
             "the records that must come, all of them and no others"},
        },
    .example = "{ name: db.internal, servers: [\"10.0.0.2\", \"10.0.0.3\"] }",
    .reasons =
        {
            {"nxdomain", "the server says that there is no such name", true},
            {"servfail", "the server could not find out: its own upstream is in trouble"},
            {"denied", "the server refuses to answer us", true},
            {"rcode", "the server answers with another error"},
            {"timeout", "the server says nothing"},
            {"refused", "nobody listens at the server's address"},
            {"unreachable", "no way to the server"},
            {"resolve", "this system does not find the name, or its resolver does not answer"},
            {"too_few", "fewer records than min_answers"},
            {"unexpected", "other records than expected"},
            {"protocol", "the answer cannot be read"},
            {"settings", "the name cannot be asked for", true},
            {"resources", "davy has no descriptors left"},
        },
    .make = make,
};

}  // namespace davy::probe
