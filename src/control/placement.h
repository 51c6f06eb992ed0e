// SPDX-License-Identifier: MIT
// control/placement.h: which target holds an object: AIStore's highest random weight over XXH64 digests (docs/PROTOCOL.md "Placement").
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace etlnode {

inline constexpr uint64_t placement_seed = 1103515245;
// Prefix of every uname here: provider and namespace.
inline constexpr std::string_view placement_uname_prefix = "ais/@#/";

// XXH64 with placement_seed.
uint64_t placement_digest(std::string_view bytes);
// The mixing function H of AIStore's weights.
uint64_t placement_mix(uint64_t x);
// "ais/@#/<bucket>/<object>"
std::string placement_uname(std::string_view bucket, std::string_view object);
// placement_digest(placement_uname(bucket, object)), without building the name.
uint64_t placement_uname_digest(std::string_view bucket, std::string_view object);
// The node with the largest weight holds the object.
inline uint64_t placement_weight(uint64_t uname_digest, uint64_t node_digest) { return placement_mix(uname_digest ^ node_digest); }
// Index of the node with the largest weight; `skip[i]` excludes node i. Returns SIZE_MAX if no node is left.
size_t placement_choose(uint64_t uname_digest, std::span<const uint64_t> node_digests, std::span<const bool> skip);

} // namespace etlnode
