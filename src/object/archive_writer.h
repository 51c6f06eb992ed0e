// SPDX-License-Identifier: MIT
// object/archive_writer.h: an archive as a source, made of members as it is read: .tar, .tgz, .tar.gz, .zip, .tar.lz4.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/open_count.h"
#include "object/source.h"
#include "port/env.h"

namespace etlnode {

// Whether such archives can be made: ".tar" and so on; with a leading name or without.
bool archive_can_make(std::string_view mime);

struct archive_writer;
struct archive_writer_options {
    std::string mime;
    uint64_t patience_ms = 0; // how long a member may take to come
    // Asks for the next member: one of archive_give, _end and _fail must follow once, perhaps before this returns, but not after on_closed.
    void (*next)(void *arg, archive_writer &w) = nullptr;
    void (*on_closed)(void *arg) = nullptr; // once: nothing is asked for any more
    void *arg = nullptr;                    // of both
    open_count *at_work = nullptr;          // what the thread pool owes, also after source_close
};
// Requires: archive_can_make.
source archive_writer_source(env &e, archive_writer_options options);
// `from` must give exactly `size` bytes. The time of all members is the same, so equal members make equal archives.
void archive_give(archive_writer &w, std::string_view path, uint64_t size, source from);
void archive_end(archive_writer &w);
void archive_fail(archive_writer &w, error err);

// The bytes of a tar before the content of one member.
std::string archive_tar_header(std::string_view path, uint64_t size);

} // namespace etlnode
