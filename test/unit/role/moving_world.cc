// SPDX-License-Identifier: MIT
#include "moving_world.h"

namespace etlnode {

static void moving_add_peer(role_world &w, const char *id, const char *address)
{
    scripted_node &peer = role_make_peer(w, id, address);
    peer.rows.push_back({.match = "PUT /v1/node/document", .status = 204});
    peer.rows.push_back({.match = "POST /v1/node/move-end", .status = 204});
    peer.rows.push_back({.match = "GET /v1/node/object/", .body = moving_nothing});
    cluster_node node = {.id = id, .is_target = true, .url = std::string("http://") + address + ":8080", .digest = placement_digest(id)};
    std::string disk = id;
    std::erase(disk, '-');
    node.disk = (disk + "0000000000000000").substr(0, disk_id_size);
    document_put_node(w.document, node);
}

void moving_push(role_world &w)
{
    std::string id = rebalance_job_id(document_epoch(w.document));
    if (placement_is_moving(w.document.placement) && document_find_job(w.document, id) == nullptr) {
        cluster_job job;
        job.id = id;
        job.kind = rebalance_kind;
        job.created_ns = 1;
        w.document.jobs = {job};
    }
    role_check(role_push(w), "PUT /v1/node/document", 204, "");
    test_true(scripted_until(*w.sim, [&] { return target_has_adopted(*w.t) && target_has_lease(*w.t); }));
}

void moving_begin(role_world &w, const moving_ids &placed)
{
    document_find_node(w.document, role_target_id)->disk = w.t->disk;
    moving_add_peer(w, "target-02", "10.0.0.9");
    moving_add_peer(w, "target-03", "10.0.0.8");
    for (cluster_node &node : w.document.nodes) {
        bool is_placed = std::find(placed.begin(), placed.end(), node.id) != placed.end();
        node.flags |= node.is_target && !is_placed ? node_flag_maintenance : 0;
    }
    placement_begin(w.document);
    moving_push(w);
}

void moving_join(role_world &w, const moving_ids &ids)
{
    test_ok(placement_join(w.document, ids).err);
    moving_push(w);
}

void moving_settle(role_world &w)
{
    test_ok(placement_settle(w.document).err);
    moving_push(w);
}

std::string moving_name(const std::vector<moving_ids> &tables, const moving_ids &owners, size_t nth)
{
    std::vector<cluster_document> documents;
    for (const moving_ids &table : tables) {
        cluster_document &document = documents.emplace_back();
        for (const std::string &id : table)
            document_put_node(document, {.id = id, .is_target = true, .url = "http://x", .digest = placement_digest(id)});
    }
    for (size_t i = 0; i < 100'000; i++) {
        std::string name = "o" + std::to_string(i);
        bool is_it = true;
        for (size_t k = 0; is_it && k < tables.size(); k++)
            is_it = document_place(documents[k], "b", name)->id == owners[k];
        if (is_it && nth-- == 0)
            return name;
    }
    test_fail("no name goes that way");
    return {};
}

moved_item moving_item(const std::string &name, uint64_t version, uint64_t tag, std::string_view content)
{
    moved_item item;
    item.row.bucket = "b";
    item.row.name = name;
    item.row.version = version;
    item.row.tag = tag;
    item.row.size = content.size();
    item.row.checksum = moving_checksum(content);
    item.row.changed_ns = 1'000'000'000;
    item.row.content_type = "text/x-unit";
    item.row.content = content;
    item.row.content_id = content.empty() ? 0 : 1; // as in a row that was received
    item.created_ns = 5;
    return item;
}

moved_item moving_tombstone(const std::string &name, uint64_t version, uint64_t tag)
{
    moved_item item;
    item.row.bucket = "b";
    item.row.name = name;
    item.row.version = version;
    item.row.tag = tag;
    item.row.is_tombstone = true;
    item.created_ns = 5;
    return item;
}

std::string moving_row_answer(const moved_item &item, uint64_t removed_max)
{
    json_ptr tree = json_object();
    json_add_tree(tree.get(), "row", moved_row_print(item.row));
    json_add_u64_text(tree.get(), "removed_max", removed_max);
    return json_print(tree.get());
}

std::string moving_question(const std::string &name, uint64_t epoch, const std::string &more)
{
    return "GET /v1/node/object/b/" + name + "?epoch=" + std::to_string(epoch) + "&created=5" + more;
}

void moving_script_row(role_world &w, const char *peer, const moved_item &item, uint64_t removed_max)
{
    role_script(peer_of(w, peer), {.match = "GET /v1/node/object/b/" + item.row.name, .body = moving_row_answer(item, removed_max)});
}

void moving_script_copy(role_world &w, const char *peer, const moved_item &item)
{
    moving_script_row(w, peer, item);
    role_script(
        peer_of(w, peer), {.match = moving_question(item.row.name, document_epoch(w.document), "&version="), .body = item.row.content});
}

std::string moving_object(const char *method, const std::string &name, const std::string &more)
{
    return std::string(method) + " /v1/objects/b/" + name + "?" + moving_client + more;
}

index_row moving_row_here(role_world &w, const std::string &name, uint64_t *out_removed_max)
{
    const scripted_call &call = role_ask_as_node(w, moving_question(name, document_epoch(w.document)));
    role_check(call, "a question", 200, "");
    json_ptr tree;
    std::string where;
    test_ok(json_parse(call.answer.body, tree, where));
    uint64_t removed_max = 0;
    test_true(json_read_u64(tree.get(), "removed_max", removed_max));
    if (out_removed_max != nullptr)
        *out_removed_max = removed_max;
    index_row row;
    if (const cJSON *one = json_get(tree.get(), "row"))
        test_ok(moved_row_parse(one, row));
    return row;
}

void moving_check_code(const scripted_call &call, std::string_view what, int status, error_code code)
{
    role_check(call, what, status, "");
    test_eq_enum(error_envelope_read(status, call.answer.body).code, code);
}

void moving_set_full(role_world &w, bool is_full)
{
    w.node->space = {.id = 3, .size = 1'000'000, .used = is_full ? 990'000u : 10u, .free = is_full ? 10'000u : 999'990u};
    test_true(scripted_until(*w.sim, [&] { return w.t->space.is_known && (w.t->space.state == space_state::full) == is_full; }));
}
} // namespace etlnode
