// SPDX-License-Identifier: MIT
// uv/uv_curl.cc: loads libcurl.
//
// Known by  uv_web.cc.
// Fails    the library is not installed, or lacks a function.
#include "uv/uv_curl.h"

#include <dlfcn.h>

namespace etlnode {

static constexpr unsigned version_min = 0x075500;

static uv_curl functions;
static bool is_loaded = false;

template <typename function> static bool find(void *library, const char *name, function &out_function)
{
    out_function = reinterpret_cast<function>(dlsym(library, name));
    return out_function != nullptr;
}

static bool find_all(void *library)
{
    bool has_all = true;
#define UV_CURL_ROW(name) has_all = find(library, #name, functions.name) && has_all
    UV_CURL_FUNCTIONS(UV_CURL_ROW);
#undef UV_CURL_ROW
    return has_all;
}

const uv_curl *uv_curl_load(std::string &out_why)
{
    if (is_loaded)
        return &functions;
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        const char *why = dlerror();
        out_why = "the library libcurl.so.4 cannot be loaded: " + std::string(why != nullptr ? why : "unknown");
        return nullptr;
    }
    if (!find_all(library) || functions.curl_version_info(CURLVERSION_NOW)->version_num < version_min ||
        functions.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        out_why = "the library libcurl.so.4 is older than 7.85";
        return nullptr; // it stays loaded, and is found again
    }
    is_loaded = true;
    return &functions;
}

} // namespace etlnode
