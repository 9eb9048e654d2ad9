#include "serve/api_routes.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "serve/json.h"

namespace davy::serve {
namespace {

constexpr std::string_view kIndex =
    "davy\n\n"
    "  /v1/deployments                  every deployment and its verdict\n"
    "  /v1/deployments/NAME/verdict     one verdict with its evidence\n"
    "  /v1/gate/NAME                    200 on a pass, else 403 fail, 409 marginal, 425 "
    "inconclusive, 503 error\n"
    "  POST /v1/deployments/NAME/runs   begin a new run: {\"revision\": \"v2\"}\n"
    "  POST /v1/deployments/NAME/stage  the canary's share of traffic now: {\"weight\": \"25%\"}\n"
    "  /v1/checks                       every check\n"
    "  /v1/checks/NAME                  one check with its last results\n"
    "  POST /v1/checks/NAME/run         run it now\n"
    "  POST /v1/checks/NAME/mute        it does not count: {\"for\": \"30m\", \"by\": \"ann\", "
    "\"why\": "
    "\"known\"}; /unmute ends it\n"
    "  POST /v1/checks/NAME/heartbeat   an application reports in: {\"status\": \"pass\"}\n"
    "  /metrics                         davy's own metrics\n"
    "  /readyz?verbose and /healthz     health with details\n";

Response unknown(const Board& board, std::string_view name) {
  std::vector<std::string> names;
  for (const DeploymentView& d : board.deployments) names.push_back(d.name);
  return plain(404, fmt::format("no deployment {} (known: {})\n", text::quoted(name),
                                names.empty() ? "none" : text::join(names, ", ")));
}

const DeploymentView* find(const Board& board, std::string_view name) {
  auto at = std::find_if(board.deployments.begin(), board.deployments.end(),
                         [&](const DeploymentView& d) { return d.name == name; });
  return at == board.deployments.end() ? nullptr : &*at;
}

Response gate(const Request& request, const DeploymentView& d) {
  int status = gate_status(d.verdict.kind);
  if (request.accept.find("json") != std::string::npos)
    return json(status, verdict_json(d.verdict));
  return plain(status, fmt::format("{}: {}\n", word(d.verdict.kind), d.verdict.reason));
}

}  // namespace

int gate_status(VerdictKind kind) {
  switch (kind) {
    case VerdictKind::Pass: return 200;
    case VerdictKind::Marginal: return 409;
    case VerdictKind::Inconclusive: return 425;
    case VerdictKind::Fail: return 403;
    case VerdictKind::Error: return 503;
  }
  return 503;
}

ApiRoutes::ApiRoutes(ReadBoard board, const Clock& clock, telemetry::Metrics& metrics,
                     Orders orders, config::Answers answers)
    : board_(std::move(board)),
      clock_(clock),
      metrics_(metrics),
      orders_(std::move(orders)),
      health_(board_, clock, true, answers) {}

Response ApiRoutes::answer(const Request& request) const {
  constexpr std::string_view kDeployments = "/v1/deployments/";
  constexpr std::string_view kGate = "/v1/gate/";
  std::shared_ptr<const Board> board = board_();
  std::string_view path = request.path;
  if (std::optional<Response> health = health_.try_answer(request)) return *std::move(health);
  if (auto found = answer_checks(request, *board, clock_.now(), orders_.checks))
    return *std::move(found);
  if (path.starts_with(kDeployments))
    return deployment(request, *board, path.substr(kDeployments.size()));
  if (path != "/" && path != "/metrics" && path != "/v1/deployments" && !path.starts_with(kGate)) {
    return plain(404, "not found; / lists what there is\n");
  }
  if (!is_read(request)) return refuse_method("GET, HEAD");
  if (path == "/") return plain(200, std::string(kIndex));
  if (path == "/v1/deployments") return json(200, deployments_json(*board));
  if (path == "/metrics") {
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
            .body = metrics_.render(*board, clock_.now())};
  }
  const DeploymentView* d = find(*board, path.substr(kGate.size()));
  return d == nullptr ? unknown(*board, path.substr(kGate.size())) : gate(request, *d);
}

Response ApiRoutes::deployment(const Request& request, const Board& board,
                               std::string_view rest) const {
  std::string_view name = rest.substr(0, rest.find('/'));
  std::string_view what = rest.substr(name.size());
  const DeploymentView* d = find(board, name);
  if (d == nullptr) return unknown(board, name);
  if (what == "/runs" || what == "/stage") {
    return request.method == "POST" ? order(request, *d, what) : refuse_method("POST");
  }
  if (!what.empty() && what != "/verdict") return plain(404, "not found; / lists what there is\n");
  if (!is_read(request)) return refuse_method("GET, HEAD");
  return json(200, what.empty() ? deployment_json(*d) : verdict_json(d->verdict));
}

Response ApiRoutes::order(const Request& request, const DeploymentView& d,
                          std::string_view what) const {
  // Until tokens exist, only the machine itself may change anything.
  if (!request.from_loopback) return plain(403, "only from this machine\n");
  if (what == "/runs") {
    Result<std::string> revision = read_run_request(request.body);
    if (!revision) return plain(400, revision.error().what + "\n");
    orders_.open_run(d.name, *revision);
    log::info("run opened", {{"deployment", d.name}, {"revision", *revision}});
  } else {
    Result<double> weight = read_stage_request(request.body);
    if (!weight) return plain(400, weight.error().what + "\n");
    orders_.enter_stage(d.name, *weight);
    log::info("stage entered", {{"deployment", d.name}, {"weight", units::show_percent(*weight)}});
  }
  return json(202, fmt::format("{{\"verdict_url\": \"/v1/deployments/{}/verdict\"}}\n", d.name));
}

}  // namespace davy::serve
