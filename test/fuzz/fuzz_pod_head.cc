// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_pod_head.cc: heads of a pod's answers, and the rule that finds the end of their bodies.
#include "codec/http_write.h"
#include "head_oracle.h"

using namespace etlnode;

static http_head head;

static void check_accepted(std::string_view bytes, bool to_head)
{
    std::string_view line = bytes.substr(0, bytes.find("\r\n"));
    FUZZ_CHECK(line.starts_with(head.version_minor == 1 ? "HTTP/1.1 " : "HTTP/1.0 "));
    FUZZ_CHECK(head.status >= 100 && head.status <= 599 && std::to_string(head.status) == line.substr(9, 3));
    FUZZ_CHECK(oracle_is_inside(head.reason, line));
    oracle_counts counts = oracle_check_lines(bytes, head);
    bool is_empty = to_head || head.status < 200 || head.status == 204 || head.status == 304;
    // There is exactly one rule for the end.
    FUZZ_CHECK((head.has_length ? 1 : 0) + (head.chunked ? 1 : 0) + (head.close_delimited ? 1 : 0) == 1);
    if (is_empty) {
        FUZZ_CHECK(head.has_length && head.length == 0);
        return;
    }
    FUZZ_CHECK(head.has_length == (counts.length == 1) && head.chunked == (counts.coding == 1));
    FUZZ_CHECK(!head.has_length || head.length == counts.length_value);
    FUZZ_CHECK(!head.close_delimited || !head.keep_alive);
}

FUZZ_TARGET(pod_head)
{
    size_t end = http_find_head_end(text, 0);
    for (bool to_head : {false, true}) {
        error whole = http_parse_response_head(text, to_head, head);
        if (end == 0) {
            FUZZ_CHECK(whole);
            continue;
        }
        fuzz_exact bytes(text.substr(0, end));
        error err = http_parse_response_head(bytes.view(), to_head, head);
        FUZZ_CHECK(err.code == whole.code);
        if (!err)
            check_accepted(bytes.view(), to_head);
    }
}
