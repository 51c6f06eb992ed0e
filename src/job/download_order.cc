// SPDX-License-Identifier: MIT
// job/download_order.cc: reads what is to be downloaded.
//
// Knows    selection (templates).        Known by  role/proxy (checks what users ask for), role/target, kinds.
// Limits   download_names_max, download_link_size_max, copy_items_max connections.
#include "job/download_order.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "codec/json_fields.h"
#include "codec/url.h"
#include "job/selection.h"
#include "store/object_name.h"

namespace etlnode {

static constexpr size_t description_size_max = 256;
static constexpr size_t shown_max = 200; // of a link, in an error

// --- names and links

// What is wrong with it. `link` gets a scheme if it has none, as AIStore does it.
static std::string mend_link(std::string &link)
{
    if (link.empty())
        return "it is empty";
    size_t scheme = link.find("://");
    if (scheme == std::string::npos)
        link.insert(0, "http://");
    std::string_view start = std::string_view(link).substr(0, scheme == std::string::npos ? 4 : scheme);
    if (!text_equal_ignore_case(start, "http") && !text_equal_ignore_case(start, "https"))
        return "only http:// and https:// are fetched";
    if (link.size() > download_link_size_max)
        return text_format("it is longer than %zu bytes", download_link_size_max);
    auto is_bad = [](unsigned char c) { return c <= ' ' || c == 0x7f; };
    if (std::any_of(link.begin(), link.end(), is_bad))
        return "it contains a space or a control character";
    std::string_view host = std::string_view(link).substr(start.size() + 3);
    host = host.substr(0, host.find_first_of("/?#"));
    if (host.empty())
        return "it names no host";
    if (host.find('@') != std::string_view::npos)
        return "it carries a user's name, and jobs are shown to everyone";
    return {};
}

// The last part of the link's path; empty: it has none.
static std::string name_of_link(std::string_view link)
{
    link = link.substr(0, link.find_first_of("?#"));
    link.remove_prefix(std::min(link.size(), link.find("://") + 3));
    size_t slash = link.rfind('/');
    std::string name;
    if (slash == std::string_view::npos || !url_decode(link.substr(slash + 1), name))
        return {};
    return name;
}

static std::string add_name(std::vector<download_name> &names, std::string name, std::string link)
{
    std::string given = link;
    if (std::string wrong = mend_link(link); !wrong.empty())
        return "the link \"" + text_escape(given, shown_max) + "\": " + wrong;
    if (name.empty())
        return "the link \"" + text_escape(given, shown_max) + "\" ends without a name for the object: give it one";
    if (const char *wrong = object_name_check(name))
        return "invalid object name \"" + text_escape(name, shown_max) + "\": " + wrong;
    names.push_back({std::move(name), std::move(link)});
    return {};
}

static std::string sort_names(std::vector<download_name> &names)
{
    auto is_less = [](const download_name &a, const download_name &b) { return a.name < b.name; };
    std::sort(names.begin(), names.end(), is_less);
    auto same = std::adjacent_find(
        names.begin(), names.end(), [](const download_name &a, const download_name &b) { return a.name == b.name; });
    return same == names.end()
               ? std::string()
               : "two links would become the object \"" + text_escape(same->name, shown_max) + "\": give them different names";
}

// --- templates

static std::string digits(uint64_t value, size_t width)
{
    std::string text = std::to_string(value);
    return text.size() < width ? std::string(width - text.size(), '0') + text : text;
}

static bool is_too_long(const job_selection &links)
{
    uint64_t count = 1;
    for (const selection_range &range : links.ranges) {
        uint64_t steps = (range.last - range.first) / range.step;
        if (steps >= download_names_max || count * (steps + 1) > download_names_max)
            return true;
        count *= steps + 1;
    }
    return false;
}

static std::string add_links(
    const job_selection &links, size_t at, const std::string &begun, const std::string &folder, std::vector<download_name> &names)
{
    if (at == links.ranges.size()) {
        std::string name = name_of_link(begun);
        return add_name(names, name.empty() ? name : folder + name, begun);
    }
    const selection_range &range = links.ranges[at];
    for (uint64_t value = range.first;; value += range.step) {
        std::string wrong = add_links(links, at + 1, begun + digits(value, range.width) + range.after, folder, names);
        if (!wrong.empty() || range.last - value < range.step)
            return wrong;
    }
}

static std::string read_template(const cJSON *options, std::vector<download_name> &names)
{
    job_selection links;
    if (std::string wrong = selection_parse_template(json_text(options, "template"), links); !wrong.empty())
        return "template: " + wrong;
    if (links.ranges.empty())
        return "template: it has no range, as in https://example.org/shard-{000..099}.tar";
    if (is_too_long(links))
        return "template: it spells more than " + std::to_string(download_names_max) + " links";
    std::string folder(json_text(options, "subdir"));
    while (folder.starts_with('/'))
        folder.erase(0, 1);
    if (!folder.empty() && !folder.ends_with('/'))
        folder += '/';
    std::string wrong = add_links(links, 0, links.prefix, folder, names);
    return wrong.empty() ? wrong : "template: " + wrong;
}

// --- a job's options

static constexpr json_field fields[] = {
    {"objnames", json_field_kind::list},
    {"objnames_count", json_field_kind::whole},
    {"template", json_field_kind::text},
    {"subdir", json_field_kind::text},
    {"timeout_ms", json_field_kind::whole},
    {"connections", json_field_kind::whole},
    {"bytes_per_hour", json_field_kind::whole},
    {"description", json_field_kind::text},
};

static std::string read_list(const cJSON *list, std::vector<download_name> &names)
{
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *name = cJSON_IsArray(item) && cJSON_GetArraySize(item) == 2 ? item->child : nullptr;
        if (!cJSON_IsString(name) || !cJSON_IsString(name->next))
            return "objnames: expected a list of [NAME, LINK]";
        if (std::string wrong = add_name(names, name->valuestring, name->next->valuestring); !wrong.empty())
            return wrong;
        if (names.size() > download_names_max)
            return "more than " + std::to_string(download_names_max) + " objects";
    }
    return names.empty() ? "nothing is to be downloaded: the list is empty" : sort_names(names);
}

