// SPDX-License-Identifier: MIT
// test/contract/test_index_power.cc: the index and documents of a node whose disk loses power, fails or lies (power_vfs.h).
//
// A model follows what has been acknowledged. After every end (a power cut at a chosen operation, kill -9, or a clean end) the real code
// opens the database. The database must hold exactly the acknowledged changes, plus at most one group of the changes requested after the
// last of them: a commit is present as a whole or not at all. SEED=n runs one seed, ROUNDS=n that many.
#include "contract_world.h"

#include "base/log.h"
#include "power_model.h"
#include "power_vfs.h"

using namespace etlnode;

static constexpr int names = 12;
static constexpr int checkpoint_pages = 12; // small, so that a short workload sees many checkpoints and restarts of the log

// The disk under test is simulated in memory (power_vfs.h). The real files serve as its page cache and need no real disk.
static int setup(void **)
{
    world_dir_make();
    char in_memory[] = "/dev/shm/etlnode-contract-XXXXXX";
    if (mkdtemp(in_memory) != nullptr) {
        test_eq(rmdir(world->dir.c_str()), 0);
        world->dir = in_memory;
    }
    power_install();
    current = new run;
    return 0;
}

static int teardown(void **state)
{
    delete current;
    power_go_on();
    world_end(false);
    world->dir = world->dir.substr(0, world->dir.find("/disk"));
    return world_teardown(state);
}

static void begin_run(uint64_t seed)
{
    *current = {};
    current->seed = seed;
    current->random = rng{seed};
    static int number;
    world->dir = world->dir.substr(0, world->dir.find("/disk")) + "/disk" + std::to_string(++number); // a new directory, whatever the seed
    power_begin(seed * 2 + 1);
}

// --- changes

static void change_done(model_change &c, error err)
{
    bool is_answer = err.code == error_code::object_not_found || err.code == error_code::conflict; // the result of a successful commit
    c.fate = err && !is_answer ? change_fate::failed : change_fate::acknowledged;
    c.code = err.code;
    current->open_answers++;
}

static void on_change(void *arg, error err, index_change &) { change_done(*static_cast<model_change *>(arg), err); }
static void on_done(void *arg, error err) { change_done(*static_cast<model_change *>(arg), err); }

