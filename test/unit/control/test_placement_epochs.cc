// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <set>
#include <string>
#include <vector>

#include "base/limits.h"
#include "control/document.h"
#include "control/placement.h"

using namespace etlnode;

static constexpr uint64_t silent_long = target_lost_ms;

// --- a cluster

static std::string disk_of(const std::string &id) { return (id + "0000000000000000").substr(0, disk_id_size); }

static cluster_node node_of(const std::string &id)
{
    cluster_node node = {.id = id, .is_target = true, .url = "http://127.0.0.1:1", .digest = placement_digest(id)};
    node.disk = disk_of(id);
    return node;
}

// Targets t1, t2, ... in the epoch 1, which is settled, and one bucket.
static cluster_document cluster_of(size_t targets)
{
    cluster_document document;
    document.uuid = "CLUSTERuuid1";
    document.created = "2026-01-02 03:04:05";
    document.version = 1;
    for (size_t i = 1; i <= targets; i++)
        document_put_node(document, node_of("t" + std::to_string(i)));
    document_put_node(document, {.id = "p1", .url = "http://127.0.0.1:2", .digest = placement_digest("p1")});
    document_put_bucket(document, {.name = "b", .created_ns = 1});
    placement_begin(document);
    return document;
}

static void add_fresh(cluster_document &document, const std::string &id)
{
    cluster_node node = node_of(id);
    node.flags = node_flag_maintenance;
    document_put_node(document, std::move(node));
}

static void join(cluster_document &document, const std::string &id)
{
    if (document_find_node(document, id) == nullptr)
        add_fresh(document, id);
    std::string ids[] = {id};
    test_ok(placement_join(document, ids).err);
}

static const cluster_node &at(const cluster_document &document, std::string_view id)
{
    const cluster_node *node = document_find_node(document, id);
    test_true(node != nullptr);
    return *node;
}

static placement_state state(const cluster_document &document, std::string_view id)
{
    return document_placement_state(document, at(document, id));
}

static uint64_t digest_of(size_t i) { return placement_uname_digest("b", "object" + std::to_string(i)); }

// The first object that the target owned in the newest former epoch and that another one owns now.
static uint64_t moved_from(const cluster_document &document, std::string_view id)
{
    for (size_t i = 0; i < 10'000; i++) {
        const placed_disk *was = placement_former_owner(document.placement.former.front(), digest_of(i));
        if (was->id == id && document_place(document, "b", "object" + std::to_string(i))->id != id)
            return digest_of(i);
    }
    test_fail("no object moves from %s", std::string(id).c_str());
    return 0;
}

static const cluster_node &owner(const cluster_document &document, uint64_t digest)
{
    const cluster_node *chosen = nullptr;
    for (const cluster_node &node : document.nodes) {
        if (cluster_node_is_placed(node) &&
            (chosen == nullptr || placement_weight(digest, node.digest) > placement_weight(digest, chosen->digest)))
            chosen = &node;
    }
    return *chosen;
}

// The ids that the owner of an object asks, joined.
static std::string asks(const cluster_document &document, uint64_t digest, uint64_t since = 0, const std::vector<std::string> &ended = {})
{
    bool is_missing = false;
    std::string ids;
    for (const cluster_node *node : document_ask_set(document, digest, owner(document, digest), since, ended, is_missing))
        ids += (ids.empty() ? "" : ",") + node->id;
    return is_missing ? "missing " + ids : ids;
}

static void refuses(const placement_refusal &no, error_code code, const char *text)
{
    test_eq_enum(no.err.code, code);
    test_has_text(no.why, text);
}

// --- cases

static void nothing_moves_at_first(void **)
{
    cluster_document document = cluster_of(2);
    test_eq(document_epoch(document), 1);
    test_eq(document.placement.settled, 1);
    test_false(placement_is_moving(document.placement));
    test_eq_text(asks(document, digest_of(1)), "");
    test_true(document_is_authoritative(document, digest_of(1), at(document, "t1"), 0));
    test_eq_enum(state(document, "t1"), placement_state::active);
    placement_begin(document);
    test_eq(document.placement.epoch, 1);
    cluster_document before; // of a version without epochs
    test_eq(document_epoch(before), 1);
    test_eq(document_version_floor(before), 0);
    add_fresh(before, "t1");
    placement_begin(before);
    test_eq_enum(state(before, "t1"), placement_state::maintenance); // a person activates it
}

