// SPDX-License-Identifier: MIT
// test/lib/memory_world.cc: a deterministic clock, disk and index in memory. Everything happens in memory_step.
#include "memory_world.h"

#include <algorithm>
#include <cstring>

#include <xxhash.h>

#include "base/check.h"
#include "base/limits.h"

namespace etlnode {

memory_world &memory_of(env &e) { return *static_cast<memory_world *>(e.impl); }

static void memory_complete(memory_task &t)
{
    if (t.file != nullptr && t.op != memory_op::open)
        t.file->operations--;
    if (t.op == memory_op::check && !t.err && !memory_check(*t.file, t.file->world->now.nodes[t.file->node].data, t.offset))
        t.err = make_error(error_code::corrupt);
    if (t.on_done != nullptr)
        t.on_done(t.arg, t.err);
    else if (t.on_open != nullptr)
        t.on_open(t.arg, t.err, t.file, t.file_size);
    else if (t.on_read != nullptr)
        t.on_read(t.arg, t.err, t.count);
    else if (t.on_list != nullptr)
        t.on_list(t.arg, t.err, t.names);
    else if (t.on_space != nullptr)
        t.on_space(t.arg, t.err, t.space);
    else if (t.on_rows != nullptr)
        t.on_rows(t.arg, t.err, std::move(t.rows));
    else if (t.on_change != nullptr)
        t.on_change(t.arg, t.err, t.change);
    else if (t.on_ids != nullptr)
        t.on_ids(t.arg, t.err, t.ids);
    else if (t.on_document != nullptr)
        t.on_document(t.arg, t.err, t.document.version, t.document.text);
    else if (t.on_jobs != nullptr)
        t.on_jobs(t.arg, t.err, std::move(t.jobs));
    else if (t.on_failures != nullptr)
        t.on_failures(t.arg, t.err, std::move(t.failures));
}

static bool memory_is_index_write(const memory_task &t)
{
    return t.op == memory_op::index_change || t.op == memory_op::index_garbage_clear || t.op == memory_op::index_placed ||
           t.op == memory_op::index_sums_add || t.op == memory_op::meta_swap || t.op == memory_op::ledger_change ||
           t.op == memory_op::ledger_remove;
}

static bool memory_keeps_order(const memory_world &w, const memory_task &a, const memory_task &b)
{
    bool is_apart = w.documents_apart && (a.op == memory_op::meta_swap) != (b.op == memory_op::meta_swap);
    return memory_is_index_write(a) && memory_is_index_write(b) && !is_apart;
}

using memory_tasks = std::deque<std::unique_ptr<memory_task>>;

// The task itself is held, or an earlier one with which it keeps its order.
static bool memory_is_held(const memory_world &w, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (w.held.contains(w.todo[i]->op) && memory_keeps_order(w, *w.todo[i], *w.todo[at]))
            return true;
    }
    return w.held.contains(w.todo[at]->op);
}

static bool memory_can_execute(const memory_world &w)
{
    for (size_t i = 0; i < w.todo.size(); i++) {
        if (!memory_is_held(w, i))
            return true;
    }
    return false;
}

bool memory_can_step(const memory_world &w) { return !w.done.empty() || memory_can_execute(w); }

// With shuffle, any task may be next, except that the index's writes, and the writes of one file, keep their order.
static size_t memory_pick(memory_world &w, const memory_tasks &tasks)
{
    size_t at = w.shuffle ? static_cast<size_t>(rng_below(w.order, tasks.size())) : 0;
    while (!w.shuffle && at < tasks.size() && w.deferred.contains(tasks[at]->op))
        at++;
    at = at < tasks.size() ? at : 0;
    while (&tasks == &w.todo && !w.held.empty() && memory_is_held(w, at))
        at = (at + 1) % tasks.size();
    for (size_t i = 0; i < at; i++) {
        if (memory_keeps_order(w, *tasks[at], *tasks[i]))
            return i;
    }
    return at;
}

bool memory_step(memory_world &w)
{
    if (virtual_run_post(w.clock)) {
        w.steps++;
        return true;
    }
    bool can_execute = w.held.empty() ? !w.todo.empty() : memory_can_execute(w);
    if (!can_execute && w.done.empty())
        return false;
    w.steps++;
    bool execute = w.done.empty() || (can_execute && w.shuffle && rng_below(w.order, 2) == 0);
    auto &tasks = execute ? w.todo : w.done;
    size_t at = memory_pick(w, tasks);
    std::unique_ptr<memory_task> task = std::move(tasks[at]);
    tasks.erase(tasks.begin() + static_cast<ptrdiff_t>(at));
    if (execute) {
        task->err = memory_execute(w, *task);
        w.done.push_back(std::move(task));
    } else {
        memory_complete(*task);
    }
    return true;
}

void memory_run(memory_world &w)
{
    uint64_t limit = w.steps + 10'000'000;
    while (memory_step(w))
        CHECK(w.steps < limit);
}

void memory_advance(memory_world &w, uint64_t ms)
{
    uint64_t end = w.clock.now_ms + ms;
    do {
        memory_run(w);
    } while (virtual_fire_next(w.clock, end));
    w.clock.now_ms = end;
}

