// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_spec: Pod specs in YAML and JSON. What is accepted is a Pod as JSON, and that JSON is accepted with the same meaning.
#include "spec_oracle.h"

using namespace etlnode;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_exact text(fuzz_text(data, size));
    etl_spec spec;
    std::string reason;
    if (error err = etl_spec_parse_pod(text.view(), spec, reason)) {
        oracle_check_reason(err, reason);
        return 0;
    }
    oracle_check_spec(spec);
    FUZZ_CHECK(!spec.runtime_spec);
    etl_spec again;
    error err = etl_spec_parse_pod(spec.pod_json, again, reason);
    if (err && reason.find("more than") != std::string::npos)
        return 0; // aliases spelled out may exceed what a spec may be
    FUZZ_CHECK(!err);
    FUZZ_SAME(again.pod_json, fuzz_without_minus_zero(spec.pod_json));
    FUZZ_SAME(again.name, spec.name);
    FUZZ_CHECK(again.mode == spec.mode && again.wait_timeout_ms == spec.wait_timeout_ms && again.obj_timeout_ms == spec.obj_timeout_ms);
    FUZZ_CHECK(again.require_framing == spec.require_framing && again.hpull_address == spec.hpull_address &&
               again.container_port == spec.container_port);
    return 0;
}
