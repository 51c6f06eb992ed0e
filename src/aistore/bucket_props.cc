// SPDX-License-Identifier: MIT
// aistore/bucket_props.cc: which properties of a bucket can be set.
//
// Knows    cluster_config.h, codec.        Known by  cluster_config.cc, role/proxy.
// Limits   bucket_props_size_max.
#include "aistore/bucket_props.h"

#include <cstring>

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

static bool is_of_kind(const cJSON *value, const cJSON *known)
{
    if (cJSON_IsBool(known) || cJSON_IsBool(value))
        return cJSON_IsBool(known) && cJSON_IsBool(value);
    bool value_is_leaf = cJSON_IsNumber(value) || cJSON_IsString(value);
    return cJSON_IsObject(known) ? cJSON_IsObject(value) : value_is_leaf;
}

static const char *kind_text(const cJSON *known)
{
    return cJSON_IsObject(known) ? "an object" : cJSON_IsBool(known) ? "true or false" : cJSON_IsNumber(known) ? "a number" : "a text";
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
    cJSON_DeleteItemFromObject(kept, value->string);
    if (!is_same_value(value, known))
        json_add_tree(kept, value->string, json_ptr(cJSON_Duplicate(value, true)));
}

static void set_members(props_change &c, const std::string &above, const cJSON *value, const cJSON *known, cJSON *kept)
{
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, value)
    {
        std::string path = above.empty() ? std::string(one->string) : above + "." + one->string;
        const cJSON *former = json_get(known, one->string);
        if (c.err || cJSON_IsNull(one) || path == "extra") // Go's clients send null for what they do not set
            continue;
        if (former == nullptr || !is_of_kind(one, former)) {
            std::string shown = text_escape(path, 100);
            refuse(c, error_code::bad_request,
                former == nullptr ? "unknown property " + shown : "property " + shown + ": expected " + kind_text(former));
            continue;
        }
        if (!cJSON_IsObject(former)) {
            set_leaf(c, path, one, former, kept);
            continue;
        }
        cJSON *section = const_cast<cJSON *>(json_get(kept, one->string));
        set_members(c, path, one, former, section != nullptr ? section : json_add_object(kept, one->string));
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
