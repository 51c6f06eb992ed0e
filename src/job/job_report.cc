// SPDX-License-Identifier: MIT
// job/job_report.cc: a target's report about a job, and about an item that failed, as JSON.
//
// Knows    codec.        Known by  role.
// Limits   failure_text_max: longer texts are cut, because a report that is refused would silence the target.
#include "job/job_report.h"

#include "base/limits.h"
#include "base/text.h"

namespace etlnode {

static constexpr size_t word_size_max = 64;
static constexpr size_t text_size_max = 4 * kib;
static_assert(failure_text_max + 3 <= text_size_max, "what is printed can be parsed");

static void add_cut(const json_ptr &tree, const char *key, const std::string &text)
{
    json_add_text(tree.get(), key, text_cut(text, failure_text_max));
}

json_ptr job_report_print(const job_report &report)
{
    const ledger_job &row = report.row;
    json_ptr tree = json_object();
    json_add_text(tree.get(), "id", row.id);
    json_add_text(tree.get(), "kind", row.kind);
    json_add_text(tree.get(), "state", row.state);
    json_add_u64(tree.get(), "pass", row.pass);
    json_add_u64_text(tree.get(), "done", row.done);
    json_add_u64_text(tree.get(), "skipped", row.skipped);
    json_add_u64_text(tree.get(), "failed", row.failed);
    json_add_u64_text(tree.get(), "bytes", row.bytes);
    json_add_u64_text(tree.get(), "started_ns", row.started_ns);
    json_add_u64_text(tree.get(), "ended_ns", row.ended_ns);
    add_cut(tree, "error", row.error);
    add_cut(tree, "waiting", report.waiting);
    return tree;
}

bool job_report_parse(const cJSON *tree, job_report &out_report)
{
    ledger_job &row = out_report.row;
    return json_read_text(tree, "id", job_id_size_max, row.id) && json_read_text(tree, "kind", word_size_max, row.kind) &&
           json_read_text(tree, "state", word_size_max, row.state) && json_read_u64(tree, "pass", row.pass) &&
           json_read_u64(tree, "done", row.done) && json_read_u64(tree, "skipped", row.skipped) &&
           json_read_u64(tree, "failed", row.failed) && json_read_u64(tree, "bytes", row.bytes) &&
           json_read_u64(tree, "started_ns", row.started_ns) && json_read_u64(tree, "ended_ns", row.ended_ns) &&
           json_read_text(tree, "error", text_size_max, row.error) && json_read_text(tree, "waiting", text_size_max, out_report.waiting);
}

bool job_reports_parse(const cJSON *array, std::vector<job_report> &out_reports)
{
    if (!cJSON_IsArray(array) || static_cast<size_t>(cJSON_GetArraySize(array)) > job_running_max + job_kept_max)
        return false;
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, array)
    {
        job_report report;
        if (!job_report_parse(item, report))
            return false;
        out_reports.push_back(std::move(report));
    }
    return true;
}

json_ptr job_failure_print(const ledger_failure &failure)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "bucket", failure.bucket);
    json_add_text(tree.get(), "name", failure.name);
    json_add_i64(tree.get(), "status", failure.status);
    add_cut(tree, "text", failure.text);
    json_add_text(tree.get(), "request_id", failure.request_id);
    json_add_u64(tree.get(), "tries", failure.tries);
    return tree;
}

bool job_failure_parse(const cJSON *tree, ledger_failure &out_failure)
{
    uint64_t status = 0;
    bool is_good = json_read_text(tree, "bucket", bucket_name_size_max, out_failure.bucket) &&
                   json_read_text(tree, "name", object_name_size_max, out_failure.name) && json_read_u64(tree, "status", status) &&
                   status < 1000 && json_read_text(tree, "text", text_size_max, out_failure.text) &&
                   json_read_text(tree, "request_id", request_id_size_max, out_failure.request_id) &&
                   json_read_u64(tree, "tries", out_failure.tries);
    out_failure.status = static_cast<int>(status);
    return is_good;
}

} // namespace etlnode
