// SPDX-License-Identifier: MIT
// job/promote_order.h: which files of targets become objects, and under which names. Pure.
//
// Options: "src", an absolute path on the targets; "obj", a name or a prefix; "rcr" folders in it as well; "ovw" replace objects; "dls"
// remove files once they are objects; "at" only this target; "shared" all targets see the same files, so each takes those it owns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace etlnode {

inline constexpr const char *promote_kind = "promote";

struct promote_order {
    std::string source;
    std::string name; // given; without a / at its end
    std::string at;   // a target's id; empty: all
    bool is_recursive = false, overwrites = false, removes = false, is_shared = false;
};

// What is wrong with the options; empty: nothing.
std::string promote_order_read(const cJSON *options, promote_order &out_order);
// The object of a file, as AIStore names it. `path`: of the file below the folder that is promoted; empty: the source itself is the file.
std::string promote_name(const promote_order &order, std::string_view path);
// Which of the allowed folders the source is in; `out_path` is the rest. Null: none, or the path is not plain.
const std::string *promote_find_root(const std::vector<std::string> &roots, std::string_view source, std::string &out_path);

} // namespace etlnode
