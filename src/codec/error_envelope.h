// SPDX-License-Identifier: MIT
// codec/error_envelope.h: turns another node's error answer into a code and a message (docs/PROTOCOL.md describes the envelope).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace etlnode {

struct error_envelope {
    error_code code = error_code::internal;
    std::string message;
};
// A body that is not an envelope becomes the message.
error_envelope error_envelope_read(int status, std::string_view body);

} // namespace etlnode
