// SPDX-License-Identifier: MIT
// aistore/object_query.cc: parses the query of a request for an object.
//
// Knows    codec.            Known by  role/proxy/objects.cc, role/target/objects.cc.
// Fails    bad_request or not_implemented; the text names the parameter and the right name.
#include "aistore/object_query.h"

#include <algorithm>
#include <span>

#include "base/limits.h"
#include "base/text.h"
#include "codec/url.h"
#include "node/api.h"

namespace etlnode {

// Wrong names that people use for them although they are not typing errors.
struct misnomer {
    std::string_view wrong, right;
};
static constexpr misnomer misnomers[] = {{"etl", query_etl_name}, {"etlname", query_etl_name}, {"uid", query_etl_id},
    {"etl_id", query_etl_id}, {"etlid", query_etl_id}, {"etl_uuid", query_etl_id}, {"uuid", query_etl_id}};
static constexpr size_t slip_distance_max = 2;

static bool contains(std::span<const std::string_view> names, std::string_view name)
{
    return std::find(names.begin(), names.end(), name) != names.end();
}

// The key that was meant; empty if this one resembles none of ours.
static std::string_view meant_key(std::string_view key)
{
    if (contains(query_names, key) || key.size() > query_etl_pipeline.size() + slip_distance_max)
        return {};
    std::string lower = text_lower(key);
    std::erase_if(lower, [](char c) { return static_cast<unsigned char>(c) <= ' '; }); // copied together with the text
    if (lower.ends_with(']')) // an element of a list, as some form libraries write it: uuid[] or uuid[0]
        lower.resize(lower.find('[') != std::string::npos ? lower.find('[') : lower.size());
    if (lower == query_etl_id && key.ends_with(']'))
        return query_etl_id;
    if (lower == query_etl_name || lower == query_etl_args || lower == query_etl_pipeline)
        return lower == query_etl_name ? query_etl_name : lower == query_etl_args ? query_etl_args : query_etl_pipeline;
    // One letter more, less or different from uuid, or two swapped letters. Some services have a guid of their own.
    bool is_swapped = lower.size() == query_etl_id.size() && std::is_permutation(lower.begin(), lower.end(), query_etl_id.begin());
    if (lower != "guid" && (is_swapped || text_is_near(lower, query_etl_id, 1)))
        return query_etl_id;
    for (const misnomer &row : misnomers) {
        if (lower == row.wrong)
            return row.right;
    }
    for (std::string_view known :
        {query_etl_name, query_etl_args, query_etl_pipeline, query_object_to}) { // a PUT without object_to empties the source
        if (lower == known || text_is_near(lower, known, slip_distance_max))
            return known;
    }
    return {};
}

// One of our parameters that a ';' hides inside the value of another one; empty if there is none. Only '&' separates parameters here.
static std::string_view hidden_key(std::string_view value)
{
    for (size_t at = value.find(';'); at != std::string_view::npos; at = value.find(';', at + 1)) {
        std::string_view rest = value.substr(at + 1);
        std::string_view key = rest.substr(0, rest.find_first_of("=;"));
        for (std::string_view known : {query_etl_id, query_etl_name}) {
            if (key == known && key.size() < rest.size() && rest[key.size()] == '=')
                return known;
        }
    }
    return {};
}

static error refuse(error_code code, std::string text, std::string &out_text)
{
    out_text = std::move(text);
    return make_error(code);
}

struct query_parts {
    std::string id, name, args, to, pipeline;
    std::string member, pattern, mode; // of an archive
    bool has_id = false, has_name = false, has_args = false, has_to = false, has_pipeline = false;
};

static error read_archive_name(const std::string &key, const std::string &value, query_parts &parts, std::string &out_text)
{
    std::string &into = key == query_archive_names[0] ? parts.member : key == query_archive_names[1] ? parts.pattern : parts.mode;
    if (!into.empty() && into != value)
        return refuse(error_code::bad_request, "the parameter " + key + " is given twice, with different values", out_text);
    into = value;
    return no_error;
}

// Members of an archive: one path or one pattern, without a transform.
static error read_members(query_parts &parts, object_query &out_query, std::string &out_text)
{
    bool has_etl = parts.has_id || parts.has_name;
    if (!parts.mode.empty() && parts.pattern.empty())
        return refuse(error_code::bad_request, "archmode is given without archregx: which members are meant?", out_text);
    if (parts.member.empty() && parts.pattern.empty())
        return no_error;
    if (!parts.member.empty() && !parts.pattern.empty())
        return refuse(error_code::bad_request, "archpath and archregx exclude each other", out_text);
    if (has_etl)
        return refuse(error_code::not_implemented, "a transform of a member of an archive is not implemented", out_text);
    out_query.member = std::move(parts.member);
    out_query.pattern = std::move(parts.pattern);
    out_query.pattern_mode = std::move(parts.mode);
    return no_error;
}

static error read_one(
    const std::string &key, const std::string &value, object_use use, bool is_broken, query_parts &parts, std::string &out_text)
{
    const bool reads = use == object_use::read;
    if (std::string_view meant = meant_key(key); !meant.empty())
        return refuse(error_code::bad_request,
            "unknown parameter \"" + text_escape(key, 64) + "\": did you mean " + std::string(meant) + "?", out_text);
    if (is_broken && key.empty())
        return refuse(
            error_code::bad_request, "the name of a parameter is not properly percent-encoded, or has a NUL byte (%00)", out_text);
    bool is_id = key == query_etl_id;
    bool is_name = key == query_etl_name;
    bool is_to = use == object_use::put && key == query_object_to;
    bool is_ours = is_id || is_name || is_to || (use == object_use::other && key == query_object_to) || key == query_etl_args ||
                   key == query_etl_pipeline || contains(query_archive_names, key);
    if (std::string_view hidden = is_ours ? std::string_view() : hidden_key(value); !hidden.empty())
        return refuse(error_code::bad_request,
            "the parameter " + text_escape(key, 64) + " holds \";" + std::string(hidden) + "=\": parameters are separated by &", out_text);
    if (!is_ours)
        return no_error;
    if (is_broken)
        return refuse(
            error_code::bad_request, "the parameter " + key + " is not properly percent-encoded, or has a NUL byte (%00)", out_text);
    if ((is_id || is_name) && value.empty())
        return refuse(error_code::bad_request,
            "the parameter " + key +
                " is empty: it names the ETL that is to transform the object; leave it out to read the object as it is",
            out_text);
    if (reads && contains(query_archive_names, key))
        return read_archive_name(key, value, parts, out_text);
    if (use == object_use::other && contains(query_archive_names, key) && !value.empty()) // a DELETE would remove the whole archive
        return refuse(error_code::not_implemented,
            key + " goes with GET and PUT: a member of an archive can be read and appended, not removed or changed", out_text);
    if (key == query_object_to && use == object_use::other) // a DELETE would remove the source
        return refuse(error_code::bad_request, "object_to goes with PUT: it says where a copy of the object is to be kept", out_text);
    if (is_to && value.empty())
        return refuse(error_code::bad_request,
            "the parameter object_to is empty: it says where the object is to be kept, as ais/@#/BUCKET/OBJECT", out_text);
    bool is_pipeline = key == query_etl_pipeline;
    if (!is_id && !is_name && !is_to && !is_pipeline && key != query_etl_args)
        return no_error;
    std::string &into = is_id ? parts.id : is_to ? parts.to : is_name ? parts.name : is_pipeline ? parts.pipeline : parts.args;
    bool &has = is_id ? parts.has_id : is_to ? parts.has_to : is_name ? parts.has_name : is_pipeline ? parts.has_pipeline : parts.has_args;
    if (has && into != value)
        return refuse(error_code::bad_request, "the parameter " + key + " is given twice, with different values", out_text);
    has = true;
    into = value;
    return no_error;
}

object_use object_use_of(std::string_view method)
{
    return method == "GET" || method == "HEAD" ? object_use::read : method == "PUT" ? object_use::put : object_use::other;
}

// "ais/@#/BUCKET/OBJECT", AIStore's name of an object. Only the global namespace is ours.
static error read_destination(const std::string &to, object_query &out_query, std::string &out_text)
{
    static constexpr std::string_view prefix = "ais/@#/";
    std::string_view rest = to;
    size_t slash = rest.starts_with(prefix) ? rest.find('/', prefix.size()) : std::string_view::npos;
    if (slash == std::string_view::npos)
        return refuse(error_code::bad_request,
            "object_to \"" + text_escape(to, 100) + "\" names no object here: expected ais/@#/BUCKET/OBJECT, percent-encoded", out_text);
    out_query.is_kept = true;
    out_query.to_bucket = rest.substr(prefix.size(), slash - prefix.size());
    out_query.to_name = rest.substr(slash + 1);
    return no_error;
}

// "E2,E3": the ETLs behind the first one, in order.
static error read_pipeline(const query_parts &parts, object_query &out_query, std::string &out_text)
{
    if (parts.pipeline.empty())
        return no_error;
    if (!parts.has_id && !parts.has_name)
        return refuse(error_code::bad_request, "etl_pipeline is given, and neither etl_name nor uuid: which ETL comes first?", out_text);
    std::string_view rest = parts.pipeline;
    for (bool is_more = true; is_more;) {
        size_t comma = rest.find(',');
        is_more = comma != std::string_view::npos;
        std::string_view name = rest.substr(0, comma);
        if (name.empty())
            return refuse(error_code::bad_request, "etl_pipeline: a name is empty: expected ETLs separated by commas, as in b,c", out_text);
        out_query.pipeline.emplace_back(name);
        if (out_query.pipeline.size() >= pipeline_stages_max)
            return refuse(error_code::bad_request,
                text_format("etl_pipeline: an object goes through at most %zu ETLs, the first one included", pipeline_stages_max),
                out_text);
        rest.remove_prefix(is_more ? comma + 1 : 0);
    }
    return no_error;
}

// Never stored or removed as if nothing had been requested.
static error refuse_write(object_use use, std::string_view key, std::string &out_text)
{
    std::string given(key);
    given +=
        use == object_use::put
            ? "= with PUT needs object_to=ais/@#/BUCKET/OBJECT, which says where the result is to be kept; an upload is stored as it is"
            : "= goes with GET and HEAD, and with PUT if object_to= says where the result is to be kept; not with other methods";
    return refuse(error_code::not_implemented, std::move(given), out_text);
}

error object_query_read(std::string_view query, object_use use, object_query &out_query, std::string &out_text)
{
    query_parts parts;
    std::string key, value;
    bool is_broken = false;
    out_query = object_query();
    while (url_query_next(query, key, value, is_broken)) {
        if (error err = read_one(key, value, use, is_broken, parts, out_text))
            return err;
    }
    if (error err = read_members(parts, out_query, out_text))
        return err;
    if (parts.has_id && parts.has_name && parts.id != parts.name)
        return refuse(error_code::bad_request, "uuid and etl_name name two ETLs: an object goes through one at a time", out_text);
    if (!parts.args.empty() && !parts.has_id && !parts.has_name)
        return refuse(error_code::bad_request, "etl_args is given, and neither etl_name nor uuid: which ETL is meant?", out_text);
    if (parts.has_to) {
        if (error err = read_destination(parts.to, out_query, out_text))
            return err;
    }
    if (use != object_use::read && !parts.has_to && (parts.has_id || parts.has_name))
        return refuse_write(use, parts.has_name ? query_etl_name : query_etl_id, out_text);
    if (error err = read_pipeline(parts, out_query, out_text))
        return err;
    out_query.transform = parts.has_name ? object_transform::by_name : parts.has_id ? object_transform::by_id : object_transform::none;
    out_query.etl = parts.has_name ? parts.name : parts.id;
    return no_error;
}

} // namespace etlnode
