// SPDX-License-Identifier: MIT
// etlctl/folder_report.cc: prints failures as they come, but not thousands of them, and the sums at the end.
#include "etlctl/folder_report.h"

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "etlctl/folder_names.h"
#include "etlctl/format.h"
#include "etlctl/name.h"

namespace etlnode::etlctl {

static constexpr uint64_t failures_shown_max = 20;
static constexpr uint64_t left_out_shown_max = 5;

static constexpr column plan_columns[] = {
    {"ACTION", "action", cell_kind::text, false},
    {"FROM", "from", cell_kind::text, false},
    {"TO", "to", cell_kind::text, false},
};

static const char *verb_of(folder_action action)
{
    switch (action) {
    case folder_action::store: return "stored";
    case folder_action::read: return "read";
    case folder_action::copy: return "copied";
    case folder_action::remove:
    case folder_action::remove_file: return "removed";
    }
    return "";
}

static const char *doing_of(folder_action action)
{
    switch (action) {
    case folder_action::store: return "storing";
    case folder_action::read: return "reading";
    case folder_action::copy: return "copying";
    case folder_action::remove:
    case folder_action::remove_file: return "removing";
    }
    return "";
}

failure report_begin(session &s, const folder_task &task, folder_report &out_report)
{
    out_report.s = &s;
    out_report.verb = verb_of(task.action);
    out_report.goes_on = s.opt.goes_on || !s.opt.failed_to.empty();
    out_report.began_ms = session_clock_ms();
    progress_start(out_report.shown, s, doing_of(task.action), 0, 0);
    out_report.plan = session_list(s, "Action", plan_columns, "from");
    std::string why;
    if (!s.opt.failed_to.empty() && !s.opt.dry_run) {
        if (!partial_file_open(out_report.failed_to, s.opt.failed_to, why))
            return failure_make(exit_code::other, "cannot write " + s.opt.failed_to, why);
        out_report.keeps_failed = true;
    }
    return {};
}

static std::string local_path(const folder_task &task, const plan_item &item)
{
    if (!item.path.empty())
        return item.path;
    return task.directory + (task.directory.ends_with('/') ? "" : "/") + item.name;
}

void report_item(folder_report &report, const folder_task &task, const plan_item &item)
{
    static constexpr size_t page = 1'000;
    std::string object = name_object_uri(task.bucket, task.prefix + item.name);
    json_ptr line = json_object();
    std::string from = item.action == folder_action::store || item.action == folder_action::remove_file ? local_path(task, item) : object;
    std::string to;
    if (item.action == folder_action::store)
        to = object;
    else if (item.action == folder_action::read)
        to = local_path(task, item);
    else if (item.action == folder_action::copy)
        to = name_object_uri(task.to_bucket, task.to_prefix + item.name);
    bool removes = item.action == folder_action::remove || item.action == folder_action::remove_file;
    const char *what = item.action == folder_action::store ? "store" : item.action == folder_action::copy ? "copy" : "read";
    json_add_text(line.get(), "action", removes ? "remove" : what);
    json_add_text(line.get(), "from", from);
    output_add_text(line.get(), "to", to);
    list_add(report.plan, std::move(line));
    ++(removes ? report.removed : report.done);
    if (report.plan.pending.size() >= page)
        list_flush(report.plan);
}

static void print_failure(folder_report &report, failure f)
{
    session &s = *report.s;
    progress_hide(report.shown);
    if (!f.hint.empty())
        f.hint = grammar_as_program(f.hint, s.program);
    bool json = s.format == output_format::json || s.format == output_format::jsonl;
    fputs((json ? failure_as_json(f) : failure_as_text(f, s.program)).c_str(), stderr);
}

void report_failure(folder_report &report, const plan_item &item, failure f)
{
    if (report.failed++ == 0)
        report.first = f.exit;
    report.shown.state.objects_failed = report.failed;
    std::string line = folder_name_to_line(item.name) + "\n";
    if (report.keeps_failed && !partial_file_write(report.failed_to, line.data(), line.size())) {
        report.keeps_failed = false;
        print_failure(report, failure_make(exit_code::other, "cannot write " + report.s->opt.failed_to, strerror(errno)));
    }
    // If it stops here, what was under way may fail for the same reason, and is only counted.
    f.hint = report.goes_on ? std::string() : failure_hint(f, report.s->program, report.s->endpoint);
    if (report.failed <= (report.goes_on ? failures_shown_max : 1))
        print_failure(report, f);
    if (report.goes_on && report.failed == failures_shown_max + 1) {
        progress_hide(report.shown);
        fprintf(stderr, "%s: further failures are only counted%s\n", report.s->program.c_str(),
            report.keeps_failed ? "" : "; --failed-to FILE keeps their names");
    }
}

void report_left_out(folder_report &report, const plan_item &item, const std::string &why)
{
    if (report.left_out++ >= left_out_shown_max)
        return;
    progress_hide(report.shown);
    fprintf(stderr, "%s: %s is left out: %s\n", report.s->program.c_str(), format_cell(item.name).c_str(), why.c_str());
}

static std::string objects_text(uint64_t count) { return format_count(count) + (count == 1 ? " object" : " objects"); }

static std::string sums_text(const folder_report &report, uint64_t elapsed_ms)
{
    uint64_t done = report.done;
    uint64_t removed = report.removed;
    if (report.verb == "removed") {
        done += removed;
        removed = 0;
    }
    std::string text = objects_text(done) + " " + report.verb;
    bool is_plan = elapsed_ms == UINT64_MAX;
    if (!is_plan && (report.bytes > 0 || (done > 0 && report.verb != "removed" && report.verb != "copied")))
        text += " (" + format_size(report.bytes) + ")";
    if (!is_plan)
        text += text_format(" in %.1fs", static_cast<double>(elapsed_ms) / 1000);
    if (removed > 0)
        text += ", " + format_count(removed) + " removed";
    if (report.skipped > 0)
        text += ", " + format_count(report.skipped) + " there already";
    if (report.left_out > 0)
        text += ", " + format_count(report.left_out) + " left out";
    return text;
}

static bool is_for_people(const session &s)
{
    return s.format == output_format::table || s.format == output_format::wide || s.format == output_format::name;
}

static void print_sums(folder_report &report, uint64_t empty_folders)
{
    session &s = *report.s;
    uint64_t elapsed_ms = session_clock_ms() - report.began_ms;
    if (s.opt.dry_run) {
        list_end(report.plan);
        session_note(s, "nothing was done; without --dry-run: %s", sums_text(report, UINT64_MAX).c_str());
        return;
    }
    if (is_for_people(s)) {
        std::string empty = empty_folders == 0   ? std::string()
                            : empty_folders == 1 ? ", 1 empty folder has no object"
                                                 : ", " + format_count(empty_folders) + " empty folders have no object";
        session_note(s, "%s%s", sums_text(report, elapsed_ms).c_str(), empty.c_str());
        return;
    }
    json_ptr item = json_object();
    json_add_text(item.get(), "action", report.verb);
    json_add_u64(item.get(), "done", report.done);
    json_add_u64(item.get(), "removed", report.removed);
    json_add_u64(item.get(), "skipped", report.skipped);
    json_add_u64(item.get(), "leftOut", report.left_out);
    json_add_u64(item.get(), "failed", report.failed);
    json_add_u64(item.get(), "bytes", report.bytes);
    json_add_u64(item.get(), "milliseconds", elapsed_ms);
    item_print(stdout, s.format, "FolderResult", {}, "action", item.get());
}

// The names are kept also when the program was interrupted.
static void keep_failed(folder_report &report)
{
    std::string why;
    if (report.keeps_failed && !partial_file_commit(report.failed_to, why))
        print_failure(report, failure_make(exit_code::other, "cannot write " + report.s->opt.failed_to, why));
    partial_file_drop(report.failed_to);
}

// The failures themselves have been printed.
static failure failure_of(const folder_report &report)
{
    const session &s = *report.s;
    bool is_partial = report.done + report.removed + report.skipped > 0;
    exit_code exit = is_partial ? exit_code::partial : report.first;
    std::string sums = sums_text(report, session_clock_ms() - report.began_ms);
    if (!report.goes_on)
        return failure_make(exit, {}, "stopped at this failure; " + sums, "with --continue it goes on behind failures");
    return failure_make(exit, {}, objects_text(report.failed) + " failed; " + sums,
        s.opt.failed_to.empty() ? std::string() : "to try these again: the same command with --names-from " + s.opt.failed_to);
}

exit_code report_end(folder_report &report, failure problem, uint64_t empty_folders)
{
    session &s = *report.s;
    progress_end(report.shown);
    keep_failed(report);
    if (int number = folder_signal(); number != 0) {
        fprintf(stderr, "%s%s: interrupted; %s\n", s.err_is_tty ? "\n" : "", s.program.c_str(),
            sums_text(report, session_clock_ms() - report.began_ms).c_str());
        return s.worst = static_cast<exit_code>(128 + number);
    }
    if (s.opt.dry_run || (!problem && (!is_for_people(s) || report.failed == 0)))
        print_sums(report, empty_folders);
    failure f = session_flush(s);
    if (f)
        return session_fail(s, f);
    bool has_stopped_at_once = !report.goes_on && report.done + report.removed + report.skipped == 0;
    if (report.failed > 0 && !problem && has_stopped_at_once)
        return s.worst = report.first; // all has been said
    if (report.failed > 0)
        f = failure_of(report);
    if (problem) {
        if (f)
            print_failure(report, f);
        return session_fail(s, problem);
    }
    return f ? session_fail(s, f) : exit_code::ok;
}

} // namespace etlnode::etlctl
