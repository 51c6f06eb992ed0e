// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_json.cc: JSON bodies. Accepted JSON survives printing and parsing, and every reader of fields copes with it.
#include "base/limits.h"
#include "base/text.h"
#include "codec/error_envelope.h"
#include "codec/json.h"
#include "codec/url.h"
#include "codec/yaml.h"
#include "control/document.h"
#include "fuzz.h"
#include "kube/kubectl.h"
#include "role/shared/list_merge.h"

using namespace etlnode;

static size_t depth_of(std::string_view text)
{
    size_t depth = 0, most = 0;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] == '"') {
            for (i++; text[i] != '"'; i++)
                i += text[i] == '\\' ? 1 : 0;
        } else if (text[i] == '{' || text[i] == '[') {
            most = ++depth > most ? depth : most;
        } else if (text[i] == '}' || text[i] == ']') {
            depth--;
        }
    }
    return most;
}

static void check_tree(std::string_view text, const cJSON *tree)
{
    std::string where;
    FUZZ_CHECK(depth_of(text) <= json_depth_max);
    std::string printed = json_print(tree);
    json_ptr again, pretty, yaml_json;
    FUZZ_CHECK(!json_parse(printed, again, where));
    FUZZ_SAME(json_print(again.get()), printed);
    FUZZ_CHECK(!json_parse(json_print_pretty(tree), pretty, where));
    FUZZ_SAME(json_print(pretty.get()), printed);
}

// The action envelope, and the parameters of a listing.
static void check_action(const cJSON *tree)
{
    FUZZ_CHECK(text_is_utf8(json_text(tree, "action")));
    list_request request;
    std::string reason;
    if (error err = list_request_read(json_get(tree, "value"), request, reason)) {
        FUZZ_CHECK(err.code == error_code::bad_request && !reason.empty() && text_is_utf8(reason));
        return;
    }
    FUZZ_CHECK(request.page_size >= 1 && request.page_size <= list_page_size_max);
    // It is forwarded to the targets in a URL.
    FUZZ_CHECK(url_encode(request.prefix).size() + url_encode(request.after).size() +
                   url_encode(std::string(bucket_name_size_max, 'b')).size() + 200 <
               http_url_size_max);
    FUZZ_CHECK(list_directory_of(request.prefix, request.after).size() <= request.after.size());
}

static void check_node(const cJSON *tree)
{
    cluster_node node, again;
    if (node_parse(tree, node))
        return;
    json_ptr printed = node_print(node);
    FUZZ_CHECK(!node_parse(printed.get(), again));
    FUZZ_SAME(json_print(node_print(again).get()), json_print(printed.get()));
}

FUZZ_TARGET(json)
{
    json_ptr tree, kubectl_tree;
    std::string where, kubectl_where;
    error err = json_parse(text, tree, where);
    error kubectl_err = kubectl_parse_json(text, kubectl_tree, kubectl_where);
    FUZZ_CHECK(err || !kubectl_err); // kubectl's reader accepts more, never less
    for (int status : {400, 404, 500, 503})
        FUZZ_CHECK(!error_envelope_read(status, text).message.empty());
    if (err) {
        FUZZ_CHECK(err.code == error_code::bad_json && tree == nullptr && where.starts_with("line "));
        return;
    }
    FUZZ_CHECK(text_is_utf8(text));
    check_tree(text, tree.get());
    check_action(tree.get());
    check_node(tree.get());
    for (const char *key : {"name", "version", "VALUE", ""}) {
        uint64_t one = json_u64(tree.get(), key, 1), two = json_u64(tree.get(), key, 2);
        FUZZ_CHECK(one == two || (one == 1 && two == 2));
        FUZZ_CHECK(json_bool(tree.get(), key, true) || !json_bool(tree.get(), key, false));
    }
}
