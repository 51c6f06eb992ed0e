// SPDX-License-Identifier: MIT
// role/proxy/document.cc: the proxy's ownership of the cluster document: loads it, and ends starts that the proxy's end interrupted.
//
// Knows    control.        Known by  proxy.cc.
// Normal   it reads the document, adds this proxy, and publishes every change.
// Fails    if the document cannot be read or stored, the proxy does not start.
#include "role/proxy/jobs.h"

#include "aistore/times.h"
#include "base/log.h"
#include "base/text.h"
#include "control/placement.h"
#include "port/meta.h"

namespace etlnode {

// --- loading

struct proxy_load {
    proxy *p;
    void (*on_loaded)(proxy &p, error err, const std::string &detail);
};

static void finish_load(proxy_load *load, error err, const std::string &detail)
{
    proxy &p = *load->p;
    auto on_loaded = load->on_loaded;
    delete load;
    on_loaded(p, err, detail);
}

static bool was_named_by_user(const cluster_etl &etl) { return etl.id == etl.name; }

// A start that was in progress when the proxy ended has lost its caller. If the user named the ETL, it stays visible as aborted. Ids that
// nobody has received yet are forgotten.
static bool abort_unfinished(cluster_document &document)
{
    bool changed = false;
    for (size_t i = document.etls.size(); i-- > 0;) {
        cluster_etl &etl = document.etls[i];
        if (etl.stage != etl_stage::initializing)
            continue;
        changed = true;
        LOG(warn, "etl", "etl=%s msg=\"aborted: the proxy restarted while it was initializing\"", text_escape(etl.id).c_str());
        if (was_named_by_user(etl)) {
            etl.stage = etl_stage::aborted;
            etl.last_error = "the proxy restarted while the ETL was initializing";
        } else {
            document.etls.erase(document.etls.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    for (cluster_etl &etl : document.etls) // also those of a version that kept them
        changed = document_shed_spec(etl) || changed;
    return changed;
}

void proxy_document_take_over(proxy &p, cluster_document &next)
{
    abort_unfinished(next);
    for (size_t i = next.nodes.size(); i-- > 0;) {
        if (!next.nodes[i].is_target && next.nodes[i].id != p.id)
            next.nodes.erase(next.nodes.begin() + static_cast<std::ptrdiff_t>(i)); // one proxy per cluster
    }
    cluster_node self;
    self.id = p.id;
    self.url = p.url;
    self.digest = placement_digest(p.id);
    document_put_node(next, std::move(self));
    p.is_start_due = false;
}

static error apply_start(void *arg, cluster_document &next)
{
    proxy &p = *static_cast<proxy_load *>(arg)->p;
    proxy_document_take_over(p, next);
    placement_begin(next);
    return no_error;
}

static void on_started(void *arg, error err)
{
    proxy_load *load = static_cast<proxy_load *>(arg);
    load->p->is_start_due = static_cast<bool>(err);
    load->p->loaded_version = proxy_document(*load->p).version;
    finish_load(load, err, err ? std::string("the cluster document could not be stored: ") + error_text(err) : std::string());
}

static void begin(proxy_load *load) { document_queue_add(load->p->documents, {.apply = apply_start, .on_done = on_started, .arg = load}); }

void proxy_document_begin(proxy &p, void (*on_begun)(proxy &p, error err, const std::string &detail))
{
    proxy_load *load = new proxy_load{&p, on_begun};
    p.is_start_held = false;
    if (p.is_start_due)
        begin(load);
    else
        finish_load(load, no_error, {});
}

static void on_recovered(proxy &p, error err, const std::string &detail)
{
    proxy_load *load = p.recovering;
    p.recovering = nullptr;
    finish_load(load, err, detail);
}

static void on_read(void *arg, error err, uint64_t version, const std::string &text)
{
    proxy_load *load = static_cast<proxy_load *>(arg);
    proxy &p = *load->p;
    cluster_document document;
    if (!err && version > 0)
        err = document_parse(text, document);
    if (err) {
        finish_load(load, err, std::string("the cluster document in the data directory could not be read: ") + error_text(err));
        return;
    }
    if (version == 0 && !p.options.recover_from.empty()) {
        p.recovering = load;
        proxy_recover_at_start(p, on_recovered);
        return;
    }
    if (version == 0) {
        static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        document.uuid = rng_text(p.e->random, alphabet, sizeof alphabet - 1, 12);
        document.created = times_utc_text(clock_wall_ns(*p.e), false);
        LOG(info, "cluster", "cluster=%s msg=\"a new cluster\"", document.uuid.c_str());
    } else {
        if (!p.options.recover_from.empty())
            LOG(info, "cluster", "msg=\"--recover-from has no effect: the data directory holds a cluster document\"");
        const cluster_node *self = document_find_node(document, p.id);
        p.is_start_due = self == nullptr || self->url != p.url || document.placement.epoch == 0;
        for (const cluster_etl &etl : document.etls)
            p.is_start_due = p.is_start_due || etl.stage == etl_stage::initializing || document_is_to_shed_spec(etl);
    }
    p.documents.current = std::move(document);
    p.documents.text = text;
    if (version == 0) {
        begin(load);
        return;
    }
    // The document may be an old one. So nothing is changed before the targets have been asked (on_targets_asked).
    p.is_start_held = true;
    p.loaded_version = version;
    proxy_push(p);
    finish_load(load, no_error, {});
}

static error may_change(void *arg)
{
    const proxy &p = *static_cast<const proxy *>(arg);
    if (p.is_start_held)
        return make_error(error_code::not_ready, "the proxy is starting");
    return p.ahead.empty() ? no_error : make_error(error_code::diverged, "the proxy's document is older than that of its targets");
}

static void on_stored(void *arg)
{
    proxy &p = *static_cast<proxy *>(arg);
    proxy_push(p);
    proxy_jobs_settle(p); // a target that was taken out is not waited for any more
}

void proxy_document_load(proxy &p, void (*on_loaded)(proxy &p, error err, const std::string &detail))
{
    p.documents.e = p.e;
    p.documents.on_stored = on_stored;
    p.documents.on_idle = proxy_note_work_ended;
    p.documents.may_change = may_change;
    p.documents.amend = proxy_jobs_follow_placement;
    p.documents.arg = &p;
    proxy_targets_begin(p);
    meta_read(*p.e, p.documents.name, on_read, new proxy_load{&p, on_loaded});
}

} // namespace etlnode
