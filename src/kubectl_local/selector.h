// SPDX-License-Identifier: MIT
// kubectl_local/selector.h: label selectors in the syntax of kubectl -l: a=b, a==b, a!=b, a, !a, a in (x,y), a notin (x,y), joined by
// commas.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace etlnode::kubectl_local {

enum class requirement_kind : uint8_t { exists, absent, in, not_in };

struct requirement {
    std::string key;
    requirement_kind kind;
    std::vector<std::string> values;
};

using selector = std::vector<requirement>; // all must match; an empty selector matches everything

bool selector_parse(std::string_view text, selector &out_selector, std::string &out_text);
// `labels` may be null.
bool selector_matches(const selector &wanted, const cJSON *labels);

} // namespace etlnode::kubectl_local
