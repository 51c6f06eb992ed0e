// SPDX-License-Identifier: MIT
// etl/etl_service.cc: the Service that exposes one pod on a port of its Kubernetes node.
//
// Knows    codec, etl_spec (labels), kube (label values).    Known by  etl_machine.
// Limits   service_name_size_max.
#include "etl/etl_service.h"

#include "base/limits.h"
#include "kube/kubectl.h"
#include "node/api.h"

namespace etlnode {

std::string etl_service_name(std::string_view etl_name, std::string_view launch_id)
{
    constexpr std::string_view prefix = "etl-"; // a Service's name must begin with a letter, a pod's need not
    std::string mark = etl_name_part(launch_id, 20);
    std::string name = etl_name_part(etl_name, service_name_size_max - prefix.size() - 1 - mark.size());
    return std::string(prefix) + (name.empty() ? "" : name + "-") + mark;
}

std::string etl_service_build(std::string_view etl_name, const etl_pod_context &context, const etl_service_pod &pod)
{
    json_ptr service = json_object();
    json_add_text(service.get(), "apiVersion", "v1");
    json_add_text(service.get(), "kind", "Service");
    cJSON *metadata = json_add_object(service.get(), "metadata");
    json_add_text(metadata, "name", etl_service_name(etl_name, context.launch_id));
    etl_write_labels(json_add_object(metadata, "labels"), context);
    etl_add_owner(metadata, pod.name, pod.uid);

    cJSON *spec = json_add_object(service.get(), "spec");
    json_add_text(spec, "type", "NodePort");
    // Only on the pod's own node, and with the client's own address for network policies.
    json_add_text(spec, "externalTrafficPolicy", "Local");
    // A failed readiness probe does not stop requests on other paths either. The port also exists before the pod becomes Ready.
    json_add_bool(spec, "publishNotReadyAddresses", true);
    cJSON *selector = json_add_object(spec, "selector");
    json_add_text(selector, std::string(label_cluster).c_str(), kubectl_label_value(context.cluster_id));
    json_add_text(selector, std::string(label_target).c_str(), kubectl_label_value(context.target_id));
    json_add_text(selector, std::string(label_etl).c_str(), kubectl_label_value(context.etl_id));
    json_add_text(
        selector, std::string(label_node_port).c_str(), kubectl_label_value(context.launch_id)); // matches no earlier or later pod
    json_ptr port = json_object();
    json_add_text(port.get(), "name", "etl");
    json_add_text(port.get(), "protocol", "TCP");
    json_add_u64(port.get(), "port", pod.container_port);
    json_add_u64(port.get(), "targetPort", pod.container_port);
    json_append(json_add_array(spec, "ports"), std::move(port));
    return json_print(service.get());
}

} // namespace etlnode
