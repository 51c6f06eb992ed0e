// SPDX-License-Identifier: MIT
// role/proxy/objects.cc: checks requests for objects and redirects them to the target that holds the object.
//
// Knows    control, store/object_name, http.        Known by  routes.cc.
// Normal   301 for GET, 307 for the rest, with path and query byte for byte, plus pid and utm. The head suffices for the answer; the http
//          layer drops the body.
// Fails    400 names and misspelled parameters; 404 bucket; 409 while the target holds another document; 503 with Retry-After while it is
//          silent or does not know the bucket yet. An object is never looked for, or put, in another place.
#include "role/proxy/request.h"

#include "aistore/object_query.h"
#include "aistore/provider.h"
#include "aistore/upload_name.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "port/clock.h"
#include "role/shared/hints.h"
#include "store/object_name.h"
#include "transfer/choose.h"

namespace etlnode {

static void refuse(proxy &p, exchange &x, const char *retry_after, const std::string &text, error_code code = error_code::unavailable)
{
    p.counts.redirects_refused++;
    std::string headers;
    if (error_is_retryable(code))
        http_write_header(headers, "Retry-After", retry_after);
    exchange_answer_error(x, code, text, 0, headers);
}

// Whether the target's document contains the bucket and the target itself; otherwise the request has been answered. One that was lost and
// is back would serve what it held then.
static bool knows_bucket(proxy &p, exchange &x, const cluster_node &node, const std::string &bucket)
{
    const proxy_target &target = p.targets.find(node.id)->second;
    if (target.copy.held_version < target.member_version) {
        refuse(p, x, "1", "target " + node.id + " has not heard yet that it is back in the cluster");
        return false;
    }
    auto made = p.bucket_versions.find(bucket);
    uint64_t needed = made != p.bucket_versions.end() ? made->second : p.loaded_version;
    if (target.copy.held_version >= needed)
        return true;
    refuse(p, x, "1", "target " + node.id + " does not know this bucket yet");
    return false;
}

// The target that holds the object, if it can be reached and knows the bucket; null: the request has been answered. The parts of an upload
// are where it began, whoever owns the object by now.
static const cluster_node *find_holder(
    proxy &p, exchange &x, const std::string &bucket, const std::string &name, std::string_view upload_target = {})
{
    const cluster_document &document = proxy_document(p);
    if (!p.ahead.empty()) {
        refuse(p, x, "5", proxy_behind_text(p), error_code::diverged);
        return nullptr;
    }
    if (document_find_bucket(document, bucket) == nullptr) {
        exchange_answer_error(x, error_code::bucket_not_found, hint_bucket_missing(bucket, proxy_bucket_names(p)));
        return nullptr;
    }
    const cluster_node *node = upload_target.empty() ? document_place(document, bucket, name) : document_find_node(document, upload_target);
    if (node == nullptr && !upload_target.empty()) {
        exchange_answer_error(x, error_code::not_found,
            "the target " + text_escape(upload_target, 64) +
                ", which had the parts of this upload, is no longer in the cluster: the upload does not exist");
        return nullptr;
    }
    read_locality place = node != nullptr ? read_locality::elsewhere : read_locality::nowhere;
    read_action action = transfer_choose(
        {read_role::proxy, transfer_method_of(exchange_head(x).method), read_mode::plain, read_availability::absent, place});
    if (node == nullptr || action == read_action::refuse_no_target) {
        refuse(p, x, "5", "no target is registered");
        return nullptr;
    }
    if (proxy_target_is_silent(p, node->id)) {
        error_code code = error_code::unavailable;
        std::string why = proxy_unheard_text(p, node->id, code);
        refuse(p, x, "5", "this object belongs to target " + node->id + ": " + why, code);
        return nullptr;
    }
    return knows_bucket(p, x, *node, bucket) ? node : nullptr;
}

static bool admit_destination(exchange &x, const object_query &asked)
{
    const char *wrong_bucket = object_name_check_bucket(asked.to_bucket);
    const char *wrong_name = object_name_check(asked.to_name);
    if (wrong_bucket != nullptr)
        exchange_answer_error(
            x, error_code::bad_name, "object_to: invalid bucket name \"" + text_escape(asked.to_bucket, 100) + "\": " + wrong_bucket);
    else if (wrong_name != nullptr)
        exchange_answer_error(
            x, error_code::bad_name, "object_to: invalid object name \"" + text_escape(asked.to_name, 100) + "\": " + wrong_name);
    return wrong_bucket == nullptr && wrong_name == nullptr;
}

static void redirect_object(proxy &p, exchange &x, const route_match &match)
{
    const http_head &head = exchange_head(x);
    std::string bucket, name;
    if (!route_decode_arg(x, match.args[0], "bucket name", bucket) || !route_decode_arg(x, match.args[1], "object name", name))
        return;
    if (const char *wrong = object_name_check_bucket(bucket)) {
        exchange_answer_error(x, error_code::bad_name, "invalid bucket name \"" + text_escape(bucket) + "\": " + wrong);
        return;
    }
    if (const char *wrong = object_name_check(name)) {
        exchange_answer_error(x, error_code::bad_name, "invalid object name \"" + text_escape(name) + "\": " + wrong);
        return;
    }
    object_query asked;
    std::string wrong_query;
    error err = provider_check(head.query, bucket, wrong_query);
    if (!err)
        err = object_query_read(head.query, object_use_of(head.method), asked, wrong_query);
    if (err) {
        exchange_answer_error(x, err.code, wrong_query);
        return;
    }
    const bool reads = object_use_of(head.method) == object_use::read;
    if (std::string wrong = reads ? std::string() : upload_query_misfit(head.method, head.query); !wrong.empty()) {
        exchange_answer_error(x, error_code::bad_request, wrong);
        return;
    }
    std::string upload = reads ? std::string() : upload_name_of_query(head.query);
    const cluster_node *node = find_holder(p, x, bucket, name, upload_name_target(upload));
    if (node == nullptr)
        return;
    if (asked.is_kept && !admit_destination(x, asked))
        return;
    if (asked.is_kept) { // the source's target writes to the destination's, which must also know its bucket
        const cluster_node *other = find_holder(p, x, asked.to_bucket, asked.to_name);
        if (other == nullptr || !knows_bucket(p, x, *node, asked.to_bucket))
            return;
    }
    answer a;
    a.status = head.method == "GET" ? 301 : 307;
    std::string &headers = a.headers;
    headers.reserve(node->url.size() + head.target.size() + p.id.size() + 96);
    headers += "Location: ";
    headers += node->url;
    headers += head.path; // as it was sent: the parser accepts neither white space nor control bytes
    headers += '?';
    headers += head.query;
    headers += head.query.empty() ? "pid=" : "&pid=";
    headers += p.id;
    headers += "&utm=";
    headers += std::to_string(clock_wall_ns(*p.e));
    headers += "\r\n";
    if (a.status == 301) // AIStore's clients expect 301, but the answer may be different tomorrow
        http_write_header(headers, "Cache-Control", "no-store");
    p.counts.redirects++;
    exchange_answer(x, std::move(a));
}

static void serve_object_missing(proxy &, exchange &x, const route_match &) { route_answer_object_missing(x); }

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/objects/{bucket}/{object...}", redirect_object, "301 to the object's target"),
    ROUTE("HEAD", "/v1/objects/{bucket}/{object...}", redirect_object, "307 to it"),
    ROUTE("PUT", "/v1/objects/{bucket}/{object...}", redirect_object, "307 to it"),
    ROUTE("DELETE", "/v1/objects/{bucket}/{object...}", redirect_object, "307 to it"),
    ROUTE("PATCH", "/v1/objects/{bucket}/{object...}", redirect_object, "307 to it"),
    ROUTE("POST", "/v1/objects/{bucket}/{object...}", redirect_object, "307 to it"),
    ROUTE("GET", "/v1/objects/{bucket}", serve_object_missing, "400: no object name"),
    ROUTE("HEAD", "/v1/objects/{bucket}", serve_object_missing, "400: no object name"),
    ROUTE("PUT", "/v1/objects/{bucket}", serve_object_missing, "400: no object name"),
    ROUTE("DELETE", "/v1/objects/{bucket}", serve_object_missing, "400: no object name"),
};
extern constinit const std::span<const route> proxy_object_routes = rows;

} // namespace etlnode
