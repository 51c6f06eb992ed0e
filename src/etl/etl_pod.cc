// SPDX-License-Identifier: MIT
// etl/etl_pod.cc: turns a user's Pod into the pod of one target: named, labelled, pinned to the node, given its URL, confined.
//
// Knows    codec, kube (label values).    Known by  etl_machine.
// Limits   pod_name_size_max.
#include <xxhash.h>

#include "base/limits.h"
#include "base/text.h"
#include "etl/etl_spec.h"
#include "kube/kubectl.h"

namespace etlnode {

static constexpr size_t suffix_size = 5;

std::string etl_name_part(std::string_view text, size_t size_max)
{
    std::string out;
    for (char c : text_lower(text))
        out += (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
    out.resize(out.size() < size_max ? out.size() : size_max);
    while (!out.empty() && out.back() == '-')
        out.pop_back();
    return out.substr(out.find_first_not_of('-') == std::string::npos ? out.size() : out.find_first_not_of('-'));
}

std::string etl_pod_name(std::string_view name, std::string_view suffix, std::string_view node)
{
    std::string out = etl_name_part(name, pod_name_size_max - suffix_size - 1);
    out += (out.empty() ? "" : "-") + std::string(suffix);
    if (out.size() + 1 < pod_name_size_max) {
        std::string last = etl_name_part(node, pod_name_size_max - out.size() - 1);
        if (!last.empty())
            out += "-" + last;
    }
    return out;
}

std::string etl_pod_suffix(const etl_pod_context &context, std::string_view name)
{
    // Without vowels, as in Kubernetes' own suffixes, so that no words appear by accident.
    static constexpr char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
    std::string all;
    for (std::string_view part : {std::string_view(context.cluster_id), std::string_view(context.target_id),
             std::string_view(context.etl_id), std::string_view(context.generation_id), name, std::string_view(context.node_name)}) {
        all += part;
        all += '\0';
    }
    uint64_t hash = XXH64(all.data(), all.size(), 0);
    std::string out;
    for (size_t i = 0; i < suffix_size; i++) {
        out += alphabet[hash % (sizeof alphabet - 1)];
        hash /= sizeof alphabet - 1;
    }
    return out;
}

// The member with that name; created if it is missing or null.
static cJSON *member(cJSON *object, const char *key, bool is_array)
{
    cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (is_array ? cJSON_IsArray(item) : cJSON_IsObject(item))
        return item;
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    return is_array ? json_add_array(object, key) : json_add_object(object, key);
}

static void set_text(cJSON *object, std::string_view key, std::string_view value)
{
    std::string name(key);
    cJSON_DeleteItemFromObjectCaseSensitive(object, name.c_str());
    json_add_text(object, name.c_str(), value);
}

static bool is_set(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return item != nullptr && !cJSON_IsNull(item);
}

// Our value wins: the user's entries with that name are removed. It comes first, because Kubernetes expands $(NAME) in a value only if NAME
// appears earlier in the list.
static void set_variable(cJSON *container, std::string_view name, std::string_view value)
{
    cJSON *env = member(container, "env", true);
    for (int i = cJSON_GetArraySize(env) - 1; i >= 0; i--) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(env, i), "name");
        if (cJSON_IsString(item) && item->valuestring == name)
            cJSON_DeleteItemFromArray(env, i);
    }
    json_ptr variable = json_object();
    json_add_text(variable.get(), "name", name);
    json_add_text(variable.get(), "value", value);
    cJSON_InsertItemInArray(env, 0, variable.release());
}

static void pin_to_node(cJSON *spec, std::string_view node_name)
{
    cJSON *affinity = member(member(spec, "affinity", false), "nodeAffinity", false);
    cJSON *required = member(affinity, "requiredDuringSchedulingIgnoredDuringExecution", false);
    json_ptr expression = json_object();
    json_add_text(expression.get(), "key", "metadata.name");
    json_add_text(expression.get(), "operator", "In");
    json_append_text(json_add_array(expression.get(), "values"), node_name);
    json_ptr term = json_object();
    json_append(json_add_array(term.get(), "matchFields"), std::move(expression));
    json_append(member(required, "nodeSelectorTerms", true), std::move(term));
}

