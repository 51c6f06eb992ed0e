// SPDX-License-Identifier: MIT
// etl/etl_service.h: the Service that gives one pod a port of its Kubernetes node, for hpull:// with hpull_address: node_port.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "etl/etl_spec.h"

namespace etlnode {

// One for each launch, so that what is found under the name is this pod's: "etl-<name>-<launch mark>", at most 63 characters of [a-z0-9-]
// (DNS-1035). What does not fit of the name is cut.
std::string etl_service_name(std::string_view etl_name, std::string_view launch_id);

// The pod that it leads to, and that owns it: Kubernetes removes it with the pod.
struct etl_service_pod {
    std::string name, uid;
    uint16_t container_port = 0;
};
// As JSON. Requires: context.has_node_port, and the launch mark of the pod.
std::string etl_service_build(std::string_view etl_name, const etl_pod_context &context, const etl_service_pod &pod);

} // namespace etlnode
