// SPDX-License-Identifier: MIT
// kubectl_local/quantity.h: Kubernetes quantities: "500m", "1.5Gi", "2e3".
#pragma once

#include <string>
#include <string_view>

namespace etlnode::kubectl_local {

struct quantity {
    long double value = 0; // in the base unit: cores, bytes; exact within 64 bits
};

// False for a text that is not a quantity, with the API server's words in `out_fault`.
bool quantity_parse(std::string_view text, quantity &out_quantity, std::string &out_fault);

} // namespace etlnode::kubectl_local
