// SPDX-License-Identifier: MIT
// etlctl/folder_transfer.cc: stores, reads, removes and copies one object, and tries again what may succeed later.
//
// Normal   The request goes straight to the target that the cluster map names. A target that does not own the object sends it on.
// Fails    An unreachable target, a cut connection, 503: again after a pause, by way of the proxy, which knows who owns the object now.
//          Each of these requests may be repeated, because an object is stored as a whole or not at all.
#include "etlctl/folder_transfer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <unistd.h>

#include "base/check.h"
#include "base/text.h"
#include "codec/url.h"
#include "etlctl/name.h"
#include "node/api.h"

namespace etlnode::etlctl {

static constexpr uint64_t small_size_max = 64 * 1024; // sent in one piece with the head
static constexpr int redirects_max = 5;
static constexpr uint64_t stall_s = 120;
static constexpr uint64_t pauses_ms[] = {100, 300, 1'000, 2'000, 3'000, 5'000};

static std::string object_of(const folder_transfer &t) { return t.shared->task->prefix + t.item.name; }

static std::string doing_of(const folder_transfer &t)
{
    const folder_task &task = *t.shared->task;
    std::string uri = name_object_uri(task.bucket, object_of(t));
    switch (t.item.action) {
    case folder_action::store: return "cannot store object " + uri;
    case folder_action::read: return "cannot read object " + uri + (task.etl.empty() ? "" : " through ETL " + task.etl);
    case folder_action::remove: return "cannot remove object " + uri;
    case folder_action::copy: return "cannot copy object " + uri;
    case folder_action::remove_file: return "cannot remove file " + t.item.name;
    }
    return {};
}

static failure fail_with(const folder_transfer &t, std::string why) { return failure_make(exit_code::other, doing_of(t), std::move(why)); }

// What moves counts at once, and no longer if it has to move again.
static void count(folder_transfer &t, uint64_t bytes)
{
    t.counted += bytes;
    t.shared->bytes += bytes;
}

static void uncount(folder_transfer &t) { t.shared->bytes -= std::exchange(t.counted, 0); }

// ---- the file that is stored

static bool has_changed(const folder_transfer &t)
{
    struct stat now = {};
    return fstat(t.fd, &now) != 0 || now.st_size != t.status.st_size || now.st_mtim.tv_sec != t.status.st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != t.status.st_mtim.tv_nsec;
}

static ssize_t read_some(int fd, char *buffer, size_t size)
{
    ssize_t got = -1;
    do {
        got = read(fd, buffer, size);
    } while (got < 0 && errno == EINTR);
    return got;
}

static bool read_small(folder_transfer &t)
{
    t.body.resize(t.left);
    size_t done = 0;
    while (done < t.body.size()) {
        ssize_t got = read_some(t.fd, t.body.data() + done, t.body.size() - done);
        if (got < 0)
            t.problem = text_format("cannot read the file: %s", strerror(errno));
        if (got <= 0)
            break;
        done += static_cast<size_t>(got);
    }
    // A file of /proc says that it is empty, and is not.
    char more = 0;
    bool has_more = t.problem.empty() && read_some(t.fd, &more, 1) > 0;
    if (t.problem.empty() && (done < t.body.size() || has_more || has_changed(t)))
        t.problem = "the file changed while it was read";
    XXH64_update(t.hash, t.body.data(), t.body.size());
    return t.problem.empty();
}

static size_t on_read(void *arg, char *buffer, size_t size)
{
    folder_transfer &t = *static_cast<folder_transfer *>(arg);
    size = static_cast<size_t>(std::min<uint64_t>(size, t.left));
    if (size == 0)
        return 0;
    ssize_t got = read_some(t.fd, buffer, size);
    if (got < 0)
        t.problem = text_format("cannot read the file: %s", strerror(errno));
    else if (got == 0 || (static_cast<uint64_t>(got) == t.left && has_changed(t)))
        t.problem = "the file changed while it was read";
    if (!t.problem.empty())
        return SIZE_MAX; // before its last byte, so nothing is stored
    t.left -= static_cast<uint64_t>(got);
    XXH64_update(t.hash, buffer, static_cast<size_t>(got));
    count(t, static_cast<uint64_t>(got));
    return static_cast<size_t>(got);
}

static bool open_source(folder_transfer &t)
{
    t.fd = folder_read(*t.shared->root, t.item.path.empty() ? t.item.name : t.item.path);
    if (t.fd < 0 || fstat(t.fd, &t.status) != 0)
        t.problem = errno == ENOENT ? "the file is no longer there" : text_format("cannot open the file: %s", strerror(errno));
    else if (!S_ISREG(t.status.st_mode))
        t.problem = S_ISDIR(t.status.st_mode) ? "it is a folder; -r stores what is in it" : "it is not a file";
    return t.problem.empty();
}

// From the first byte on. False with the problem.
static bool rewind_source(folder_transfer &t)
{
    t.left = static_cast<uint64_t>(t.status.st_size);
    XXH64_reset(t.hash, 0);
    if (lseek(t.fd, 0, SEEK_SET) != 0)
        t.problem = text_format("cannot read the file: %s", strerror(errno));
    return t.problem.empty() && (t.left > small_size_max || read_small(t));
}

// ---- the file that is read

static bool on_begin(void *arg, const http_reply &)
{
    folder_transfer &t = *static_cast<folder_transfer *>(arg);
    return folder_file_open(*t.shared->root, t.item.name, t.file, t.problem, t.shared->is_full);
}

static bool on_write(void *arg, const char *bytes, size_t size)
{
    folder_transfer &t = *static_cast<folder_transfer *>(arg);
    XXH64_update(t.hash, bytes, size);
    count(t, size);
    return folder_file_write(t.file, bytes, size, t.problem, t.shared->is_full);
}

// ---- requests

static const char *method_of(folder_action action)
{
    switch (action) {
    case folder_action::store:
    case folder_action::copy: return "PUT";
    case folder_action::read: return "GET";
    case folder_action::remove:
    case folder_action::remove_file: return "DELETE";
    }
    return "";
}

static std::string choose_url(folder_transfer &t)
{
    folder_shared &shared = *t.shared;
    const folder_task &task = *shared.task;
    std::string object = object_of(t);
    std::string path = std::string(path_objects) + "/" + url_encode(task.bucket) + "/" + url_encode_path(object);
    std::string query = t.item.action == folder_action::read ? task.etl_query : std::string();
    if (t.item.action == folder_action::copy)
        query = std::string(query_object_to) + "=" + url_encode_uname("ais/@#/" + task.to_bucket + "/" + task.to_prefix + t.item.name);
    // The proxy checks both ends of a copy, and what failed may be somewhere else by now.
    std::string target;
    if (t.tries == 0 && t.item.action != folder_action::copy) {
        target_map_refresh(*shared.s, shared.map);
        target = target_map_url(shared.map, task.bucket, object);
    }
    t.asks_proxy = target.empty() && t.item.action == folder_action::store;
    bool changes = t.item.action == folder_action::store || t.item.action == folder_action::remove;
    if (!target.empty() && changes)
        query = target_map_query(shared.map);
    return (target.empty() ? session_url(*shared.s, path) : target + path) + (query.empty() ? "" : "?" + query);
}

void transfer_prepare(folder_transfer &t)
{
    const folder_task &task = *t.shared->task;
    uncount(t);
    std::string url = t.location.empty() ? choose_url(t) : std::exchange(t.location, {});
    http_request request = session_request(*t.shared->s, method_of(t.item.action), std::move(url), 0);
    request.arg = &t;
    request.buffer_size = small_size_max;
    request.stall_s = task.etl.empty() ? stall_s : 0; // a transform may take longer for its first byte
    request.follow = t.item.action != folder_action::store;
    request.has_body = t.item.action == folder_action::store || t.item.action == folder_action::copy;
    if (t.item.action == folder_action::read) {
        XXH64_reset(t.hash, 0);
        request.begin = on_begin;
        request.write = on_write;
    } else if (t.item.action == folder_action::store && !t.asks_proxy) {
        request.body = t.body;
        if (t.left > small_size_max) {
            request.read = on_read;
            request.read_size = static_cast<int64_t>(t.left);
        }
    }
    t.call.request = std::move(request);
}

transfer_step transfer_begin(folder_transfer &t, failure &out_failure)
{
    t.tries = 0;
    t.redirects = 0;
    t.counted = 0;
    if (t.hash == nullptr)
        t.hash = XXH64_createState();
    CHECK(t.hash != nullptr);
    if (t.item.action == folder_action::remove_file) {
        std::string why;
        if (folder_remove(*t.shared->root, t.item.name, why))
            return transfer_step::done;
        out_failure = fail_with(t, why);
        return transfer_step::failed;
    }
    if (t.item.action == folder_action::store && (!open_source(t) || !rewind_source(t))) {
        out_failure = fail_with(t, t.problem);
        return transfer_step::failed;
    }
    transfer_prepare(t);
    return transfer_step::started;
}

// ---- answers

static failure check_sum(folder_transfer &t)
{
    const http_reply &reply = t.call.reply;
    bool has_sum = text_equal_ignore_case(http_header(reply, header_checksum_type), checksum_type_xxhash2) &&
                   !http_header(reply, header_checksum_value).empty();
    bool is_plain = t.item.action == folder_action::store || (t.item.action == folder_action::read && t.shared->task->etl.empty());
    std::string theirs = text_lower(http_header(reply, header_checksum_value));
    std::string ours = text_hex(XXH64_digest(t.hash));
    if (!has_sum || !is_plain || theirs == ours)
        return {};
    failure f = fail_with(
        t, text_format("checksum mismatch: the server has %s, this program has %s", text_escape(theirs).c_str(), ours.c_str()));
    f.code = "checksum_mismatch";
    f.request_id = t.shared->s->request_id;
    return f;
}

static failure finish(folder_transfer &t)
{
    if (t.item.action == folder_action::store && t.left <= small_size_max)
        count(t, t.body.size());
    failure f = check_sum(t);
    if (f || t.item.action != folder_action::read)
        return f;
    std::string why;
    return folder_file_commit(t.file, why) ? failure{} : fail_with(t, why);
}

// A target or the proxy names another target. The body is sent from its beginning.
static bool is_sent_on(folder_transfer &t)
{
    const http_reply &reply = t.call.reply;
    std::string_view location = http_header(reply, "Location");
    bool is_redirect = reply.outcome == http_outcome::answered && (reply.status == 307 || reply.status == 308 || reply.status == 301);
    if (t.item.action != folder_action::store || !is_redirect || !location.starts_with("http") || t.redirects == redirects_max)
        return false;
    ++t.redirects;
    t.location = location;
    bool was_asking = t.asks_proxy;
    t.asks_proxy = false;
    return was_asking || rewind_source(t);
}

transfer_step transfer_answered(folder_transfer &t, bool may_retry, failure &out_failure)
{
    const http_reply &reply = t.call.reply;
    if (is_sent_on(t))
        return transfer_step::again;
    failure f = session_failure(*t.shared->s, reply, doing_of(t));
    if (!f && t.asks_proxy)
        f = fail_with(t, text_format("the proxy answered %d where a redirect was expected", reply.status));
    if (t.item.action == folder_action::remove && f.exit == exit_code::not_found && f.code == "object_not_found")
        return transfer_step::done; // somebody else was faster
    if (!t.problem.empty())
        f = fail_with(t, t.problem);
    if (!f)
        f = finish(t);
    if (!f)
        return transfer_step::done;
    folder_file_drop(t.file);
    uncount(t);
    f.bucket = t.shared->task->bucket;
    f.object = object_of(t);
    f.etl = t.shared->task->etl;
    bool is_passing = t.problem.empty() && (f.retryable || f.code == "checksum_mismatch" || reply.outcome == http_outcome::timed_out);
    if (may_retry && is_passing && static_cast<size_t>(t.tries) < std::size(pauses_ms) &&
        (t.item.action != folder_action::store || rewind_source(t))) {
        t.due_ms = session_clock_ms() + pauses_ms[t.tries++];
        t.redirects = 0;
        t.shared->map.fetched_ms = 0; // the targets may be others by now
        return transfer_step::waits;
    }
    out_failure = t.problem.empty() ? f : fail_with(t, t.problem);
    return transfer_step::failed;
}

void transfer_reset(folder_transfer &t)
{
    if (t.fd >= 0)
        close(t.fd);
    t.fd = -1;
    folder_file_drop(t.file);
    t.problem.clear();
    t.location.clear();
    t.body.clear();
    t.left = 0;
    t.asks_proxy = false;
    t.state = transfer_state::idle;
}

} // namespace etlnode::etlctl
