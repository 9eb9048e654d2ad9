// Interpolation: ${NAME}, ${NAME:-default} and ${file:/path} in the values of a raw tree.
//
// Why: on the tree, not on the text: a variable can never add keys, lists or YAML of its own, and
// what came out is never read again.
//   ${NAME}            the environment variable; a problem when it is not set
//   ${NAME:-default}   the default when it is unset or empty
//   ${file:/run/x}     a file's content without its last line break: for secrets
//   $${                a plain ${
// Threading: reads the environment and files; start-up and reload only.
// Failure: problems with the line of the value.
#pragma once

#include "yaml/problems.h"
#include "yaml/read.h"

namespace davy::config {

using yaml::Node;
using yaml::Problems;

/// Replaces `text` of every scalar below `node`; `written` keeps what stands in the file.
void interpolate(Node& node, Problems& problems);

}  // namespace davy::config
