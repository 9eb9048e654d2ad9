// gRPC: the standard health service, grpc.health.v1.Health/Check, says SERVING.
//
// Fails on: refused, timeout, resolve, tls, protocol, not_serving, unknown_service, unimplemented,
// grpc_status. Never blocks past its deadline. A new connection every time.
// Source: the gRPC health checking protocol (grpc.health.v1), gRPC over HTTP/2.

#include <fmt/format.h>
#include <optional>

#include "base/text.h"
#include "davy/probe.h"
#include "net/grpc_call.h"
#include "probes/connect_outcome.h"

namespace davy::probe {
namespace {

// grpc-status codes with a meaning of their own here (gRPC's statuscodes.md).
constexpr int kOk = 0;
constexpr int kDeadlineExceeded = 4;
constexpr int kNotFound = 5;
constexpr int kUnimplemented = 12;
constexpr int kUnavailable = 14;
constexpr int kUnauthenticated = 16;

/// HealthCheckRequest: field 1, the service's name. A length over 127 takes a second byte.
std::string request_for(const std::string& service) {
  if (service.empty()) return "";
  std::string out = "\x0A";
  if (service.size() > 127) out += static_cast<char>(0x80 | (service.size() & 0x7F));
  out += static_cast<char>(service.size() > 127 ? service.size() >> 7 : service.size());
  return out + service;
}

/// HealthCheckResponse: field 1, a varint; nothing when the message is something else.
std::optional<int> status_in(const std::string& message) {
  if (message.empty()) return 0;  // proto3 leaves zeros out: UNKNOWN
  if (message.size() != 2 || message[0] != 0x08) return std::nullopt;
  return static_cast<unsigned char>(message[1]);
}

struct Settings {
  net::Endpoint to;
  std::string service;
  std::string authority;
  std::string server_name;
};

struct Grpc final : Probe {
  Grpc(Settings settings, std::unique_ptr<net::TlsContext> tls)
      : settings_(std::move(settings)), tls_(std::move(tls)) {}

  Outcome run(const ProbeContext& ctx) override {
    Time start = machine_clock().now();
    auto answer = net::call_grpc(
        settings_.to, tls_.get(), settings_.server_name,
        {"/grpc.health.v1.Health/Check", request_for(settings_.service), settings_.authority}, ctx);
    double took = seconds(machine_clock().now() - start);
    if (const auto* error = std::get_if<net::GrpcError>(&answer)) return explain(*error);
    return judge(std::get<net::GrpcAnswer>(answer)).measured(took, "s");
  }

 private:
  static Outcome explain(const net::GrpcError& error) {
    switch (error.kind) {
      case net::GrpcError::Kind::Timeout: return Outcome::failed("timeout", error.what);
      case net::GrpcError::Kind::Tls: return Outcome::failed("tls", error.what);
      case net::GrpcError::Kind::Protocol: return Outcome::failed("protocol", error.what);
      case net::GrpcError::Kind::Connect: return outcome_of({error.connect, error.what});
    }
    return Outcome::failed("protocol", error.what);
  }