std::string download_order_read(const cJSON *options, download_order &out_order)
{
    if (std::string wrong = json_fields_misfit(options, {}, fields); !wrong.empty())
        return wrong;
    out_order.timeout_ms = json_u64(options, "timeout_ms", 0);
    out_order.connections = json_u64(options, "connections", 0);
    out_order.bytes_per_hour = json_u64(options, "bytes_per_hour", 0);
    out_order.description = json_text(options, "description");
    bool has_template = !json_text(options, "template").empty();
    const cJSON *list = json_get(options, "objnames");
    if (has_template == cJSON_IsArray(list))
        return "objnames or template: expected one of them";
    std::string wrong = has_template ? read_template(options, out_order.names) : read_list(list, out_order.names);
    return wrong.empty() && has_template ? sort_names(out_order.names) : wrong;
}

uint64_t download_count(const cJSON *options) { return json_u64(options, "objnames_count", 0); }

// --- AIStore's body

static constexpr json_field body_fields[] = {
    {"type", json_field_kind::text},
    {"description", json_field_kind::text},
    {"bucket", json_field_kind::object},
    {"timeout", json_field_kind::text},
    {"progress_interval", json_field_kind::text},
    {"limits", json_field_kind::object},
    {"headers", json_field_kind::object},
    {"etl_name", json_field_kind::text},
    {"etl_args", json_field_kind::text},
    {"object_name", json_field_kind::text},
    {"objname", json_field_kind::text},
    {"link", json_field_kind::text},
    {"from_remote", json_field_kind::flag},
    {"template", json_field_kind::text},
    {"subdir", json_field_kind::text},
};
static constexpr json_field limit_fields[] = {{"connections", json_field_kind::whole}, {"bytes_per_hour", json_field_kind::whole}};

static void add_link(cJSON *list, std::string_view name, std::string_view link)
{
    json_ptr pair = json_array();
    json_append_text(pair.get(), name);
    json_append_text(pair.get(), link);
    json_append(list, std::move(pair));
}

