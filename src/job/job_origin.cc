// SPDX-License-Identifier: MIT
// job/job_origin.cc: what a job made an object from.
//
// Known by  kinds, role/target.
#include "job/job_origin.h"

#include "base/text.h"
#include "codec/url.h"

namespace etlnode {

static constexpr size_t hash_size = 16;

std::string job_origin_print(uint64_t hash, std::string_view job, std::string_view bucket, std::string_view name)
{
    return text_hex(hash) + " " + std::string(job) + " " + url_encode(bucket) + "/" + url_encode(name);
}

bool job_origin_is_same(std::string_view a, std::string_view b)
{
    return a.size() > hash_size && b.size() > hash_size && a.substr(0, hash_size) == b.substr(0, hash_size);
}

std::string_view job_origin_job(std::string_view origin)
{
    if (origin.size() <= hash_size + 1)
        return {};
    origin.remove_prefix(hash_size + 1);
    return origin.substr(0, origin.find(' '));
}

bool job_origin_source(std::string_view origin, std::string &out_bucket, std::string &out_name)
{
    size_t at = origin.find(' ', hash_size + 1);
    size_t slash = origin.find('/', at == std::string_view::npos ? origin.size() : at);
    return slash != std::string_view::npos && url_decode(origin.substr(at + 1, slash - at - 1), out_bucket) &&
           url_decode(origin.substr(slash + 1), out_name) && !out_bucket.empty() && !out_name.empty();
}

} // namespace etlnode
