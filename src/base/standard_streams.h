// SPDX-License-Identifier: MIT
// base/standard_streams.h: the three standard descriptors of a program.
#pragma once

namespace etlnode {

// Opens /dev/null in the place of each that is closed, so that no file or socket of the program gets its number, and what is printed does not end
// in it. Reading from one that was closed for reading, or writing to one that was closed for writing, fails with EBADF as if it still were. The first thing in main.
void standard_streams_fill_gaps();

} // namespace etlnode
