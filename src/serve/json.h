// JSON: how a Board is written for machines. The one place, so that the API, the gate, the command
// line and recordings of verdicts cannot differ.
//
// Shapes: docs/api.md. Numbers that JSON cannot say (infinity) are null. Bad UTF-8 is replaced.
// Threading: pure.
#pragma once

#include <string>

#include "davy/board.h"
#include "davy/heartbeats.h"
#include "davy/result.h"
#include "davy/verdict.h"

namespace davy::serve {

std::string verdict_json(const Verdict& verdict);
std::string deployment_json(const DeploymentView& deployment);
std::string deployments_json(const Board& board);
/// `detail` = also messages, which may name addresses.
std::string check_json(const CheckView& check, Time now, bool detail);
/// With all measurements and the last results.
std::string check_page_json(const CheckView& check, Time now);
std::string checks_json(const Board& board, Time now);
/// In the shape of application/health+json (draft-inadarei-api-health-check-06).
std::string role_json(const Board& board, const RoleView& role, Time now, bool detail);

/// The revision in {"revision": "v2"}; "" when there is none.
Result<std::string> read_run_request(const std::string& body);
/// {"for": "30m", "by": "ann", "why": "known"}
struct MuteRequest {
  Duration length{0};
  std::string by;
  std::string why;
};
Result<MuteRequest> read_mute_request(const std::string& body);
/// {"status": "pass", "message": "..."}, or nothing for a pass. The time is left to the caller.
Result<Heartbeats::Report> read_heartbeat(const std::string& body);
/// The share of traffic in {"weight": "25%"} or {"weight": 0.25}.
Result<double> read_stage_request(const std::string& body);

}  // namespace davy::serve
