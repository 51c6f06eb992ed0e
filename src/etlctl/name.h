// SPDX-License-Identifier: MIT
// etlctl/name.h: the forms in which users write buckets and objects (`b`, `ais://b`, `b/o`, `ais://b/o`), endpoints and ETLs. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace etlnode::etlctl {

struct object_ref {
    std::string bucket;
    std::string object; // "" if the text names only a bucket
};

// False with a reason if the text does not name a bucket. Drops a trailing '/' after the bucket.
bool name_parse_ref(std::string_view text, object_ref &out_ref, std::string &out_why);
// Like name_parse_ref, but the object is required (parse_object) or not allowed (parse_bucket).
bool name_parse_object(std::string_view text, object_ref &out_ref, std::string &out_why);
bool name_parse_bucket(std::string_view text, std::string &out_bucket, std::string &out_why);

std::string name_bucket_uri(std::string_view bucket);                          // "ais://b"
std::string name_object_uri(std::string_view bucket, std::string_view object); // "ais://b/o"

// Whether this is an id that a node generated, as opposed to a name that a user chose: ten letters and digits with at least one capital.
bool name_is_etl_id(std::string_view text);

// "host:8080" and "http://host:8080/" become "http://host:8080". Accepts only http and https, and no user names.
bool name_parse_endpoint(std::string_view text, std::string &out_endpoint, std::string &out_why);

// "a-b", "a-" or "-n" as the value of a Range header, without "bytes=" (which the text may contain). False if it is not a range.
bool name_parse_range(std::string_view text, std::string &out_range, std::string &out_why);

// At most request_id_size_max of [A-Za-z0-9._-].
bool name_is_request_id(std::string_view text);

} // namespace etlnode::etlctl
