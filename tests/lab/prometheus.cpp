#include "lab/prometheus.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "net/http_client.h"
#include "net/means.h"

namespace davy::lab {
namespace {

std::optional<std::string> get(int port, const std::string& target) {
  net::Means net;
  net::HttpClient client(
      net::Url{.scheme = "http", .host = "127.0.0.1", .port = port, .target = "/"}, {});
  auto answer = client.call({.target = target}, {Deadline::in(std::chrono::seconds(5)), net});
  const auto* response = std::get_if<net::HttpResponse>(&answer);
  if (response == nullptr || response->status != 200) return std::nullopt;
  return response->body;
}

std::string percent_encoded(const std::string& text) {
  std::string out;
  for (char c : text) out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return out;
}

}  // namespace

Prometheus::Prometheus(const std::vector<Target>& targets, std::vector<std::string> arguments)
    : port_(free_port()), arguments_(std::move(arguments)) {
  write_file(dir_ / "prometheus.yml",
             "global: { scrape_interval: 1s, scrape_timeout: 1s }\n"
             "scrape_configs:\n"
             "  - job_name: shop\n"
             "    file_sd_configs: [{ files: [targets.json] }]\n");
  set_targets(targets);
  start();
}

void Prometheus::start() {
  Command command{{"prometheus", "--config.file=" + (dir_ / "prometheus.yml"),
                   "--storage.tsdb.path=" + (dir_ / "data"),
                   fmt::format("--web.listen-address=127.0.0.1:{}", port_), "--log.level=warn"}};
  command.argv.insert(command.argv.end(), arguments_.begin(), arguments_.end());
  process_.reset();
  process_.emplace(command);
  bool is_up = eventually([&] {
    if (!process_->running()) throw std::runtime_error("prometheus ended: " + process_->output());
    return get(port_, "/-/ready").has_value();
  });
  if (!is_up) throw std::runtime_error("prometheus does not answer: " + process_->output());
}

void Prometheus::set_targets(const std::vector<Target>& targets) const {
  nlohmann::json list = nlohmann::json::array();
  for (const Target& target : targets)
    list.push_back({{"targets", {target.address}}, {"labels", target.labels}});
  // Moved into place, so that it never reads half of it.
  write_file(dir_ / "targets.new", list.dump());
  if (::rename((dir_ / "targets.new").c_str(), (dir_ / "targets.json").c_str()) != 0)
    throw std::runtime_error("the targets cannot be set");
}

std::optional<double> Prometheus::value(const std::string& promql) const {
  std::optional<std::string> body = get(port_, "/api/v1/query?query=" + percent_encoded(promql));
  if (!body) return std::nullopt;
  nlohmann::json result = nlohmann::json::parse(*body)["data"]["result"];
  if (result.size() != 1) return std::nullopt;
  return std::stod(result[0]["value"][1].get<std::string>());
}

bool Prometheus::shows(const std::string& promql, double expected) const {
  return eventually([&] { return value(promql) == expected; });
}

bool Prometheus::shows_nothing(const std::string& promql) const {
  return eventually([&] { return !value(promql).has_value(); });
}

}  // namespace davy::lab
