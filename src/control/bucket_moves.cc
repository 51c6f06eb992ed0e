// SPDX-License-Identifier: MIT
// control/bucket_moves.cc: which buckets are on their way to another name.
//
// Knows    document.h, codec.          Known by  role.
#include "control/bucket_moves.h"

#include "base/text.h"
#include "control/placement_epochs.h"

namespace etlnode {

static json_ptr options_of(const cluster_job &job)
{
    json_ptr options;
    std::string where;
    return json_parse(job.options, options, where) ? json_object() : std::move(options); // the document holds none but JSON
}

static std::string destination_of(const cluster_job &job) { return std::string(json_text(options_of(job).get(), "to")); }

std::string bucket_move_options(const cluster_document &document, const std::string &to)
{
    const cluster_bucket *bucket = document_find_bucket(document, to);
    json_ptr options = json_object();
    json_add_text(options.get(), "to", to);
    json_add_u64_text(options.get(), "to_created_ns", bucket != nullptr ? bucket->created_ns : 0);
    json_add_u64_text(options.get(), "epoch", document_epoch(document));
    return json_print(options.get());
}

bool bucket_move_made(const cluster_document &document, std::string_view from, const cluster_bucket &to)
{
    for (const cluster_job &job : document.jobs) {
        json_ptr options = options_of(job);
        if (job.ended_ns != 0 && job.kind == bucket_move_kind && job.bucket == from && json_text(options.get(), "to") == to.name &&
            json_u64(options.get(), "to_created_ns", 0) == to.created_ns)
            return true;
    }
    return false;
}

// An object that has gone to a target whose share was over has been seen by none.
std::string bucket_move_obstacle(const cluster_document &document, const cluster_job &job)
{
    if (job.failed > 0)
        return "not every object could be copied";
    if (!document_lost_disks(document).empty())
        return "a disk is away";
    if (json_u64(options_of(job).get(), "epoch", 0) != document_epoch(document))
        return "the targets have changed meanwhile: move it again";
    return {};
}

std::vector<bucket_move> document_bucket_moves(const cluster_document &document)
{
    std::vector<bucket_move> moves;
    for (const cluster_job &job : document.jobs) {
        if (job.ended_ns == 0 && job.kind == bucket_move_kind)
            moves.push_back({job.id, job.bucket, destination_of(job)});
    }
    return moves;
}

std::string bucket_move_refusal(const std::vector<bucket_move> &moves, std::string_view bucket, bool by_job)
{
    for (const bucket_move &move : moves) {
        if (move.from == bucket)
            return "bucket \"ais://" + move.from + "\" takes no changes: job " + move.job + " is giving it the name ais://" + move.to;
        if (move.to == bucket && !by_job)
            return "bucket \"ais://" + move.to + "\" takes no changes yet: job " + move.job + " is filling it from ais://" + move.from;
    }
    return {};
}

// Jobs over all buckets change none.
static bool share_bucket(const cluster_job &a, const cluster_job &b)
{
    std::string to_of_a = destination_of(a), to_of_b = destination_of(b);
    auto is_of_b = [&](const std::string &bucket) { return !bucket.empty() && (bucket == b.bucket || bucket == to_of_b); };
    return is_of_b(a.bucket) || is_of_b(to_of_a);
}

std::string bucket_move_conflict(const cluster_document &document, const cluster_job &job)
{
    for (const cluster_job &other : document.jobs) {
        bool has_move = job.kind == bucket_move_kind || other.kind == bucket_move_kind;
        if (other.ended_ns == 0 && has_move && share_bucket(job, other))
            return "job " + other.id + " (" + text_escape(other.kind) + ") works on the same bucket: wait for it or cancel it";
    }
    return {};
}

} // namespace etlnode
