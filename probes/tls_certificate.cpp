// TLS certificate: a server's certificate is trusted for its name, and lasts long enough.
//
// Judges the leaf and the chain that was verified, not every certificate that was sent: an expired
// cross-signed root beside a good chain is no trouble (blackbox_exporter#636, #1047).
// Fails on: expired, expires_soon, not_yet_valid, untrusted, tls, refused, timeout, resolve.
// When this machine's clock is plainly wrong (before this program was written) it is an error, as
// nothing can be said. Never blocks past its deadline.

#include <sys/socket.h>

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "base/units.h"
#include "davy/probe.h"
#include "net/means.h"
#include "net/socket.h"
#include "net/tls.h"
#include "probes/connect_outcome.h"

namespace davy::probe {
namespace {

// 2026-01-01: no machine that runs this has an earlier clock.
constexpr WallMillis kNotBefore = 1'767'225'600'000;

/// Bytes by which a server is asked to begin TLS, and what it must say to agree.
struct StartTls {
  std::string_view name;
  std::string_view greeting;  // that must come first; "" = none
  std::string_view ask;
  std::string_view agreed;
};
using namespace std::string_view_literals;
constexpr StartTls kStartTls[] = {
    {"postgres", "", "\0\0\0\x08\x04\xd2\x16\x2f"sv, "S"},  // SSLRequest, PostgreSQL manual 55.7
    {"smtp", "220", "EHLO davy\r\nSTARTTLS\r\n", "220 "},   // RFC 3207
};

struct Settings {
  net::Endpoint at;
  std::string server_name;
  const StartTls* start = nullptr;
  Duration min_left{0};
  Duration warn_left{0};
  bool must_be_trusted = true;
};

struct TlsCertificate final : Probe {
  TlsCertificate(Settings settings, net::TlsSettings tls)
      : settings_(std::move(settings)), tls_(std::move(tls)) {}

  Outcome run(const ProbeContext& ctx) override {
    if (!tls_.trouble().empty()) return Outcome::unable("ca_file", tls_.trouble());
    WallMillis now = machine_clock().wall();
    if (now < kNotBefore) {
      return Outcome::unable("clock_suspect", "this machine's clock says " + units::show_time(now) +
                                                  ": no certificate can be judged by it");
    }
    std::variant<net::Socket, net::ConnectError> made = net::connect_tcp(settings_.at, ctx);
    if (auto* error = std::get_if<net::ConnectError>(&made)) return outcome_of(*error);
    int fd = std::get<net::Socket>(made).fd();
    net::Watchdog::Guard guard(ctx.net.watchdog, ctx.deadline, fd);
    std::string what = settings_.at.text() + ": ";
    if (settings_.start != nullptr && !agree(fd)) {
      return guard.fired()
                 ? Outcome::failed("timeout", what + "no answer to STARTTLS in time")
                 : Outcome::failed("starttls", what + "does not begin TLS when asked as " +
                                                   std::string(settings_.start->name));
    }
    Step step(ctx, "tls");
    Result<std::unique_ptr<net::TlsSession>> session = tls_.handshake(fd, settings_.server_name);
    if (!session && guard.fired()) return Outcome::failed("timeout", what + "no TLS in time");
    if (!session) return Outcome::failed("tls", what + session.error().what);
    net::Certificate certificate = (*session)->certificate();
    step.note(certificate.subject);
    return judge(certificate, what, now);
  }

 private:
  Outcome judge(const net::Certificate& seen, const std::string& what, WallMillis now) const {
    // The chain's end counts when there is a trusted chain; else the leaf's own.
    WallMillis until = seen.not_after;
    if (seen.distrust.empty() && seen.verified_until > 0)
      until = std::min(until, seen.verified_until);
    double left = static_cast<double>(until - now) / 1000;
    std::string ends =
        fmt::format("the certificate of {} ends {}", seen.subject, units::show_time(until));
    double min_left = seconds(settings_.min_left);
    double warn_left = seconds(settings_.warn_left);
    auto done = [&](Outcome outcome) {
      outcome.also = {
          {"presented.left", static_cast<double>(seen.presented_until - now) / 1000, "s"}};
      double of_fail = min_left > 0 ? (left - min_left) / min_left : left;
      return std::move(outcome).measured(left, "s").clear_by(
          of_fail, warn_left > 0 ? (left - warn_left) / warn_left : left);
    };
    if (left <= 0) return done(Outcome::failed("expired", what + ends, Outcome::kHard));
    if (seen.not_before > now) {
      return done(
          Outcome::failed("not_yet_valid",
                          what + "the certificate begins only " + units::show_time(seen.not_before),
                          Outcome::kHard));
    }
    if (settings_.must_be_trusted && !seen.distrust.empty()) {
      return done(Outcome::failed("untrusted",
                                  fmt::format("{}not trusted for {}: {}", what,
                                              text::quoted(settings_.server_name), seen.distrust),
                                  Outcome::kHard));
    }
    if (left < min_left)
      return done(Outcome::failed(
          "expires_soon", what + ends + ", min_left is " + units::show(settings_.min_left)));
    if (left < warn_left)
      return done(Outcome::warned(
          "expires_soon", what + ends + ", warn_left is " + units::show(settings_.warn_left)));
    return done(Outcome::passed(what + ends));
  }

