// SPDX-License-Identifier: MIT
// sm/sm.cc: reports machines that break their table's rules.
#include "sm/sm.h"

#include "base/log.h"
#include "base/text.h"

namespace etlnode {

static bool strict_mode = false;

void sm_set_strict(bool strict) { strict_mode = strict; }

void sm_broken(const char *machine, uint64_t id, const char *state, const char *what, const char *detail)
{
    log_plain(log_level::error, "sm",
        text_format("state machine %s/%llu in state %s: %s: %s", machine, static_cast<unsigned long long>(id), state, what, detail));
    sm_trace_dump_of(machine, id);
    panic("a state machine broke its table's promise");
}

void sm_unexpected(const char *machine, uint64_t id, const char *state, const char *event)
{
    if (strict_mode)
        sm_broken(machine, id, state, "unexpected event", event);
    LOG(error, "sm", "machine=%s/%llu state=%s event=%s msg=\"unexpected event, the machine is stopped\"", machine,
        static_cast<unsigned long long>(id), state, event);
    sm_trace_dump_of(machine, id);
}

} // namespace etlnode
