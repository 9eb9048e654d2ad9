// Exec: a command of your own says how things are, by its exit code.
//
// Fails on: an exit code other than 0 (or as Nagios counts them), no end before the deadline.
// Starts the command without a shell, in a session of its own, with nothing on stdin and only the
// environment that is asked for. Reads what it says, up to 4 KiB; the first lines are the message.
// Nothing that it starts outlives the run, wherever it hides: the helper process in which this runs
// is the subreaper of all its descendants, and kills them when the command ends, at the deadline,
// and when davy dies.

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "base/descriptor.h"
#include "base/family.h"
#include "base/perfdata.h"
#include "base/text.h"
#include "davy/probe.h"

namespace davy::probe {
namespace {

constexpr std::size_t kMostOutput = 4096;  // kept; more is read and thrown away
constexpr std::size_t kMostLines = 3;      // in the message
constexpr Duration kKillPatience = std::chrono::seconds(1);
constexpr int kParentDied = SIGUSR1;  // as helpers ask the kernel for, see base/helpers.cpp
constexpr int kLookAgainMs = 20;      // when there is no pidfd

struct Command {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // NAME=value
  std::string directory;
  bool is_nagios = false;
};

/// One stream of the command: what it has said so far.
class Stream {
 public:
  Stream() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    ours_ = Descriptor(ends[0]);
    theirs_ = Descriptor(ends[1]);
    fcntl(ours_.fd(), F_SETFL, O_NONBLOCK);
  }
  int fd() const { return ours_.fd(); }
  int other_end() const { return theirs_.fd(); }
  void close_other_end() { theirs_.reset(); }
  const std::string& text() const { return text_; }

