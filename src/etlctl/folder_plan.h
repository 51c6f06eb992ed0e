// SPDX-License-Identifier: MIT
// etlctl/folder_plan.h: what is to be done for a whole folder, one name after the other; nothing is collected.
//
// The files of a folder and the objects of a bucket both come in byte order, so both are gone through at once to compare them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "etlctl/commands.h"
#include "etlctl/folder_files.h"
#include "etlctl/folder_walk.h"
#include "etlctl/glob.h"

namespace etlnode::etlctl {

enum class folder_action : uint8_t { store, read, remove, copy, remove_file };
enum class folder_skip : uint8_t { never, existing, same, same_size };

struct folder_task {
    folder_action action = folder_action::store;
    std::string directory; // on this machine, of `store` and `read`
    std::string bucket;
    std::string prefix;    // objects are `prefix` + name: "" or "a/b/"
    std::string to_bucket; // of `copy`
    std::string to_prefix;
    std::string etl; // of `read`
    std::string etl_query;
    folder_skip skip = folder_skip::never;
    bool deletes_others = false; // what the source does not have
    bool deletes_all = false;    // also if the source has nothing at all
    name_filter filter;
    std::string list_prefix; // only objects whose names begin with this
    bool has_pattern = false;
    glob pattern;                   // of whole names of objects
    bool takes_folders = false;     // a pattern that matches a folder means all that is in it
    std::vector<std::string> files; // store only these, each under the last part of its path
    std::string file_name;          // of the only one, if it gets another name
    std::string names_from;         // a file of names; "-": standard input
};

struct plan_item {
    folder_action action = folder_action::store;
    std::string name = {}; // relative
    std::string path = {}; // of a file, if it is not the name below the directory
    uint64_t size = 0;     // of the object; of a file it is not known yet
};

enum class folder_step : uint8_t {
    item,     // to be done
    skipped,  // is there already
    failed,   // `why`; the item says what
    left_out, // neither file nor object; `why`
    end,
    broken, // the plan cannot go on: `problem`
};

struct listed_object {
    std::string name; // relative to the task's prefix
    uint64_t size = 0;
    std::string checksum;
};

struct folder_plan {
    session *s = nullptr;
    const folder_task *task = nullptr;
    folder_root root; // open if the task has a directory
    folder_walk walk;
    FILE *names = nullptr;
    size_t next_file = 0;

    object_page page;
    const cJSON *entry = nullptr; // the next one of the page
    bool is_listed = false;       // the last page has been read
    bool has_page = false;

    std::string here; // the next file that is merged
    bool has_here = false;
    bool ends_here = false;
    listed_object there; // the next object
    bool has_there = false;
    bool ends_there = false;
    uint64_t source_count = 0;
    bool is_unsure = false; // part of the source could not be read, so nothing behind it may be deleted

    std::string why;
    failure problem;
};

failure plan_begin(session &s, const folder_task &task, folder_plan &out_plan);
folder_step plan_next(folder_plan &plan, plan_item &out_item);
// Adds the objects that it will go through, before the first step. False if they are not known, because the list has several pages.
bool plan_count(folder_plan &plan, uint64_t &in_out_objects, uint64_t &in_out_bytes);
void plan_end(folder_plan &plan);

} // namespace etlnode::etlctl
