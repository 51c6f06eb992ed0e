// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_pod_list: the output of `kubectl get pods -o json`.
#include "pod_oracle.h"

using namespace etlnode;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_exact text(fuzz_text(data, size));
    std::vector<pod_status> pods;
    std::string where;
    if (error err = pod_list_parse(text.view(), pods, where)) {
        FUZZ_CHECK(err.code == error_code::bad_json && !where.empty());
        return 0;
    }
    for (const pod_status &status : pods)
        oracle_check_status(status);
    return 0;
}
