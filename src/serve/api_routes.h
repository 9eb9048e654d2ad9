// The API: deployments, their verdicts, the gate, davy's own metrics. Paths: docs/api.md.
//
// Why: pipelines and people ask here. Reads come off the Board; the things that change state
// (runs, stages) are handed on.
// Threading: thread-safe.
#pragma once

#include <functional>
#include <string>

#include "davy/result.h"
#include "serve/check_routes.h"
#include "serve/health_routes.h"
#include "serve/http.h"
#include "telemetry/metrics.h"

namespace davy::serve {

class ApiRoutes {
 public:
  /// What changes state is handed on.
  struct Orders {
    // Begins a new run: all evidence so far is dropped, a sticky fail included.
    std::function<void(const std::string& deployment, const std::string& revision)> open_run;
    // The canary gets another share of traffic; evidence stays.
    std::function<void(const std::string& deployment, double weight)> enter_stage;
    CheckOrders checks;
  };

  ApiRoutes(ReadBoard board, const Clock& clock, telemetry::Metrics& metrics, Orders orders,
            config::Answers answers = {});

  Response answer(const Request& request) const;

 private:
  Response deployment(const Request& request, const Board& board, std::string_view rest) const;
  Response order(const Request& request, const DeploymentView& deployment,
                 std::string_view what) const;

  ReadBoard board_;
  const Clock& clock_;
  telemetry::Metrics& metrics_;
  Orders orders_;
  HealthRoutes health_;
};

/// The status with which /v1/gate answers: `curl -f` succeeds on a pass only.
int gate_status(VerdictKind kind);

}  // namespace davy::serve
