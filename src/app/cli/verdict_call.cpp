#include "app/cli/verdict_call.h"

#include <fmt/format.h>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace davy::app {
namespace {

constexpr Duration kOneCall = std::chrono::seconds(3);

}  // namespace

VerdictCall::VerdictCall(net::Url url, std::string deployment)
    : client_(std::move(url), {}), deployment_(std::move(deployment)) {}

std::variant<std::string, NoAnswer> VerdictCall::ask() {
  net::HttpRequest request;
  request.target = "/v1/deployments/" + deployment_ + "/verdict";
  auto answer = client_.call(request, {Deadline::in(kOneCall), net_});
  if (const net::HttpError* error = std::get_if<net::HttpError>(&answer))
    return NoAnswer{error->what};
  net::HttpResponse& response = std::get<net::HttpResponse>(answer);
  if (response.status == 404 && response.body.starts_with("no deployment")) {
    return NoAnswer{std::string(text::trim(response.body)), true};
  }
  bool is_object = nlohmann::json::parse(response.body, nullptr, false).is_object();
  if (response.status != 200 || !is_object) {
    return NoAnswer{
        fmt::format("answered {} and no verdict: is this davy's API listener?", response.status)};
  }
  return std::move(response.body);
}

void print_no_answer(const NoAnswer& none, const std::string& url) {
  fmt::print(stderr, "error: {}\n", none.why);
  if (!none.final)
    fmt::print(stderr, "Next: is the agent running, and is its API at {}? (--url, DAVY_URL)\n",
               url);
}

}  // namespace davy::app
