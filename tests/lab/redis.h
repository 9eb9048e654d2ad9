// A private redis-server (or valkey-server) on a free loopback port, with its own directory.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lab/process.h"

namespace davy::lab {

class Redis {
 public:
  /// `arguments` as on its command line: {"--requirepass", "secret"}. `program` may be another that
  /// takes the same: valkey-server. Throws when it does not start.
  explicit Redis(std::vector<std::string> arguments = {}, std::string program = "redis-server");

  int port() const { return port_; }
  /// "redis://127.0.0.1:port/0"
  std::string url(const std::string& user_info = "", const std::string& database = "0") const;
  /// Sends a command with redis-cli and returns what it prints.
  std::string cli(std::vector<std::string> arguments) const;
  const TempDir& dir() const { return dir_; }

  void start();
  void kill() { process_->kill(); }
  void pause() { process_->pause(); }
  void resume() { process_->resume(); }

 private:
  TempDir dir_;
  int port_;
  std::vector<std::string> arguments_;
  std::string program_;
  std::optional<Process> process_;
};

}  // namespace davy::lab
