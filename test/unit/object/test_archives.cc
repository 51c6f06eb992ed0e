// SPDX-License-Identifier: MIT
// Archives that are made of members, and read again: whole, in order, and never with a byte that is not the member's.
#include "copying.h"

#include "object/archive_reader.h"
#include "object/archive_writer.h"

using namespace etlnode;

struct packing {
    copying *c;
    std::vector<std::pair<std::string, std::string>> members;
    size_t given = 0;
    uint64_t lies_by = 0; // about the size of the last member
    bool is_closed = false;
};

static void give_member(void *arg, archive_writer &w)
{
    auto &p = *static_cast<packing *>(arg);
    if (p.given == p.members.size()) {
        archive_end(w);
        return;
    }
    const auto &[path, content] = p.members[p.given++];
    uint64_t lie = p.given == p.members.size() ? p.lies_by : 0;
    archive_give(w, path, content.size() + lie, source_memory(p.c->f->world->e, content, {}));
}

static void note_closed(void *arg) { static_cast<packing *>(arg)->is_closed = true; }

static error pack(packing &p, const std::string &mime, const std::string &name)
{
    copying &c = *p.c;
    p.given = 0;
    archive_writer_options options;
    options.mime = mime;
    options.next = give_member;
    options.on_closed = note_closed;
    options.arg = &p;
    options.at_work = &c.at_disk;
    c.from = archive_writer_source(c.f->world->e, std::move(options));
    c.to = open_sink(c, name);
    c.pumped = false;
    c.committed = 0;
    begin(c);
    memory_run(*c.f->world);
    test_true(c.pumped);
    error err = c.pump_err;
    if (!err) {
        sink_commit(c.to, on_committed, &c);
        memory_run(*c.f->world);
        test_ok(c.outcome.err);
    }
    release(c);
    test_true(p.is_closed);
    test_eq(c.at_disk.count, 0u);
    return err;
}

struct found_member {
    int calls = 0;
    error err;
    std::string why;
    archive_member member;
    bool is_there = false;
};

static void on_member(void *arg, error err, std::string_view why, const archive_member *member)
{
    auto &found = *static_cast<found_member *>(arg);
    found.calls++;
    found.err = err;
    found.why = why;
    found.is_there = member != nullptr;
    if (member != nullptr)
        found.member = *member;
}

static bool wants_all(const void *, std::string_view) { return true; }
static bool wants_one(const void *arg, std::string_view path) { return path == *static_cast<const std::string *>(arg); }

static std::string read_member(copying &c, archive_reader &reader, const archive_member &member)
{
    c.from = archive_member_source(reader, member);
    c.to = open_sink(c, "member");
    c.pumped = false;
    begin(c, false);
    memory_run(*c.f->world);
    test_true(c.pumped && !c.pump_err);
    sink_commit(c.to, on_committed, &c);
    memory_run(*c.f->world);
    release(c);
    std::string got;
    test_ok(get_object(*c.f, "member", got));
    return got;
}

static void what_is_packed_is_read(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    copying c;
    c.f = &f;
    packing p{
        &c, {{"a", "one"}, {"empty", ""}, {"dir/" + std::string(150, 'n'), content_of_size(2 * put_buffer_size + 77)}, {"b.txt", "last"}}};
    for (const char *mime : {".tar", ".tgz", ".tar.gz", ".tar.lz4", ".zip", "tar", "zip"}) {
        test_true(archive_can_make(mime));
        test_ok(pack(p, mime, "archive"));
        archive_reader *reader = archive_open(f.world->e, *f.s, hold(f, "archive"), c.at_disk);
        for (const auto &[path, content] : p.members) {
            found_member found;
            archive_next(*reader, wants_all, nullptr, on_member, &found);
            memory_run(*f.world);
            test_true(found.is_there && found.member.has_size);
            test_eq_text(found.member.path, path);
            test_eq(found.member.size, content.size());
            test_true(read_member(c, *reader, found.member) == content);
        }
        found_member end;
        archive_next(*reader, wants_all, nullptr, on_member, &end);
        memory_run(*f.world);
        test_eq(end.calls, 1);
        test_true(!end.is_there && !end.err);
        archive_close(reader);
        test_eq(c.at_disk.count, 0u);
    }
    for (const char *mime : {"", ".rar", "gz", ".tar.xz"})
        test_false(archive_can_make(mime));
}

static void note_visit(void *arg, const archive_member &member)
{
    static_cast<std::string *>(arg)->append(member.path).append("=").append(std::to_string(member.size)).append(" ");
}

