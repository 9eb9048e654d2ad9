#include "app/peers.h"

#include <fmt/format.h>
#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <set>

#include "base/guarded.h"
#include "base/log.h"
#include "base/shallow_json.h"
#include "base/text.h"
#include "base/thread_name.h"
#include "net/http_client.h"
#include "net/signature.h"
#include "net/socket.h"

namespace davy::app {
namespace {

using json = nlohmann::ordered_json;

constexpr Duration kPatience = std::chrono::seconds(1);
constexpr std::size_t kLargestAnswer = 16 * 1024;
constexpr std::size_t kMostPeers = 256;
constexpr std::size_t kSignature = 64;

std::string question(const std::string& nonce) {
  return "ask " + nonce;
}

std::string word_of(const json& in, const char* key) {
  bool is_there = in.is_object() && in.contains(key) && in[key].is_string();
  return is_there ? in[key].get<std::string>() : "";
}

/// What one peer says, when it says it properly.
Result<health::Census::Peer> understand(const std::string& body, const std::string& nonce,
                                        const std::string& key, const std::string& service) {
  if (body.size() < kSignature + 1) return Error{"its answer is too short"};
  std::string_view said = text::trim(std::string_view(body).substr(kSignature));
  if (!net::is_signed(said, std::string_view(body).substr(0, kSignature), key))
    return Error{"its answer is not signed with our peers.key"};
  json in = parse_shallow<json>(said, 4);
  if (word_of(in, "nonce") != nonce) return Error{"its answer is to another question"};
  if (word_of(in, "service") != service)
    return Error{"it belongs to another service: " + text::quoted(word_of(in, "service"))};
  health::Census::Peer peer{word_of(in, "instance"), {}};
  if (!in.contains("failing") || !in["failing"].is_array()) return Error{"it says nothing"};
  for (const json& name : in["failing"]) {
    if (name.is_string()) peer.failing.insert(name.get<std::string>());
  }
  return peer;
}

Result<health::Census::Peer> ask(const net::Endpoint& at, const config::Peers& settings,
                                 const std::string& service, net::Means& net) {
  std::string nonce = net::random_word();
  net::HttpRequest request{.target = fmt::format("/peerz?nonce={}&signature={}", nonce,
                                                 net::sign(question(nonce), settings.key)),
                           .headers = {{"Connection", "close"}}};
  net::HttpClient client({"http", at.host, at.port, "/"}, {.max_body = kLargestAnswer});
  auto answer = client.call(request, {Deadline::in(kPatience), net});
  if (const auto* error = std::get_if<net::HttpError>(&answer)) return Error{error->what};
  const net::HttpResponse& response = std::get<net::HttpResponse>(answer);
  if (response.status != 200)
    return Error{fmt::format("answered {} (200 would be right)", response.status)};
  return understand(response.body, nonce, settings.key, service);
}

}  // namespace

/// One round, shared with the workers that may come back after it has ended.
struct Peers::Asked {
  struct State {
    std::size_t missing = 0;
    std::vector<std::pair<std::string, Result<health::Census::Peer>>> answers;
  };
  Guarded<State> state;
  std::condition_variable done;
};

Peers::Peers(std::string service, const Clock& clock, Workers& workers, net::Means& net,
             telemetry::Metrics& metrics, Tell tell)
    : service_(std::move(service)),
      instance_(net::random_word()),
      clock_(clock),
      workers_(workers),
      net_(net),
      metrics_(metrics),
      tell_(std::move(tell)) {}

Peers::~Peers() {
  stop();
}

void Peers::configure(const config::Peers& settings) {
  std::lock_guard<std::mutex> lock(mutex_);
  settings_ = settings;
}

void Peers::look(const Board& board) {
  bool fails = std::any_of(board.checks.begin(), board.checks.end(), [](const CheckView& check) {
    return check.scope == Scope::Shared &&
           (check.last_run_failed || check.status == CheckStatus::Fail);
  });
  std::lock_guard<std::mutex> lock(mutex_);
  bool is_wanted = fails && settings_.any();
  if (is_wanted && !is_wanted_) wake_.notify_one();
  is_wanted_ = is_wanted;
}

serve::Response Peers::answer(const serve::Request& request, const Board& board) const {
  auto plain = [](int status, std::string body) {
    return serve::Response{
        .status = status, .body = std::move(body), .headers = {{"Cache-Control", "no-store"}}};
  };
  config::Peers settings = this->settings();
  const std::string* nonce = request.param("nonce");
  const std::string* signature = request.param("signature");
  if (!settings.any()) return plain(404, "this davy has no peers\n");
  bool may_ask = nonce != nullptr && signature != nullptr && nonce->size() <= 64 &&
                 net::is_signed(question(*nonce), *signature, settings.key);
  if (!may_ask) return plain(403, "only for peers that know peers.key\n");
  json failing = json::array();
  for (const CheckView& check : board.checks) {
    if (check.scope != Scope::Shared) continue;
    if (check.last_run_failed || check.status == CheckStatus::Fail) failing.push_back(check.name);
  }
  json out{{"service", service_}, {"instance", instance_}, {"nonce", *nonce}, {"failing", failing}};
  std::string said = out.dump(-1, ' ', false, json::error_handler_t::replace);
  return plain(200, net::sign(said, settings.key) + " " + said + "\n");
}

void Peers::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    name_this_thread("davy-peers");
    serve(stop);
  });
}

