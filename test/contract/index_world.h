// SPDX-License-Identifier: MIT
// test/contract/index_world.h: calls of port/index.h that run the world until they complete, for the contract cases about the index.
#pragma once

#include "contract_world.h"

#include <vector>

#include "port/index.h"

namespace etlnode {

struct index_seen {
    int calls = 0;
    error err;
    std::vector<index_row> rows;
    std::vector<index_change> changes;
    std::vector<error> errs;
    std::vector<uint64_t> content_ids;
};
inline index_seen *seen;

inline int setup(void **state)
{
    seen = new index_seen;
    return world_setup_index(state);
}

inline int teardown(void **state)
{
    delete seen;
    return world_teardown(state);
}

inline void on_rows(void *, error err, std::vector<index_row> rows)
{
    seen->calls++;
    seen->err = err;
    seen->rows = std::move(rows);
}

inline void on_change(void *, error err, index_change &change)
{
    seen->calls++;
    seen->err = err;
    seen->errs.push_back(err);
    seen->changes.push_back(change);
}

inline void on_content_ids(void *, error err, const std::vector<uint64_t> &content_ids)
{
    seen->calls++;
    seen->err = err;
    seen->content_ids = content_ids;
}

inline void on_done(void *, error err)
{
    seen->calls++;
    seen->err = err;
}

inline error awaited(int calls = 1)
{
    test_eq(seen->calls, 0); // never before the call has returned
    test_true(world_until([calls] { return seen->calls >= calls; }, 60'000));
    world_pass(1);
    test_eq(seen->calls, calls);
    seen->calls = 0;
    return seen->err;
}

inline index_change put_of(const std::string &bucket, const std::string &name, uint64_t content_id)
{
    index_change change;
    change.what = index_change::kind::put;
    change.row.bucket = bucket;
    change.row.name = name;
    change.row.content_id = content_id;
    change.row.size = content_id * 10;
    return change;
}

inline index_change put_content(const std::string &bucket, const std::string &name, uint64_t content_id, const std::string &content)
{
    index_change change = put_of(bucket, name, content_id);
    change.row.in_index = true;
    change.row.size = content.size();
    change.row.content = content;
    return change;
}

inline index_change remove_of(const std::string &bucket, const std::string &name)
{
    index_change change;
    change.what = name.empty() ? index_change::kind::remove_bucket : index_change::kind::remove;
    change.row.bucket = bucket;
    change.row.name = name;
    return change;
}

inline void start(index_change change) { index_commit(*world->e, std::move(change), on_change, nullptr); }

inline error commit(index_change change)
{
    seen->changes.clear();
    seen->errs.clear();
    start(std::move(change));
    return awaited();
}

inline error get(const std::string &bucket, const std::string &name)
{
    index_get(*world->e, bucket, name, on_rows, nullptr);
    return awaited();
}

inline void expect_names(const std::string &prefix, const std::string &after, size_t count, const std::vector<std::string> &names)
{
    index_page(*world->e, "b", prefix, after, count, on_rows, nullptr);
    test_ok(awaited());
    test_eq(seen->rows.size(), names.size());
    for (size_t i = 0; i < names.size(); i++)
        test_eq_text(seen->rows[i].name, names[i]);
}

inline void expect_content_ids(void (*ask)(env &, index_on_garbage, void *), const std::vector<uint64_t> &content_ids)
{
    ask(*world->e, on_content_ids, nullptr);
    test_ok(awaited());
    test_eq(seen->content_ids.size(), content_ids.size());
    for (size_t i = 0; i < content_ids.size(); i++)
        test_eq(seen->content_ids[i], content_ids[i]);
}

inline void expect_content(const std::string &name, const std::string &content)
{
    test_ok(get("b", name));
    test_eq(seen->rows.size(), 1u);
    test_true(seen->rows[0].in_index);
    test_eq(seen->rows[0].size, content.size());
    test_true(seen->rows[0].content == content);
}

inline index_change put_summed(const std::string &bucket, const std::string &name, uint64_t content_id, std::vector<uint64_t> sums)
{
    index_change change = put_of(bucket, name, content_id);
    change.row.sums = static_cast<std::vector<uint64_t> &&>(sums);
    return change;
}

inline error add_sums(const std::string &name, uint64_t content_id, std::vector<uint64_t> sums)
{
    index_row row;
    row.bucket = "b";
    row.name = name;
    row.content_id = content_id;
    row.sums = static_cast<std::vector<uint64_t> &&>(sums);
    index_sums_add(*world->e, row, on_done, nullptr);
    return awaited();
}

inline error list_unsummed(uint64_t after_id = 0, size_t count = 10)
{
    index_unsummed(*world->e, after_id, count, on_rows, nullptr);
    return awaited();
}

inline void expect_usage(const std::map<std::string, index_usage, std::less<>> &expected)
{
    const index_usage_map &usage = index_bucket_usage(*world->e);
    index_usage sum;
    for (const auto &[bucket, one] : expected) {
        auto found = usage.find(bucket);
        test_true(found != usage.end());
        test_eq(found->second.objects, one.objects);
        test_eq(found->second.bytes, one.bytes);
        sum.objects += one.objects;
        sum.bytes += one.bytes;
    }
    test_eq(usage.size(), expected.size());
    test_eq(index_object_count(*world->e), sum.objects);
    test_eq(index_byte_count(*world->e), sum.bytes);
}

} // namespace etlnode
