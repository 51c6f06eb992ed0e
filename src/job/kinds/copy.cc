// SPDX-License-Identifier: MIT
// job/kinds/copy.cc: keeps the objects of a bucket in another one, unchanged or through an ETL: all, those of a list, or of a template.
//
// Knows    selection; the target's copies by job_tools.            Known by  kinds.cc.
// Normal   kept: done. The destination was made from this very object in this very way: skipped, or done if this job made it.
// With     "synchronize", also what this or another job made from a source that is gone is handled: it is deleted.
// Fails    an item whose source is gone since the plan is skipped; an ETL or a target that is not there now is waited for.
// Limits   copy_items_max, transform_items_max.
//
// AIStore knows these jobs under four names, by which its clients ask for them.
#include "base/limits.h"
#include "base/text.h"
#include "codec/json_fields.h"
#include "job/job_machine.h"
#include "job/job_origin.h"
#include "job/kinds/kinds.h"
#include "job/selection.h"
#include "store/object_extras.h"
#include "store/object_name.h"

namespace etlnode {

struct extension_change {
    std::string from, to; // without the dot
};

struct copy_job {
    job_selection selection;
    std::string to_bucket, etl, etl_args, prepend;
    std::vector<std::string> pipeline; // the ETLs behind the first one
    std::vector<extension_change> extensions;
    bool is_dry = false, is_forced = false, follows = false;
};

static constexpr json_field fields[] = {
    {"to", json_field_kind::text},
    {"etl", json_field_kind::text},
    {"etl_args", json_field_kind::text},
    {"pipeline", json_field_kind::list},
    {"prepend", json_field_kind::text},
    {"ext", json_field_kind::object},
    {"objnames", json_field_kind::list},
    {"template", json_field_kind::text},
    {"dry_run", json_field_kind::flag},
    {"force", json_field_kind::flag},
    {"synchronize", json_field_kind::flag},
    {"num_workers", json_field_kind::whole},
};

static std::string without_dot(std::string_view text) { return std::string(text.starts_with('.') ? text.substr(1) : text); }

static std::string read_extensions(const cJSON *tree, std::vector<extension_change> &out_changes)
{
    const cJSON *row = nullptr;
    cJSON_ArrayForEach(row, json_get(tree, "ext"))
    {
        if (!cJSON_IsString(row) || row->string == nullptr || without_dot(row->string).empty())
            return "ext: expected former and new extensions, as in {\"jpg\":\"txt\"}";
        out_changes.push_back({without_dot(row->string), without_dot(row->valuestring)});
    }
    return {};
}

static std::string read_pipeline(const cJSON *tree, std::vector<std::string> &out_pipeline)
{
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, json_get(tree, "pipeline"))
    {
        if (!cJSON_IsString(item) || item->valuestring[0] == '\0')
            return "pipeline: expected a list of names of ETLs";
        out_pipeline.emplace_back(item->valuestring);
    }
    if (out_pipeline.size() >= pipeline_stages_max)
        return text_format("pipeline: an object goes through at most %zu ETLs, the first one included", pipeline_stages_max);
    return {};
}

static std::string read_options(const cJSON *options, copy_job &out_copy)
{
    std::string wrong = json_fields_misfit(options, {}, fields);
    if (wrong.empty())
        wrong = selection_read(options, out_copy.selection);
    if (wrong.empty())
        wrong = read_extensions(options, out_copy.extensions);
    if (wrong.empty())
        wrong = read_pipeline(options, out_copy.pipeline);
    out_copy.to_bucket = json_text(options, "to");
    out_copy.etl = json_text(options, "etl");
    out_copy.etl_args = json_text(options, "etl_args");
    out_copy.prepend = json_text(options, "prepend");
    if (const char *bad = object_name_check(out_copy.prepend + "x"); wrong.empty() && bad != nullptr)
        wrong = std::string("prepend: no name may begin with this: ") + bad;
    out_copy.is_dry = json_bool(options, "dry_run", false);
    out_copy.is_forced = json_bool(options, "force", false);
    out_copy.follows = json_bool(options, "synchronize", false);
    if (wrong.empty() && json_u64(options, "num_workers", 0) > copy_items_max)
        wrong = text_format("num_workers: expected at most %zu", copy_items_max);
    if (wrong.empty() && out_copy.to_bucket.empty())
        wrong = "to: which bucket is to keep the objects?";
    return wrong;
}

static std::string check_copy(const cJSON *options)
{
    copy_job copy;
    std::string wrong = read_options(options, copy);
    return !wrong.empty() || (copy.etl.empty() && copy.pipeline.empty()) ? wrong : "etl: a copy has none; start a job of kind etl-bck";
}

static std::string check_transform(const cJSON *options)
{
    copy_job copy;
    std::string wrong = read_options(options, copy);
    return !wrong.empty() || !copy.etl.empty() ? wrong : "etl: which ETL is to transform the objects?";
}

static void open(job &j, const cJSON *options)
{
    auto *copy = new copy_job;
    (void)read_options(options, *copy); // checked by the proxy
    j.state_of_kind = copy;
    j.items_max = static_cast<size_t>(json_u64(options, "num_workers", 0));
    if (copy->follows && copy->to_bucket != j.order.bucket)
        j.also_bucket = copy->to_bucket;
}

