// SPDX-License-Identifier: MIT
// transfer/transfer_host.cc: the transfers of one target: their beginning, their bounds, what they share.
//
// Owns     connections to pods, what is remembered of pods.
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
    host->client = http_client_make(e, http_client_options{});
    return host;
}

// Whether there is room for one more; else `x` has been answered.
static bool admit(transfer_host &host, exchange &x, const pod_memory *pod, const std::string &id)
{
    bool has_many = pod != nullptr && pod->transfers >= pod_connections_max;
    if (host.in_flight >= transfers_max - (has_many ? transfers_reserved : 0)) {
        exchange_answer_error(x, error_code::overloaded, "too many transformed reads in flight");
        return false;
    }
    // The second bound holds for those, too, that still look for their object.
    if (pod != nullptr && (pod->queue.size() >= pod_queue_max || pod->transfers >= pod_queue_max + pod_connections_max)) {
        exchange_answer_error(x, error_code::overloaded, "too many requests wait for the pod of etl job " + id);
        return false;
    }
    return true;
}

static void begin(
    transfer_host &host, exchange &x, std::string &&bucket, std::string &&name, std::string_view etl_id_or_name, bool by_name, sink to)
{
    pod_memory *pod = etl_id_or_name.empty() ? nullptr : admission_find(host, etl_id_or_name);
    std::string id(pod != nullptr ? etl_ref_id(*pod->ref) : etl_id_or_name);
    if (!admit(host, x, pod, id)) {
        sink_abandon(to);
        return;
    }
    transfer *t = new transfer;
    t->sm.id = host.next_id++;
    t->e = host.e;
    t->host = &host;
    t->x = &x;
    t->bucket = std::move(bucket);
    t->name = std::move(name);
    t->etl_id = std::move(id);
    t->by_name = by_name;
    t->is_kept = sink_is_open(to);
    t->to = to;
    t->began_ms = clock_now_ms(*host.e);
    host.in_flight++;
    t->pod = pod;
    if (pod != nullptr)
        pod->transfers++;
    transfer_look_up(*t);
}

void transfer_begin(transfer_host &host, exchange &x, std::string bucket, std::string name, std::string_view etl_id_or_name, bool by_name)
{
    begin(host, x, std::move(bucket), std::move(name), etl_id_or_name, by_name, sink{});
}

void transfer_begin_kept(
    transfer_host &host, exchange &x, std::string bucket, std::string name, std::string_view etl_id_or_name, bool by_name, sink to)
{
    begin(host, x, std::move(bucket), std::move(name), etl_id_or_name, by_name, to);
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

size_t transfer_host_in_flight(const transfer_host &host) { return host.in_flight; }
size_t transfer_host_remembered(const transfer_host &host) { return host.pods.size(); }
size_t transfer_host_lookups(const transfer_host &host) { return host.lookups; }
uint64_t transfer_host_unsolicited(const transfer_host &host) { return http_client_unsolicited(*host.client); }

void transfer_host_free(transfer_host *host)
{
    CHECK(host->in_flight == 0);
    CHECK(host->lookups == 0);
    for (auto &[ref, pod] : host->pods)
        etl_ref_release(*ref);
    http_client_free(host->client);
    delete host;
}

} // namespace etlnode
