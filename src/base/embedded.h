// Files that the build puts into the binary, so that one binary is enough.
//
// Threading: immutable.
#pragma once

#include <string_view>
#include <vector>

namespace davy::embedded {

struct File {
  std::string_view name;  // the file's name without its extension
  std::string_view content;
};

/// config/presets/*.yaml
const std::vector<File>& presets();

}  // namespace davy::embedded
