// SPDX-License-Identifier: MIT
// aistore/cluster_config.cc: the cluster's configuration and the properties of buckets, as AIStore's clients read them.
//
// Knows    control, codec.        Known by  proxy.cc, role/proxy/buckets.cc.
#include "aistore/cluster_config.h"

#include "aistore/bucket_props.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"

namespace etlnode {

// Sections of the cluster and of every bucket, with AIStore's own names and types of values. False if this cluster does not have the
// feature.
static constexpr std::string_view shared_sections = R"({
    "write_policy": {"data": "immediate", "md": "immediate"},
    "checksum": {"type": "xxhash2", "validate_cold_get": false, "validate_warm_get": false, "validate_obj_move": false,
                 "enable_read_range": false},
    "mirror": {"copies": 1, "burst_buffer": 0, "enabled": false},
    "ec": {"compression": "never", "bundle_multiplier": 2, "burst_buffer": 0, "objsize_limit": 0, "data_slices": 1, "parity_slices": 1,
           "enabled": false, "disk_only": false},
    "chunks": {"objsize_limit": "0B", "max_monolithic_size": "1TiB", "chunk_size": "0B", "checkpoint_every": 0, "flags": "0"},
    "lru": {"dont_evict_time": "0s", "capacity_upd_time": "10m", "batch_size": 0, "enabled": false},
    "rate_limit": {"backend": {"interval": "1m", "max_tokens": 0, "enabled": false, "num_retries": 0},
                   "frontend": {"interval": "1m", "max_tokens": 0, "enabled": false, "burst_size": 0}},
    "versioning": {"enabled": true, "validate_warm_get": false, "synchronize": false}
})";

// Sections of the cluster only.
static constexpr std::string_view cluster_sections = R"({
    "backend": {},
    "rebalance": {"compression": "never", "bundle_multiplier": 2, "burst_buffer": 0, "dest_retry_time": "2m", "enabled": false},
    "resilver": {"enabled": false},
    "net": {"l4": {"proto": "tcp", "sndrcv_buf_size": 0}, "http": {"use_https": false, "chunked_transfer": true, "skip_verify": false}},
    "memsys": {"min_free": "0B", "default_buf": "0B", "to_gc": "0B", "hk_time": "0s", "min_pct_total": 0, "min_pct_free": 0},
    "auth": {"enabled": false, "client_auth_required": false},
    "tracing": {"enabled": false},
    "features": "0",
    "config_version": "0"
})";

static json_ptr parse(std::string_view text)
{
    json_ptr tree;
    std::string where;
    error err = json_parse(text, tree, where);
    CHECK(!err);
    return tree;
}

static void move_members(cJSON *from, cJSON *to)
{
    while (from->child != nullptr) {
        cJSON *member = cJSON_DetachItemViaPointer(from, from->child);
        cJSON_AddItemToObject(to, member->string, member);
    }
}

json_ptr cluster_config_json(const cluster_document &document, const std::string &proxy_url, uint64_t out_of_space)
{
    json_ptr tree = parse(shared_sections);
    json_ptr more = parse(cluster_sections);
    move_members(more.get(), tree.get());
    cJSON *proxy = json_add_object(tree.get(), "proxy");
    json_add_text(proxy, "primary_url", proxy_url);
    json_add_text(proxy, "original_url", proxy_url);
    json_add_text(proxy, "discovery_url", "");
    json_add_bool(proxy, "non_electable", true);         // there is one proxy
    cJSON *space = json_add_object(tree.get(), "space"); // nothing is evicted or cleaned up at any level: the levels only warn
    uint64_t warning = out_of_space > out_of_space_warning ? out_of_space - out_of_space_warning : 0;
    for (const char *key : {"cleanupwm", "lowwm", "highwm"})
        json_add_u64(space, key, warning);
    json_add_u64(space, "out_of_space", out_of_space);
    json_add_u64(space, "batch_size", 0);
    json_add_text(space, "dont_cleanup_time", "2h");
    cJSON *timeout = json_add_object(tree.get(), "timeout");
    json_add_text(timeout, "cplane_operation", text_duration(intra_call_timeout_ms));
    json_add_text(timeout, "max_keepalive", text_duration(target_silent_ms));
    json_add_text(timeout, "max_host_busy", text_duration(intra_call_timeout_ms));
    json_add_text(timeout, "startup_time", text_duration(drain_timeout_ms));
    json_add_text(timeout, "join_startup_time", text_duration(register_back_off_max_ms));
    json_add_text(timeout, "send_file_time", text_duration(body_stall_timeout_ms));
    json_add_text(tree.get(), "uuid", document.uuid);
    json_add_text(tree.get(), "lastupdate_time", document.created);
    return tree;
}

json_ptr cluster_config_bucket_json(const cluster_bucket &bucket)
{
    json_ptr tree = parse(shared_sections);
    json_add_text(tree.get(), "provider", "ais");
    cJSON *backend = json_add_object(tree.get(), "backend_bck");
    json_add_text(backend, "name", "");
    json_add_text(backend, "provider", "");
    cJSON *space = json_add_object(backend, "namespace");
    json_add_text(space, "uuid", "");
    json_add_text(space, "name", "");
    json_add_object(tree.get(), "extra");
    json_add_text(tree.get(), "access", "18446744073709551615");
    json_add_text(tree.get(), "features", "0");
    json_add_text(tree.get(), "bid", text_format("%llu", static_cast<unsigned long long>(bucket.created_ns)));
    json_add_text(tree.get(), "created", text_format("%llu", static_cast<unsigned long long>(bucket.created_ns)));
    bucket_props_show(tree.get(), bucket.props);
    return tree;
}

} // namespace etlnode
