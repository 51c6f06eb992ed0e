// SPDX-License-Identifier: MIT
// etlctl/output.cc: the output formats.
#include "etlctl/output.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "codec/yaml.h"
#include "etlctl/format.h"
#include "etlctl/jsonpath.h"

namespace etlnode::etlctl {

// The template of -o jsonpath=, one for the whole program; null until it is parsed. Never freed.
static const jsonpath *output_template;

bool output_parse_format(std::string_view text, output_format &out_format, std::string &out_why)
{
    out_why.clear();
    if (text.starts_with('=')) // -o=json
        text.remove_prefix(1);
    static constexpr std::string_view with_template = "jsonpath=";
    if (text.starts_with(with_template)) {
        out_format = output_format::jsonpath;
        static jsonpath parsed;
        output_template = &parsed;
        return jsonpath_parse(text.substr(with_template.size()), parsed, out_why);
    }
    for (size_t i = 0; i < std::size(output_format_names); ++i) {
        if (text == output_format_names[i]) {
            out_format = static_cast<output_format>(i);
            return true;
        }
    }
    return false;
}

static void print_template(FILE *out, const cJSON *document)
{
    std::string text = jsonpath_print(*output_template, document);
    fwrite(text.data(), 1, text.size(), out);
}

void output_add_text(cJSON *item, const char *key, std::string_view text)
{
    if (text.empty())
        cJSON_AddNullToObject(item, key);
    else
        json_add_text(item, key, text);
}

static const cJSON *find(const cJSON *item, std::string_view key)
{
    size_t dot = key.find('.');
    const cJSON *value = json_get(item, std::string(key.substr(0, dot)).c_str());
    return dot == std::string_view::npos || value == nullptr ? value : find(value, key.substr(dot + 1));
}

static std::string value_text(const cJSON *value)
{
    if (value == nullptr || cJSON_IsNull(value))
        return {};
    if (cJSON_IsString(value) || cJSON_IsRaw(value))
        return value->valuestring;
    return json_print(value); // numbers, booleans; arrays and objects on one line
}

std::string output_cell(const cJSON *item, const column &c)
{
    const cJSON *value = find(item, c.key);
    std::string text = value_text(value);
    if (text.empty() || (value != nullptr && value->child == nullptr && (cJSON_IsObject(value) || cJSON_IsArray(value))))
        return "-";
    uint64_t number = 0;
    if (c.kind == cell_kind::bytes && text_parse_u64(text, number))
        return format_size(number);
    if (c.kind == cell_kind::seconds && value != nullptr && cJSON_IsNumber(value) && value->valuedouble >= 0 && value->valuedouble < 1e12)
        return text_duration(static_cast<uint64_t>(value->valuedouble * 1000));
    return value != nullptr && cJSON_IsString(value) ? format_cell(text) : text;
}

static const column *find_column(const list_printer &list, std::string_view wanted)
{
    for (const column &c : list.columns)
        if (text_equal_ignore_case(wanted, c.header) || text_equal_ignore_case(wanted, c.key))
            return &c;
    return nullptr;
}

bool list_check(const list_printer &list, std::string &out_why)
{
    if (list.sort_by.empty() || find_column(list, list.sort_by) != nullptr)
        return true;
    out_why = text_format("--sort-by \"%s\": the columns are", text_escape(list.sort_by).c_str());
    for (const column &c : list.columns)
        out_why += text_format(" %s", text_lower(c.header).c_str());
    return false;
}

static bool shows(const list_printer &list, const column &c) { return !c.wide || list.format == output_format::wide; }

static void print_line(const list_printer &list, const std::vector<std::string> &cells)
{
    std::string line;
    for (size_t i = 0; i < cells.size(); ++i) {
        line += cells[i];
        if (i + 1 < cells.size()) {
            size_t width = format_width(cells[i]);
            size_t wanted = list.widths[i] + 3;
            line.append(wanted > width ? wanted - width : 1, ' ');
        }
    }
    while (!line.empty() && line.back() == ' ')
        line.pop_back();
    line += "\n";
    fwrite(line.data(), 1, line.size(), list.out);
}

static void flush_table(list_printer &list, bool last)
{
    std::vector<std::vector<std::string>> lines;
    for (const json_ptr &item : list.pending) {
        std::vector<std::string> cells;
        for (const column &c : list.columns)
            if (shows(list, c))
                cells.push_back(output_cell(item.get(), c));
        lines.push_back(std::move(cells));
    }
    std::vector<std::string> headers;
    for (const column &c : list.columns)
        if (shows(list, c))
            headers.push_back(c.header);
    if (list.widths.empty()) {
        for (const std::string &header : headers)
            list.widths.push_back(list.no_headers ? 0 : header.size());
        for (const auto &line : lines)
            for (size_t i = 0; i < line.size(); ++i)
                list.widths[i] = std::max(list.widths[i], format_width(line[i]));
    }
    if (!list.header_done && !list.no_headers && (last || !lines.empty()))
        print_line(list, headers);
    list.header_done = list.header_done || last || !lines.empty();
    for (const auto &line : lines)
        print_line(list, line);
}

static std::string as_json_line(const list_printer &list, const cJSON *item)
{
    std::string body = json_print(item);
    std::string head = text_format("{\"apiVersion\":\"%s\",\"kind\":\"%s\"", output_api_version, list.kind);
    return head + (body == "{}" ? "}" : "," + body.substr(1)) + "\n";
}

static void print_name(FILE *out, const cJSON *item, const char *key, bool null_separated)
{
    std::string name = value_text(find(item, key));
    std::string text = null_separated ? name : format_cell(name);
    fwrite(text.data(), 1, text.size(), out);
    fputc(null_separated ? '\0' : '\n', out);
}

static void print_pending(list_printer &list, bool last)
{
    switch (list.format) {
    case output_format::table:
    case output_format::wide: flush_table(list, last); break;
    case output_format::json:
        if (!list.opened)
            fprintf(list.out, "{\n  \"apiVersion\": \"%s\",\n  \"kind\": \"%sList\",\n  \"items\": [", output_api_version, list.kind);
        list.opened = true;
        for (const json_ptr &item : list.pending) {
            fprintf(list.out, "%s\n    %s", list.count == 0 ? "" : ",", json_print(item.get()).c_str());
            ++list.count;
        }
        if (last) {
            fprintf(list.out, "%s]", list.count == 0 ? "" : "\n  ");
            const cJSON *member = nullptr;
            cJSON_ArrayForEach(member, list.siblings.get())
                fprintf(list.out, ",\n  \"%s\": %s", member->string, json_print(member).c_str());
            fputs("\n}\n", list.out);
        }
        break;
    case output_format::jsonl:
        for (const json_ptr &item : list.pending)
            fputs(as_json_line(list, item.get()).c_str(), list.out);
        break;
    case output_format::yaml:
    case output_format::jsonpath: break; // printed by list_end
    case output_format::name:
        for (const json_ptr &item : list.pending)
            print_name(list.out, item.get(), list.name_key, list.null_separated);
        break;
    }
    list.pending.clear();
}

void list_add(list_printer &list, json_ptr item) { list.pending.push_back(std::move(item)); }

static bool needs_all(output_format format) { return format == output_format::yaml || format == output_format::jsonpath; }

void list_flush(list_printer &list)
{
    if (list.sort_by.empty() && !needs_all(list.format) && !list.pending.empty())
        print_pending(list, false);
}

static void sort_pending(list_printer &list)
{
    const column *by = find_column(list, list.sort_by);
    if (by == nullptr)
        return;
    std::stable_sort(list.pending.begin(), list.pending.end(), [by](const json_ptr &a, const json_ptr &b) {
        std::string left = value_text(find(a.get(), by->key));
        std::string right = value_text(find(b.get(), by->key));
        uint64_t left_number = 0;
        uint64_t right_number = 0;
        if (text_parse_u64(left, left_number) && text_parse_u64(right, right_number))
            return left_number < right_number;
        return left < right;
    });
}

void list_end(list_printer &list)
{
    sort_pending(list);
    if (!needs_all(list.format)) {
        print_pending(list, true);
        return;
    }
    json_ptr tree = json_object();
    json_add_text(tree.get(), "apiVersion", output_api_version);
    json_add_text(tree.get(), "kind", std::string(list.kind) + "List");
    json_ptr items = json_array();
    for (json_ptr &item : list.pending)
        json_append(items.get(), std::move(item));
    json_add_tree(tree.get(), "items", std::move(items));
    const cJSON *member = nullptr;
    cJSON_ArrayForEach(member, list.siblings.get()) json_add_tree(tree.get(), member->string, json_ptr(cJSON_Duplicate(member, true)));
    if (list.format == output_format::jsonpath)
        print_template(list.out, tree.get());
    else
        fputs(yaml_print(tree.get()).c_str(), list.out);
    list.pending.clear();
}

void item_print(FILE *out, output_format format, const char *kind, std::span<const column> columns, const char *name_key, const cJSON *item)
{
    if (format == output_format::name) {
        print_name(out, item, name_key, false);
        return;
    }
    if (format == output_format::table || format == output_format::wide) {
        size_t width = 0;
        for (const column &c : columns)
            width = std::max(width, std::string_view(c.header).size());
        for (const column &c : columns) {
            std::string label = text_lower(c.header);
            label[0] = static_cast<char>(toupper(static_cast<unsigned char>(label[0])));
            std::string cell = output_cell(item, c);
            const cJSON *value = find(item, c.key);
            // Show a size in two forms: readable and exact.
            if (c.kind == cell_kind::bytes && value != nullptr && !cell.ends_with("iB") && cell != "-")
                cell = value_text(value) + " bytes";
            else if (c.kind == cell_kind::bytes && cell != "-")
                cell += " (" + value_text(value) + " bytes)";
            fprintf(out, "%s:%*s%s\n", label.c_str(), static_cast<int>(width + 3 - label.size()), "", cell.c_str());
        }
        return;
    }
    json_ptr tree = json_object();
    json_add_text(tree.get(), "apiVersion", output_api_version);
    json_add_text(tree.get(), "kind", kind);
    for (const cJSON *child = item->child; child != nullptr; child = child->next)
        json_add_tree(tree.get(), child->string, json_ptr(cJSON_Duplicate(child, true)));
    if (format == output_format::json)
        fputs(json_print_pretty(tree.get()).c_str(), out);
    else if (format == output_format::jsonpath)
        print_template(out, tree.get());
    else if (format == output_format::jsonl)
        fprintf(out, "%s\n", json_print(tree.get()).c_str());
    else
        fputs(yaml_print(tree.get()).c_str(), out);
}

} // namespace etlnode::etlctl
