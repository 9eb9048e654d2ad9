#include "base/helpers.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "base/family.h"
#include "base/thread_name.h"

namespace davy {
namespace {

constexpr std::size_t kMostBytes = 64 * 1024;  // of a request, and of an answer
constexpr std::size_t kNumberBytes = sizeof(std::uint64_t);
constexpr int kHelperSocket = 3;  // in the helper
constexpr std::string_view kName = "davy-helper";
constexpr Duration kKillPatience = std::chrono::seconds(1);  // for what a helper has started
constexpr std::chrono::milliseconds kLongestPoll{60'000};
constexpr int kLookAgainMs = 20;    // when there is no pidfd
constexpr int kSurelyDeadMs = 500;  // a killed process that is not stuck is gone by then

std::string with_reason(const std::string& what, int code) {
  return what + ": " + std::system_category().message(code);
}

/// Reads nothing, tells only whether there is something: an answer nobody asked for, or the end.
bool has_something_to_say(int fd) {
  pollfd ready{fd, POLLIN, 0};
  return poll(&ready, 1, 0) != 0;
}

bool send_message(int fd, std::uint64_t number, const std::string& text) {
  std::string bytes(kNumberBytes, '\0');
  std::memcpy(bytes.data(), &number, kNumberBytes);
  bytes += text;
  return send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(bytes.size());
}

struct Message {
  std::uint64_t number = 0;
  std::string text;
};

/// Nothing at the end, and for what is too short or too long to be one.
std::optional<Message> receive_message(int fd, int flags) {
  std::string bytes(kMostBytes + kNumberBytes + 1, '\0');
  ssize_t n = 0;
  do n = recv(fd, bytes.data(), bytes.size(), flags);
  while (n < 0 && errno == EINTR);
  std::size_t size = n < 0 ? 0 : static_cast<std::size_t>(n);
  if (size < kNumberBytes || size > kMostBytes + kNumberBytes) return std::nullopt;
  Message message;
  std::memcpy(&message.number, bytes.data(), kNumberBytes);
  message.text = bytes.substr(kNumberBytes, size - kNumberBytes);
  return message;
}

std::string how_it_ended(const std::optional<int>& status) {
  if (!status) return "it does not die";
  if (WIFSIGNALED(*status)) return "it was killed by signal " + std::to_string(WTERMSIG(*status));
  return "it ended with code " + std::to_string(WEXITSTATUS(*status));
}

/// What posix_spawn is told: a session, signals and descriptors of its own.
class SpawnPlan {
 public:
  explicit SpawnPlan(int socket) {
    posix_spawn_file_actions_init(&files_);
    posix_spawn_file_actions_addopen(&files_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&files_, socket, kHelperSocket);
    posix_spawn_file_actions_addclosefrom_np(&files_, kHelperSocket + 1);
    posix_spawnattr_init(&attributes_);
    sigset_t set;
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&attributes_, &set);
    sigfillset(&set);
    posix_spawnattr_setsigdefault(&attributes_, &set);
    // Its own session: a Ctrl-C at the terminal is for us, and we end it.
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&files_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  int run(const std::string& program, pid_t& pid) const {
    std::string name(kName);
    std::string parent = std::to_string(getpid());
    char* argv[] = {name.data(), parent.data(), nullptr};
    return posix_spawn(&pid, program.c_str(), &files_, &attributes_, argv, environ);
  }

 private:
  posix_spawn_file_actions_t files_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

Helpers::Helpers(HelperLimits limits)
    : limits_(std::move(limits)), stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Helpers::~Helpers() {
  stop();
  std::unique_lock<std::mutex> lock(mutex_);
  returned_.wait(lock, [this] { return asking_ == 0; });
  lock.unlock();
  // Joins the starter, so nobody adds to idle_ any more.
  if (starter_.joinable()) {
    starter_.request_stop();
    starter_.join();
  }
  for (One& one : idle_) {
    ++taken_;
    end(std::move(one));
  }
}

void Helpers::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  eventfd_write(stop_.fd(), 1);
}

std::size_t Helpers::alive() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return idle_.size() + taken_;
}

Helpers::Reply Helpers::ask(const std::string& request, Deadline deadline,
                            const MakesSense& makes_sense) {
  if (request.size() > kMostBytes) return {Reply::Kind::Failed, "the request is too long"};
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return {Reply::Kind::NotStarted, "davy is stopping"};
    ++asking_;
  }
  Reply reply;
  if (Result<One> one = take(); !one) {
    reply = {Reply::Kind::NotStarted, one.error().what};
  } else {
    std::uint64_t number = ++number_;
    if (send_message(one->socket.fd(), number, request)) {
      reply = hear(*one, number, deadline, makes_sense);
    } else {
      reply.text = "the helper process does not take a request";
    }
    if (reply.kind == Reply::Kind::Answered) {
      give_back(std::move(*one));
    } else {
      ++killed_;
      std::optional<int> status = end(std::move(*one));
      if (reply.kind == Reply::Kind::Failed) reply.text += ": " + how_it_ended(status);
    }
  }
  std::lock_guard<std::mutex> lock(mutex_);
  --asking_;
  returned_.notify_all();
  return reply;
}

/// An idle one that is well, or a new one.
Result<Helpers::One> Helpers::take() {
  while (true) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (idle_.empty()) {
      if (taken_ >= limits_.total) {
        return Error{"all " + std::to_string(limits_.total) +
                     " helper processes are busy with calls that do not come back"};
      }
      ++taken_;
      lock.unlock();
      return start();
    }
    One one = std::move(idle_.back());
    idle_.pop_back();
    ++taken_;
    lock.unlock();
    if (!has_something_to_say(one.socket.fd())) return one;
    end(std::move(one));  // it died while idle, or speaks without being asked
  }
}

