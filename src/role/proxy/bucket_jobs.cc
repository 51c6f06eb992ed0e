// SPDX-License-Identifier: MIT
// role/proxy/bucket_jobs.cc: AIStore's actions on a bucket that begin a job: copies, transforms, and deletes of many objects.
//
// Knows    control, job, aistore.        Known by  buckets.cc.
// Normal   the job is stored in the document, together with a destination that did not exist; the answer is its id.
// Fails    400 for options; 404 for the source or the ETL; 409 for too many jobs; 413 for a long list; 501 for what is not done here.
// Limits   job_running_max, job_options_size_max, copy_items_max.
#include "role/proxy/bucket_jobs.h"

#include <algorithm>

#include "aistore/provider.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json_fields.h"
#include "codec/url.h"
#include "control/bucket_moves.h"
#include "job/job_machine.h"
#include "job/kinds/kinds.h"
#include "job/selection.h"
#include "port/clock.h"
#include "role/proxy/job_names.h"
#include "role/proxy/jobs.h"
#include "role/shared/bucket_sum.h"
#include "role/shared/hints.h"
#include "store/object_name.h"

namespace etlnode {

struct bucket_job_request : proxy_request {
    cluster_job job;
    std::string to_bucket;             // empty: the job has no destination
    bool is_dry = false;               // the destination is not made
    bool may_empty = false;            // with an empty source it would delete all that jobs made from it
    std::string etl;                   // its id
    std::vector<std::string> pipeline; // the ids of those behind it
    std::string refusal;               // of the change of the document
    std::string names;                 // a list that is too long for the document
    uint64_t now_ns = 0;
};

static constexpr std::string_view actions[] = {"copy-bck", "etl-bck", "copy-listrange", "etl-listrange", "move-bck", "delete-listrange"};

bool proxy_is_bucket_job(std::string_view action) { return std::find(std::begin(actions), std::end(actions), action) != std::end(actions); }

static bool is_transform(std::string_view action) { return action.starts_with("etl-"); }
static bool is_of_list(std::string_view action) { return action.ends_with("-listrange"); }
static bool is_move(std::string_view action) { return action == bucket_move_kind; }

// --- what is asked for

static constexpr json_field value_fields[] = {
    {"id", json_field_kind::text},
    {"etl_args", json_field_kind::text},
    {"prefix", json_field_kind::text},
    {"prepend", json_field_kind::text},
    {"ext", json_field_kind::object},
    {"objnames", json_field_kind::list},
    {"template", json_field_kind::text},
    {"tobck", json_field_kind::object},
    {"pipeline", json_field_kind::list},
    {"request_timeout", json_field_kind::text},
    {"dry_run", json_field_kind::flag},
    {"force", json_field_kind::flag},
    {"coer", json_field_kind::flag},
    {"latest-ver", json_field_kind::flag},
    {"synchronize", json_field_kind::flag},
    {"non-recurs", json_field_kind::flag},
};

// AIStore's clients send fields that say nothing, too.
static bool is_said(const cJSON *item)
{
    return item != nullptr && !cJSON_IsNull(item) && !cJSON_IsFalse(item) && !(cJSON_IsString(item) && item->valuestring[0] == '\0') &&
           !((cJSON_IsObject(item) || cJSON_IsArray(item)) && item->child == nullptr);
}

// A field that an action would not read: without it the job might copy what was to be transformed, or delete more than was meant. Empty:
// there is none.
static std::string find_misplaced(std::string_view action, const cJSON *value)
{
    const bool is_delete = action == "delete-listrange";
    for (const char *key : {"id", "pipeline", "etl_args"}) {
        if (!is_transform(action) && is_said(json_get(value, key)))
            return std::string(key) + ": " + std::string(action) + " takes objects as they are; etl-bck and etl-listrange transform them";
    }
    if (is_of_list(action) && is_said(json_get(value, "prefix")))
        return "prefix: " + std::string(action) + " takes objnames or template; a template without a range is a prefix";
    for (const char *key : {"tobck", "prepend", "ext", "dry_run", "force", "synchronize"}) {
        if (is_delete && is_said(json_get(value, key)))
            return std::string(key) + ": delete-listrange has no such option; copy-listrange with dry_run counts what a list selects";
    }
    return {};
}

static void fail(bucket_job_request &r, error_code code, const std::string &text) { proxy_request_fail(r, code, text); }

// "ais/@#/DST/", as AIStore's clients name a bucket in a query.
static bool read_bucket_query(std::string_view text, std::string &out_bucket, std::string_view &out_provider)
{
    while (text.ends_with('/'))
        text.remove_suffix(1);
    size_t slash = text.rfind('/');
    out_bucket = text.substr(slash == std::string_view::npos ? 0 : slash + 1);
    out_provider = slash == std::string_view::npos ? std::string_view() : text.substr(0, text.find('/'));
    return slash == std::string_view::npos || text.substr(0, slash) == "ais/@#" || text.substr(0, slash) == "ais/";
}

static void fail_elsewhere(bucket_job_request &r, std::string_view provider)
{
    if (provider_of(provider).empty())
        fail(r, error_code::bad_request, "the destination: unknown provider \"" + text_escape(provider, 32) + "\"; known here: ais");
    else
        fail(r, error_code::not_implemented,
            "the destination is not a bucket of this cluster: only provider ais, without a namespace, is implemented");
}

static bool read_destination(bucket_job_request &r, const cJSON *value)
{
    std::string asked, in_value, why;
    std::string_view provider, query = exchange_head(*r.x).query;
    const bool is_in_query = url_query_get(query, "bck_to", asked);
    if (url_query_is_contradictory(query, "bck_to")) {
        fail(r, error_code::bad_request, "the parameter bck_to is given twice, with different values");
        return false;
    }
    if (error err = provider_read_bucket(json_get(value, "tobck"), "value.tobck", in_value, why)) {
        fail(r, err.code, why);
        return false;
    }
    if (is_in_query && !read_bucket_query(asked, r.to_bucket, provider)) {
        fail_elsewhere(r, provider);
        return false;
    }
    if (is_in_query && !in_value.empty() && in_value != r.to_bucket) {
        fail(r, error_code::bad_request, "bck_to= in the query and value.tobck name two buckets: which one is to keep the objects?");
        return false;
    }
    if (!is_in_query)
        r.to_bucket = in_value;
    if (r.to_bucket.empty()) {
        fail(r, error_code::bad_request, "which bucket is to keep the objects? write bck_to= in the query, or value.tobck.name");
        return false;
    }
    if (const char *wrong = object_name_check_bucket(r.to_bucket)) {
        fail(r, error_code::bad_name, "invalid bucket name \"" + text_escape(r.to_bucket) + "\": " + wrong);
        return false;
    }
    if (r.to_bucket == r.job.bucket && !r.is_dry) {
        fail(r, error_code::bad_request,
            "cannot " +
                std::string(is_transform(r.job.kind) ? "transform"
                            : is_move(r.job.kind)    ? "move"
                                                     : "copy") +
                " bucket ais://" + r.to_bucket + " onto itself");
        return false;
    }
    return true;
}

// `suffix`: what clients look for.
static bool admit_etl(bucket_job_request &r, const std::string &etl, std::string &out_id, const char *suffix = "")
{
    const cluster_document &document = proxy_document(*r.p);
    const cluster_etl *found = document_find_etl(document, etl);
    if (found == nullptr) {
        std::vector<std::string_view> names;
        for (const cluster_etl &one : document.etls)
            names.push_back(one.id);
        fail(r, error_code::etl_not_found, hint_etl_missing(etl, names) + suffix);
    } else if (found->stage == etl_stage::aborted) {
        fail(r, error_code::etl_not_found, "etl job " + etl + " is stopped: start it first");
        return false;
    } else {
        out_id = found->id; // a job ends with its ETL, whichever name it was asked for by
    }
    return found != nullptr;
}

static bool admit_pipeline(bucket_job_request &r, const cJSON *value)
{
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, json_get(value, "pipeline"))
    {
        if (!cJSON_IsString(item)) {
            fail(r, error_code::bad_request, "value.pipeline: expected a list of names of ETLs");
            return false;
        }
        if (!admit_etl(r, item->valuestring, r.pipeline.emplace_back(), ": value.pipeline: entry not found"))
            return false;
    }
    return true;
}