static void close(job &j)
{
    delete static_cast<copy_job *>(j.state_of_kind);
    j.state_of_kind = nullptr;
}

// An object at the destination that was made from one of this job's.
static bool is_follower(const job &j, const index_row &row, std::string &out_from)
{
    std::string bucket;
    return row.bucket == j.also_bucket && job_origin_source(object_extras_parse(row.custom).made_from, bucket, out_from) &&
           bucket == j.order.bucket && out_from.starts_with(j.order.prefix);
}

static bool selects(const job &j, const index_row &row)
{
    const copy_job &copy = *static_cast<const copy_job *>(j.state_of_kind);
    std::string from;
    if (!j.also_bucket.empty() && row.bucket == j.also_bucket)
        return is_follower(j, row, from) && selection_has(copy.selection, from);
    return selection_has(copy.selection, row.name);
}

// "a/b.jpg" with prepend "x/" and jpg to txt: "x/a/b.txt".
static std::string name_at_destination(const copy_job &copy, const std::string &name)
{
    size_t dot = name.rfind('.');
    bool has_extension = dot != std::string::npos && name.find('/', dot) == std::string::npos;
    for (const extension_change &change : copy.extensions) {
        if (has_extension && name.compare(dot + 1, std::string::npos, change.from) == 0)
            return copy.prepend + name.substr(0, dot) + (change.to.empty() ? "" : "." + change.to);
    }
    return copy.prepend + name;
}

static void on_copied(job_item &item, error err, const std::string &text, job_outcome outcome, uint64_t bytes)
{
    item.work = nullptr;
    if (err.code == error_code::stopping)
        job_item_stopped(item);
    else if (err)
        job_item_failed(item, err, text, bytes);
    else
        job_item_ended(item, outcome, bytes);
}

static void on_followed(job_item &item, error err, const std::string &text, job_outcome outcome)
{
    if (err)
        job_item_failed(item, err, text, 0);
    else
        job_item_ended(item, outcome, 0);
}

static void follow(job_item &item, const copy_job &copy)
{
    const job_tools &tools = job_tools_of(item);
    const index_row &row = job_item_row(item);
    std::string from;
    (void)is_follower(*item.owner, row, from); // it was selected for that
    tools.follow(tools.arg, {.bucket = row.bucket,
                                .name = row.name,
                                .version = row.version,
                                .from_bucket = item.owner->order.bucket,
                                .from_name = from,
                                .is_dry = copy.is_dry,
                                .item = &item,
                                .on_done = on_followed});
}

static void begin(job_item &item)
{
    const copy_job &copy = *static_cast<const copy_job *>(job_state_of(item));
    const job_tools &tools = job_tools_of(item);
    const index_row &row = job_item_row(item);
    if (!item.owner->also_bucket.empty() && row.bucket == item.owner->also_bucket) {
        follow(item, copy);
        return;
    }
    item.work = tools.begin_copy(tools.arg, {.job_id = job_order_of(item).id,
                                                .bucket = row.bucket,
                                                .name = row.name,
                                                .version = row.version,
                                                .checksum = row.checksum,
                                                .to_bucket = copy.to_bucket,
                                                .to_name = name_at_destination(copy, row.name),
                                                .etl = copy.etl,
                                                .pipeline = copy.pipeline,
                                                .etl_args = copy.etl_args,
                                                .is_dry = copy.is_dry,
                                                .is_forced = copy.is_forced,
                                                .item = &item,
                                                .on_done = on_copied});
}

static void stop(job_item &item)
{
    if (item.work != nullptr)
        job_tools_of(item).stop_copy(item.work);
}

static constexpr job_kind make_kind(const char *name, size_t items_max, const char *summary, std::string (*check)(const cJSON *options))
{
    return {.name = name,
        .items_max = items_max,
        .epochs = 1,
        .summary = summary,
        .check_options = check,
        .open = open,
        .close = close,
        .selects = selects,
        .begin = begin,
        .stop = stop};
}

constinit const job_kind job_kind_copy_bucket = make_kind("copy-bck", copy_items_max, "copy a bucket into another one", check_copy);
constinit const job_kind job_kind_copy_list = make_kind(
    "copy-listrange", copy_items_max, "copy the objects of a list or template", check_copy);
constinit const job_kind job_kind_transform_bucket = make_kind(
    "etl-bck", transform_items_max, "transform a bucket into another one", check_transform);
constinit const job_kind job_kind_transform_list = make_kind(
    "etl-listrange", transform_items_max, "transform the objects of a list or template", check_transform);

static std::string check_move(const cJSON *options)
{
    copy_job copy;
    std::string wrong = check_copy(options);
    if (wrong.empty())
        (void)read_options(options, copy);
    bool is_whole = !copy.selection.has_list && copy.selection.ranges.empty() && copy.prepend.empty() && copy.extensions.empty();
    return !wrong.empty() || is_whole ? wrong : "a bucket moves as a whole, and its objects keep their names";
}

static constexpr job_kind make_move()
{
    job_kind kind = make_kind("move-bck", copy_items_max, "give a bucket another name", check_move);
    kind.waits_for_index = true; // no object that was acknowledged before the bucket was closed may be missed
    return kind;
}

constinit const job_kind job_kind_move_bucket = make_move();

} // namespace etlnode
