// SPDX-License-Identifier: MIT
// role/target/members.h: objects, parts of objects and members of archives, wherever they lie, as sources. For archives and batches.
#pragma once

#include <string>

#include "object/source.h"
#include "role/target/target.h"

namespace etlnode {

struct member_wish {
    std::string bucket, name;
    std::string archpath = {}; // a member of that object; empty: the object itself
    uint64_t start = 0;
    uint64_t length = UINT64_MAX; // at most so many bytes of the object
    bool only_size = false;       // the source is empty
};

struct member_question;
// Once, later. err: 400, 404 or what else a client would get, and `text` says why. The size is always known, and the source gives so many.
using member_on_open = void (*)(void *arg, error err, const std::string &text, source from, uint64_t size);
member_question *target_open_member(target &t, member_wish wish, member_on_open on_open, void *arg);
// on_open is not called any more.
void target_cancel_member(member_question *question);

} // namespace etlnode
