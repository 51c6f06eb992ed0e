// SPDX-License-Identifier: MIT
// etlctl/download_command.cc: job download: the targets bring contents of the web into a bucket.
#include "etlctl/commands.h"

#include "base/text.h"
#include "codec/url.h"
#include "etlctl/name.h"
#include "node/api.h"

namespace etlnode::etlctl {

// The last part of its path, decoded; empty: it has none.
static std::string name_of_link(std::string_view link)
{
    size_t scheme = link.find("://");
    std::string_view path = link.substr(scheme == std::string_view::npos ? 0 : scheme + 3);
    path = path.substr(0, path.find_first_of("?#"));
    size_t slash = path.rfind('/');
    std::string name;
    return slash != std::string_view::npos && url_decode(path.substr(slash + 1), name) ? name : std::string();
}

static failure read_download(const session &s, const std::string &link, const std::string &to, json_ptr &out_body)
{
    object_ref ref;
    std::string why;
    uint64_t workers = 0;
    failure f = parse_count("--num-workers", s.opt.num_workers, workers);
    if (f)
        return f;
    if (!name_parse_ref(to, ref, why))
        return usage_failure(why);
    bool is_range = link.find('{') != std::string::npos;
    bool is_folder = ref.object.ends_with('/');
    if (is_range && !ref.object.empty() && !is_folder)
        return usage_failure(to + ": many links need a folder: end it with /");
    out_body = json_object();
    cJSON *body = out_body.get();
    cJSON *bucket = json_add_object(body, "bucket");
    json_add_text(bucket, "name", ref.bucket);
    json_add_text(bucket, "provider", "ais");
    json_add_text(body, "type", is_range ? "range" : "single");
    json_add_text(body, is_range ? "template" : "link", link);
    if (is_range)
        json_add_text(body, "subdir", ref.object);
    else if (is_folder)
        json_add_text(body, "object_name", ref.object + name_of_link(link));
    else if (!ref.object.empty())
        json_add_text(body, "object_name", ref.object);
    if (workers > 0)
        json_add_u64(json_add_object(body, "limits"), "connections", workers);
    return {};
}

exit_code command_job_download(session &s)
{
    const std::string &link = s.opt.words[0];
    json_ptr body;
    failure f = read_download(s, link, s.opt.words[1], body);
    if (f)
        return session_fail(s, f);
    std::string url = session_url(s, path_download);
    std::string text = json_print(body.get());
    if (session_plan(s, "POST", url, text))
        return exit_code::ok;
    http_request request = session_request(s, "POST", url, control_timeout_ms);
    request.body = text;
    request.has_body = true;
    request.headers.push_back("Content-Type: application/json");
    json_ptr answer;
    f = fetch_json(s, request, "cannot download", link, cJSON_Object, answer);
    f.bucket = json_text(json_get(body.get(), "bucket"), "name");
    return f ? session_fail(s, f) : job_started(s, "download", std::string(json_text(answer.get(), "id")));
}

} // namespace etlnode::etlctl
