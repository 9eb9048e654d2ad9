#include "lab/agent.h"

#include <fmt/format.h>
#include <csignal>
#include <stdexcept>

namespace davy::lab {

Agent::Agent(const std::string& config, std::vector<std::string> prefix)
    : prefix_(std::move(prefix)), health_port_(free_port()), api_port_(free_port()) {
  write(config);
  start_again();
}

Agent::Agent(const std::string& config, int health_port)
    : health_port_(health_port), api_port_(free_port()) {
  write(config);
  start_without_waiting();
}

void Agent::start_again() {
  start_without_waiting();
  wait_until_up();
}

void Agent::start_without_waiting() {
  std::vector<std::string> words = prefix_;
  words.insert(words.end(), {DAVY_BINARY, "agent", "--config", dir_ / "davy.yaml"});
  process_.emplace(Command{words});
}

void Agent::wait_until_up() {
  bool up = eventually([this] {
    return !process_->running() || (health("/livez").status != 0 && get("/").status != 0);
  });
  if (!up || !process_->running())
    throw std::runtime_error("the agent did not start: " + process_->output());
}

void Agent::write(const std::string& config) const {
  write_file(dir_ / "davy.yaml",
             fmt::format(
                 "service: test\nlisten: {{ health: \"127.0.0.1:{}\", api: \"127.0.0.1:{}\" }}\n{}",
                 health_port_, api_port_, config));
}

Answer Agent::get(const std::string& path, Duration patience, const std::string& accept) {
  net::HttpRequest request{.target = path};
  if (!accept.empty()) request.headers.emplace_back("Accept", accept);
  return call(api_port_, request, patience);
}

Answer Agent::health(const std::string& path, Duration patience) {
  return call(health_port_, {.target = path}, patience);
}

Answer Agent::post(const std::string& path, const std::string& body) {
  return call(api_port_, {.method = "POST", .target = path, .body = body}, std::chrono::seconds(5));
}

/// Every call on a connection of its own, as a prober does it.
Answer Agent::call(int port, net::HttpRequest request, Duration patience) {
  net::HttpClient client({.scheme = "http", .host = "127.0.0.1", .port = port, .target = "/"}, {});
  auto answer = client.call(request, {Deadline::in(patience), net_});
  if (net::HttpResponse* response = std::get_if<net::HttpResponse>(&answer))
    return {response->status, std::move(response->body)};
  return {};
}

void Agent::reload(const std::string& config) {
  write(config);
  process_->signal(SIGHUP);
}

Finished davy(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), DAVY_BINARY);
  return run({arguments}, std::chrono::minutes(2));
}

}  // namespace davy::lab
