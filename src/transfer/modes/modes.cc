// SPDX-License-Identifier: MIT
// transfer/modes/modes.cc: the list of transfer modes, and what their requests share.
//
// Knows    http, codec, transfer_machine.h.        Known by  transfer, role.
#include "transfer/modes/modes.h"

#include "base/check.h"
#include "codec/url.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

static constexpr const transfer_mode *modes[] = {&push_mode, &reverse_mode, &redirect_mode, &websocket_mode};

const transfer_mode &transfer_mode_of(etl_mode mode)
{
    for (const transfer_mode *one : modes) {
        if (one->mode == mode)
            return *one;
    }
    panic("transfer_mode_of: a mode without a row");
}

std::vector<sm_view> transfer_mode_machines()
{
    std::vector<sm_view> out;
    for (const transfer_mode *one : modes) {
        if (one->machine != nullptr)
            out.push_back(one->machine());
    }
    return out;
}

// The query parameters that the cluster reads; all others belong to the transformer.
static const std::vector<std::string_view> &own_queries()
{
    static const std::vector<std::string_view> names = {query_etl_id, query_etl_name, query_etl_pipeline, query_proxy_id, query_unix_ns,
        "provider", "namespace", "etl_fqn", "latest-ver", "vpams"};
    return names;
}

std::string mode_query_of(std::string_view asked) { return url_query_without(asked, own_queries()); }

std::string mode_pod_path(const transfer &t, bool as_uname)
{
    const std::string &bucket = transfer_mode_of(t.config.mode).pod_reads ? transfer_bucket_for_pod(t) : t.bucket;
    std::string path = as_uname ? "/" + url_encode_uname("ais/@#/" + bucket + "/" + t.name) : "/" + bucket + "/" + url_encode_path(t.name);
    return t.query.empty() ? path : path + "?" + t.query;
}

void mode_ask_pod(transfer &t, call_options &out_request)
{
    out_request.method = "GET";
    out_request.target = mode_pod_path(t, t.config.runtime_spec);
}

} // namespace etlnode
