// SPDX-License-Identifier: MIT
// kubectl_local/quantity.h: Kubernetes quantities: "500m", "1.5Gi", "2e3".
#pragma once

#include <string>
#include <string_view>

namespace etlnode::kubectl_local {

struct quantity {
    long double value = 0; // in the unit itself: cores, bytes; exact as far as 64 bits go
};

// False, with the API server's words in `out_fault`, for what is no quantity.
bool quantity_parse(std::string_view text, quantity &out_quantity, std::string &out_fault);

} // namespace etlnode::kubectl_local
