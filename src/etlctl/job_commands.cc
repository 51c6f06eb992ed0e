// SPDX-License-Identifier: MIT
// etlctl/job_commands.cc: scrub, and job start, ls, show, watch, wait, cancel, report.
//
// A job lives in the cluster, never in this program: ending `wait` or `watch` leaves it, and says how to return.
#include "etlctl/commands.h"

#include <algorithm>
#include <ctime>

#include "base/text.h"
#include "codec/url.h"
#include "etlctl/format.h"
#include "etlctl/name.h"
#include "etlctl/partial_file.h"
#include "etlctl/progress.h"
#include "node/api.h"

namespace etlnode::etlctl {

static constexpr uint64_t poll_min_ms = 50;
static constexpr uint64_t poll_max_ms = 1'000;
static constexpr uint64_t report_page = 1'000;

// ---- one job as an item

static constexpr column job_columns[] = {
    {"ID", "id", cell_kind::text, false},
    {"KIND", "kind", cell_kind::text, false},
    {"STATE", "state", cell_kind::text, false},
    {"SCOPE", "scope", cell_kind::text, false},
    {"DONE", "done", cell_kind::count, false},
    {"SKIPPED", "skipped", cell_kind::count, true},
    {"FAILED", "failed", cell_kind::count, false},
    {"BYTES", "bytes", cell_kind::bytes, false},
    {"CREATED", "created", cell_kind::text, false},
    {"ENDED", "ended", cell_kind::text, true},
    {"CREATOR", "creator", cell_kind::text, true},
    {"WAITING", "waiting", cell_kind::text, true},
    {"ERROR", "error", cell_kind::text, true},
};

static constexpr column share_columns[] = {
    {"TARGET", "target", cell_kind::text, false},
    {"STATE", "state", cell_kind::text, false},
    {"DONE", "done", cell_kind::count, false},
    {"SKIPPED", "skipped", cell_kind::count, false},
    {"FAILED", "failed", cell_kind::count, false},
    {"BYTES", "bytes", cell_kind::bytes, false},
    {"WAITING", "waiting", cell_kind::text, false},
    {"ERROR", "error", cell_kind::text, true},
};

static void add_counts(cJSON *item, const cJSON *from)
{
    for (const char *key : {"done", "skipped", "failed", "bytes"})
        json_add_u64(item, key, json_u64(from, key, 0));
}

static json_ptr share_item(const cJSON *share)
{
    json_ptr item = json_object();
    json_add_text(item.get(), "target", json_text(share, "target"));
    json_add_text(item.get(), "state", json_text(share, "state"));
    add_counts(item.get(), share);
    output_add_text(item.get(), "waiting", json_text(share, "waiting"));
    output_add_text(item.get(), "error", json_text(share, "error"));
    return item;
}

static json_ptr job_item(const cJSON *job)
{
    std::string scope(json_text(job, "bucket"));
    if (!json_text(job, "prefix").empty())
        scope += "/" + std::string(json_text(job, "prefix"));
    std::string_view to = json_text(json_get(job, "options"), "to");
    if (!to.empty())
        scope.append(" -> ").append(to);
    json_ptr item = json_object();
    json_add_text(item.get(), "id", json_text(job, "id"));
    json_add_text(item.get(), "kind", json_text(job, "kind"));
    json_add_text(item.get(), "state", json_text(job, "state"));
    output_add_text(item.get(), "scope", scope);
    add_counts(item.get(), job);
    output_add_text(item.get(), "created", format_time_text(json_text(job, "created_ns")));
    output_add_text(item.get(), "ended", format_time_text(json_text(job, "ended_ns")));
    output_add_text(item.get(), "creator", json_text(job, "creator"));
    output_add_text(item.get(), "waiting", json_text(job, "waiting"));
    output_add_text(item.get(), "error", json_text(job, "error"));
    if (const cJSON *shares = json_get(job, "targets"); shares != nullptr) {
        cJSON *list = json_add_array(item.get(), "targets");
        const cJSON *share = nullptr;
        cJSON_ArrayForEach(share, shares) json_append(list, share_item(share));
    }
    return item;
}

static bool is_for_people(const session &s) { return s.format == output_format::table || s.format == output_format::wide; }

static std::string job_url(const session &s, const std::string &id, const std::string &more = {})
{
    return session_url(s, path_jobs) + "/" + url_encode(id) + more;
}

static exit_code fail_job(session &s, failure f)
{
    if (f.exit == exit_code::not_found && f.hint.empty())
        f.hint = "etlctl job ls";
    return session_fail(s, f);
}

failure fetch_job(session &s, const std::string &id, json_ptr &out_job)
{
    return fetch_json(s, session_request(s, "GET", job_url(s, id), control_timeout_ms), "cannot read job", id, cJSON_Object, out_job);
}

// ---- ls, show

exit_code command_job_ls(session &s)
{
    list_printer list = session_list(s, "Job", job_columns, "id");
    failure f = session_check_list(s, list);
    json_ptr tree;
    if (!f)
        f = fetch_json(
            s, session_request(s, "GET", session_url(s, path_jobs), control_timeout_ms), "cannot list jobs", {}, cJSON_Object, tree);
    if (f)
        return session_fail(s, f);
    const cJSON *job = nullptr;
    cJSON_ArrayForEach(job, json_get(tree.get(), "jobs")) list_add(list, job_item(job));
    list_end(list);
    f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

// Newest first.
std::vector<std::string> job_ids(session &s)
{
    std::vector<std::string> ids;
    json_ptr tree;
    failure f = fetch_json(s, session_request(s, "GET", session_url(s, path_jobs), 0), "cannot list jobs", {}, cJSON_Object, tree);
    const cJSON *job = nullptr;
    if (!f)
        cJSON_ArrayForEach(job, json_get(tree.get(), "jobs")) ids.emplace_back(json_text(job, "id"));
    std::reverse(ids.begin(), ids.end());
    return ids;
}

static void print_shares(session &s, const cJSON *job)
{
    list_printer list = session_list(s, "JobShare", share_columns, "target");
    const cJSON *share = nullptr;
    cJSON_ArrayForEach(share, json_get(job, "targets")) list_add(list, share_item(share));
    fputc('\n', stdout);
    list_end(list);
}

static void warn_missing(const session &s, const cJSON *tree, const char *what)
{
    const cJSON *entry = nullptr;
    cJSON_ArrayForEach(entry, json_get(tree, "missing")) fprintf(stderr, "%s: warning: target %s did not answer: %s\n", s.program.c_str(),
        format_message(cJSON_IsString(entry) ? entry->valuestring : "?").c_str(), what);
}

exit_code command_job_show(session &s)
{
    json_ptr job;
    failure f = fetch_job(s, s.opt.words[0], job);
    if (f)
        return fail_job(s, f);
    json_ptr item = job_item(job.get());
    item_print(stdout, s.format, "Job", job_columns, "id", item.get());
    if (is_for_people(s) && cJSON_GetArraySize(json_get(job.get(), "targets")) > 0)
        print_shares(s, job.get());
    warn_missing(s, job.get(), "its share is as it was last heard");
    f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

// ---- watch, wait

static std::string count_text(uint64_t count, const char *what)
{
    return text_format("%llu %s%s", static_cast<unsigned long long>(count), what, count == 1 ? "" : "s");
}

// "scrub bqvIEUAyI: done: 40 objects, 1.2MiB, 2 failed"
static std::string end_text(const cJSON *job)
{
    std::string text = format_message(json_text(job, "kind")) + " " + format_message(json_text(job, "id")) + ": " +
                       format_message(json_text(job, "state")) + ": " +
                       count_text(json_u64(job, "done", 0) + json_u64(job, "failed", 0), "object") + ", " +
                       format_size(json_u64(job, "bytes", 0));
    if (uint64_t skipped = json_u64(job, "skipped", 0); skipped > 0)
        text += text_format(", %llu skipped", static_cast<unsigned long long>(skipped));
    return text + text_format(", %llu failed", static_cast<unsigned long long>(json_u64(job, "failed", 0)));
}

// The outcome of the job as this program's own.
static exit_code finish_job(session &s, const cJSON *job)
{
    std::string id(json_text(job, "id"));
    std::string_view state = json_text(job, "state"), why = json_text(job, "error");
    if (is_for_people(s)) {
        printf("%s\n", end_text(job).c_str());
    } else {
        json_ptr item = job_item(job);
        item_print(stdout, s.format, "Job", job_columns, "id", item.get());
    }
    failure f = session_flush(s);
    if (!f && state == "cancelled")
        f = failure_make(exit_code::other, {}, "job " + id + " was cancelled" + (why.empty() ? "" : ": ") + std::string(why));
    else if (!f && state == "failed")
        f = failure_make(exit_code::other, {}, "job " + id + " failed: " + std::string(why));
    else if (!f && json_u64(job, "failed", 0) > 0)
        f = failure_make(exit_code::partial, {}, count_text(json_u64(job, "failed", 0), "object") + " of job " + id + " failed",
            "etlctl job report " + id);
    return f ? session_fail(s, f) : exit_code::ok;
}

static void show_job_progress(progress &p, const cJSON *job)
{
    progress_state &state = p.state;
    state.objects_failed = json_u64(job, "failed", 0);
    state.objects_done = json_u64(job, "done", 0) + json_u64(job, "skipped", 0) + state.objects_failed;
    state.objects_total = json_u64(job, "total", 0);
    state.bytes_done = json_u64(job, "bytes", 0);
    state.waiting = json_text(job, "waiting");
    progress_tick(p);
    state.waiting = {};
}

// A job that began before this program did has been read that fast, too.
static void begin_job_progress(progress &p, const session &s, const cJSON *job)
{
    progress_start(p, s, std::string(json_text(job, "kind")) + " " + std::string(json_text(job, "id")), 0, 0);
    uint64_t age_ms = json_u64(job, "age_ms", 0);
    p.started_ms -= std::min(p.started_ms, age_ms);
}

// "g9", of a rebalance with which another one goes on (error: "g9 goes on with it: ..."); empty: none does.
static std::string successor(const cJSON *job)
{
    std::string_view error = json_text(job, "error");
    size_t end = error.find(" goes on with it");
    bool is_passed_on = json_text(job, "kind") == "rebalance" && json_text(job, "state") == "cancelled" && end != std::string_view::npos;
    return is_passed_on ? std::string(error.substr(0, end)) : std::string();
}

static exit_code follow_job(session &s, std::string id)
{
    partial_file_set_signal_text(text_format(
        "\n%.40s: interrupted; job %.64s goes on: %.40s job watch %.64s\n", s.program.c_str(), id.c_str(), s.program.c_str(), id.c_str()));
    uint64_t began_ms = session_clock_ms();
    uint64_t pause_ms = poll_min_ms;
    uint64_t limit_ms = s.timeout_ms;
    progress p;
    bool is_paused = false;
    for (bool is_first = true;; is_first = false) {
        json_ptr job;
        failure f = fetch_job(s, id, job);
        bool is_passing = f && f.retryable && !is_first; // a proxy that restarts; the job goes on meanwhile
        if (f && !is_passing) {
            progress_end(p);
            return fail_job(s, f);
        }
        if (is_first)
            begin_job_progress(p, s, job.get());
        if (std::string next = successor(job.get()); !next.empty() && next != id) {
            id = next;
            continue;
        }
        if (!f && json_u64(job.get(), "ended_ns", 0) != 0) {
            show_job_progress(p, job.get());
            progress_end(p);
            return finish_job(s, job.get());
        }
        bool was_paused = is_paused;
        is_paused = !f && json_text(job.get(), "state") == "paused";
        if (is_paused && !was_paused) {
            progress_hide(p);
            fprintf(stderr, "%s: job %s is paused; to let it go on: %s job start rebalance\n", s.program.c_str(), id.c_str(),
                s.program.c_str());
        }
        if (!f)
            show_job_progress(p, job.get());
        if (limit_ms != 0 && session_clock_ms() - began_ms >= limit_ms) {
            progress_end(p);
            return session_fail(
                s, failure_make(exit_code::timeout, {}, "job " + id + " has not ended yet; it goes on", "etlctl job wait " + id));
        }
        session_sleep_ms(pause_ms);
        pause_ms = std::min(pause_ms * 3 / 2, poll_max_ms);
    }
}

exit_code command_job_wait(session &s) { return follow_job(s, s.opt.words[0]); }

exit_code command_job_watch(session &s)
{
    if (s.progress == progress_mode::automatic && !s.err_is_tty)
        s.progress = progress_mode::plain;
    return follow_job(s, s.opt.words[0]);
}

// ---- start, cancel

static failure put_action(session &s, const char *action, json_ptr value, const char *doing, const std::string &name, http_reply &reply)
{
    json_ptr body = json_object();
    json_add_text(body.get(), "action", action);
    json_add_tree(body.get(), "value", std::move(value));
    std::string text = json_print(body.get());
    http_request request = session_request(s, "PUT", session_url(s, path_cluster), control_timeout_ms);
    request.body = text;
    request.has_body = true;
    request.headers.push_back("Content-Type: application/json");
    return session_perform(s, request, doing, name, reply);
}

static failure read_start(session &s, const std::string &kind, const std::string &scope, json_ptr &out_value)
{
    out_value = json_object();
    json_add_text(out_value.get(), "Kind", kind);
    object_ref ref;
    std::string why;
    if (!scope.empty() && !name_parse_ref(scope, ref, why))
        return usage_failure(why);
    if (!ref.object.empty() && !s.opt.prefix.empty())
        return usage_failure("the prefix is given twice: in the argument and with --prefix");
    std::string prefix = ref.object + s.opt.prefix;
    if (!prefix.empty() && ref.bucket.empty())
        return usage_failure("a prefix needs a bucket");
    if (!ref.bucket.empty()) {
        cJSON *bucket = json_add_object(out_value.get(), "Bck");
        json_add_text(bucket, "name", ref.bucket);
        json_add_text(bucket, "provider", "ais");
    }
    if (!prefix.empty())
        json_add_text(out_value.get(), "prefix", prefix);
    if (s.opt.rate.empty())
        return {};
    uint64_t rate = 0;
    if (!text_parse_rate(s.opt.rate, rate))
        return usage_failure("--rate " + text_escape(s.opt.rate) + ": write bytes a second, for example 50MiB");
    json_add_u64(json_add_object(out_value.get(), "options"), "rate", rate);
    return {};
}

// A rebalance that has nothing to move has ended before anybody could follow it.
static void note_started(session &s, const std::string &kind, const std::string &id)
{
    json_ptr job;
    bool is_over = kind == "rebalance" && !fetch_job(s, id, job) && json_u64(job.get(), "ended_ns", 0) != 0;
    if (is_over)
        session_note(s, "nothing has to move, so job %s has ended already", id.c_str());
    else
        session_note(s, "follow it with: %s job watch %s", s.program.c_str(), id.c_str());
}

static exit_code start_job(session &s, const std::string &kind, const std::string &scope)
{
    json_ptr value;
    failure f = read_start(s, kind, scope, value);
    if (f)
        return session_fail(s, f);
    if (session_plan(s, "PUT", session_url(s, path_cluster), "action start " + kind + (scope.empty() ? "" : " " + scope)))
        return exit_code::ok;
    http_reply reply;
    f = put_action(s, "start", std::move(value), "cannot start job", kind, reply);
    if (f)
        return session_fail(s, f);
    return job_started(s, kind, std::string(text_trim(reply.body)));
}

exit_code job_started(session &s, const std::string &kind, const std::string &id)
{
    if (s.opt.wait)
        return follow_job(s, id);
    if (is_for_people(s) || s.format == output_format::name) {
        printf("%s\n", format_message(id).c_str());
    } else {
        json_ptr item = json_object();
        json_add_text(item.get(), "id", id);
        json_add_text(item.get(), "kind", kind);
        item_print(stdout, s.format, "Job", std::span<const column>(job_columns).first(2), "id", item.get());
    }
    note_started(s, kind, id);
    failure f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

exit_code command_scrub(session &s) { return start_job(s, "scrub", s.opt.words.empty() ? std::string() : s.opt.words[0]); }

exit_code command_job_start(session &s) { return start_job(s, s.opt.words[0], s.opt.words.size() < 2 ? std::string() : s.opt.words[1]); }

exit_code command_job_cancel(session &s)
{
    const std::string &id = s.opt.words[0];
    if (session_plan(s, "PUT", session_url(s, path_cluster), "action stop " + id))
        return exit_code::ok;
    json_ptr job;
    failure f = fetch_job(s, id, job); // AIStore's stop succeeds whatever the id
    if (f)
        return fail_job(s, f);
    if (json_u64(job.get(), "ended_ns", 0) != 0)
        return session_fail(s, failure_make(exit_code::conflict, "cannot cancel job " + id,
                                   "it has ended already: " + std::string(json_text(job.get(), "state")), "etlctl job show " + id));
    json_ptr value = json_object();
    json_add_text(value.get(), "ID", id);
    http_reply reply;
    f = put_action(s, "stop", std::move(value), "cannot cancel job", id, reply);
    if (f)
        return fail_job(s, f);
    session_note(s, "job %s is being cancelled", id.c_str());
    return exit_code::ok;
}

// ---- report

static constexpr column report_columns[] = {
    {"OBJECT", "object", cell_kind::text, false},
    {"TARGET", "target", cell_kind::text, false},
    {"STATUS", "status", cell_kind::count, true},
    {"TRIES", "tries", cell_kind::count, true},
    {"REQUEST", "requestId", cell_kind::text, true},
    {"MESSAGE", "message", cell_kind::text, false},
};

static json_ptr failure_item(const cJSON *entry)
{
    json_ptr item = json_object();
    json_add_text(item.get(), "object", std::string(json_text(entry, "bucket")) + "/" + std::string(json_text(entry, "name")));
    json_add_text(item.get(), "target", json_text(entry, "target"));
    json_add_u64(item.get(), "status", json_u64(entry, "status", 0));
    json_add_u64(item.get(), "tries", json_u64(entry, "tries", 0));
    output_add_text(item.get(), "requestId", json_text(entry, "request_id"));
    output_add_text(item.get(), "message", json_text(entry, "text"));
    return item;
}

failure fetch_job_failures(session &s, const std::string &id, const cJSON *after, json_ptr &out_page)
{
    std::string more = "/failures?count=" + std::to_string(report_page);
    if (after != nullptr)
        more += "&after_bucket=" + url_encode(json_text(after, "bucket")) + "&after_name=" + url_encode(json_text(after, "name"));
    return fetch_json(s, session_request(s, "GET", job_url(s, id, more), control_timeout_ms), "cannot read the report of job", id,
        cJSON_Object, out_page);
}

exit_code command_job_report(session &s)
{
    const std::string &id = s.opt.words[0];
    if (s.opt.retry_failed)
        return job_retry(s, id);
    if (s.opt.dry_run || s.opt.wait)
        return session_fail(s, usage_failure("--dry-run and --wait go with --retry-failed"));
    list_printer list = session_list(s, "JobFailure", report_columns, "object");
    failure f = session_check_list(s, list);
    json_ptr page;
    bool has_more = true;
    while (!f && has_more) {
        json_ptr former = std::move(page);
        const cJSON *entries = json_get(former.get(), "failures");
        const cJSON *last = former != nullptr ? cJSON_GetArrayItem(entries, cJSON_GetArraySize(entries) - 1) : nullptr;
        f = fetch_job_failures(s, id, last, page);
        if (f)
            break;
        const cJSON *entry = nullptr;
        cJSON_ArrayForEach(entry, json_get(page.get(), "failures")) list_add(list, failure_item(entry));
        has_more = json_bool(page.get(), "more", false) && cJSON_GetArraySize(json_get(page.get(), "failures")) > 0;
        if (has_more)
            list_flush(list);
    }
    if (f)
        return fail_job(s, f);
    list_end(list);
    f = session_flush(s);
    warn_missing(s, page.get(), "what failed there is not in this report");
    if (!f && cJSON_GetArraySize(json_get(page.get(), "missing")) > 0)
        f = failure_make(exit_code::partial, {}, "the report is not complete", "etlctl cluster health");
    return f ? session_fail(s, f) : exit_code::ok;
}

} // namespace etlnode::etlctl
