// SPDX-License-Identifier: MIT
// kubectl_local/pod_fields.h: what a variable of a container is filled with by fieldRef and resourceFieldRef.
#pragma once

#include <string>
#include <string_view>

#include "codec/json.h"

namespace etlnode::kubectl_local {

// "metadata.name", "metadata.labels['app']", "spec.nodeName"; empty for what the Pod does not have.
std::string pod_field_value(const cJSON *pod, std::string_view path);
// "limits.cpu" of a container's resources in units of `divisor`, rounded up as the kubelet does; what is not limited is what the machine has.
std::string pod_resource_value(const cJSON *resources, std::string_view name, std::string_view divisor);

} // namespace etlnode::kubectl_local
