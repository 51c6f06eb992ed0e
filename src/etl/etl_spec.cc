// SPDX-License-Identifier: MIT
// etl/etl_spec.cc: checks a user's Pod spec as far as this node depends on it. Kubernetes judges everything else.
//
// Owns     nothing: text in, struct or reason out.
// Knows    codec, spec_tree.         Known by  role/proxy, etl_message.
// Normal   one Pod, one container, one port. It adds a readiness probe if there is none, because Ready must mean listening.
// Fails    bad_spec with "line L, column C: what, expected what".
// Limits   spec_size_max, etl_name_size_max, wait_timeout_max_ms, obj_timeout_max_ms.
#include "etl/etl_spec.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "etl/spec_choice.h"
#include "etl/spec_location.h"
#include "etl/spec_tree.h"

namespace etlnode {

static bool is_lower_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// A DNS-1123 subdomain, as Kubernetes requires for pod names.
static bool is_pod_name(std::string_view name)
{
    if (name.empty() || name.size() > etl_name_size_max || !is_lower_alphanumeric(name.front()) || !is_lower_alphanumeric(name.back()))
        return false;
    for (size_t i = 0; i < name.size(); i++) {
        bool is_dot = name[i] == '.';
        if (!is_dot && name[i] != '-' && !is_lower_alphanumeric(name[i]))
            return false;
        if (is_dot &&
            (!is_lower_alphanumeric(name[i - 1]) || !is_lower_alphanumeric(name[i + 1]))) // a dot is never first or last, see above
            return false;
    }
    return true;
}

static error expect_kind(const yaml_node *node, yaml_kind kind, std::string_view name, std::string &out_reason)
{
    if (spec_is_absent(node) || node->kind == kind)
        return no_error;
    return spec_refuse(
        *node, std::string(name) + " is " + spec_words(node), kind == yaml_kind::mapping ? "a mapping" : "a list", out_reason);
}

static error check_header(const yaml_node &root, std::string &out_reason)
{
    if (root.kind != yaml_kind::mapping)
        return spec_refuse(root, "the document is " + spec_words(&root), "a Pod", out_reason);
    const yaml_node *kind = yaml_get(&root, "kind");
    if (!spec_is_text(kind) || kind->text != "Pod")
        return spec_refuse(
            kind != nullptr ? *kind : root, "kind is " + spec_words(kind), "kind: Pod" + spec_near_miss(&root, "kind"), out_reason);
    const yaml_node *version = yaml_get(&root, "apiVersion");
    if (!spec_is_text(version) || version->text != "v1")
        return spec_refuse(version != nullptr ? *version : root, "apiVersion is " + spec_words(version),
            "apiVersion: v1" + spec_near_miss(&root, "apiVersion"), out_reason);
    return no_error;
}

static constexpr spec_misnomer annotation_misnomers[] = {{"object_timeout", annotation_obj_timeout},
    {"transform_timeout", annotation_obj_timeout}, {"init_timeout", annotation_wait_timeout}, {"ready_timeout", annotation_wait_timeout},
    {"communication", annotation_communication}, {"comm_type", annotation_communication}, {"direct_put", annotation_direct_put},
    {"framing", annotation_require_framing}, {"communication-type", annotation_communication}};

// Annotations with a prefix ("example.org/note") belong to other programs and are not checked.
static error check_annotation_name(const yaml_node &key, etl_spec &spec, std::string &out_reason)
{
    if (key.text.find('/') != std::string::npos)
        return no_error;
    std::vector<std::string_view> known;
    for (const etl_choice &choice : etl_choices()) {
        if (!choice.annotation.empty())
            known.push_back(choice.annotation);
    }
    return spec_check_key(key, "annotation", known, annotation_misnomers, spec.warnings, out_reason);
}

static const etl_choice *choice_of(std::string_view annotation)
{
    for (const etl_choice &choice : etl_choices()) {
        if (!choice.annotation.empty() && choice.annotation == annotation)
            return &choice;
    }
    return nullptr;
}

static error read_annotations(
    const yaml_node *annotations, std::span<const etl_choice *const> given, etl_spec &spec, std::string &out_reason)
{
    if (error err = expect_kind(annotations, yaml_kind::mapping, "metadata.annotations", out_reason))
        return err;
    for (size_t i = 0; annotations != nullptr && i < annotations->keys.size(); i++) {
        const std::string &key = annotations->keys[i]->text;
        const yaml_node &value = *annotations->values[i];
        if (error err = check_annotation_name(*annotations->keys[i], spec, out_reason))
            return err;
        const etl_choice *choice = choice_of(key);
        if (spec_is_absent(&value) || (choice != nullptr && std::find(given.begin(), given.end(), choice) != given.end()))
            continue;
        if (!spec_is_text(&value)) // Kubernetes also refuses this, but later and with a less helpful text
            return spec_refuse(value, "annotation " + text_escape(key, 80) + " is " + spec_words(&value),
                value.kind == yaml_kind::scalar ? "a text: put it in quotes" : "a text", out_reason);
        if (choice == nullptr)
            continue;
        if (error err = spec_read_choice(*choice, value, key, spec, out_reason))
            return err;
        if (key == annotation_hpull_address)
            spec.hpull_address_at = yaml_location(value);
    }
    return no_error;
}

static error check_metadata(const yaml_node &root, std::span<const etl_choice *const> given, etl_spec &spec, std::string &out_reason)
{
    const yaml_node *metadata = yaml_get(&root, "metadata");
    if (spec_is_absent(metadata) || metadata->kind != yaml_kind::mapping)
        return spec_refuse(metadata != nullptr ? *metadata : root, "metadata is " + spec_words(metadata),
            "a mapping with a name" + spec_near_miss(&root, "metadata"), out_reason);
    const yaml_node *name = yaml_get(metadata, "name");
    if (!spec_is_text(name) || !is_pod_name(name->text))
        return spec_refuse(name != nullptr ? *name : *metadata, "metadata.name is " + spec_words(name),
            text_format("a text of lower case letters, digits and '-' (DNS-1123), at most %zu characters", etl_name_size_max) +
                spec_near_miss(metadata, "name"),
            out_reason);
    spec.name = name->text;
    const yaml_node *ns = yaml_get(metadata, "namespace");
    if (!spec_is_empty(ns) && (!spec_is_text(ns) || ns->text != "default"))
        return spec_refuse(*ns, "metadata.namespace is " + spec_words(ns), "none: ETL pods run in the namespace of their node", out_reason);
    if (error err = expect_kind(yaml_get(metadata, "labels"), yaml_kind::mapping, "metadata.labels", out_reason))
        return err;
    if (error err = expect_kind(yaml_get(metadata, "ownerReferences"), yaml_kind::sequence, "metadata.ownerReferences", out_reason))
        return err;
    return read_annotations(yaml_get(metadata, "annotations"), given, spec, out_reason);
}

static error check_placement(const yaml_node &spec_node, std::string &out_reason)
{
    for (std::string_view key : {"nodeName", "nodeSelector", "affinity"}) {
        if (!spec_is_empty(yaml_get(&spec_node, key)))
            return spec_refuse(*spec_key(&spec_node, key), "spec." + std::string(key) + " is set",
                "none: each target runs its pod on its own node", out_reason);
    }
    return no_error;
}

static error check_port(const yaml_node &container, const yaml_node *ports, uint16_t &out_port, std::string &out_reason)
{
    if (error err = expect_kind(ports, yaml_kind::sequence, "ports", out_reason))
        return err;
    constexpr std::string_view expected = "exactly one port with a containerPort, on which the server listens";
    if (spec_is_empty(ports))
        return spec_refuse(ports != nullptr ? *ports : container, "the container has no ports",
            std::string(expected) + spec_location_near(&container, "Container", "ports"), out_reason);
    if (ports->values.size() > 1)
        return spec_refuse(*ports->values[1], text_format("the container has %zu ports", ports->values.size()), expected, out_reason);
    const yaml_node &port = *ports->values[0];
    if (port.kind != yaml_kind::mapping)
        return spec_refuse(port, "the port is " + spec_words(&port), "a mapping such as containerPort: 80", out_reason);
    const yaml_node *number = yaml_get(&port, "containerPort");
    bool is_integer = number != nullptr && number->kind == yaml_kind::scalar && number->type == yaml_type::integer;
    uint64_t value = 0; // as kubectl reads it: 0120 is 80
    if (!is_integer || !text_parse_u64(json_print(yaml_to_json(*number).get()), value) || value < 1 || value > 65535)
        return spec_refuse(number != nullptr ? *number : port, "containerPort is " + spec_words(number),
            "a whole number from 1 to 65535" + spec_location_near(&port, "ContainerPort", "containerPort"), out_reason);
    out_port = static_cast<uint16_t>(value);
    const yaml_node *protocol = yaml_get(&port, "protocol");
    if (!spec_is_empty(protocol) && (!spec_is_text(protocol) || protocol->text != "TCP"))
        return spec_refuse(*protocol, "protocol is " + spec_words(protocol), "TCP", out_reason);
    return no_error;
}

// The target appends to env, so env must have the shape that Kubernetes expects.
static error check_env(const yaml_node &container, std::string &out_reason)
{
    const yaml_node *env = yaml_get(&container, "env");
    if (error err = expect_kind(env, yaml_kind::sequence, "env", out_reason))
        return err;
    for (size_t i = 0; env != nullptr && i < env->values.size(); i++) {
        const yaml_node &variable = *env->values[i];
        const yaml_node *name = yaml_get(&variable, "name");
        if (!spec_is_text(name) || name->text.empty())
            return spec_refuse(name != nullptr ? *name : variable,
                variable.kind == yaml_kind::mapping ? "the name of a variable is " + spec_words(name)
                                                    : "a variable is " + spec_words(&variable),
                "name and value", out_reason);
    }
    return no_error;
}

static error check_init_containers(const yaml_node &spec_node, std::string &out_reason)
{
    const yaml_node *list = yaml_get(&spec_node, "initContainers");
    if (error err = expect_kind(list, yaml_kind::sequence, "spec.initContainers", out_reason))
        return err;
    for (size_t i = 0; list != nullptr && i < list->values.size(); i++) {
        if (list->values[i]->kind != yaml_kind::mapping)
            return spec_refuse(*list->values[i], "an init container is " + spec_words(list->values[i].get()), "a mapping", out_reason);
        if (error err = check_env(*list->values[i], out_reason))
            return err;
    }
    return no_error;
}

static error check_pod_spec(const yaml_node &root, etl_spec &spec, bool &out_has_probe, std::string &out_reason)
{
    const yaml_node *spec_node = yaml_get(&root, "spec");
    if (spec_is_absent(spec_node) || spec_node->kind != yaml_kind::mapping)
        return spec_refuse(spec_node != nullptr ? *spec_node : root, "spec is " + spec_words(spec_node),
            "a mapping with containers" + spec_near_miss(&root, "spec"), out_reason);
    if (error err = check_placement(*spec_node, out_reason))
        return err;
    const yaml_node *containers = yaml_get(spec_node, "containers");
    if (error err = expect_kind(containers, yaml_kind::sequence, "spec.containers", out_reason))
        return err;
    if (spec_is_empty(containers))
        return spec_refuse(containers != nullptr ? *containers : *spec_node, "the pod has no containers",
            "exactly one" + spec_location_near(spec_node, "PodSpec", "containers"), out_reason);
    if (containers->values.size() > 1)
        return spec_refuse(
            *containers->values[1], text_format("the pod has %zu containers", containers->values.size()), "exactly one", out_reason);
    const yaml_node &container = *containers->values[0];
    if (container.kind != yaml_kind::mapping)
        return spec_refuse(container, "the container is " + spec_words(&container), "a mapping", out_reason);
    if (error err = check_port(container, yaml_get(&container, "ports"), spec.container_port, out_reason))
        return err;
    if (error err = check_env(container, out_reason))
        return err;
    const yaml_node *probe = yaml_get(&container, "readinessProbe");
    if (error err = expect_kind(probe, yaml_kind::mapping, "readinessProbe", out_reason))
        return err;
    out_has_probe = !spec_is_absent(probe); // {} counts as a probe, which Kubernetes refuses
    const yaml_node *grace = yaml_get(spec_node, "terminationGracePeriodSeconds");
    if (!spec_is_absent(grace) && (grace->kind != yaml_kind::scalar || grace->type != yaml_type::integer))
        return spec_refuse(*grace, "terminationGracePeriodSeconds is " + spec_words(grace), "a whole number", out_reason);
    return check_init_containers(*spec_node, out_reason);
}

// Ready must mean listening, even if the user gave no probe.
static void add_probe(cJSON *pod, uint16_t port)
{
    cJSON *spec = cJSON_GetObjectItemCaseSensitive(pod, "spec");
    cJSON *container = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(spec, "containers"), 0);
    cJSON_DeleteItemFromObjectCaseSensitive(container, "readinessProbe");
    cJSON *probe = json_add_object(container, "readinessProbe");
    json_add_u64(json_add_object(probe, "tcpSocket"), "port", port);
    json_add_u64(probe, "periodSeconds", 1);
}

