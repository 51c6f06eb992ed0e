// SPDX-License-Identifier: MIT
// etlctl/http_client.cc: one request after the other, over libcurl's easy interface.
//
// Owns     one CURL handle, kept between requests so that the connection stays open.
// Knows    http_exchange.            Known by  session, the commands.
#include "etlctl/http_client.h"

#include <curl/curl.h>

#include "base/text.h"
#include "etlctl/http_exchange.h"

namespace etlnode::etlctl {

static bool prepare(http_client &client)
{
    if (client.easy != nullptr)
        return true;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return false;
    client.easy = curl_easy_init();
    return client.easy != nullptr;
}

void http_perform(http_client &client, const http_request &request, http_reply &out_reply)
{
    out_reply = http_reply{};
    if (!prepare(client)) {
        out_reply.problem = "cannot initialise libcurl";
        return;
    }
    http_exchange x = {.request = &request, .reply = &out_reply, .client = &client, .easy = client.easy};
    exchange_prepare(x);
    exchange_finish(x, curl_easy_perform(static_cast<CURL *>(client.easy)));
}

void http_close(http_client &client)
{
    if (client.easy == nullptr)
        return;
    curl_easy_cleanup(static_cast<CURL *>(client.easy));
    client.easy = nullptr;
    curl_global_cleanup();
}

std::string_view http_header(const http_reply &reply, std::string_view name)
{
    for (const auto &[header, value] : reply.headers)
        if (text_equal_ignore_case(header, name))
            return value;
    return {};
}

} // namespace etlnode::etlctl