void Peers::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

config::Peers Peers::settings() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return settings_;
}

void Peers::serve(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    config::Peers settings;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      if (!is_wanted_) {
        lock.unlock();
        tell_({});
        lock.lock();
      }
      wake_.wait(lock, stop, [this] { return is_wanted_; });
      settings = settings_;
    }
    if (stop.stop_requested()) return;
    Time began = clock_.now();
    health::Census census = ask_all(settings);
    metrics_.peers_answered(census.peers.size());
    tell_(std::move(census));
    std::unique_lock<std::mutex> lock(mutex_);
    Duration rest = settings.every - (clock_.now() - began);
    wake_.wait_for(lock, stop, std::max<Duration>(rest, Duration::zero()), [] { return false; });
  }
}

health::Census Peers::ask_all(const config::Peers& settings) {
  std::vector<net::Endpoint> all;
  for (const std::string& address : settings.addresses) {
    Result<net::Endpoint> at = net::parse_endpoint(address);
    if (!at) continue;
    Result<std::vector<std::string>> found =
        net_.resolver.resolve(at->host, Deadline::in(kPatience));
    if (!found) {
      log::debug("peers: name not found", {{"address", address}, {"why", found.error().what}});
      continue;
    }
    for (const std::string& ip : *found) {
      if (all.size() < kMostPeers) all.push_back({ip, at->port});
    }
  }
  auto asked = std::make_shared<Asked>();
  asked->state.lock()->missing = all.size();
  for (const net::Endpoint& at : all) {
    bool is_taken = workers_.submit([asked, at, settings, service = service_, &net = net_] {
      Result<health::Census::Peer> said = ask(at, settings, service, net);
      auto state = asked->state.lock();
      state->answers.emplace_back(at.text(), std::move(said));
      if (--state->missing == 0) asked->done.notify_all();
    });
    if (!is_taken) --asked->state.lock()->missing;
  }
  auto state = asked->state.lock();
  asked->done.wait_for(state.mutex(), kPatience + kPatience / 2,
                       [&] { return state->missing == 0; });
  health::Census census;
  std::set<std::string> seen{instance_, ""};
  for (const auto& [address, said] : state->answers) {
    if (!said) {
      log::debug("peers: no proper answer", {{"peer", address}, {"why", said.error().what}});
    } else if (seen.insert(said->instance).second) {
      census.peers.push_back(*said);
    }
  }
  return census;
}

}  // namespace davy::app
