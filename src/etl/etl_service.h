// SPDX-License-Identifier: MIT
// etl/etl_service.h: the Service that exposes one pod on a port of its Kubernetes node, for hpull:// with hpull_address: node_port.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "etl/etl_spec.h"

namespace etlnode {

// Each launch has its own name, so that a Service with this name exposes this pod: "etl-<name>-<launch_id>", at most 63 characters of
// [a-z0-9-] (DNS-1035). A name that is too long is cut.
std::string etl_service_name(std::string_view etl_name, std::string_view launch_id);

// The pod that the Service exposes. It also owns the Service: Kubernetes removes the Service with the pod.
struct etl_service_pod {
    std::string name, uid;
    uint16_t container_port = 0;
};
// The Service as JSON. Requires: context.has_node_port, and the pod's launch_id.
std::string etl_service_build(std::string_view etl_name, const etl_pod_context &context, const etl_service_pod &pod);

} // namespace etlnode