  Outcome judge(const net::GrpcAnswer& answer) const {
    std::string what = settings_.to.text() + ": ";
    std::string service =
        settings_.service.empty() ? "the server" : "service " + text::quoted(settings_.service);
    if (answer.status < 0) {
      return Outcome::failed("protocol", fmt::format("{}expected a gRPC answer, got HTTP status {}",
                                                     what, answer.http_status));
    }
    if (answer.status == kDeadlineExceeded)
      return Outcome::failed("timeout", what + "the server gave up at the deadline");
    if (answer.status == kNotFound) {
      return Outcome::failed("unknown_service",
                             what + service + " is not known to its health check", Outcome::kHard);
    }
    if (answer.status == kUnimplemented) {
      return Outcome::failed("unimplemented",
                             what + "the server has no grpc.health.v1 health service (register it)",
                             Outcome::kHard);
    }
    if (answer.status != kOk) {
      bool is_hard = answer.status == kUnauthenticated;
      return Outcome::failed(
          answer.status == kUnavailable ? "unavailable" : "grpc_status",
          fmt::format("{}the call failed with gRPC status {}{}", what, answer.status,
                      answer.said.empty() ? "" : ": " + text::quoted(answer.said)),
          is_hard);
    }
    std::optional<int> status = status_in(answer.message);
    constexpr std::string_view kWords[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    if (!status || *status > 3) {
      return Outcome::failed("protocol", what + "expected a health status, got something else");
    }
    if (*status == 1) return Outcome::passed(what + service + " is SERVING");
    std::string said = fmt::format("{}{} is {}", what, service, kWords[*status]);
    return *status == 3 ? Outcome::failed("unknown_service", said, Outcome::kHard)
                        : Outcome::failed("not_serving", said);
  }

  const Settings settings_;
  const std::unique_ptr<net::TlsContext> tls_;
};

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Result<net::Endpoint> to = net::parse_endpoint(options.text("address"));
  if (!to) return Error{to.error().what, "address"};
  Settings settings{*to, options.text_or("service"), options.text_or("authority"),
                    options.text_or("server_name")};
  if (settings.service.size() > 1000) return Error{"service is longer than 1000 bytes", "service"};
  if (settings.authority.empty()) settings.authority = to->text();
  if (settings.server_name.empty()) settings.server_name = to->host;
  bool is_tls = options.flag("tls");
  for (const char* name : {"ca_file", "cert_file", "key_file", "server_name"}) {
    if (!is_tls && options.has(name)) return Error{fmt::format("{} needs tls: true", name), name};
  }
  if (options.has("cert_file") != options.has("key_file"))
    return Error{"cert_file and key_file belong together", "cert_file"};
  std::unique_ptr<net::TlsContext> tls;
  if (is_tls) {
    tls = std::make_unique<net::TlsContext>(
        net::TlsSettings{.verify = options.flag("verify_tls") ? net::TlsSettings::Verify::Yes
                                                              : net::TlsSettings::Verify::No,
                         .ca_file = options.text_or("ca_file"),
                         .cert_file = options.text_or("cert_file"),
                         .key_file = options.text_or("key_file"),
                         .protocol = "h2"});
  }
  return std::unique_ptr<Probe>(new Grpc(std::move(settings), std::move(tls)));
}

}  // namespace

extern const ProbeKind grpc{
    .name = "grpc",
    .summary = "A gRPC server's standard health service says SERVING.",
    .reach = ProbeKind::Reach::Remote,
    .options =
        {
            {"address", OptionType::Address, kRequired, "", "host:port to ask"},
            {"service", OptionType::Text, kOptional, "",
             "the service to ask about; the server as a whole when it is not given"},
            {"tls", OptionType::Flag, kOptional, "false", "whether the server speaks TLS"},
            {"verify_tls", OptionType::Flag, kOptional, "true",
             "whether its certificate must be trusted"},
            {"ca_file", OptionType::Path, kOptional, "",
             "the authorities to trust, as PEM, instead of the system's"},
            {"cert_file", OptionType::Path, kOptional, "", "our own certificate, for mTLS"},
            {"key_file", OptionType::Path, kOptional, "", "its key"},
            {"server_name", OptionType::Text, kOptional, "",
             "the name that the certificate must hold, when it is not the address's host"},
            {"authority", OptionType::Text, kOptional, "",
             "the :authority header, when it is not the address"},
        },
    .example = "{ address: \"127.0.0.1:50051\", service: shop.Checkout }",
    .reasons =
        {
            {"not_serving", "the service says NOT_SERVING or UNKNOWN"},
            {"unknown_service", "the server does not know the service: look at its name", true},
            {"unimplemented", "the server has no health service: register grpc.health.v1", true},
            {"unavailable", "the call failed with UNAVAILABLE"},
            {"grpc_status", "the call failed with another status; hard when it is UNAUTHENTICATED"},
            {"timeout", "no answer within the timeout"},
            {"refused", "nobody listens on the port"},
            {"unreachable", "no way to the host"},
            {"resolve", "the host's name is not found, or the resolver does not answer"},
            {"tls", "no TLS, or a certificate that is not trusted for the name"},
            {"protocol", "what came back is not gRPC"},
            {"resources", "davy has no descriptors left"},
        },
    .make = make,
};

}  // namespace davy::probe