static void choose_content(model_change &c)
{
    rng &random = current->random;
    c.content_id = rng_below(random, 6) == 0 ? 0 : current->next_content_id++;
    constexpr size_t sizes[] = {0, 10, 300, 3'000, 9'000, 30'000};
    c.custom_size = sizes[rng_below(random, 6)];
    if (c.content_id != 0 && rng_below(random, 2) == 0)
        c.index_size = std::max<size_t>(1, sizes[rng_below(random, 6)]);
}

// What happens to objects while they move. Versions and tags are near those that are here.
static void choose_move(const model &m, model_change &c)
{
    constexpr change_kind kinds[] = {change_kind::bury, change_kind::move_in, change_kind::move_in, change_kind::bury_moved,
        change_kind::move_out, change_kind::drop, change_kind::raise};
    rng &random = current->random;
    c.kind = kinds[rng_below(random, 7)];
    auto [version, tag] = version_and_tag(m, {c.bucket, c.name});
    c.version = version + rng_below(random, 3);
    c.version -= c.version > 1 ? 1 : 0;
    c.tag = tag + rng_below(random, 3);
    c.tag -= c.tag > 0 ? 1 : 0;
    c.expected = rng_below(random, 4) == 0 ? version + 1 : version;
    if (c.kind == change_kind::move_in)
        choose_content(c);
    if ((c.kind == change_kind::move_in || c.kind == change_kind::bury_moved || c.kind == change_kind::raise) && c.version == 0)
        c.version = 1;
}

static model_change any_change(const model &m, uint64_t kinds)
{
    rng &random = current->random;
    model_change c;
    c.bucket = rng_below(random, 4) == 0 ? "b" : "a";
    c.name = "n" + std::to_string(rng_below(random, names));
    uint64_t kind = rng_below(random, kinds);
    if (kind < 8) {
        c.kind = change_kind::put;
        c.tag = rng_below(random, 3);
        choose_content(c);
    } else if (kind < 11) {
        c.kind = change_kind::remove;
    } else if (kind < 13) {
        c.kind = change_kind::swap;
        c.name = rng_below(random, 2) == 0 ? "cluster" : "node";
        auto found = m.documents.find(c.name);
        c.expected = found == m.documents.end() ? 0 : found->second.first;
        c.text = std::string(rng_below(random, 2) == 0 ? 100 : 12'000, static_cast<char>('A' + c.expected % 26));
    } else if (kind < 15) {
        c.kind = kind == 13 ? change_kind::clear_garbage : change_kind::placed;
        for (uint64_t id : kind == 13 ? m.garbage : m.pending_moves) {
            if (rng_below(random, 3) != 0)
                c.ids.push_back(id);
        }
    } else if (kind == 15) {
        c.kind = change_kind::remove_bucket;
        c.bucket = "b";
    } else {
        choose_move(m, c);
    }
    return c;
}

static index_change index_change_of(const model_change &c)
{
    index_change change;
    index_row &row = change.row;
    row.bucket = c.bucket;
    row.name = c.name;
    row.tag = c.tag;
    row.version = c.version;
    row.content_id = c.content_id;
    row.custom = std::string(c.custom_size, static_cast<char>('a' + c.content_id % 26));
    row.in_index = c.index_size > 0;
    row.size = c.index_size;
    row.content = content_of(c.content_id, c.index_size);
    bool is_moved_in = c.kind == change_kind::move_in || c.kind == change_kind::bury_moved;
    if (is_moved_in) {
        change.what = index_change::kind::put_moved;
        change.origin_tag = c.tag;
        row.tag = move_epoch;
        row.is_tombstone = c.kind == change_kind::bury_moved;
    }
    bool is_removal = c.kind == change_kind::remove || c.kind == change_kind::bury || c.kind == change_kind::move_out;
    if (is_removal)
        change.what = index_change::kind::remove;
    change.leaves_tombstone = c.kind == change_kind::bury;
    change.is_moved = c.kind == change_kind::move_out;
    if (c.kind == change_kind::remove_bucket)
        change.what = index_change::kind::remove_bucket;
    if (c.kind == change_kind::raise)
        change.what = index_change::kind::raise_removed;
    if (c.kind == change_kind::drop)
        change.what = index_change::kind::drop_tombstone;
    change.has_expected = c.kind == change_kind::move_out || c.kind == change_kind::drop;
    change.expected_version = c.expected;
    return change;
}

static void start_change(model_change &c)
{
    env &e = *world->e;
    switch (c.kind) {
    case change_kind::clear_garbage: index_garbage_clear(e, c.ids, on_done, &c); return;
    case change_kind::placed: index_placed(e, c.ids, on_done, &c); return;
    case change_kind::swap: meta_swap(e, c.name, c.expected, c.expected + 1, c.text, on_done, &c); return;
    default: index_commit(e, index_change_of(c), on_change, &c); return;
    }
}

// Submits some changes at once, then waits for their answers. Groups make the order of disk operations the same in every run of a seed.
static void do_group()
{
    model guess = current->acknowledged;
    std::vector<model_change> group(1 + rng_below(current->random, 5));
    for (model_change &c : group) {
        c = any_change(guess, 22);
        apply(guess, c);
    }
    for (model_change &c : group)
        start_change(c);
    wait_answers(group.size());
    for (model_change &c : group) {
        check(c.fate != change_fate::asked);
        if (c.fate == change_fate::failed) {
            current->refused++;
            bool is_disk = c.code == error_code::io || c.code == error_code::no_space;
            if (!is_disk)
                print_error("seed %llu: code %s\n", static_cast<unsigned long long>(current->seed), error_code_name(c.code));
            check(is_disk);
            current->tail.push_back(c);
            continue;
        }
        current->acks++;
        if (c.code == error_code::ok)
            apply(current->acknowledged, c);
        current->tail.clear(); // changes that failed before an acknowledged one are not visible any more
    }
}

// --- lives

static error open_env()
{
    std::string detail;
    error err = uv_env_make(world_options(true), &world->e, detail);
    if (!err)
        power_sync_names(); // opening ends with fsync of the directory
    else
        check(!detail.empty());
    return err;
}

static void open_env_well()
{
    error err = open_env();
    if (err)
        print_error("seed %llu: %s %s %d\n", static_cast<unsigned long long>(current->seed), error_code_name(err.code), err.what, err.sys);
    check(!err);
}

enum class ending : uint8_t { clean, killed, power_cut };

static void end_life(ending how)
{
    if (how != ending::clean)
        power_stop();
    world_end();
    if (how == ending::killed)
        power_kill();
    else if (how == ending::power_cut)
        power_fail();
    power_go_on();
}

static void check_integrity()
{
    sqlite3 *db = nullptr;
    std::string text;
    std::string path = world->dir + "/data/node.db";
    check(sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK);
    int result = sqlite3_exec(
        db, "PRAGMA integrity_check",
        [](void *arg, int, char **values, char **) {
            static_cast<std::string *>(arg)->append(values[0]);
            return 0;
        },
        &text, nullptr);
    check(result == SQLITE_OK);
    if (text != "ok")
        print_error("%s\n", text.c_str());
    check(text == "ok");
    // There must be no bytes that no row names.
    sqlite3_stmt *statement = nullptr;
    const char *strays = "SELECT count(*) FROM contents WHERE content_id NOT IN (SELECT content_id FROM objects WHERE in_index)";
    check(sqlite3_prepare_v2(db, strays, -1, &statement, nullptr) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW);
    check(sqlite3_column_int64(statement, 0) == 0);
    sqlite3_finalize(statement);
    check(sqlite3_close(db) == SQLITE_OK);
}

// The power is back from now on: everything acknowledged is there, and changes are accepted.
static void recover()
{
    open_env_well();
    audit();
    do_group();
    check(current->tail.empty());
    audit();
    end_life(ending::clean);
    check_integrity();
    open_env_well();
    audit();
    end_life(ending::clean);
}

// The power fails at operation `dies_at`, counted from the opening, of a life that is otherwise always the same. False: the life ended
// before.
static bool one_cut(uint64_t seed, uint64_t dies_at, int groups)
{
    begin_run(seed);
    power.random.state ^= dies_at * 0x9e3779b97f4a7c15ull;
    power.dies_at = dies_at;
    if (!open_env()) {
        for (int i = 0; i < groups && !power.is_dead; i++)
            do_group();
        if (!power.is_dead && dies_at != UINT64_MAX)
            world_end(); // closing the database copies its log back
        bool is_cut = power.is_dead;
        end_life(is_cut ? ending::power_cut : ending::clean);
        if (!is_cut)
            return false;
    } else {
        check(power.is_dead);
        power_fail();
    }
    recover();
    return true;
}

static uint64_t rounds_wanted(uint64_t usual)
{
    const char *given = getenv("ROUNDS");
    uint64_t rounds = given != nullptr ? strtoull(given, nullptr, 10) : 0;
    return rounds != 0 ? rounds : usual;
}

static uint64_t seed_wanted(uint64_t round)
{
    const char *given = getenv("SEED");
    return given != nullptr ? strtoull(given, nullptr, 10) : round;
}

static void power_cut_at_every_operation(void **)
{
    uint64_t cuts = 0;
    for (uint64_t at = 1; one_cut(7, at, 14); at++)
        cuts++;
    print_message("# cut at each of %llu operations\n", static_cast<unsigned long long>(cuts));
    check(cuts > 150);
    // That life included checkpoints, and its end wrote the log back.
    check(!one_cut(7, UINT64_MAX, 14));
}

static power_fault any_fault() { return static_cast<power_fault>(1 + rng_below(current->random, power_fault_count)); }

static void set_fault(power_fault kind, uint64_t after, uint64_t count)
{
    std::lock_guard<std::mutex> guard(power.mutex);
    power.fault = kind;
    power.fault_at = power.operations + after;
    power.fault_count = count;
    power.faults_done = 0;
}

// Lives of one seed: each opens the database, works, meets faults and ends in some way. After each, the database is audited.
static void lives_of_one_disk(void **)
{
    uint64_t acks = 0, refused = 0, rounds = getenv("SEED") != nullptr ? 1 : rounds_wanted(250);
    uint64_t cuts = 0, failed_opens = 0, checkpointed = 0;
    for (uint64_t round = 1; round <= rounds; round++) {
        begin_run(seed_wanted(round));
        rng &random = current->random;
        for (uint64_t lives = 2 + rng_below(random, 4); lives > 0; lives--) {
            ending how = static_cast<ending>(rng_below(random, 3));
            if (how == ending::power_cut)
                power.dies_at = power.operations + 1 + rng_below(random, rng_below(random, 4) == 0 ? 12 : 250);
            else if (rng_below(random, 6) == 0)
                set_fault(any_fault(), rng_below(random, 10), 1 + rng_below(random, 2)); // during the opening
            error refusal = open_env();
            if (refusal) {
                check(power.is_dead || power.faults_done > 0);
                failed_opens++;
                if (power.is_dead)
                    power_fail();
                power_go_on();
                continue;
            }
            power.fault = power_fault::none;
            audit();
            for (uint64_t groups = rng_below(random, 20); groups > 0 && !power.is_dead; groups--) {
                bool is_bad = rng_below(random, 5) == 0;
                if (is_bad)
                    set_fault(any_fault(), rng_below(random, 12), 1 + rng_below(random, 3));
                do_group();
                if (is_bad && !power.is_dead) {
                    power.fault = power_fault::none;
                    audit_running();
                }
            }
            if (!power.is_dead && rng_below(random, 2) == 0) {
                // Whatever failed before, the next change succeeds without a restart.
                size_t before = current->refused;
                do_group();
                check(power.is_dead || current->refused == before);
            }
            cuts += how == ending::power_cut ? 1 : 0;
            end_life(how);
        }
        recover();
        acks += current->acks;
        refused += current->refused;
        checkpointed += power.database_writes > 20 ? 1 : 0;
    }
    print_message("# %llu seeds: %llu changes acknowledged, %llu refused, %llu power cuts, %llu refused starts\n",
        static_cast<unsigned long long>(rounds), static_cast<unsigned long long>(acks), static_cast<unsigned long long>(refused),
        static_cast<unsigned long long>(cuts), static_cast<unsigned long long>(failed_opens));
    if (rounds >= 100) {
        check(acks > 20 * rounds);
        check(refused > rounds);
        check(failed_opens > rounds / 20);
        check(checkpointed > rounds / 2);
    }
}

// If a sync of the log fails, the kernel treats its pages as clean and does not write them again. After kill -9 the next process reads the
// refused commit from the page cache. What it builds on that must survive a power cut.
static void nothing_is_built_on_a_failed_sync(void **)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        begin_run(seed);
        open_env_well();
        for (int i = 0; i < 3; i++)
            do_group();
        set_fault(power_fault::sync_fails, 0, 1);
        while (power.faults_done == 0) // a group may change nothing
            do_group();
        end_life(ending::killed);
        open_env_well();
        audit();
        do_group();
        check(current->tail.empty());
        end_life(ending::power_cut);
        recover();
    }
}

