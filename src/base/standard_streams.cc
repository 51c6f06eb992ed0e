// SPDX-License-Identifier: MIT
// base/standard_streams.cc: fills gaps among the standard descriptors.
#include "base/standard_streams.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace etlnode {

void standard_streams_fill_gaps()
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        // open() returns the lowest free number, which is this one: the lower ones are open by now.
        int made = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        if (made != fd)
            std::abort();
    }
}

} // namespace etlnode
