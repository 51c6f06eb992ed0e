// SPDX-License-Identifier: MIT
// role/proxy/recover.cc: the proxy's document is lost, older than that of its targets, or of another line: it takes theirs.
//
// Knows    gather.cc, control/recovery.        Known by  document.cc, register.cc, targets.cc.
// Normal   an older document is replaced without being asked, as soon as every target of the newer one was heard. A lost one, or a diverged
//          one, is replaced when an operator has seen what would be taken (POST /v1/cluster/recover, first without `confirm`).
// Fails    until then nothing is changed and nobody is redirected. The answers say which node is missing, or how documents differ.
// Limits   recovery_url_count_max, stray_count_max.
#include <algorithm>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json_fields.h"
#include "codec/url.h"
#include "control/peer.h"
#include "role/proxy/request.h"

namespace etlnode {

static std::vector<std::string> target_urls(const proxy &p)
{
    std::vector<std::string> urls;
    for (const broadcast_peer &peer : proxy_target_peers(p))
        urls.push_back(peer.url);
    return urls;
}

// The document that this proxy has itself, as one of the copies.
static void add_own_copy(const proxy &p, std::vector<document_copy> &copies)
{
    const cluster_document &own = proxy_document(p);
    for (document_copy &copy : copies) {
        if (document_identify(copy.document) == document_identify(own)) {
            copy.holders.push_back(p.id);
            return;
        }
    }
    copies.push_back({.document = own, .holders = {p.id}});
}

void proxy_document_replaced(proxy &p)
{
    p.loaded_version = proxy_document(p).version;
    p.bucket_versions.clear();
    p.strangers.clear();
    p.ahead.clear();
    p.adoption.clear();
    p.strays.clear();
    proxy_targets_forget(p);
    proxy_push(p);
}

// --- the proxy is behind

struct adoption {
    proxy *p = nullptr;
    document_identity before; // the document that is replaced
    cluster_document made;
    std::string holders;
};

static error apply_adoption(void *arg, cluster_document &next)
{
    const adoption &a = *static_cast<adoption *>(arg);
    if (!(document_identify(next) == a.before))
        return make_error(error_code::conflict, "the document was changed meanwhile");
    next = a.made;
    proxy_document_take_over(*a.p, next);
    return no_error;
}

static void on_adopted(void *arg, error err)
{
    adoption a = std::move(*static_cast<adoption *>(arg));
    delete static_cast<adoption *>(arg);
    proxy &p = *a.p;
    if (err) {
        p.adoption = std::string("the newer document could not be stored: ") + error_text(err);
        return; // the next registration tries again
    }
    LOG(warn, "cluster",
        "version=%llu former=%llu holders=\"%s\" msg=\"the proxy's document was older: it took the newest of its targets\"",
        static_cast<unsigned long long>(proxy_document(p).version), static_cast<unsigned long long>(a.before.version),
        text_escape(a.holders).c_str());
    proxy_document_replaced(p);
}

static std::string list_text(const std::vector<std::string> &words)
{
    std::string text;
    for (const std::string &word : words)
        text += (text.empty() ? "" : ", ") + word;
    return text;
}

// The nodes that seemed ahead have a line of their own, and this proxy's document is as good as theirs.
static void note_strays(proxy &p, const std::vector<document_copy> &copies, const recovery_choice &choice)
{
    for (size_t tip : choice.tips) {
        document_identity identity = document_identify(copies[tip].document);
        if (identity == document_identify(proxy_document(p)))
            continue;
        if (p.strays.size() >= stray_count_max)
            p.strays.erase(p.strays.begin());
        p.strays.push_back(identity);
        for (const std::string &id : copies[tip].holders) {
            p.ahead.erase(id);
            if (document_find_node(proxy_document(p), id) != nullptr)
                proxy_note_odds(proxy_target_of(p, id), choice.problem + ": etlctl cluster recover");
        }
    }
}

static void on_gathered(void *arg, document_gather &g)
{
    proxy &p = *static_cast<proxy *>(arg);
    if (g.is_stopped || p.ahead.empty())
        return;
    add_own_copy(p, g.copies);
    recovery_choice choice = recovery_choose(g.copies, {});
    document_identity own = document_identify(proxy_document(p));
    if (choice.chosen == SIZE_MAX) {
        bool is_own_a_tip = std::any_of(
            choice.tips.begin(), choice.tips.end(), [&](size_t tip) { return document_identify(g.copies[tip].document) == own; });
        if (is_own_a_tip)
            note_strays(p, g.copies, choice);
        else
            p.adoption = choice.problem + ": etlctl cluster recover";
        return;
    }
    const document_copy &chosen = g.copies[choice.chosen];
    if (document_identify(chosen.document) == own) { // who seemed ahead is not any more, or does not answer
        p.adoption = g.failures.empty() ? std::string() : "it could not be read: " + list_text(g.failures);
        return;
    }
    if (!choice.missing.empty()) {
        p.adoption = "not heard yet: " + list_text(choice.missing) + ". If it does not come back: etlctl cluster recover --without " +
                     choice.missing.front();
        return;
    }
    document_queue_add(p.documents,
        {.apply = apply_adoption,
            .on_done = on_adopted,
            .arg = new adoption{&p, own, recovery_continue(g.copies, choice.chosen, rng_next(p.e->random), recovery_kind::adopted),
                list_text(chosen.holders)},
            .is_recovery = true});
}

void proxy_adopt(proxy &p)
{
    if (p.ahead.empty() || !document_queue_is_idle(p.documents))
        return;
    std::vector<std::string> urls = target_urls(p);
    for (const auto &[id, ahead] : p.ahead)
        urls.push_back(ahead.url);
    proxy_gather_begin(p, std::move(urls), proxy_document(p).uuid, on_gathered, &p);
}

void proxy_note_ahead(proxy &p, const std::string &id, const std::string &url, const std::string &text)
{
    if (p.ahead.find(id) == p.ahead.end() && p.ahead.size() >= stranger_count_max)
        return;
    if (p.ahead.empty())
        LOG(error, "cluster",
            "target=%s reason=\"%s\" msg=\"the proxy is behind: it changes and redirects nothing until it has caught up\"", id.c_str(),
            text_escape(text).c_str());
    p.ahead[id] = {.url = url, .text = text};
    proxy_adopt(p);
}

void proxy_note_not_ahead(proxy &p, const std::string &id)
{
    p.ahead.erase(id);
    if (p.ahead.empty())
        p.adoption.clear();
}

std::string proxy_behind_text(const proxy &p)
{
    if (p.ahead.empty())
        return {};
    return p.ahead.begin()->second.text + (p.adoption.empty() ? std::string() : "; " + p.adoption);
}

// --- POST /v1/cluster/recover

struct recover_request : proxy_request {
    std::vector<std::string> urls, without;
    std::string take, confirm; // the identity of the document that the operator was shown; empty: he was not yet
    std::vector<document_copy> copies;
    recovery_choice choice;
    document_identity before;
    cluster_document made;
};

static json_ptr copy_json(const proxy &p, const document_copy &copy)
{
    const cluster_document &document = copy.document;
    json_ptr row = json_object();
    cJSON *holders = json_add_array(row.get(), "holders");
    for (const std::string &id : copy.holders)
        json_append_text(holders, id);
    document_identity identity = document_identify(document);
    json_add_u64(row.get(), "version", identity.version);
    json_add_u64(row.get(), "term", identity.term);
    json_add_text(row.get(), "text", document_identity_text(identity));
    if (document.changed_ns != 0) {
        uint64_t now = clock_wall_ns(*p.e);
        json_add_u64(row.get(), "age_seconds", now > document.changed_ns ? (now - document.changed_ns) / 1'000'000'000 : 0);
    }
    size_t targets = 0, running = 0;
    for (const cluster_node &node : document.nodes)
        targets += node.is_target ? 1 : 0;
    for (const cluster_etl &etl : document.etls)
        running += etl.stage == etl_stage::running ? 1 : 0;
    json_add_u64(row.get(), "buckets", document.buckets.size());
    json_add_u64(row.get(), "etls", document.etls.size());
    json_add_u64(row.get(), "running", running);
    json_add_u64(row.get(), "targets", targets);
    json_add_bool(row.get(), "own", std::find(copy.holders.begin(), copy.holders.end(), p.id) != copy.holders.end());
    return row;
}

static void add_texts(cJSON *tree, const char *key, const std::vector<std::string> &texts)
{
    cJSON *list = json_add_array(tree, key);
    for (const std::string &text : texts)
        json_append_text(list, text);
}

static bool is_in_order(const recover_request &r)
{
    return r.choice.chosen != SIZE_MAX && r.choice.tips.size() == 1 && r.p->ahead.empty() &&
           document_identify(r.copies[r.choice.chosen].document) == r.before;
}

// What would happen, for the operator to confirm.
static json_ptr plan_json(const recover_request &r, const document_gather &g)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "cluster", r.copies.empty() ? std::string() : r.copies[0].document.uuid);
    json_add_text(tree.get(), "problem", r.choice.problem);
    cJSON *documents = json_add_array(tree.get(), "documents");
    size_t compared = r.choice.chosen != SIZE_MAX ? r.choice.chosen : r.choice.tips.empty() ? SIZE_MAX : r.choice.tips[0];
    for (size_t i = 0; i < r.copies.size(); i++) {
        json_ptr row = copy_json(*r.p, r.copies[i]);
        json_add_bool(row.get(), "chosen", i == r.choice.chosen);
        bool is_tip = std::find(r.choice.tips.begin(), r.choice.tips.end(), i) != r.choice.tips.end();
        if (is_tip && compared != SIZE_MAX && i != compared)
            add_texts(row.get(), "differences", recovery_differences(r.copies[i].document, r.copies[compared].document));
        json_append(documents, std::move(row));
    }
    if (r.choice.chosen != SIZE_MAX) {
        const cluster_document &chosen = r.copies[r.choice.chosen].document;
        std::vector<std::string> aborted;
        for (const cluster_etl &etl : chosen.etls) {
            if (etl.stage == etl_stage::initializing)
                aborted.push_back(etl.id);
        }
        json_add_text(tree.get(), "confirm", document_identity_print(document_identify(chosen)));
        json_add_bool(tree.get(), "in_order", is_in_order(r));
        add_texts(tree.get(), "aborted", aborted);
    }
    add_texts(tree.get(), "missing", r.choice.missing);
    add_texts(tree.get(), "failures", g.failures);
    return tree;
}

