#include "app/cli/look.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <cstdlib>

#include "base/text.h"

namespace davy::app {

Look look_of_stdout() {
  Look look;
  if (isatty(STDOUT_FILENO) != 1) return look;
  look.is_terminal = true;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) look.columns = size.ws_col;
  const char* no_colour = std::getenv("NO_COLOR");
  look.colour = no_colour == nullptr || *no_colour == '\0';
  return look;
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
