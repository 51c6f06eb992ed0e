// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_query.cc: raw queries: the first parameter of a name counts, and parameters that are not named stay byte for byte.
#include <vector>

#include "codec/url.h"
#include "fuzz.h"

using namespace etlnode;

namespace {

struct parameter {
    std::string_view whole, key, value;
};

static std::vector<parameter> split(std::string_view query)
{
    std::vector<parameter> out;
    size_t begin = 0;
    while (begin <= query.size()) {
        size_t end = query.find('&', begin);
        end = end == std::string_view::npos ? query.size() : end;
        std::string_view whole = query.substr(begin, end - begin);
        size_t equals = whole.find('=');
        if (!whole.empty())
            out.push_back(
                {whole, whole.substr(0, equals), equals == std::string_view::npos ? std::string_view() : whole.substr(equals + 1)});
        begin = end + 1;
    }
    return out;
}

static bool is_key(const parameter &p, std::string_view key)
{
    std::string decoded;
    return p.key == key || (url_decode_query(p.key, decoded) && decoded == key);
}

static void check_get(std::string_view query, const std::vector<parameter> &all, std::string_view key)
{
    std::string value;
    bool found = url_query_get(query, key, value);
    for (const parameter &p : all) {
        if (!is_key(p, key))
            continue;
        std::string wanted;
        FUZZ_CHECK(url_decode_query(p.value, wanted) == found);
        if (found)
            FUZZ_SAME(value, wanted);
        return;
    }
    FUZZ_CHECK(!found);
}

static void check_without(std::string_view query, const std::vector<parameter> &all, const std::vector<std::string_view> &keys)
{
    std::string wanted;
    for (const parameter &p : all) {
        bool named = false;
        for (std::string_view key : keys)
            named = named || is_key(p, key);
        if (!named)
            wanted += (wanted.empty() ? "" : "&") + std::string(p.whole);
    }
    std::string rest = url_query_without(query, keys);
    FUZZ_SAME(rest, wanted);
    FUZZ_SAME(url_query_without(rest, keys), rest);
    std::string value;
    for (std::string_view key : keys)
        FUZZ_CHECK(!url_query_get(rest, key, value));
}

} // namespace

FUZZ_TARGET(query)
{
    std::string_view query = text;
    std::vector<parameter> all = split(query);
    if (all.size() > 64)
        return; // this check is quadratic; the code is not
    std::vector<std::string_view> keys = {"uuid", "etl_name", "pid", "utm", "provider", "namespace", "props", ""};
    std::vector<std::string> own;
    own.reserve(all.size());
    for (const parameter &p : all) {
        own.emplace_back();
        if (url_decode_query(p.key, own.back()))
            keys.push_back(own.back());
    }
    for (std::string_view key : keys)
        check_get(query, all, key);
    check_without(query, all, {"uuid", "etl_name"});
    check_without(query, all, {keys.back()});
    check_without(query, all, {});
}
