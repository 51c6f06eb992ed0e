// SPDX-License-Identifier: MIT
// control/recovery.h: which cluster document goes on, when the proxy has lost its own or nodes hold different ones. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/document.h"

namespace etlnode {

// One document that was found, and the nodes that hold it.
struct document_copy {
    cluster_document document;
    std::vector<std::string> holders; // node ids
};

struct recovery_choice {
    size_t chosen = SIZE_MAX;         // index of a copy; SIZE_MAX: none, `problem` says why
    std::vector<size_t> tips;         // copies that no other copy descends from; one: all others are its ancestors
    std::vector<std::string> missing; // targets that the chosen document names and that hold none of the copies
    std::string problem;
};

// Chooses the copy that all others are ancestors of. `take`: the id of a node whose document goes on whatever the others hold; empty: none.
recovery_choice recovery_choose(std::span<const document_copy> copies, std::string_view take);

enum class recovery_kind : uint8_t {
    adopted,   // every target of the document was heard: it holds every acknowledged change
    recovered, // targets may be missing, and the lost document may have started ETLs that none of the copies knows
};
// The document that continues copies[chosen] in a term of its own, still with the number of the highest version found: storing it gives it
// the next one. It supersedes the copies that are not its ancestors.
cluster_document recovery_continue(std::span<const document_copy> copies, size_t chosen, uint64_t tag, recovery_kind kind);

// How `other` differs from `document`, a sentence each: buckets, ETLs and targets.
std::vector<std::string> recovery_differences(const cluster_document &document, const cluster_document &other);

// For --force-old: what a backup puts back into the `newest` document: its ETLs, and its buckets beside those that are there. If both have
// a bucket of one name but of different times, `takes_backup` says whose goes on.
struct restore_result {
    cluster_document document;
    std::vector<std::string> disputed; // names of such buckets
};
restore_result recovery_restore(const cluster_document &newest, const cluster_document &backup, bool takes_backup);

} // namespace etlnode
