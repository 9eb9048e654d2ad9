#include "sources/targets/list.h"

#include <fmt/format.h>
#include <algorithm>
#include <set>
#include <utility>

#include "base/archive.h"
#include "base/text.h"
#include "net/means.h"

namespace davy::source {
namespace {

constexpr Duration kAskAgain = std::chrono::seconds(30);
constexpr int kPatiencePart = 3;  // of the time there is

}  // namespace

std::string Instance::name() const {
  return is_only_one || address.empty() ? target->name()
                                        : fmt::format("{} at {}", target->name(), address);
}

bool Instance::is_local() const {
  return !target->unix_path.empty() || address.starts_with("127.") || address == "::1";
}

std::string Instance::pod() const {
  if (!target->unix_path.empty()) return target->unix_path;
  const std::string& host = is_only_one ? target->url.host : address;
  bool needs_brackets = host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", needs_brackets ? "[" : "", host, needs_brackets ? "]" : "",
                     target->url.port);
}

TargetList::TargetList(std::vector<TargetUrl> fixed)
    : fixed_(fixed.size()), urls_(std::move(fixed)) {}

void TargetList::set_found(const std::vector<TargetUrl>& found) {
  urls_.resize(fixed_);
  for (const TargetUrl& url : found) {
    bool is_fixed = std::any_of(urls_.begin(), urls_.begin() + static_cast<long>(fixed_),
                                [&](const TargetUrl& other) { return other.text == url.text; });
    if (!is_fixed) urls_.push_back(url);
  }
}

std::vector<Instance> TargetList::instances(Workers& workers, net::Means& net, Time now,
                                            Deadline deadline) {
  std::set<std::string> hosts;
  for (const TargetUrl& url : urls_) {
    if (url.unix_path.empty()) hosts.insert(url.url.host);
  }
  std::erase_if(names_, [&](const auto& item) { return hosts.count(item.first) == 0; });
  for (const std::string& host : hosts) {
    Name& name = names_[host];
    bool is_due = !name.asked || name.addresses.empty() || now - *name.asked >= kAskAgain;
    if (is_due && name.answer == nullptr) ask(host, name, workers, net, now);
  }
  Deadline patience = Deadline::in(deadline.left() / kPatiencePart);
  for (auto& [host, name] : names_) {
    bool is_awaited = name.addresses.empty() && !std::exchange(name.was_awaited, true);
    hear(name, is_awaited ? patience : Deadline(Time{}));
  }

  std::vector<Instance> all;
  for (const TargetUrl& url : urls_) {
    if (!url.unix_path.empty()) {
      all.push_back({&url, "", true, ""});
      continue;
    }
    const Name& name = names_.at(url.url.host);
    if (name.addresses.empty()) all.push_back({&url, "", true, name.error});
    for (const std::string& address : name.addresses)
      all.push_back({&url, address, name.addresses.size() == 1, ""});
  }
  return all;
}

void TargetList::ask(const std::string& host, Name& name, Workers& workers, net::Means& net,
                     Time now) {
  auto answer = std::make_shared<Slot<Addresses>>();
  if (net::is_numeric_address(host)) {
    answer->put(Addresses(std::vector<std::string>{host}));
  } else {
    bool is_taken = workers.submit(
        [answer, host, &net] { answer->put(net.resolver.resolve(host, Deadline::in(kAskAgain))); });
    if (!is_taken) {
      name.error = "davy has no worker free to look it up";
      return;
    }
  }
  name.answer = std::move(answer);
  name.asked = now;
}

void TargetList::hear(Name& name, Deadline patience) {
  if (name.answer == nullptr) return;
  std::optional<Addresses> answer = name.answer->take(patience);
  if (!answer) {
    name.error = "its name is being looked up and the resolver does not answer";
    return;
  }
  name.answer.reset();
  if (*answer) {
    name.addresses = std::move(**answer);
    std::sort(name.addresses.begin(), name.addresses.end());
  } else {
    name.error = answer->error().what;
  }
}

void TargetList::archive(Archive& state) {
  std::map<std::string, std::vector<std::string>> addresses;
  for (const auto& [host, name] : names_) addresses[host] = name.addresses;
  state(addresses);
  if (!state.reading()) return;
  for (auto& [host, known] : addresses) {
    bool is_sound = std::none_of(known.begin(), known.end(),
                                 [](const std::string& address) { return address.empty(); });
    if (!is_sound) state.fail();
    names_[host].addresses = std::move(known);
  }
}

}  // namespace davy::source
