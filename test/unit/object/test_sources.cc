// SPDX-License-Identifier: MIT
// Sources that are made of others or of files: in their order, whole or not at all.
#include "copying.h"

using namespace etlnode;

struct chained {
    copying *c;
    std::vector<source> left; // closed ones: the chain fails there
    size_t later_from = 99;   // from this one on they come later
    size_t given = 0;
    source_chain *waiting = nullptr;
    bool is_closed = false;
};

static void give_source(chained &ch, source_chain &chain)
{
    source next = ch.left[ch.given++];
    if (source_is_open(next))
        source_chain_give(chain, next);
    else
        source_chain_fail(chain, make_error(error_code::io));
}

static void give_next(void *arg, source_chain &chain)
{
    auto &ch = *static_cast<chained *>(arg);
    if (ch.given == ch.left.size())
        source_chain_end(chain);
    else if (ch.given >= ch.later_from)
        ch.waiting = &chain;
    else
        give_source(ch, chain);
}

static void note_closed(void *arg) { static_cast<chained *>(arg)->is_closed = true; }

static source open_chain(chained &ch) { return source_chain_make(ch.c->f->world->e, {}, {give_next, note_closed, &ch}); }

static void sources_follow_each_other(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    std::string large = content_of_size(2 * put_buffer_size + 5);
    test_ok(put_object(f, "large", large));
    test_ok(put_object(f, "small", "small"));
    copying c;
    c.f = &f;
    chained ch{&c, {open_stored(c, "large"), source_memory(f.world->e, "memory", {}), open_stored(c, "small"), open_stored(c, "large")}, 2};
    c.from = open_chain(ch);
    c.to = open_sink(c, "all");
    begin(c);
    memory_run(*f.world);
    test_false(c.pumped);
    ch.later_from = 99;
    give_source(ch, *ch.waiting);
    memory_run(*f.world);
    test_true(c.pumped && !c.pump_err);
    sink_commit(c.to, on_committed, &c);
    memory_run(*f.world);
    test_ok(c.outcome.err);
    release(c);
    test_true(ch.is_closed);
    std::string got;
    test_ok(get_object(f, "all", got));
    test_true(got == large + "memory" + "small" + large);
    // One that fails, and one that is closed while it waits.
    for (size_t later_from : {size_t{99}, size_t{1}}) {
        chained failing{&c, {open_stored(c, "small"), source{}}, later_from};
        c.from = open_chain(failing);
        c.to = open_sink(c, "none");
        c.pumped = false;
        begin(c);
        memory_run(*f.world);
        test_true(c.pumped == (later_from == 99));
        release(c);
        test_true(failing.is_closed);
        test_eq(files_in_tmp(f), 0u);
    }
}

static void parts_of_objects_and_files(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    std::string large = content_of_size(2 * put_buffer_size + 5);
    test_ok(put_object(f, "large", large));
    test_ok(put_object(f, "small", "small"));
    struct part {
        const char *name;
        size_t offset, size;
    };
    for (const part &one :
        {part{"small", 0, 5}, part{"small", 2, 2}, part{"large", 0, 0}, part{"large", 1, 1}, part{"large", put_buffer_size - 1, 2},
            part{"large", put_buffer_size, large.size() - put_buffer_size}, part{"large", 7, large.size() - 8}}) {
        copying c;
        c.f = &f;
        c.from = source_stored_part(f.world->e, *f.s, hold(f, one.name), c.at_disk, one.offset, one.size);
        c.to = open_sink(c, "part");
        begin(c, false);
        memory_run(*f.world);
        test_true(c.pumped && !c.pump_err);
        test_eq(c.bytes, one.size);
        sink_commit(c.to, on_committed, &c);
        memory_run(*f.world);
        release(c);
        std::string got;
        test_ok(get_object(f, "part", got));
        test_true(got == (one.name[0] == 's' ? std::string("small") : large).substr(one.offset, one.size));
    }
    std::string path = memory_files(f.world->now, "/data/objects").front();
    uint64_t node = memory_find(f.world->now, path);
    std::string bytes = f.world->now.nodes[node].data;
    for (uint64_t wrong : {uint64_t{0}, uint64_t{1}}) {
        copying c;
        c.f = &f;
        c.from = source_file(f.world->e, path, bytes.size(), XXH64(bytes.data(), bytes.size(), 0) + wrong, c.at_disk);
        c.to = open_sink(c, "file");
        begin(c, false);
        memory_run(*f.world);
        test_true(c.pumped);
        test_eq_enum(c.pump_err.code, wrong != 0 ? error_code::corrupt : error_code::ok);
        release(c);
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sources_follow_each_other, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(parts_of_objects_and_files, setup_store, teardown_store),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
