// TCP: a port accepts connections, and optionally says what is expected.
//
// Fails on: resolve, refused, unreachable, timeout; with `expect` also closed and unexpected.
// Alone it is weak: the kernel accepts for a process that hangs. Prefer a probe that speaks the
// protocol. Never blocks past its deadline.

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/text.h"
#include "davy/probe.h"
#include "net/means.h"
#include "net/socket.h"
#include "probes/connect_outcome.h"

namespace davy::probe {
namespace {

constexpr std::size_t kMostRead = 4096;

struct Tcp final : Probe {
  Tcp(net::Endpoint to, std::string send, std::string expect)
      : to_(std::move(to)), send_(std::move(send)), expect_(std::move(expect)) {}

  Outcome run(const ProbeContext& ctx) override {
    Time start = machine_clock().now();
    std::variant<net::Socket, net::ConnectError> made = net::connect_tcp(to_, ctx);
    if (auto* error = std::get_if<net::ConnectError>(&made)) return outcome_of(*error);
    double took = seconds(machine_clock().now() - start);
    return talk(std::get<net::Socket>(made).fd(), ctx).measured(took, "s");
  }

 private:
  Outcome talk(int fd, const ProbeContext& ctx) const {
    net::Watchdog::Guard guard(ctx.net.watchdog, ctx.deadline, fd);
    for (std::string_view rest = send_; !rest.empty();) {
      ssize_t n = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        return guard.fired()
                   ? timed_out("")
                   : failed("closed", "while sending: " + std::system_category().message(errno));
      }
      rest.remove_prefix(static_cast<std::size_t>(n));
    }

    std::string seen;
    while (seen.find(expect_) == std::string::npos) {
      char buffer[512];
      if (seen.size() >= kMostRead) return unexpected(seen);
      ssize_t n = ::recv(fd, buffer, std::min(sizeof buffer, kMostRead - seen.size()), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0 && guard.fired()) return timed_out(seen);
      if (n <= 0 && !seen.empty()) return unexpected(seen);
      if (n <= 0)
        return failed("closed",
                      "expected " + text::quoted(expect_) + ", but the peer closed without a word");
      seen.append(buffer, static_cast<std::size_t>(n));
    }
    return Outcome::passed();
  }

  Outcome failed(std::string reason, const std::string& what) const {
    return Outcome::failed(std::move(reason), to_.text() + ": " + what);
  }
  Outcome timed_out(const std::string& seen) const {
    return failed("timeout", "connected, then expected " + text::quoted(expect_) +
                                 " in time, got " +
                                 (seen.empty() ? "nothing" : text::quoted(seen)));
  }
  Outcome unexpected(const std::string& seen) const {
    return failed("unexpected",
                  "expected " + text::quoted(expect_) + ", got " + text::quoted(seen));
  }

  const net::Endpoint to_;
  const std::string send_;
  const std::string expect_;  // "" = found at once
};

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Result<net::Endpoint> to = net::parse_endpoint(options.text("address"));
  if (!to) return Error{to.error().what, "address"};
  return std::unique_ptr<Probe>(new Tcp(*to, options.text_or("send"), options.text_or("expect")));
}

}  // namespace

extern const ProbeKind tcp{
    .name = "tcp",
    .summary = "A TCP port accepts connections, and optionally says what is expected.",
    .reach = ProbeKind::Reach::Remote,
    .options =
        {
            {"address", OptionType::Address, kRequired, "", "host:port to connect to"},
            {"send", OptionType::Text, kOptional, "",
             "sent after connecting; \\r\\n works in double quotes"},
            {"expect", OptionType::Text, kOptional, "",
             "must occur in the first 4 KiB that come back"},
        },
    .example = "{ address: \"127.0.0.1:25\", expect: \"220 \" }",
    .reasons =
        {
            {"refused", "nobody listens on the port"},
            {"unreachable", "no way to the host"},
            {"timeout", "no connection, or not the expected text, within the timeout"},
            {"resolve", "the host's name is not found, or the resolver does not answer"},
            {"closed", "the peer closed before it said what is expected"},
            {"unexpected", "the peer said something else"},
            {"resources", "davy has no descriptors left"},
        },
    .is_weak = true,
    .make = make,
};

}  // namespace davy::probe
