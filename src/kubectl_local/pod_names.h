// SPDX-License-Identifier: MIT
// kubectl_local/pod_names.h: the forms of names and values in a Pod, and what Kubernetes says of a text that does not have its form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace etlnode::kubectl_local {

enum class name_form : uint8_t {
    label,         // DNS-1123 label, at most 63: containers, volumes, namespaces, hostname
    subdomain,     // DNS-1123 subdomain, at most 253: pods, nodes, service accounts
    qualified,     // [PREFIX/]NAME: keys of labels, of annotations, resources
    label_value,   // may be empty, at most 63
    port_name,     // at most 15, a letter at least
    variable,      // of an environment
    config_key,    // in a ConfigMap or Secret
    header,        // of an HTTP probe
    search_domain, // a subdomain that may have underscores
    sysctl,        // segments joined by dots or slashes
    ip,            // an address as net/netip reads it
    port_number,   // 1 to 65535, for texts that are numbers
};

// What is wrong with the text, each as Kubernetes says it (without the regular expressions); empty when it has the form.
std::vector<std::string> pod_name_faults(name_form form, std::string_view text);

// A name as Kubernetes allows it for pods (DNS-1123 subdomain), and for namespaces and containers (label).
bool pod_name_is_valid(std::string_view name);
bool pod_label_is_valid(std::string_view name);

} // namespace etlnode::kubectl_local
