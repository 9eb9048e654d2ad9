// Asks an HTTP server at a steady rate, whether it answers or not.
//
// open_loop PORT RATE SECONDS PATH...
//
// Each path is asked RATE times a second, each time on a new connection. A latency runs from when
// the question was due, not from when it was sent: a server that stalls cannot hide the questions
// that had to wait. No answer within a second counts as one of a second (the kubelet's default
// timeout). Prints one line of JSON per path. Threading: one.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace {

constexpr double kTimeout = 1;

double now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

struct Path {
  std::string path;
  std::vector<double> latencies;
  std::map<std::string, long> statuses;
};

struct Question {
  std::size_t path = 0;
  double due = 0;
  bool is_sent = false;
  std::string answer;
};

class Asker {
 public:
  Asker(int port, std::vector<Path>& paths) : paths_(paths) {
    to_.sin_family = AF_INET;
    to_.sin_port = htons(static_cast<std::uint16_t>(port));
    to_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }

  void ask(std::size_t path, double due) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    Question question{path, due, false, ""};
    if (fd < 0) return conclude(question, "no socket");
    if (connect(fd, reinterpret_cast<sockaddr*>(&to_), sizeof to_) != 0 && errno != EINPROGRESS) {
      close(fd);
      return conclude(question, "not connected");
    }
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.fd = fd;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    open_.emplace(fd, std::move(question));
  }

  /// Waits for what comes until then, and takes it.
  void take_until(double until) {
    double wait = std::max(until - now(), 0.0);
    double whole = std::floor(wait);
    timespec left{static_cast<time_t>(whole), static_cast<long>((wait - whole) * 1e9)};
    epoll_event events[64];
    int n = epoll_pwait2(epoll_, events, 64, &left, nullptr);
    for (int i = 0; i < n; ++i) proceed(events[i].data.fd);
    while (!open_.empty() && oldest()->second.due + kTimeout < now()) end(oldest(), "no answer");
  }

  bool has_open() const { return !open_.empty(); }

 private:
  using Open = std::map<int, Question>;

  Open::iterator oldest() {
    return std::min_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) {
      return a.second.due < b.second.due;
    });
  }

  void proceed(int fd) {
    auto at = open_.find(fd);
    if (at == open_.end()) return;
    Question& question = at->second;
    if (!question.is_sent) {
      std::string request = "GET " + paths_[question.path].path +
                            " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
      question.is_sent = send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0;
    }
    char bytes[4096];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
      question.answer.append(bytes, static_cast<std::size_t>(n));
    if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
    bool is_http = question.answer.rfind("HTTP/1.1 ", 0) == 0;
    end(at, is_http ? question.answer.substr(9, 3) : "broken");
  }

  void end(Open::iterator at, const std::string& status) {
    conclude(at->second, status);
    close(at->first);
    open_.erase(at);
  }

  void conclude(const Question& question, const std::string& status) {
    Path& path = paths_[question.path];
    path.latencies.push_back(std::min(now() - question.due, kTimeout));
    ++path.statuses[status];
  }

  std::vector<Path>& paths_;
  sockaddr_in to_{};
  int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  Open open_;
};

void print(Path& path) {
  std::vector<double>& all = path.latencies;
  std::sort(all.begin(), all.end());
  auto ms = [&](double q) {
    return all.empty()
               ? 0
               : all[static_cast<std::size_t>(q * static_cast<double>(all.size() - 1))] * 1e3;
  };
  std::string statuses;
  for (const auto& [status, times] : path.statuses)
    statuses += (statuses.empty() ? "\"" : ", \"") + status + "\": " + std::to_string(times);
  std::printf(
      "{\"path\": \"%s\", \"asked\": %zu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, "
      "\"statuses\": {%s}}\n",
      path.path.c_str(), all.size(), ms(0.5), ms(0.99), ms(1), statuses.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fputs("open_loop PORT RATE SECONDS PATH...\n", stderr);
    return 2;
  }
  double rate = std::atof(argv[2]);
  auto rounds = static_cast<long>(rate * std::atof(argv[3]));
  std::vector<Path> paths;
  for (int i = 4; i < argc; ++i) paths.push_back({argv[i], {}, {}});
  Asker asker(std::atoi(argv[1]), paths);

  auto count = static_cast<long>(paths.size());
  double start = now();
  for (long i = 0; i < rounds * count; ++i) {
    double due = start + static_cast<double>(i) / (rate * static_cast<double>(count));
    while (now() < due) asker.take_until(due);
    asker.ask(static_cast<std::size_t>(i % count), due);
  }
  while (asker.has_open()) asker.take_until(now() + 0.1);
  for (Path& path : paths) print(path);
}
