// SPDX-License-Identifier: MIT
// uv/uv_curl.h: libcurl, loaded when it is first needed: with its libraries it would take some MiB in every node, and most never fetch.
#pragma once

#include <string>

#include <curl/curl.h>

namespace etlnode {

#define UV_CURL_FUNCTIONS(row)     \
    row(curl_global_init);         \
    row(curl_version_info);        \
    row(curl_easy_init);           \
    row(curl_easy_setopt);         \
    row(curl_easy_getinfo);        \
    row(curl_easy_pause);          \
    row(curl_easy_cleanup);        \
    row(curl_easy_strerror);       \
    row(curl_multi_init);          \
    row(curl_multi_setopt);        \
    row(curl_multi_add_handle);    \
    row(curl_multi_remove_handle); \
    row(curl_multi_socket_action); \
    row(curl_multi_info_read);     \
    row(curl_multi_assign);        \
    row(curl_multi_cleanup);       \
    row(curl_url);                 \
    row(curl_url_set);             \
    row(curl_url_get);             \
    row(curl_url_cleanup);         \
    row(curl_free)

struct uv_curl {
#define UV_CURL_ROW(name) decltype(&::name) name = nullptr
    UV_CURL_FUNCTIONS(UV_CURL_ROW);
#undef UV_CURL_ROW
};

// Null if the library cannot be used; `out_why` says why. It stays for the life of the process. For the loop's thread.
const uv_curl *uv_curl_load(std::string &out_why);

} // namespace etlnode
