// SPDX-License-Identifier: MIT
// aistore/upload_name.cc: the names of uploads in parts.
//
// Knows    codec.            Known by  role/proxy/objects.cc, role/target/uploads.cc.
#include "aistore/upload_name.h"

#include "codec/url.h"
#include "node/api.h"

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

static std::string misplaced(std::string_view name, std::string_view methods)
{
    return "the parameter " + std::string(name) + " goes with " + std::string(methods);
}

std::string upload_query_misfit(std::string_view method, std::string_view query)
{
    for (std::string_view name : {query_upload_id, query_part_number, query_append_type, query_append_handle}) {
        if (url_query_is_contradictory(query, name))
            return "the parameter " + std::string(name) + " is given twice, with different values";
    }
    std::string id, value;
    const bool has_id = url_query_get(query, query_upload_id, id);
    const bool has_type = url_query_get(query, query_append_type, value);
    const bool has_number = url_query_get(query, query_part_number, value);
    if (has_number && !has_id)
        return "partNumber is given without uploadId: of which upload is it a part?";
    if (url_query_get(query, query_append_handle, value) && !has_type)
        return "append_handle is given without append_type: expected append_type=append or append_type=flush";
    if (has_id && has_type)
        return "uploadId and append_type exclude each other";
    if (has_id && id.empty())
        return "the parameter uploadId is empty: it names an upload in parts; leave it out to store the object as a whole";
    if (has_type && method != "PUT")
        return misplaced(query_append_type, "PUT");
    if (has_number && method != "PUT")
        return misplaced(query_part_number, "PUT");
    if (has_id && method != "PUT" && method != "POST" && method != "DELETE")
        return misplaced(query_upload_id, "PUT, POST and DELETE");
    for (std::string_view other : {query_object_to, query_archive_names[0]}) {
        if ((has_id || has_type) && url_query_get(query, other, value))
            return std::string(has_id ? query_upload_id : query_append_type) + " and " + std::string(other) + " exclude each other";
    }
    return {};
}

} // namespace etlnode
