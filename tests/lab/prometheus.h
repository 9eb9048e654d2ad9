// A private Prometheus on a free loopback port that scrapes its targets every second.
//
// Targets come and go while it runs. Its data is in a directory of its own.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lab/process.h"

namespace davy::lab {

class Prometheus {
 public:
  struct Target {
    std::string address;                        // "127.0.0.1:9102"; /metrics is asked for
    std::map<std::string, std::string> labels;  // such as pod and version
  };

  /// `arguments` as on its command line. Throws when it does not start.
  explicit Prometheus(const std::vector<Target>& targets, std::vector<std::string> arguments = {});

  int port() const { return port_; }
  std::string url(const std::string& path = "") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  /// It follows within about a second.
  void set_targets(const std::vector<Target>& targets) const;

  /// What an instant query brings: one value, or nothing.
  std::optional<double> value(const std::string& promql) const;
  /// Waits until an instant query brings this value.
  bool shows(const std::string& promql, double expected) const;
  /// Waits until it brings none.
  bool shows_nothing(const std::string& promql) const;

  void start();
  void kill() { process_->kill(); }
  void pause() { process_->pause(); }
  void resume() { process_->resume(); }

 private:
  TempDir dir_;
  int port_;
  std::vector<std::string> arguments_;
  std::optional<Process> process_;
};

}  // namespace davy::lab
