// SPDX-License-Identifier: MIT
// test/contract/power_vfs.h: SQLite's files on a disk that loses power, fails and lies: a VFS over the real one.
//
// The real files act as the page cache, which a running process reads. Beside them the VFS keeps what would be on the platter: writes
// become pending, and xSync makes its file's pending writes durable. power_fail leaves, for every file, its durable content and a subset of
// the pending writes drawn from the seed, whole or torn at sectors. Removed files may come back, and created ones may be gone. power_kill
// leaves the page cache, like kill -9. A failed sync behaves like the kernel's: pending writes count as clean from then on, whether written
// or not, and no later sync writes them.
//
// There is one process and one disk. The VFS follows the database's file, its log and its rollback journal in any folder; other files pass
// straight through.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/check.h"
#include "base/rng.h"

namespace etlnode {

inline constexpr size_t power_sector = 512;

struct power_pending {
    bool is_truncation = false;
    uint64_t offset = 0; // or the new size
    std::string bytes = {};
};

struct power_file {
    std::string durable;
    std::vector<power_pending> pending;
    bool exists = false; // in the page cache
    bool name_is_durable = false;
    bool has_old = false; // an earlier file of this name, whose removal is not durable yet
    std::string old_content;
};

// sync_no_space: lack of space shows only at the sync (delayed allocation, quotas, NFS).
enum class power_fault : uint8_t { none, eio, no_space, short_write, sync_fails, sync_no_space };
inline constexpr size_t power_fault_count = 5; // without none

struct power_disk {
    std::mutex mutex;
    sqlite3_vfs *real = nullptr;
    std::map<std::string, power_file> files;
    rng random;
    uint64_t operations = 0;       // writes, truncations, syncs and removals so far
    uint64_t dies_at = UINT64_MAX; // this operation is the first that does not happen
    bool is_dead = false;          // everything fails until power_on
    power_fault fault = power_fault::none;
    uint64_t fault_at = UINT64_MAX; // the fault hits the first operation of its kind from this one on
    uint64_t fault_count = 0;       // how many operations fail
    uint64_t faults_done = 0;
    int checkpoint_pages = 0; // set after a connection's first PRAGMA: the log length that causes a checkpoint; 0: SQLite's default
    uint64_t syncs = 0, truncations = 0, database_writes = 0; // statistics of the run
};

inline power_disk power; // one per process, because SQLite has one default VFS

struct power_handle {
    sqlite3_file base;
    power_file *file; // null: not followed
    bool is_database;
    sqlite3_file *real;
    sqlite3 *db; // the connection that uses the file
};

inline power_handle &power_of(sqlite3_file *file) { return *reinterpret_cast<power_handle *>(file); }

inline void power_apply(std::string &content, const power_pending &change, uint64_t from, uint64_t size)
{
    if (change.is_truncation) {
        content.resize(change.offset);
        return;
    }
    if (content.size() < change.offset + from + size)
        content.resize(change.offset + from + size); // bytes that were never written in between are zeros
    content.replace(change.offset + from, size, change.bytes, from, size);
}

// Some of the changes reach the platter: each one whole, not at all, or sector by sector.
inline void power_apply_some(std::string &content, const std::vector<power_pending> &pending)
{
    uint64_t manner = rng_below(power.random, 4); // 0: none, 1: all, else a subset
    for (const power_pending &change : pending) {
        uint64_t fate = manner < 2 ? manner : rng_below(power.random, 3);
        if (fate == 0)
            continue;
        if (fate == 1 || change.is_truncation) {
            power_apply(content, change, 0, change.bytes.size());
            continue;
        }
        for (uint64_t at = 0; at < change.bytes.size();) {
            uint64_t size = std::min<uint64_t>(power_sector - (change.offset + at) % power_sector, change.bytes.size() - at);
            if (rng_below(power.random, 2) == 0)
                power_apply(content, change, at, size);
            at += size;
        }
    }
}

// Counts an operation. Returns an SQLite error code if it must not happen.
inline int power_step(bool is_sync, int io_error)
{
    power.operations++;
    if (power.operations >= power.dies_at)
        power.is_dead = true;
    if (power.is_dead)
        return io_error;
    bool is_kind = is_sync == (power.fault >= power_fault::sync_fails);
    if (power.fault == power_fault::none || !is_kind || power.operations < power.fault_at || power.faults_done >= power.fault_count)
        return SQLITE_OK;
    power.faults_done++;
    return power.fault == power_fault::no_space ? SQLITE_FULL : io_error;
}

// Methods of a file.

inline int power_close(sqlite3_file *file)
{
    sqlite3_file *real = power_of(file).real;
    int result = real->pMethods->xClose(real);
    ::operator delete(real);
    return result;
}

inline int power_read(sqlite3_file *file, void *buffer, int size, sqlite3_int64 offset)
{
    sqlite3_file *real = power_of(file).real;
    return real->pMethods->xRead(real, buffer, size, offset);
}

inline int power_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    power_handle &h = power_of(file);
    std::lock_guard<std::mutex> guard(power.mutex);
    if (h.file == nullptr)
        return h.real->pMethods->xWrite(h.real, bytes, size, offset);
    int refused = power_step(false, SQLITE_IOERR_WRITE);
    bool is_short = refused != SQLITE_OK && !power.is_dead && power.fault == power_fault::short_write;
    if (refused != SQLITE_OK && !is_short)
        return refused;
    int count = is_short ? static_cast<int>(rng_below(power.random, static_cast<uint64_t>(size))) : size;
    power.database_writes += h.is_database ? 1 : 0;
    if (count > 0) {
        int result = h.real->pMethods->xWrite(h.real, bytes, count, offset);
        if (result != SQLITE_OK)
            return result;
        h.file->pending.push_back(
            {false, static_cast<uint64_t>(offset), std::string(static_cast<const char *>(bytes), static_cast<size_t>(count))});
    }
    return refused;
}

