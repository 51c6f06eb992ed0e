// SPDX-License-Identifier: MIT
// job/job_host.cc: all jobs of one target.
//
// Owns     a machine for each job that runs here, what the ledger said about the others, one timer.
// Knows    job_machine, kinds, ledger.            Known by  role/target.
// Normal   ledger read; then each document is compared with it: begin, resume, cancel, forget.
// Fails    a kind that this version does not know: the job fails here, with that reason.
#include "job/job_host.h"

#include <algorithm>
#include <map>
#include <memory>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "job/job_machine.h"
#include "job/kinds/kinds.h"
#include "port/clock.h"

namespace etlnode {

struct host_job {
    ledger_job row;                  // of one that does not run
    std::vector<ledger_ahead> ahead; // of one that was interrupted
    std::unique_ptr<job> machine;    // null: it does not run
    bool is_wanted = false;          // the document lists it
    std::string waiting;             // why it does not begin
};

struct job_host {
    env *e = nullptr;
    job_host_options options;
    std::map<std::string, host_job> jobs; // by id
    std::vector<job_order> orders;        // of the last document
    bool is_loaded = false;
    bool is_loading = false;
    bool is_stopped = false;
    bool is_stop_posted = false;
    size_t removals = 0;
    timer *retry_timer = nullptr;
    uint64_t next_machine_id = 1;
};

static void sync(job_host &host);

bool job_host_is_active(const job_host &host)
{
    auto runs = [](const auto &entry) { return entry.second.machine != nullptr; };
    return host.is_loading || host.is_stop_posted || host.removals > 0 || std::any_of(host.jobs.begin(), host.jobs.end(), runs);
}

static void tell_if_none(job_host &host)
{
    if (host.is_stopped && !job_host_is_active(host))
        host.options.on_none(host.options.arg);
}

// --- the ledger

static void on_loaded(void *arg, error err, std::vector<ledger_loaded> loaded)
{
    job_host &host = *static_cast<job_host *>(arg);
    host.is_loading = false;
    if (err) {
        LOG(error, "job", "error=\"%s\" msg=\"the ledger could not be read, jobs wait\"", error_text(err));
        if (!host.is_stopped)
            timer_arm(*host.e, host.retry_timer, job_rest_ms);
        tell_if_none(host);
        return;
    }
    host.is_loaded = true;
    for (ledger_loaded &one : loaded) {
        host_job &known = host.jobs[one.job.id];
        known.ahead = std::move(one.ahead);
        known.row = std::move(one.job);
    }
    sync(host);
    tell_if_none(host);
}

static void load(void *arg)
{
    job_host &host = *static_cast<job_host *>(arg);
    host.is_loading = true;
    ledger_load(*host.e, on_loaded, &host);
}

static void on_removed(void *arg, error err)
{
    job_host &host = *static_cast<job_host *>(arg);
    host.removals--;
    if (err)
        LOG(warn, "job", "error=\"%s\" msg=\"former jobs could not be removed from the ledger; the next start does that\"",
            error_text(err));
    tell_if_none(host);
}

// --- machines

static void on_news(void *arg, job &j)
{
    job_host &host = *static_cast<job_host *>(arg);
    job_news news = job_news::over;
    bool has_news = sm_news_take(j.news, news);
    CHECK(has_news);
    auto found = host.jobs.find(j.order.id);
    CHECK(found != host.jobs.end());
    host_job &known = found->second;
    known.row = std::move(j.stored);
    if (known.row.id.empty()) { // it was stopped before anything was stored
        known.row.id = j.order.id;
        known.row.kind = j.order.kind;
        known.row.state = job_running;
    }
    known.machine.reset(); // the job itself
    if (news == job_news::over) {
        LOG(info, "job", "job=%s kind=%s state=%s done=%llu skipped=%llu failed=%llu msg=\"the job has ended here\"",
            text_escape(known.row.id).c_str(), known.row.kind.c_str(), known.row.state.c_str(),
            static_cast<unsigned long long>(known.row.done), static_cast<unsigned long long>(known.row.skipped),
            static_cast<unsigned long long>(known.row.failed));
        host.options.on_change(host.options.arg);
        if (!known.is_wanted)
            sync(host); // the ledger forgets it
    }
    tell_if_none(host);
}

static void fail_at_once(host_job &known, const job_order &order, std::string why)
{
    known.row.id = order.id;
    known.row.kind = order.kind;
    known.row.state = job_failed;
    known.row.error = std::move(why);
    known.row.ended_ns = 1;
}

static void wait_for_names(host_job &known, const job_order &order)
{
    if (known.row.id.empty())
        known.row = {.id = order.id, .kind = order.kind, .state = job_running};
    known.waiting = "its list of names is on its way from the proxy";
}

std::string job_options_with_names(const std::string &options, const std::string &names)
{
    static constexpr std::string_view empty = "\"objnames\":[]";
    size_t at = names.empty() ? std::string::npos : options.find(empty);
    if (at == std::string::npos)
        return options;
    return options.substr(0, at + empty.size() - 2) + names + options.substr(at + empty.size());
}

static void begin(job_host &host, host_job &known, const job_order &order)
{
    const job_kind *kind = job_kind_find(order.kind);
    if (kind == nullptr) {
        fail_at_once(known, order, "this target knows no job of kind " + order.kind);
        return;
    }
    LOG(info, "job", "job=%s kind=%s done=%llu msg=\"%s\"", text_escape(order.id).c_str(), kind->name,
        static_cast<unsigned long long>(known.row.done), known.row.pass > 0 ? "the job goes on" : "the job begins");
    known.machine = std::make_unique<job>();
    job &j = *known.machine;
    j.sm.id = host.next_machine_id++;
    j.tools = host.options.tools;
    j.kind = kind;
    j.order = order;
    j.order.names.clear();
    j.order.options = job_options_with_names(order.options, order.names);
    known.waiting.clear();
    j.on_news = on_news;
    j.arg = &host;
    if (known.row.pass > 0)
        j.row = known.row;
    std::vector<ledger_ahead> ahead = std::move(known.ahead);
    known.ahead.clear();
    job_begin(j, ahead);
    if (known.machine != nullptr)
        known.machine->order.options = order.options; // the kind has taken what it needs
}

// --- reconciling

static void forget_unlisted(job_host &host)
{
    std::vector<std::string> gone;
    std::vector<job *> running;
    for (auto it = host.jobs.begin(); it != host.jobs.end();) {
        bool is_gone = !it->second.is_wanted && it->second.machine == nullptr;
        if (it->second.machine != nullptr && !it->second.is_wanted)
            running.push_back(it->second.machine.get());
        if (is_gone)
            gone.push_back(it->first);
        it = is_gone ? host.jobs.erase(it) : std::next(it);
    }
    for (job *j : running)
        job_cancel(*j);
    if (gone.empty())
        return;
    host.removals++;
    ledger_remove(*host.e, std::move(gone), on_removed, &host);
}

static void follow(job_host &host, const job_order &order)
{
    host_job &known = host.jobs[order.id];
    known.is_wanted = true;
    if (order.is_external) {
        if (known.row.id.empty())
            known.row = {.id = order.id, .kind = order.kind, .state = job_running};
        return;
    }
    bool begins = known.row.ended_ns == 0 && known.machine == nullptr && !order.is_over;
    if (begins && order.is_waiting)
        wait_for_names(known, order);
    else if (begins && !order.failure.empty())
        fail_at_once(known, order, order.failure);
    else if (begins)
        begin(host, known, order);
    auto again = host.jobs.find(order.id); // the job may have ended at once
    if (order.is_cancelled && again != host.jobs.end() && again->second.machine != nullptr)
        job_cancel(*again->second.machine);
}

static void sync(job_host &host)
{
    if (!host.is_loaded || host.is_stopped)
        return;
    for (auto &[id, known] : host.jobs)
        known.is_wanted = false;
    std::vector<job_order> orders = host.orders;
    for (const job_order &order : orders)
        follow(host, order);
    forget_unlisted(host);
}

void job_host_sync(job_host &host, std::vector<job_order> orders)
{
    host.orders = std::move(orders);
    sync(host);
}

std::vector<job_report> job_host_reports(const job_host &host)
{
    std::vector<job_report> reports;
    for (const auto &[id, known] : host.jobs) {
        if (!known.is_wanted)
            continue;
        const job *j = known.machine.get();
        reports.push_back({j != nullptr ? j->row : known.row, j != nullptr ? j->waiting : known.waiting});
        if (j == nullptr)
            continue;
        ledger_job &row = reports.back().row; // what has ended since the last change of the ledger counts, too
        row.done += j->window.done;
        row.skipped += j->window.skipped;
        row.failed += j->window.failed;
        row.bytes += j->window.bytes;
        if (row.ended_ns != 0) { // its end is not stored yet
            row.ended_ns = 0;
            row.state = job_running;
        }
    }
    return reports;
}

bool job_host_waits_for(const job_host &host, const std::string &id)
{
    auto found = host.jobs.find(id);
    return !host.is_loaded || found == host.jobs.end() || (found->second.machine == nullptr && found->second.row.ended_ns == 0);
}

bool job_host_is_loaded(const job_host &host) { return host.is_loaded; }

const ledger_job *job_host_find_row(const job_host &host, const std::string &id)
{
    auto found = host.jobs.find(id);
    return found != host.jobs.end() && !found->second.row.id.empty() ? &found->second.row : nullptr;
}

void job_host_put_row(job_host &host, const ledger_job &row)
{
    auto found = host.jobs.find(row.id);
    if (found != host.jobs.end())
        found->second.row = row;
}

// --- begin and end

job_host *job_host_make(env &e, const job_host_options &options)
{
    auto *host = new job_host;
    host->e = &e;
    host->options = options;
    host->retry_timer = timer_make(e, load, host);
    load(host);
    return host;
}

static void stop_all(void *arg)
{
    job_host &host = *static_cast<job_host *>(arg);
    std::vector<std::string> ids;
    for (const auto &[id, known] : host.jobs)
        ids.push_back(id);
    for (const std::string &id : ids) {
        if (job *j = host.jobs[id].machine.get(); j != nullptr)
            job_stop(*j);
    }
    host.is_stop_posted = false;
    tell_if_none(host);
}

// A job may end at once, and its owner is told of that later, never inside this call.
void job_host_stop(job_host &host)
{
    if (host.is_stopped)
        return;
    host.is_stopped = host.is_stop_posted = true;
    timer_stop(*host.e, host.retry_timer);
    clock_post(*host.e, stop_all, &host);
}

void job_host_free(job_host *host)
{
    CHECK(!job_host_is_active(*host));
    timer_free(*host->e, host->retry_timer);
    delete host;
}

} // namespace etlnode