// A link without a name takes the last part of its path.
static std::string read_single(const cJSON *body, cJSON *options)
{
    std::string_view name = json_text(body, "object_name"), link = json_text(body, "link");
    if (name.empty())
        name = json_text(body, "objname");
    if (link.empty())
        return "link: what is to be downloaded?";
    add_link(json_add_array(options, "objnames"), name.empty() ? name_of_link(link) : std::string(name), link);
    return {};
}

static std::string read_multi(const cJSON *body, cJSON *options)
{
    const cJSON *objects = json_get(body, "objects");
    if (!cJSON_IsArray(objects) && !cJSON_IsObject(objects))
        return "objects: expected a list of links, or an object of names with their links";
    cJSON *list = json_add_array(options, "objnames");
    size_t count = 0;
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, objects)
    {
        if (!cJSON_IsString(item))
            return "objects: expected links as texts";
        if (++count > download_names_max)
            return "objects: more than " + std::to_string(download_names_max) + " objects";
        add_link(list, cJSON_IsObject(objects) ? std::string(item->string) : name_of_link(item->valuestring), item->valuestring);
    }
    return count == 0 ? "objects: nothing is to be downloaded: the list is empty" : std::string();
}

static std::string read_range(const cJSON *body, cJSON *options)
{
    if (json_text(body, "template").empty())
        return "template: which links are to be downloaded?";
    json_add_text(options, "template", json_text(body, "template"));
    if (!json_text(body, "subdir").empty())
        json_add_text(options, "subdir", json_text(body, "subdir"));
    return {};
}

static std::string read_limits(const cJSON *body, cJSON *options)
{
    uint64_t timeout_ms = 0;
    std::string_view timeout = json_text(body, "timeout");
    if (!timeout.empty() && !text_parse_duration_ms(timeout, timeout_ms))
        return "timeout: expected a duration such as 5m";
    const cJSON *limits = json_get(body, "limits");
    uint64_t connections = json_u64(limits, "connections", 0), rate = json_u64(limits, "bytes_per_hour", 0);
    if (timeout_ms > 0)
        json_add_u64(options, "timeout_ms", timeout_ms);
    if (connections > 0)
        json_add_u64(options, "connections", std::min<uint64_t>(connections, copy_items_max));
    if (rate > 0)
        json_add_u64(options, "bytes_per_hour", rate);
    if (std::string_view text = json_text(body, "description"); !text.empty())
        json_add_text(options, "description", text_cut(std::string(text), description_size_max));
    return {};
}

// What AIStore does and is not done here; empty: nothing of that is asked for.
static std::string find_missing(const cJSON *body)
{
    std::string_view type = json_text(body, "type");
    const cJSON *headers = json_get(body, "headers");
    if (type == "backend" || json_bool(body, "from_remote", false))
        return "type backend is not implemented: there are no remote buckets. Name the links (single, multi, range)";
    if (!json_text(body, "etl_name").empty())
        return "etl_name is not implemented for downloads: download first, then transform the bucket";
    if (headers != nullptr && headers->child != nullptr)
        return "headers is not implemented: a job is shown to everyone, with all that it is told";
    return {};
}

std::string download_options_of(const cJSON *body, json_ptr &out_options, bool &out_is_missing)
{
    out_options = json_object();
    out_is_missing = false;
    if (!cJSON_IsObject(body))
        return "expected an object with type, bucket, and link, objects or template";
    std::string wrong = json_fields_misfit(body, {}, body_fields);
    if (wrong.empty())
        wrong = json_fields_misfit(json_get(body, "limits"), "limits", limit_fields);
    if (wrong.empty()) {
        wrong = find_missing(body);
        out_is_missing = !wrong.empty();
    }
    if (!wrong.empty())
        return wrong;
    std::string_view type = json_text(body, "type");
    cJSON *options = out_options.get();
    if (type == "single")
        wrong = read_single(body, options);
    else if (type == "multi")
        wrong = read_multi(body, options);
    else if (type == "range")
        wrong = read_range(body, options);
    else
        wrong = "type: expected single, multi or range" + (type.empty() ? std::string() : ", not \"" + text_escape(type, 40) + "\"");
    if (wrong.empty())
        wrong = read_limits(body, options);
    std::string where; // read once more, so that its numbers can be read
    if (wrong.empty() && json_parse(json_print(options), out_options, where))
        wrong = where;
    return wrong;
}

} // namespace etlnode
