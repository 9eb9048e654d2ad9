// Agent word: what HAProxy's agent-check wants to hear, of the same states as everything else.
//
// Why: an agent's `down` can only be undone by the agent, and its silence changes nothing (HAProxy
// configuration manual, `agent-check`), so the word for "well" is always said in full: `ready up
// 100%`. Threading: pure.
#pragma once

#include <string>

#include "davy/board.h"

namespace davy::health {

/// "ready up 100%", "drain", "down#db: timeout"; without an end of line.
std::string agent_word(const Board& board);

}  // namespace davy::health
