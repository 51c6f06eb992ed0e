// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_list_page.cc: pages of object names in MessagePack, as targets send them: parsed, printed, parsed again, merged.
#include <algorithm>

#include "aistore/list_page.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/json.h"
#include "fuzz.h"
#include "role/shared/list_merge.h"

using namespace etlnode;

static void check_merge(const list_page &page)
{
    list_page sorted = page;
    std::sort(sorted.entries.begin(), sorted.entries.end(), [](const list_entry &a, const list_entry &b) { return a.name < b.name; });
    size_t page_size = sorted.entries.size() / 2 + 1;
    std::vector<list_page> pages = {sorted, sorted, list_page()};
    list_page merged = list_merge(pages, page_size);
    FUZZ_CHECK(merged.entries.size() <= page_size);
    FUZZ_CHECK(merged.token.empty() == (merged.entries.size() < page_size));
    for (size_t i = 1; i < merged.entries.size(); i++)
        FUZZ_CHECK(merged.entries[i - 1].name < merged.entries[i].name);
    list_request request;
    request.wants_size = false;
    list_page_trim(merged, request);
    for (const list_entry &entry : merged.entries)
        FUZZ_CHECK(entry.size == 0 && entry.checksum.empty() && entry.custom.empty());
}

FUZZ_TARGET(list_page)
{
    list_page page, again;
    if (error err = list_page_parse_msgpack(text, page)) {
        FUZZ_CHECK(err.code == error_code::bad_request && page.entries.empty());
        return;
    }
    FUZZ_CHECK(page.entries.size() <= list_answer_entry_count_max);
    for (const list_entry &entry : page.entries)
        FUZZ_CHECK(!entry.name.empty() && text_is_utf8(entry.name));
    std::string printed = list_page_msgpack(page);
    FUZZ_CHECK(!list_page_parse_msgpack(printed, again));
    FUZZ_SAME(list_page_msgpack(again), printed);
    json_ptr tree;
    std::string where;
    FUZZ_CHECK(!json_parse(list_page_json(page), tree, where));
    FUZZ_CHECK(static_cast<size_t>(cJSON_GetArraySize(json_get(tree.get(), "entries"))) == page.entries.size());
    check_merge(page);
}
