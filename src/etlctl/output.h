// SPDX-License-Identifier: MIT
// etlctl/output.h: lists and single things as table, wide, json, jsonl, yaml or name. Everything is made of one JSON item a thing.
//
// The keys of the items are the program's contract with scripts: they are never renamed; sizes are bytes, times RFC 3339, a value
// that is not known is null, a list is always an array. Lists stream: a table takes its column widths from the first flush.
#pragma once

#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace etlnode::etlctl {

inline constexpr const char *output_api_version = "etlnode/v1";

enum class output_format : uint8_t { table, wide, json, jsonl, yaml, name };
inline constexpr std::string_view output_format_names[] = {"table", "wide", "json", "jsonl", "yaml", "name"};

bool output_parse_format(std::string_view text, output_format &out_format);

enum class cell_kind : uint8_t { text, bytes, count, seconds };

struct column {
    const char *header;
    const char *key; // of the item; "checksum.value" goes one deeper
    cell_kind kind;
    bool wide; // shown with -o wide (and for single things always)
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
    std::string sort_by; // header or key, any case; the whole list is kept until the end
    json_ptr beside;     // an object, or null: its members stand beside the items in json and yaml

    // The printer's own.
    std::vector<json_ptr> pending;
    std::vector<size_t> widths;
    bool header_done = false;
    bool opened = false;
    size_t count = 0;
};

// False when sort_by is no column; `out_why` names those there are.
bool list_check(const list_printer &list, std::string &out_why);
void list_add(list_printer &list, json_ptr item);
// Prints what can be printed already; call it between pages.
void list_flush(list_printer &list);
// The rest, and the end of JSON. A table without rows prints its header only.
void list_end(list_printer &list);

// One thing. In a table: one "Name:  value" line a column; keys that no column shows are left out.
void item_print(
    FILE *out, output_format format, const char *kind, std::span<const column> columns, const char *name_key, const cJSON *item);

// The text of a cell: "-" for what is null, absent or empty.
std::string output_cell(const cJSON *item, const column &c);

// Null when the text is empty.
void output_add_text(cJSON *item, const char *key, std::string_view text);

} // namespace etlnode::etlctl