static error apply_recovery(recover_request &r, cluster_document &next)
{
    if (!(document_identify(next) == r.before))
        return make_error(error_code::conflict, "the proxy's own document was changed meanwhile");
    next = r.made;
    proxy_document_take_over(*r.p, next);
    return no_error;
}

static void on_recovery_pushed(void *arg)
{
    recover_request &r = *static_cast<recover_request *>(arg);
    json_ptr tree = json_object();
    json_add_text(tree.get(), "cluster", proxy_document(*r.p).uuid);
    json_add_u64(tree.get(), "version", proxy_document(*r.p).version);
    std::vector<std::string> silent;
    for (const broadcast_peer &peer : proxy_target_peers(*r.p)) {
        if (proxy_target_is_silent(*r.p, peer.id))
            silent.push_back(peer.id);
    }
    add_texts(tree.get(), "silent", silent);
    proxy_request_answer_json(r, tree.get());
}

static void on_recovered(recover_request &r, error err)
{
    if (err) {
        proxy_request_fail(r, err.code, error_text(err));
        return;
    }
    proxy &p = *r.p;
    LOG(warn, "cluster", "cluster=%s version=%llu former=%llu holders=\"%s\" msg=\"an operator has put this document in place\"",
        proxy_document(p).uuid.c_str(), static_cast<unsigned long long>(proxy_document(p).version),
        static_cast<unsigned long long>(r.before.version), text_escape(list_text(r.copies[r.choice.chosen].holders)).c_str());
    proxy_document_replaced(p);
    proxy_wait_pushed(p, on_recovery_pushed, &r);
}

