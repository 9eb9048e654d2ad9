// The API's part for checks: /v1/checks. Paths: docs/api.md.
//
// Why: people look at one check with its last results, run it now, or say that it does not count
// for a while; applications report in. Reads come off the Board; the rest is handed on.
// Threading: thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "davy/board.h"
#include "davy/heartbeats.h"
#include "davy/time.h"
#include "serve/http.h"
#include "serve/json.h"

namespace davy::serve {

/// What changes state is handed on.
struct CheckOrders {
  std::function<void(const std::string& check)> run_now;
  std::function<void(const std::string& check, const MuteRequest& mute)> mute;
  std::function<void(const std::string& check)> unmute;
  std::function<void(const std::string& check, Heartbeats::Report report)> report;
};

/// nullopt when the path is none of ours.
std::optional<Response> answer_checks(const Request& request, const Board& board, Time now,
                                      const CheckOrders& orders);

}  // namespace davy::serve
