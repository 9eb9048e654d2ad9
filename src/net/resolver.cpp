#include "net/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"

namespace davy::net {
namespace {

constexpr Duration kFresh = std::chrono::seconds(10);
constexpr Duration kStillServed = std::chrono::minutes(10);
constexpr Duration kSilence = std::chrono::seconds(5);
constexpr Duration kLongest = std::chrono::hours(1);  // waited for somebody else's query
constexpr std::size_t kMostNames = 1024;

const wire::LookedUp kTooLate{wire::LookedUp::Kind::Cut, {}, "no name server answered"};

/// Who has an old answer in hand waits only for a part of its time: connecting needs some too.
Deadline patience(Deadline deadline, bool has_old_answer) {
  constexpr Duration kMostWithOldAnswer = std::chrono::milliseconds(1800);  // RFC 8767 section 5
  if (!has_old_answer) return deadline;
  return Deadline::in(std::min<Duration>(deadline.left() / 3, kMostWithOldAnswer));
}

/// Whether somebody with this much time may hope for an answer that did not come in `waited`.
bool has_much_more_time(Duration left, Duration waited) {
  return left / 3 > waited / 2;
}

wire::LookedUp explain(int code) {
  using Kind = wire::LookedUp::Kind;
  switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY: return {Kind::NoSuchName, {}, gai_strerror(code)};
    case EAI_MEMORY: return {Kind::Unable, {}, gai_strerror(code)};
    case EAI_SYSTEM: return {Kind::NoAnswer, {}, std::system_category().message(errno)};
    // Temporary failure: nobody answered libc in its own time, or a name server answered SERVFAIL.
    default: return {Kind::NoAnswer, {}, gai_strerror(code)};
  }
}

}  // namespace

bool is_numeric_address(const std::string& host) {
  in6_addr unused{};
  return inet_pton(AF_INET, host.c_str(), &unused) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &unused) == 1;
}

wire::LookedUp look_up_here(const std::string& host, Deadline) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (int code = getaddrinfo(host.c_str(), nullptr, &hints, &found); code != 0)
    return explain(code);
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);

  wire::LookedUp answer{wire::LookedUp::Kind::Found, {}, ""};
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    char numeric[NI_MAXHOST];
    if (getnameinfo(a->ai_addr, a->ai_addrlen, numeric, sizeof numeric, nullptr, 0,
                    NI_NUMERICHOST) != 0) {
      continue;
    }
    std::vector<std::string>& all = answer.addresses;
    if (std::find(all.begin(), all.end(), numeric) == all.end()) all.emplace_back(numeric);
  }
  if (answer.addresses.empty()) return {wire::LookedUp::Kind::NoSuchName, {}, "no addresses"};
  return answer;
}

LookUp look_up_by(Helpers& helpers) {
  return [&helpers](const std::string& host, Deadline deadline) -> wire::LookedUp {
    std::optional<wire::LookedUp> answer;
    Helpers::Reply reply = helpers.ask(wire::write(wire::Request(wire::LookUp{host})), deadline,
                                       [&](const std::string& bytes) {
                                         answer = wire::read_looked_up(bytes);
                                         return answer.has_value();
                                       });
    if (reply.kind == Helpers::Reply::Kind::Answered) return *std::move(answer);
    if (reply.kind == Helpers::Reply::Kind::TimedOut) return kTooLate;
    return {wire::LookedUp::Kind::Unable, {}, reply.text};
  };
}

Resolver::Resolver(LookUp look_up, const Clock& clock)
    : look_up_(std::move(look_up)), clock_(clock) {}

Result<Resolver::Addresses> Resolver::resolve(const std::string& host, Deadline deadline) {
  if (is_numeric_address(host)) return Addresses{host};
  std::unique_lock<std::mutex> lock(mutex_);
  std::shared_ptr<Name> name = name_of(host);
  while (true) {
    Time now = clock_.now();
    if (!name->addresses.empty() && now - name->answered < kFresh) return name->addresses;
    Deadline until = patience(deadline, has_old_answer(*name));
    if (name->is_asked) {
      std::uint64_t round = name->rounds;
      bool has_ended =
          answered_.wait_for(lock, std::clamp<Duration>(until.left(), Duration::zero(), kLongest),
                             [&] { return name->rounds != round; });
      if (!has_ended) return conclude(host, *name, kTooLate);
      bool may_ask_again = name->last.kind == wire::LookedUp::Kind::Cut &&
                           has_much_more_time(deadline.left(), name->waited);
      if (!may_ask_again) return conclude(host, *name, name->last);
    } else if (now < name->silent_until && !has_much_more_time(until.left(), name->waited)) {
      return conclude(host, *name, name->last);
    } else {
      name->is_asked = true;
      lock.unlock();
      Time began = clock_.now();
      wire::LookedUp answer = look_up_(host, until);
      Duration waited = clock_.now() - began;
      lock.lock();
      take(host, *name, std::move(answer), waited);
      return conclude(host, *name, name->last);
    }
  }
}

void Resolver::take(const std::string& host, Name& name, wire::LookedUp answer, Duration waited) {
  using Kind = wire::LookedUp::Kind;
  bool is_silence = answer.kind == Kind::NoAnswer || answer.kind == Kind::Cut;
  name.is_asked = false;
  ++name.rounds;
  if (answer.kind == Kind::Found) {
    name.addresses = answer.addresses;
    name.answered = clock_.now();
    name.silent_until = {};
  } else if (answer.kind == Kind::NoSuchName) {
    name.addresses.clear();
  } else if (is_silence) {
    ++timeouts_;
    name.silent_until = clock_.now() + kSilence;
    // libc has given up of itself: more patience would not help.
    name.waited = answer.kind == Kind::Cut ? waited : Duration::max();
  }
  name.last = std::move(answer);
  answered_.notify_all();
  if (name.last.kind == Kind::Unable || is_silence == is_silent_) return;
  is_silent_ = is_silence;
  if (is_silence) {
    log::warn("the resolver does not answer", {{"host", host}, {"why", name.last.why}});
  } else {
    log::info("the resolver answers again", {{"host", host}});
  }
}

bool Resolver::has_old_answer(const Name& name) const {
  return !name.addresses.empty() && clock_.now() - name.answered < kStillServed;
}

/// What a query came to, with what is known from before.
Result<Resolver::Addresses> Resolver::conclude(const std::string& host, const Name& name,
                                               const wire::LookedUp& answer) {
  using Kind = wire::LookedUp::Kind;
  std::string what = "cannot resolve " + text::quoted(host) + ": ";
  switch (answer.kind) {
    case Kind::Found: return name.addresses;
    case Kind::NoSuchName: return Error{what + answer.why};
    case Kind::Unable: return Error{what + "davy could not ask: " + answer.why};
    case Kind::NoAnswer:
    case Kind::Cut: break;
  }
  if (has_old_answer(name)) {
    ++stale_answers_;
    return name.addresses;
  }
  return Error{what + "the resolver did not answer (" + answer.why + ")"};
}

std::shared_ptr<Resolver::Name> Resolver::name_of(const std::string& host) {
  auto known = names_.find(host);
  if (known != names_.end()) return known->second;
  if (names_.size() >= kMostNames) {
    std::erase_if(names_, [](const auto& entry) { return !entry.second->is_asked; });
  }
  return names_[host] = std::make_shared<Name>();
}

}  // namespace davy::net
