// Look: how a command draws on whoever reads its output: a terminal, or a pipe.
//
// Threading: pure; look_of_stdout and look_of_stderr ask the kernel and the environment.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace davy::app {

struct Look {
  std::size_t columns = 80;
  bool colour = false;
  bool is_terminal = false;
};

Look look_of_stdout();
/// For what goes beside the result, which may be in a file.
Look look_of_stderr();

/// Broken at spaces to fit `columns`; every line after the first is indented as far as `label` is
/// long. Ends with a line break.
std::string wrapped(std::string_view label, std::string_view words, std::size_t columns);

}  // namespace davy::app