// Why the confirmed recovery cannot be made; empty: it can.
static std::string refusal_of(const recover_request &r, error_code &out_code)
{
    out_code = error_code::conflict;
    if (r.choice.chosen == SIZE_MAX) {
        out_code = error_code::diverged;
        return r.choice.problem;
    }
    const cluster_document &chosen = r.copies[r.choice.chosen].document;
    if (document_identity_print(document_identify(chosen)) != r.confirm)
        return "the nodes hold another document than the one that was shown: look again";
    if (!r.choice.missing.empty())
        return "not heard: " + list_text(r.choice.missing) + ". Start it, or go on without it: --without " + r.choice.missing.front();
    if (is_in_order(r))
        return "there is nothing to recover: no node holds a newer document than the proxy";
    if (!r.p->starts.empty())
        return "an ETL is being started: try again when that has ended";
    return {};
}

// Who said that it holds a newer document, and does not answer now, is missing, even if no document that was found names it.
static void add_silent_ahead(recover_request &r)
{
    for (const auto &[id, ahead] : r.p->ahead) {
        auto holds = [&name = id](const document_copy &copy) {
            return std::find(copy.holders.begin(), copy.holders.end(), name) != copy.holders.end();
        };
        bool is_known = std::find(r.choice.missing.begin(), r.choice.missing.end(), id) != r.choice.missing.end();
        if (r.choice.chosen != SIZE_MAX && !is_known && std::none_of(r.copies.begin(), r.copies.end(), holds))
            r.choice.missing.push_back(id);
    }
}

