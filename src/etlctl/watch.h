// SPDX-License-Identifier: MIT
// etlctl/watch.h: --watch: the same list again and again, until Ctrl-C.
#pragma once

#include "etlctl/session.h"

namespace etlnode::etlctl {

// Runs the command every two seconds. On a terminal its output is redrawn in place; elsewhere it is printed again when it has changed.
// A failure that may pass is printed and does not end it, unless it is the first run.
exit_code watch_run(session &s, exit_code (*run)(session &s));

} // namespace etlnode::etlctl
