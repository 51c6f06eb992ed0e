// SPDX-License-Identifier: MIT
// etl/etl_spec.h: a user's Pod spec (YAML or JSON), or an ETL spec of today, to a validated description; every rejection says where.
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
    std::string hpull_address_at; // where that is said: "line L, column C"; empty: nowhere
    uint16_t container_port = 0;
    std::vector<std::string> warnings; // for the user: what is not known here and has no effect; warnings_max at most
    std::string pod_json;              // the Pod as kubectl would have read it, compact, unchanged but for defaults named below
};

// POST /v1/etl/init: one Pod document, YAML or JSON. Refused with bad_spec and `out_reason` = "line L, column C: ...: what was expected".
error etl_spec_parse_pod(std::string_view text, etl_spec &out_spec, std::string &out_reason);
// Its two halves, for a message whose own fields override annotations in between.
// Choices that the message makes itself (`given`) are not looked for in the annotations, which may be a template's placeholders.
error etl_spec_read_pod(std::string_view text, std::span<const etl_choice *const> given, etl_spec &out_spec, std::string &out_reason);
error etl_spec_check(const etl_spec &spec, std::string &out_reason);
// PUT /v1/etl: JSON, either {"name","communication","init_timeout","obj_timeout","runtime":{"image","command","env"},...} or
// {"name",...,"spec": base64 Pod} (docs/PROTOCOL.md). A runtime spec becomes a Pod with one container, port 8000, readiness GET /health.
error etl_spec_parse_init(std::string_view text, etl_spec &out_spec, std::string &out_reason);
// The same from a person's file, which may be YAML: what the message is made of, for refusals that name the file's own lines.
error etl_spec_parse_init_file(std::string_view text, etl_spec &out_spec, std::string &out_reason);
// What today's names look like, and the words for it.
bool etl_spec_is_init_name(std::string_view name);
std::string etl_spec_init_name_words();

// What a target adds to a user's Pod before it is created.
struct etl_pod_context {
    std::string cluster_id, target_id, etl_id, generation_id;
    std::string node_name;                          // Kubernetes node of the target
    std::string target_url;                         // value of AIS_TARGET_URL
    std::string suffix;                             // five characters that make the pod name unique
    std::string launch_id;                          // of this one create; empty: no annotation
    std::string owner_name, owner_uid;              // the target's own pod, where it runs in one; else empty
    pod_security security = pod_security::baseline; // how far it is confined
    bool has_node_port = false;                     // it gets a Service of its own: marked so that this one finds it
};
// "<name>-<suffix>-<node>", at most 63 characters: what does not fit is cut, node part first, never the suffix. Lower case, [a-z0-9-].
std::string etl_pod_name(std::string_view name, std::string_view suffix, std::string_view node);
// The five characters: from the target, the ETL, the generation and everything that etl_pod_name may cut.
std::string etl_pod_suffix(const etl_pod_context &context, std::string_view name);
// At most `size_max` of the text, lower case, [a-z0-9-], alphanumeric at both ends; may be empty.
std::string etl_name_part(std::string_view text, size_t size_max);
// A pod that owns what this is the metadata of: Kubernetes removes it with the pod.
void etl_add_owner(cJSON *metadata, std::string_view pod_name, std::string_view pod_uid);
// Whose it is, as labels.
void etl_write_labels(cJSON *labels, const etl_pod_context &context);
// The Pod to create, as JSON, from the user's (etl_spec.pod_json as a tree, parsed by spec_parse_exactly) of that name.
std::string etl_pod_build(const cJSON *users_pod, std::string_view name, const etl_pod_context &context);

} // namespace etlnode
