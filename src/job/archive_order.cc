// SPDX-License-Identifier: MIT
// job/archive_order.cc: reads what an archive is to be made of.
//
// Knows    selection.        Known by  role/proxy (checks what users ask for), role/target, kinds.
// Limits   members_max.
#include "job/archive_order.h"

#include "base/limits.h"
#include "base/text.h"
#include "codec/json_fields.h"
#include "job/selection.h"
#include "store/object_name.h"

namespace etlnode {

static constexpr size_t members_max = 100'000;

static constexpr json_field fields[] = {
    {"objnames", json_field_kind::list},
    {"objnames_count", json_field_kind::whole}, // of a list that stands beside the document
    {"template", json_field_kind::text},
    {"archname", json_field_kind::text},
    {"mime", json_field_kind::text},
    {"to", json_field_kind::text},
    {"at", json_field_kind::text},
    {"isbn", json_field_kind::flag},
    {"aate", json_field_kind::flag},
    {"coer", json_field_kind::flag},
};

static std::string digits(uint64_t value, size_t width)
{
    std::string text = std::to_string(value);
    return text.size() < width ? std::string(width - text.size(), '0') + text : text;
}

// Every name of a template, the last range fastest. False: there are too many.
static bool expand(const job_selection &selection, size_t at, const std::string &begun, std::vector<std::string> &out_names)
{
    if (at == selection.ranges.size()) {
        out_names.push_back(begun);
        return out_names.size() <= members_max;
    }
    const selection_range &range = selection.ranges[at];
    for (uint64_t value = range.first; value <= range.last; value += range.step) {
        if (!expand(selection, at + 1, begun + digits(value, range.width) + range.after, out_names))
            return false;
        if (range.last - value < range.step)
            break;
    }
    return true;
}

static std::string read_names(const cJSON *options, archive_order &out_order)
{
    job_selection selection;
    if (std::string wrong = selection_read(options, selection); !wrong.empty())
        return wrong;
    if (selection.has_list) { // in the order given, which the selection does not keep
        for (const cJSON *item = json_get(options, "objnames")->child; item != nullptr; item = item->next)
            out_order.names.emplace_back(item->valuestring);
        return out_order.names.size() > members_max ? "objnames: too many names" : std::string();
    }
    if (selection.ranges.empty())
        return "objnames or template: which objects are the members? A prefix alone is not enough";
    return expand(selection, 0, selection.prefix, out_order.names) ? std::string()
                                                                   : "template: more than " + std::to_string(members_max) + " names";
}

static bool read_mime(std::string_view given, archive_order &out_order)
{
    std::string_view name = given.empty() ? std::string_view(out_order.to_name) : given;
    for (std::string_view end : {".tar", ".tgz", ".tar.gz", ".tar.lz4", ".zip"}) {
        if (name.ends_with(end) || name == end.substr(1))
            out_order.mime = end;
    }
    return !out_order.mime.empty();
}

std::string archive_order_read(const cJSON *options, archive_order &out_order)
{
    if (std::string wrong = json_fields_misfit(options, {}, fields); !wrong.empty())
        return wrong;
    out_order.to_bucket = json_text(options, "to");
    out_order.to_name = json_text(options, "archname");
    out_order.at = json_text(options, "at");
    out_order.with_bucket = json_bool(options, "isbn", false);
    out_order.appends = json_bool(options, "aate", false);
    out_order.continues = json_bool(options, "coer", false);
    if (const char *wrong = object_name_check_bucket(out_order.to_bucket))
        return "to: invalid bucket name: " + std::string(wrong);
    if (const char *wrong = object_name_check(out_order.to_name))
        return "archname: invalid object name: " + std::string(wrong);
    if (out_order.at.empty())
        return "at: which target makes the archive?";
    if (!read_mime(json_text(options, "mime"), out_order))
        return "archname or mime: expected .tar, .tgz, .tar.gz, .tar.lz4 or .zip";
    return read_names(options, out_order);
}

} // namespace etlnode
