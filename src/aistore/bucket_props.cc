// SPDX-License-Identifier: MIT
// aistore/bucket_props.cc: which properties of a bucket can be set.
//
// Knows    cluster_config.h, codec.        Known by  cluster_config.cc, role/proxy.
// Limits   bucket_props_size_max.
#include "aistore/bucket_props.h"

#include <algorithm>
#include <cmath>

#include "aistore/cluster_config.h"
#include "base/limits.h"
#include "base/text.h"

namespace etlnode {

// Leaves whose value cannot be another one, and why.
static constexpr struct {
    std::string_view path, why;
} fixed[] = {
    {"mirror.enabled", "there is one copy of each object"},
    {"ec.enabled", "there is one copy of each object"},
    {"lru.enabled", "nothing is ever evicted"},
    {"rate_limit.backend.enabled", "no rate is limited"},
    {"rate_limit.frontend.enabled", "no rate is limited"},
    {"write_policy.data", "what is acknowledged is durable"},
    {"write_policy.md", "what is acknowledged is durable"},
    {"backend_bck.name", "a bucket has no other bucket behind it"},
    {"backend_bck.provider", "a bucket has no other bucket behind it"},
    {"provider", "buckets of this cluster have the provider ais"},
    {"access", "every client may do everything"},
    {"features", "there are none to choose"},
    {"bid", "the cluster makes it"},
    {"created", "the cluster makes it"},
};

static std::string_view why_fixed(std::string_view path)
{
    for (const auto &row : fixed) {
        if (row.path == path)
            return row.why;
    }
    return {};
}

static constexpr std::string_view checksum_types[] = {"none", "xxhash", "xxhash2", "cesxxh", "md5", "crc32c", "sha256", "sha512", "blake3"};

static bool is_checksum_type(std::string_view text)
{
    for (std::string_view known : checksum_types) {
        if (known == text)
            return true;
    }
    return false;
}

// Numbers come as texts, too.
static bool is_same_value(const cJSON *a, const cJSON *b)
{
    std::string left = json_print(a), right = json_print(b);
    std::erase(left, '"');
    std::erase(right, '"');
    return left == right;
}

// A whole number, or one in digits as a text.
static bool read_whole(const cJSON *value, uint64_t &out_number)
{
    static constexpr double exact_max = 9007199254740992.0; // 2^53
    if (cJSON_IsString(value))
        return text_parse_u64(value->valuestring, out_number);
    if (!cJSON_IsNumber(value) || !(value->valuedouble >= 0 && value->valuedouble <= exact_max) ||
        std::floor(value->valuedouble) != value->valuedouble)
        return false;
    out_number = static_cast<uint64_t>(value->valuedouble);
    return true;
}

// "1TiB", "0B", "64k".
static bool is_size(std::string_view text)
{
    size_t digits = text.find_first_not_of("0123456789.");
    std::string unit = text_lower(text.substr(std::min(digits, text.size())));
    if (digits == 0 || text.empty() || text[0] == '.')
        return false;
    if (unit.ends_with('b'))
        unit.pop_back();
    if (unit.size() == 2 && unit[1] == 'i')
        unit.pop_back();
    return unit.empty() || (unit.size() == 1 && unit.find_first_of("kmgtp") == 0);
}

// AIStore's clients cannot read the properties of a bucket at all if one is of another kind than theirs. Null: this one is not.
static const char *misfit(const cJSON *value, const cJSON *known)
{
    uint64_t number = 0;
    if (cJSON_IsObject(known))
        return cJSON_IsObject(value) ? nullptr : "an object";
    if (cJSON_IsBool(known))
        return cJSON_IsBool(value) ? nullptr : "true or false";
    if (cJSON_IsNumber(known))
        return read_whole(value, number) ? nullptr : "a whole number";
    if (!cJSON_IsString(value))
        return "a text";
    std::string_view former = known->valuestring, text = value->valuestring;
    if (former == "0")
        return text_parse_u64(text, number) ? nullptr : "a text of digits";
    if (text_parse_duration_ms(former, number))
        return text_parse_duration_ms(text, number) ? nullptr : "a duration, as in 10m";
    return !is_size(former) || is_size(text) ? nullptr : "a size, as in 64KiB";
}

struct props_change {
    error err;
    std::string why;
};

static void refuse(props_change &c, error_code code, std::string why)
{
    c.err = make_error(code);
    c.why = std::move(why);
}

static void set_leaf(props_change &c, const std::string &path, const cJSON *value, const cJSON *known, cJSON *kept)
{
    std::string_view why = why_fixed(path);
    if (!why.empty() && !is_same_value(value, known))
        refuse(c, error_code::not_implemented, "property " + path + " cannot be " + json_print(value) + ": " + std::string(why));
    else if (path == "checksum.type" && (!cJSON_IsString(value) || !is_checksum_type(value->valuestring)))
        refuse(c, error_code::bad_request, "property checksum.type: " + json_print(value) + " is no type of checksum");
    if (c.err)
        return;
    cJSON_DeleteItemFromObject(kept, known->string);
    uint64_t number = 0;
    if (is_same_value(value, known))
        return;
    if (cJSON_IsNumber(known) && read_whole(value, number))
        json_add_u64(kept, known->string, number);
    else
        json_add_tree(kept, known->string, json_ptr(cJSON_Duplicate(value, true)));
}

static void set_members(props_change &c, const std::string &above, const cJSON *value, const cJSON *known, cJSON *kept)
{
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, value)
    {
        const cJSON *former = json_get(known, one->string); // whatever the case of its letters
        const std::string name(former != nullptr ? former->string : one->string);
        const std::string path = above.empty() ? name : above + "." + name;
        if (c.err || cJSON_IsNull(one) || path == "extra") // Go's clients send null for what they do not set
            continue;
        const char *expected = former != nullptr ? misfit(one, former) : nullptr;
        if (former == nullptr || expected != nullptr) {
            std::string shown = text_escape(path, 100);
            refuse(c, error_code::bad_request,
                former == nullptr ? "unknown property " + shown : "property " + shown + ": expected " + expected);
            continue;
        }
        if (!cJSON_IsObject(former)) {
            set_leaf(c, path, one, former, kept);
            continue;
        }
        cJSON *section = const_cast<cJSON *>(json_get(kept, name.c_str()));
        set_members(c, path, one, former, section != nullptr ? section : json_add_object(kept, name.c_str()));
    }
}

