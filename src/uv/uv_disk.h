// SPDX-License-Identifier: MIT
// uv/uv_disk.h: what the network needs of files: their descriptor, and content brought into memory before it is sent.
//
// sendfile from content that is not in the page cache would hold the loop until the disk has answered. So a connection asks first; cold
// content is read on the thread pool, and the connection's writable side counts as not ready meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>

#include "uv/uv_world.h"

struct uv_job_prefetch;

bool uv_file_is_warm(disk_file &file, uint64_t offset, size_t size);
// Calls uv_prefetch_finished(conn) later, unless detached. The file may be closed meanwhile.
uv_job_prefetch *uv_prefetch_start(disk_file &file, uint64_t offset, size_t size, net_conn *conn);
void uv_prefetch_detach(uv_job_prefetch *prefetch);
