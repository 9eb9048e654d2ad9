#include "sources/exchange/outbox.h"

#include <algorithm>
#include <utility>

#include "base/archive.h"

namespace davy::source {

std::size_t Outbox::bytes() const {
  std::size_t sum = 0;
  for (const auto* list : {&waiting_, &held_}) {
    for (const Entry& entry : *list) sum += entry.bytes.size();
  }
  return sum;
}

std::size_t Outbox::add(std::string bytes) {
  waiting_.push_back({.bytes = std::move(bytes)});
  // What is acknowledged is the less precious part.
  std::size_t all = this->bytes();
  while (!held_.empty() && all > kMostBytes) {
    all -= held_.front().bytes.size();
    held_.erase(held_.begin());
  }
  std::size_t dropped = 0;
  while (waiting_.size() > 1 && (waiting_.size() > kMostWaiting || all > kMostBytes)) {
    all -= waiting_.front().bytes.size();
    waiting_.erase(waiting_.begin());
    ++dropped;
  }
  return dropped;
}

void Outbox::acknowledge(std::string id, std::uint64_t connection) {
  held_.push_back({std::move(waiting_.front().bytes), std::move(id), connection});
  waiting_.erase(waiting_.begin());
  if (held_.size() > kMostHeld) held_.erase(held_.begin());
}

void Outbox::doubt() {
  for (Entry& entry : held_) entry.connection = 0;
}

const Outbox::Entry* Outbox::unsure_of(std::uint64_t connection) const {
  auto last = std::find_if(held_.rbegin(), held_.rend(),
                           [&](const Entry& entry) { return entry.connection != connection; });
  return last == held_.rend() ? nullptr : &*last;
}

void Outbox::confirm(const std::string& id, std::uint64_t connection) {
  for (Entry& entry : held_) {
    entry.connection = connection;
    if (entry.id == id) break;
  }
}

void Outbox::send_again(const std::string& id) {
  auto lost =
      std::find_if(held_.begin(), held_.end(), [&](const Entry& entry) { return entry.id == id; });
  if (lost == held_.end()) return;
  waiting_.insert(waiting_.begin(), {.bytes = std::move(lost->bytes)});
  held_.erase(lost);
}

void Outbox::Entry::archive(Archive& state) {
  state(bytes, id);
}

void Outbox::archive(Archive& state) {
  state(waiting_, held_);
}

}  // namespace davy::source
