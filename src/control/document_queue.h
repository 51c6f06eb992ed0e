// SPDX-License-Identifier: MIT
// control/document_queue.h: changes of the cluster document, one at a time. Each one is durable before its caller is called back.
#pragma once

#include <deque>
#include <string>

#include "base/error.h"
#include "control/document.h"
#include "port/env.h"

namespace etlnode {

struct document_change {
    // Edits `next`, a copy of the current document. An error refuses the change, and nothing is stored. It may run again if another writer
    // changed the stored document meanwhile.
    error (*apply)(void *arg, cluster_document &next) = nullptr;
    // Called once: the change is durable and current, or it was refused, or it could not be stored.
    void (*on_done)(void *arg, error err) = nullptr;
    void *arg = nullptr;
    bool is_recovery = false; // puts another document in place of the current one, which may be refused to all other changes
};

struct document_queue {
    env *e = nullptr;
    std::string name = "cluster"; // of the document in port/meta.h
    cluster_document current;
    std::string text;                       // of `current`, byte for byte as stored: targets receive it, and its digest is computed from it
    void (*on_stored)(void *arg) = nullptr; // called when `current` has changed, before the change's on_done
    void (*on_idle)(void *arg) = nullptr;   // called when nothing is under way any more; null: nobody wants to hear it
    // Null, or says whether the current document may be changed at all. Recoveries are not asked about.
    error (*may_change)(void *arg) = nullptr;
    // Null, or adds what follows from a change, whatever made it.
    void (*amend)(void *arg, cluster_document &next) = nullptr;
    void *arg = nullptr;

    std::deque<document_change> waiting;
    document_change running;
    cluster_document next;
    std::string next_text;
    document_printer printer;
    bool has_term = false; // this process has begun its term
    uint64_t tag = 0;
    bool busy = false; // a read or swap is in progress
    bool posted = false;
    unsigned conflicts = 0;
};

// Never calls back before it returns. Changes happen in the order in which they were added.
void document_queue_add(document_queue &q, const document_change &change);
// True if nothing is in progress: the queue may be freed.
bool document_queue_is_idle(const document_queue &q);

} // namespace etlnode