static void copy_field(cJSON *to, const char *key, const cJSON *from, const char *from_key)
{
    const cJSON *item = json_get(from, from_key);
    if (is_said(item) || cJSON_IsArray(item)) // an empty list of names is refused, not left out
        json_add_tree(to, key, json_ptr(cJSON_Duplicate(item, true)));
}

// AIStore's clients ask for -1, "none of the job's own", and for more than there may be.
static std::string read_workers(const cJSON *value, uint64_t &out_count)
{
    const cJSON *given = json_get(value, "num-workers");
    bool is_small = cJSON_IsNumber(given) && given->valuedouble >= -1 && given->valuedouble <= 0;
    out_count = 0;
    if (given == nullptr || cJSON_IsNull(given) || is_small)
        return {};
    if (!json_read_u64(value, "num-workers", out_count))
        return "value.num-workers: expected a whole number";
    out_count = std::min<uint64_t>(out_count, copy_items_max);
    return {};
}

static json_ptr make_options(const bucket_job_request &r, const cJSON *value)
{
    json_ptr options = json_object();
    copy_field(options.get(), "objnames", value, "objnames");
    copy_field(options.get(), "template", value, "template");
    if (r.to_bucket.empty())
        return options;
    json_add_text(options.get(), "to", r.to_bucket);
    if (is_move(r.job.kind))
        return options;
    if (is_transform(r.job.kind)) {
        json_add_text(options.get(), "etl", r.etl);
        copy_field(options.get(), "etl_args", value, "etl_args");
        json_ptr pipeline = json_array();
        for (const std::string &id : r.pipeline)
            json_append_text(pipeline.get(), id);
        if (!r.pipeline.empty())
            json_add_tree(options.get(), "pipeline", std::move(pipeline));
    }
    for (const char *key : {"prepend", "ext", "dry_run", "force", "synchronize"})
        copy_field(options.get(), key, value, key);
    uint64_t workers = 0;
    (void)read_workers(value, workers); // it was checked before
    if (workers > 0)
        json_add_u64(options.get(), "num_workers", workers);
    // AIStore's inspection of a transform: it never counts as failed.
    if (r.is_dry && r.to_bucket == r.job.bucket && json_bool(value, "coer", false))
        json_add_bool(options.get(), "inspect", true);
    return options;
}