static void on_copies(void *arg, document_gather &g)
{
    recover_request &r = *static_cast<recover_request *>(arg);
    if (g.is_stopped) {
        proxy_request_fail(r, error_code::stopping, error_code_text(error_code::stopping));
        return;
    }
    proxy &p = *r.p;
    r.copies = std::move(g.copies);
    r.before = document_identify(proxy_document(p));
    bool is_same = std::any_of(
        r.copies.begin(), r.copies.end(), [&](const document_copy &copy) { return copy.document.uuid == proxy_document(p).uuid; });
    if (is_same || !proxy_target_peers(p).empty())
        add_own_copy(p, r.copies);
    r.choice = recovery_choose(r.copies, r.take);
    add_silent_ahead(r);
    std::erase_if(
        r.choice.missing, [&](const std::string &id) { return std::find(r.without.begin(), r.without.end(), id) != r.without.end(); });
    if (r.confirm.empty()) {
        json_ptr plan = plan_json(r, g);
        proxy_request_answer_json(r, plan.get());
        return;
    }
    error_code code = error_code::conflict;
    if (std::string why = refusal_of(r, code); !why.empty()) {
        proxy_request_fail(r, code, why);
        return;
    }
    r.made = recovery_continue(r.copies, r.choice.chosen, rng_next(p.e->random), recovery_kind::recovered);
    r.is_recovery = true;
    proxy_request_change<apply_recovery, on_recovered>(r, false);
}

// Texts of an array; false: it is something else, or too long.
static bool read_texts(const cJSON *tree, const char *key, std::vector<std::string> &out_texts)
{
    const cJSON *list = json_get(tree, key);
    if (list == nullptr)
        return true;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > static_cast<int>(recovery_url_count_max))
        return false;
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            return false;
        out_texts.emplace_back(item->valuestring);
    }
    return true;
}

