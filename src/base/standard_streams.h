// SPDX-License-Identifier: MIT
// base/standard_streams.h: makes sure that the three standard descriptors are open.
#pragma once

namespace etlnode {

// Opens /dev/null for each standard descriptor that is closed. Otherwise a file or socket of the program would get its number and receive
// whatever is printed. Reading or writing in the direction that was closed still fails with EBADF. Call this first in main.
void standard_streams_fill_gaps();

} // namespace etlnode
