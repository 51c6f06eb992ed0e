// SPDX-License-Identifier: MIT
// role/proxy_cluster.cc: changes of the cluster's membership that a person asks for: a target that will not come back is taken out.
//
// Knows    cluster, http.          Known by  proxy.cc (routes).
#include "base/log.h"
#include "base/text.h"
#include "codec/json.h"
#include "role/control.h"
#include "role/proxy.h"

static error apply_removal(void *arg, cluster_document &next)
{
    proxy_request &r = *static_cast<proxy_request *>(arg);
    return document_remove_node(next, r.target) ? no_error : make_error(error_code::not_found);
}

static void fail_unknown(proxy_request &r)
{
    std::vector<std::string_view> names;
    for (const cluster_node &node : proxy_document(*r.p).nodes) {
        if (node.is_target)
            names.push_back(node.id);
    }
    proxy_request_fail(r, error_code::not_found, "there is no target \"" + text_escape(r.target) + "\"" + control_hint(r.target, names));
}

static void on_removed(proxy_request &r, error err)
{
    if (err.code == error_code::not_found) {
        fail_unknown(r);
        return;
    }
    if (err) {
        proxy_request_fail(r, err.code, error_text(err));
        return;
    }
    LOG(warn, "cluster", "target=%s msg=\"removed from the cluster: what only it held is gone\"", r.target.c_str());
    proxy_request_answer(r, {});
}

static void on_body(proxy_request &r, std::string body)
{
    json_ptr tree;
    std::string action;
    if (!proxy_request_read_action(r, body, tree, action))
        return;
    if (action != "decommission-node") {
        proxy_request_fail(r, error_code::not_implemented, "action \"" + text_escape(action) + "\" is not implemented; there is: decommission-node");
        return;
    }
    r.target = json_text(json_get(tree.get(), "value"), "sid");
    const cluster_node *node = document_find_node(proxy_document(*r.p), r.target);
    if (node == nullptr || !node->is_target) {
        fail_unknown(r);
        return;
    }
    // Its objects would vanish from under their readers, and it would register again a moment later.
    if (!proxy_target_is_silent(*r.p, r.target)) {
        proxy_request_fail(r, error_code::conflict, "target " + r.target + " is alive: stop it first");
        return;
    }
    proxy_request_change(r, apply_removal, true, on_removed);
}

void proxy_serve_cluster_change(proxy &p, exchange &x, const route_match &) { proxy_request_read(proxy_request_make(p, x), json_body_size_max, on_body); }
