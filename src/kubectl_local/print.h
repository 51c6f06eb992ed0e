// SPDX-License-Identifier: MIT
// kubectl_local/print.h: prints pods as kubectl does: tables, JSON with sorted keys, YAML, names, templates.
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

// "" selects the table. False if it is not a known format; `out_text` is then kubectl's message.
bool print_parse_format(std::string_view text, std::string_view template_text, output_format &out_format, std::string &out_text);

// Indents by four spaces and sorts keys like kubectl. Ends with a newline.
std::string print_json(const cJSON *tree);
// An age in Kubernetes' form: "35s", "4m12s", "3h", "2d5h".
std::string print_age(uint64_t seconds);

struct pod_row {
    std::string name, ready, status, restarts, age, ip, node;
};
pod_row print_pod_row(const cJSON *pod, time_t now);

// Columns are three characters wider than their widest cell. A watch keeps `widths` between calls.
struct table {
    std::vector<size_t> widths;
};
std::string print_rows(table &t, const std::vector<std::vector<std::string>> &rows);
// The column SANDBOX comes last: in wide tables, and in all tables with an unsandboxed pod.
std::vector<std::string> print_pod_header(bool wide, bool with_namespace, bool with_sandbox = false);
std::vector<std::string> print_pod_cells(const cJSON *pod, bool wide, bool with_namespace, time_t now, bool with_sandbox = false);

// {{.a.b}} in a Go template, {.a.b[0].c} in a jsonpath: only paths are supported. False for any other expression.
bool print_template(const cJSON *object, const output_format &format, std::string &out_result, std::string &out_text);

} // namespace etlnode::kubectl_local