// What every name that may be selected begins with.
static bool read_selection(bucket_job_request &r, const cJSON *value)
{
    job_selection selection;
    if (!is_of_list(r.job.kind)) {
        r.job.prefix = json_text(value, "prefix");
    } else if (std::string wrong = selection_read(value, selection); !wrong.empty()) {
        fail(r, error_code::bad_request, "value." + wrong);
        return false;
    } else if (!selection.has_list && selection.ranges.empty() && selection.prefix.empty()) {
        fail(r, error_code::bad_request, "which objects? write value.objnames or value.template");
        return false;
    } else {
        r.job.prefix = selection.prefix;
    }
    if (r.job.prefix.size() <= object_name_size_max)
        return true;
    fail(r, error_code::bad_request, "value: a prefix has at most 1,024 bytes"); // this ends the request
    return false;
}

static bool read_job(bucket_job_request &r, const cJSON *value)
{
    uint64_t workers = 0;
    std::string misfit = json_fields_misfit(value, "value", value_fields);
    if (misfit.empty())
        misfit = read_workers(value, workers);
    if (std::string wrong = misfit.empty() ? find_misplaced(r.job.kind, value) : std::string(); !wrong.empty())
        misfit = "value." + wrong;
    if (!misfit.empty()) {
        fail(r, error_code::bad_request, misfit);
        return false;
    }
    if (json_bool(value, "non-recurs", false)) {
        fail(r, error_code::not_implemented, "value.non-recurs: a job takes names at every depth");
        return false;
    }
    r.is_dry = json_bool(value, "dry_run", false);
    r.may_empty = json_bool(value, "synchronize", false) && !r.is_dry && !json_bool(value, "force", false);
    if (is_move(r.job.kind) && cJSON_IsObject(value) && value->child != nullptr) {
        fail(r, error_code::bad_request, "value: a bucket moves as a whole, and its objects keep their names: leave it out");
        return false;
    }
    bool has_destination = r.job.kind != "delete-listrange";
    if (!read_selection(r, value) || (has_destination && !read_destination(r, value)))
        return false;
    std::string etl(json_text(value, "id"));
    if (is_transform(r.job.kind) && etl.empty()) {
        fail(r, error_code::bad_request, "value.id: which ETL is to transform the objects?");
        return false;
    }
    if (is_transform(r.job.kind) && (!admit_etl(r, etl, r.etl) || !admit_pipeline(r, value)))
        return false;
    r.job.options = json_print(make_options(r, value).get());
    json_ptr options;
    std::string where;
    std::string wrong = json_parse(r.job.options, options, where) ? where : job_kind_find(r.job.kind)->check_options(options.get());
    if (!wrong.empty()) {
        fail(r, error_code::bad_request, "value." + wrong);
        return false;
    }
    if (r.job.options.size() > job_options_size_max) {
        r.names = proxy_names_set_apart(options.get());
        r.job.options = json_print(options.get());
    }
    if (r.job.options.size() <= job_options_size_max)
        return true;
    fail(r, error_code::body_too_large,
        text_format("the options of a job, without its list of names, may have %zu bytes", job_options_size_max));
    return false;
}

