// SPDX-License-Identifier: MIT
// base/check.cc: prints what failed, dumps the trace ring, aborts.
#include "base/check.h"

#include <cstdio>
#include <cstdlib>

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
    std::fprintf(stderr, "panic: %s:%d: CHECK(%s) failed\n", file, line, what);
    die();
}

void panic(const char *what)
{
    std::fprintf(stderr, "panic: %s\n", what);
    die();
}
