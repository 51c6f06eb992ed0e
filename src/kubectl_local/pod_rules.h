// SPDX-License-Identifier: MIT
// kubectl_local/pod_rules.h: the refusals of the Kubernetes 1.33 API server for a Pod whose fields and types are valid.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace etlnode::kubectl_local {

// Collects the refusals while a Pod is validated. Each text is "PATH: KIND[: value][: detail]", as Kubernetes prints it.
struct pod_check {
    const cJSON *pod = nullptr;
    std::vector<std::string> refusals;
    std::vector<std::string> volumes;    // names of valid volumes, which mounts may use
    std::vector<std::string> host_ports; // of the containers so far
};

void refuse_required(pod_check &check, const std::string &path, std::string_view detail = {});
void refuse_invalid(pod_check &check, const std::string &path, const cJSON *value, std::string_view detail);
void refuse_invalid_text(pod_check &check, const std::string &path, std::string_view value, std::string_view detail);
void refuse_forbidden(pod_check &check, const std::string &path, std::string_view detail);
void refuse_duplicate(pod_check &check, const std::string &path, std::string_view value);
void refuse_not_found(pod_check &check, const std::string &path, std::string_view value);
// `words` are the supported values, separated by spaces.
void refuse_unsupported(pod_check &check, const std::string &path, std::string_view value, std::string_view words);

// A rule for several fields of one type. It adds to `skip` the names of fields that must not be checked further.
using pod_skip = std::vector<std::string_view>;
struct pod_type_rule {
    std::string_view type;
    void (*check)(pod_check &check, const cJSON *value, const std::string &path, pod_skip &skip);
};
std::span<const pod_type_rule> pod_rules_of_metadata();
std::span<const pod_type_rule> pod_rules_of_spec();
std::span<const pod_type_rule> pod_rules_of_containers();

// Requires: pod_decode found no fault. Collects every refusal of the Pod.
void pod_check_all(pod_check &check);

} // namespace etlnode::kubectl_local
