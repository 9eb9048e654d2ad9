#include "health/agent_word.h"

#include <algorithm>

#include "health/roles.h"

namespace davy::health {

std::string agent_word(const Board& board) {
  if (board.draining) return "drain";
  const RoleView& readiness = board.roles[static_cast<std::size_t>(Role::Readiness)];
  if (readiness.ok) return "ready up 100%";
  std::string why = readiness.reason;
  for (const CheckView& check : board.checks) {
    if (check.name == why && !check.reason.empty()) why += ": " + check.reason;
  }
  // One line, and the reason ends at the first character that HAProxy would take for another word.
  std::replace_if(
      why.begin(), why.end(), [](unsigned char c) { return c < ' ' || c == ','; }, ';');
  return "down#" + why;
}

}  // namespace davy::health
