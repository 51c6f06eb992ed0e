// SPDX-License-Identifier: MIT
// test/unit/etl/spec_fixture.h: what the cases about specs and about messages of today's clients share.
#pragma once

#include "node_test.h"

#include "document_spec.h"
#include "etl/etl_spec.h"

namespace etlnode {

struct fixture {
    etl_spec spec;
    std::string reason;
    std::string text;
    std::string message;
};

inline int setup(void **state)
{
    *state = new fixture;
    return 0;
}
inline int teardown(void **state)
{
    delete static_cast<fixture *>(*state);
    return 0;
}

inline constexpr std::string_view start = "apiVersion: v1\nkind: Pod\n"; // two lines
inline constexpr std::string_view tail = "spec:\n  containers:\n  - name: s\n    image: i\n    ports:\n    - containerPort: 80\n";

struct bad_case {
    const char *text; // begins in line 3, after `start`; if it begins with '!', it is the whole document
    const char *reason;
};

inline std::string warnings_text(const etl_spec &spec)
{
    std::string out;
    for (const std::string &warning : spec.warnings)
        out += warning + "\n";
    return out;
}

} // namespace etlnode
