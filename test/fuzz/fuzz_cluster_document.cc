// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_cluster_document.cc: cluster documents, as a proxy sends them and as a node reads them from its database.
#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "control/document.h"
#include "control/placement.h"
#include "fuzz.h"

using namespace etlnode;

template <class T, class F> static void check_order(const std::vector<T> &rows, F field)
{
    for (size_t i = 1; i < rows.size(); i++)
        FUZZ_CHECK(rows[i - 1].*field < rows[i].*field);
}

static void check_places(const cluster_document &document)
{
    for (std::string_view object : {"a", "b/c", "", "naïve"}) {
        const cluster_node *chosen = document_place(document, "bucket", object);
        uint64_t digest = placement_uname_digest("bucket", object);
        FUZZ_CHECK(chosen == nullptr || (chosen->is_target && (chosen->flags & (node_flag_maintenance | node_flag_decommission)) == 0));
        for (const cluster_node &node : document.nodes) {
            if (!node.is_target || (node.flags & (node_flag_maintenance | node_flag_decommission)) != 0)
                continue;
            FUZZ_CHECK(chosen != nullptr && placement_weight(digest, chosen->digest) >= placement_weight(digest, node.digest));
        }
    }
}

FUZZ_TARGET(cluster_document)
{
    cluster_document document, again;
    if (error err = document_parse(text, document)) {
        FUZZ_CHECK(err.code == error_code::corrupt || err.code == error_code::newer_version);
        FUZZ_CHECK(document.nodes.empty() && document.buckets.empty() && document.etls.empty());
        return;
    }
    FUZZ_CHECK(document.nodes.size() <= target_count_max + 1 && document.buckets.size() <= bucket_count_max &&
               document.etls.size() <= etl_count_max);
    check_order(document.nodes, &cluster_node::id);
    check_order(document.buckets, &cluster_bucket::name);
    check_order(document.etls, &cluster_etl::id);
    std::string printed = document_print(document);
    FUZZ_CHECK(!document_parse(printed, again));
    FUZZ_SAME(document_print(again), printed);
    for (const cluster_node &node : document.nodes)
        FUZZ_CHECK(node.digest == placement_digest(node.id) && document_find_node(document, node.id) == &node);
    for (const cluster_bucket &bucket : document.buckets)
        FUZZ_CHECK(document_find_bucket(document, bucket.name) == &bucket);
    for (const cluster_etl &etl : document.etls)
        FUZZ_CHECK(document_find_etl(document, etl.id) == &etl);
    check_places(document);
    json_ptr map;
    std::string where;
    FUZZ_CHECK(!json_parse(json_print(document_smap(document).get()), map, where));
    size_t targets = static_cast<size_t>(
        std::count_if(document.nodes.begin(), document.nodes.end(), [](const cluster_node &n) { return n.is_target; }));
    FUZZ_CHECK(static_cast<size_t>(cJSON_GetArraySize(json_get(map.get(), "tmap"))) == targets);
    // ETLs have secrets that only nodes may see: the map for clients must not depend on them.
    again.etls.clear();
    FUZZ_SAME(json_print(document_smap(again).get()), json_print(document_smap(document).get()));
}