static void a_join_is_a_new_epoch(void **)
{
    cluster_document document = cluster_of(2);
    add_fresh(document, "t3");
    test_eq_enum(state(document, "t3"), placement_state::fresh);
    join(document, "t3");
    test_eq(document.placement.epoch, 2);
    test_eq(document.placement.settled, 1);
    test_eq(document.placement.former.size(), 1);
    test_eq(document.placement.former[0].number, 1);
    test_eq(document.placement.former[0].targets.size(), 2);
    test_true(placement_is_moving(document.placement));
    test_eq_enum(state(document, "t3"), placement_state::joining);
    test_eq_enum(state(document, "t1"), placement_state::active);
    test_eq(document_givers(document).size(), 2);
    join(document, "t3"); // it is placed already
    test_eq(document.placement.epoch, 2);

    uint64_t x = moved_from(document, "t1");
    test_eq_text(owner(document, x).id, "t3");
    test_eq_text(asks(document, x), "t1");
    test_eq_text(asks(document, x, 2), ""); // a bucket that was made in this epoch
    test_eq_text(asks(document, x, 0, {disk_of("t1")}), "");
    test_false(document_is_authoritative(document, x, at(document, "t3"), 1));
    test_true(document_is_authoritative(document, x, at(document, "t3"), 2));
    test_eq(document_moved_tag(document, x, 1), 2);

    test_ok(placement_settle(document).err);
    test_eq(document.placement.epoch, 3);
    test_eq(document.placement.settled, 2);
    test_true(document.placement.former.empty());
    test_eq_enum(state(document, "t3"), placement_state::active);
    refuses(placement_settle(document), error_code::conflict, "no objects move");
}

static void joins_share_an_epoch(void **)
{
    cluster_document document = cluster_of(2);
    add_fresh(document, "t3");
    add_fresh(document, "t4");
    std::string ids[] = {"t3", "t4"};
    test_ok(placement_join(document, ids).err);
    test_eq(document.placement.epoch, 2);
    std::string unknown[] = {"t5"};
    refuses(placement_join(document, unknown), error_code::not_found, "no target \"t5\"");
    std::string proxy[] = {"p1"};
    refuses(placement_join(document, proxy), error_code::not_found, "p1");
    cluster_node silent = node_of("t6");
    silent.disk.clear();
    silent.flags = node_flag_maintenance;
    document_put_node(document, silent);
    std::string former[] = {"t6"};
    refuses(placement_join(document, former), error_code::conflict, "has not told the id of its data directory");
    test_eq(document.placement.epoch, 2);
}

static void without_buckets_nothing_moves(void **)
{
    cluster_document document = cluster_of(1);
    document.buckets.clear();
    join(document, "t2");
    test_eq(document.placement.epoch, 2);
    test_false(placement_is_moving(document.placement));
    cluster_document empty = cluster_of(0);
    join(empty, "t1");
    test_eq(empty.placement.epoch, 2);
    test_false(placement_is_moving(empty.placement));
}

static void a_drained_target_gives(void **)
{
    cluster_document document = cluster_of(3);
    test_ok(placement_drain(document, "t2", node_want::maintenance).err);
    test_eq(at(document, "t2").flags, node_flag_maintenance);
    test_eq_enum(state(document, "t2"), placement_state::draining);
    uint64_t x = moved_from(document, "t2");
    test_eq_text(asks(document, x), "t2");
    test_eq(document_givers(document).size(), 3);
    test_ok(placement_settle(document).err);
    test_eq_enum(state(document, "t2"), placement_state::maintenance);
    test_false(placement_is_gone(document, at(document, "t2")));
    test_ok(placement_drain(document, "t2", node_want::leave).err); // only what is wanted changes
    test_eq(document.placement.epoch, 3);
    test_eq(at(document, "t2").flags, node_flag_maintenance | node_flag_decommission);
    test_true(placement_is_gone(document, at(document, "t2")));
    join(document, "t2"); // the opposite
    test_eq(at(document, "t2").flags, 0);
    test_eq_enum(at(document, "t2").want, node_want::placed);
    test_eq_enum(state(document, "t2"), placement_state::joining);
    refuses(placement_drain(document, "t9", node_want::leave), error_code::not_found, "t9");
    test_ok(placement_drain(document, "t1", node_want::leave).err);
    test_ok(placement_drain(document, "t2", node_want::leave).err);
    uint64_t epoch = document.placement.epoch;
    refuses(placement_drain(document, "t3", node_want::maintenance), error_code::conflict, "t3 is the last one");
    refuses(placement_lose(document, "t3", silent_long), error_code::conflict, "target replace t3");
    test_eq(document.placement.epoch, epoch);
}

