// SPDX-License-Identifier: MIT
// kubectl_local/pod_fields.h: the values of environment variables with fieldRef and resourceFieldRef.
#pragma once

#include <string>
#include <string_view>

#include "codec/json.h"

namespace etlnode::kubectl_local {

// The value of "metadata.name", "metadata.labels['app']", "spec.nodeName"; empty if the Pod does not have the field.
std::string pod_field_value(const cJSON *pod, std::string_view path);
// "limits.cpu" of a container's resources in units of `divisor`, rounded up like the kubelet does. Without a limit, the machine's capacity.
std::string pod_resource_value(const cJSON *resources, std::string_view name, std::string_view divisor);

} // namespace etlnode::kubectl_local
