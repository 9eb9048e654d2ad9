#include "serve/check_routes.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "health/roles.h"

namespace davy::serve {
namespace {

constexpr std::string_view kAll = "/v1/checks";

Response order(const Request& request, const CheckView& check, std::string_view what, Time now,
               const CheckOrders& orders) {
  // Until tokens exist, only the machine itself may change anything.
  if (!request.from_loopback) return plain(403, "only from this machine\n");
  if (what == "/run") {
    orders.run_now(check.name);
  } else if (what == "/mute") {
    if (health::has_role(check, Role::Liveness)) {
      return plain(409,
                   "a check with the role liveness cannot be muted: nobody would notice a "
                   "dead process (take the role away in the config)\n");
    }
    Result<MuteRequest> mute = read_mute_request(request.body);
    if (!mute) return plain(400, mute.error().what + "\n");
    orders.mute(check.name, *mute);
    log::warn("check muted", {{"check", check.name},
                              {"by", mute->by},
                              {"why", mute->why},
                              {"for", units::show(mute->length)}});
  } else if (what == "/unmute") {
    orders.unmute(check.name);
    log::info("check counts again", {{"check", check.name}});
  } else {
    if (check.kind != "heartbeat") {
      return plain(409, fmt::format("check {} is of the kind {}; only a heartbeat is reported in\n",
                                    check.name, check.kind));
    }
    Result<Heartbeats::Report> report = read_heartbeat(request.body);
    if (!report) return plain(400, report.error().what + "\n");
    report->at = now;
    orders.report(check.name, *report);
  }
  return json(202, fmt::format("{{\"check_url\": \"{}/{}\"}}\n", kAll, check.name));
}

}  // namespace

std::optional<Response> answer_checks(const Request& request, const Board& board, Time now,
                                      const CheckOrders& orders) {
  std::string_view path = request.path;
  if (path != kAll && !(path.starts_with(kAll) && path[kAll.size()] == '/')) return std::nullopt;
  std::string_view rest = path.substr(std::min(path.size(), kAll.size() + 1));
  if (rest.empty()) {
    if (!is_read(request)) return refuse_method("GET, HEAD");
    return json(200, checks_json(board, now));
  }
  std::string_view name = rest.substr(0, rest.find('/'));
  std::string_view what = rest.substr(name.size());
  auto found = std::find_if(board.checks.begin(), board.checks.end(),
                            [&](const CheckView& c) { return c.name == name; });
  if (found == board.checks.end()) {
    return plain(404, fmt::format("no check {}; {} lists them\n", text::quoted(name), kAll));
  }
  if (what.empty()) {
    if (!is_read(request)) return refuse_method("GET, HEAD");
    return json(200, check_page_json(*found, now));
  }
  bool is_order = what == "/run" || what == "/mute" || what == "/unmute" || what == "/heartbeat";
  if (!is_order) return plain(404, "not found; / lists what there is\n");
  return request.method == "POST" ? order(request, *found, what, now, orders)
                                  : refuse_method("POST");
}

}  // namespace davy::serve
