// SPDX-License-Identifier: MIT
// aistore/upload_name.cc: the names of uploads in parts.
//
// Knows    codec.            Known by  role/proxy/objects.cc, role/target/uploads.cc.
#include "aistore/upload_name.h"

#include "codec/url.h"

namespace etlnode {

static constexpr size_t letters_size = 9; // as many as AIStore's ids have

std::string upload_name_make(rng &random, std::string_view target_id)
{
    static constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    std::string id;
    for (size_t i = 0; i < letters_size; i++)
        id += letters[static_cast<size_t>(rng_below(random, letters.size()))];
    return id.append("-").append(target_id);
}

std::string upload_name_handle(std::string_view id)
{
    std::string handle(upload_name_target(id));
    return handle.append("|").append(id.substr(0, letters_size));
}

std::string upload_name_of_query(std::string_view query)
{
    std::string name;
    if (url_query_get(query, query_upload_id, name) && !name.empty())
        return name;
    std::string handle;
    size_t bar = url_query_get(query, query_append_handle, handle) ? handle.rfind('|') : std::string::npos;
    if (bar == std::string::npos)
        return handle; // empty, or none of ours
    return handle.substr(bar + 1) + "-" + handle.substr(0, bar);
}

std::string_view upload_name_target(std::string_view id)
{
    bool is_name = id.size() > letters_size + 1 && id[letters_size] == '-';
    return is_name ? id.substr(letters_size + 1) : std::string_view();
}

} // namespace etlnode
