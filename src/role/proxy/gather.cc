// SPDX-License-Identifier: MIT
// role/proxy/gather.cc: asks nodes which cluster document they hold, and reads each document once.
//
// Owns     p.gathering: one broadcast at a time.
// Knows    control, http.        Known by  recover.cc, backup.cc.
// Normal   it asks the given nodes for their state, reads each document that it has not seen, and asks the targets that these name; until
//          there is nobody left to ask.
// Fails    never as a whole: a node that does not answer is one of the failures.
// Limits   gather_url_count_max, etl_status_timeout_ms for a state, intra_call_timeout_ms for a document.
#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "codec/json.h"
#include "control/peer.h"
#include "node/api.h"
#include "role/proxy/proxy.h"

namespace etlnode {

static void ask_states(document_gather &g);

static void finish(document_gather &g)
{
    g.p->gathering = nullptr;
    g.on_done(g.arg, g);
    delete &g;
}

static void ask(document_gather &g, const std::vector<broadcast_peer> &peers, std::string_view path, uint64_t deadline_ms,
    void (*on_answers)(void *arg, std::vector<broadcast_answer> answers))
{
    broadcast_request request;
    request.target = path;
    request.headers = peer_headers(g.p->options.cluster_secret, {});
    request.deadline_ms = deadline_ms;
    g.calls = broadcast_start(*g.p->e, *g.p->client, peers, request, on_answers, &g);
}

static void note_failure(document_gather &g, const broadcast_answer &answer)
{
    error_code code = error_code::ok;
    std::string text = broadcast_failure_text(answer, &code);
    g.failures.push_back(text.starts_with("target ") ? text.substr(7) : text); // whatever is there: it is known by its URL only
}

static document_copy *find_copy(document_gather &g, const document_identity &identity)
{
    auto found = std::find_if(
        g.copies.begin(), g.copies.end(), [&](const document_copy &copy) { return document_identify(copy.document) == identity; });
    return found != g.copies.end() ? &*found : nullptr;
}

static void want(document_gather &g, const std::string &url)
{
    auto has = [&](const std::vector<std::string> &urls) { return std::find(urls.begin(), urls.end(), url) != urls.end(); };
    if (!has(g.waiting) && !has(g.asked) && g.asked.size() + g.waiting.size() < gather_url_count_max)
        g.waiting.push_back(url);
}

// --- documents

static void take_document(document_gather &g, const gathered_node &node, const broadcast_answer &answer)
{
    document_copy copy;
    error err = broadcast_succeeded(answer) ? document_parse(answer.body, copy.document) : no_error;
    if (!broadcast_succeeded(answer)) {
        note_failure(g, answer);
        return;
    }
    if (err) {
        g.failures.push_back(node.url + ": its cluster document cannot be read: " + error_text(err));
        return;
    }
    for (const cluster_node &named : copy.document.nodes) {
        if (named.is_target)
            want(g, named.url);
    }
    if (find_copy(g, document_identify(copy.document)) == nullptr)
        g.copies.push_back(std::move(copy));
}

// A node whose document was read, from itself or from another one, holds it.
static void add_holders(document_gather &g, const std::vector<gathered_node> &nodes)
{
    for (const gathered_node &node : nodes) {
        document_copy *copy = find_copy(g, node.stored);
        if (copy == nullptr) {
            g.failures.push_back(node.url + ": its cluster document changed meanwhile, or could not be read");
            continue;
        }
        if (std::find(copy->holders.begin(), copy->holders.end(), node.id) == copy->holders.end()) {
            copy->holders.push_back(node.id);
            g.nodes.push_back(node);
        }
    }
}

static void on_documents(void *arg, std::vector<broadcast_answer> answers)
{
    document_gather &g = *static_cast<document_gather *>(arg);
    g.calls = nullptr;
    for (const broadcast_answer &answer : answers) {
        auto node = std::find_if(g.fetching.begin(), g.fetching.end(), [&](const gathered_node &one) { return one.url == answer.id; });
        take_document(g, *node, answer);
    }
    add_holders(g, g.fetching);
    g.fetching.clear();
    ask_states(g);
}

// --- states

static bool read_state(document_gather &g, const broadcast_answer &answer, gathered_node &out_node)
{
    if (!broadcast_succeeded(answer)) {
        note_failure(g, answer);
        return false;
    }
    json_ptr tree;
    std::string where;
    bool is_read = !json_parse(answer.body, tree, where) &&
                   document_identity_parse(json_text(tree.get(), "stored_document"), out_node.stored);
    out_node.id = json_text(tree.get(), "id");
    out_node.cluster = json_text(tree.get(), "cluster");
    out_node.url = answer.id;
    out_node.objects = json_u64(tree.get(), "object_count", 0);
    if (!is_read || out_node.id.empty())
        g.failures.push_back(answer.id + ": it does not say which cluster document it holds: its version is too old, or it is no target");
    else if (out_node.stored.version == 0)
        g.failures.push_back(answer.id + ": target " + out_node.id + " holds no cluster document");
    else if (!g.cluster.empty() && out_node.cluster != g.cluster)
        g.failures.push_back(answer.id + ": target " + out_node.id + " belongs to cluster " + text_escape(out_node.cluster) +
                             ", this is about cluster " + text_escape(g.cluster) +
                             ". To take over the other one, start a proxy with an empty data directory");
    else
        return true;
    return false;
}

static void on_states(void *arg, std::vector<broadcast_answer> answers)
{
    document_gather &g = *static_cast<document_gather *>(arg);
    g.calls = nullptr;
    std::vector<broadcast_peer> peers;
    std::vector<document_identity> fetched;
    for (const broadcast_answer &answer : answers) {
        gathered_node node;
        if (!read_state(g, answer, node))
            continue;
        if (find_copy(g, node.stored) == nullptr && std::find(fetched.begin(), fetched.end(), node.stored) == fetched.end()) {
            fetched.push_back(node.stored);
            peers.push_back({node.url, node.url});
        }
        g.fetching.push_back(std::move(node));
    }
    ask(g, peers, path_node_document, intra_call_timeout_ms, on_documents);
}

static void ask_states(document_gather &g)
{
    std::vector<broadcast_peer> peers;
    for (const std::string &url : g.waiting)
        peers.push_back({url, url});
    g.asked.insert(g.asked.end(), g.waiting.begin(), g.waiting.end());
    g.waiting.clear();
    if (peers.empty())
        finish(g);
    else
        ask(g, peers, path_node_status, etl_status_timeout_ms, on_states);
}

bool proxy_gather_begin(
    proxy &p, std::vector<std::string> urls, std::string cluster, void (*on_done)(void *arg, document_gather &g), void *arg)
{
    if (p.gathering != nullptr || lifecycle_is_closing(p.life) || urls.empty())
        return false;
    p.gathering = new document_gather;
    document_gather &g = *p.gathering;
    g.p = &p;
    g.cluster = std::move(cluster);
    g.on_done = on_done;
    g.arg = arg;
    for (const std::string &url : urls)
        want(g, url);
    ask_states(g);
    return true;
}

void proxy_gather_stop(proxy &p)
{
    if (p.gathering == nullptr)
        return;
    broadcast_cancel(*p.gathering->calls);
    p.gathering->is_stopped = true;
    finish(*p.gathering);
}

} // namespace etlnode
