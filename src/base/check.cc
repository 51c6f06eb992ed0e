// SPDX-License-Identifier: MIT
// base/check.cc: prints what failed, dumps the trace ring, aborts.
#include "base/check.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/log.h"

namespace etlnode {

static void (*dump_hook)() = nullptr;

void check_set_dump(void (*dump)()) { dump_hook = dump; }

[[noreturn]] static void die()
{
    void (*dump)() = dump_hook;
    dump_hook = nullptr; // a failing dump must not recurse
    if (dump != nullptr)
        dump();
    std::fflush(stderr);
    std::abort();
}

void check_failed(const char *what, const char *file, int line)
{
    log_plain(log_level::error, "check", "panic: " + std::string(file) + ":" + std::to_string(line) + ": CHECK(" + what + ") failed");
    die();
}

void panic(const char *what)
{
    log_plain(log_level::error, "check", std::string("panic: ") + what);
    die();
}

} // namespace etlnode
