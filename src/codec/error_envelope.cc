// SPDX-License-Identifier: MIT
// codec/error_envelope.cc: reads another node's error answer.
#include "codec/error_envelope.h"

#include "base/text.h"
#include "codec/json.h"

namespace etlnode {

static error_code code_of_status(int status)
{
    switch (status) {
    case 401: return error_code::unauthorized;
    case 403: return error_code::forbidden;
    case 404: return error_code::not_found;
    case 405: return error_code::method_not_allowed;
    case 409: return error_code::conflict;
    case 413: return error_code::body_too_large;
    case 501: return error_code::not_implemented;
    case 503: return error_code::unavailable;
    case 504: return error_code::timed_out;
    case 507: return error_code::no_space;
    default: return status >= 500 ? error_code::internal : error_code::bad_request;
    }
}

error_envelope error_envelope_read(int status, std::string_view body)
{
    error_envelope result;
    result.code = code_of_status(status);
    json_ptr tree;
    std::string where;
    if (!json_parse(body, tree, where)) {
        error_code named = error_code::ok;
        if (error_code_from_name(json_text(tree.get(), "code"), named) && named != error_code::ok)
            result.code = named;
        result.message = std::string(json_text(tree.get(), "message"));
    }
    if (result.message.empty())
        result.message = body.empty() ? text_format("status %d", status) : text_format("status %d: %s", status, text_escape(body).c_str());
    return result;
}

} // namespace etlnode