// --- the ports

memory_task &memory_add(memory_world &w, memory_op op, void *arg)
{
    w.todo.push_back(std::make_unique<memory_task>());
    w.todo.back()->op = op;
    w.todo.back()->arg = arg;
    return *w.todo.back();
}

static memory_task &memory_add_file(disk_file *file, memory_op op, void *arg)
{
    memory_task &t = memory_add(*file->world, op, arg);
    t.file = file;
    file->operations++;
    return t;
}

static memory_task &memory_add_path(env &e, memory_op op, const std::string &path, void *arg)
{
    memory_task &t = memory_add(memory_of(e), op, arg);
    t.path = path;
    return t;
}

static virtual_clock &memory_clock_of(env &e) { return memory_of(e).clock; }

static size_t memory_read_now(disk_file *file, void *buffer, size_t size, uint64_t offset, error &out_err)
{
    const std::string &data = file->world->now.nodes[file->node].data;
    size_t count = offset >= data.size() ? 0 : std::min<size_t>(size, data.size() - offset);
    if (count > 0)
        std::memcpy(buffer, data.data() + offset, count);
    bool is_sound = !file->is_guarded || count == 0 ||
                    (offset / content_block_size < file->sums.size() &&
                        XXH3_64bits(buffer, count) == file->sums[static_cast<size_t>(offset / content_block_size)]);
    out_err = is_sound ? no_error : make_error(error_code::corrupt);
    return is_sound ? count : 0;
}

const disk_port memory_disk = {
    .open =
        [](env &e, const std::string &path, disk_open_mode mode, disk_on_open on_open, void *arg) {
            memory_task &t = memory_add_path(e, memory_op::open, path, arg);
            t.mode = mode;
            t.on_open = on_open;
        },
    .close =
        [](disk_file *file) {
            CHECK(file->operations == 0);
            file->world->open_files--;
            delete file;
        },
    .read =
        [](disk_file *file, void *buffer, size_t size, uint64_t offset, disk_on_read on_read, void *arg) {
            memory_task &t = memory_add_file(file, memory_op::read, arg);
            t.buffer = buffer;
            t.size = size;
            t.offset = offset;
            t.on_read = on_read;
        },
    .write =
        [](disk_file *file, const void *bytes, size_t size, uint64_t offset, disk_on_done on_done, void *arg) {
            memory_task &t = memory_add_file(file, memory_op::write, arg);
            t.bytes = bytes;
            t.size = size;
            t.offset = offset;
            t.on_done = on_done;
        },
    .sync = [](disk_file *file, disk_on_done on_done, void *arg) { memory_add_file(file, memory_op::sync, arg).on_done = on_done; },
    .sync_dir = [](env &e, const std::string &path, disk_on_done on_done,
                    void *arg) { memory_add_path(e, memory_op::sync_dir, path, arg).on_done = on_done; },
    .rename =
        [](env &e, const std::string &from, const std::string &to, disk_on_done on_done, void *arg) {
            memory_task &t = memory_add_path(e, memory_op::rename, from, arg);
            t.path_to = to;
            t.on_done = on_done;
        },
    .unlink =
        [](env &e, std::vector<std::string> paths, disk_on_done on_done, void *arg) {
            memory_task &t = memory_add(memory_of(e), memory_op::unlink, arg);
            t.paths = std::move(paths);
            t.on_done = on_done;
        },
    .make_dir = [](env &e, const std::string &path, disk_on_done on_done,
                    void *arg) { memory_add_path(e, memory_op::make_dir, path, arg).on_done = on_done; },
    .list = [](env &e, const std::string &path, disk_on_list on_list,
                void *arg) { memory_add_path(e, memory_op::list, path, arg).on_list = on_list; },
    .space = [](env &e, const std::string &path, disk_on_space on_space,
                 void *arg) { memory_add_path(e, memory_op::space, path, arg).on_space = on_space; },
    .guard =
        [](disk_file *file, uint64_t size, std::span<const uint64_t> sums, disk_on_damage on_damage, void *arg) {
            CHECK(!file->is_guarded);
            file->is_guarded = true;
            file->size = size;
            file->sums.assign(sums.begin(), sums.end());
            file->on_damage = on_damage;
            file->damage_arg = arg;
        },
    .is_checked = [](disk_file *file, uint64_t offset) { return !file->is_guarded || file->checked.contains(offset / content_block_size); },
    .check =
        [](disk_file *file, uint64_t offset, disk_on_done on_done, void *arg) {
            memory_task &t = memory_add_file(file, memory_op::check, arg);
            t.offset = offset;
            t.on_done = on_done;
        },
    .twin =
        [](disk_file *file) {
            file->world->open_files++;
            auto *twin = new disk_file;
            twin->world = file->world;
            twin->node = file->node;
            return twin;
        },
    .work =
        [](env &e, disk_file *file, disk_run run, disk_on_done on_done, void *arg) {
            memory_task &t = file != nullptr ? memory_add_file(file, memory_op::work, arg) : memory_add(memory_of(e), memory_op::work, arg);
            t.run = run;
            t.on_done = on_done;
        },
    .read_now = memory_read_now,
};

