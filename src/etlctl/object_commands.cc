// SPDX-License-Identifier: MIT
// etlctl/object_commands.cc: object get, put, ls, head and rm.
#include "etlctl/commands.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "codec/url.h"
#include "etlctl/format.h"
#include "etlctl/glob.h"
#include "etlctl/name.h"
#include "etlctl/progress.h"
#include "etlctl/transfer.h"
#include "node/api.h"

namespace etlnode::etlctl {

static exit_code fail_object(session &s, failure f, const object_ref &ref)
{
    f.bucket = ref.bucket;
    f.object = ref.object;
    return session_fail(s, std::move(f));
}

exit_code command_object_get(session &s)
{
    if (folder_is_meant(s))
        return folder_command(s);
    object_ref ref;
    std::string why;
    download d;
    if (!name_parse_object(s.opt.words[0], ref, why) || (!s.opt.range.empty() && !name_parse_range(s.opt.range, d.range, why)))
        return session_fail(s, usage_failure(why));
    d.url = session_object_url(s, ref.bucket, ref.object);
    d.doing = "cannot read object " + name_object_uri(ref.bucket, ref.object);
    d.what = ref.object;
    if (s.opt.words.size() > 1)
        d.out = s.opt.words[1];
    else if (s.program == "ais")
        d.out = "."; // AIStore's `ais` command writes a file; a caller that uses its name expects that
    d.whole_object = d.range.empty();
    failure f = transfer_download(s, d);
    return f ? fail_object(s, f, ref) : exit_code::ok;
}

exit_code command_object_put(session &s)
{
    if (folder_is_meant(s))
        return folder_command(s);
    upload u;
    u.file = s.opt.words[0];
    object_ref ref;
    std::string why;
    if (!name_parse_ref(s.opt.words[1], ref, why))
        return session_fail(s, usage_failure(why));
    if (ref.object.empty() || ref.object.ends_with('/')) {
        size_t slash = u.file.rfind('/');
        std::string name = slash == std::string::npos ? u.file : u.file.substr(slash + 1);
        if (u.file == "-" || name.empty())
            return session_fail(s, usage_failure("standard input has no name: write BUCKET/OBJECT"));
        ref.object += name;
    }
    u.url = session_object_url(s, ref.bucket, ref.object);
    u.doing = "cannot store object " + name_object_uri(ref.bucket, ref.object);
    u.what = ref.object;
    if (session_plan(s, "PUT", u.url, u.file == "-" ? "standard input" : u.file))
        return exit_code::ok;
    failure f = transfer_upload(s, u);
    if (f.code == "bucket_not_found" && f.message.find("did you mean") == std::string::npos)
        f.hint = "etlctl bucket create " + ref.bucket;
    if (f)
        return fail_object(s, f, ref);
    session_note(s, "%s stored", name_object_uri(ref.bucket, ref.object).c_str());
    return exit_code::ok;
}

// ---- ls

static constexpr column object_columns[] = {
    {"NAME", "name", cell_kind::text, false},
    {"SIZE", "size", cell_kind::bytes, false},
    {"VERSION", "version", cell_kind::text, true},
    {"CHECKSUM", "checksum", cell_kind::text, true},
    {"ACCESSED", "accessTime", cell_kind::text, true},
};

failure fetch_object_page(session &s, const std::string &bucket, const std::string &prefix, const char *props, uint64_t size,
    const object_page &previous, uint64_t timeout_ms, object_page &out_page, const char *flags)
{
    json_ptr message = json_object();
    json_add_text(message.get(), "action", "list");
    json_add_text(message.get(), "name", "");
    cJSON *value = json_add_object(message.get(), "value");
    json_add_text(value, "prefix", prefix);
    json_add_u64(value, "pagesize", size);
    json_add_text(value, "uuid", previous.uuid);
    json_add_text(value, "props", props);
    json_add_text(value, "continuation_token", previous.token);
    json_add_text(value, "flags", flags);
    std::string body = json_print(message.get());

    http_request request = session_request(s, "GET", session_url(s, path_buckets) + "/" + url_encode(bucket) + "?provider=ais", timeout_ms);
    request.body = body;
    request.has_body = true;
    request.headers.push_back("Content-Type: application/json");
    request.headers.push_back("Accept: application/json");
    failure f = fetch_json(s, request, "cannot list objects of", name_bucket_uri(bucket), cJSON_Object, out_page.tree);
    if (f) {
        f.bucket = bucket;
        return f;
    }
    out_page.entries = json_get(out_page.tree.get(), "entries");
    out_page.uuid = json_text(out_page.tree.get(), "uuid");
    out_page.token = json_text(out_page.tree.get(), "continuation_token");
    // A server that repeats a token would keep this loop running forever.
    if (!out_page.token.empty() && out_page.token == previous.token)
        return failure_make(
            exit_code::other, "cannot list objects of " + name_bucket_uri(bucket), "the server answered the same page twice");
    return {};
}

static json_ptr object_item(const std::string &bucket, const cJSON *entry)
{
    json_ptr item = json_object();
    json_add_text(item.get(), "name", json_text(entry, "name"));
    json_add_text(item.get(), "bucket", bucket);
    json_add_text(item.get(), "provider", "ais");
    json_add_u64(item.get(), "size", json_u64(entry, "size", 0));
    output_add_text(item.get(), "version", json_text(entry, "version"));
    output_add_text(item.get(), "checksum", json_text(entry, "checksum"));
    output_add_text(item.get(), "accessTime", format_time_text(json_text(entry, "atime")));
    return item;
}

// What an argument BUCKET/TEXT of ls selects: names that begin with the text or, if it is a pattern, match it.
struct listed_names {
    std::string text;
    std::string prefix; // of all that may be selected
    glob pattern;
    bool has_pattern = false;
};

static listed_names read_listed(const std::string &text)
{
    listed_names out;
    std::string ignored;
    out.text = text;
    out.prefix = text;
    // What is no pattern after all, for a [ without its ], is the beginning of a name.
    out.has_pattern = glob_is_pattern(text) && glob_parse(text, out.pattern, ignored);
    if (out.has_pattern)
        out.prefix = text.starts_with(out.pattern.literal) ? out.pattern.literal : out.pattern.literal.substr(0, text.find('\\'));
    return out;
}

static bool is_selected(const listed_names &names, std::string_view name)
{
    return !names.has_pattern || name.starts_with(names.text) || glob_match(names.pattern, name);
}

// With -o name, print BUCKET/OBJECT, which every command accepts.
static json_ptr object_name_item(const std::string &bucket, const cJSON *entry)
{
    json_ptr item = json_object();
    json_add_text(item.get(), "name", bucket + "/" + std::string(json_text(entry, "name")));
    return item;
}

exit_code command_object_ls(session &s)
{
    object_ref ref;
    std::string why;
    if (!name_parse_ref(s.opt.words[0], ref, why))
        return session_fail(s, usage_failure(why));
    if (!ref.object.empty() && !s.opt.prefix.empty())
        return session_fail(s, usage_failure("the prefix is given twice: in the argument and with --prefix"));
    listed_names names = read_listed(ref.object);
    std::string prefix = names.prefix + s.opt.prefix;
    uint64_t left = UINT64_MAX;
    list_printer list = session_list(s, "Object", object_columns, "name");
    failure f = parse_count("--limit", s.opt.limit, left);
    if (!f)
        f = session_check_list(s, list);
    bool name_only = s.format == output_format::name && s.opt.sort_by.empty();
    const char *props = name_only                                                   ? "name"
                        : s.format == output_format::table && s.opt.sort_by.empty() ? "name,size"
                                                                                    : "name,size,version,checksum,atime";
    object_page page;
    while (!f) {
        object_page next;
        uint64_t size = names.has_pattern ? list_page_size_max : std::min<uint64_t>(left, list_page_size_max);
        f = fetch_object_page(s, ref.bucket, prefix, props, size, page, control_timeout_ms, next);
        if (f)
            break;
        const cJSON *entry = nullptr;
        cJSON_ArrayForEach(entry, next.entries)
        {
            if (left == 0)
                break;
            if (!is_selected(names, json_text(entry, "name")))
                continue;
            list_add(list, s.format == output_format::name ? object_name_item(ref.bucket, entry) : object_item(ref.bucket, entry));
            --left;
        }
        page = std::move(next);
        if (page.token.empty() || left == 0)
            break;
        list_flush(list);
        if (ferror(stdout) != 0)
            break;
    }
    if (f) {
        ref.object.clear();
        return fail_object(s, f, ref);
    }
    list_end(list);
    f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

// ---- head

static constexpr column head_columns[] = {
    {"NAME", "name", cell_kind::text, false},
    {"BUCKET", "bucket", cell_kind::text, false},
    {"SIZE", "size", cell_kind::bytes, false},
    {"VERSION", "version", cell_kind::text, false},
    {"CHECKSUM", "checksum", cell_kind::text, false},
    {"CHECKSUM TYPE", "checksumType", cell_kind::text, false},
    {"CONTENT TYPE", "contentType", cell_kind::text, false},
    {"ETAG", "etag", cell_kind::text, false},
    {"MODIFIED", "lastModified", cell_kind::text, false},
    {"ACCESSED", "accessTime", cell_kind::text, false},
    {"CUSTOM", "custom", cell_kind::text, false},
};

static void add_custom(cJSON *item, const http_reply &reply)
{
    cJSON *custom = json_add_object(item, "custom");
    for (const auto &[name, value] : reply.headers) {
        if (!text_equal_ignore_case(name, header_custom_md))
            continue;
        size_t sign = value.find('=');
        json_add_text(custom, value.substr(0, sign).c_str(), sign == std::string::npos ? std::string() : value.substr(sign + 1));
    }
}

exit_code command_object_head(session &s)
{
    object_ref ref;
    std::string why;
    if (!name_parse_object(s.opt.words[0], ref, why))
        return session_fail(s, usage_failure(why));
    http_reply reply;
    failure f = session_perform(s, session_request(s, "HEAD", session_object_url(s, ref.bucket, ref.object), control_timeout_ms),
        "cannot read object", name_object_uri(ref.bucket, ref.object), reply);
    if (f)
        return fail_object(s, f, ref);
    json_ptr item = json_object();
    json_add_text(item.get(), "name", ref.object);
    json_add_text(item.get(), "bucket", ref.bucket);
    json_add_text(item.get(), "provider", "ais");
    uint64_t size = 0;
    if (text_parse_u64(http_header(reply, "Content-Length"), size))
        json_add_u64(item.get(), "size", size);
    else
        cJSON_AddNullToObject(item.get(), "size");
    output_add_text(item.get(), "version", http_header(reply, header_version));
    output_add_text(item.get(), "checksum", http_header(reply, header_checksum_value));
    output_add_text(item.get(), "checksumType", http_header(reply, header_checksum_type));
    output_add_text(item.get(), "contentType", http_header(reply, "Content-Type"));
    output_add_text(item.get(), "etag", http_header(reply, "ETag"));
    output_add_text(item.get(), "lastModified", format_time_text(http_header(reply, "Last-Modified")));
    output_add_text(item.get(), "accessTime", format_time_text(http_header(reply, header_atime)));
    add_custom(item.get(), reply);
    item_print(stdout, s.format, "Object", head_columns, "name", item.get());
    f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

// ---- rm

exit_code command_object_rm(session &s)
{
    if (folder_is_meant(s))
        return folder_command(s);
    std::vector<object_ref> refs;
    std::string why;
    for (const std::string &word : s.opt.words) {
        object_ref ref;
        if (!name_parse_object(word, ref, why)) {
            object_ref bucket;
            std::string ignored;
            bool is_bucket = name_parse_ref(word, bucket, ignored);
            return session_fail(
                s, usage_failure(why, is_bucket ? "to remove the bucket: etlctl bucket rm " + bucket.bucket : std::string()));
        }
        refs.push_back(std::move(ref));
    }
    progress shown;
    progress_start(shown, s, "removing", refs.size(), 0);
    size_t failed = 0;
    exit_code first = exit_code::ok;
    for (const object_ref &ref : refs) {
        std::string url = session_object_url(s, ref.bucket, ref.object);
        if (session_plan(s, "DELETE", url))
            continue;
        http_reply reply;
        failure f = session_perform(s, session_request(s, "DELETE", url, control_timeout_ms), "cannot remove object",
            name_object_uri(ref.bucket, ref.object), reply);
        if (f.exit == exit_code::not_found && s.opt.ignore_not_found)
            f = {};
        if (f) {
            progress_hide(shown);
            exit_code exit = fail_object(s, f, ref);
            first = failed++ == 0 ? exit : first;
            // The server is unreachable. The remaining requests would fail in the same way, each after its own timeout.
            if (f.status == 0 && failed == 1 && &ref == refs.data())
                return exit;
        } else {
            ++shown.state.objects_done;
        }
        progress_tick(shown);
    }
    progress_hide(shown);
    if (failed == 0 || failed == refs.size())
        return first;
    s.worst = exit_code::partial;
    return exit_code::partial;
}

std::vector<std::string> object_names(session &s, const std::string &bucket, const std::string &prefix)
{
    static constexpr uint64_t shown_max = 100;
    static const char *one_level = "2048"; // what is deeper is offered as its folder
    std::vector<std::string> out;
    object_page page;
    failure f = fetch_object_page(s, bucket, prefix, "name", shown_max, {}, 0, page, one_level);
    const cJSON *entry = nullptr;
    if (!f)
        cJSON_ArrayForEach(entry, page.entries) out.emplace_back(json_text(entry, "name"));
    return out;
}

} // namespace etlnode::etlctl