/// Has the starter thread do it.
Result<Helpers::One> Helpers::start() {
  std::promise<Result<One>> promise;
  std::future<Result<One>> future = promise.get_future();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!starter_.joinable()) {
      try {
        starter_ = std::jthread([this](const std::stop_token& stop) { serve_starts(stop); });
      } catch (const std::system_error& e) {
        --taken_;
        return Error{with_reason("cannot start a thread for helper processes", e.code().value())};
      }
    }
    wanted_.push_back(std::move(promise));
    wake_.notify_one();
  }
  Result<One> one = future.get();
  std::lock_guard<std::mutex> lock(mutex_);
  if (!one) --taken_;
  return one;
}

void Helpers::serve_starts(const std::stop_token& stop) {
  name_this_thread("davy-helpers");
  std::unique_lock<std::mutex> lock(mutex_);
  while (wake_.wait(lock, stop, [this] { return !wanted_.empty(); })) {
    std::promise<Result<One>> promise = std::move(wanted_.front());
    wanted_.pop_front();
    lock.unlock();
    promise.set_value(spawn());
    lock.lock();
  }
}

Result<Helpers::One> Helpers::spawn() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return Error{with_reason("cannot start a helper process: no socket pair", errno)};
  One one;
  one.socket = Descriptor(pair[0]);
  Descriptor theirs(pair[1]);
  // With the lock held, or reap_adopted() could take a child that dies at once for a stranger.
  auto children = children_.lock();
  int code = SpawnPlan(theirs.fd()).run(limits_.program, one.pid);
  if (code != 0) return Error{with_reason("cannot start a helper process", code)};
  children->insert(one.pid);
  one.death = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, one.pid, 0)));
  ++started_;
  return one;
}

/// Waits for the answer to this request, the deadline or the end of one of us.
Helpers::Reply Helpers::hear(const One& one, std::uint64_t number, Deadline deadline,
                             const MakesSense& makes_sense) {
  while (true) {
    pollfd waiting[] = {{one.socket.fd(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}};
    bool is_late = deadline.expired();
    auto patience = std::min<std::chrono::milliseconds>(deadline.left_ms(), kLongestPoll);
    if (poll(waiting, 2, is_late ? 0 : static_cast<int>(patience.count())) < 0) continue;
    if (waiting[0].revents != 0) break;
    if (waiting[1].revents != 0) return {Reply::Kind::NotStarted, "davy is stopping"};
    if (is_late) return {Reply::Kind::TimedOut, ""};
  }
  std::optional<Message> message = receive_message(one.socket.fd(), MSG_DONTWAIT);
  if (!message) return {Reply::Kind::Failed, "the helper process ended without an answer"};
  if (message->number != number || (makes_sense && !makes_sense(message->text)))
    return {Reply::Kind::Failed, "the helper process answered rubbish"};
  return {Reply::Kind::Answered, std::move(message->text)};
}

void Helpers::give_back(One one) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (idle_.size() < limits_.idle && !stopping_) {
      --taken_;
      idle_.push_back(std::move(one));
      return;
    }
  }
  end(std::move(one));
}

/// Kills it and whatever it has started, and waits until it is gone. How it ended; nothing when we
/// stop before it is gone.
std::optional<int> Helpers::end(One one) {
  // Stopped, it starts nothing more; alive, it keeps its descendants below it.
  kill(one.pid, SIGSTOP);
  family::end_descendants(one.pid, Deadline::in(kKillPatience));
  kill(one.pid, SIGKILL);
  one.socket.reset();
  std::optional<int> status = bury(one);
  std::lock_guard<std::mutex> lock(mutex_);
  --taken_;
  return status;
}

std::optional<int> Helpers::bury(const One& one) {
  for (bool is_first = true;; is_first = false) {
    int status = 0;
    pid_t seen = waitpid(one.pid, &status, WNOHANG);
    if (seen == one.pid || (seen < 0 && errno == ECHILD)) {
      children_.lock()->erase(one.pid);
      return status;
    }
    pollfd waiting[] = {{one.death.fd(), POLLIN, 0}, {is_first ? -1 : stop_.fd(), POLLIN, 0}};
    int patience = one.death ? -1 : kLookAgainMs;
    poll(waiting, 2, is_first && one.death ? kSurelyDeadMs : patience);
    if ((waiting[1].revents & POLLIN) != 0) return std::nullopt;
  }
}

void Helpers::reap_adopted() {
  for (const family::Member& member : family::everybody()) {
    if (member.parent != getpid() || !member.is_dead()) continue;
    auto children = children_.lock();
    if (!children->contains(member.pid)) waitpid(member.pid, nullptr, WNOHANG);
  }
}

std::optional<int> serve_as_helper(int argc, char** argv,
                                   const std::function<std::string(const std::string&)>& answer) {
  if (argc != 2 || argv[0] != kName) return std::nullopt;
  // When our parent dies: not SIGKILL, so that a run which has started processes can end them. Not
  // SIGTERM either, which service managers send to everybody while our parent still drains.
  prctl(PR_SET_PDEATHSIG, SIGUSR1);
  if (getppid() != std::atoi(argv[1])) return 1;  // it died before we asked
  prctl(PR_SET_NAME, kName.data());
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (int ignored : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) std::signal(ignored, SIG_IGN);
  fcntl(kHelperSocket, F_SETFD, FD_CLOEXEC);
  while (std::optional<Message> request = receive_message(kHelperSocket, 0)) {
    std::string text = answer(request->text);
    if (text.size() > kMostBytes || !send_message(kHelperSocket, request->number, text)) return 1;
  }
  return 0;
}

}  // namespace davy