  bool agree(int fd) const {
    const StartTls& start = *settings_.start;
    return says(fd, start.greeting) && send_all(fd, start.ask) && says(fd, start.agreed);
  }

  static bool send_all(int fd, std::string_view rest) {
    while (!rest.empty()) {
      ssize_t n = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  /// Reads lines (or, for PostgreSQL, one byte) until one begins with `expected`. Byte by byte:
  /// what follows belongs to TLS.
  static bool says(int fd, std::string_view expected) {
    constexpr std::size_t kMost = 4096;
    std::string line;
    for (std::size_t n = 0; n < kMost && !expected.empty(); ++n) {
      char c = 0;
      ssize_t got;
      do got = ::recv(fd, &c, 1, 0);
      while (got < 0 && errno == EINTR);
      if (got <= 0) return false;
      line += c;
      if (expected.size() == 1) return line == expected;
      if (c != '\n') continue;
      if (line.starts_with(expected)) return true;
      if (line.starts_with('4') || line.starts_with('5')) return false;
      line.clear();
    }
    return expected.empty();
  }

  const Settings settings_;
  const net::TlsContext tls_;
};

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Result<net::Endpoint> at = net::parse_endpoint(options.text("address"));
  if (!at) return Error{at.error().what, "address"};
  Settings settings{.at = *at,
                    .server_name = options.text_or("server_name", at->host),
                    .min_left = options.duration("min_left"),
                    .warn_left = options.duration("warn_left"),
                    .must_be_trusted = options.flag("trusted")};
  if (settings.warn_left < settings.min_left)
    return Error{"warn_left is shorter than min_left, so it never warns", "warn_left"};
  for (const StartTls& start : kStartTls) {
    if (options.text("starttls") == start.name) settings.start = &start;
  }
  net::TlsSettings tls{.verify = net::TlsSettings::Verify::Report,
                       .ca_file = options.text_or("ca_file")};
  return std::unique_ptr<Probe>(new TlsCertificate(std::move(settings), std::move(tls)));
}

}  // namespace

extern const ProbeKind tls_certificate{
    .name = "tls_certificate",
    .summary = "A server's certificate is trusted for its name and lasts long enough.",
    .reach = ProbeKind::Reach::Remote,
    .options =
        {
            {"address", OptionType::Address, kRequired, "", "host:port to ask"},
            {"server_name", OptionType::Text, kOptional, "",
             "the name that the certificate must hold, when it is not the address's host"},
            {"starttls",
             OptionType::Choice,
             kOptional,
             "none",
             "how the server is asked to begin TLS",
             {"none", "postgres", "smtp"}},
            {"min_left", OptionType::Duration, kOptional, "7d", "fails when less time is left"},
            {"warn_left", OptionType::Duration, kOptional, "21d", "warns when less time is left"},
            {"ca_file", OptionType::Path, kOptional, "",
             "the authorities to trust, as PEM, instead of the system's"},
            {"trusted", OptionType::Flag, kOptional, "true",
             "whether it must be trusted, or only last"},
        },
    .example = "{ address: \"shop.example.org:443\", min_left: 7d }",
    .reasons =
        {
            {"expired", "the certificate, or one of its verified chain, has ended", true},
            {"expires_soon", "less than min_left (fails) or warn_left (warns) is left: renew it"},
            {"not_yet_valid", "the certificate begins later: look at both clocks", true},
            {"untrusted", "no authority vouches for it, or it is for another name", true},
            {"starttls", "the server does not begin TLS when asked"},
            {"tls", "no TLS handshake is possible"},
            {"timeout", "no connection or no handshake within the timeout"},
            {"refused", "nobody listens on the port"},
            {"unreachable", "no way to the host"},
            {"resolve", "the host's name is not found, or the resolver does not answer"},
            {"clock_suspect", "this machine's clock is wrong: nothing can be said"},
            {"ca_file", "the authorities cannot be read"},
            {"resources", "davy has no descriptors left"},
        },
    .make = make,
};

}  // namespace davy::probe
