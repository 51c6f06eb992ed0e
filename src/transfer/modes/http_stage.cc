// SPDX-License-Identifier: MIT
// transfer/modes/http_stage.cc: a call as a stage: shared by hpush, hrev and hpull.
//
// Owns     nothing: the call is the stage.
// Knows    http, transfer_machine.h.        Known by  push, reverse, redirect.
#include "base/limits.h"
#include "codec/http_write.h"
#include "transfer/modes/modes.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

static call &call_of(void *self) { return *static_cast<call *>(self); }

static source answer_of(void *self, uint64_t patience_ms) { return source_call(call_of(self), patience_ms); }
static void cancel(void *self) { call_cancel(call_of(self)); }

static constexpr stage_ops ops = {answer_of, cancel};

static void on_head(void *arg, call &, const http_head &head)
{
    const stage_listener &listener = static_cast<transfer *>(arg)->listener;
    listener.on_head(listener.arg, head);
}

static void on_done(void *arg, call &c, error err, int, std::string)
{
    const stage_listener &listener = static_cast<transfer *>(arg)->listener;
    listener.on_failed(listener.arg, {err, call_begun_head(c)});
}

void mode_address_pod(transfer &t, call_options &out_request)
{
    out_request.host = t.endpoint.host;
    out_request.port = t.endpoint.port;
    out_request.instance = t.etl_id + "/" + t.endpoint.instance;
    out_request.reach = net_reach::this_machine; // a pod runs beside its target
    out_request.connect_timeout_ms = pod_connect_timeout_ms;
    out_request.progress_timeout_ms = t.config.obj_timeout_ms;
    http_write_header(out_request.headers, "X-Request-Id", transfer_request_id(t));
    if (direct_put_is_offered(t))
        http_write_header(out_request.headers, header_direct_url, direct_put_url(t));
    t.request_line.assign(out_request.method).append(" ").append(out_request.target);
}

stage mode_begin_call(transfer &t, call_options request)
{
    mode_address_pod(t, request);
    request.progress_elsewhere = t.pulled != nullptr ? &t.pulled->second.progress_ms : nullptr;
    request.may_reuse = t.config.reuse_connections;
    request.on_head = on_head;
    request.on_done = on_done;
    request.arg = &t;
    return {&ops, call_start(*t.host->client, std::move(request))};
}

} // namespace etlnode
