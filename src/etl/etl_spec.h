// SPDX-License-Identifier: MIT
// etl/etl_spec.h: validates a user's Pod spec (YAML or JSON), or a message of today's clients. Every refusal names a location.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "codec/json.h"
#include "etl/etl_definition.h"
#include "etl/pod_security.h"
#include "node/api.h"

namespace etlnode {

struct etl_spec : etl_config {
    std::string name;             // metadata.name
    std::string hpull_address_at; // its location: "line L, column C"; empty if it is not set
    uint16_t container_port = 0;
    std::vector<std::string> warnings; // for the user: names that are unknown here and have no effect; at most warnings_max
    std::string pod_json;              // the Pod as kubectl would read it, compact, unchanged except for the defaults described below
};

// POST /v1/etl/init: one Pod document, YAML or JSON. Refused with bad_spec and `out_reason` = "line L, column C: ...: what was expected".
error etl_spec_parse_pod(std::string_view text, etl_spec &out_spec, std::string &out_reason);
// The two halves of the above, for a message whose own fields override annotations in between.
// Choices that the message itself makes (`given`) are not read from the annotations, which may be a template's placeholders.
error etl_spec_read_pod(std::string_view text, std::span<const etl_choice *const> given, etl_spec &out_spec, std::string &out_reason);
error etl_spec_check(const etl_spec &spec, std::string &out_reason);
// PUT /v1/etl: JSON, either {"name","communication","init_timeout","obj_timeout","runtime":{"image","command","env"},...} or
// {"name",...,"spec": base64 Pod} (docs/PROTOCOL.md). A runtime spec becomes a Pod with one container, port 8000, readiness GET /health.
error etl_spec_parse_init(std::string_view text, etl_spec &out_spec, std::string &out_reason);
// The same for a person's file, which may be YAML. For refusals that name the lines of the file.
error etl_spec_parse_init_file(std::string_view text, etl_spec &out_spec, std::string &out_reason);
// The names that today's clients allow, and the text that describes them.
bool etl_spec_is_init_name(std::string_view name);
std::string etl_spec_init_name_words();

// What a target adds to a user's Pod before creating it.
struct etl_pod_context {
    std::string cluster_id, target_id, etl_id, generation_id;
    std::string node_name;                          // Kubernetes node of the target
    std::string target_url;                         // value of AIS_TARGET_URL
    std::string suffix;                             // five characters that make the pod's name unique
    std::string launch_id;                          // identifies this create call; empty: no annotation
    std::string owner_name, owner_uid;              // the target's own pod if it runs in one; otherwise empty
    pod_security security = pod_security::baseline; // how much the pod is confined
    bool has_node_port = false;                     // it gets its own Service, which finds it by a label
};
// "<name>-<suffix>-<node>", at most 63 characters of [a-z0-9-]. If it is too long, the node is cut first, then the name, never the suffix.
std::string etl_pod_name(std::string_view name, std::string_view suffix, std::string_view node);
// The five characters, derived from the target, the ETL, the generation, and everything that etl_pod_name may cut.
std::string etl_pod_suffix(const etl_pod_context &context, std::string_view name);
// At most `size_max` characters of the text, as lower-case [a-z0-9-], alphanumeric at both ends; may be empty.
std::string etl_name_part(std::string_view text, size_t size_max);
// Makes a pod the owner of the object with this metadata: Kubernetes removes the object with the pod.
void etl_add_owner(cJSON *metadata, std::string_view pod_name, std::string_view pod_uid);
// Labels that say which cluster, target and ETL it belongs to.
void etl_write_labels(cJSON *labels, const etl_pod_context &context);
// The Pod to create, as JSON. `users_pod` is etl_spec.pod_json as a tree (spec_parse_exactly); `name` is its name.
std::string etl_pod_build(const cJSON *users_pod, std::string_view name, const etl_pod_context &context);

} // namespace etlnode
