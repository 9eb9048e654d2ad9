// davy healthcheck: for images without curl. Exit 0 = well, 1 = not (Docker reserves 2).

#include <fmt/format.h>
#include <cstdio>
#include <map>
#include <thread>

#include "app/cli/commands.h"
#include "net/http_client.h"
#include "net/means.h"

namespace davy::app {
namespace {

constexpr Duration kAgain = std::chrono::milliseconds(500);

}  // namespace

int healthcheck(const HealthcheckOptions& options) {
  static const std::map<std::string, std::string> kPaths = {{"startup", "/startupz"},
                                                            {"liveness", "/livez"},
                                                            {"readiness", "/readyz"},
                                                            {"deploy", "/deployz"}};
  Result<net::Url> url = net::parse_url(options.url);
  if (!url) {
    fmt::print(stderr, "{}\n", url.error().what);
    return kExitFail;
  }
  net::Means net;
  net::HttpClient client(*url, {});
  net::HttpRequest request;
  request.target = kPaths.at(options.role) + "?verbose";
  if (options.json) request.headers.emplace_back("Accept", "application/json");
  Deadline patience = Deadline::in(options.wait);
  while (true) {
    auto answer = client.call(request, {Deadline::in(options.timeout), net});
    const net::HttpResponse* response = std::get_if<net::HttpResponse>(&answer);
    bool is_well = response != nullptr && response->status == 200;
    if (!is_well && patience.left() > kAgain) {
      std::this_thread::sleep_for(kAgain);
      continue;
    }
    if (response == nullptr) {
      fmt::print(stderr, "{}\n", std::get<net::HttpError>(answer).what);
      return kExitFail;
    }
    fmt::print("{}", response->body);
    return is_well ? kExitPass : kExitFail;
  }
}

}  // namespace davy::app
