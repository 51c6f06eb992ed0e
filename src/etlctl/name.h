// SPDX-License-Identifier: MIT
// etlctl/name.h: how people write buckets and objects (`b`, `ais://b`, `b/o`, `ais://b/o`), endpoints and ETLs. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace etlnode::etlctl {

struct object_ref {
    std::string bucket;
    std::string object; // "" when only a bucket was written
};

// False with a reason when the text names no bucket. A trailing '/' after the bucket is dropped.
bool name_parse_ref(std::string_view text, object_ref &out_ref, std::string &out_why);
// As name_parse_ref, but there must be an object, or must not be one.
bool name_parse_object(std::string_view text, object_ref &out_ref, std::string &out_why);
bool name_parse_bucket(std::string_view text, std::string &out_bucket, std::string &out_why);

std::string name_bucket_uri(std::string_view bucket);                          // "ais://b"
std::string name_object_uri(std::string_view bucket, std::string_view object); // "ais://b/o"

// Ten letters and digits with at least one capital: an id that the node gave out, as opposed to a name that a person chose.
bool name_is_etl_id(std::string_view text);

// "host:8080" and "http://host:8080/" become "http://host:8080". False for anything but http and https, and for user names in it.
bool name_parse_endpoint(std::string_view text, std::string &out_endpoint, std::string &out_why);

// "a-b", "a-", "-n" as the value of a Range header, without "bytes=" (which may be written). False when it is none.
bool name_parse_range(std::string_view text, std::string &out_range, std::string &out_why);

// At most request_id_size_max of [A-Za-z0-9._-].
bool name_is_request_id(std::string_view text);

} // namespace etlnode::etlctl