inline int power_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    power_handle &h = power_of(file);
    std::lock_guard<std::mutex> guard(power.mutex);
    if (h.file == nullptr)
        return h.real->pMethods->xTruncate(h.real, size);
    int refused = power_step(false, SQLITE_IOERR_TRUNCATE);
    if (refused != SQLITE_OK)
        return refused;
    power.truncations++;
    int result = h.real->pMethods->xTruncate(h.real, size);
    if (result == SQLITE_OK)
        h.file->pending.push_back({true, static_cast<uint64_t>(size), {}});
    return result;
}

inline int power_sync(sqlite3_file *file, int)
{
    power_handle &h = power_of(file);
    std::lock_guard<std::mutex> guard(power.mutex);
    if (h.file == nullptr)
        return SQLITE_OK;
    int refused = power_step(true, SQLITE_IOERR_FSYNC);
    if (power.is_dead)
        return refused;
    power.syncs++;
    if (refused != SQLITE_OK) {
        power_apply_some(h.file->durable, h.file->pending);
        h.file->pending.clear();
        return refused;
    }
    for (const power_pending &change : h.file->pending)
        power_apply(h.file->durable, change, 0, change.bytes.size());
    h.file->pending.clear();
    // SQLite's unix VFS syncs the directory together with the first sync of a new file.
    h.file->name_is_durable = true;
    h.file->has_old = false;
    return SQLITE_OK;
}

inline int power_size(sqlite3_file *file, sqlite3_int64 *out_size)
{
    sqlite3_file *real = power_of(file).real;
    return real->pMethods->xFileSize(real, out_size);
}

inline int power_lock(sqlite3_file *file, int level)
{
    sqlite3_file *real = power_of(file).real;
    return real->pMethods->xLock(real, level);
}

inline int power_unlock(sqlite3_file *file, int level)
{
    sqlite3_file *real = power_of(file).real;
    return real->pMethods->xUnlock(real, level);
}

inline int power_is_reserved(sqlite3_file *file, int *out_reserved)
{
    sqlite3_file *real = power_of(file).real;
    return real->pMethods->xCheckReservedLock(real, out_reserved);
}