// t1 gives to t3, and before that is done t3 is taken out again.
static void a_chain_asks_every_former_owner(void **)
{
    cluster_document document = cluster_of(2);
    join(document, "t3");
    uint64_t x = moved_from(document, "t1");
    test_ok(placement_drain(document, "t3", node_want::maintenance).err);
    test_eq_text(owner(document, x).id, "t1");
    test_eq_text(asks(document, x), "t3");
    join(document, "t3");
    test_eq_text(owner(document, x).id, "t3");
    test_eq_text(asks(document, x), "t1"); // the owner does not ask itself
    test_ok(placement_drain(document, "t1", node_want::maintenance).err);
    test_ok(placement_drain(document, "t3", node_want::maintenance).err);
    test_eq_text(owner(document, x).id, "t2");
    test_eq_text(asks(document, x), "t3,t1");
    test_eq_text(asks(document, x, 5), "t3"); // only the epoch 5
    test_ok(placement_settle(document).err);
    test_eq_text(asks(document, x), "");
}

static void too_many_epochs_wait(void **)
{
    cluster_document document = cluster_of(3);
    for (size_t i = 0; i < former_epoch_count_max; i += 2) {
        test_ok(placement_drain(document, "t3", node_want::maintenance).err);
        join(document, "t3");
    }
    test_eq(document.placement.former.size(), former_epoch_count_max);
    refuses(placement_drain(document, "t3", node_want::maintenance), error_code::conflict, "wait until the rebalance has finished");
    test_eq_enum(state(document, "t3"), placement_state::joining);
    test_ok(placement_settle(document).err);
    test_ok(placement_drain(document, "t3", node_want::maintenance).err);
}

// Nothing would ever settle, because the dead target does not give what it has.
static void a_loss_is_never_refused_for_the_number_of_epochs(void **)
{
    cluster_document document = cluster_of(3);
    for (size_t i = 0; i < former_epoch_count_max; i += 2) {
        test_ok(placement_drain(document, "t3", node_want::maintenance).err);
        join(document, "t3");
    }
    cluster_document replaced = document;
    test_ok(placement_lose(document, "t3", silent_long).err);
    test_eq(document.placement.former.size(), former_epoch_count_max + 1);
    test_ok(placement_settle(document).err);
    test_ok(placement_replace(replaced, "t3", std::string(disk_id_size, 'z'), silent_long).err);
    test_ok(placement_settle(replaced).err);
}

static void a_loss_needs_silence(void **)
{
    cluster_document document = cluster_of(3);
    cluster_document before = document;
    refuses(placement_lose(document, "t2", silent_long - 1), error_code::conflict, "target drain t2");
    test_eq_text(document_print(document), document_print(before));
    test_ok(placement_lose(document, "t2", silent_long).err);
    test_true(document_find_node(document, "t2") == nullptr);
    test_eq(document.losses, 1);
    test_eq(document_version_floor(document), uint64_t{1} << 32);
    std::vector<placed_disk> lost = document_lost_disks(document);
    test_eq(lost.size(), 1);
    test_eq_text(lost[0].disk, disk_of("t2"));
    uint64_t x = moved_from(document, "t2");
    test_eq_text(asks(document, x), ""); // a lost disk is not asked
    test_true(document_has_lost_owner(document, x));
    test_eq(document_moved_tag(document, x, 0), 1); // so that t2 is asked again when it is back
    test_eq(document_moved_tag(document, x, 2), 2);
    add_fresh(document, "t4");
    test_ok(placement_lose(document, "t4", 0).err); // it holds nothing
    test_true(document_find_node(document, "t4") == nullptr);
    test_eq(document.losses, 1);
}

