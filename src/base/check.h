// SPDX-License-Identifier: MIT
// base/check.h: programmer errors stop the process, in release builds too.
#pragma once

// CHECK guards our own promises. Input from outside is never CHECKed; it is refused with an error.
#define CHECK(cond) ((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__))

namespace etlnode {

[[noreturn]] void check_failed(const char *what, const char *file, int line);

// Prints `what`, runs the dump hook and aborts.
[[noreturn]] void panic(const char *what);

// `dump` is called once before abort (the trace ring registers itself here). Not reentrant.
void check_set_dump(void (*dump)());

} // namespace etlnode
