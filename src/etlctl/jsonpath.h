// SPDX-License-Identifier: MIT
// etlctl/jsonpath.h: kubectl's templates for -o jsonpath=. Pure.
//
// Text stands for itself, and {PATH} for the values that it leads to, with a space between them. A path has the steps .name, ['name'],
// [N] and [-N], [FROM:TO:STEP], [N,M], [*] or .*, ..name, and [?(@.name OP VALUE)] with ==, !=, <, <=, >, >= or no OP, which asks whether
// it is there. {"\n"} is text with escapes; {range PATH}...{end} repeats what is in it for each value, with paths that begin there.
// A template without braces is one path. A name that is missing leads to nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace etlnode::etlctl {

enum class path_step_kind : uint8_t { names, all, indices, slice, recursive, filter };
enum class path_operator : uint8_t { exists, equal, unequal, less, less_or_equal, greater, greater_or_equal };

struct path_step {
    path_step_kind kind = path_step_kind::names;
    std::vector<std::string> names;
    std::vector<int64_t> indices;
    bool has_from = false;
    bool has_to = false;
    int64_t from = 0;
    int64_t to = 0;
    int64_t stride = 1;
    std::vector<path_step> left; // of a filter, from the element on
    path_operator how = path_operator::exists;
    json_ptr right;
};

enum class template_part_kind : uint8_t { text, path, range };

struct template_part {
    template_part_kind kind = template_part_kind::text;
    std::string text;
    bool from_root = false; // "$": from the whole document, also inside a range
    std::vector<path_step> path;
    std::vector<template_part> body;
};

struct jsonpath {
    std::vector<template_part> parts;
};

// False with a reason, and where.
bool jsonpath_parse(std::string_view text, jsonpath &out_path, std::string &out_why);
std::string jsonpath_print(const jsonpath &path, const cJSON *document);

} // namespace etlnode::etlctl
