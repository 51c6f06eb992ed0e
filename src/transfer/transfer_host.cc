// SPDX-License-Identifier: MIT
// transfer/transfer_host.cc: the transfers of one target: how they begin, their limits, and what they share.
//
// Owns     connections to pods, and what is remembered about pods.
// Knows    store, etl (read-only), http.        Known by  role.
// Limits   transfers_max, transfers_reserved, pod_queue_max.
#include "base/limits.h"
#include "port/clock.h"
#include "transfer/admission.h"
#include "transfer/pull.h"

namespace etlnode {

transfer_host *transfer_host_make(env &e, store &objects, etl_registry &etls, const transfer_host_options &options)
{
    transfer_host *host = new transfer_host;
    host->e = &e;
    host->objects = &objects;
    host->etls = &etls;
    host->options = options;
    host->in_flight.on_none = host->lookups.on_none = options.on_none;
    host->in_flight.arg = host->lookups.arg = options.arg;
    host->client = http_client_make(e, http_client_options{});
    return host;
}

// The node's own request to a pod.
static constinit const http_head plain_get = [] {
    http_head head;
    head.method = "GET";
    return head;
}();

// Why there is no room for another transfer; empty: there is room.
static std::string refusal(const transfer_host &host, const transfer_request &request, const pod_memory *pod, const std::string &id)
{
    bool has_many = pod != nullptr && pod->transfers >= pod_connections_max;
    if (!request.is_continued && host.in_flight.count >= transfers_max - (has_many ? transfers_reserved : 0))
        return "too many transformed reads in flight";
    // The second limit also covers transfers that still look up their object.
    const size_t queue_max = admission_queue_for(request.x == nullptr);
    if (pod != nullptr && (pod->queue.size() >= queue_max || pod->transfers >= queue_max + pod_connections_max))
        return "too many requests wait for the pod of etl job " + id;
    return {};
}

static void refuse(transfer_request &request, const std::string &text)
{
    const std::string whole = std::string(request.stage_text) + text;
    sink_refuse(request.to, {error_code::overloaded, whole});
    if (request.on_done == nullptr)
        return;
    transfer_report report;
    report.outcome = transfer_outcome::unavailable;
    report.text = whole;
    report.code = error_code::overloaded;
    report.status = error_http_status(report.code);
    request.on_done(request.arg, report);
}

transfer *transfer_begin(transfer_host &host, transfer_request request)
{
    pod_memory *pod = request.etl.empty() ? nullptr : admission_find(host, request.etl);
    std::string id(pod != nullptr ? etl_ref_id(*pod->ref) : request.etl);
    if (std::string why = refusal(host, request, pod, id); !why.empty()) {
        if (request.given != nullptr)
            store_release(*host.objects, request.given);
        refuse(request, why);
        return nullptr;
    }
    transfer *t = new transfer;
    t->sm.id = host.next_id++;
    t->e = host.e;
    t->host = &host;
    t->x = request.x;
    if (request.x == nullptr) {
        t->job_request_id = request.request_id;
        t->job_query = request.query;
    }
    t->asked = request.asked != nullptr ? request.asked : &plain_get;
    t->query = mode_query_of(request.query);
    t->bucket = std::move(request.bucket);
    t->name = std::move(request.name);
    t->etl_id = std::move(id);
    t->by_name = request.by_name;
    t->object = request.given;
    CHECK((request.given != nullptr) == !request.given_as.empty());
    t->given_as = request.given_as;
    t->stage_text = request.stage_text;
    t->direct_to = request.direct_to;
    t->to = request.to;
    t->on_done = request.on_done;
    t->done_arg = request.arg;
    t->began_ms = clock_now_ms(*host.e);
    open_count_begin(host.in_flight);
    host.clients += t->x != nullptr ? 1 : 0;
    t->pod = pod;
    if (pod != nullptr)
        pod->transfers++;
    transfer_look_up(*t);
    return t;
}

void transfer_stop(transfer &t)
{
    CHECK(t.x == nullptr);
    transfer_step(t, transfer::event::stop);
}

std::string_view transfer_request_id(const transfer &t)
{
    return t.x != nullptr ? exchange_request_id(*t.x) : std::string_view(t.job_request_id);
}

std::string_view transfer_asked_query(const transfer &t)
{
    return t.x != nullptr ? std::string_view(exchange_head(*t.x).query) : std::string_view(t.job_query);
}

struct transfer_pod_read {
    transfer_host *host;
    std::string key;
    uint64_t size;
    uint64_t began_ms;
};

static void on_pod_read_progress(void *arg)
{
    transfer_pod_read &read = *static_cast<transfer_pod_read *>(arg);
    pull_note(*read.host, read.key);
}

transfer_pod_read *transfer_pod_read_begin(
    transfer_host &host, exchange &x, std::string_view etl_id, std::string_view bucket, std::string_view name, uint64_t size)
{
    auto *read = new transfer_pod_read{&host, pull_key(etl_id, bucket, name), size, clock_now_ms(*host.e)};
    pull_note(host, read->key);
    exchange_on_progress(x, on_pod_read_progress, read);
    return read;
}

void transfer_pod_read_end(transfer_pod_read *read)
{
    pull_note_end(*read->host, read->key, read->size, clock_now_ms(*read->host->e) - read->began_ms);
    delete read;
}

void transfer_host_etl_changed(transfer_host &host, etl_ref &ref)
{
    auto found = host.pods.find(&ref);
    if (found == host.pods.end() || admission_forget_if_gone(host, found->second))
        return;
    if (!found->second.queue.empty())
        admission_post_wake(host, ref);
}

size_t transfer_host_in_flight(const transfer_host &host) { return host.in_flight.count; }
size_t transfer_host_clients(const transfer_host &host) { return host.clients; }
size_t transfer_host_remembered(const transfer_host &host) { return host.pods.size(); }
size_t transfer_host_lookups(const transfer_host &host) { return host.lookups.count; }
uint64_t transfer_host_unsolicited(const transfer_host &host) { return http_client_unsolicited(*host.client); }

void transfer_host_free(transfer_host *host)
{
    CHECK(host->in_flight.count == 0);
    CHECK(host->lookups.count == 0);
    CHECK(host->given.empty() && host->offers.empty());
    for (auto &[ref, pod] : host->pods)
        etl_ref_release(*ref);
    http_client_free(host->client);
    delete host;
}

} // namespace etlnode
