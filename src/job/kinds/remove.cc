// SPDX-License-Identifier: MIT
// job/kinds/remove.cc: deletes the objects of a list or a template.
//
// Knows    selection; the target's deletes by job_tools.            Known by  kinds.cc.
// Normal   deleted: done. Gone since the plan: skipped.
// Limits   copy_items_max.
#include "base/limits.h"
#include "codec/json_fields.h"
#include "job/job_machine.h"
#include "job/kinds/kinds.h"
#include "job/selection.h"

namespace etlnode {

static constexpr json_field fields[] = {{"objnames", json_field_kind::list}, {"template", json_field_kind::text}};

static std::string read_options(const cJSON *options, job_selection &out_selection)
{
    std::string wrong = json_fields_misfit(options, {}, fields);
    if (wrong.empty())
        wrong = selection_read(options, out_selection);
    bool selects_all = !out_selection.has_list && out_selection.ranges.empty() && out_selection.prefix.empty();
    if (wrong.empty() && selects_all)
        wrong = "objnames or template: which objects are to be deleted?";
    return wrong;
}

static std::string check_options(const cJSON *options)
{
    job_selection selection;
    return read_options(options, selection);
}

static void open(job &j, const cJSON *options)
{
    auto *selection = new job_selection;
    (void)read_options(options, *selection); // checked by the proxy
    j.state_of_kind = selection;
}

static void close(job &j)
{
    delete static_cast<job_selection *>(j.state_of_kind);
    j.state_of_kind = nullptr;
}

static bool selects(const job &j, const index_row &row)
{
    return selection_has(*static_cast<const job_selection *>(j.state_of_kind), row.name);
}

static void on_removed(job_item &item, error err, const std::string &text)
{
    if (err.code == error_code::object_not_found)
        job_item_ended(item, job_outcome::skipped, 0);
    else if (err)
        job_item_failed(item, err, text, 0);
    else
        job_item_ended(item, job_outcome::done, 0);
}

static void begin(job_item &item)
{
    const job_tools &tools = job_tools_of(item);
    const index_row &row = job_item_row(item);
    tools.remove(tools.arg, row.bucket, row.name, item, on_removed);
}

static void stop(job_item &) {} // it ends soon by itself

const job_kind job_kind_delete_list = {
    .name = "delete-listrange",
    .items_max = copy_items_max,
    .epochs = 1,
    .summary = "delete the objects of a list or template",
    .check_options = check_options,
    .open = open,
    .close = close,
    .selects = selects,
    .begin = begin,
    .stop = stop,
};

} // namespace etlnode