static void a_lost_disk_returns(void **)
{
    cluster_document document = cluster_of(3);
    test_ok(placement_lose(document, "t2", silent_long).err);
    uint64_t x = moved_from(document, "t2");
    test_ok(placement_settle(document).err);
    test_eq(document.placement.former.size(), 1);
    test_true(document.placement.former[0].is_settled);
    test_false(placement_is_moving(document.placement));
    test_true(document_has_lost_owner(document, x));
    test_eq_enum(state(document, "t1"), placement_state::active);

    cluster_node back = node_of("t7"); // the same disk under another id
    back.disk = disk_of("t2");
    back.flags = node_flag_maintenance;
    document_put_node(document, back);
    test_eq_enum(state(document, "t7"), placement_state::lost);
    test_ok(placement_return(document, "t7").err);
    test_true(placement_is_moving(document.placement));
    test_true(document_lost_disks(document).empty());
    test_true(cluster_node_is_placed(at(document, "t7")));
    test_false(document_has_lost_owner(document, x));
    test_true(owner(document, x).id == "t7" || asks(document, x) == "t7");
    test_eq(document_givers(document).size(), 3);
    test_ok(placement_settle(document).err);
    test_true(document.placement.former.empty());
    test_eq(document.losses, 1);
}

static void a_return_is_never_refused_for_the_number_of_epochs(void **)
{
    cluster_document document = cluster_of(3);
    test_ok(placement_lose(document, "t2", silent_long).err);
    join(document, "t4");
    for (size_t i = 2; i < former_epoch_count_max; i += 2) {
        test_ok(placement_drain(document, "t4", node_want::maintenance).err);
        join(document, "t4");
    }
    test_eq(document.placement.former.size(), former_epoch_count_max);
    add_fresh(document, "t2");
    document_find_node(document, "t2")->want = node_want::maintenance;
    test_ok(placement_return(document, "t2").err);
    test_eq(document.placement.former.size(), former_epoch_count_max + 1);
    test_false(cluster_node_is_placed(at(document, "t2")));
    test_eq_enum(state(document, "t2"), placement_state::draining);
}

static void a_replaced_disk_is_lost(void **)
{
    cluster_document document = cluster_of(2);
    std::string other(disk_id_size, 'z');
    refuses(placement_replace(document, "t2", other, 0), error_code::conflict, "may still take writes");
    refuses(placement_replace(document, "t2", other, 0), error_code::conflict, "start the target with that one instead");
    refuses(placement_lose(document, "t2", 0), error_code::conflict, "start it, then etlctl target drain t2");
    test_ok(placement_replace(document, "t2", disk_of("t2"), 0).err);
    test_eq(document.placement.epoch, 1);
    test_ok(placement_replace(document, "t2", other, silent_long).err);
    test_eq(document.placement.epoch, 2);
    test_eq_text(at(document, "t2").disk, other);
    test_eq_enum(state(document, "t2"), placement_state::joining);
    test_eq(document.losses, 1);
    test_eq(document_lost_disks(document).size(), 1);
    test_eq(document_givers(document).size(), 1); // t1
    uint64_t x = 0;
    while (owner(document, digest_of(x)).id != "t2")
        x++;
    test_true(document_has_lost_owner(document, digest_of(x)));
    test_eq_text(asks(document, digest_of(x)), "");
}

static void a_lost_disk_is_given_up(void **)
{
    cluster_document document = cluster_of(3);
    test_ok(placement_lose(document, "t2", silent_long).err);
    uint64_t x = moved_from(document, "t2");
    refuses(placement_forget(document, disk_of("t2")), error_code::conflict, "wait until the rebalance has finished");
    test_ok(placement_settle(document).err);
    refuses(placement_forget(document, disk_of("t1")), error_code::not_found, "no lost target");
    test_ok(placement_forget(document, disk_of("t2")).err);
    test_false(document_has_lost_owner(document, x));
    test_true(document.placement.former.empty());
}

static void many_lost_disks_must_be_given_up(void **)
{
    cluster_document document = cluster_of(2);
    for (size_t i = 0; i < settled_epoch_count_max; i++) {
        std::string id = "x" + std::to_string(i);
        join(document, id);
        test_ok(placement_settle(document).err);
        test_ok(placement_lose(document, id, silent_long).err);
        test_ok(placement_settle(document).err);
    }
    test_eq(document.placement.former.size(), settled_epoch_count_max);
    refuses(placement_drain(document, "t1", node_want::maintenance), error_code::conflict, "target forget");
    add_fresh(document, "x3");
    test_ok(placement_return(document, "x3").err);
}