// Sets neither controller nor blockOwnerDeletion: the first could clash with a user's reference, the second needs a right on
// pods/finalizers.
void etl_add_owner(cJSON *metadata, std::string_view pod_name, std::string_view pod_uid)
{
    json_ptr owner = json_object();
    json_add_text(owner.get(), "apiVersion", "v1");
    json_add_text(owner.get(), "kind", "Pod");
    json_add_text(owner.get(), "name", pod_name);
    json_add_text(owner.get(), "uid", pod_uid);
    json_append(member(metadata, "ownerReferences", true), std::move(owner));
}

void etl_write_labels(cJSON *labels, const etl_pod_context &context)
{
    set_text(labels, "app.kubernetes.io/name", "etl");
    set_text(labels, "app.kubernetes.io/instance", kubectl_label_value(context.etl_id));
    set_text(labels, "app.kubernetes.io/component", "transformer");
    set_text(labels, "app.kubernetes.io/part-of", "etlnode");
    set_text(labels, "app.kubernetes.io/managed-by", "etlnode");
    set_text(labels, label_cluster, kubectl_label_value(context.cluster_id));
    set_text(labels, label_target, kubectl_label_value(context.target_id));
    set_text(labels, label_etl, kubectl_label_value(context.etl_id));
    if (context.has_node_port)
        set_text(labels, label_node_port, kubectl_label_value(context.launch_id));
    else // network policies let clients from anywhere reach a pod with this label
        cJSON_DeleteItemFromObjectCaseSensitive(labels, std::string(label_node_port).c_str());
}

static void write_metadata(cJSON *metadata, std::string_view name, const etl_pod_context &context)
{
    set_text(metadata, "name", etl_pod_name(name, context.suffix, context.node_name.empty() ? context.target_id : context.node_name));
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "generateName");
    // "default" is accepted because it says nothing: the pod lives where this node's kubectl looks for it.
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "namespace");
    etl_write_labels(member(metadata, "labels", false), context);
    cJSON *annotations = member(metadata, "annotations", false);
    set_text(annotations, annotation_generation, context.generation_id);
    if (!context.launch_id.empty())
        set_text(annotations, annotation_launch, context.launch_id);
    if (!context.owner_name.empty() && !context.owner_uid.empty())
        etl_add_owner(metadata, context.owner_name, context.owner_uid);
}

std::string etl_pod_build(const cJSON *users_pod, std::string_view name, const etl_pod_context &context)
{
    json_ptr pod(cJSON_Duplicate(users_pod, true));
    if (!cJSON_IsObject(pod.get()))
        return "{}"; // only a damaged document contains such a spec: kubectl refuses the result with a message
    write_metadata(member(pod.get(), "metadata", false), name, context);
    cJSON *pod_spec = member(pod.get(), "spec", false);
    if (!context.node_name.empty())
        pin_to_node(pod_spec, context.node_name);
    for (const char *list : {"initContainers", "containers"}) {
        cJSON *container = nullptr;
        cJSON_ArrayForEach(container, cJSON_GetObjectItemCaseSensitive(pod_spec, list))
            set_variable(container, env_target_url, context.target_url);
    }
    if (!is_set(pod_spec, "automountServiceAccountToken")) {
        cJSON_DeleteItemFromObjectCaseSensitive(pod_spec, "automountServiceAccountToken");
        json_add_bool(pod_spec, "automountServiceAccountToken", false);
    }
    if (!is_set(pod_spec, "terminationGracePeriodSeconds")) {
        cJSON_DeleteItemFromObjectCaseSensitive(pod_spec, "terminationGracePeriodSeconds");
        json_add_u64(pod_spec, "terminationGracePeriodSeconds", pod_delete_grace_default_s);
    }
    pod_security_fill(pod_spec, context.security);
    return json_print(pod.get());
}

} // namespace etlnode
