// SPDX-License-Identifier: MIT
// role/target/promote_jobs.cc: the target's share of jobs that make objects of files, and what it says of a path before that.
//
// Owns     the files and folders that are still to be looked at.
// Knows    job/promote_order, promote_items.cc, port/folder.h.        Known by  shares.cc.
// Normal   one folder after the other is read; its files become objects. If all targets see the same files, each takes those it owns.
// Fails    a path that the operator has not allowed; each file for itself.
// Limits   promote_items_max; folder_count_max entries of a folder.
#include <algorithm>
#include <deque>
#include <memory>

#include <xxhash.h>

#include "base/limits.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"
#include "job/promote_order.h"
#include "role/target/moves.h"
#include "role/target/promotes.h"
#include "store/object_name.h"

namespace etlnode {

static constexpr size_t promote_items_max = 16;
static constexpr size_t folder_count_max = 1'000'000;

struct promote_file {
    std::string inner; // its path below the source; empty: the source itself
    folder_entry seen;
};

struct promote_state {
    promote_order order;
    std::string root, base;           // the source is `base` below `root`
    std::vector<std::string> folders; // below the source, still to be read; "": the source
    std::string reading;
    std::deque<promote_file> files;
};

static promote_state &state_of(const share_run &run) { return *static_cast<promote_state *>(run.state); }

static std::string join_path(const std::string &folder, const std::string &name)
{
    return folder.empty() ? name : name.empty() ? folder : folder + "/" + name;
}

// Why the target does not promote it; empty: it may.
static std::string find_source(const target &t, const promote_order &order, std::string &out_root, std::string &out_base)
{
    if (t.options.promote_from.empty())
        return "target " + t.id + " makes no objects of files: start it with --promote-from DIR to allow that for the files below DIR";
    const std::string *root = promote_find_root(t.options.promote_from, order.source, out_base);
    if (root == nullptr)
        return "target " + t.id + ": " + text_escape(order.source, 200) + " is not below a directory of --promote-from";
    out_root = *root;
    return {};
}

static std::string open(share_run &run, const cJSON *options)
{
    target &t = *run.t;
    auto *state = new promote_state;
    run.state = state;
    if (std::string wrong = promote_order_read(options, state->order); !wrong.empty())
        return wrong;
    bool is_asked = state->order.at.empty() || state->order.at == t.id;
    if (!folder_is_possible(*t.e))
        return "this target cannot read files";
    std::string why = is_asked ? find_source(t, state->order, state->root, state->base) : std::string();
    if (is_asked && why.empty())
        state->folders.emplace_back();
    bool is_expected = state->order.is_shared || state->order.at == t.id; // otherwise it has nothing, and others have
    return is_expected ? why : std::string();
}

static void close(share_run &run) { delete &state_of(run); }

static size_t items_max(const share_run &) { return promote_items_max; }

static void note_failure(share_run &run, const std::string &name, error err, const std::string &text)
{
    run.row.failed++;
    run.failures.push_back({.bucket = run.bucket,
        .name = name,
        .status = error_http_status(err.code),
        .text = text_cut(text, failure_text_max),
        .request_id = run.row.id,
        .tries = 1});
}

static void on_look(void *arg, error err, bool is_folder, std::vector<folder_entry> entries)
{
    share_run &run = *static_cast<share_run *>(arg);
    target &t = *run.t;
    promote_state &state = state_of(run);
    std::string folder = std::move(state.reading);
    bool is_source = folder.empty();
    bool may_be_gone = state.order.removes || (!state.order.is_shared && state.order.at.empty());
    bool is_nothing_here = err.code == error_code::no_such_file && is_source && may_be_gone;
    std::string why = std::string(err.what != nullptr ? err.what : error_text(err));
    if (err && is_source && !is_nothing_here)
        run.error = state.order.source + ": " + why;
    else if (err && !is_nothing_here)
        note_failure(run, promote_name(state.order, folder), err, "the folder " + folder + ": " + why);
    for (folder_entry &entry : entries) {
        std::string inner = join_path(folder, entry.name);
        if (entry.is_folder && state.order.is_recursive)
            state.folders.push_back(std::move(inner));
        else if (!entry.is_folder)
            state.files.push_back({is_folder ? std::move(inner) : std::string(), std::move(entry)});
    }
    share_go_on(run);
    open_count_end(t.store_calls);
}

static void read_next_folder(share_run &run)
{
    promote_state &state = state_of(run);
    if (run.is_waiting || state.folders.empty())
        return;
    state.reading = std::move(state.folders.back());
    state.folders.pop_back();
    run.is_waiting = true;
    open_count_begin(run.t->store_calls);
    folder_look(*run.t->e, state.root, join_path(state.base, state.reading), folder_count_max, on_look, &run);
}

static bool begin_file(share_run &run, promote_file file)
{
    target &t = *run.t;
    promote_state &state = state_of(run);
    std::string name = promote_name(state.order, file.inner);
    if (const char *wrong = object_name_check(name)) {
        note_failure(
            run, text_escape(name, object_name_size_max), make_error(error_code::bad_name), std::string("invalid object name: ") + wrong);
        return false;
    }
    if (state.order.is_shared && target_owner_elsewhere(t, run.bucket, name) != nullptr)
        return false;
    promote_wish wish = {.run = &run,
        .job = run.row.id,
        .bucket = run.bucket,
        .name = std::move(name),
        .root = state.root,
        .path = join_path(state.base, file.inner),
        .file = std::move(file.seen),
        .seen_by = state.order.is_shared ? std::string() : t.id,
        .overwrites = state.order.overwrites,
        .removes = state.order.removes};
    run.items.push_back(promote_item_begin(t, std::move(wish)));
    return true;
}

static bool begin_next(share_run &run)
{
    promote_state &state = state_of(run);
    while (!state.files.empty()) {
        promote_file file = std::move(state.files.front());
        state.files.pop_front();
        if (begin_file(run, std::move(file)))
            return true;
    }
    read_next_folder(run);
    return false;
}

static void stop(void *item) { promote_item_stop(*static_cast<promote_item *>(item)); }
static share_progress progress(const void *item) { return promote_item_progress(*static_cast<const promote_item *>(item)); }

static bool has_all_begun(const share_run &run) { return state_of(run).files.empty() && state_of(run).folders.empty() && !run.is_waiting; }

const share_kind share_kind_promote = {
    .name = promote_kind,
    .open = open,
    .close = close,
    .items_max = items_max,
    .begin_next = begin_next,
    .stop = stop,
    .progress = progress,
    .has_all_begun = has_all_begun,
};

// --- GET /v1/node/promote?src=

struct look_request {
    target *t;
    exchange *x;
};

static void answer_look(exchange &x, bool is_allowed, bool is_found, const std::string &why, uint64_t digest)
{
    json_ptr tree = json_object();
    json_add_bool(tree.get(), "allowed", is_allowed);
    json_add_bool(tree.get(), "found", is_found);
    json_add_text(tree.get(), "why", why);
    json_add_text(tree.get(), "digest", text_hex(digest));
    exchange_answer_json(x, tree.get());
}

static void on_looked(void *arg, error err, bool, std::vector<folder_entry> entries)
{
    std::unique_ptr<look_request> request(static_cast<look_request *>(arg));
    std::string text;
    for (const folder_entry &entry : entries) {
        text += entry.name + '\0' + (entry.is_folder ? std::string("folder") : std::to_string(entry.size)) + '\0';
        text += entry.is_folder ? std::string() : std::to_string(entry.changed_ns);
        text += '\n';
    }
    std::string why = err ? std::string(err.what != nullptr ? err.what : error_text(err)) : std::string();
    bool is_allowed = err.code != error_code::permission;
    answer_look(
        *request->x, is_allowed, !err, why.empty() ? why : "target " + request->t->id + ": " + why, XXH64(text.data(), text.size(), 0));
    open_count_end(request->t->requests);
}

// What the proxy asks before it begins a job: whether there is something, and whether all targets see the same.
static void serve_look(target &t, exchange &x, const route_match &match)
{
    std::string none, root, base, why;
    promote_order order;
    if (!target_admit_peer(t, x, match, none))
        return;
    (void)url_query_get(exchange_head(x).query, "src", order.source);
    why = folder_is_possible(*t.e) ? find_source(t, order, root, base) : "this target cannot read files";
    if (!why.empty()) {
        answer_look(x, false, false, why, 0);
        return;
    }
    open_count_begin(t.requests);
    folder_look(*t.e, root, base, folder_count_max, on_looked, new look_request{&t, &x});
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/promote", serve_look,
        "whether the file or folder `?src=` of its machine may become objects, and a digest of what it sees"),
};
extern constinit const std::span<const route> target_promote_routes = rows;

} // namespace etlnode
