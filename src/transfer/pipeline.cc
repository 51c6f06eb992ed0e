// SPDX-License-Identifier: MIT
// transfer/pipeline.cc: the stages of a pipeline: one transfer after the other, and what it makes kept for the next.
//
// Owns     the sink until the last stage begins; what the former stage made until the stage that reads it has ended.
// Knows    transfer, object, store.         Known by  role.
// Normal   a stage ends, and the next one begins in the same turn, until the last one has filled the sink.
// Fails    with the failure of the stage, which its text names; the sink is abandoned, and nothing is left.
// Limits   pipeline_stages_max, interim_memory_size.
#include "transfer/pipeline.h"

#include <memory>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "port/clock.h"
#include "transfer/modes/modes.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

struct pipeline {
    transfer_host *host = nullptr;
    std::vector<std::string> etls;
    size_t at = 0; // the stage that runs
    transfer_request whole;
    std::string request_id, query, direct_to; // of the whole, which lives no longer than its call
    transfer *moving = nullptr;               // the stage that runs
    const store_object *given = nullptr;      // what it reads; null: the store's object
    std::string given_as, given_key;          // where a pod finds that
    const store_object *made = nullptr;       // what it made
};

static pipeline &of(void *arg) { return *static_cast<pipeline *>(arg); }

static void forget_given(pipeline &p)
{
    if (p.given == nullptr)
        return;
    p.host->given.erase(p.given_key);
    store_release(*p.host->objects, std::exchange(p.given, nullptr));
}

// For the stage that runs. The name is a secret of this one stage: no other pod can read it, and this one cannot read it later.
static void offer_given(pipeline &p)
{
    static constexpr size_t secret_size = 32;
    p.given_as = "stage-" + clock_secret(*p.host->e, secret_size);
    etl_ref *etl = etl_registry_acquire(*p.host->etls, p.etls[p.at]);
    p.given_key = pull_key(etl != nullptr ? etl_ref_id(*etl) : std::string_view(p.etls[p.at]), p.given_as, p.whole.name);
    if (etl != nullptr)
        etl_ref_release(*etl);
    p.host->given[p.given_key] = p.given;
}

static void on_made(void *arg, const store_object *object) { of(arg).made = object; }

static sink sink_of_stage(pipeline &p)
{
    if (p.at + 1 == p.etls.size())
        return std::exchange(p.whole.to, sink{});
    sink_interim_options options;
    options.bucket = p.whole.bucket;
    options.name = p.whole.name;
    options.node_id = p.host->options.node_id;
    options.admits = p.host->options.admits_interim;
    options.admits_arg = p.host->options.arg;
    options.on_made = on_made;
    options.arg = &p;
    return sink_interim(*p.host->e, *p.host->objects, std::move(options));
}

static void end(pipeline &p, const transfer_report &report)
{
    std::unique_ptr<pipeline> ended(&p);
    forget_given(p);
    if (sink_is_open(p.whole.to) && report.client_gone)
        sink_abandon(p.whole.to);
    else if (sink_is_open(p.whole.to))
        sink_refuse(p.whole.to, {report.code, report.text, report.status, std::string(report.headers)});
    if (p.whole.on_done != nullptr)
        p.whole.on_done(p.whole.arg, report);
}

static bool begin_stage(pipeline &p);

static void on_stage(void *arg, const transfer_report &report)
{
    pipeline &p = of(arg);
    p.moving = nullptr;
    if (report.outcome != transfer_outcome::ok || p.at + 1 == p.etls.size()) {
        end(p, report);
        return;
    }
    forget_given(p);
    p.given = std::exchange(p.made, nullptr);
    p.at++;
    offer_given(p);
    begin_stage(p);
}

// False: it has ended already, and perhaps the pipeline with it.
static bool begin_stage(pipeline &p)
{
    const bool is_last = p.at + 1 == p.etls.size();
    const std::string stage_text = text_format(
        "stage %zu of %zu, etl job %s: ", p.at + 1, p.etls.size(), text_escape(p.etls[p.at], 64).c_str());
    transfer *moving = transfer_begin(*p.host, {.x = p.whole.x,
                                                   .request_id = p.request_id,
                                                   .asked = is_last ? p.whole.asked : nullptr,
                                                   .query = p.query,
                                                   .bucket = p.whole.bucket,
                                                   .name = p.whole.name,
                                                   .etl = p.etls[p.at],
                                                   .by_name = p.whole.by_name,
                                                   .to = sink_of_stage(p),
                                                   .on_done = on_stage,
                                                   .arg = &p,
                                                   .given = p.given != nullptr ? store_share(*p.host->objects, *p.given) : nullptr,
                                                   .direct_to = is_last ? std::string_view(p.direct_to) : std::string_view(),
                                                   .given_as = p.given != nullptr ? std::string_view(p.given_as) : std::string_view(),
                                                   .stage_text = stage_text,
                                                   .is_continued = p.at > 0});
    if (moving != nullptr)
        p.moving = moving;
    return moving != nullptr;
}

// The size of a pushed result is known only when it has been made. Better to say so before the first stage has run.
static bool refuses_head(pipeline &p, std::string &out_text)
{
    if (p.whole.asked == nullptr || p.whole.asked->method != "HEAD")
        return false;
    etl_ref *etl = etl_registry_acquire(*p.host->etls, p.etls.back());
    if (etl == nullptr)
        return false; // the stage itself says so
    etl_view view;
    bool refuses = etl_ref_view(*etl, view) && transfer_mode_of(view.definition->mode).sends_object;
    if (refuses)
        out_text = "HEAD does not work with communication_type " + std::string(etl_mode_names[static_cast<size_t>(view.definition->mode)]) +
                   ": use GET";
    etl_ref_release(*etl);
    return refuses;
}

pipeline *pipeline_begin(transfer_host &host, transfer_request request, std::vector<std::string> further)
{
    CHECK(!further.empty() && further.size() < pipeline_stages_max);
    auto *p = new pipeline;
    p->host = &host;
    p->etls.emplace_back(request.etl);
    for (std::string &etl : further)
        p->etls.push_back(std::move(etl));
    p->request_id = request.request_id;
    p->query = request.query;
    p->direct_to = request.direct_to;
    p->whole = std::move(request);
    std::string text;
    if (refuses_head(*p, text)) {
        transfer_report report;
        report.outcome = transfer_outcome::client_error;
        report.code = error_code::method_not_allowed;
        report.status = error_http_status(report.code);
        report.text = text;
        std::string headers;
        http_write_header(headers, "Allow", "GET");
        report.headers = headers;
        end(*p, report);
        return nullptr;
    }
    return begin_stage(*p) ? p : nullptr;
}

void pipeline_stop(pipeline &p)
{
    CHECK(p.moving != nullptr);
    transfer_stop(*p.moving);
}

const store_object *pipeline_find_given(transfer_host &host, std::string_view etl_id, std::string_view bucket, std::string_view name)
{
    auto found = host.given.find(pull_key(etl_id, bucket, name));
    return found != host.given.end() ? store_share(*host.objects, *found->second) : nullptr;
}

} // namespace etlnode
