// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_spec.cc: Pod specs in YAML and JSON. An accepted spec becomes a Pod as JSON, and that JSON is accepted with the same
// meaning.
#include "spec_oracle.h"

using namespace etlnode;

FUZZ_TARGET(spec)
{
    etl_spec spec;
    std::string reason;
    if (error err = etl_spec_parse_pod(text, spec, reason)) {
        oracle_check_reason(err, reason);
        return;
    }
    oracle_check_spec(spec);
    FUZZ_CHECK(!spec.runtime_spec);
    etl_spec again;
    error err = etl_spec_parse_pod(spec.pod_json, again, reason);
    if (err && reason.find("more than") != std::string::npos)
        return; // expanded aliases may exceed the limits of a spec
    FUZZ_CHECK(!err);
    FUZZ_SAME(again.pod_json, fuzz_without_minus_zero(spec.pod_json));
    FUZZ_SAME(again.name, spec.name);
    FUZZ_CHECK(again.mode == spec.mode && again.wait_timeout_ms == spec.wait_timeout_ms && again.obj_timeout_ms == spec.obj_timeout_ms);
    FUZZ_CHECK(again.require_framing == spec.require_framing && again.hpull_address == spec.hpull_address &&
               again.container_port == spec.container_port);
}
