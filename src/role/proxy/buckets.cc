// SPDX-License-Identifier: MIT
// role/proxy/buckets.cc: list, create, destroy and describe buckets.
//
// Knows    control, store/object_name, http.        Known by  routes.cc.
// Normal   the document is changed, and the targets hold it before the client gets its answer.
// Fails    400 names and actions; 404; 409 with AIStore's phrases, which its clients match; 501 for later providers and actions.
// Limits   bucket_count_max, bucket_name_size_max.
#include "role/proxy/bucket_jobs.h"
#include "role/proxy/jobs.h"
#include "role/proxy/request.h"
#include "role/proxy/usage.h"

#include <algorithm>
#include <initializer_list>

#include "aistore/bucket_props.h"
#include "aistore/cluster_config.h"
#include "aistore/provider.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/json.h"
#include "codec/url.h"
#include "control/bucket_moves.h"
#include "port/clock.h"
#include "role/shared/hints.h"
#include "role/shared/list_merge.h"
#include "store/object_name.h"

namespace etlnode {

struct bucket_request : proxy_request {
    std::string bucket;
    uint64_t created_ns = 0; // of a bucket that is being created, by the clock
    std::string refusal;     // of a change
    std::string action;      // on properties
    json_ptr tree;           // likewise: the body
    std::string props;       // of a bucket that is being created
};

struct bucket_names_request : proxy_request {
    std::string_view provider;
};

struct bucket_page_request : bucket_request {
    list_request list;
};

std::vector<std::string_view> proxy_bucket_names(const proxy &p)
{
    std::vector<std::string_view> names;
    for (const cluster_bucket &bucket : proxy_document(p).buckets)
        names.push_back(bucket.name);
    return names;
}

// --- what AIStore's clients may request, and this node answers with 501 instead of "unknown"

static constexpr std::string_view actions_of_later[] = {"prefetch-listrange", "evict-listrange", "evict-remote-bck", "archive",
    "make-n-copies", "ec-encode", "rechunk", "index-shard", "create-inventory", "destroy-inventory", "show-inventory"};

static void refuse_action(proxy_request &r, const std::string &action, std::initializer_list<std::string_view> expected)
{
    for (std::string_view known : actions_of_later) {
        if (known == action) {
            proxy_request_fail(r, error_code::not_implemented, "action \"" + action + "\" is not implemented");
            return;
        }
    }
    std::string text = "unknown action \"" + text_escape(action) + "\"; expected ";
    for (std::string_view one : expected)
        text.append(text.ends_with('"') ? ", \"" : "\"").append(one).append("\"");
    proxy_request_fail(r, error_code::bad_request, text);
}

static bool check_bucket_name(exchange &x, const route_match &match, std::string &out_name)
{
    if (!route_decode_arg(x, match.args[0], "bucket name", out_name))
        return false;
    if (const char *wrong = object_name_check_bucket(out_name)) {
        exchange_answer_error(x, error_code::bad_name, "invalid bucket name \"" + text_escape(out_name) + "\": " + wrong);
        return false;
    }
    return true;
}

static bool check_provider(exchange &x, std::string_view bucket)
{
    std::string text;
    error err = provider_check(exchange_head(x).query, bucket, text);
    if (err)
        exchange_answer_error(x, err.code, text);
    return !err;
}

// A change would apply to a document that the targets do not share.
static bool fail_at_odds(proxy_request &r)
{
    std::string odds = proxy_odds_text(*r.p);
    if (!odds.empty())
        proxy_request_fail(r, error_code::diverged, odds);
    return !odds.empty();
}

static void fail_missing(bucket_request &r)
{
    proxy_request_fail(r, error_code::bucket_not_found, hint_bucket_missing(r.bucket, proxy_bucket_names(*r.p)));
}

// --- list buckets

static void on_list_body(bucket_names_request &r, std::string body)
{
    json_ptr tree;
    std::string action;
    if (!proxy_request_read_action(r, body, tree, action))
        return;
    if (action == "summary-bck" && r.provider == "ais") {
        proxy &p = *r.p;
        proxy_summary_serve(p, proxy_request_release(r), {}, json_get(tree.get(), "value"));
        return;
    }
    if (!action.empty() && action != "list") {
        refuse_action(r, action, {"list", "summary-bck"});
        return;
    }
    std::string_view only = json_text(tree.get(), "name"); // AIStore's Go client asks for one bucket this way
    json_ptr list = json_array();
    if (r.provider == "ais") { // other providers have no buckets here
        for (const cluster_bucket &bucket : proxy_document(*r.p).buckets) {
            if (!only.empty() && bucket.name != only)
                continue;
            json_ptr one = json_object();
            json_add_text(one.get(), "name", bucket.name);
            json_add_text(one.get(), "provider", "ais");
            cJSON *space = json_add_object(one.get(), "namespace");
            json_add_text(space, "uuid", "");
            json_add_text(space, "name", "");
            json_append(list.get(), std::move(one));
        }
    }
    proxy_request_answer_json(r, list.get());
}

static void serve_buckets_list(proxy &p, exchange &x, const route_match &)
{
    std::string provider;
    url_query_get(exchange_head(x).query, "provider", provider);
    std::string_view known = provider_of(provider);
    if (known.empty()) {
        exchange_answer_error(x, error_code::bad_request, "unknown provider \"" + text_escape(provider) + "\"; known here: ais");
        return;
    }
    bucket_names_request &r = proxy_request_make<bucket_names_request>(p, x);
    r.provider = known;
    proxy_request_read<on_list_body>(r, json_body_size_max);
}

// --- objects that targets keep of a former bucket

// The former buckets of that name, each once.
static std::vector<cluster_bucket> find_orphans(const proxy &p, std::string_view name)
{
    std::vector<cluster_bucket> found;
    for (const auto &[id, target] : p.targets) {
        for (const proxy_orphan &orphan : target.orphans) {
            auto is_same = [&](const cluster_bucket &one) { return one.created_ns == orphan.bucket.created_ns; };
            if (orphan.bucket.name == name && std::none_of(found.begin(), found.end(), is_same))
                found.push_back(orphan.bucket);
        }
    }
    return found;
}

std::string proxy_orphans_text(const proxy &p, std::string_view bucket)
{
    std::string name(bucket);
    if (document_find_bucket(proxy_document(p), name) != nullptr || find_orphans(p, name).empty())
        return {};
    return "targets still hold objects of a former bucket \"ais://" + name +
           "\" that the cluster document does not name any more: etlctl cluster show. To delete them: etlctl bucket rm " + name + " --yes";
}

static bool fail_orphans(bucket_request &r)
{
    std::string why = proxy_orphans_text(*r.p, r.bucket);
    if (!why.empty())
        proxy_request_fail(r, error_code::conflict, why);
    return !why.empty();
}

// --- create

static error apply_create(bucket_request &r, cluster_document &next)
{
    if (document_find_bucket(next, r.bucket) != nullptr)
        return make_error(error_code::already_exists);
    if (next.buckets.size() >= bucket_count_max)
        return make_error(error_code::no_space, "the cluster has as many buckets as it may have: remove one first");
    uint64_t created_ns = document_stamp_bucket(next, r.created_ns);
    document_put_bucket(next, {.name = r.bucket, .created_ns = created_ns, .created_epoch = next.placement.epoch, .props = r.props});
    document_forget_destroyed(next, proxy_held_by_all(*r.p));
    r.p->bucket_versions[r.bucket] = next.version + 1;
    return no_error;
}

static void on_created(bucket_request &r, error err)
{
    if (err.code == error_code::already_exists) {
        proxy_request_fail(r, err.code, "bucket \"ais://" + r.bucket + "\" already exists");
        return;
    }
    if (err) {
        proxy_request_fail(r, err.code, error_text(err));
        return;
    }
    proxy_request_answer(r, {});
}

static void begin_job(bucket_request &r, const std::string &action, const cJSON *tree)
{
    proxy &p = *r.p;
    std::string bucket = std::move(r.bucket);
    proxy_bucket_job_serve(p, proxy_request_release(r), std::move(bucket), action, json_get(tree, "value"));
}

static void on_post_body(bucket_request &r, std::string body)
{
    json_ptr tree;
    std::string action;
    if (!proxy_request_read_action(r, body, tree, action))
        return;
    bool is_job = proxy_is_bucket_job(action) && action != "delete-listrange";
    if (!is_job && action != "create-bck") {
        refuse_action(r, action, {"create-bck", "copy-bck", "etl-bck", "copy-listrange", "etl-listrange", "move-bck"});
        return;
    }
    if (fail_at_odds(r) || (!is_job && fail_orphans(r)))
        return;
    if (is_job) {
        begin_job(r, action, tree.get());
        return;
    }
    std::string why;
    if (error err = bucket_props_set(json_get(tree.get(), "value"), r.props, why)) {
        proxy_request_fail(r, err.code, why);
        return;
    }
    r.created_ns = clock_wall_ns(*r.p->e);
    proxy_request_change<apply_create, on_created>(r, true);
}

static void serve_bucket_post(proxy &p, exchange &x, const route_match &match)
{
    std::string name;
    if (!check_bucket_name(x, match, name) || !check_provider(x, {}))
        return;
    bucket_request &r = proxy_request_make<bucket_request>(p, x);
    r.bucket = std::move(name);
    proxy_request_read<on_post_body>(r, job_names_size_max);
}

// --- properties

static error apply_props(bucket_request &r, cluster_document &next)
{
    cluster_bucket *bucket = document_find_bucket(next, r.bucket);
    if (bucket == nullptr)
        return make_error(error_code::bucket_not_found);
    if (r.action == "reset-bprops")
        bucket->props.clear();
    return bucket_props_set(json_get(r.tree.get(), "value"), bucket->props, r.refusal);
}

static void on_props_changed(bucket_request &r, error err)
{
    if (err.code == error_code::bucket_not_found)
        fail_missing(r);
    else if (err)
        proxy_request_fail(r, err.code, r.refusal.empty() ? error_text(err) : r.refusal);
    else
        proxy_request_answer(r, {});
}

static void on_patch_body(bucket_request &r, std::string body)
{
    if (!proxy_request_read_action(r, body, r.tree, r.action))
        return;
    if (r.action != "set-bprops" && r.action != "reset-bprops")
        refuse_action(r, r.action, {"set-bprops", "reset-bprops"});
    else if (!fail_at_odds(r))
        proxy_request_change<apply_props, on_props_changed>(r, true);
}

static void serve_bucket_patch(proxy &p, exchange &x, const route_match &match)
{
    std::string name;
    if (!check_bucket_name(x, match, name) || !check_provider(x, name))
        return;
    bucket_request &r = proxy_request_make<bucket_request>(p, x);
    r.bucket = std::move(name);
    proxy_request_read<on_patch_body>(r, json_body_size_max);
}

// --- destroy

static error apply_destroy(bucket_request &r, cluster_document &next)
{
    r.refusal = bucket_move_refusal(document_bucket_moves(next), r.bucket, false);
    if (!r.refusal.empty())
        return make_error(error_code::conflict);
    document_forget_destroyed(next, proxy_held_by_all(*r.p));
    std::vector<cluster_bucket> orphans = find_orphans(*r.p, r.bucket);
    if (!document_destroy_bucket(next, r.bucket, next.version + 1) && orphans.empty())
        return make_error(error_code::bucket_not_found);
    for (const cluster_bucket &orphan : orphans)
        document_record_destroyed(next, orphan, next.version + 1);
    proxy_jobs_end_with_bucket(next, r.bucket);
    r.p->bucket_versions.erase(r.bucket);
    return no_error;
}

static void on_dropped(bucket_request &r, std::vector<broadcast_answer>)
{
    proxy_request_answer(r, {}); // a target that was not reached drops the objects when it gets the document
}

static void on_destroyed(bucket_request &r, error err)
{
    if (err.code == error_code::bucket_not_found) {
        fail_missing(r);
        return;
    }
    if (err) {
        proxy_request_fail(r, err.code, r.refusal.empty() ? error_text(err) : r.refusal);
        return;
    }
    for (auto &[id, target] : r.p->targets)
        std::erase_if(target.orphans, [&](const proxy_orphan &orphan) { return orphan.bucket.name == r.bucket; });
    std::vector<broadcast_peer> peers;
    for (const broadcast_peer &peer : proxy_target_peers(*r.p)) {
        if (!proxy_target_is_silent(*r.p, peer.id))
            peers.push_back(peer);
    }
    broadcast_request request;
    request.method = "DELETE";
    request.target = std::string(path_node_bucket) + "/" + url_encode(r.bucket);
    request.deadline_ms = intra_call_timeout_ms;
    proxy_request_broadcast<on_dropped>(r, peers, request);
}

static void on_delete_body(bucket_request &r, std::string body)
{
    json_ptr tree;
    std::string action;
    if (!proxy_request_read_action(r, body, tree, action))
        return;
    if (action != "destroy-bck" && action != "delete-listrange") {
        refuse_action(r, action, {"destroy-bck", "delete-listrange"});
        return;
    }
    if (fail_at_odds(r))
        return;
    if (action == "delete-listrange") {
        begin_job(r, action, tree.get());
        return;
    }
    proxy_request_change<apply_destroy, on_destroyed>(r, true);
}

static void serve_bucket_delete(proxy &p, exchange &x, const route_match &match)
{
    std::string name;
    if (!check_bucket_name(x, match, name) || !check_provider(x, name))
        return;
    bucket_request &r = proxy_request_make<bucket_request>(p, x);
    r.bucket = std::move(name);
    proxy_request_read<on_delete_body>(r, job_names_size_max);
}

// --- head

static void serve_bucket_head(proxy &p, exchange &x, const route_match &match)
{
    std::string name;
    if (!check_bucket_name(x, match, name) || !check_provider(x, name))
        return;
    const cluster_bucket *bucket = document_find_bucket(proxy_document(p), name);
    if (bucket == nullptr) {
        exchange_answer_error(x, error_code::bucket_not_found, hint_bucket_missing(name, proxy_bucket_names(p)));
        return;
    }
    std::string summary;
    if (url_query_get(exchange_head(x).query, "bsumm_remote", summary)) { // with any value
        proxy_summary_serve_head(p, x, *bucket);
        return;
    }
    answer a;
    http_write_header(a.headers, header_bucket_props, json_print(cluster_config_bucket_json(*bucket).get()));
    exchange_answer(x, std::move(a));
}

// --- list objects: one page, collected from all targets

static constexpr std::string_view msgpack_type = "application/msgpack"; // exactly this text: AIStore's SDK compares all of it

static void answer_page(proxy &p, exchange &x, list_page page, const list_request &list)
{
    list_page_trim(page, list);
    static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    page.uuid = list.uuid.empty() ? rng_text(p.e->random, alphabet, sizeof alphabet - 1, 10) : list.uuid;
    p.counts.list_pages++;
    bool wants_msgpack = http_head_get(exchange_head(x), "Accept").find(msgpack_type) != std::string_view::npos;
    answer a;
    a.content_type = wants_msgpack ? msgpack_type : "application/json; charset=utf-8";
    a.body = wants_msgpack ? list_page_msgpack(page) : list_page_json(page);
    exchange_answer(x, std::move(a));
}

static void list_while_moving(bucket_page_request &r)
{
    proxy &p = *r.p;
    list_request list = r.list;
    std::string bucket = r.bucket;
    if ((list.flags & list_request_archives) != 0) {
        proxy_request_fail(r, error_code::unavailable,
            "objects are moving between targets: members of archives (flag arch-dir) are listed again when that has ended; without the "
            "flag, "
            "objects are listed now");
        return;
    }
    proxy_list_moving(p, proxy_request_release(r), bucket, list, answer_page);
}

static void on_pages(bucket_page_request &r, std::vector<broadcast_answer> answers)
{
    std::vector<list_page> pages;
    switch (proxy_take_list_pages(r, answers, pages)) {
    case list_pages_outcome::taken: break;
    case list_pages_outcome::other_epoch: list_while_moving(r); return;
    case list_pages_outcome::failed: return;
    }
    list_page merged = list_merge(pages, r.list.page_size);
    list_request list = r.list;
    proxy &p = *r.p;
    answer_page(p, proxy_request_release(r), std::move(merged), list);
}

static void on_objects_body(bucket_page_request &r, std::string body)
{
    json_ptr tree;
    std::string action;
    if (!proxy_request_read_action(r, body, tree, action))
        return;
    proxy &p = *r.p;
    if (document_find_bucket(proxy_document(p), r.bucket) == nullptr) {
        fail_missing(r);
        return;
    }
    if (action == "summary-bck") {
        std::string bucket = r.bucket;
        proxy_summary_serve(p, proxy_request_release(r), bucket, json_get(tree.get(), "value"));
        return;
    }
    if (!action.empty() && action != "list") {
        refuse_action(r, action, {"list", "summary-bck"});
        return;
    }
    std::string reason;
    if (error err = list_request_read(json_get(tree.get(), "value"), r.list, reason)) {
        proxy_request_fail(r, err.code, reason);
        return;
    }
    if (std::string behind = proxy_behind_text(p); !behind.empty()) {
        proxy_request_fail(r, error_code::diverged, "the list would not be complete: " + behind);
        return;
    }
    const cluster_placement &placement = proxy_document(p).placement;
    if (placement_is_moving(placement) && r.list.target.empty()) {
        list_while_moving(r);
        return;
    }
    std::vector<broadcast_peer> peers;
    for (const broadcast_peer &peer : proxy_placed_peers(p)) { // a list must not show what GET does not find
        if (!r.list.target.empty() && peer.id != r.list.target)
            continue;
        if (proxy_target_is_silent(p, peer.id)) {
            error_code code = error_code::unavailable;
            std::string why = proxy_unheard_text(p, peer.id, code);
            proxy_request_fail(r, code, "the list would not be complete: " + why);
            return;
        }
        peers.push_back(peer);
    }
    if (peers.empty() && !r.list.target.empty()) {
        proxy_request_fail(r, error_code::not_found, "there is no target \"" + text_escape(r.list.target) + "\"");
        return;
    }
    broadcast_request request;
    request.target = std::string(path_node_bucket) + "/" + url_encode(r.bucket) + "?count=" + text_format("%zu", r.list.page_size) +
                     "&prefix=" + url_encode(r.list.prefix) + "&after=" + url_encode(r.list.after);
    if ((r.list.flags & list_request_no_recursion) != 0)
        request.target += "&flat=dirs"; // also with bit 13: for a local bucket AIStore returns the directories nevertheless
    if (placement.epoch > 0)
        request.target += "&epoch=" + text_format("%llu", static_cast<unsigned long long>(placement.epoch));
    bool wants_members = (r.list.flags & list_request_archives) != 0;
    if (wants_members) {
        request.target += "&archives=true";
        proxy_request_end_with_client(r);
    }
    request.deadline_ms = wants_members ? list_archives_timeout_ms : list_timeout_ms;
    request.stop_at_failure = true;
    proxy_request_broadcast<on_pages>(r, peers, request);
}

static void serve_bucket_objects(proxy &p, exchange &x, const route_match &match)
{
    std::string name;
    if (!check_bucket_name(x, match, name) || !check_provider(x, name))
        return;
    bucket_page_request &r = proxy_request_make<bucket_page_request>(p, x);
    r.bucket = std::move(name);
    proxy_request_read<on_objects_body>(r, json_body_size_max);
}

static void serve_path_too_long(proxy &, exchange &x, const route_match &)
{
    exchange_answer_error(x, error_code::bad_request, "too many path items: a bucket's path is /v1/buckets/<bucket>");
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/buckets", serve_buckets_list, "list buckets"),
    ROUTE("GET", "/v1/buckets/{bucket}", serve_bucket_objects, "list objects, one page; body: action `list`"),
    ROUTE("POST", "/v1/buckets/{bucket}", serve_bucket_post, "create a bucket; body: action `create-bck`"),
    ROUTE("PATCH", "/v1/buckets/{bucket}", serve_bucket_patch, "properties; body: action `set-bprops` or `reset-bprops`"),
    ROUTE("DELETE", "/v1/buckets/{bucket}", serve_bucket_delete, "remove a bucket and its objects; body: action `destroy-bck`"),
    ROUTE("HEAD", "/v1/buckets/{bucket}", serve_bucket_head, "properties in `Ais-Bucket-Props`"),
    ROUTE("GET", "/v1/buckets/{bucket}/{more...}", serve_path_too_long, "400"),
    ROUTE("POST", "/v1/buckets/{bucket}/{more...}", serve_path_too_long, "400"),
    ROUTE("DELETE", "/v1/buckets/{bucket}/{more...}", serve_path_too_long, "400"),
    ROUTE("HEAD", "/v1/buckets/{bucket}/{more...}", serve_path_too_long, "400"),
};
extern constinit const std::span<const route> proxy_bucket_routes = rows;

} // namespace etlnode
