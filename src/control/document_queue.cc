// SPDX-License-Identifier: MIT
// control/document_queue.cc: serializes changes of the cluster document.
//
// Owns     the copy that is being written, and the order of changes.
// Knows    document, port/meta.       Known by  role/proxy/document.cc.
// Normal   copy, apply, version + 1, swap, current, on_done.
// Fails    a storage error goes to its own change, and the next change starts from the last stored document. After a conflict (another
//          writer swapped), it reads the stored document and applies the change again, at most document_conflicts_max times.
#include "control/document_queue.h"

#include <algorithm>

#include "base/limits.h"
#include "base/log.h"
#include "port/clock.h"
#include "port/meta.h"

namespace etlnode {

static void run_posted(void *arg);

// Starts the next change in a later iteration, so that a long series of refused changes does not grow the stack.
static void end_running(document_queue &q, error err)
{
    document_change done = q.running;
    q.busy = false;
    q.conflicts = 0;
    q.next = cluster_document{};
    done.on_done(done.arg, err); // may add changes
    if (!q.waiting.empty() && !q.posted) {
        q.posted = true;
        clock_post(*q.e, run_posted, &q);
    }
    if (q.on_idle != nullptr && document_queue_is_idle(q))
        q.on_idle(q.arg);
}

static void attempt(document_queue &q);

static void on_read(void *arg, error err, uint64_t version, const std::string &text)
{
    document_queue &q = *static_cast<document_queue *>(arg);
    cluster_document stored;
    if (!err && version > 0)
        err = document_parse(text, stored);
    if (err || version == 0) {
        end_running(q, err ? err : make_error(error_code::corrupt, "the cluster document has vanished"));
        return;
    }
    q.current = std::move(stored);
    q.text = text;
    if (q.on_stored != nullptr)
        q.on_stored(q.arg);
    attempt(q);
}

static void on_swap(void *arg, error err)
{
    document_queue &q = *static_cast<document_queue *>(arg);
    if (err.code == error_code::conflict && q.conflicts < document_conflicts_max) {
        q.conflicts++;
        LOG(warn, "cluster", "version=%llu msg=\"another process changed the cluster document, trying again\"",
            static_cast<unsigned long long>(q.current.version));
        meta_read(*q.e, q.name, on_read, &q);
        return;
    }
    if (err) {
        LOG(error, "cluster", "version=%llu error=\"%s\" msg=\"the cluster document could not be stored\"",
            static_cast<unsigned long long>(q.next.version), error_text(err));
    } else {
        q.current = std::move(q.next);
        q.text = std::move(q.next_text);
        q.has_term = true;
        if (q.on_stored != nullptr)
            q.on_stored(q.arg);
    }
    end_running(q, err);
}

// Requires: `running` is the change to make, and nothing is in progress.
static void attempt(document_queue &q)
{
    error err = q.may_change != nullptr && !q.running.is_recovery ? q.may_change(q.arg) : no_error;
    q.next = q.current;
    if (!err)
        err = q.running.apply(q.running.arg, q.next);
    if (err) {
        end_running(q, err);
        return;
    }
    if (q.amend != nullptr)
        q.amend(q.arg, q.next);
    bool has_own_term = document_identify(q.next).tag != document_identify(q.current).tag; // a recovered document
    if (!q.has_term && !has_own_term) {
        if (q.tag == 0)
            q.tag = rng_next(q.e->random);
        document_begin_term(q.next, q.tag);
    }
    q.next.version = std::max(q.next.version, q.current.version) + 1;
    q.next.changed_ns = clock_wall_ns(*q.e);
    q.next_text = document_print(q.next, q.printer);
    if (q.next_text.size() > document_size_max && q.next_text.size() > q.text.size()) { // a change that shrinks it is always allowed
        end_running(q, make_error(error_code::no_space, "the cluster document would be larger than a node accepts"));
        return;
    }
    q.next.digest = document_digest(q.next_text);
    q.busy = true;
    meta_swap(*q.e, q.name, q.current.version, q.next.version, q.next_text, on_swap, &q);
}

static void run_posted(void *arg)
{
    document_queue &q = *static_cast<document_queue *>(arg);
    q.posted = false;
    if (q.waiting.empty())
        return;
    q.running = q.waiting.front();
    q.waiting.pop_front();
    attempt(q);
}

void document_queue_add(document_queue &q, const document_change &change)
{
    q.waiting.push_back(change);
    if (q.busy || q.posted)
        return;
    q.posted = true;
    clock_post(*q.e, run_posted, &q);
}

bool document_queue_is_idle(const document_queue &q) { return !q.busy && !q.posted && q.waiting.empty(); }

} // namespace etlnode
