// SPDX-License-Identifier: MIT
// aistore/provider.cc: reads AIStore's names of providers, and refuses unsupported ones in AIStore's words.
//
// Knows    codec.            Known by  the proxy's handlers.
#include "aistore/provider.h"

#include "base/text.h"
#include "codec/json_fields.h"
#include "codec/url.h"

namespace etlnode {

std::string_view provider_of(std::string_view name)
{
    struct alias {
        std::string_view name, provider;
    };
    static constexpr alias aliases[] = {{"", "ais"}, {"ais", "ais"}, {"aws", "aws"}, {"s3", "aws"}, {"gcp", "gcp"}, {"gs", "gcp"},
        {"azure", "azure"}, {"az", "azure"}, {"oci", "oci"}, {"oc", "oci"}, {"ht", "ht"}, {"http", "ht"}};
    for (const alias &row : aliases) {
        if (row.name == name)
            return row.provider;
    }
    return {};
}

// AIStore's own words, because its clients look for the bucket's URL in them.
static std::string missing_backend_text(std::string_view provider, std::string_view bucket)
{
    struct backend {
        std::string_view provider, scheme, name;
    };
    static constexpr backend backends[] = {
        {"aws", "s3", "AWS"}, {"gcp", "gs", "GCP"}, {"azure", "az", "Azure"}, {"oci", "oc", "OCI"}, {"ht", "ht", "HTTP"}};
    for (const backend &row : backends) {
        if (row.provider == provider)
            return "failed to lookup bucket " + std::string(row.scheme) + "://" + text_escape(bucket) + ", err: " + std::string(row.name) +
                   " backend is missing in the cluster configuration";
    }
    return "provider " + std::string(provider) + " is not supported";
}

error provider_check(std::string_view query, std::string_view bucket, std::string &out_text)
{
    for (std::string_view name : {"provider", "namespace"}) {
        if (url_query_is_contradictory(query, name)) {
            out_text = "the parameter " + std::string(name) + " is given twice, with different values";
            return make_error(error_code::bad_request);
        }
    }
    std::string value;
    if (url_query_get(query, "provider", value)) {
        std::string_view provider = provider_of(value);
        if (provider.empty()) {
            out_text = "unknown provider \"" + text_escape(value) + "\"; known here: ais";
            return make_error(error_code::bad_request);
        }
        if (provider != "ais" && !bucket.empty()) {
            out_text = missing_backend_text(provider, bucket);
            return make_error(error_code::bucket_not_found);
        }
        if (provider != "ais") {
            out_text = "provider \"" + std::string(provider) + "\" is not supported: this cluster has only ais:// buckets";
            return make_error(error_code::not_implemented);
        }
    }
    value.clear();
    if (url_query_get(query, "namespace", value) && !value.empty() && value != "@#" && value != "@" && value != "#") {
        out_text = "namespace \"" + text_escape(value) + "\" is not supported: this cluster has only the global namespace";
        return make_error(error_code::not_implemented);
    }
    return no_error;
}

error provider_read_bucket(const cJSON *tree, const std::string &path, std::string &out_name, std::string &out_text)
{
    static constexpr json_field fields[] = {
        {"name", json_field_kind::text},
        {"provider", json_field_kind::text},
        {"namespace", json_field_kind::object},
    };
    static constexpr json_field space_fields[] = {{"uuid", json_field_kind::text}, {"name", json_field_kind::text}};
    const cJSON *space = json_get(tree, "namespace");
    out_text = json_fields_misfit(tree, path, fields);
    if (out_text.empty())
        out_text = json_fields_misfit(space, path + ".namespace", space_fields);
    std::string_view given = json_text(tree, "provider"), provider = provider_of(given);
    if (out_text.empty() && provider.empty())
        out_text = path + ": unknown provider \"" + text_escape(given, 32) + "\"; known here: ais";
    if (!out_text.empty())
        return make_error(error_code::bad_request);
    bool has_space = !json_text(space, "uuid").empty() || !json_text(space, "name").empty();
    if (has_space || provider != "ais") {
        out_text = path + " is not a bucket of this cluster: only provider ais, without a namespace, is implemented";
        return make_error(error_code::not_implemented);
    }
    out_name = json_text(tree, "name");
    return no_error;
}

} // namespace etlnode
