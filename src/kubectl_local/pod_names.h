// SPDX-License-Identifier: MIT
// kubectl_local/pod_names.h: the forms of names and values in a Pod, and Kubernetes' messages about texts that do not have their form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace etlnode::kubectl_local {

enum class name_form : uint8_t {
    label,         // DNS-1123 label, at most 63: containers, volumes, namespaces, hostname
    subdomain,     // DNS-1123 subdomain, at most 253: pods, nodes, service accounts
    qualified,     // [PREFIX/]NAME: keys of labels and annotations, resources
    label_value,   // may be empty, at most 63
    port_name,     // at most 15 characters, with at least one letter
    variable,      // of the environment
    config_key,    // in a ConfigMap or Secret
    header,        // of an HTTP probe
    search_domain, // a subdomain that may contain underscores
    sysctl,        // segments joined by dots or slashes
    ip,            // an address that Go's net/netip accepts
    port_number,   // 1 to 65535, for texts that are numbers
};

// The faults of the text, each in Kubernetes' words (without the regular expressions); empty if it is valid.
std::vector<std::string> pod_name_faults(name_form form, std::string_view text);

// Whether a name is valid for pods (DNS-1123 subdomain), or for namespaces and containers (label).
bool pod_name_is_valid(std::string_view name);
bool pod_label_is_valid(std::string_view name);

} // namespace etlnode::kubectl_local