static void a_disk_that_was_set_back_is_known(void **)
{
    cluster_document document = cluster_of(2);
    test_false(document_is_set_back(document, at(document, "t1"), 1));
    join(document, "t3");
    test_false(document_is_set_back(document, at(document, "t1"), 1)); // it has not heard of the join yet
    test_ok(placement_settle(document).err);                           // of epoch 2, which all had stored
    for (const char *id : {"t1", "t3"}) {
        test_true(document_is_set_back(document, at(document, id), 1));
        test_false(document_is_set_back(document, at(document, id), 2));
    }
    join(document, "t4");
    test_false(document_is_set_back(document, at(document, "t4"), 0)); // it is new
    test_true(document_is_set_back(document, at(document, "t3"), 1));
    test_ok(placement_drain(document, "t1", node_want::maintenance).err);
    test_true(document_is_set_back(document, at(document, "t1"), 1));
    cluster_node lost = at(document, "t3");
    test_ok(placement_lose(document, "t3", silent_long).err);
    test_ok(placement_settle(document).err);
    test_true(document_is_set_back(document, lost, 1));
    test_false(document_is_set_back(document, lost, 2)); // it was not there at the later settling
    test_true(document_is_set_back(document, at(document, "t4"), 2));
    test_false(document_is_set_back(document, at(document, "t1"), 2)); // it was not placed any more: it may have slept since
}

static void an_owner_ever_since_may_answer_before_it_adopts(void **)
{
    cluster_document document = cluster_of(2);
    join(document, "t3");
    uint64_t moved = moved_from(document, "t1");
    uint64_t stays = 0;
    while (owner(document, digest_of(stays)).id != "t1")
        stays++;
    stays = digest_of(stays);
    test_true(document_may_decide(document, stays, at(document, "t1"), 1));
    test_false(document_may_decide(document, moved, at(document, "t3"), 1));
    test_false(document_may_decide(document, stays, at(document, "t1"), 0)); // an epoch that is not listed any more
    join(document, "t4");
    if (owner(document, stays).id == "t1")
        test_true(document_may_decide(document, stays, at(document, "t1"), 1));
}