template <memory_op op>
static void memory_start_get(env &e, const std::string &bucket, const std::string &name, index_on_rows on_rows, void *arg)
{
    memory_task &t = memory_add_path(e, op, bucket, arg);
    t.path_to = name;
    t.on_rows = on_rows;
}

template <memory_op op> static void memory_start_page(
    env &e, const std::string &bucket, const std::string &prefix, const std::string &after, size_t count, index_on_rows on_rows, void *arg)
{
    memory_task &t = memory_add_path(e, op, bucket, arg);
    t.path_to = prefix;
    t.after = after;
    t.size = count;
    t.on_rows = on_rows;
}

const index_port memory_index = {
    .get = memory_start_get<memory_op::index_get>,
    .page = memory_start_page<memory_op::index_page>,
    .lookup = memory_start_get<memory_op::index_lookup>,
    .page_all = memory_start_page<memory_op::index_page_all>,
    .change =
        [](env &e, index_change change, index_on_change on_change, void *arg) {
            memory_task &t = memory_add_path(e, memory_op::index_change, change.row.bucket, arg);
            t.path_to = change.row.name;
            t.change = std::move(change);
            t.on_change = on_change;
        },
    .garbage = [](env &e, index_on_garbage on_garbage,
                   void *arg) { memory_add(memory_of(e), memory_op::index_garbage, arg).on_ids = on_garbage; },
    .garbage_clear =
        [](env &e, std::vector<uint64_t> ids, index_on_done on_done, void *arg) {
            memory_task &t = memory_add(memory_of(e), memory_op::index_garbage_clear, arg);
            t.ids = std::move(ids);
            t.on_done = on_done;
        },
    .pending_moves = [](env &e, index_on_garbage on_ids,
                         void *arg) { memory_add(memory_of(e), memory_op::index_pending_moves, arg).on_ids = on_ids; },
    .placed =
        [](env &e, std::vector<uint64_t> ids, index_on_done on_done, void *arg) {
            memory_task &t = memory_add(memory_of(e), memory_op::index_placed, arg);
            t.ids = std::move(ids);
            t.on_done = on_done;
        },
    .unsummed =
        [](env &e, uint64_t after_id, size_t count, index_on_rows on_rows, void *arg) {
            memory_task &t = memory_add(memory_of(e), memory_op::index_unsummed, arg);
            t.offset = after_id;
            t.size = count;
            t.on_rows = on_rows;
        },
    .sums_add =
        [](env &e, index_row row, index_on_done on_done, void *arg) {
            memory_task &t = memory_add(memory_of(e), memory_op::index_sums_add, arg);
            t.change.row = std::move(row);
            t.on_done = on_done;
        },
    .object_count = [](env &e) { return static_cast<uint64_t>(memory_of(e).now.rows.size()); },
    .content_id_max = [](env &e) { return memory_of(e).now.content_id_max; },
    .byte_count =
        [](env &e) {
            uint64_t bytes = 0;
            for (const auto &[key, row] : memory_of(e).now.rows)
                bytes += row.size;
            return bytes;
        },
    .bucket_usage = [](env &e) -> const index_usage_map & {
        memory_world &w = memory_of(e);
        w.usage.clear();
        for (const auto &[key, row] : w.now.rows) {
            index_usage &usage = w.usage[key.first];
            usage.objects++;
            usage.bytes += row.size;
        }
        return w.usage;
    },
    .removed = [](env &e) -> const index_removed_map & { return memory_of(e).now.removed; },
    .tombstone_count = [](env &e) { return static_cast<uint64_t>(memory_of(e).now.tombstones.size()); },
    .change_count = [](env &e) { return memory_of(e).now.changes; },
};

const meta_port memory_meta = {
    .read = [](env &e, const std::string &name, meta_on_read on_read,
                void *arg) { memory_add_path(e, memory_op::meta_read, name, arg).on_document = on_read; },
    .swap =
        [](env &e, const std::string &name, uint64_t expected_version, uint64_t new_version, std::string text, meta_on_swap on_swap,
            void *arg) {
            memory_task &t = memory_add_path(e, memory_op::meta_swap, name, arg);
            t.expected_version = expected_version;
            t.document = {new_version, std::move(text)};
            t.on_done = on_swap;
        },
};

// --- the whole

memory_world *memory_make(const memory_image &image, uint64_t seed)
{
    auto *w = new memory_world;
    w->now = image;
    w->order.state = seed;
    w->e.random.state = seed;
    w->e.clock = &virtual_clock_port<memory_clock_of>;
    w->e.disk = &memory_disk;
    w->e.index = &memory_index;
    w->e.meta = &memory_meta;
    w->e.ledger = &memory_ledger;
    w->e.impl = w;
    return w;
}

void memory_free(memory_world *w)
{
    CHECK(w->open_files == 0);
    CHECK(w->clock.timers == 0);
    CHECK(w->todo.empty() && w->done.empty() && w->clock.posts.empty());
    delete w;
}

} // namespace etlnode
