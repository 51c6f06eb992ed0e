// SPDX-License-Identifier: MIT
// job/kinds/scrub.cc: reads every object slowly, and compares it with its checksums. It changes nothing.
//
// Knows    store/verify, pace.            Known by  kinds.cc.
// Normal   intact: done. Deleted since the plan: skipped. Damaged or unreadable: failed, with what is wrong.
// Limits   the option `rate`: bytes a second on each target, all items together.
#include "base/limits.h"
#include "base/text.h"
#include "job/job_machine.h"
#include "job/kinds/kinds.h"
#include "port/clock.h"
#include "store/verify.h"

namespace etlnode {

static std::string check_options(const cJSON *options)
{
    const cJSON *given = json_get(options, "rate");
    uint64_t rate = 0;
    if (given != nullptr && (!json_read_u64(options, "rate", rate) || rate < job_rate_min))
        return text_format("rate: expected bytes a second, at least %zu", static_cast<size_t>(job_rate_min));
    return {};
}

static void open(job &j, const cJSON *options) { j.state_of_kind = new job_pace{.rate = json_u64(options, "rate", job_rate_default)}; }

static void close(job &j)
{
    delete static_cast<job_pace *>(j.state_of_kind);
    j.state_of_kind = nullptr;
}

static uint64_t pause_after(void *arg, uint64_t bytes)
{
    job_item &item = *static_cast<job_item *>(arg);
    const job_tools &tools = job_tools_of(item);
    return job_pace_take(*static_cast<job_pace *>(job_state_of(item)), clock_now_ms(*tools.e), bytes, tools.is_busy(tools.arg));
}

static void on_verified(void *arg, const verify_outcome &outcome)
{
    job_item &item = *static_cast<job_item *>(arg);
    item.work = nullptr;
    switch (outcome.err.code) {
    case error_code::ok: job_item_ended(item, job_outcome::done, outcome.bytes); break;
    case error_code::object_not_found: job_item_ended(item, job_outcome::skipped, 0); break;
    case error_code::stopping: job_item_stopped(item); break;
    default: job_item_failed(item, outcome.err, outcome.detail, outcome.bytes); break;
    }
}

static void begin(job_item &item)
{
    const index_row &row = job_item_row(item);
    item.work = store_verify(*job_tools_of(item).objects,
        {.bucket = row.bucket, .name = row.name, .pause_after = pause_after, .on_done = on_verified, .arg = &item});
}

static void stop(job_item &item) { store_verify_stop(*static_cast<verify *>(item.work)); }

const job_kind job_kind_scrub = {
    .name = "scrub",
    .items_max = 4,
    .epochs = 0,
    .summary = "read every object and compare it with its checksums",
    .check_options = check_options,
    .open = open,
    .close = close,
    .selects = nullptr,
    .begin = begin,
    .stop = stop,
};

} // namespace etlnode
