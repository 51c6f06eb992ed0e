// SPDX-License-Identifier: MIT
// test/fuzz/pod_oracle.h: what holds for every pod status that was read, and for the texts made from it.
#pragma once

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "fuzz.h"
#include "kube/pod_status.h"

namespace etlnode {

inline void oracle_check_status(const pod_status &status)
{
    FUZZ_CHECK(!status.name.empty());
    for (const std::string *text : {&status.name, &status.uid, &status.label_etl, &status.generation, &status.target_url, &status.phase,
             &status.reason, &status.message, &status.pod_ip, &status.unscheduled, &status.main.reason, &status.main.message,
             &status.main.last_message, &status.main.container_id})
        FUZZ_CHECK(text->size() <= kib && text->find('\0') == std::string::npos);
    std::string why;
    pod_verdict verdict = pod_status_judge(status, why);
    FUZZ_SAME(why, pod_status_describe(status));
    FUZZ_CHECK(!why.empty() && why.find('\n') == std::string::npos && why.find('\x1b') == std::string::npos);
    FUZZ_CHECK(verdict != pod_verdict::ready || (status.ready && !status.terminating && status.main.state == container_state::running));
    FUZZ_CHECK(verdict != pod_verdict::ended || !status.phase.empty() || status.main.state == container_state::terminated);
    const container_status *failed = pod_status_failed_container(status);
    FUZZ_CHECK(failed == nullptr || container_ever_ran(*failed));
    FUZZ_CHECK(container_crash_count(status.main) >= status.main.restart_count);
    FUZZ_CHECK(!pod_status_instance(status).empty() && !pod_status_is_older(status, status));
    std::string host;
    uint16_t port = 0;
    FUZZ_CHECK(!pod_address_parse(status.local_address, host, port) || (!host.empty() && port != 0));
}

} // namespace etlnode
