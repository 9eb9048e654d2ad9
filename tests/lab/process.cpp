#include "lab/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

extern char** environ;

namespace davy::lab {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::system_category().message(errno));
}

int capture_file() {
  int fd = memfd_create("output", MFD_CLOEXEC);
  if (fd < 0) fail("memfd_create");
  return fd;
}

std::string read_all(int fd) {
  std::string all;
  char buffer[4096];
  off_t at = 0;
  for (ssize_t n; (n = ::pread(fd, buffer, sizeof buffer, at)) > 0; at += n) {
    all.append(buffer, static_cast<std::size_t>(n));
  }
  return all;
}

passwd lookup(const std::string& user) {
  const passwd* found = getpwnam(user.c_str());
  if (found == nullptr) throw std::runtime_error("no user " + user + " on this machine");
  return *found;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& s : strings) out.push_back(s.data());
  out.push_back(nullptr);
  return out;
}

/// The fourth field of /proc/PID/stat; the name before it may hold anything, also parentheses.
pid_t parent_of(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string all{std::istreambuf_iterator<char>(in), {}};
  std::size_t close = all.rfind(')');
  return close == std::string::npos ? 0 : static_cast<pid_t>(std::atoi(all.c_str() + close + 4));
}

std::vector<pid_t> with_descendants(pid_t root) {
  std::vector<std::pair<pid_t, pid_t>> all;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    if (int pid = std::atoi(entry.path().filename().c_str()); pid > 0)
      all.emplace_back(pid, parent_of(pid));
  }
  std::vector<pid_t> family{root};
  for (std::size_t i = 0; i < family.size(); ++i) {
    for (auto [pid, parent] : all) {
      if (parent == family[i]) family.push_back(pid);
    }
  }
  return family;
}

const std::string kTempPrefix = "/tmp/davy-test-";

/// Removes what test programs that were killed have left behind.
bool sweep_dead() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/tmp", ignored)) {
    std::string path = entry.path();
    if (path.rfind(kTempPrefix, 0) != 0) continue;
    pid_t maker = std::atoi(path.c_str() + kTempPrefix.size());
    if (maker > 0 && ::kill(maker, 0) != 0 && errno == ESRCH)
      std::filesystem::remove_all(path, ignored);
  }
  return true;
}

}  // namespace

Process::Process(const Command& command) : out_(capture_file()), err_(capture_file()) {
  // All that allocates happens before the fork: other threads may hold the allocator's lock.
  std::vector<std::string> argv = command.argv;
  std::vector<std::string> env;
  for (char** e = environ; *e != nullptr; ++e) env.emplace_back(*e);
  for (const auto& [name, value] : command.env) env.push_back(name + "=" + value);
  std::vector<char*> argv_pointers = pointers(argv);
  std::vector<char*> env_pointers = pointers(env);
  std::optional<passwd> user;
  if (!command.user.empty() && geteuid() == 0) user = lookup(command.user);
  pid_t parent = getpid();

  pid_ = fork();
  if (pid_ < 0) fail("fork");
  if (pid_ == 0) {
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(out_, 1);
    dup2(err_, 2);
    setpgid(0, 0);  // a Ctrl-C at the terminal is for the test program
    if (user &&
        (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
      _exit(126);
    // After setuid, which clears it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(126);
    if (!command.directory.empty() && chdir(command.directory.c_str()) != 0) _exit(126);
    ::signal(SIGPIPE, SIG_DFL);  // we ignore it; a child must not inherit that
    execvpe(argv_pointers[0], argv_pointers.data(), env_pointers.data());
    _exit(127);
  }
}

Process::~Process() {
  if (pid_ > 0) kill();
  if (out_ >= 0) close(out_);
  if (err_ >= 0) close(err_);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      out_(std::exchange(other.out_, -1)),
      err_(std::exchange(other.err_, -1)),
      status_(other.status_) {}

std::string Process::stdout_text() const {
  return read_all(out_);
}
std::string Process::stderr_text() const {
  return read_all(err_);
}
std::string Process::output() const {
  return stdout_text() + stderr_text();
}

bool Process::running() {
  return !wait(std::chrono::milliseconds(0));
}

void Process::signal(int number) {
  if (running()) ::kill(pid_, number);
}

std::optional<int> Process::wait(std::chrono::milliseconds patience) {
  auto ended = [this] {
    int raw = 0;
    if (!status_ && waitpid(pid_, &raw, WNOHANG) == pid_) {
      status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
    }
    return status_.has_value();
  };
  eventually(ended, patience);
  return status_;
}

void Process::kill() {
  if (!running()) return;
  for (pid_t pid : with_descendants(pid_)) ::kill(pid, SIGKILL);
  wait();
}

void Process::pause() {
  for (pid_t pid : with_descendants(pid_)) ::kill(pid, SIGSTOP);
}

void Process::resume() {
  for (pid_t pid : with_descendants(pid_)) ::kill(pid, SIGCONT);
}

Finished run(const Command& command, std::chrono::milliseconds patience) {
  Process process(command);
  std::optional<int> code = process.wait(patience);
  if (!code) throw std::runtime_error(command.argv[0] + " did not end: " + process.output());
  return {*code, process.output()};
}

bool is_installed(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

int free_port() {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    fail("no free port");
  }
  close(fd);
  return ntohs(address.sin_port);
}

bool eventually(const std::function<bool()>& is_true, std::chrono::milliseconds patience) {
  auto end = std::chrono::steady_clock::now() + patience;
  while (!is_true()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

TempDir::TempDir() : path_(kTempPrefix + std::to_string(getpid()) + "-XXXXXX") {
  [[maybe_unused]] static const bool swept = sweep_dead();
  if (mkdtemp(path_.data()) == nullptr) fail("mkdtemp");
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void TempDir::give_to(const std::string& user) const {
  if (geteuid() != 0) return;
  passwd owner = lookup(user);
  if (chown(path_.c_str(), owner.pw_uid, owner.pw_gid) != 0) fail("chown " + path_);
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << content;
  if (!out.flush()) fail("write " + path);
}

}  // namespace davy::lab
