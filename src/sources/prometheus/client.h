// Asks a server that speaks Prometheus' HTTP API: Prometheus, Thanos, Mimir, VictoriaMetrics.
//
// Why: such a server is shared and often busy. What may pass by itself (429, 5xx, a refused or
// broken connection) is asked again while the deadline allows, later and later and not when all
// others do; and Retry-After is kept, over rounds if it has to be.
// An answer that says of itself that it may lack something (warnings, isPartial) is none: half of a
// fleet compared with a whole one proves nothing.
// Threading: not thread-safe; owned by the deployment's thread, which it lets wait.
// Failure: an Error for a person, with what to do where that is known. No secret is in it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "davy/source.h"
#include "net/http_client.h"
#include "sources/prometheus/json.h"
#include "sources/targets/access.h"

namespace davy::source {

/// When a server asks to be left alone: "120", or a date, which is seen from the answer's own Date
/// so that nobody's clock matters. Nothing when it cannot be read.
std::optional<Duration> parse_retry_after(std::string_view text, std::string_view date,
                                          WallMillis now);

class PromClient {
 public:
  /// Its names of events, see SourceKind::events.
  static constexpr std::string_view kEvents[] = {"retries",        "throttled", "server_errors",
                                                 "no_answers",     "refusals",  "bad_answers",
                                                 "partial_answers"};

  /// `url` is what stands before /api/v1; `tenant` may be "".
  PromClient(net::Url url, Access access, std::string tenant, std::size_t max_body);

  /// Looks again at the files with tokens and certificates; once a round.
  void refresh(const SourceContext& ctx) { access_.refresh(ctx.workers, ctx.net, ctx.deadline); }
  /// What is wrong with those files, though what was read before may still do.
  const std::vector<std::string>& troubles() const { return access_.troubles(); }

  /// An instant query, at the server's own time when none is given.
  Result<PromAnswer> query(const std::string& promql, std::optional<double> at, PromSink& sink,
                           const Call& call);
  /// What time the server has, in seconds since 1970.
  Result<double> server_time(const Call& call);

  /// "Prometheus at http://prometheus:9090"
  const std::string& name() const { return name_; }
  /// What befell it since the last call.
  std::vector<SourceEvent> take_events();

 private:
  struct Trouble {
    std::string what;
    std::string_view event;
    bool may_pass = false;
    std::optional<Duration> wait{};  // that the server asked for
  };
  using Attempt = std::variant<PromAnswer, Trouble>;

  Result<Done> connect();
  Attempt ask(const std::string& promql, std::optional<double> at, PromSink& sink,
              const Call& call);
  Attempt read(const net::HttpResponse& response, PromSink& sink) const;
  Trouble refused(const net::HttpResponse& response) const;
  std::optional<Error> held_back() const;
  Duration pause_before(int attempt);

  const net::Url url_;
  const std::string tenant_;
  const std::size_t max_body_;
  const std::string name_;
  const std::string target_;  // path and parameters, up to the query
  Access access_;
  std::optional<net::HttpClient> client_;
  std::uint64_t generation_ = 0;  // of the access that the client was made with
  Time not_before_{};             // what Retry-After asked for
  std::string not_before_why_;
  std::uint64_t pauses_ = 0;
  std::map<std::string_view, double> events_;
};

}  // namespace davy::source
