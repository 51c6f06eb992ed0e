// SPDX-License-Identifier: MIT
// role/proxy/list_moving.cc: a page of a bucket's objects while objects move between targets.
//
// Knows    control, role/shared/list_merge, http.        Known by  buckets.cc.
// Normal   all targets that hold or may hold objects are asked twice, in one epoch of placement; the highest version of each name counts.
//          In one epoch an object moves only to its owner and stays there. If the first round missed it where it was, it was at its owner
//          before the second one. Hidden names do not fill a page, so several results may be needed.
// Fails    503 if the epoch changes too often meanwhile, or if a target is silent.
// Limits   attempts_max.
#include "base/limits.h"
#include "base/text.h"
#include "codec/error_envelope.h"
#include "codec/url.h"
#include "role/proxy/request.h"

namespace etlnode {

static constexpr unsigned attempts_max = 4;

struct moving_page_request : proxy_request {
    std::string bucket;
    list_request list;
    void (*answer)(proxy &p, exchange &x, list_page page, const list_request &list) = nullptr;
    list_collection collected;
    uint64_t epoch = 0;
    unsigned attempts = 0;
    std::vector<list_page> pages; // of both rounds
    bool is_second_round = false;
};

static void ask(moving_page_request &r);

static void begin(moving_page_request &r)
{
    r.epoch = document_epoch(proxy_document(*r.p));
    r.attempts++;
    r.collected = {.page = {},
        .after = r.list.after,
        .is_done = false,
        .is_flat = (r.list.flags & list_request_no_recursion) != 0,
        .prefix = r.list.prefix,
        .page_size = r.list.page_size};
    if (r.collected.is_flat)
        r.collected.after = list_skip_after(r.list.prefix, r.list.after);
    r.pages.clear();
    r.is_second_round = false;
    ask(r);
}

static void on_pushed(void *arg) { begin(*static_cast<moving_page_request *>(arg)); }

// The targets, or this proxy, have another epoch than the one in which the page was begun.
static void begin_again(moving_page_request &r)
{
    if (r.attempts >= attempts_max)
        proxy_request_fail(r, error_code::unavailable, "the placement of objects changed too often while the list was made: try again");
    else
        proxy_wait_pushed(*r.p, on_pushed, &r);
}

static void take_results(moving_page_request &r)
{
    std::string end;
    std::vector<list_entry> merged = list_merge_versions(r.pages, end);
    r.pages.clear();
    r.is_second_round = false;
    list_collect(r.collected, merged, end);
    if (!r.collected.is_done) {
        ask(r);
        return;
    }
    proxy &p = *r.p;
    list_page page = std::move(r.collected.page);
    list_request list = r.list;
    auto answer = r.answer;
    answer(p, proxy_request_release(r), std::move(page), list);
}

list_pages_outcome proxy_take_list_pages(proxy_request &r, const std::vector<broadcast_answer> &answers, std::vector<list_page> &pages)
{
    if (const broadcast_answer *failed = broadcast_first_failure(answers)) {
        error_code code = error_code::unavailable;
        std::string text = broadcast_failure_text(*failed, &code);
        if (code == error_code::other_epoch)
            return list_pages_outcome::other_epoch;
        proxy_request_fail(r, error_is_retryable(code) ? error_code::unavailable : code, text);
        return list_pages_outcome::failed;
    }
    for (const broadcast_answer &one : answers) {
        list_page page;
        if (list_page_parse_msgpack(one.body, page)) {
            proxy_request_fail(r, error_code::internal, "target " + one.id + " answered with a page that cannot be read");
            return list_pages_outcome::failed;
        }
        pages.push_back(std::move(page));
    }
    return list_pages_outcome::taken;
}

static void on_round(moving_page_request &r, std::vector<broadcast_answer> answers)
{
    list_pages_outcome outcome = proxy_take_list_pages(r, answers, r.pages);
    if (outcome == list_pages_outcome::failed)
        return;
    if (outcome == list_pages_outcome::other_epoch || r.epoch != document_epoch(proxy_document(*r.p))) {
        begin_again(r);
        return;
    }
    if (r.is_second_round) {
        take_results(r);
        return;
    }
    r.is_second_round = true;
    ask(r);
}

static void ask(moving_page_request &r)
{
    proxy &p = *r.p;
    std::vector<broadcast_peer> peers = proxy_placed_peers(p);
    for (const broadcast_peer &peer : peers) {
        if (!proxy_target_is_silent(p, peer.id))
            continue;
        error_code code = error_code::unavailable;
        std::string why = proxy_unheard_text(p, peer.id, code);
        proxy_request_fail(r, code, "the list would not be complete: " + why);
        return;
    }
    broadcast_request request;
    request.target = std::string(path_node_bucket) + "/" + url_encode(r.bucket) + "?count=" + text_format("%zu", r.list.page_size) +
                     "&prefix=" + url_encode(r.list.prefix) + "&after=" + url_encode(r.collected.after) + "&versions=true" +
                     "&epoch=" + text_format("%llu", static_cast<unsigned long long>(r.epoch));
    request.deadline_ms = list_timeout_ms;
    request.stop_at_failure = true;
    proxy_request_broadcast<on_round>(r, peers, request);
}

void proxy_list_moving(proxy &p, exchange &x, const std::string &bucket, const list_request &list,
    void (*answer)(proxy &p, exchange &x, list_page page, const list_request &list))
{
    moving_page_request &r = proxy_request_make<moving_page_request>(p, x);
    r.bucket = bucket;
    r.list = list;
    r.answer = answer;
    begin(r);
}

} // namespace etlnode
