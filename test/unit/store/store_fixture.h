// SPDX-License-Identifier: MIT
// test/unit/store/store_fixture.h: a store in a memory world, and calls that run the world until they complete.
#pragma once

#include <string>
#include <vector>

#include <xxhash.h>

#include "base/log.h"
#include "memory_world.h"
#include "node_test.h"
#include "rows_taken.h"
#include "store/store.h"

namespace etlnode {

struct fixture {
    memory_world *world = nullptr;
    store *s = nullptr;
    store_options options;
    bool opened = false;
    error open_error;
};

inline fixture &of(void **state) { return *static_cast<fixture *>(*state); }

// Receives a completion. It lives in the test, so that late completions are noticed.
struct answer {
    int count = 0;
    error err;
    index_row row;
    std::vector<index_row> rows;
    const store_object *object = nullptr;
};

inline void on_store_open(void *arg, error err, store *s)
{
    auto &f = *static_cast<fixture *>(arg);
    f.opened = true;
    f.open_error = err;
    f.s = s;
}

inline void on_answer(void *arg, error err)
{
    auto &a = *static_cast<answer *>(arg);
    a.count++;
    a.err = err;
}

inline void on_row_answer(void *arg, error err, const index_row &row)
{
    on_answer(arg, err);
    static_cast<answer *>(arg)->row = row;
}

inline void on_rows_answer(void *arg, error err, std::vector<index_row> rows)
{
    on_answer(arg, err);
    static_cast<answer *>(arg)->rows = std::move(rows);
}

inline void on_object_answer(void *arg, error err, const store_object *object)
{
    on_answer(arg, err);
    static_cast<answer *>(arg)->object = object;
}

inline error open_store(fixture &f)
{
    f.options.dir = "/data";
    f.opened = false;
    store_open(f.world->e, f.options, on_store_open, &f);
    memory_run(*f.world);
    CHECK(f.opened);
    return f.open_error;
}

inline void close_world(fixture &f)
{
    if (f.s != nullptr)
        store_close(f.s);
    f.s = nullptr;
    memory_run(*f.world);
    memory_free(f.world);
    f.world = nullptr;
}

inline void start_world(fixture &f, const memory_image &image, uint64_t seed = 1) { f.world = memory_make(image, seed); }

inline uint64_t checksum_of(std::string_view bytes) { return XXH64(bytes.data(), bytes.size(), 0); }

// --- in one go

inline error put_bytes(fixture &f, put &p, std::string_view bytes)
{
    while (!bytes.empty()) {
        size_t size = std::min(bytes.size(), put_buffer_size);
        std::memcpy(put_buffer(p).data(), bytes.data(), size);
        answer a;
        put_write(p, size, on_answer, &a);
        memory_run(*f.world);
        CHECK(a.count == 1);
        if (a.err)
            return a.err;
        bytes.remove_prefix(size);
    }
    return no_error;
}

// Through put_write: always into a file, however small.
inline error put_object(
    fixture &f, const std::string &name, std::string_view bytes, index_row *out_row = nullptr, const std::string &bucket = "b")
{
    put *p = put_start(*f.s, bucket, name, "text/plain");
    error err = put_bytes(f, *p, bytes);
    if (err) {
        put_abort(*p);
        memory_run(*f.world);
        return err;
    }
    answer a;
    put_commit(*p, 0, false, 0, on_row_answer, &a);
    memory_run(*f.world);
    CHECK(a.count == 1);
    if (out_row != nullptr)
        *out_row = a.row;
    return a.err;
}

// All bytes in the last piece, as a small upload does: into the index if it is small.
inline error put_at_once(
    fixture &f, const std::string &name, std::string_view bytes, index_row *out_row = nullptr, const std::string &bucket = "b")
{
    put *p = put_start(*f.s, bucket, name, "text/plain");
    std::memcpy(put_buffer(*p).data(), bytes.data(), bytes.size());
    answer a;
    put_commit(*p, bytes.size(), false, 0, on_row_answer, &a);
    memory_run(*f.world);
    CHECK(a.count == 1);
    if (out_row != nullptr)
        *out_row = a.row;
    return a.err;
}

inline std::string content_of(fixture &f, const store_object *object)
{
    if (object->has_content)
        return object->content;
    struct got {
        int count = 0;
        error err;
        size_t size = 0;
    } g;
    std::string out(static_cast<size_t>(object->row.size) + 1, '\0');
    disk_read(
        f.world->e, object->file, out.data(), out.size(), 0,
        [](void *arg, error err, size_t size) {
            auto &r = *static_cast<got *>(arg);
            r.count++;
            r.err = err;
            r.size = size;
        },
        &g);
    memory_run(*f.world);
    CHECK(g.count == 1 && !g.err);
    out.resize(g.size);
    return out;
}

inline error get_object(fixture &f, const std::string &name, std::string &out_bytes, const std::string &bucket = "b")
{
    answer a;
    store_get(*f.s, bucket, name, on_object_answer, &a);
    memory_run(*f.world);
    CHECK(a.count == 1);
    if (!a.err) {
        out_bytes = content_of(f, a.object);
        store_release(*f.s, a.object);
    }
    return a.err;
}

inline error remove_object(fixture &f, const std::string &name, const std::string &bucket = "b")
{
    answer a;
    store_remove(*f.s, bucket, name, on_answer, &a);
    memory_run(*f.world);
    CHECK(a.count == 1);
    return a.err;
}

// A world with an open, empty store; the fixture owns both.
inline int setup_store(void **state)
{
    sm_set_strict(true);
    auto *f = new fixture;
    *state = f;
    start_world(*f, memory_empty());
    return open_store(*f) ? 1 : 0;
}

inline int teardown_store(void **state)
{
    auto *f = static_cast<fixture *>(*state);
    close_world(*f);
    delete f;
    return 0;
}

} // namespace etlnode

#define on_store(test) cmocka_unit_test_setup_teardown(test, setup_store, teardown_store)