error etl_spec_check(const etl_spec &spec, std::string &out_reason)
{
    if (spec.hpull_address != client_address::node_port || etl_mode_redirects[static_cast<size_t>(spec.mode)])
        return no_error;
    out_reason = spec.hpull_address_at + ": hpull_address is \"node_port\" and communication_type is " +
                 std::string(etl_mode_names[static_cast<size_t>(spec.mode)]) + ", expected hpull://: only that sends clients to the pod";
    return make_error(error_code::bad_spec);
}

error etl_spec_parse_pod(std::string_view text, etl_spec &out_spec, std::string &out_reason)
{
    if (error err = etl_spec_read_pod(text, {}, out_spec, out_reason))
        return err;
    return etl_spec_check(out_spec, out_reason);
}

error etl_spec_read_pod(std::string_view text, std::span<const etl_choice *const> given, etl_spec &out_spec, std::string &out_reason)
{
    out_spec = etl_spec();
    out_spec.wait_timeout_ms = wait_timeout_default_ms;
    out_spec.obj_timeout_ms = obj_timeout_default_ms;
    out_reason.clear();
    spec_document document;
    if (error err = spec_document_parse(text, document, out_reason))
        return err;
    const yaml_node &root = *document.tree;
    if (error err = check_header(root, out_reason))
        return err;
    if (error err = check_metadata(root, given, out_spec, out_reason))
        return err;
    bool has_probe = false;
    if (error err = check_pod_spec(root, out_spec, has_probe, out_reason))
        return err;
    if (!has_probe)
        add_probe(document.json.get(), out_spec.container_port);
    out_spec.pod_json = json_print(document.json.get());
    return no_error;
}

} // namespace etlnode
