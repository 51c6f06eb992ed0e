// SPDX-License-Identifier: MIT
// role/shared/list_merge.cc: merges pages of object names; pure.
//
// Knows    codec.            Known by  list.cc, list.cc.
// Limits   list_page_size_max.
#include "role/shared/list_merge.h"

#include "base/limits.h"
#include "base/text.h"
#include "codec/json_fields.h"

namespace etlnode {

static constexpr json_field value_fields[] = {
    {"prefix", json_field_kind::text},
    {"continuation_token", json_field_kind::text},
    {"start_after", json_field_kind::text},
    {"uuid", json_field_kind::text},
    {"target", json_field_kind::text},
    {"pagesize", json_field_kind::whole},
    {"props", json_field_kind::text},
};

// A number, or its digits as a text.
static error read_flags(const cJSON *value, uint64_t &out_flags, std::string &out_reason)
{
    const cJSON *given = json_get(value, "flags");
    std::string_view text = json_text(value, "flags");
    bool is_given = given != nullptr && !cJSON_IsNull(given) && !(cJSON_IsString(given) && text.empty());
    if (!is_given || json_read_u64(value, "flags", out_flags))
        return no_error;
    out_reason = "flags must be a decimal number in a string, not " +
                 (cJSON_IsString(given) ? "\"" + text_escape(text) + "\"" : json_print(given).substr(0, 100));
    return make_error(error_code::bad_request);
}

error list_request_read(const cJSON *value, list_request &out_request, std::string &out_reason)
{
    list_request r;
    out_reason = json_fields_misfit(value, "value", value_fields);
    if (!out_reason.empty())
        return make_error(error_code::bad_request);
    r.prefix = json_text(value, "prefix");
    if (r.prefix.ends_with("*"))
        r.prefix.pop_back();
    std::string_view token = json_text(value, "continuation_token");
    r.after = token.empty() ? json_text(value, "start_after") : token;
    r.uuid = json_text(value, "uuid");
    r.target = json_text(value, "target");
    uint64_t page_size = json_u64(value, "pagesize", 0);
    r.page_size = page_size == 0 || page_size > list_page_size_max ? list_page_size_max : static_cast<size_t>(page_size);
    if (error err = read_flags(value, r.flags, out_reason))
        return err;
    if ((r.flags & list_request_not_cached) != 0) {
        out_reason = "flag not-cached does not apply to an ais:// bucket";
        return make_error(error_code::bad_request);
    }
    if (r.prefix.size() > object_name_size_max || r.after.size() > object_name_size_max || r.uuid.size() > request_id_size_max) {
        out_reason = "prefix, continuation_token, start_after or uuid is too long";
        return make_error(error_code::bad_request);
    }
    std::string_view props = json_text(value, "props");
    if (!props.empty()) {
        r.wants_size = false;
        while (!props.empty()) {
            size_t comma = props.find(',');
            std::string_view prop = text_trim(props.substr(0, comma));
            props = comma == std::string_view::npos ? std::string_view{} : props.substr(comma + 1);
            r.wants_size = r.wants_size || prop == "size";
            r.wants_checksum = r.wants_checksum || prop == "checksum";
            r.wants_version = r.wants_version || prop == "version";
            r.wants_atime = r.wants_atime || prop == "atime";
            r.wants_location = r.wants_location || prop == "location";
            r.wants_custom = r.wants_custom || prop == "custom";
            r.wants_copies = r.wants_copies || prop == "copies";
        }
    }
    if ((r.flags & (list_request_name_only | list_request_name_size)) != 0) {
        r.wants_checksum = r.wants_version = r.wants_atime = r.wants_location = r.wants_custom = r.wants_copies = false;
        r.wants_size = (r.flags & list_request_name_only) == 0;
    }
    out_request = std::move(r);
    return no_error;
}

// Up to where every target has answered. Empty: to the last name.
static std::string common_end(const std::vector<list_page> &pages)
{
    std::string end;
    for (const list_page &page : pages) {
        if (!page.token.empty() && (end.empty() || page.token < end))
            end = page.token;
    }
    return end;
}

list_page list_merge(std::vector<list_page> &pages, size_t page_size)
{
    list_page merged;
    std::string end = common_end(pages);
    std::vector<size_t> next(pages.size(), 0);
    while (merged.entries.size() < page_size) {
        size_t best = pages.size();
        for (size_t i = 0; i < pages.size(); i++) {
            if (next[i] < pages[i].entries.size() &&
                (best == pages.size() || pages[i].entries[next[i]].name < pages[best].entries[next[best]].name))
                best = i;
        }
        if (best == pages.size())
            break;
        list_entry &entry = pages[best].entries[next[best]++];
        if (!end.empty() && entry.name > end)
            break;
        if (!merged.entries.empty() && merged.entries.back().name == entry.name) { // a directory that several targets returned
            if ((merged.entries.back().flags & list_flag_in_archive) != 0)         // or a member; an object hides it
                merged.entries.back() = std::move(entry);
            continue;
        }
        merged.entries.push_back(std::move(entry));
    }
    bool is_full = merged.entries.size() == page_size && page_size > 0;
    if (is_full || !end.empty())
        merged.token = merged.entries.empty() ? end : merged.entries.back().name;
    return merged;
}

static uint64_t version_of(const list_entry &entry)
{
    uint64_t version = 0;
    return text_parse_u64(entry.version, version) ? version : 0;
}

// Both pages are sorted. Of equal names the higher version stays.
static std::vector<list_entry> merge_two(std::vector<list_entry> &a, std::vector<list_entry> &b)
{
    std::vector<list_entry> out;
    out.reserve(a.size() + b.size());
    size_t i = 0, j = 0;
    while (i < a.size() || j < b.size()) {
        if (j == b.size() || (i < a.size() && a[i].name < b[j].name)) {
            out.push_back(std::move(a[i++]));
        } else if (i == a.size() || b[j].name < a[i].name) {
            out.push_back(std::move(b[j++]));
        } else {
            out.push_back(std::move(version_of(b[j]) > version_of(a[i]) ? b[j] : a[i]));
            i++;
            j++;
        }
    }
    return out;
}

std::vector<list_entry> list_merge_versions(std::vector<list_page> &pages, std::string &out_end)
{
    std::vector<list_entry> merged;
    out_end = common_end(pages); // behind it, a target may hold a newer version of what another one returned
    for (list_page &page : pages)
        merged = merge_two(merged, page.entries);
    if (!out_end.empty())
        std::erase_if(merged, [&](const list_entry &entry) { return entry.name > out_end; });
    return merged;
}

void list_collect(list_collection &c, std::vector<list_entry> &merged, const std::string &end)
{
    std::vector<list_entry> &entries = c.page.entries;
    for (list_entry &entry : merged) {
        bool is_seen = entry.name <= c.after && !c.after.empty(); // in a directory that is in the page already
        if ((entry.flags & list_flag_tombstone) != 0 || is_seen)
            continue;
        if (entries.size() == c.page_size)
            break;
        std::string_view directory = c.is_flat ? list_directory_of(c.prefix, entry.name) : std::string_view{};
        if (!directory.empty()) {
            list_entry one;
            one.name = directory;
            one.flags = list_flag_directory;
            c.after = list_skip_after(c.prefix, directory);
            entries.push_back(std::move(one));
        } else {
            entries.push_back(std::move(entry));
        }
    }
    c.is_done = end.empty() || entries.size() == c.page_size;
    if (entries.size() == c.page_size)
        c.page.token = entries.back().name;
    if (end > c.after)
        c.after = end;
}

void list_page_trim(list_page &page, const list_request &request)
{
    for (list_entry &entry : page.entries) {
        if (!request.wants_size)
            entry.size = 0;
        if (!request.wants_checksum)
            entry.checksum.clear();
        if (!request.wants_version)
            entry.version.clear();
        if (!request.wants_atime)
            entry.atime.clear();
        if (!request.wants_location)
            entry.location.clear();
        if (!request.wants_custom)
            entry.custom.clear();
        bool is_object = (entry.flags & (list_flag_directory | list_flag_in_archive)) == 0;
        entry.copies = request.wants_copies && is_object ? 1 : 0;
        if ((entry.flags & list_flag_directory) == 0)
            entry.flags = list_flag_cached | (entry.flags & (list_flag_archive | list_flag_in_archive));
    }
}

std::string_view list_directory_of(std::string_view prefix, std::string_view name)
{
    if (!name.starts_with(prefix))
        return {};
    size_t slash = name.find('/', prefix.size());
    return slash == std::string_view::npos ? std::string_view{} : name.substr(0, slash + 1);
}

std::string list_skip_after(std::string_view prefix, std::string_view name)
{
    std::string after(name);
    if (name.ends_with("/") && name.size() > prefix.size() && name.starts_with(prefix))
        after += '\xff'; // greater than every UTF-8 name inside the directory
    return after;
}

} // namespace etlnode
