// SPDX-License-Identifier: MIT
// codec/error_envelope.h: an error answer of another node, back to a code and a message (docs/PROTOCOL.md has the envelope).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace etlnode {

struct error_envelope {
    error_code code = error_code::internal;
    std::string message;
};
// A body that is no envelope becomes the message.
error_envelope error_envelope_read(int status, std::string_view body);

} // namespace etlnode
