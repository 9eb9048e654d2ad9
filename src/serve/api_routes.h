// The API: deployments, their verdicts, the gate, davy's own metrics. Paths: docs/api.md.
//
// Why: pipelines and people ask here. Reads come off the Board; the one thing that changes state
// (opening a run) is handed on.
// Threading: thread-safe.
#pragma once

#include <functional>
#include <string>

#include "davy/result.h"
#include "serve/health_routes.h"
#include "serve/http.h"
#include "telemetry/metrics.h"

namespace davy::serve {

class ApiRoutes {
 public:
  /// Begins a new run of a deployment: all evidence so far is dropped, a sticky fail included.
  using OpenRun = std::function<void(const std::string& deployment, const std::string& revision)>;

  ApiRoutes(ReadBoard board, const Clock& clock, telemetry::Metrics& metrics, OpenRun open_run);

  Response answer(const Request& request) const;

 private:
  Response deployment(const Request& request, const Board& board, std::string_view rest) const;
  Response open_run(const Request& request, const DeploymentView& deployment) const;

  ReadBoard board_;
  const Clock& clock_;
  telemetry::Metrics& metrics_;
  OpenRun open_run_;
  HealthRoutes health_;
};

/// The status with which /v1/gate answers: `curl -f` succeeds on a pass only.
int gate_status(VerdictKind kind);

}  // namespace davy::serve
