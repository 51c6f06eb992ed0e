// SPDX-License-Identifier: MIT
// role/proxy/document.cc: the proxy's ownership of the cluster document: loads it, and ends starts that the proxy's end interrupted.
//
// Knows    control.        Known by  proxy.cc.
// Normal   it reads the document, adds this proxy, and publishes every change.
// Fails    if the document cannot be read or stored, the proxy does not start.
#include "role/proxy/proxy.h"

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

static error apply_start(void *arg, cluster_document &next)
{
    proxy &p = *static_cast<proxy_load *>(arg)->p;
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
    return no_error;
}

static void on_started(void *arg, error err)
{
    proxy_load *load = static_cast<proxy_load *>(arg);
    load->p->loaded_version = proxy_document(*load->p).version;
    finish_load(load, err, err ? std::string("the cluster document could not be stored: ") + error_text(err) : std::string());
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
    bool is_needed = version == 0;
    if (version == 0) {
        static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        document.uuid = rng_text(p.e->random, alphabet, sizeof alphabet - 1, 12);
        document.created = times_utc_text(clock_wall_ns(*p.e), false);
        LOG(info, "cluster", "cluster=%s msg=\"a new cluster\"", document.uuid.c_str());
    } else {
        const cluster_node *self = document_find_node(document, p.id);
        is_needed = self == nullptr || self->url != p.url;
        for (const cluster_etl &etl : document.etls)
            is_needed = is_needed || etl.stage == etl_stage::initializing || document_is_to_shed_spec(etl);
    }
    p.documents.current = std::move(document);
    p.documents.text = text;
    if (!is_needed) {
        p.loaded_version = version;
        proxy_push(p);
        finish_load(load, no_error, {});
        return;
    }
    document_queue_add(p.documents, {.apply = apply_start, .on_done = on_started, .arg = load});
}

static void on_stored(void *arg) { proxy_push(*static_cast<proxy *>(arg)); }

void proxy_document_load(proxy &p, void (*on_loaded)(proxy &p, error err, const std::string &detail))
{
    p.documents.e = p.e;
    p.documents.on_stored = on_stored;
    p.documents.on_idle = proxy_note_work_ended;
    p.documents.arg = &p;
    proxy_targets_begin(p);
    meta_read(*p.e, p.documents.name, on_read, new proxy_load{&p, on_loaded});
}

} // namespace etlnode
