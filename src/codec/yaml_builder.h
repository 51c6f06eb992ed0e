// SPDX-License-Identifier: MIT
// codec/yaml_builder.h: a tree of YAML nodes while it is being read, from libyaml's events (yaml.cc) or from JSON (yaml_of_json.cc).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <yaml.h>

#include "base/error.h"
#include "codec/yaml.h"

namespace etlnode {

// The node that an anchor names. Nodes do not move until the end of the parse; see yaml_builder.replaced.
struct yaml_anchor {
    const yaml_node *node = nullptr;
    bool finished = false; // an alias to an unfinished node would make the node contain itself
};

struct yaml_frame {
    yaml_node *node = nullptr;
    yaml_ptr key = {}; // in a mapping: the key whose value comes next
    yaml_anchor *named = nullptr;
};

struct yaml_builder {
    std::string_view text;
    std::string *where = nullptr;
    yaml_ptr root = {};   // of the current document
    yaml_ptr result = {}; // the one document with content
    std::vector<yaml_frame> stack = {};
    std::map<std::string, yaml_anchor, std::less<>> anchors = {};
    std::vector<yaml_ptr> replaced = {}; // values that a merge replaced or read; kept because an anchor may still point to them
    size_t node_count = 0;
    size_t alias_count = 0;
    size_t text_size = 0;
    yaml_mark_t document_start = {};
};

// Writes "line L, column C: problem" to *b.where, and returns bad_spec.
error yaml_refuse_at(yaml_builder &b, size_t line, size_t column, std::string_view problem);
// Counts a node and its text before any memory is used for them.
error yaml_count_node(yaml_builder &b, size_t line, size_t column, size_t text_size);
// Refuses two equal keys of a mapping, compared by their names in JSON.
error yaml_check_duplicates(yaml_builder &b, const yaml_node &mapping);
// Reads the builder's text as JSON. `out_is_json`: the JSON reader accepted it, so a failure is final.
error yaml_build_json(yaml_builder &b, bool &out_is_json);

} // namespace etlnode
