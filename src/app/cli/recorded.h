// Recorded: a recording with the policy and the stages that it is to be judged by, as the command
// line names them.
//
// Threading: pure. Failure: an Error with one line per problem, each with its file and line.
#pragma once

#include <string>
#include <vector>

#include "config/policy.h"
#include "davy/block.h"
#include "davy/result.h"

namespace davy::app {

struct Recorded {
  std::vector<Block> blocks;  // at least one
  config::Policy policy;
  std::vector<double> stages;
};

/// `file` "-" = standard input; `policy_file` "" = the default policy; `stages` = "5%,25%" or "".
Result<Recorded> read_recorded(const std::string& file, const std::string& policy_file,
                               const std::string& stages);

}  // namespace davy::app
