// SPDX-License-Identifier: MIT
// etlctl/job_retry.cc: job report --retry-failed: a new job for the objects that failed in another one.
//
// Normal   the same kind with the same options, over a list of the names that failed.
// Fails    A list that would be too long, or that the nodes refuse for its length: the same job again. It skips what is there, so it comes
//          to the same, only later. Of a job whose own list was too long for the cluster document, no list is kept.
#include "etlctl/commands.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "codec/url.h"
#include "etlctl/name.h"
#include "node/api.h"

namespace etlnode::etlctl {

static constexpr size_t names_size_max = 512 * 1024; // of the 1 MiB that a request may have

struct failed_names {
    std::vector<std::string> names;
    bool is_complete = true;
};

static failure read_failed(session &s, const std::string &id, failed_names &out)
{
    json_ptr page;
    size_t size = 0;
    for (bool has_more = true; has_more && out.is_complete;) {
        json_ptr former = std::move(page);
        const cJSON *entries = json_get(former.get(), "failures");
        const cJSON *last = former != nullptr ? cJSON_GetArrayItem(entries, cJSON_GetArraySize(entries) - 1) : nullptr;
        failure f = fetch_job_failures(s, id, last, page);
        if (!f && cJSON_GetArraySize(json_get(page.get(), "missing")) > 0)
            f = failure_make(exit_code::unavailable, "cannot retry job " + id,
                "a target did not answer, and what failed there is not known", "etlctl cluster health");
        if (f)
            return f;
        const cJSON *entry = nullptr;
        cJSON_ArrayForEach(entry, json_get(page.get(), "failures"))
        {
            out.names.emplace_back(json_text(entry, "name"));
            json_ptr text(cJSON_CreateString(out.names.back().c_str()));
            size += json_print(text.get()).size() + 1;
        }
        out.is_complete = size <= names_size_max;
        has_more = json_bool(page.get(), "more", false) && cJSON_GetArraySize(json_get(page.get(), "failures")) > 0;
    }
    return {};
}

// What a job's options are called in the action that begins one.
static json_ptr value_of(const cJSON *options)
{
    json_ptr value = json_object();
    for (const cJSON *option = options != nullptr ? options->child : nullptr; option != nullptr; option = option->next) {
        std::string key = option->string;
        key = key == "etl" ? "id" : key == "num_workers" ? "num-workers" : key;
        if (key == "objnames_count") // of a list that stands beside the document
            continue;
        if (key == "to")
            json_add_text(json_add_object(value.get(), "tobck"), "name", json_text(options, "to"));
        else
            json_add_tree(value.get(), key.c_str(), json_ptr(cJSON_Duplicate(option, true)));
    }
    return value;
}

static failure check_job(const cJSON *job, const std::string &id)
{
    std::string kind(json_text(job, "kind"));
    bool is_known = kind.starts_with("copy-") || kind.starts_with("etl-") || kind == "delete-listrange";
    if (json_u64(job, "ended_ns", 0) == 0)
        return failure_make(exit_code::conflict, "cannot retry job " + id, "it has not ended yet", "etlctl job wait " + id);
    if (is_known)
        return {};
    if (kind == "download")
        return failure_make(exit_code::usage, {},
            "a download cannot be retried for what failed alone: begin it again, it skips what is there", "etlctl help job download");
    std::string scope(json_text(job, "bucket"));
    return failure_make(exit_code::usage, {}, "a job of kind " + kind + " cannot be retried for what failed alone",
        kind == "scrub" ? "etlctl scrub" + (scope.empty() ? std::string() : " " + scope) : std::string());
}

static std::string request_of(const cJSON *job, const failed_names &failed, std::string &out_url, std::string &out_action)
{
    const cJSON *options = json_get(job, "options");
    out_action = json_text(job, "kind");
    json_ptr value = value_of(options);
    if (failed.is_complete) {
        if (out_action.ends_with("-bck"))
            out_action = out_action.substr(0, out_action.size() - 3) + "listrange";
        for (const char *key : {"template", "objnames", "prefix"})
            cJSON_DeleteItemFromObjectCaseSensitive(value.get(), key);
        cJSON *names = json_add_array(value.get(), "objnames");
        for (const std::string &name : failed.names)
            json_append(names, json_ptr(cJSON_CreateString(name.c_str())));
    } else if (out_action.ends_with("-bck")) {
        if (!json_text(job, "prefix").empty())
            json_add_text(value.get(), "prefix", json_text(job, "prefix"));
        cJSON_DeleteItemFromObjectCaseSensitive(value.get(), "tobck");
        out_url += "?bck_to=" + url_encode("ais/@#/" + std::string(json_text(options, "to")) + "/");
    }
    json_ptr body = json_object();
    json_add_text(body.get(), "action", out_action);
    json_add_tree(body.get(), "value", std::move(value));
    return json_print(body.get());
}

static exit_code begin_again(session &s, const std::string &id, const cJSON *job, failed_names &failed)
{
    if (!failed.is_complete && json_get(json_get(job, "options"), "objnames_count") != nullptr)
        return session_fail(
            s, failure_make(exit_code::limit, "cannot retry job " + id,
                   "more objects failed than a list may name, and the job's own list is not kept", "etlctl job report " + id + " -o name"));
    std::string bucket(json_text(job, "bucket"));
    std::string url = session_url(s, path_buckets) + "/" + url_encode(bucket);
    std::string action;
    std::string body = request_of(job, failed, url, action);
    const char *method = action == "delete-listrange" ? "DELETE" : "POST";
    std::string scope = failed.is_complete ? std::to_string(failed.names.size()) + " that failed"
                                           : "all, because more failed than a list may have";
    if (session_plan(s, method, url, "action " + action + " of " + scope))
        return exit_code::ok;
    http_request request = session_request(s, method, url, control_timeout_ms);
    request.body = body;
    request.has_body = true;
    request.headers.push_back("Content-Type: application/json");
    http_reply reply;
    failure f = session_perform(s, request, "cannot retry job", id, reply);
    f.bucket = bucket;
    if (f.status == 413 && failed.is_complete) {
        failed.is_complete = false;
        return begin_again(s, id, job, failed);
    }
    return f ? session_fail(s, f) : job_started(s, action, std::string(text_trim(reply.body)));
}

exit_code job_retry(session &s, const std::string &id)
{
    json_ptr job;
    failed_names failed;
    failure f = fetch_job(s, id, job);
    if (!f)
        f = check_job(job.get(), id);
    if (!f)
        f = read_failed(s, id, failed);
    if (f) {
        if (f.exit == exit_code::not_found && f.hint.empty())
            f.hint = "etlctl job ls";
        return session_fail(s, f);
    }
    if (failed.names.empty()) {
        session_note(s, "nothing failed in job %s", id.c_str());
        return exit_code::ok;
    }
    return begin_again(s, id, job.get(), failed);
}

} // namespace etlnode::etlctl