static void all_members_are_visited(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    copying c;
    c.f = &f;
    packing p{&c, {{"b", "one"}, {"./a", ""}, {"../escapes", "x"}, {"c", content_of_size(2 * put_buffer_size)}}};
    for (const char *mime : {".tar", ".tgz", ".tar.lz4", ".zip"}) {
        test_ok(pack(p, mime, "archive"));
        archive_reader *reader = archive_open(f.world->e, *f.s, hold(f, "archive"), c.at_disk);
        found_member end;
        std::string visited;
        archive_each(*reader, note_visit, &visited, on_member, &end);
        memory_run(*f.world);
        test_eq(end.calls, 1);
        test_ok(end.err);
        test_false(end.is_there);
        test_eq_text(visited, "b=3 ./a=0 c=" + std::to_string(2 * put_buffer_size) + " ");
        archive_close(reader);
        memory_run(*f.world);
    }
    test_eq_text(archive_plain_path("././a/./b"), "a/./b");
}

static void a_member_of_another_size_ends_the_archive(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    copying c;
    c.f = &f;
    packing p{&c, {{"a", "one"}, {"b", "two"}}};
    for (uint64_t lie : {uint64_t{1}, uint64_t(-1)}) {
        p.lies_by = lie;
        test_eq_enum(pack(p, ".tar", "archive").code, error_code::bad_request);
    }
}

// A step that nobody wants any more ends, and what it used lives until then.
static void a_reader_is_closed_at_any_moment(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    copying c;
    c.f = &f;
    packing p{&c, {{"a", "one"}, {"b", content_of_size(3 * put_buffer_size)}}};
    test_ok(pack(p, ".tgz", "archive"));
    std::string wanted = "b";
    for (uint64_t steps = 0; steps < 12; steps++) {
        archive_reader *reader = archive_open(f.world->e, *f.s, hold(f, "archive"), c.at_disk);
        found_member found;
        archive_next(*reader, wants_one, &wanted, on_member, &found);
        for (uint64_t i = 0; i < steps && memory_step(*f.world); i++) {
            if (found.is_there && !source_is_open(c.from)) {
                c.from = archive_member_source(*reader, found.member);
                (void)source_pull(c.from);
            }
        }
        archive_close(reader);
        source_close(c.from);
        memory_run(*f.world);
        test_eq(c.at_disk.count, 0u);
    }
}

// Another reader of the disk waits for one step, not for all that is passed over.
static void what_is_packed_is_passed_over_in_steps(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    copying c;
    c.f = &f;
    packing p{&c, {{"large", std::string(20 * mib, 'x')}, {"last", "2"}}};
    for (const char *mime : {".tgz", ".tar.lz4", ".tar"}) {
        test_ok(pack(p, mime, "archive"));
        archive_reader *reader = archive_open(f.world->e, *f.s, hold(f, "archive"), c.at_disk);
        found_member found;
        std::string wanted = "last";
        archive_next(*reader, wants_one, &wanted, on_member, &found);
        int steps = 0; // two for each work: it is executed and completed
        while (found.calls == 0 && memory_step(*f.world))
            steps++;
        test_true(found.is_there);
        test_true(std::string_view(mime) == ".tar" ? steps < 4 : steps >= 10 && steps <= 14);
        archive_close(reader);
        memory_run(*f.world);
    }
}

static void damage_is_not_unpacked(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    copying c;
    c.f = &f;
    packing p{&c, {{"a", content_of_size(2 * put_buffer_size)}, {"b", "two"}}};
    test_ok(pack(p, ".tar", "archive"));
    const store_object *object = hold(f, "archive");
    test_true(object->file != nullptr);
    for (const std::string &path : memory_files(f.world->now, "/data/objects"))
        f.world->now.nodes[memory_find(f.world->now, path)].data[put_buffer_size + 5] ^= 1;
    archive_reader *reader = archive_open(f.world->e, *f.s, object, c.at_disk);
    found_member found;
    archive_next(*reader, wants_all, nullptr, on_member, &found);
    memory_run(*f.world);
    test_true(found.is_there);
    c.from = archive_member_source(*reader, found.member);
    c.to = open_sink(c, "member");
    begin(c, false);
    memory_run(*f.world);
    test_true(c.pumped);
    test_eq_enum(c.pump_err.code, error_code::corrupt);
    release(c);
    archive_close(reader);
}

static void names_that_leave_the_folder(void **)
{
    for (const char *good : {"a", "a/b", "..a", "a..", "a/..b/c", "."})
        test_true(archive_check_member(good) == nullptr);
    for (const char *bad : {"/", "/a", "..", "../a", "a/..", "a/../b"})
        test_true(archive_check_member(bad) != nullptr);
    for (const char *good : {"a.tar", "x/y.tgz", "a.tar.gz", "a.zip", "a.tar.lz4"})
        test_true(archive_is_name(good));
    for (const char *bad : {"", ".tar", "a.rar", "tar", "a.gz", "a.tar.xz"})
        test_false(archive_is_name(bad));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_packed_is_read, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(all_members_are_visited, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(what_is_packed_is_passed_over_in_steps, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(a_member_of_another_size_ends_the_archive, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(a_reader_is_closed_at_any_moment, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(damage_is_not_unpacked, setup_store, teardown_store),
        cmocka_unit_test(names_that_leave_the_folder),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
