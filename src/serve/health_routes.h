// The health paths: /livez /readyz /startupz /deployz /healthz and /<role>/<check>.
//
// Why: the container runtime, the load balancer and the pipeline ask here. 200 or 503 (and 429 or
// 404 for callers who want them), read off the Board, never computed. Paths and bodies:
// docs/health.md. Threading: thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "config/config.h"
#include "davy/board.h"
#include "davy/time.h"
#include "serve/http.h"

namespace davy::serve {

using ReadBoard = std::function<std::shared_ptr<const Board>()>;

class HealthRoutes {
 public:
  /// `detail` = also messages, which may name addresses: only on listeners that are not public.
  HealthRoutes(ReadBoard board, const Clock& clock, bool detail, config::Answers answers = {});

  /// nullopt when the path is none of ours.
  std::optional<Response> try_answer(const Request& request) const;
  /// 404 for what is not ours.
  Response answer(const Request& request) const;

 private:
  Response role(const Request& request, const Board& board, Role role) const;
  Response all(const Request& request, const Board& board) const;
  Response one_check(const Request& request, const Board& board, Role role,
                     std::string_view name) const;
  static std::string leave_out(const Request& request, Board& board);
  bool is_old(const Board& board) const;
  int status_of(const RoleView& view, const Board& board) const;

  ReadBoard board_;
  const Clock& clock_;
  bool detail_;
  config::Answers answers_;
};

}  // namespace davy::serve
