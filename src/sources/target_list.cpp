#include "sources/target_list.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/archive.h"
#include "base/text.h"
#include "net/means.h"

namespace davy::source {
namespace {

constexpr Duration kAskAgain = std::chrono::seconds(30);

}  // namespace

std::vector<Side> TargetUrl::sides() const {
  std::vector<Side> sides;
  for (const Share& share : shares) sides.push_back(share.side);
  return sides;
}

std::string TargetUrl::name() const {
  bool has_side = shares.size() == 1 && !is_of_one_version;
  return fmt::format("{} {}", has_side ? word(shares[0].side) : "target", text);
}

std::string Instance::name() const {
  return is_only_one || address.empty() ? target->name()
                                        : fmt::format("{} at {}", target->name(), address);
}

std::string Instance::pod() const {
  const std::string& host = is_only_one ? target->url.host : address;
  bool needs_brackets = host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", needs_brackets ? "[" : "", host, needs_brackets ? "]" : "",
                     target->url.port);
}

TargetList::TargetList(std::vector<TargetUrl> urls)
    : urls_(std::move(urls)), names_(urls_.size()) {}

std::vector<Instance> TargetList::instances(Workers& workers, net::Means& net, Time now,
                                            Deadline deadline) {
  for (std::size_t i = 0; i < urls_.size(); ++i) {
    bool is_due =
        !names_[i].asked || names_[i].addresses.empty() || now - *names_[i].asked >= kAskAgain;
    if (is_due && names_[i].answer == nullptr) ask(urls_[i], names_[i], workers, net, now);
  }
  std::vector<Instance> all;
  for (std::size_t i = 0; i < urls_.size(); ++i) {
    Name& name = names_[i];
    hear(name, name.addresses.empty() ? deadline : Deadline(Time{}));
    if (name.addresses.empty()) all.push_back({&urls_[i], "", true, name.error});
    for (const std::string& address : name.addresses) {
      all.push_back({&urls_[i], address, name.addresses.size() == 1, ""});
    }
  }
  return all;
}

void TargetList::ask(const TargetUrl& url, Name& name, Workers& workers, net::Means& net,
                     Time now) {
  auto answer = std::make_shared<Slot<Addresses>>();
  bool is_taken = workers.submit([answer, host = url.url.host, &net] {
    answer->put(net.resolver.resolve(host, Deadline::in(kAskAgain)));
  });
  if (!is_taken) {
    name.error = "davy has no worker free to look it up";
    return;
  }
  name.answer = std::move(answer);
  name.asked = now;
}

void TargetList::hear(Name& name, Deadline deadline) {
  if (name.answer == nullptr) return;
  std::optional<Addresses> answer = name.answer->take(deadline);
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
  for (Name& name : names_) {
    state(name.addresses);
    bool is_sound = std::none_of(name.addresses.begin(), name.addresses.end(),
                                 [](const std::string& address) { return address.empty(); });
    if (!is_sound) state.fail();
  }
}

}  // namespace davy::source
