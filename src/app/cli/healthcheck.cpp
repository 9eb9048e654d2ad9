// davy healthcheck: for images without curl. Exit 0 = well, 1 = not (Docker reserves 2).

#include <fmt/format.h>
#include <cstdio>
#include <map>

#include "app/cli/commands.h"
#include "net/http_client.h"
#include "net/means.h"

namespace davy::app {

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
  auto answer = client.call(request, {Deadline::in(options.timeout), net});
  if (const net::HttpError* error = std::get_if<net::HttpError>(&answer)) {
    fmt::print(stderr, "{}\n", error->what);
    return kExitFail;
  }
  const net::HttpResponse& response = std::get<net::HttpResponse>(answer);
  fmt::print("{}", response.body);
  return response.status == 200 ? kExitPass : kExitFail;
}

}  // namespace davy::app
