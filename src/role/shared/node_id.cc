// SPDX-License-Identifier: MIT
// role/shared/node_id.cc: reads or creates the meta document "node": {"id","role","disk"}.
//
// Knows    port/meta, codec, control.            Known by  proxy.cc, target.cc.
// Normal   a target's document of a former version gets a disk id.
// Fails    wrong role, wrong id, damaged document, storage errors.
#include "role/shared/node_id.h"

#include "base/limits.h"
#include "base/rng.h"
#include "base/text.h"
#include "codec/json.h"
#include "control/placement_epochs.h"
#include "port/clock.h"
#include "port/meta.h"

namespace etlnode {

bool node_id_is_good(std::string_view id)
{
    if (id.size() < 8 || id.size() > node_id_size_max)
        return false;
    for (char c : id) {
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!good)
            return false;
    }
    return true;
}

struct node_id_load_call {
    env *e;
    std::string wanted;
    bool is_target;
    node_identity identity;
    void (*on_loaded)(void *arg, error err, const node_identity &identity, const std::string &detail);
    void *arg;
};

static const char *role_name(bool is_target) { return is_target ? "target" : "proxy"; }

static void finish(node_id_load_call *load, error err, const std::string &detail)
{
    load->on_loaded(load->arg, err, load->identity, detail);
    delete load;
}

static void on_swap(void *arg, error err)
{
    node_id_load_call *load = static_cast<node_id_load_call *>(arg);
    finish(load, err, err ? std::string("the node's id could not be stored: ") + error_text(err) : std::string());
}

static constexpr char id_alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";

static std::string random_text(node_id_load_call &load, size_t size)
{
    return rng_text(load.e->random, id_alphabet, sizeof id_alphabet - 1, size);
}

static void store(node_id_load_call *load, uint64_t version)
{
    if (load->is_target)
        load->identity.disk = random_text(*load, disk_id_size);
    json_ptr tree = json_object();
    json_add_text(tree.get(), "id", load->identity.id);
    json_add_text(tree.get(), "role", role_name(load->is_target));
    if (load->is_target)
        json_add_text(tree.get(), "disk", load->identity.disk);
    meta_swap(*load->e, "node", version, version + 1, json_print(tree.get()), on_swap, load);
}

static void on_read(void *arg, error err, uint64_t version, const std::string &text)
{
    node_id_load_call *load = static_cast<node_id_load_call *>(arg);
    if (err) {
        finish(load, err, std::string("the node's id could not be read: ") + error_text(err));
        return;
    }
    if (version > 0) {
        json_ptr tree;
        std::string where;
        if (json_parse(text, tree, where) || !node_id_is_good(json_text(tree.get(), "id")) ||
            (json_get(tree.get(), "disk") != nullptr && !disk_id_is_good(json_text(tree.get(), "disk")))) {
            finish(load, make_error(error_code::corrupt), "the document \"node\" in the data directory is damaged: " + where);
            return;
        }
        load->identity.id = json_text(tree.get(), "id");
        load->identity.disk = json_text(tree.get(), "disk");
        bool has_disk = json_get(tree.get(), "disk") != nullptr;
        std::string_view role = json_text(tree.get(), "role");
        if (role != role_name(load->is_target)) {
            finish(load, make_error(error_code::invalid_argument),
                "the data directory belongs to a " + text_escape(role) + " (" + load->identity.id + "), this is a " +
                    role_name(load->is_target) + ": use another --data-dir");
            return;
        }
        if (!load->wanted.empty() && load->wanted != load->identity.id) {
            finish(load, make_error(error_code::invalid_argument),
                "the data directory belongs to node " + load->identity.id + ", not to " + text_escape(load->wanted) +
                    ": use another --data-dir or the same id");
            return;
        }
        if (load->is_target && !has_disk)
            store(load, version);
        else
            finish(load, no_error, {});
        return;
    }
    load->identity.id = load->wanted.empty() ? (load->is_target ? "t" : "p") + random_text(*load, 8) : load->wanted;
    store(load, 0);
}

static void refuse_posted(void *arg)
{
    finish(static_cast<node_id_load_call *>(arg), make_error(error_code::invalid_argument), "a node id has 8 to 64 of [A-Za-z0-9_-]");
}

void node_id_load(env &e, const node_options &options,
    void (*on_loaded)(void *arg, error err, const node_identity &identity, const std::string &detail), void *arg)
{
    node_id_load_call *load = new node_id_load_call{&e, options.id, options.is_target, {}, on_loaded, arg};
    if (!options.id.empty() && !node_id_is_good(options.id)) {
        clock_post(e, refuse_posted, load);
        return;
    }
    meta_read(e, "node", on_read, load);
}

} // namespace etlnode
