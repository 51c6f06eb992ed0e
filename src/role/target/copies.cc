// SPDX-License-Identifier: MIT
// role/target/copies.cc: PUT /v1/objects/<bucket>/<object>?object_to=: stores an object, unchanged or through an ETL, under another name:
// here, or on the target that the placement names.
//
// Knows    object, transfer, control, store, http.   Known by  objects.cc.
// Normal   200 without a body when the result is durable.
// Fails    400 names, a body; 404 buckets, source, ETL; 503 a target that cannot be reached. The destination then keeps its former object.
#include "role/target/copies.h"
#include "aistore/object_query.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "control/peer.h"
#include "node/api.h"
#include "port/clock.h"
#include "role/shared/hints.h"
#include "role/target/moves.h"
#include "store/object_name.h"
#include "transfer/pipeline.h"

namespace etlnode {

static sink sink_here(target &t, const copy_destination &to, uint64_t bucket_created_ns)
{
    sink_put_options options;
    options.bucket = to.bucket;
    options.name = to.name;
    options.node_id = t.id;
    options.bucket_created_ns = bucket_created_ns;
    options.is_bucket_there = target_has_bucket;
    options.on_end = target_note_put;
    options.arg = &t;
    options.gate = target_put_gate(!to.made_from.empty());
    if (!to.made_from.empty())
        options.made_from = std::make_unique<std::string>(to.made_from);
    open_count_begin(t.store_calls);
    return sink_put(*t.e, *t.objects, std::move(options));
}

static sink sink_there(target &t, const copy_destination &to, const cluster_node &node, const url_base &base)
{
    sink_peer_options options;
    options.client = t.client;
    options.host = base.host;
    options.port = base.port;
    options.target = base.path + std::string(path_objects) + "/" + std::string(to.bucket) + "/" + url_encode_path(to.name) + "?" +
                     std::string(query_proxy_id) + "=" + t.id + "&" + std::string(query_unix_ns) + "=" +
                     std::to_string(clock_wall_ns(*t.e));
    options.headers = peer_headers(t.options.cluster_secret, to.request_id);
    http_write_header(options.headers, header_document, document_identity_print(document_identify(t.document)));
    if (!to.made_from.empty())
        http_write_header(options.headers, header_made_from, to.made_from);
    options.bucket = to.bucket;
    options.name = to.name;
    options.node_id = t.id;
    options.peer_id = node.id;
    return sink_peer(*t.e, std::move(options));
}

static bool refuse(copy_refusal &out_refusal, error_code code, std::string text)
{
    out_refusal = {code, std::move(text)};
    return false;
}

bool target_copy_sink(target &t, const copy_destination &to, sink &out_sink, copy_refusal &out_refusal)
{
    std::string bucket_name(to.bucket), name(to.name);
    const cluster_bucket *bucket = document_find_bucket(t.document, bucket_name);
    if (bucket == nullptr) {
        std::vector<std::string_view> names;
        for (const cluster_bucket &one : t.document.buckets)
            names.push_back(one.name);
        return refuse(out_refusal, error_code::bucket_not_found, hint_bucket_missing(bucket_name, names));
    }
    if (std::string why = target_emptying_text(t, bucket_name); !why.empty())
        return refuse(out_refusal, error_code::unavailable, why);
    const cluster_node *node = document_place(t.document, bucket_name, name);
    url_base base;
    if (node == nullptr || (node->id != t.id && !url_parse_base(node->url, base)))
        return refuse(out_refusal, error_code::unavailable, "no target is registered that could hold ais://" + bucket_name + "/" + name);
    std::string why;
    if (node->id == t.id && !target_space_admits(t, bucket_name, name, 0, why)) {
        t.metrics.put_errors++;
        return refuse(out_refusal, error_code::no_space, why);
    }
    out_sink = node->id == t.id ? sink_here(t, to, bucket->created_ns) : sink_there(t, to, *node, base);
    return true;
}

// Whether the request is in order; otherwise it has been answered.
static bool admit(exchange &x, const object_query &asks)
{
    const http_head &head = exchange_head(x);
    if (const char *wrong = object_name_check_bucket(asks.to_bucket)) {
        exchange_answer_error(
            x, error_code::bad_name, "object_to: invalid bucket name \"" + text_escape(asks.to_bucket, 100) + "\": " + wrong);
        return false;
    }
    if (const char *wrong = object_name_check(asks.to_name)) {
        exchange_answer_error(
            x, error_code::bad_name, "object_to: invalid object name \"" + text_escape(asks.to_name, 100) + "\": " + wrong);
        return false;
    }
    if (head.chunked || head.length > 0) {
        exchange_answer_error(x, error_code::bad_request, "PUT with object_to= takes no body: the object's own content is kept");
        return false;
    }
    return true;
}

static void on_done(void *arg, const transfer_report &report)
{
    exchange &x = *static_cast<exchange *>(arg);
    answer a;
    if (report.outcome == transfer_outcome::ok)
        a.headers = report.headers;
    if (report.outcome == transfer_outcome::ok || exchange_is_gone(x)) // a client that has gone reads nothing
        exchange_answer(x, std::move(a));
    else
        exchange_answer_error(x, report.code, report.text, report.status, std::string(report.headers));
}

void target_begin_transfer(target &t, transfer_request request, const std::vector<std::string> &further)
{
    if (further.empty())
        transfer_begin(*t.transfers, std::move(request));
    else
        pipeline_begin(*t.transfers, std::move(request), further);
}

void target_begin_copy(target &t, exchange &x, std::string bucket, std::string name, const object_query &asks)
{
    if (t.transfers == nullptr) {
        exchange_answer_error(x, error_code::not_ready, "the target has not joined its cluster yet");
        return;
    }
    if (!admit(x, asks))
        return;
    sink to;
    copy_refusal refusal;
    if (!target_copy_sink(t, {.bucket = asks.to_bucket, .name = asks.to_name, .request_id = exchange_request_id(x)}, to, refusal)) {
        exchange_answer_error(x, refusal.code, refusal.text);
        return;
    }
    const std::string direct_to = asks.to_bucket + "/" + asks.to_name;
    // The pod gets a request of the node's own; only the query of the client's request passes.
    std::string query = url_query_without(exchange_head(x).query, {query_object_to, "synchronize"});
    target_begin_transfer(t,
        {.x = &x,
            .query = query,
            .bucket = std::move(bucket),
            .name = std::move(name),
            .etl = asks.etl,
            .by_name = asks.transform == object_transform::by_name,
            .to = to,
            .on_done = on_done,
            .arg = &x,
            .direct_to = direct_to},
        asks.pipeline);
}

} // namespace etlnode
