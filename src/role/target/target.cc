// SPDX-License-Identifier: MIT
// role/target/target.cc: start of a target, dispatch of its requests, and shutdown.
//
// Owns     the listeners for clients and for pods, the store, the ETL registry, the membership.
// Knows    every layer below.            Known by  etlnode.
// Normal   id, store, latest document, listeners, ready to register. SIGTERM: drain, end children, report the final count, drained; pods
//          stay.
// Limits   those of the lifecycle machine.
#include "role/target/moves.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"
#include "job/job_host.h"
#include "port/clock.h"
#include "port/meta.h"
#include "role/shared/node_id.h"
#include "role/target/joins.h"
#include "role/target/uploads.h"
#include "transfer/transfer.h"

namespace etlnode {

// --- requests

static void dispatch(target &t, exchange &x, const route_table &routes)
{
    if (!web_guard_admit(t.guard, x))
        return;
    const http_head &head = exchange_head(x);
    route_match match = route_find(routes, head.method, head.path);
    if (match.found == nullptr) {
        route_answer_missing(x, match);
        return;
    }
    if (!route_admit_query(x))
        return;
    match.found->serve(&t, x, match);
}

static void on_answer(void *arg, exchange &x, int status) { access_log_answer(static_cast<target *>(arg)->answers, "target", x, status); }

static void on_client_request(void *arg, exchange &x)
{
    target &t = *static_cast<target *>(arg);
    dispatch(t, x, t.routes);
}

static void on_pod_request(void *arg, exchange &x)
{
    target &t = *static_cast<target *>(arg);
    dispatch(t, x, t.pod_routes);
}

// --- start

static void report_ready(void *arg) { lifecycle_report_ready(static_cast<target *>(arg)->life); }

static error listen_on(target &t, const char *name, const std::string &host, uint16_t port, net_reach reach,
    void (*on_request)(void *arg, exchange &x), http_server **out_server, std::string &out_detail)
{
    http_server_options options;
    options.name = name;
    options.node_id = t.id;
    options.reach = reach;
    options.on_request = on_request;
    options.on_answer = on_answer;
    options.on_idle = target_note_work_ended;
    options.arg = &t;
    error err = http_server_start(*t.e, options, host.c_str(), port, out_server);
    if (err)
        out_detail = text_format("cannot listen on %s port %u (%s): %s", host.c_str(), static_cast<unsigned>(port), name, error_text(err));
    return err;
}

static const std::string &pod_listen_host(const target &t)
{
    return t.options.pod_listen_host.empty() ? t.options.listen_host : t.options.pod_listen_host;
}

// Objects can be served before the proxy is reachable, if the cluster's document is here already. Pods wait for the proxy's word: this
// process may run on a copy of another one's data directory.
static void join(void *arg)
{
    target &t = *static_cast<target *>(arg);
    bool has_document = t.document.version > 0;
    target_begin_jobs(t);
    if (has_document) {
        target_begin_etls(t);
        target_abandon_starts(t);
        target_orphans_count(t);
        target_sync_jobs(t);
        lifecycle_joined(t.life);
        target_rebalance_look(t);
    }
    LOG(info, "role", "role=target id=%s url=%s pod_url=%s proxy=%s cluster=%s version=%llu objects=%llu msg=\"listening\"", t.id.c_str(),
        t.url.c_str(), t.pod_url.c_str(), t.options.proxy_url.c_str(), has_document ? t.document.uuid.c_str() : "none",
        static_cast<unsigned long long>(t.document.version), static_cast<unsigned long long>(store_object_count(*t.objects)));
    target_heartbeat_begin(t);
    clock_post(*t.e, report_ready, &t);
}

// --- the pod listener's port

// Pods have the pod listener's address in their environment, so a port that the kernel chose is remembered. After a restart, pods that
// still run can then be adopted instead of replaced.
static constexpr const char *listeners_document = "listeners";

static void on_port_stored(void *arg, error err)
{
    target &t = *static_cast<target *>(arg);
    if (err)
        LOG(warn, "role", "error=\"%s\" msg=\"the pod listener's port could not be stored, pods will be replaced after a restart\"",
            error_text(err));
    lifecycle_listens(t.life);
}

static void listen(void *arg)
{
    target &t = *static_cast<target *>(arg);
    uint16_t kept_port = t.kept_pod_port;
    std::string why;
    error err = listen_on(
        t, "public", t.options.listen_host, t.options.listen_port, net_reach::anywhere, on_client_request, &t.public_server, why);
    if (!err && kept_port != 0 &&
        listen_on(t, "pods", pod_listen_host(t), kept_port, net_reach::this_machine, on_pod_request, &t.pod_server, why)) {
        LOG(warn, "role", "port=%u reason=\"%s\" msg=\"the pod listener gets another port than before, pods will be replaced\"",
            static_cast<unsigned>(kept_port), why.c_str());
        kept_port = 0;
    }
    if (!err && kept_port == 0)
        err = listen_on(
            t, "pods", pod_listen_host(t), t.options.pod_listen_port, net_reach::this_machine, on_pod_request, &t.pod_server, why);
    if (err) {
        lifecycle_failed(t.life, err, why);
        return;
    }
    t.url = t.options.advertise_url.empty() ? url_format_base(t.options.listen_host, http_server_port(*t.public_server))
                                            : t.options.advertise_url;
    t.pod_url = t.options.pod_url.empty() ? url_format_base(pod_listen_host(t), http_server_port(*t.pod_server)) : t.options.pod_url;
    t.guard = web_guard_make(t.options, {t.url, t.pod_url});
    t.client = http_client_make(*t.e, {});
    if (t.options.pod_listen_port != 0 || kept_port != 0) {
        lifecycle_listens(t.life);
        return;
    }
    json_ptr tree = json_object();
    json_add_u64(tree.get(), "pod_port", http_server_port(*t.pod_server));
    meta_swap(*t.e, listeners_document, t.listeners_version, t.listeners_version + 1, json_print(tree.get()), on_port_stored, &t);
}

static void on_port_read(void *arg, error err, uint64_t version, const std::string &text)
{
    target &t = *static_cast<target *>(arg);
    json_ptr tree;
    std::string where;
    uint64_t port = 0;
    if (!err && version > 0 && !json_parse(text, tree, where))
        port = json_u64(tree.get(), "pod_port", 0);
    t.kept_pod_port = port <= UINT16_MAX ? static_cast<uint16_t>(port) : 0;
    t.listeners_version = version;
    lifecycle_opened(t.life);
}

// --- opening

static void on_document(target &t, error err, const std::string &detail)
{
    if (err)
        lifecycle_failed(t.life, err, detail);
    else if (t.options.pod_listen_port != 0)
        lifecycle_opened(t.life);
    else
        meta_read(*t.e, listeners_document, on_port_read, &t);
}

static void on_store(void *arg, error err, store *s)
{
    target &t = *static_cast<target *>(arg);
    if (err) {
        lifecycle_failed(t.life, err, "the store in " + t.options.data_dir + " could not be opened: " + error_text(err));
        return;
    }
    t.objects = s;
    target_space_begin(t); // the answer comes before the first request
    target_document_load(t, on_document);
}

static void on_id(void *arg, error err, const node_identity &identity, const std::string &detail)
{
    target &t = *static_cast<target *>(arg);
    if (err) {
        lifecycle_failed(t.life, err, detail);
        return;
    }
    t.id = identity.id;
    t.disk = identity.disk;
    log_set_node(t.id.c_str());
    store_options options;
    options.dir = t.options.data_dir;
    if (t.options.descriptors_max > 0) // the rest is for connections
        options.cached_objects_max = std::min<size_t>(options.cached_objects_max, std::max<size_t>(16, t.options.descriptors_max / 3));
    store_open(*t.e, options, on_store, &t);
}

static void open(void *arg)
{
    target &t = *static_cast<target *>(arg);
    node_id_load(*t.e, t.options, on_id, &t);
}

// --- end

static void drain(void *arg)
{
    target &t = *static_cast<target *>(arg);
    LOG(info, "role", "role=target in_flight=%zu msg=\"draining\"",
        t.public_server != nullptr ? http_server_in_flight(*t.public_server) : 0);
    target_heartbeat_end(t);
    target_space_end(t);
    if (t.public_server != nullptr)
        http_server_drain(*t.public_server);
    target_held_stop(t);
    target_rebalance_stop(t);
    target_stop_shares(t);
    if (t.jobs != nullptr)
        job_host_stop(*t.jobs);
}

static bool is_drained(const void *arg)
{
    const target &t = *static_cast<const target *>(arg);
    return t.public_server == nullptr || http_server_in_flight(*t.public_server) == 0;
}

static void stop_server(http_server *&server)
{
    if (server != nullptr)
        http_server_stop(*server);
    server = nullptr;
}

static void on_children_ended(void *arg) { lifecycle_closed(static_cast<target *>(arg)->life); }

// Pods that read their object may go on with that while the children end.
static void close(void *arg)
{
    target &t = *static_cast<target *>(arg);
    if (!is_drained(arg))
        LOG(warn, "role", "role=target in_flight=%zu msg=\"requests are cut: the time to drain is up\"",
            http_server_in_flight(*t.public_server));
    target_placement_stop(t);
    target_rebalance_cut(t);
    target_cut_peer_calls(t);
    target_end_archives(t);
    target_end_shares(t);
    target_cut_joins(t);
    stop_server(t.public_server);
    target_end_uploads(t);
    if (t.pod_server != nullptr)
        http_server_drain(*t.pod_server);
    if (t.etls != nullptr)
        etl_registry_shut_down(*t.etls, on_children_ended, &t);
    else
        lifecycle_closed(t.life);
}

static void finish(void *arg) { stop_server(static_cast<target *>(arg)->pod_server); }

// It has no time limit: the disk answers, and until then it knows this target.
static bool is_storing(const void *arg)
{
    const target &t = *static_cast<const target *>(arg);
    return t.storing || t.removals > 0 || t.store_calls.count > 0 || (t.jobs != nullptr && job_host_is_active(*t.jobs)) ||
           (t.transfers != nullptr && transfer_host_lookups(*t.transfers) > 0);
}

static bool is_idle(const void *arg)
{
    const target &t = *static_cast<const target *>(arg);
    bool has_transfers = t.transfers != nullptr && transfer_host_in_flight(*t.transfers) > 0;
    return !has_transfers && t.requests.count == 0 && t.held.empty() && !is_storing(arg);
}

static bool has_last_word(const void *arg) { return target_heartbeat_has_last_word(*static_cast<const target *>(arg)); }
static void send_last_word(void *arg) { target_heartbeat_send_last_word(*static_cast<target *>(arg)); }

static void end(void *arg)
{
    target &t = *static_cast<target *>(arg);
    target_heartbeat_end(t);
    if (!is_idle(arg))
        LOG(error, "role", "role=target transfers=%zu requests=%zu msg=\"something did not end\"",
            t.transfers != nullptr ? transfer_host_in_flight(*t.transfers) : 0, t.requests.count + t.held.size());
}

void target_drain(target &t, void (*on_drained)(void *arg), void *arg) { lifecycle_drain(t.life, on_drained, arg); }

// --- start and end, as the lifecycle asks for them

static lifecycle_role as_role(target &t)
{
    return {.name = "target",
        .open = open,
        .listen = listen,
        .join = join,
        .drain = drain,
        .is_drained = is_drained,
        .close = close,
        .finish = finish,
        .is_idle = is_idle,
        .is_storing = is_storing,
        .has_last_word = has_last_word,
        .send_last_word = send_last_word,
        .end = end,
        .arg = &t};
}

void target_note_work_ended(void *arg) { lifecycle_work_ended(static_cast<target *>(arg)->life); }

error target_start(
    env &e, const node_options &options, void (*on_ready)(void *arg, error err, const std::string &detail), void *arg, target **out_target)
{
    node_options good;
    error err = node_options_check(options, good);
    if (err)
        return err;
    target *t = new target;
    t->e = &e;
    t->options = std::move(good);
    t->routes = target_routes();
    t->pod_routes = target_pod_routes();
    t->started_ms = clock_now_ms(e);
    t->started_ns = clock_wall_ns(e);
    t->requests.on_none = t->store_calls.on_none = target_note_work_ended;
    t->requests.arg = t->store_calls.arg = t;
    t->life.sm.id = 1;
    t->life.e = &e;
    t->life.role = as_role(*t);
    *out_target = t;
    lifecycle_begin(t->life, on_ready, arg);
    return no_error;
}

uint16_t target_port(target &t) { return t.public_server != nullptr ? http_server_port(*t.public_server) : 0; }
uint16_t target_pod_port(target &t) { return t.pod_server != nullptr ? http_server_port(*t.pod_server) : 0; }
std::string target_url(target &t) { return t.url; }

void target_free(target *t)
{
    lifecycle_free(t->life);
    target_heartbeat_end(*t);
    target_space_end(*t);
    target_rebalance_free(*t);
    target_end_archives(*t);
    target_end_shares(*t);
    target_end_uploads(*t);
    if (t->public_server != nullptr) // otherwise its start failed
        http_server_stop(*t->public_server);
    if (t->pod_server != nullptr)
        http_server_stop(*t->pod_server);
    if (t->transfers != nullptr)
        transfer_host_free(t->transfers);
    if (t->jobs != nullptr)
        job_host_free(t->jobs);
    if (t->etls != nullptr)
        etl_registry_free(t->etls);
    if (t->client != nullptr)
        http_client_free(t->client);
    if (t->objects != nullptr)
        store_close(t->objects);
    target_space_forget(*t);
    delete t;
}

} // namespace etlnode