// --- its start

static error refuse(bucket_job_request &r, error_code code, std::string text)
{
    r.refusal = std::move(text);
    return make_error(code);
}

// The source goes at the end, with everything that a disk which is away has of it.
static error check_move(bucket_job_request &r, const cluster_document &next)
{
    const cluster_bucket *there = document_find_bucket(next, r.to_bucket);
    if (there != nullptr && !bucket_move_made(next, r.job.bucket, *there))
        return refuse(r, error_code::already_exists, "bucket \"ais://" + r.to_bucket + "\" already exists");
    if (placement_is_moving(next.placement))
        return refuse(r, error_code::conflict, "objects move between targets: begin again when they have settled (etlctl job ls)");
    if (!document_lost_disks(next).empty())
        return refuse(r, error_code::conflict,
            "a target was taken out of the cluster with its objects, and those of ais://" + r.job.bucket +
                " would be given up: bring it back, or forget its disk (etlctl cluster show)");
    return no_error;
}

static error apply_job(bucket_job_request &r, cluster_document &next)
{
    if (document_find_bucket(next, r.job.bucket) == nullptr)
        return make_error(error_code::bucket_not_found);
    if (std::string why = bucket_move_conflict(next, r.job); !why.empty())
        return refuse(r, error_code::conflict, std::move(why));
    if (error err = is_move(r.job.kind) ? check_move(r, next) : no_error)
        return err;
    bool makes_bucket = !r.to_bucket.empty() && !r.is_dry && document_find_bucket(next, r.to_bucket) == nullptr;
    if (std::string why = makes_bucket ? proxy_orphans_text(*r.p, r.to_bucket) : std::string(); !why.empty())
        return refuse(r, error_code::conflict, std::move(why));
    if (makes_bucket && next.buckets.size() >= bucket_count_max)
        return make_error(error_code::no_space, "the cluster has as many buckets as it may have: remove one first");
    if (makes_bucket) {
        uint64_t created_ns = document_stamp_bucket(next, r.now_ns);
        std::string props = is_move(r.job.kind) ? document_find_bucket(next, r.job.bucket)->props : std::string();
        document_put_bucket(
            next, {.name = r.to_bucket, .created_ns = created_ns, .created_epoch = next.placement.epoch, .props = std::move(props)});
        document_forget_destroyed(next, proxy_held_by_all(*r.p));
        r.p->bucket_versions[r.to_bucket] = next.version + 1;
    }
    if (is_move(r.job.kind))
        r.job.options = bucket_move_options(next, r.to_bucket);
    return proxy_job_admit(*r.p, next, r.job);
}

