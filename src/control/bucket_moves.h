// SPDX-License-Identifier: MIT
// control/bucket_moves.h: buckets that a job of kind "move-bck" gives another name, and who may write to them meanwhile. Pure.
//
// The job copies every object, and the source goes in the change of the document that ends the job. Until then nobody changes either
// bucket but the job, so no write can be lost between the two.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/document.h"

namespace etlnode {

inline constexpr const char *bucket_move_kind = "move-bck";

struct bucket_move {
    std::string job, from, to;
};

// Of the jobs that are not over.
std::vector<bucket_move> document_bucket_moves(const cluster_document &document);
// Why the bucket takes no change; empty: it does. `by_job`: a job asks, which may fill the destination.
std::string bucket_move_refusal(const std::vector<bucket_move> &moves, std::string_view bucket, bool by_job);
// Of a job that begins now: where to, the bucket that it fills, and the placement in which it must lie as a whole.
std::string bucket_move_options(const cluster_document &document, const std::string &to);
// Whether a former job made the bucket `to` for the objects of `from`, and left them there.
bool bucket_move_made(const cluster_document &document, std::string_view from, const cluster_bucket &to);
// Why the source must stay although every target has done its share of `job`; empty: it goes.
std::string bucket_move_obstacle(const cluster_document &document, const cluster_job &job);
// Why `job` cannot begin: it or another one moves a bucket that both work on. Empty: it can.
std::string bucket_move_conflict(const cluster_document &document, const cluster_job &job);

} // namespace etlnode
