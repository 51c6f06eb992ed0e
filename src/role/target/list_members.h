// SPDX-License-Identifier: MIT
// role/target/list_members.h: the members of archives that belong into one page of a list. For list.cc.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "role/target/target.h"

namespace etlnode {

struct list_members;
// Keeps the first `count` names that begin with `prefix` and follow `after`, of all archives that are added.
list_members *list_members_make(target &t, std::string bucket, std::string prefix, std::string after, size_t count);
// Requires: no archive is being added.
void list_members_free(list_members *m);
// Archives that may lie in front of the page and have members in it: their names begin `after` or `prefix`. They need not exist.
std::vector<std::string> list_members_before(const list_members &m);
// Reads the archive to its end. Later on_added, once: false if it is none, is damaged, or cannot be read; then it adds nothing.
using list_on_added = void (*)(void *arg, bool is_archive);
void list_members_add(list_members &m, const std::string &archive, list_on_added on_added, void *arg);
// What is being added ends soon.
void list_members_stop(list_members &m);
// Name, as ARCHIVE/PATH, and size.
std::map<std::string, uint64_t> &list_members_found(list_members &m);
const std::string &list_members_after(const list_members &m);

} // namespace etlnode
