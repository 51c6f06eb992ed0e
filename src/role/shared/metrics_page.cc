// SPDX-License-Identifier: MIT
// role/shared/metrics_page.cc: the families of /metrics that both roles show: build, uptime, listeners, state machines.
//
// Knows    http, machines.        Known by  metrics.cc, metrics.cc.
#include "role/shared/metrics_page.h"

#include "base/text.h"
#include "node/version.h"
#include "role/shared/role_machines.h"

namespace etlnode {

static double as_double(uint64_t value) { return static_cast<double>(value); }

void metrics_add_node(
    metrics_text &text, const node_options &options, std::string_view id, const char *role, bool ready, uint64_t uptime_ms)
{
    std::string labels;
    metrics_label(labels, "version", options.version.empty() ? NODE_VERSION : std::string_view(options.version));
    metrics_label(labels, "role", role);
    metrics_label(labels, "node_id", id);
    metrics_add(text, "etlnode_build_info", "gauge", "Always 1; the labels say what runs here.", labels, 1);
    metrics_add(text, "etlnode_up", "gauge", "1 when the node is ready to serve, else 0.", {}, ready ? 1 : 0);
    metrics_add(text, "etlnode_uptime_seconds", "gauge", "Seconds since the process started.", {}, as_double(uptime_ms) / 1000.0);
}

static std::string server_label(const char *name)
{
    std::string labels;
    metrics_label(labels, "server", name);
    return labels;
}

void metrics_add_servers(metrics_text &text, const metrics_server *servers, size_t count)
{
    struct family {
        const char *name, *type, *help;
        uint64_t http_server_counts::*field;
    };
    static constexpr family families[] = {
        {"etlnode_http_connections", "gauge", "Connections open now.", &http_server_counts::connections},
        {"etlnode_http_connections_accepted_total", "counter", "Connections accepted.", &http_server_counts::accepted},
        {"etlnode_http_connections_refused_total", "counter", "Connections refused, because as many as may be were open.",
            &http_server_counts::refused},
        {"etlnode_http_bad_requests_total", "counter", "Request heads that could not be parsed.", &http_server_counts::bad_requests},
        {"etlnode_http_received_bytes_total", "counter", "Bytes of request bodies.", &http_server_counts::bytes_in},
        {"etlnode_http_sent_bytes_total", "counter", "Bytes of answers.", &http_server_counts::bytes_out},
        {"etlnode_http_answers_cut_total", "counter", "Answers that were cut, because they could not be completed.",
            &http_server_counts::cut},
    };
    for (size_t i = 0; i < count; i++) {
        if (servers[i].server == nullptr)
            continue;
        for (size_t status = 1; status < 6; status++) {
            std::string labels = server_label(servers[i].name);
            metrics_label(labels, "class", text_format("%zuxx", status));
            metrics_add(text, "etlnode_http_requests_total", "counter", "Requests answered, by class of status.", labels,
                as_double(http_server_count(*servers[i].server).answers[status]));
        }
    }
    for (const family &f : families) {
        for (size_t i = 0; i < count; i++) {
            if (servers[i].server != nullptr)
                metrics_add(
                    text, f.name, f.type, f.help, server_label(servers[i].name), as_double(http_server_count(*servers[i].server).*f.field));
        }
    }
}

void metrics_add_machines(metrics_text &text)
{
    struct family {
        const char *name, *help;
        uint64_t sm_counters::*field;
    };
    static constexpr family families[] = {
        {"etlnode_machine_steps_total", "Transitions of state machines.", &sm_counters::steps},
        {"etlnode_machine_ignored_total", "Late events that a state machine ignored on purpose.", &sm_counters::ignored},
        {"etlnode_machine_faults_total", "Unexpected events, each of which stopped one state machine.", &sm_counters::faults},
    };
    std::vector<sm_view> machines = machines_all();
    for (const family &f : families) {
        for (const sm_view &machine : machines) {
            std::string labels;
            metrics_label(labels, "machine", machine.name);
            metrics_add(text, f.name, "counter", f.help, labels, as_double(machine.counters->*f.field));
        }
    }
}

} // namespace etlnode
