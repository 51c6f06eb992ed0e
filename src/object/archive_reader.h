// SPDX-License-Identifier: MIT
// object/archive_reader.h: the members of an archive, one after the other: tar, also gzip or LZ4 compressed, and zip.
//
// What a member expands to is limited, and names that leave the archive's folder are refused, so that no archive harms its reader.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/open_count.h"
#include "object/source.h"
#include "port/env.h"
#include "store/store.h"

namespace etlnode {

// Whether an object's name is that of an archive: .tar, .tgz, .tar.gz, .zip, .tar.lz4.
bool archive_is_name(std::string_view object_name);
// Why a member's name is refused: it is absolute or has "..". Null: it is not.
const char *archive_check_member(std::string_view path);
// The path without a leading "./", which `tar c .` writes and nobody means.
std::string_view archive_plain_path(std::string_view path);

struct archive_member {
    std::string path;
    uint64_t size = 0;
    bool has_size = false; // a zip may not say it
};

// Which members are wanted; called off the loop. `arg` must not change meanwhile.
using archive_wants = bool (*)(const void *arg, std::string_view path);

struct archive_reader;
// Takes over the hold of `object`. `at_disk` counts what the disk owes, also after archive_close.
archive_reader *archive_open(env &e, store &objects, const store_object *object, open_count &at_disk);
// Goes to the next wanted member that is a file. Completes once: null: there is none any more. `why`: in words for the client, lifetime
// the call; bad_request: it is no archive, is damaged, expands to too much, or a wanted member is no file; corrupt, io: of the content of
// the object.
using archive_on_member = void (*)(void *arg, error err, std::string_view why, const archive_member *member);
void archive_next(archive_reader &r, archive_wants wants, const void *wants_arg, archive_on_member on_member, void *arg);
// Goes through all members that follow. `visit` is called off the loop with each one that archive_next could find; links, folders, devices
// and unsafe names are passed over. Completes once, as archive_next does, with null.
using archive_visit = void (*)(void *arg, const archive_member &member);
void archive_each(archive_reader &r, archive_visit visit, void *visit_arg, archive_on_member on_end, void *arg);
// The content of the member that archive_next found. It ends with `bad_request` as above. archive_next may follow when it is closed; the
// reader must live until then.
source archive_member_source(archive_reader &r, const archive_member &member);
// The same, and the reader is closed with it.
source archive_last_member_source(archive_reader *r, const archive_member &member);
// Why a source of this reader has failed. Lifetime: the reader's.
std::string_view archive_why(const archive_reader &r);
// What is under way ends soon, with `canceled`.
void archive_stop(archive_reader &r);
// Nothing of it calls back any more, but a step under way may still look at members (archive_wants).
void archive_close(archive_reader *r);

} // namespace etlnode
