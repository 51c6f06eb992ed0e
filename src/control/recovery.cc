// SPDX-License-Identifier: MIT
// control/recovery.cc: chooses among copies of the cluster document, and continues the chosen one.
//
// Knows    document.h.        Known by  role/proxy.
// Normal   one copy descends from all others. It goes on in a new term, so that every node takes it.
// Fails    copies of two clusters, or of lines that diverged: people choose, and the result lists what it supersedes.
#include "control/recovery.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"

namespace etlnode {

static bool is_ancestor(const cluster_document &old, const cluster_document &document)
{
    document_relation relation = document_relate(document_identify(old), document);
    return relation == document_relation::ancestor || relation == document_relation::equal;
}

static std::string holders_text(const document_copy &copy)
{
    std::string text;
    for (const std::string &id : copy.holders)
        text += (text.empty() ? "" : ", ") + id;
    return text.empty() ? std::string("nobody") : text;
}

static std::string tips_text(std::span<const document_copy> copies, const std::vector<size_t> &tips)
{
    std::string text;
    for (size_t i : tips)
        text += (text.empty() ? "" : "; ") + document_identity_text(document_identify(copies[i].document)) + " is held by " +
                holders_text(copies[i]);
    return text;
}

// One index for each document that no other copy descends from.
static std::vector<size_t> find_tips(std::span<const document_copy> copies)
{
    std::vector<size_t> tips;
    for (size_t i = 0; i < copies.size(); i++) {
        const cluster_document &own = copies[i].document;
        bool is_passed = false;
        for (size_t j = 0; j < copies.size() && !is_passed; j++) {
            bool is_same = document_identify(own) == document_identify(copies[j].document);
            is_passed = is_same ? j < i : is_ancestor(own, copies[j].document);
        }
        if (!is_passed)
            tips.push_back(i);
    }
    return tips;
}

static std::vector<std::string> missing_targets(std::span<const document_copy> copies, const cluster_document &document)
{
    std::vector<std::string> missing;
    for (const cluster_node &node : document.nodes) {
        auto holds = [&](const document_copy &copy) {
            return std::find(copy.holders.begin(), copy.holders.end(), node.id) != copy.holders.end();
        };
        if (node.is_target && std::none_of(copies.begin(), copies.end(), holds))
            missing.push_back(node.id);
    }
    return missing;
}

recovery_choice recovery_choose(std::span<const document_copy> copies, std::string_view take)
{
    recovery_choice choice;
    if (copies.empty()) {
        choice.problem = "no node that answered holds a cluster document";
        return choice;
    }
    for (const document_copy &copy : copies) {
        if (copy.document.uuid != copies[0].document.uuid) {
            choice.problem = "the nodes belong to different clusters: " + copies[0].document.uuid + " (" + holders_text(copies[0]) +
                             ") and " + copy.document.uuid + " (" + holders_text(copy) + "). Name nodes of one cluster only";
            return choice;
        }
    }
    choice.tips = find_tips(copies);
    auto descends_from_all = [&](const document_copy &copy) {
        return std::all_of(
            copies.begin(), copies.end(), [&](const document_copy &old) { return is_ancestor(old.document, copy.document); });
    };
    for (size_t i = 0; i < copies.size() && choice.chosen == SIZE_MAX; i++) {
        bool is_taken = std::find(copies[i].holders.begin(), copies[i].holders.end(), take) != copies[i].holders.end();
        if (take.empty() ? descends_from_all(copies[i]) : is_taken)
            choice.chosen = i;
    }
    if (choice.chosen == SIZE_MAX && !take.empty())
        choice.problem = "no document of " + text_escape(take) + " was found: " + tips_text(copies, choice.tips);
    else if (choice.chosen == SIZE_MAX)
        choice.problem = "the documents have diverged: " + tips_text(copies, choice.tips) + ". Choose whose goes on";
    else
        choice.missing = missing_targets(copies, copies[choice.chosen].document);
    return choice;
}

cluster_document recovery_continue(std::span<const document_copy> copies, size_t chosen, uint64_t tag, recovery_kind kind)
{
    cluster_document next = copies[chosen].document;
    document_begin_term(next, tag);
    for (const document_copy &copy : copies) {
        const cluster_document &other = copy.document;
        next.version = std::max(next.version, other.version);
        next.last_created_ns = std::max(next.last_created_ns, other.last_created_ns);
        next.losses = std::max(next.losses, other.losses);
        next.placement.epoch = std::max(next.placement.epoch, other.placement.epoch); // no number is used twice, whoever is given up
        next.next_generation = std::max(next.next_generation, other.next_generation);
        if (!other.terms.empty()) // numbers of terms only grow, also for those who change to this line
            next.terms.back().number = std::max(next.terms.back().number, other.terms.back().number + 1);
        if (is_ancestor(other, copies[chosen].document))
            continue;
        if (next.supersedes.size() >= document_superseded_count_max)
            next.supersedes.erase(next.supersedes.begin());
        next.supersedes.push_back(document_identify(other));
    }
    if (kind == recovery_kind::recovered) {
        next.next_generation += recovery_generation_step;
        next.losses++;
        placement_recover(next);
    }
    return next;
}

// --- differences

template <class T, class F> static bool has_row(const std::vector<T> &rows, const T &row, F is_same)
{
    return std::any_of(rows.begin(), rows.end(), [&](const T &one) { return is_same(one, row); });
}

template <class T, class F, class N> static void add_differences(
    const std::vector<T> &rows, const std::vector<T> &others, F is_same, N name_of, std::vector<std::string> &out_texts)
{
    for (const T &row : rows) {
        if (!has_row(others, row, is_same))
            out_texts.push_back("only this document has " + name_of(row));
    }
    for (const T &row : others) {
        if (!has_row(rows, row, is_same))
            out_texts.push_back("this document lacks " + name_of(row));
    }
}

static std::vector<cluster_node> targets_of(const cluster_document &document)
{
    std::vector<cluster_node> targets;
    for (const cluster_node &node : document.nodes) {
        if (node.is_target)
            targets.push_back(node);
    }
    return targets;
}

std::vector<std::string> recovery_differences(const cluster_document &document, const cluster_document &other)
{
    std::vector<std::string> texts;
    add_differences(
        targets_of(document), targets_of(other), [](const cluster_node &a, const cluster_node &b) { return a.id == b.id; },
        [](const cluster_node &node) { return "target " + node.id; }, texts);
    add_differences(
        document.buckets, other.buckets,
        [](const cluster_bucket &a, const cluster_bucket &b) { return a.name == b.name && a.created_ns == b.created_ns; },
        [](const cluster_bucket &bucket) { return "bucket \"" + text_escape(bucket.name) + "\""; }, texts);
    add_differences(
        document.etls, other.etls,
        [](const cluster_etl &a, const cluster_etl &b) { return a.id == b.id && a.generation_id == b.generation_id && a.stage == b.stage; },
        [](const cluster_etl &etl) {
            return "ETL \"" + text_escape(etl.id) + "\" (" + std::string(etl_stage_names[static_cast<size_t>(etl.stage)]) + ")";
        },
        texts);
    return texts;
}

// --- restore

restore_result recovery_restore(const cluster_document &newest, const cluster_document &backup, bool takes_backup)
{
    restore_result result;
    cluster_document &next = result.document;
    next = newest;
    next.etls = backup.etls;
    next.next_generation = std::max(next.next_generation, backup.next_generation);
    next.last_created_ns = std::max(next.last_created_ns, backup.last_created_ns);
    for (const cluster_bucket &bucket : backup.buckets) {
        const cluster_bucket *now = document_find_bucket(next, bucket.name);
        if (now != nullptr && now->created_ns == bucket.created_ns)
            continue;
        next.last_created_ns = std::max(next.last_created_ns, bucket.created_ns);
        if (now != nullptr)
            result.disputed.push_back(bucket.name);
        if (now == nullptr || takes_backup)
            document_put_bucket(next, bucket);
    }
    // A bucket that is back was not destroyed after all: its record must not remove what is put into it.
    std::erase_if(next.destroyed, [&](const cluster_destroyed &one) {
        const cluster_bucket *now = document_find_bucket(next, one.name);
        return now != nullptr && now->created_ns == one.created_ns;
    });
    return result;
}

} // namespace etlnode
