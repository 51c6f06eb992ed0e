// SPDX-License-Identifier: MIT
// etlctl/output.h: prints lists and single items as table, wide, json, jsonl, yaml, name or jsonpath. Every item is one JSON object.
//
// The keys of the items are the program's contract with scripts, so they are never renamed. Sizes are bytes, times are RFC 3339, an unknown
// value is null, and a list is always an array. Lists stream: a table takes its column widths from the first flush.
#pragma once

#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace etlnode::etlctl {

inline constexpr const char *output_api_version = "etlnode/v1";

enum class output_format : uint8_t { table, wide, json, jsonl, yaml, name, jsonpath };
inline constexpr std::string_view output_format_names[] = {"table", "wide", "json", "jsonl", "yaml", "name", "jsonpath="};

// "json", or "jsonpath=TEMPLATE", where `out_format` is set even if the template is wrong; then `out_why` says why.
bool output_parse_format(std::string_view text, output_format &out_format, std::string &out_why);

enum class cell_kind : uint8_t { text, bytes, count, seconds };

struct column {
    const char *header;
    const char *key; // key in the item; "checksum.value" goes one level deeper
    cell_kind kind;
    bool wide; // shown only with -o wide (single items show it always)
};

struct list_printer {
    // Set by the caller.
    FILE *out = nullptr;
    output_format format = output_format::table;
    const char *kind = ""; // "Object"; the list is an "ObjectList"
    std::span<const column> columns;
    const char *name_key = "name";
    bool no_headers = false;
    bool null_separated = false;
    std::string sort_by; // header or key, in any case; sorting keeps the whole list in memory until the end
    json_ptr siblings;   // an object or null: json and yaml print its members next to the items

    // Private to the printer.
    std::vector<json_ptr> pending;
    std::vector<size_t> widths;
    bool header_done = false;
    bool opened = false;
    size_t count = 0;
};

// False when sort_by is not a column; `out_why` then names the columns.
bool list_check(const list_printer &list, std::string &out_why);
void list_add(list_printer &list, json_ptr item);
// Prints what can already be printed. Call it between pages.
void list_flush(list_printer &list);
// Prints the rest, and the end of the JSON. A table without rows has only its header.
void list_end(list_printer &list);

// Prints a single item. A table has one "Name:  value" line per column, and leaves out keys without a column.
void item_print(
    FILE *out, output_format format, const char *kind, std::span<const column> columns, const char *name_key, const cJSON *item);

// The text of a cell: "-" for null, absent or empty values.
std::string output_cell(const cJSON *item, const column &c);

// Adds the text, or null if it is empty.
void output_add_text(cJSON *item, const char *key, std::string_view text);

} // namespace etlnode::etlctl
