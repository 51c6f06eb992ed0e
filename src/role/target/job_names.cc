// SPDX-License-Identifier: MIT
// role/target/job_names.cc: long lists of names, which the proxy keeps beside the document: asked for when a job begins here.
//
// Owns     the lists that have come and whose job has not begun yet.
// Knows    http, job.          Known by  jobs.cc, heartbeat.cc.
// Normal   the job waits until its list is here, and begins with it. Then only the job has it.
// Fails    the proxy cannot be reached: asked again with the next heartbeat. The proxy has lost the list: the job fails here.
#include "role/target/job_names.h"

#include <memory>

#include "base/limits.h"
#include "codec/error_envelope.h"
#include "codec/url.h"
#include "role/target/moves.h"

namespace etlnode {

struct names_question {
    target *t;
    std::string job;
};

static void on_answer(void *arg, call &, error err, int status, std::string body)
{
    std::unique_ptr<names_question> question(static_cast<names_question *>(arg));
    target &t = *question->t;
    auto found = t.job_names.find(question->job);
    if (found == t.job_names.end())
        return; // the job has ended meanwhile
    target_names &names = found->second;
    names.is_asked = false;
    if (!err && status == 200)
        names.text = std::move(body);
    else if (!err && status == 404)
        names.failure = error_envelope_read(status, body).message;
    else
        return; // the next heartbeat asks again
    target_sync_jobs(t);
}

static void ask(target &t, const cluster_job &job, target_names &names)
{
    if (names.is_asked)
        return;
    names.is_asked = true;
    cluster_node node; // only its address matters
    node.url = t.options.proxy_url;
    call_options options = target_peer_call(t, node, "GET", std::string(path_node_names) + "/" + url_encode(job.names));
    options.answer_size_max = 2 * job_names_size_max; // a name in JSON may take more bytes than in the request
    options.on_done = on_answer;
    options.arg = new names_question{&t, job.id};
    target_start_peer_call(t, std::move(options));
}

bool target_find_names(target &t, const cluster_job &job, std::string_view &out_names, std::string_view &out_failure)
{
    target_names &names = t.job_names[job.id];
    out_names = names.text;
    out_failure = names.failure;
    bool has_come = !names.text.empty() || !names.failure.empty();
    if (!has_come)
        ask(t, job, names);
    return has_come;
}

void target_names_drop(target &t, const std::string &job) { t.job_names.erase(job); }

void target_fill_order(target &t, const cluster_job &job, job_order &order)
{
    if (job.names.empty() || job.ended_ns != 0 || !job_host_waits_for(*t.jobs, job.id)) {
        order.is_waiting = !job.names.empty(); // it must never begin without them
        t.job_names.erase(job.id);
        return;
    }
    target_names &names = t.job_names[job.id];
    order.failure = names.failure;
    order.names = names.text;
    order.is_waiting = names.text.empty() && names.failure.empty() && !job.is_cancelled;
    if (order.is_waiting)
        ask(t, job, names);
}

void target_ask_for_names(target &t)
{
    for (const auto &[id, names] : t.job_names) {
        if (names.is_asked || !names.text.empty() || !names.failure.empty())
            continue;
        target_sync_jobs(t);
        return;
    }
}

} // namespace etlnode
