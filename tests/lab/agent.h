// A running `davy agent` of the built binary, with a config of the test's own.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lab/process.h"
#include "net/http_client.h"
#include "net/means.h"

namespace davy::lab {

struct Answer {
  int status = 0;  // 0 = none within the patience
  std::string body;
};

class Agent {
 public:
  /// `config` is everything but `service` and `listen`. Returns when both listeners answer; throws
  /// when they do not. `prefix` = a command that runs the agent: {"prlimit", "--nofile=32"}.
  explicit Agent(const std::string& config, std::vector<std::string> prefix = {});
  /// The same on a health port that others know already, and without waiting for anything.
  Agent(const std::string& config, int health_port);

  Answer get(const std::string& path, Duration patience = std::chrono::seconds(5),
             const std::string& accept = "");
  Answer health(const std::string& path, Duration patience = std::chrono::seconds(5));
  Answer post(const std::string& path, const std::string& body);

  /// SIGKILL: it has no chance to tidy up.
  void kill() { process_->kill(); }
  /// Starts again, on the same ports and config.
  void start_again();
  void start_without_waiting();
  void wait_until_up();
  /// Another config for the next start.
  void configure(const std::string& config) { write(config); }
  /// Replaces the config and sends SIGHUP.
  void reload(const std::string& config);
  Process& process() { return *process_; }
  std::string api_url() const { return "http://127.0.0.1:" + std::to_string(api_port_); }
  std::string health_url() const { return "http://127.0.0.1:" + std::to_string(health_port_); }

 private:
  Answer call(int port, net::HttpRequest request, Duration patience);
  void write(const std::string& config) const;

  TempDir dir_;
  std::vector<std::string> prefix_;
  int health_port_;
  int api_port_;
  net::Means net_;
  std::optional<Process> process_;
};

/// Runs the davy binary with these arguments to its end.
Finished davy(std::vector<std::string> arguments);

}  // namespace davy::lab