inline int power_control(sqlite3_file *file, int what, void *arg)
{
    power_handle &h = power_of(file);
    if (what == SQLITE_FCNTL_PDB)
        h.db = *static_cast<sqlite3 **>(arg);
    if (what == SQLITE_FCNTL_PRAGMA && h.db != nullptr && power.checkpoint_pages > 0)
        (void)sqlite3_wal_autocheckpoint(h.db, power.checkpoint_pages);
    return h.real->pMethods->xFileControl(h.real, what, arg);
}

inline int power_sector_size(sqlite3_file *file)
{
    sqlite3_file *real = power_of(file).real;
    return real->pMethods->xSectorSize(real);
}

inline int power_characteristics(sqlite3_file *file)
{
    sqlite3_file *real = power_of(file).real;
    return real->pMethods->xDeviceCharacteristics(real);
}

inline int power_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    sqlite3_file *real = power_of(file).real;
    return real->pMethods->xShmMap(real, page, size, extend, out);
}

inline int power_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    sqlite3_file *real = power_of(file).real;
    return real->pMethods->xShmLock(real, offset, count, flags);
}

inline void power_shm_barrier(sqlite3_file *file)
{
    sqlite3_file *real = power_of(file).real;
    real->pMethods->xShmBarrier(real);
}

inline int power_shm_unmap(sqlite3_file *file, int remove)
{
    sqlite3_file *real = power_of(file).real;
    return real->pMethods->xShmUnmap(real, remove);
}