static void on_body(recover_request &r, std::string body)
{
    proxy &p = *r.p;
    json_ptr tree;
    std::string where;
    if (json_parse(body, tree, where) || !read_texts(tree.get(), "from", r.urls) || !read_texts(tree.get(), "without", r.without)) {
        proxy_request_fail(r, error_code::bad_json,
            "the body must be {\"from\":[URL...],\"take\":ID,\"without\":[ID...],\"confirm\":TEXT}: " +
                (where.empty() ? std::string("from and without are lists of texts") : where));
        return;
    }
    static constexpr json_field fields[] = {{"take", json_field_kind::text}, {"confirm", json_field_kind::text}};
    if (std::string misfit = json_fields_misfit(tree.get(), {}, fields); !misfit.empty()) {
        proxy_request_fail(r, error_code::bad_request, misfit);
        return;
    }
    r.take = json_text(tree.get(), "take");
    r.confirm = json_text(tree.get(), "confirm");
    for (std::string &url : r.urls) {
        url_base base;
        if (!url_parse_base(url, base)) {
            proxy_request_fail(r, error_code::bad_request, "from: \"" + text_escape(url) + "\" is not of the form http://host:port");
            return;
        }
        url = url_format_base(base.host, base.port) + base.path;
    }
    if (r.urls.empty()) { // whoever has shown the cluster's secret
        for (const auto &[id, stranger] : p.strangers)
            r.urls.push_back(stranger.url);
        for (const auto &[id, ahead] : p.ahead)
            r.urls.push_back(ahead.url);
    }
    std::vector<std::string> own = target_urls(p);
    r.urls.insert(r.urls.end(), own.begin(), own.end());
    if (r.urls.empty()) {
        proxy_request_fail(
            r, error_code::bad_request, "no target has tried to register here: name one of the cluster that is lost: --from URL");
        return;
    }
    // A proxy whose cluster has targets goes on with that cluster.
    if (!proxy_gather_begin(p, r.urls, own.empty() ? std::string() : proxy_document(p).uuid, on_copies, &r))
        proxy_request_fail(r, error_code::conflict, "the nodes are being asked for their documents already: try again in a moment");
}

static void serve_recover(proxy &p, exchange &x, const route_match &)
{
    if (peer_admit(p.options.cluster_secret, x))
        proxy_request_read<on_body>(proxy_request_make<recover_request>(p, x), json_body_size_max);
}

// --- --recover-from

static void on_start_copies(void *arg, document_gather &g)
{
    proxy &p = *static_cast<proxy *>(arg);
    auto on_done = p.on_recovered;
    if (g.is_stopped) {
        on_done(p, make_error(error_code::stopping), {});
        return;
    }
    recovery_choice choice = recovery_choose(g.copies, {});
    std::string why = choice.problem;
    if (why.empty() && !choice.missing.empty())
        why = "not heard: " + list_text(choice.missing);
    if (!why.empty()) {
        on_done(p, make_error(error_code::conflict),
            "the cluster document cannot be recovered: " + why + (g.failures.empty() ? std::string() : " (" + list_text(g.failures) + ")") +
                ". Start the proxy without --recover-from, and choose: etlctl cluster recover");
        return;
    }
    adoption *a = new adoption{&p, {}, recovery_continue(g.copies, choice.chosen, rng_next(p.e->random), recovery_kind::recovered),
        list_text(g.copies[choice.chosen].holders)};
    document_queue_add(p.documents,
        {.apply = apply_adoption,
            .on_done =
                [](void *done_arg, error err) {
                    adoption *done = static_cast<adoption *>(done_arg);
                    proxy &started = *done->p;
                    if (!err) {
                        LOG(warn, "cluster", "cluster=%s version=%llu holders=\"%s\" msg=\"the cluster document was recovered\"",
                            proxy_document(started).uuid.c_str(), static_cast<unsigned long long>(proxy_document(started).version),
                            text_escape(done->holders).c_str());
                        proxy_document_replaced(started);
                    }
                    delete done;
                    started.on_recovered(started, err,
                        err ? std::string("the recovered cluster document could not be stored: ") + error_text(err) : std::string());
                },
            .arg = a,
            .is_recovery = true});
}

void proxy_recover_at_start(proxy &p, void (*on_done)(proxy &p, error err, const std::string &detail))
{
    p.on_recovered = on_done;
    if (!proxy_gather_begin(p, p.options.recover_from, {}, on_start_copies, &p))
        on_done(p, make_error(error_code::stopping), {});
}

// --- routes

static constexpr route rows[] = {
    ROUTE("POST", "/v1/cluster/recover", serve_recover,
        "takes the cluster document from the nodes `from`; without `confirm` it only shows what would be taken"),
};
extern constinit const std::span<const route> proxy_recover_routes = rows;

} // namespace etlnode
