// SPDX-License-Identifier: MIT
// uv/uv_guard.cc: makes sure that content is in memory and undamaged before it is sent.
//
// Owns     the state of a file's blocks, and fetches (each is one job of the thread pool).
// Known by uv_net.cc, uv_disk.cc.
// Normal   a block that was found sound counts as sound for bytes_warm_ms, unless the file's change time or the page cache says otherwise.
//          The change time of a file is read at most once per millisecond of the loop's clock. The page cache is asked every
//          resident_step_ms, for resident_step_size at a time. A file in demand therefore costs hardly any extra system calls.
// Fails    a block that does not match stays damaged as long as the file is open; the store re-opens it for the next reader.
// Limits   racy_ms: change times count ticks of the kernel's clock, so a second change may leave the time of the first.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/check.h"
#include "base/limits.h"
#include "uv/net/uv_net.h"
#include "uv/uv_disk.h"

namespace etlnode {

static constexpr size_t warm_step = 64 * kib;
static constexpr uint64_t racy_ms = 20;
static constexpr uint64_t resident_step_ms = 100;
static constexpr uint64_t resident_step_size = 16 * mib;

// State of a block: sound until this time of the loop's clock, or one of the constants below.
static constexpr uint64_t never_checked = 0;
static constexpr uint64_t found_damaged = UINT64_MAX;
static constexpr uint64_t found_unreadable = UINT64_MAX - 1;

struct uv_guard {
    uint64_t size = 0;
    std::vector<uint64_t> sums;
    std::vector<uint64_t> sound_until_ms;
    timespec changed = {};       // the change time that `sound_until_ms` holds for
    uint64_t change_read_ms = 0; // when the change time was last read
    uint64_t resident_ms = 0;    // when [resident_from, resident_to) was last found in memory
    uint64_t resident_from = 0;
    uint64_t resident_to = 0;
    bool asks_residency = false;     // false: the kernel cannot answer, or the file system does not cache what is read
    std::vector<uv_fetch *> fetches; // in progress
    disk_on_damage on_damage = nullptr;
    void *damage_arg = nullptr;
};

struct fetch_wait {
    net_conn *conn = nullptr; // or
    disk_on_done on_done = nullptr;
    void *arg = nullptr;
    uint64_t offset = 0; // the block that on_done asked for
};

struct uv_fetch {
    uv_job job;
    disk_file *file = nullptr;
    int fd = -1;
    uint64_t offset = 0;
    size_t size = 0;
    std::vector<fetch_wait> waits;
    // Results if the file has a guard.
    std::vector<uint64_t> outcomes; // for each block: never_checked (sound), found_damaged or found_unreadable
    timespec changed = {};
    bool is_racy = false;
    bool is_cached = false; // according to the kernel, what was read is in the page cache
};

disk_file::disk_file() = default;
disk_file::~disk_file() = default;

static uint64_t block_count(uint64_t size) { return (size + content_block_size - 1) / content_block_size; }
static bool is_same(const timespec &a, const timespec &b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

// --- on a pool thread

static std::vector<char> &thread_buffer(size_t size)
{
    static thread_local std::vector<char> buffer;
    if (buffer.size() < size)
        buffer.resize(size);
    return buffer;
}

static uint64_t check_block(const uv_fetch &f, uint64_t offset, size_t size, uint64_t sum)
{
    std::vector<char> &buffer = thread_buffer(content_block_size);
    for (size_t done = 0; done < size;) {
        ssize_t count = pread(f.fd, buffer.data() + done, size - done, static_cast<off_t>(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return found_unreadable;
        if (count == 0)
            return found_damaged; // shorter than before
        done += static_cast<size_t>(count);
    }
    return XXH3_64bits(buffer.data(), size) == sum ? never_checked : found_damaged;
}

// Modern kernels give two changes different times if the time was read in between. Older kernels count ticks.
static bool is_change_recent(const timespec &changed)
{
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t passed_ms = (now.tv_sec - changed.tv_sec) * 1'000 + (now.tv_nsec - changed.tv_nsec) / 1'000'000;
    return passed_ms > -static_cast<int64_t>(racy_ms) && passed_ms < static_cast<int64_t>(racy_ms);
}

// Linux 6.5; some libc headers lack it.
struct cachestat_range {
    uint64_t offset;
    uint64_t size;
};
struct cachestat_result {
    uint64_t cached, dirty, writeback, evicted, recently_evicted; // pages
};
static constexpr long cachestat_number = 451;

static bool is_cached(int fd, uint64_t from, uint64_t to)
{
    static const uint64_t page_size = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    cachestat_range range{from, to - from};
    cachestat_result result{};
    return syscall(cachestat_number, fd, &range, &result, 0) == 0 && result.cached >= (to + page_size - 1) / page_size - from / page_size;
}

static void run_check(uv_fetch &f, const uv_guard &guard)
{
    struct stat info {};
    bool is_known = fstat(f.fd, &info) == 0;
    f.changed = info.st_ctim; // Read it before the content: a change during the check then shows later.
    f.is_racy = !is_known || is_change_recent(f.changed);
    uint64_t first = f.offset / content_block_size;
    for (size_t i = 0; i < f.outcomes.size(); i++) {
        uint64_t begin = (first + i) * content_block_size;
        size_t size = static_cast<size_t>(std::min<uint64_t>(content_block_size, guard.size - begin));
        f.outcomes[i] = check_block(f, begin, size, guard.sums[first + i]);
    }
    uint64_t begin = first * content_block_size;
    f.is_cached = is_cached(f.fd, begin, std::min<uint64_t>(begin + f.outcomes.size() * content_block_size, guard.size));
}

static void run_warm_up(const uv_fetch &f)
{
    std::vector<char> &buffer = thread_buffer(content_block_size);
    for (size_t done = 0; done < f.size;) {
        ssize_t count = pread(f.fd, buffer.data(), std::min(warm_step, f.size - done), static_cast<off_t>(f.offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return; // the error appears again when the content is sent
        done += static_cast<size_t>(count);
    }
}

static void run_fetch(uv_job *job)
{
    auto &f = *static_cast<uv_fetch *>(job->owner);
    (void)posix_fadvise(f.fd, static_cast<off_t>(f.offset + f.size), static_cast<off_t>(f.size), POSIX_FADV_WILLNEED);
    // Of the guard, this thread reads only what never changes.
    if (f.file->guard != nullptr)
        run_check(f, *f.file->guard);
    else
        run_warm_up(f);
}

// --- on the loop: the state of blocks

static void mark_warm(disk_file &file, uint64_t from, uint64_t to)
{
    uint64_t now = uv_now(&file.world->loop);
    bool is_fresh = now - file.warm_ms < file.world->bytes_warm_ms;
    if (is_fresh && from <= file.warm_to && to >= file.warm_from) {
        file.warm_from = std::min(file.warm_from, from); // keep the older time, which is the certain one
        file.warm_to = std::max(file.warm_to, to);
        return;
    }
    file.warm_from = from;
    file.warm_to = to;
    file.warm_ms = now;
}

static bool is_warm(disk_file &file, uint64_t offset, size_t size)
{
    uint64_t to = offset + size;
    if (offset >= file.warm_from && to <= file.warm_to && uv_now(&file.world->loop) - file.warm_ms < file.world->bytes_warm_ms)
        return true;
    // Probe one byte per step: the kernel reads ahead in larger pieces.
    for (uint64_t at = offset; at < to; at = at + warm_step < to || at == to - 1 ? at + warm_step : to - 1) {
        char byte = 0;
        iovec part{&byte, 1};
        ssize_t count = preadv2(file.fd, &part, 1, static_cast<off_t>(at), RWF_NOWAIT);
        if (count == 0)
            break; // past the end of the file: sending reports that
        if (count < 0)
            return false; // EAGAIN: not in memory; EOPNOTSUPP: this file system cannot say
    }
    mark_warm(file, offset, to);
    return true;
}

static void forget_sound(uv_guard &guard)
{
    for (uint64_t &until : guard.sound_until_ms)
        until = until >= found_unreadable ? until : never_checked;
}

static void check_change_time(disk_file &file, uv_guard &guard, uint64_t now)
{
    if (guard.change_read_ms == now)
        return;
    struct stat info {};
    if (fstat(file.fd, &info) != 0 || !is_same(info.st_ctim, guard.changed))
        forget_sound(guard);
    guard.change_read_ms = now;
}

// A page that was evicted may come back from the disk with other bits. If the kernel cannot say, blocks are only re-checked after a while.
static bool is_resident(disk_file &file, uv_guard &guard, uint64_t from, uint64_t to, uint64_t now)
{
    bool is_fresh = now - guard.resident_ms < resident_step_ms;
    if (!guard.asks_residency || (is_fresh && from >= guard.resident_from && to <= guard.resident_to))
        return true;
    uint64_t ahead = std::min(std::max(to, from + resident_step_size), guard.size);
    if (!is_cached(file.fd, from, ahead))
        return is_cached(file.fd, from, to);
    guard.resident_ms = now;
    guard.resident_from = from;
    guard.resident_to = ahead;
    return true;
}

static error damage_of(uint64_t until)
{
    if (until == found_damaged)
        return make_error(error_code::corrupt);
    return until == found_unreadable ? make_error(error_code::io, "read of the content") : no_error;
}

// How many bytes from `offset` on are known to be sound.
static size_t sound_size(disk_file &file, uv_guard &guard, uint64_t offset, size_t size, error &out_err)
{
    if (offset >= guard.size) {
        out_err = make_error(error_code::end_of_stream, "the file is shorter than expected");
        return 0;
    }
    uint64_t now = uv_now(&file.world->loop);
    check_change_time(file, guard, now);
    uint64_t end = std::min<uint64_t>(offset + size, guard.size);
    uint64_t block = offset / content_block_size;
    out_err = damage_of(guard.sound_until_ms[block]);
    uint64_t to = offset;
    while (to < end && guard.sound_until_ms[block] > now && guard.sound_until_ms[block] < found_unreadable) {
        to = std::min<uint64_t>(end, (block + 1) * content_block_size);
        block++;
    }
    if (to == offset || is_resident(file, guard, offset, to, now))
        return static_cast<size_t>(to - offset);
    for (block = offset / content_block_size; block * content_block_size < to; block++)
        guard.sound_until_ms[block] = never_checked;
    return 0;
}

size_t uv_file_ready(disk_file &file, uint64_t offset, size_t size, error &out_err)
{
    if (file.guard != nullptr)
        return sound_size(file, *file.guard, offset, size, out_err);
    return is_warm(file, offset, size) ? size : 0;
}

// --- fetches

static void finish_fetch(uv_job *job);

static uv_fetch *start_fetch(disk_file &file, uint64_t offset, size_t size)
{
    auto *f = new uv_fetch;
    f->file = &file;
    f->fd = file.fd;
    f->offset = offset;
    f->size = size;
    if (file.guard != nullptr) {
        uint64_t end = std::min<uint64_t>(offset + size, file.guard->size);
        f->outcomes.resize(block_count(end) - offset / content_block_size);
        file.guard->fetches.push_back(f);
    }
    f->job.owner = f;
    f->job.run = run_fetch;
    f->job.done = finish_fetch;
    file.jobs++;
    uv_job_start(*file.world, f->job);
    return f;
}

// Finds a fetch in progress that covers the block at `offset`.
static uv_fetch *find_fetch(const disk_file &file, uint64_t offset)
{
    if (file.guard == nullptr)
        return nullptr;
    uint64_t block = offset / content_block_size;
    for (uv_fetch *f : file.guard->fetches) {
        uint64_t first = f->offset / content_block_size;
        if (block >= first && block < first + f->outcomes.size())
            return f;
    }
    return nullptr;
}

static void note_outcomes(disk_file &file, uv_fetch &f)
{
    uv_guard &guard = *file.guard;
    guard.fetches.erase(std::find(guard.fetches.begin(), guard.fetches.end(), &f));
    if (!is_same(f.changed, guard.changed)) {
        forget_sound(guard);
        guard.changed = f.changed;
    }
    uint64_t now = uv_now(&file.world->loop);
    uint64_t first = f.offset / content_block_size;
    for (size_t i = 0; i < f.outcomes.size(); i++) {
        uint64_t &until = guard.sound_until_ms[first + i];
        bool is_news = f.outcomes[i] == found_damaged && until != found_damaged;
        if (f.outcomes[i] != never_checked)
            until = f.outcomes[i];
        else if (until < found_unreadable)
            until = now + 1 + (f.is_racy ? std::min(racy_ms, file.world->bytes_warm_ms) : file.world->bytes_warm_ms);
        if (is_news && !file.closed && guard.on_damage != nullptr)
            guard.on_damage(guard.damage_arg, (first + i) * content_block_size);
    }
    guard.change_read_ms = 0; // a caller may have joined after the check began, so it must check again
    guard.asks_residency = f.is_cached;
}

static void finish_fetch(uv_job *job)
{
    auto *f = static_cast<uv_fetch *>(job->owner);
    disk_file *file = f->file;
    if (file->guard != nullptr)
        note_outcomes(*file, *f);
    else
        mark_warm(*file, f->offset, f->offset + f->size);
    uint64_t first = f->offset / content_block_size;
    // A completion may close other connections, which then leave `waits`.
    for (size_t i = 0; i < f->waits.size(); i++) {
        fetch_wait wait = f->waits[i];
        f->waits[i] = {};
        if (wait.conn != nullptr)
            uv_fetch_finished(wait.conn);
        else if (wait.on_done != nullptr)
            wait.on_done(wait.arg, file->guard != nullptr ? damage_of(f->outcomes[wait.offset / content_block_size - first]) : no_error);
    }
    file->jobs--;
    uv_file_release(file);
    delete f;
}

uv_fetch *uv_file_fetch(disk_file &file, uint64_t offset, size_t size, net_conn *conn)
{
    uv_fetch *f = find_fetch(file, offset);
    if (f == nullptr)
        f = start_fetch(file, offset, size);
    f->waits.push_back({.conn = conn});
    return f;
}

void uv_fetch_detach(uv_fetch *fetch, const net_conn *conn)
{
    for (fetch_wait &wait : fetch->waits) {
        if (wait.conn == conn)
            wait = {};
    }
}

// --- port/disk.h

void uv_guard_set(disk_file *file, uint64_t size, std::span<const uint64_t> sums, disk_on_damage on_damage, void *arg)
{
    CHECK(!file->closed && file->guard == nullptr && file->jobs == 0);
    CHECK(sums.size() == block_count(size));
    file->guard = std::make_unique<uv_guard>();
    file->guard->size = size;
    file->guard->sums.assign(sums.begin(), sums.end());
    file->guard->sound_until_ms.assign(sums.size(), never_checked);
    file->guard->on_damage = on_damage;
    file->guard->damage_arg = arg;
}

bool uv_guard_is_checked(disk_file *file, uint64_t offset)
{
    if (file->guard == nullptr)
        return true;
    error err;
    return sound_size(*file, *file->guard, offset, 1, err) > 0;
}

bool uv_guard_is_sound(const disk_file &file, const void *bytes, size_t size, uint64_t offset)
{
    if (file.guard == nullptr)
        return true;
    uint64_t end = std::min<uint64_t>(offset + content_block_size, file.guard->size);
    return offset % content_block_size == 0 && offset < file.guard->size && size == end - offset &&
           XXH3_64bits(bytes, size) == file.guard->sums[offset / content_block_size];
}

void uv_guard_check(disk_file *file, uint64_t offset, disk_on_done on_done, void *arg)
{
    CHECK(!file->closed);
    uv_fetch *f = find_fetch(*file, offset);
    if (f == nullptr)
        f = start_fetch(*file, offset, 1);
    f->waits.push_back({.on_done = on_done, .arg = arg, .offset = offset});
}

} // namespace etlnode
