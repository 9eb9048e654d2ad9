#include "app/cli/look.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <cstdlib>

#include "base/text.h"

namespace davy::app {
namespace {

Look look_of(int fd) {
  Look look;
  if (isatty(fd) != 1) return look;
  look.is_terminal = true;
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) look.columns = size.ws_col;
  const char* no_colour = std::getenv("NO_COLOR");
  look.colour = no_colour == nullptr || *no_colour == '\0';
  return look;
}

}  // namespace

Look look_of_stdout() {
  return look_of(STDOUT_FILENO);
}

Look look_of_stderr() {
  return look_of(STDERR_FILENO);
}

std::string wrapped(std::string_view label, std::string_view words, std::size_t columns) {
  std::string out(label);
  std::size_t at = label.size();
  bool is_first = true;
  for (std::string_view word : text::split(words, ' ')) {
    bool fits = is_first || at + 1 + word.size() <= columns;
    if (!fits) {
      out += "\n" + std::string(label.size(), ' ');
      at = label.size();
    } else if (!is_first) {
      out += " ";
      ++at;
    }
    out += word;
    at += word.size();
    is_first = false;
  }
  return out + "\n";
}

}  // namespace davy::app
