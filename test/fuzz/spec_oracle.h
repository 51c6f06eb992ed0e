// SPDX-License-Identifier: MIT
// test/fuzz/spec_oracle.h: what holds for every accepted ETL spec, whichever way it arrived.
#pragma once

#include "base/limits.h"
#include "base/text.h"
#include "codec/json.h"
#include "etl/etl_spec.h"
#include "etl/spec_tree.h"
#include "fuzz.h"
#include "kube/pod_status.h"
#include "node/api.h"

namespace etlnode {

inline void oracle_check_reason(error err, const std::string &reason)
{
    FUZZ_CHECK(err.code == error_code::bad_spec && error_http_status(err.code) == 400);
    FUZZ_CHECK(reason.find("line ") != std::string::npos && reason.find(", column ") != std::string::npos);
    FUZZ_CHECK(text_is_utf8(reason) && reason.find('\n') == std::string::npos && reason.find('\0') == std::string::npos);
}

// Names match exactly, as in Kubernetes: "Env" is not env.
inline const cJSON *oracle_field(const cJSON *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : nullptr;
}

inline std::string_view oracle_text(const cJSON *object, const char *key)
{
    const cJSON *item = oracle_field(object, key);
    return cJSON_IsString(item) ? std::string_view(item->valuestring) : std::string_view();
}

inline size_t oracle_count_variable(const cJSON *container, std::string_view wanted_value)
{
    size_t count = 0;
    const cJSON *variables = oracle_field(container, "env");
    const cJSON *variable = nullptr;
    cJSON_ArrayForEach(variable, variables) count += oracle_text(variable, "name") == env_target_url ? 1 : 0;
    FUZZ_SAME(oracle_text(variables != nullptr ? variables->child : nullptr, "value"), wanted_value);
    return count;
}

// Checks the pod that a target makes of it: its name, its labels, and the URL of its objects. That variable appears once and first, because
// other values may refer to it.
inline void oracle_check_pod(const etl_spec &spec, pod_security security)
{
    etl_pod_context context;
    context.cluster_id = "cluster01";
    context.target_id = "target01";
    context.etl_id = "Etl0123456";
    context.generation_id = "0123456789abcdef-1";
    context.node_name = "node1";
    context.target_url = "http://10.0.0.1:51081/v1/etl/_object/Etl0123456/secret";
    context.security = security;
    context.suffix = etl_pod_suffix(context, spec.name);
    std::string text = etl_pod_build(spec_parse_exactly(spec.pod_json).get(), spec.name, context);
    json_ptr pod;
    std::string where;
    FUZZ_CHECK(!json_parse(text, pod, where));
    pod_status status;
    FUZZ_CHECK(!pod_status_parse(pod.get(), status));
    FUZZ_CHECK(status.name.size() <= pod_name_size_max &&
               status.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos);
    FUZZ_SAME(status.name, etl_pod_name(spec.name, context.suffix, context.node_name));
    FUZZ_SAME(status.label_cluster, context.cluster_id);
    FUZZ_SAME(status.label_target, context.target_id);
    FUZZ_SAME(status.label_etl, context.etl_id);
    FUZZ_SAME(status.generation, context.generation_id);
    FUZZ_SAME(status.target_url, context.target_url);
    FUZZ_CHECK(status.container_port == spec.container_port);
    const cJSON *containers = oracle_field(oracle_field(pod.get(), "spec"), "containers");
    FUZZ_CHECK(cJSON_GetArraySize(containers) == 1);
    FUZZ_CHECK(oracle_count_variable(cJSON_GetArrayItem(containers, 0), context.target_url) == 1);
    const cJSON *init = nullptr;
    cJSON_ArrayForEach(init, oracle_field(oracle_field(pod.get(), "spec"), "initContainers"))
        FUZZ_CHECK(!cJSON_IsObject(init) || oracle_count_variable(init, context.target_url) == 1);
}

inline void oracle_check_spec(const etl_spec &spec)
{
    FUZZ_CHECK(!spec.name.empty() && spec.name.size() <= etl_name_size_max);
    FUZZ_CHECK(spec.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string::npos);
    FUZZ_CHECK(spec.wait_timeout_ms > 0 && spec.wait_timeout_ms <= wait_timeout_max_ms);
    FUZZ_CHECK(spec.obj_timeout_ms > 0 && spec.obj_timeout_ms <= obj_timeout_max_ms);
    FUZZ_CHECK(spec.container_port != 0);
    FUZZ_CHECK(static_cast<size_t>(spec.mode) < std::size(etl_mode_names));
    FUZZ_CHECK(spec.hpull_address == client_address::pod_ip || spec.mode == etl_mode::hpull);
    json_ptr pod;
    std::string where;
    FUZZ_CHECK(!json_parse(spec.pod_json, pod, where));
    FUZZ_CHECK(oracle_text(pod.get(), "kind") == "Pod" && oracle_text(oracle_field(pod.get(), "metadata"), "name") == spec.name);
    for (pod_security security : {pod_security::off, pod_security::baseline, pod_security::restricted})
        oracle_check_pod(spec, security);
}

} // namespace etlnode