static void on_stored(bucket_job_request &r, error err)
{
    if (!r.job.names.empty())
        proxy_names_kept(*r.p, r.job.names, !err);
    if (r.refusal.empty())
        proxy_job_answer_start(r, r.job, err);
    else
        fail(r, err.code, r.refusal);
}

static void on_names_kept(void *arg, error err, const std::string &key)
{
    bucket_job_request &r = *static_cast<bucket_job_request *>(arg);
    if (err) {
        fail(r, err.code, proxy_names_failure_text(err));
        return;
    }
    r.job.names = key;
    proxy_request_change<apply_job, on_stored>(r, true);
}

static void store_job(bucket_job_request &r)
{
    if (r.names.empty())
        proxy_request_change<apply_job, on_stored>(r, true);
    else
        proxy_names_keep(*r.p, std::move(r.names), on_names_kept, &r);
}

// --- a source that is to be followed: whether there is anything in it

static void on_counted(bucket_job_request &r, std::vector<broadcast_answer> answers)
{
    bucket_sums sums;
    for (const broadcast_answer &one : answers) {
        bucket_sums more;
        if (broadcast_succeeded(one) && !bucket_sums_parse(one.body, more))
            bucket_sums_add(sums, more);
    }
    const broadcast_answer *failed = broadcast_first_failure(answers);
    const std::string source = "ais://" + r.job.bucket;
    if (sums[r.job.bucket].objects > 0)
        store_job(r);
    else if (failed != nullptr)
        fail(r, error_code::unavailable, "whether " + source + " has objects is unknown: " + broadcast_failure_text(*failed, nullptr));
    else
        fail(r, error_code::conflict,
            source + " has no objects, so with synchronize the job would delete everything that jobs made from it in ais://" + r.to_bucket +
                ". See how much that is with dry_run, and begin it with force");
}

static void count_source(bucket_job_request &r)
{
    broadcast_request request;
    request.target = std::string(path_node_usage) + "?bucket=" + url_encode(r.job.bucket);
    request.deadline_ms = etl_status_timeout_ms;
    proxy_request_broadcast<on_counted>(r, proxy_target_peers(*r.p), request);
}

void proxy_bucket_job_serve(proxy &p, exchange &x, std::string bucket, std::string_view action, const cJSON *value)
{
    bucket_job_request &r = proxy_request_make<bucket_job_request>(p, x);
    r.job.bucket = std::move(bucket);
    r.job.kind = action;
    r.job.creator = exchange_peer(x);
    r.now_ns = clock_wall_ns(*p.e);
    r.job.created_ns = r.now_ns;
    if (document_find_bucket(proxy_document(p), r.job.bucket) == nullptr) {
        proxy_request_fail(r, error_code::bucket_not_found, hint_bucket_missing(r.job.bucket, proxy_bucket_names(p)));
        return;
    }
    if (proxy_target_peers(p).empty()) {
        proxy_request_fail(r, error_code::unavailable, "the cluster has no targets");
        return;
    }
    if (!read_job(r, value))
        return;
    if (r.may_empty)
        count_source(r);
    else
        store_job(r);
}

} // namespace etlnode