  /// Takes what is there now, but no more than a pipe holds: a writer may be faster than we are.
  void read_some() {
    constexpr int kMostReads = 16;
    char buffer[4096];
    for (int i = 0; i < kMostReads && ours_; ++i) {
      ssize_t n = read(ours_.fd(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return;
      if (n == 0) return ours_.reset();
      text_.append(buffer, std::min(static_cast<std::size_t>(n), kMostOutput - text_.size()));
    }
  }

 private:
  Descriptor ours_;
  Descriptor theirs_;
  std::string text_;
};

/// While it lives, the death of our parent is something to poll for and not our end.
class ParentWatch {
 public:
  ParentWatch() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, kParentDied);
    pthread_sigmask(SIG_BLOCK, &set, &before_);
    death_ = Descriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~ParentWatch() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  ParentWatch(const ParentWatch&) = delete;
  ParentWatch& operator=(const ParentWatch&) = delete;
  int fd() const { return death_.fd(); }

 private:
  sigset_t before_{};
  Descriptor death_;
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> all;
  for (const std::string& s : strings) all.push_back(const_cast<char*>(s.c_str()));
  all.push_back(nullptr);
  return all;
}

/// 0, or why it could not be started.
int start(const Command& command, const Stream& out, const Stream& err, pid_t& pid) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, out.other_end(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, err.other_end(), STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  posix_spawn_file_actions_addchdir_np(&files, command.directory.c_str());
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t set;
  sigemptyset(&set);
  posix_spawnattr_setsigmask(&attributes, &set);
  sigfillset(&set);
  posix_spawnattr_setsigdefault(&attributes, &set);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  int code = posix_spawnp(&pid, command.argv[0].c_str(), &files, &attributes,
                          pointers(command.argv).data(), pointers(command.environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return code;
}

/// The exit status once it has ended; nothing at the deadline, and when our parent is gone.
std::optional<int> wait_for(pid_t pid, Stream& out, Stream& err, int parent_death,
                            Deadline deadline) {
  Descriptor ended(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  while (true) {
    int status = 0;
    if (waitpid(pid, &status, WNOHANG) == pid) return status;
    if (deadline.expired()) return std::nullopt;
    pollfd waiting[] = {{out.fd(), POLLIN, 0},
                        {err.fd(), POLLIN, 0},
                        {ended.fd(), POLLIN, 0},
                        {parent_death, POLLIN, 0}};
    auto patience =
        std::min<std::int64_t>(deadline.left_ms().count(), ended ? 60'000 : kLookAgainMs);
    if (poll(waiting, 4, static_cast<int>(patience)) < 0) continue;
    if (waiting[3].revents != 0) return std::nullopt;
    out.read_some();
    err.read_some();
  }
}

/// Ends all that the command has started, also what has left its session, and reaps it.
bool end_everything() {
  bool all_gone = family::end_descendants(getpid(), Deadline::in(kKillPatience));
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  return all_gone;
}

/// The first lines as one, without control characters.
std::string first_lines(std::string_view text) {
  std::vector<std::string> lines;
  for (std::string_view line : text::split(text, '\n')) {
    std::string clean = text::valid_utf8(text::trim(line));
    std::replace_if(
        clean.begin(), clean.end(),
        [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
    if (!clean.empty()) lines.push_back(std::move(clean));
    if (lines.size() == kMostLines) break;
  }
  return text::join(lines, " / ");
}

struct Exec final : Probe {
  explicit Exec(Command command) : command_(std::move(command)) {}

  Outcome run(const ProbeContext& ctx) override {
    Step step(ctx, "run");
    ParentWatch parent;
    Stream out;
    Stream err;
    if (out.fd() < 0 || err.fd() < 0) return not_started(errno);
    pid_t pid = -1;
    if (int code = start(command_, out, err, pid); code != 0) return not_started(code);
    out.close_other_end();
    err.close_other_end();
    Time began = machine_clock().now();
    std::optional<int> status = wait_for(pid, out, err, parent.fd(), ctx.deadline);
    double took = seconds(machine_clock().now() - began);
    // Not until the end of the streams: whoever was left behind may hold them open.
    bool all_gone = end_everything();
    out.read_some();
    err.read_some();
    if (!status) return timed_out(first_lines(said(out, err)), all_gone);
    Outcome outcome = judge(*status, out, err);
    if (outcome.unit.empty()) return std::move(outcome).measured(took, "s");
    return outcome;
  }

 private:
  static const std::string& said(const Stream& out, const Stream& err) {
    return text::trim(out.text()).empty() ? err.text() : out.text();
  }

  Outcome judge(int status, const Stream& out, const Stream& err) const {
    std::string_view text = said(out, err);
    std::vector<Measurement> numbers;
    if (command_.is_nagios) {
      std::string_view first = text.substr(0, text.find('\n'));
      if (std::size_t bar = first.find('|'); bar != std::string_view::npos) {
        numbers = perfdata::parse(first.substr(bar + 1));
        text = first.substr(0, bar);
      }
    }
    Outcome outcome = by_status(status, first_lines(text));
    if (!numbers.empty()) {
      outcome.value = numbers[0].value;
      outcome.unit = numbers[0].unit;
      outcome.also = std::move(numbers);
    }
    return outcome;
  }

  Outcome by_status(int status, const std::string& says) const {
    std::string what = says.empty() ? "" : ": " + says;
    if (WIFSIGNALED(status)) {
      std::string message =
          fmt::format("{} was killed by signal {}{}", command_.argv[0], WTERMSIG(status), what);
      return command_.is_nagios ? Outcome::unable("signal", message)
                                : Outcome::failed("signal", message);
    }
    int code = WEXITSTATUS(status);
    std::string message = fmt::format("{} ended with code {}{}", command_.argv[0], code, what);
    if (code == 0) return Outcome::passed(says);
    if (!command_.is_nagios || code == 2) return Outcome::failed("exit_code", message);
    if (code == 1) return Outcome::warned("exit_code", message);
    return Outcome::unable("unknown", message);
  }

  Outcome timed_out(const std::string& says, bool all_gone) const {
    std::string message = command_.argv[0] +
                          " did not end in time and was killed with all that it "
                          "had started";
    if (!all_gone) message += " (some of it does not die: uninterruptible sleep)";
    return Outcome::failed("timeout",
                           says.empty() ? message : message + ", after it said: " + says);
  }

  Outcome not_started(int code) const {
    std::string why = std::system_category().message(code);
    if (code == EAGAIN || code == ENOMEM || code == EMFILE || code == ENFILE)
      return Outcome::unable("resources", "cannot start " + command_.argv[0] + ": " + why);
    struct stat directory {};
    if (stat(command_.directory.c_str(), &directory) != 0 || !S_ISDIR(directory.st_mode))
      return Outcome::unable("not_started", "directory " + command_.directory + " does not exist");
    return Outcome::unable("not_started", "cannot start " + command_.argv[0] + ": " + why);
  }

  const Command command_;
};

Result<std::vector<std::string>> environment(const std::vector<std::string>& wanted) {
  std::vector<std::string> all;
  auto is_path = [](const std::string& item) {
    return item == "PATH" || item.starts_with("PATH=");
  };
  std::vector<std::string> items = wanted;
  if (std::none_of(items.begin(), items.end(), is_path)) items.emplace_back("PATH");
  for (const std::string& item : items) {
    if (item.empty() || item[0] == '=')
      return Error{"an entry is empty (try NAME, or NAME=value)", "env"};
    if (item.find('=') != std::string::npos) {
      all.push_back(item);
    } else if (const char* value = std::getenv(item.c_str())) {
      all.push_back(item + "=" + value);
    }
  }
  return all;
}

Result<std::unique_ptr<Probe>> make(const Options& options) {
  Command command{.argv = options.list("command"),
                  .directory = options.text("directory"),
                  .is_nagios = options.text("exit_codes") == "nagios"};
  if (command.argv.empty() || command.argv[0].empty())
    return Error{"no program is named (try [\"/usr/bin/program\", \"argument\"])", "command"};
  const std::string& program = command.argv[0];
  if (program[0] != '/' && program.find_first_of("/ ") != std::string::npos) {
    return Error{text::quoted(program) +
                     " is neither an absolute path nor a program's name: there is no shell, each "
                     "argument is an item of the list",
                 "command"};
  }
  Result<std::vector<std::string>> its_environment =
      environment(options.has("env") ? options.list("env") : std::vector<std::string>());
  if (!its_environment) return its_environment.error();
  command.environment = *std::move(its_environment);
  return std::unique_ptr<Probe>(new Exec(std::move(command)));
}

}  // namespace

extern const ProbeKind exec{
    .name = "exec",
    .summary =
        "A command of your own says how things are, by its exit code and its first lines. "
        "Nothing that it starts outlives the run.",
    .reach = ProbeKind::Reach::Local,
    .options =
        {
            {"command", OptionType::TextList, kRequired, "",
             "the program and its arguments, one item each; no shell"},
            {"exit_codes",
             OptionType::Choice,
             kOptional,
             "zero",
             "zero: 0 passes and all others fail; nagios: 1 warns, 2 fails, others are unknown, "
             "and numbers behind a | in the first line are read",
             {"zero", "nagios"}},
            {"env", OptionType::TextList, kOptional, "",
             "the environment: NAME is passed on from davy's own, NAME=value is set; PATH always, "
             "nothing else by itself"},
            {"directory", OptionType::Path, kOptional, "/", "where it runs"},
        },
    .example = "{ command: [/usr/bin/test, -e, /run/app/ready] }",
    .reasons =
        {
            {"exit_code", "its exit code says so; the message is what it printed"},
            {"timeout", "it did not end in time and was killed"},
            {"signal", "a signal ended it: a crash, or the kernel for want of memory"},
            {"unknown", "nagios: an exit code above 2: the command could not tell"},
            {"not_started", "there is no such program, it is not executable, or no such directory"},
            {"resources", "davy's own limits of processes, descriptors or memory"},
        },
    .runner = ProbeKind::Runner::Helper,
    .make = make,
};

}  // namespace davy::probe