static void numbers_leap_after_a_recovery(void **)
{
    cluster_document document = cluster_of(2);
    placement_recover(document);
    test_eq(document.placement.epoch, 1'001);
    test_eq(document.placement.former.size(), 1);
    test_eq(document.placement.former[0].number, 1);
    test_true(placement_is_moving(document.placement));
    cluster_document old = cluster_of(2);
    old.placement = {};
    placement_recover(old); // its proxy begins epochs when it starts
    test_eq(old.placement.epoch, 0);
}

static void a_drained_target_is_wanted_before_it_is_placed(void **)
{
    cluster_document document = cluster_of(2);
    test_ok(placement_drain(document, "t2", node_want::leave).err);
    test_ok(placement_settle(document).err);
    uint64_t epoch = document.placement.epoch;
    test_ok(placement_want(document, "t2").err);
    test_eq(document.placement.epoch, epoch);
    test_eq(at(document, "t2").flags, node_flag_maintenance);
    test_eq_enum(document_placement_state(document, at(document, "t2")), placement_state::fresh);
    test_eq_enum(placement_want(document, "t9").err.code, error_code::not_found);
}

// --- the document

static cluster_document parsed(const cluster_document &document)
{
    cluster_document back;
    test_ok(document_parse(document_print(document), back));
    return back;
}

static void a_document_keeps_its_placement(void **)
{
    cluster_document document = cluster_of(3);
    document_put_bucket(document, {.name = "new", .created_ns = 2, .created_epoch = 7});
    test_ok(placement_lose(document, "t2", silent_long).err);
    test_ok(placement_settle(document).err);
    join(document, "t4");
    test_ok(placement_drain(document, "t1", node_want::leave).err);
    cluster_document back = parsed(document);
    test_eq_text(document_print(back), document_print(document));
    test_eq(back.placement.epoch, document.placement.epoch);
    test_eq(back.placement.settled, 2);
    test_eq(back.losses, 1);
    test_eq(back.placement.former.size(), 3);
    test_eq(back.placement.former[0].targets[0].digest, placement_digest("t1"));
    test_true(back.placement.former[2].is_settled);
    test_eq_enum(back.placement.former[2].targets[0].standing, placed_standing::gone);
    test_eq_enum(back.placement.former[2].targets[1].standing, placed_standing::lost);
    test_eq_enum(at(back, "t1").want, node_want::leave);
    test_eq_text(at(back, "t3").disk, disk_of("t3"));
    test_eq(document_find_bucket(back, "new")->created_epoch, 7);
    test_eq(document_find_bucket(back, "b")->created_epoch, 0);
}

static void a_document_without_epochs_stays_as_it_is(void **)
{
    cluster_document document = cluster_of(2);
    document.placement = {};
    for (cluster_node &node : document.nodes)
        node.disk.clear();
    std::string text = document_print(document);
    for (const char *key : {"placement", "disk", "want", "created_epoch"})
        test_true(text.find(key) == std::string::npos);
    test_eq(parsed(document).placement.epoch, 0);
}

static void damaged_tables_are_refused(void **)
{
    const char *good = R"({"epoch":"3","settled":"1","former":[{"epoch":"2","settled":false,"targets":[{"id":"t1"}]}]})";
    struct {
        const char *from, *to;
    } damages[] = {{"\"3\"", "\"0\""}, {"\"3\"", "\"2\""}, {"[{\"id\":\"t1\"}]", "[]"}, {"\"id\":\"t1\"", "\"id\":\"\""},
        {"\"id\":\"t1\"", "\"id\":\"t1\",\"disk\":\"short\""}, {"\"id\":\"t1\"", "\"id\":\"t1\",\"state\":\"fine\""},
        {"\"settled\":false", "\"settled\":1"}};
    cluster_placement placement;
    json_ptr tree;
    std::string where;
    test_ok(json_parse(good, tree, where));
    test_true(placement_parse(tree.get(), placement));
    test_eq(placement.former.size(), 1);
    for (const auto &damage : damages) {
        std::string text = good;
        size_t found = text.find(damage.from);
        test_true(found != std::string::npos);
        text.replace(found, std::string_view(damage.from).size(), damage.to);
        test_ok(json_parse(text, tree, where));
        if (placement_parse(tree.get(), placement))
            test_fail("accepted: %s", text.c_str());
    }
}

static void a_former_table_fits(void **)
{
    cluster_placement placement = {.epoch = UINT64_MAX, .settled = UINT64_MAX, .former = {}};
    former_epoch epoch = {.number = UINT64_MAX - 1, .is_settled = true, .targets = {}};
    for (size_t i = 0; i < target_count_max; i++)
        epoch.targets.push_back({.id = std::string(node_id_size_max, 't'),
            .disk = std::string(disk_id_size, 'd'),
            .digest = 0,
            .standing = placed_standing::lost,
            .settled = UINT64_MAX});
    placement.former.push_back(epoch);
    std::string text = json_print(placement_print(placement).get());
    test_true(text.size() <= former_row_size_max * target_count_max + 200);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(nothing_moves_at_first),
        cmocka_unit_test(a_join_is_a_new_epoch),
        cmocka_unit_test(joins_share_an_epoch),
        cmocka_unit_test(without_buckets_nothing_moves),
        cmocka_unit_test(a_drained_target_gives),
        cmocka_unit_test(a_chain_asks_every_former_owner),
        cmocka_unit_test(too_many_epochs_wait),
        cmocka_unit_test(a_loss_is_never_refused_for_the_number_of_epochs),
        cmocka_unit_test(a_loss_needs_silence),
        cmocka_unit_test(a_lost_disk_returns),
        cmocka_unit_test(a_return_is_never_refused_for_the_number_of_epochs),
        cmocka_unit_test(a_replaced_disk_is_lost),
        cmocka_unit_test(a_lost_disk_is_given_up),
        cmocka_unit_test(many_lost_disks_must_be_given_up),
        cmocka_unit_test(a_disk_that_was_set_back_is_known),
        cmocka_unit_test(an_owner_ever_since_may_answer_before_it_adopts),
        cmocka_unit_test(numbers_leap_after_a_recovery),
        cmocka_unit_test(a_drained_target_is_wanted_before_it_is_placed),
        cmocka_unit_test(a_document_keeps_its_placement),
        cmocka_unit_test(a_document_without_epochs_stays_as_it_is),
        cmocka_unit_test(damaged_tables_are_refused),
        cmocka_unit_test(a_former_table_fits),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