static void every_kind_of_failure_is_reported(void **)
{
    for (size_t i = 1; i <= power_fault_count; i++) {
        auto kind = static_cast<power_fault>(i);
        begin_run(100 + i);
        open_env_well();
        do_group();
        set_fault(kind, 0, UINT64_MAX);
        size_t acks = current->acks;
        for (int tries = 0; tries < 5; tries++) {
            model_change c;
            c.bucket = "a";
            c.name = "refused";
            c.content_id = current->next_content_id++;
            start_change(c);
            wait_answers(1);
            check(c.fate == change_fate::failed);
            // no_space promises that nothing of the commit appears later, so that a put removes its content. After a failed sync that is
            // not so.
            check(c.code == (kind == power_fault::no_space ? error_code::no_space : error_code::io));
            current->tail.push_back(c);
        }
        check(current->acks == acks);
        audit_running(); // reads continue
        power.fault = power_fault::none;
        do_group(); // and so do changes, without a restart
        check(current->tail.empty());
        audit_running();
        end_life(ending::power_cut);
        recover();
    }
}

static model_change change_of(change_kind kind, const char *name)
{
    model_change c;
    c.kind = kind;
    c.bucket = "a";
    c.name = name;
    if (kind == change_kind::put) {
        c.content_id = current->next_content_id++;
        c.index_size = 3'000;
    }
    return c;
}

