// SPDX-License-Identifier: MIT
// kubectl_local/pod_rules.h: what the API server of Kubernetes 1.33 refuses in a Pod whose fields and types are right.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace etlnode::kubectl_local {

// What is collected while a Pod is judged. Each text is "PATH: KIND[: value][: detail]", as Kubernetes prints it.
struct pod_judge {
    const cJSON *pod = nullptr;
    std::vector<std::string> refusals;
    std::vector<std::string> volumes;    // names of the volumes that are right: what mounts may name
    std::vector<std::string> host_ports; // of the containers so far
};

void judge_required(pod_judge &judge, const std::string &path, std::string_view detail = {});
void judge_invalid(pod_judge &judge, const std::string &path, const cJSON *value, std::string_view detail);
void judge_invalid_text(pod_judge &judge, const std::string &path, std::string_view value, std::string_view detail);
void judge_forbidden(pod_judge &judge, const std::string &path, std::string_view detail);
void judge_duplicate(pod_judge &judge, const std::string &path, std::string_view value);
void judge_not_found(pod_judge &judge, const std::string &path, std::string_view value);
// `words`: the supported values, separated by spaces.
void judge_unsupported(pod_judge &judge, const std::string &path, std::string_view value, std::string_view words);

// The rule of one type that concerns more than one of its fields. `skip` gets the names of fields that are not looked into.
using pod_skip = std::vector<std::string_view>;
struct pod_relation {
    std::string_view type;
    void (*judge)(pod_judge &judge, const cJSON *value, const std::string &path, pod_skip &skip);
};
std::span<const pod_relation> pod_relations_of_metadata();
std::span<const pod_relation> pod_relations_of_spec();
std::span<const pod_relation> pod_relations_of_containers();

// Requires: pod_decode found nothing. Every refusal of the Pod.
void pod_judge_all(pod_judge &judge);

} // namespace etlnode::kubectl_local
