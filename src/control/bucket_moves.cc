// SPDX-License-Identifier: MIT
// control/bucket_moves.cc: which buckets are on their way to another name.
//
// Knows    document.h, codec.          Known by  role.
#include "control/bucket_moves.h"

#include "base/text.h"

namespace etlnode {

static std::string destination_of(const cluster_job &job)
{
    json_ptr options;
    std::string where;
    return json_parse(job.options, options, where) ? std::string() : std::string(json_text(options.get(), "to"));
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