// Removals committed together with puts that find no room succeed.
static void removals_go_on_without_room(void **)
{
    begin_run(200);
    open_env_well();
    std::vector<model_change> filled = {change_of(change_kind::put, "kept"), change_of(change_kind::put, "removed")};
    for (model_change &c : filled) {
        start_change(c);
        apply(current->acknowledged, c);
    }
    wait_answers(filled.size());
    set_fault(power_fault::no_space, 0, 2); // once for the first change, which is alone, and once for the others together
    std::vector<model_change> group = {change_of(change_kind::put, "alone"), change_of(change_kind::put, "kept"),
        change_of(change_kind::remove, "removed"), change_of(change_kind::remove, "none"), change_of(change_kind::put, "new")};
    for (model_change &c : group)
        start_change(c);
    wait_answers(group.size());
    check(power.faults_done == 2);
    for (const model_change &c : group) {
        check(c.fate == (c.kind == change_kind::put ? change_fate::failed : change_fate::acknowledged));
        check(c.code == (c.kind == change_kind::put ? error_code::no_space
                            : c.name == "none"      ? error_code::object_not_found
                                                    : error_code::ok));
    }
    apply(current->acknowledged, group[2]);
    audit_running();
    end_life(ending::power_cut);
    recover();
}

int main()
{
    log_set_level(log_level::error);
    power.checkpoint_pages = checkpoint_pages;
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind_of_failure_is_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(removals_go_on_without_room, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_built_on_a_failed_sync, setup, teardown),
        cmocka_unit_test_setup_teardown(power_cut_at_every_operation, setup, teardown),
        cmocka_unit_test_setup_teardown(lives_of_one_disk, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