inline constexpr sqlite3_io_methods power_methods = {
    .iVersion = 2, // without memory-mapped reading
    .xClose = power_close,
    .xRead = power_read,
    .xWrite = power_write,
    .xTruncate = power_truncate,
    .xSync = power_sync,
    .xFileSize = power_size,
    .xLock = power_lock,
    .xUnlock = power_unlock,
    .xCheckReservedLock = power_is_reserved,
    .xFileControl = power_control,
    .xSectorSize = power_sector_size,
    .xDeviceCharacteristics = power_characteristics,
    .xShmMap = power_shm_map,
    .xShmLock = power_shm_lock,
    .xShmBarrier = power_shm_barrier,
    .xShmUnmap = power_shm_unmap,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

// Methods of the VFS.

inline int power_open(sqlite3_vfs *, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    power_handle &h = power_of(file);
    h = {};
    h.real = static_cast<sqlite3_file *>(::operator new(static_cast<size_t>(power.real->szOsFile)));
    std::memset(h.real, 0, static_cast<size_t>(power.real->szOsFile));
    std::lock_guard<std::mutex> guard(power.mutex);
    bool is_followed = name != nullptr && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
    bool is_new = is_followed && access(name, F_OK) != 0;
    int result = power.is_dead && is_new ? SQLITE_CANTOPEN : power.real->xOpen(power.real, name, h.real, flags, out_flags);
    if (result != SQLITE_OK) {
        if (h.real->pMethods != nullptr)
            h.real->pMethods->xClose(h.real);
        ::operator delete(h.real);
        return result;
    }
    if (is_followed) {
        h.is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
        h.file = &power.files[name];
        if (is_new) {
            bool was_durable = h.file->name_is_durable; // its removal is not durable yet
            h.file->has_old = h.file->has_old || was_durable;
            if (was_durable)
                h.file->old_content = h.file->durable;
            h.file->durable.clear();
            h.file->pending.clear();
            h.file->name_is_durable = false;
        }
        h.file->exists = true;
    }
    h.base.pMethods = &power_methods;
    return SQLITE_OK;
}

inline int power_remove(sqlite3_vfs *, const char *name, int sync_dir)
{
    std::lock_guard<std::mutex> guard(power.mutex);
    auto found = power.files.find(name);
    if (found == power.files.end())
        return power.real->xDelete(power.real, name, sync_dir);
    int refused = power_step(false, SQLITE_IOERR_DELETE);
    if (refused != SQLITE_OK)
        return refused;
    int result = power.real->xDelete(power.real, name, 0);
    power_file &f = found->second;
    if (result == SQLITE_OK)
        f.exists = false;
    if (result == SQLITE_OK && sync_dir != 0)
        f.name_is_durable = f.has_old = false;
    return result;
}

inline int power_access(sqlite3_vfs *, const char *name, int flags, int *out) { return power.real->xAccess(power.real, name, flags, out); }
inline int power_full_path(sqlite3_vfs *, const char *name, int size, char *out)
{
    return power.real->xFullPathname(power.real, name, size, out);
}
inline int power_randomness(sqlite3_vfs *, int size, char *out) { return power.real->xRandomness(power.real, size, out); }
inline int power_sleep(sqlite3_vfs *, int us) { return power.real->xSleep(power.real, us); }
inline int power_time(sqlite3_vfs *, double *out) { return power.real->xCurrentTime(power.real, out); }
inline int power_last_error(sqlite3_vfs *, int, char *) { return power.fault == power_fault::sync_no_space ? ENOSPC : EIO; }

// Every database opened from now on is on the failing disk.
inline void power_install()
{
    static sqlite3_vfs vfs{};
    if (power.real != nullptr)
        return;
    power.real = sqlite3_vfs_find(nullptr);
    vfs.iVersion = 1;
    vfs.szOsFile = sizeof(power_handle);
    vfs.mxPathname = power.real->mxPathname;
    vfs.zName = "power";
    vfs.xOpen = power_open;
    vfs.xDelete = power_remove;
    vfs.xAccess = power_access;
    vfs.xFullPathname = power_full_path;
    vfs.xRandomness = power_randomness;
    vfs.xSleep = power_sleep;
    vfs.xCurrentTime = power_time;
    vfs.xGetLastError = power_last_error;
    CHECK(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}

// A new, empty disk.
inline void power_begin(uint64_t seed)
{
    power.files.clear();
    power.random = rng{seed};
    power.operations = power.syncs = power.truncations = power.database_writes = 0;
    power.dies_at = UINT64_MAX;
    power.is_dead = false;
    power.fault = power_fault::none;
    power.fault_at = UINT64_MAX;
    power.fault_count = power.faults_done = 0;
}

// Does what fsync of the directory does, which SQLite's VFS does not see: makes the present names durable.
inline void power_sync_names()
{
    std::lock_guard<std::mutex> guard(power.mutex);
    for (auto &[path, f] : power.files) {
        f.name_is_durable = f.exists;
        f.has_old = false;
    }
}

// From the next operation on, nothing happens any more. This is the first half of power_fail and power_kill; the database is closed after
// it.
inline void power_stop()
{
    std::lock_guard<std::mutex> guard(power.mutex);
    power.is_dead = true;
}

inline void power_go_on()
{
    power.dies_at = UINT64_MAX;
    power.is_dead = false;
    power.fault = power_fault::none;
}

inline void power_write_file(const std::string &path, const std::string &content)
{
    int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    for (size_t at = 0; at < content.size();) {
        ssize_t count = pwrite(fd, content.data() + at, content.size() - at, static_cast<off_t>(at));
        CHECK(count > 0);
        at += static_cast<size_t>(count);
    }
    close(fd);
}

// Requires: power_stop, then everything closed. Leaves the files as a machine finds them after a power cut.
inline void power_fail()
{
    for (auto &[path, f] : power.files) {
        bool has_name = f.name_is_durable;
        if (!f.exists)
            has_name = has_name && rng_below(power.random, 2) == 0; // removed, but the removal may not have reached the disk
        else if (!has_name)
            has_name = rng_below(power.random, 2) == 0;
        if (f.exists && !f.name_is_durable && f.has_old && rng_below(power.random, 2) == 0) {
            f.durable = f.old_content;
            has_name = true;
        } else if (f.exists) {
            power_apply_some(f.durable, f.pending);
        }
        f.pending.clear();
        f.exists = f.name_is_durable = has_name;
        f.has_old = false;
        unlink((path + "-shm").c_str());
        if (has_name)
            power_write_file(path, f.durable);
        else
            unlink(path.c_str());
        if (!has_name)
            f.durable.clear();
    }
    power_go_on();
}

// Requires: power_stop, then everything closed. Leaves the page cache: pending writes stay pending.
inline void power_kill() { power_go_on(); }

} // namespace etlnode
