// SPDX-License-Identifier: MIT
// role/shared/etl_failures.cc: the most recent failed reads through an ETL on this target.
//
// Knows    codec.            Known by  role/target/document.cc, role/target/node_api.cc.
// Limits   failures_kept_max for each ETL, failure_text_max bytes each.
#include "role/shared/etl_failures.h"

#include "base/limits.h"
#include "base/text.h"

namespace etlnode {

void etl_failures_add(etl_failures &failures, const std::string &etl_id, etl_failure failure)
{
    etl_failure_list &list = failures[etl_id];
    failure.text = text_cut(std::move(failure.text), failure_text_max);
    list.count++;
    list.last.push_back(std::move(failure));
    if (list.last.size() > failures_kept_max)
        list.last.pop_front();
}

json_ptr etl_failures_json(const etl_failures &failures, const std::string &etl_id)
{
    json_ptr tree = json_object();
    auto found = failures.find(etl_id);
    json_add_u64(tree.get(), "count", found != failures.end() ? found->second.count : 0);
    cJSON *errors = json_add_array(tree.get(), "errors");
    if (found == failures.end())
        return tree;
    for (const etl_failure &failure : found->second.last) {
        json_ptr one = json_object();
        json_add_text(one.get(), "time", text_format("%llu", static_cast<unsigned long long>(failure.wall_ns)));
        json_add_text(one.get(), "object", failure.object);
        json_add_u64(one.get(), "status", static_cast<uint64_t>(failure.status));
        json_add_text(one.get(), "text", failure.text);
        json_add_text(one.get(), "request_id", failure.request_id);
        json_add_bool(one.get(), "cut", failure.was_cut);
        json_append(errors, std::move(one));
    }
    return tree;
}

} // namespace etlnode
