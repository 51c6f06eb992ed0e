// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_init_message.cc: init messages of today's clients. An input that is not a JSON object is taken as a Pod and sent in
// base64, so that the corpus stays readable.
#include "spec_oracle.h"

using namespace etlnode;

static void check_message(std::string_view message)
{
    fuzz_exact text(message);
    etl_spec spec;
    std::string reason;
    if (error err = etl_spec_parse_init(text.view(), spec, reason)) {
        oracle_check_reason(err, reason);
        return;
    }
    oracle_check_spec(spec);
}

// A message without a name and variables means the Pod itself.
static void check_wrapped(std::string_view pod)
{
    json_ptr message = json_object();
    json_add_text(message.get(), "spec", base64_encode(pod));
    etl_spec plain, wrapped;
    std::string reason;
    bool good = !etl_spec_parse_pod(pod, plain, reason);
    FUZZ_CHECK(good == !etl_spec_parse_init(json_print(message.get()), wrapped, reason) || base64_encode(pod).size() > spec_size_max);
    if (good) {
        FUZZ_SAME(wrapped.pod_json, fuzz_without_minus_zero(plain.pod_json));
        FUZZ_SAME(wrapped.name, plain.name);
        FUZZ_CHECK(wrapped.mode == plain.mode && wrapped.wait_timeout_ms == plain.wait_timeout_ms &&
                   wrapped.container_port == plain.container_port);
    }
    json_add_text(message.get(), "name", "other-name");
    json_ptr variable = json_object();
    json_add_text(variable.get(), "name", "MORE");
    json_add_text(variable.get(), "value", "1");
    json_append(json_add_array(message.get(), "env"), std::move(variable));
    check_message(json_print(message.get()));
}

FUZZ_TARGET(init_message)
{
    check_message(text);
    size_t first = text.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && text[first] != '{')
        check_wrapped(text);
}
