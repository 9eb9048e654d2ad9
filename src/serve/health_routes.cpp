#include "serve/health_routes.h"

#include <fmt/format.h>
#include <algorithm>
#include <set>

#include "base/text.h"
#include "base/units.h"
#include "health/roles.h"
#include "serve/json.h"

namespace davy::serve {
namespace {

// The scheduler publishes every second; a Board this old means that it has died or hangs.
constexpr Duration kOldBoard = std::chrono::seconds(10);

struct Path {
  std::string_view path;
  Role role;
};
constexpr Path kPaths[] = {
    {"/livez", Role::Liveness},       {"/readyz", Role::Readiness},
    {"/startupz", Role::Startup},     {"/deployz", Role::Deploy},
    {"/health/live", Role::Liveness}, {"/health/ready", Role::Readiness},
    {"/up", Role::Readiness},
};
constexpr std::string_view kAll = "/healthz";

bool wants_json(const Request& request) {
  return request.accept.find("json") != std::string::npos;
}

std::string json_type(const Request& request) {
  return request.accept.find("application/health+json") != std::string::npos
             ? "application/health+json"
             : "application/json";
}

Response make(int status, std::string body, std::string type = "text/plain; charset=utf-8") {
  return {.status = status,
          .content_type = std::move(type),
          .body = std::move(body),
          .headers = {{"Cache-Control", "no-store"}}};
}

/// ?exclude=a&exclude=b,c
std::set<std::string, std::less<>> excluded(const Request& request) {
  std::set<std::string, std::less<>> names;
  for (const auto& [key, value] : request.query) {
    if (key != "exclude") continue;
    for (std::string_view name : text::split(value, ',')) {
      if (!name.empty()) names.emplace(name);
    }
  }
  return names;
}

/// Without digits that change every time.
Duration whole(Duration d) {
  return std::chrono::floor<std::chrono::seconds>(d);
}

std::string line(const CheckView& check, bool detail) {
  CheckStatus status = health::effective(check);
  std::string said = status == CheckStatus::Pass      ? "ok"
                     : status == CheckStatus::Warn    ? "warning"
                     : status == CheckStatus::Pending ? "no result yet"
                                                      : "failed";
  std::string_view mark = status == CheckStatus::Pass   ? "[+]"
                          : status == CheckStatus::Warn ? "[!]"
                                                        : "[-]";
  std::string out = fmt::format("{}{} {}", mark, check.name, said);
  if (check.stale) out += " (stale)";
  if (check.stuck) out += fmt::format(" (stuck for {})", units::show(whole(check.stuck_for)));
  if (check.flapping) out += " (flapping)";
  if (check.restored) out += " (restored)";
  if (check.fail_open) out += " (fails open)";
  if (check.muted) {
    out += fmt::format(" (muted by {} until {})", check.muted->by,
                       units::show_time(check.muted->until));
  }
  if (status != CheckStatus::Pass && !check.reason.empty()) out += ": " + check.reason;
  if (detail && !check.message.empty()) out += fmt::format(" ({})", check.message);
  return out + "\n";
}

const RoleView& view_of(const Board& board, Role role) {
  return board.roles[static_cast<std::size_t>(role)];
}

}  // namespace

HealthRoutes::HealthRoutes(ReadBoard board, const Clock& clock, bool detail,
                           config::Answers answers)
    : board_(std::move(board)), clock_(clock), detail_(detail), answers_(answers) {}

Response HealthRoutes::answer(const Request& request) const {
  if (std::optional<Response> found = try_answer(request)) return *std::move(found);
  return make(404, "not found; try /readyz, /livez, /startupz, /deployz, /healthz\n");
}

std::optional<Response> HealthRoutes::try_answer(const Request& request) const {
  std::shared_ptr<const Board> board = board_();
  auto allowed = [&](auto respond) {
    if (request.method == "GET" || request.method == "HEAD") return respond();
    Response no = make(405, "method not allowed\n");
    no.headers.emplace_back("Allow", "GET, HEAD");
    return no;
  };
  if (request.path == kAll) return allowed([&] { return all(request, *board); });
  for (const Path& p : kPaths) {
    if (request.path == p.path) return allowed([&] { return role(request, *board, p.role); });
    if (request.path.starts_with(p.path) && request.path[p.path.size()] == '/') {
      return allowed([&] {
        return one_check(request, *board, p.role,
                         std::string_view(request.path).substr(p.path.size() + 1));
      });
    }
  }
  return std::nullopt;
}

bool HealthRoutes::is_old(const Board& board) const {
  return clock_.now() - board.made_at > kOldBoard;
}

Response HealthRoutes::role(const Request& request, const Board& board, Role role) const {
  Board shown = board;
  std::string warnings = role == Role::Liveness ? "" : leave_out(request, shown);
  RoleView view = view_of(shown, role);
  if (is_old(board) && role != Role::Liveness) {
    view.ok = false;
    view.status = CheckStatus::Fail;
    view.reason = fmt::format("davy's own scheduler has not reported for {}",
                              units::show(clock_.now() - board.made_at));
  }
  int status = status_of(view, board);
  if (wants_json(request)) {
    return make(status, role_json(shown, view, clock_.now(), detail_), json_type(request));
  }
  std::string summary = !view.ok            ? fmt::format("fail: {}\n", view.reason)
                        : view.note.empty() ? "ok\n"
                                            : fmt::format("ok; {}\n", view.note);
  if (request.param("verbose") == nullptr) return make(status, warnings + summary);
  std::string body = warnings;
  for (const CheckView& check : shown.checks) {
    if (health::has_role(check, role)) body += line(check, detail_);
  }
  return make(status, body + summary);
}

int HealthRoutes::status_of(const RoleView& view, const Board& board) const {
  if (view.ok) return view.status == CheckStatus::Warn ? answers_.warn_status : 200;
  return board.draining && view.role == Role::Readiness ? answers_.drain_status : 503;
}

/// Takes the excluded checks off the board; returns a line for each, and for what is not there.
std::string HealthRoutes::leave_out(const Request& request, Board& board) {
  std::string said;
  for (const std::string& name : excluded(request)) {
    auto same = [&](const CheckView& c) { return c.name == name; };
    bool known = std::erase_if(board.checks, same) > 0;
    said += known ? fmt::format("[ ]{} excluded\n", name)
                  : fmt::format("[!]there is no check {} to exclude\n", text::quoted(name));
  }
  if (!said.empty()) {
    board.roles = health::evaluate_roles(board);
  }
  return said;
}

Response HealthRoutes::all(const Request& request, const Board& board) const {
  bool ok = !is_old(board);
  std::string body;
  for (const RoleView& view : board.roles) {
    ok = ok && view.ok;
    body += fmt::format("{}{} {}\n", view.ok ? "[+]" : "[-]", word(view.role),
                        view.ok ? "ok" : "fail: " + view.reason);
  }
  if (request.param("verbose") != nullptr) {
    for (const CheckView& check : board.checks) body += line(check, detail_);
  }
  return make(ok ? 200 : 503, body + (ok ? "ok\n" : "fail\n"));
}

Response HealthRoutes::one_check(const Request& request, const Board& board, Role role,
                                 std::string_view name) const {
  auto found = std::find_if(board.checks.begin(), board.checks.end(), [&](const CheckView& c) {
    return c.name == name && health::has_role(c, role);
  });
  if (found == board.checks.end())
    return make(404, fmt::format("no check {} in {}\n", text::quoted(name), word(role)));
  CheckStatus status = health::effective(*found, role);
  bool is_current = !is_old(board) || role == Role::Liveness;
  bool ok = is_current && (status == CheckStatus::Pass || status == CheckStatus::Warn);
  if (wants_json(request))
    return make(ok ? 200 : 503, check_json(*found, clock_.now(), detail_), json_type(request));
  return make(ok ? 200 : 503, line(*found, detail_));
}

}  // namespace davy::serve
