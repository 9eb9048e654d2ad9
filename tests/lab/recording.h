// A recorded run for tests of the command line.
#pragma once

#include <fmt/format.h>
#include <string>

namespace davy::lab {

/// Blocks of 5 s; `bad` = V2's errors out of 500 requests in each. `extra` = more members:
/// `"weight":0.1,`.
inline std::string recording(int blocks, int bad, const std::string& extra = "") {
  std::string all;
  for (int i = 1; i <= blocks; ++i) {
    all += fmt::format(
        R"({{"t":{},"dt":5,{}"baseline":{{"requests":950,"errors":1}},"canary":{{"requests":500,"errors":{}}}}})"
        "\n",
        i * 5, extra, bad);
  }
  return all;
}

}  // namespace davy::lab