static json_ptr parse(const std::string &props)
{
    json_ptr tree;
    std::string where;
    return props.empty() || json_parse(props, tree, where) ? json_object() : std::move(tree); // the document holds none but JSON
}

// Sections in which nothing is set any more.
static void drop_empty(cJSON *tree)
{
    for (cJSON *one = tree->child, *next = nullptr; one != nullptr; one = next) {
        next = one->next;
        if (!cJSON_IsObject(one))
            continue;
        drop_empty(one);
        if (one->child == nullptr)
            cJSON_Delete(cJSON_DetachItemViaPointer(tree, one));
    }
}

error bucket_props_set(const cJSON *value, std::string &props, std::string &out_why)
{
    if (value == nullptr || cJSON_IsNull(value))
        return no_error;
    if (!cJSON_IsObject(value)) {
        out_why = "value: expected an object of properties";
        return make_error(error_code::bad_request);
    }
    json_ptr kept = parse(props);
    json_ptr known = cluster_config_bucket_json({});
    props_change change;
    set_members(change, {}, value, known.get(), kept.get());
    drop_empty(kept.get());
    std::string text = kept->child == nullptr ? std::string() : json_print(kept.get());
    if (!change.err && text.size() > bucket_props_size_max)
        refuse(change, error_code::bad_request, text_format("the properties of a bucket have at most %zu bytes", bucket_props_size_max));
    if (!change.err)
        props = std::move(text);
    out_why = std::move(change.why);
    return change.err;
}

static void replace_members(cJSON *tree, const cJSON *with)
{
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, with)
    {
        cJSON *former = const_cast<cJSON *>(json_get(tree, one->string));
        if (cJSON_IsObject(former) && cJSON_IsObject(one))
            replace_members(former, one);
        else if (former != nullptr)
            cJSON_ReplaceItemInObject(tree, one->string, cJSON_Duplicate(one, true));
    }
}

void bucket_props_show(cJSON *tree, const std::string &props)
{
    if (!props.empty())
        replace_members(tree, parse(props).get());
}

} // namespace etlnode
