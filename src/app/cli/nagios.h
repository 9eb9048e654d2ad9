// Nagios: a check's outcome as a Nagios plugin says it (Monitoring Plugins' development
// guidelines).
//
// "DB OK - answered | 'time'=0.0021s;0.5;1": one line, 4 KiB at most; exit codes 0 ok, 1 warning,
// 2 critical, 3 unknown. Threading: pure.
#pragma once

#include <string>

#include "config/config.h"
#include "davy/probe.h"

namespace davy::app {

std::string nagios_line(const config::Check& check, const Outcome& seen);
int nagios_code(Outcome::Kind kind);

}  // namespace davy::app
