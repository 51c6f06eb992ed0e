// SPDX-License-Identifier: MIT
// kubectl_local/print.h: pods as kubectl prints them: tables, JSON with sorted keys, YAML, names, templates.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace etlnode::kubectl_local {

enum class output_kind : uint8_t { table, wide, json, yaml, name, go_template, jsonpath };

struct output_format {
    output_kind kind = output_kind::table;
    std::string expression; // of a template
};

// "" is the table. False: not one of the formats; `out_text` is kubectl's message.
bool print_parse_format(std::string_view text, std::string_view template_text, output_format &out_format, std::string &out_text);

// Four spaces an indent and keys in order, as kubectl prints; newline at the end.
std::string print_json(const cJSON *tree);
// "35s", "4m12s", "3h", "2d5h": Kubernetes' way of telling an age.
std::string print_age(uint64_t seconds);

struct pod_row {
    std::string name, ready, status, restarts, age, ip, node;
};
pod_row print_pod_row(const cJSON *pod, time_t now);

// Columns as wide as their widest cell and three more; `widths` is kept from call to call, for a watch.
struct table {
    std::vector<size_t> widths;
};
std::string print_rows(table &t, const std::vector<std::vector<std::string>> &rows);
// The column SANDBOX, last: in wide tables, and in all where a pod runs without one.
std::vector<std::string> print_pod_header(bool wide, bool with_namespace, bool with_sandbox = false);
std::vector<std::string> print_pod_cells(const cJSON *pod, bool wide, bool with_namespace, time_t now, bool with_sandbox = false);

// {{.a.b}} in a Go template, {.a.b[0].c} in a jsonpath: paths only. False: something else stands in the expression.
bool print_template(const cJSON *object, const output_format &format, std::string &out_result, std::string &out_text);

} // namespace etlnode::kubectl_local
