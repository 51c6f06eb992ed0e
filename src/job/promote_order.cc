// SPDX-License-Identifier: MIT
// job/promote_order.cc: reads what is to be promoted, and names the objects.
//
// Known by  role/proxy (checks what users ask for), role/target, kinds.
// Limits   path_size_max.
#include "job/promote_order.h"

#include <algorithm>

#include "base/text.h"
#include "codec/json_fields.h"
#include "store/object_name.h"

namespace etlnode {

static constexpr size_t path_size_max = 4'000;

static constexpr json_field fields[] = {
    {"src", json_field_kind::text},
    {"obj", json_field_kind::text},
    {"at", json_field_kind::text},
    {"rcr", json_field_kind::flag},
    {"ovw", json_field_kind::flag},
    {"dls", json_field_kind::flag},
    {"shared", json_field_kind::flag},
};

// "/a/b": no "//", no "." or "..", no / at the end.
static bool is_plain(std::string_view path)
{
    if (!path.starts_with('/') || path.size() > path_size_max || path.find('\0') != std::string_view::npos)
        return false;
    for (size_t at = 0; at < path.size();) {
        size_t end = std::min(path.find('/', at + 1), path.size());
        std::string_view part = path.substr(at + 1, end - at - 1);
        if (part.empty() || part == "." || part == "..")
            return false;
        at = end;
    }
    return true;
}

std::string promote_order_read(const cJSON *options, promote_order &out_order)
{
    if (std::string wrong = json_fields_misfit(options, {}, fields); !wrong.empty())
        return wrong;
    out_order.source = json_text(options, "src");
    while (out_order.source.size() > 1 && out_order.source.ends_with('/'))
        out_order.source.pop_back();
    out_order.name = json_text(options, "obj");
    while (out_order.name.ends_with('/'))
        out_order.name.pop_back();
    out_order.at = json_text(options, "at");
    out_order.is_recursive = json_bool(options, "rcr", false);
    out_order.overwrites = json_bool(options, "ovw", false);
    out_order.removes = json_bool(options, "dls", false);
    out_order.is_shared = json_bool(options, "shared", false);
    if (out_order.source.empty())
        return "src: which file or folder of the targets?";
    if (!is_plain(out_order.source))
        return "src: expected an absolute path without . and .., such as /data/photos";
    if (!out_order.name.empty()) {
        if (const char *wrong = object_name_check(out_order.name))
            return "obj: invalid object name: " + std::string(wrong);
    }
    return {};
}

std::string promote_name(const promote_order &order, std::string_view path)
{
    std::string_view base = path;
    if (path.empty()) {
        if (order.name.find('/') != std::string::npos)
            return order.name;
        base = std::string_view(order.source).substr(order.source.rfind('/') + 1);
    }
    return order.name.empty() ? std::string(base) : order.name + "/" + std::string(base);
}

const std::string *promote_find_root(const std::vector<std::string> &roots, std::string_view source, std::string &out_path)
{
    if (!is_plain(source))
        return nullptr;
    for (const std::string &root : roots) {
        std::string_view start = root == "/" ? std::string_view() : std::string_view(root);
        if (source == start) {
            out_path.clear();
            return &root;
        }
        if (source.starts_with(start) && source.substr(start.size()).starts_with('/')) {
            out_path = source.substr(start.size() + 1);
            return &root;
        }
    }
    return nullptr;
}

} // namespace etlnode
