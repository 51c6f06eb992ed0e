// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_pod_list.cc: the output of `kubectl get pods -o json`.
#include "pod_oracle.h"

using namespace etlnode;

FUZZ_TARGET(pod_list)
{
    std::vector<pod_status> pods;
    std::string where;
    if (error err = pod_list_parse(text, pods, where)) {
        FUZZ_CHECK(err.code == error_code::bad_json && !where.empty());
        return;
    }
    for (const pod_status &status : pods)
        oracle_check_status(status);
}
