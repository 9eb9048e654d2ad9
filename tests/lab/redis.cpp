#include "lab/redis.h"

#include <stdexcept>

#include "net/means.h"
#include "net/socket.h"

namespace davy::lab {

Redis::Redis(std::vector<std::string> arguments, std::string program)
    : port_(free_port()), arguments_(std::move(arguments)), program_(std::move(program)) {
  start();
}

void Redis::start() {
  Command command{{program_, "--port", std::to_string(port_), "--bind", "127.0.0.1", "--dir",
                   dir_.path(), "--save", "", "--appendonly", "no", "--daemonize", "no",
                   "--repl-diskless-sync-delay", "0"}};
  command.argv.insert(command.argv.end(), arguments_.begin(), arguments_.end());
  process_.reset();
  process_.emplace(command);
  net::Means net;
  bool is_up = eventually([&] {
    if (!process_->running()) throw std::runtime_error(program_ + " ended: " + process_->output());
    return std::holds_alternative<net::Socket>(
        net::connect_tcp({"127.0.0.1", port_}, {Deadline::in(std::chrono::seconds(1)), net}));
  });
  if (!is_up) throw std::runtime_error(program_ + " does not answer: " + process_->output());
}

std::string Redis::url(const std::string& user_info, const std::string& database) const {
  return "redis://" + user_info + (user_info.empty() ? "" : "@") +
         "127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string Redis::cli(std::vector<std::string> arguments) const {
  Command command{{"redis-cli", "-p", std::to_string(port_)}};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  return run(command).output;
}

}  // namespace davy::lab
