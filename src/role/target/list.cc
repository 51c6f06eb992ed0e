// SPDX-License-Identifier: MIT
// role/target/list.cc: one page of this target's objects, for the proxy to merge, with or without the objects below a directory, and with
// or without the members of archives.
//
// Owns     one page_request a request.
// Knows    store, codec, list_merge, list_members.cc.        Known by  routes.cc.
// Normal   one question to the index; for one level as many as it takes to skip what lies inside directories. If members are wanted, each
//          archive is read when its own turn has come, and its members wait until theirs has, because other objects may lie between.
// Limits   list_page_size_max; archives_budget_ms, after which the page ends early.
#include <algorithm>

#include "aistore/list_page.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/url.h"
#include "object/archive_reader.h"
#include "port/clock.h"
#include "role/shared/list_merge.h"
#include "role/target/list_members.h"
#include "role/target/target.h"
#include "store/object_extras.h"

namespace etlnode {

struct page_request {
    target *t = nullptr;
    exchange *x = nullptr;
    std::string bucket, prefix, after;
    size_t count = 0;
    size_t asked = 0;       // rows that the current query asks for
    bool is_flat = false;   // one level only
    uint64_t epoch = 0;     // of placement, which the proxy asks for; 0: any
    bool wants_all = false; // also what belongs to other targets now
    list_page page;
    std::vector<index_row> rows; // of the current query
    size_t next = 0;             // of them
    // With the members of archives.
    list_members *members = nullptr; // null: without
    std::vector<std::string> before; // archives in front of the page, which may have members in it
    uint64_t begun_ms = 0;
    bool is_cut = false; // the page ends early
    bool is_gone = false;
};

static constexpr size_t flat_batch = 512;             // rows per query while directories are skipped
static constexpr uint64_t archives_budget_ms = 5'000; // for reading archives, unless a single one takes longer

// What this target answers in an epoch must include all that it acknowledged before.
static bool is_in_epoch(const page_request &r)
{
    return r.epoch == 0 || (r.epoch == document_epoch(r.t->document) && target_has_adopted(*r.t));
}

static void finish(page_request *r, error err)
{
    if (r->members != nullptr) {
        exchange_on_gone(*r->x, nullptr, nullptr, false);
        list_members_free(r->members);
    }
    if (!err && !is_in_epoch(*r)) // the epoch has changed meanwhile, and objects may have moved
        err = make_error(error_code::other_epoch);
    if (err) {
        exchange_answer_error(*r->x, err.code, error_text(err));
    } else {
        r->page.token = r->page.entries.size() == r->count || r->is_cut ? r->page.entries.back().name : std::string();
        r->t->metrics.list_count++;
        answer a;
        a.content_type = "application/msgpack";
        a.body = list_page_msgpack(r->page);
        exchange_answer(*r->x, std::move(a));
    }
    open_count_end(r->t->store_calls);
    delete r;
}

// As AIStore prints a map.
static std::string custom_text(const index_row &row)
{
    std::string text;
    if (row.custom.empty())
        return text;
    for (const auto &[key, value] : object_extras_parse(row.custom).custom)
        text.append(text.empty() ? "" : " ").append(key).append(":").append(value);
    return text.empty() ? text : "map[" + text + "]";
}

static list_entry entry_of(const target &t, const index_row &row)
{
    list_entry entry;
    entry.name = row.name;
    entry.size = row.size;
    entry.checksum = text_hex(row.checksum);
    entry.version = text_format("%llu", static_cast<unsigned long long>(row.version));
    entry.atime = text_format("%llu", static_cast<unsigned long long>(row.changed_ns));
    entry.location = "t[" + t.id + "]:mp[" + t.options.data_dir + "]";
    entry.custom = custom_text(row);
    entry.copies = 1;
    entry.flags = row.is_tombstone ? list_flag_tombstone : list_flag_cached;
    return entry;
}

static void ask(page_request *r);

// While nothing moves, an object that belongs to another target is not served, so it is not listed.
static bool is_hidden(const page_request &r, const std::string &name)
{
    if (r.epoch == 0 || r.wants_all)
        return false;
    const cluster_node *owner = document_place(r.t->document, r.bucket, name);
    return owner == nullptr || owner->id != r.t->id;
}

// The directory that stands for the row in the page; empty: the row itself does.
static std::string_view directory_of(const page_request &r, const std::string &name)
{
    return r.is_flat ? list_directory_of(r.prefix, name) : std::string_view{};
}

// Adds one row, or the directory that contains it; false if the page is full.
static bool add_row(page_request &r, const index_row &row, uint16_t flags = 0)
{
    if (r.page.entries.size() == r.count)
        return false;
    std::string_view directory = directory_of(r, row.name);
    if (directory.empty()) {
        r.page.entries.push_back(entry_of(*r.t, row));
        r.page.entries.back().flags |= flags;
        r.after = row.name;
        return true;
    }
    std::string behind = list_skip_after(r.prefix, directory);
    if (r.after >= behind)
        return true; // in a directory that is already in the page or precedes it
    r.after = std::move(behind);
    if (r.members != nullptr && directory <= list_members_after(*r.members))
        return true; // the page begins with a member in it
    list_entry entry;
    entry.name = directory;
    entry.flags = list_flag_directory;
    r.page.entries.push_back(std::move(entry));
    return true;
}

// --- members of archives

// Adds the members whose names are in front of `bound`; empty: all. An object hides a member that has its name.
static void add_members(page_request &r, std::string_view bound)
{
    if (r.members == nullptr)
        return;
    std::map<std::string, uint64_t> &found = list_members_found(*r.members);
    while (!found.empty() && r.page.entries.size() < r.count && (bound.empty() || found.begin()->first < bound)) {
        auto member = found.extract(found.begin());
        list_entry entry;
        entry.name = std::move(member.key());
        entry.size = member.mapped();
        entry.flags = list_flag_cached | list_flag_archive | list_flag_in_archive;
        r.page.entries.push_back(std::move(entry));
    }
    if (!found.empty() && found.begin()->first == bound)
        found.erase(found.begin());
}

static bool must_open(const page_request &r, const index_row &row)
{
    return r.members != nullptr && archive_is_name(row.name) && directory_of(r, row.name).empty();
}

static bool is_late(const page_request &r) { return !r.page.entries.empty() && clock_now_ms(*r.t->e) - r.begun_ms >= archives_budget_ms; }

static void take_rows(page_request *r);

static void on_opened(void *arg, bool is_archive)
{
    page_request *r = static_cast<page_request *>(arg);
    add_row(*r, r->rows[r->next++], is_archive ? list_flag_archive : 0);
    take_rows(r);
}

static void open_before(page_request *r);
static void on_opened_before(void *arg, bool) { open_before(static_cast<page_request *>(arg)); }

static void open_before(page_request *r)
{
    while (!r->before.empty() && !r->is_gone) {
        std::string name = std::move(r->before.back());
        r->before.pop_back();
        if (is_hidden(*r, name) || !directory_of(*r, name).empty())
            continue;
        list_members_add(*r->members, name, on_opened_before, r);
        return;
    }
    if (r->is_gone)
        finish(r, make_error(error_code::canceled));
    else
        ask(r);
}

static void on_gone(void *arg)
{
    page_request *r = static_cast<page_request *>(arg);
    r->is_gone = true;
    list_members_stop(*r->members);
}

// --- rows

static void take_rows(page_request *r)
{
    for (; r->next < r->rows.size() && r->page.entries.size() < r->count; r->next++) {
        const index_row &row = r->rows[r->next];
        if (is_hidden(*r, row.name)) {
            r->after = std::max(r->after, row.name);
            continue;
        }
        std::string_view directory = directory_of(*r, row.name);
        add_members(*r, directory.empty() ? std::string_view(row.name) : directory);
        r->is_cut = must_open(*r, row) && is_late(*r);
        if (r->is_gone || r->is_cut) {
            finish(r, r->is_gone ? make_error(error_code::canceled) : no_error);
            return;
        }
        if (must_open(*r, row) && r->page.entries.size() < r->count) {
            list_members_add(*r->members, row.name, on_opened, r);
            return;
        }
        add_row(*r, row);
    }
    if (r->rows.size() < r->asked)
        add_members(*r, {});
    if (r->rows.size() < r->asked || r->page.entries.size() == r->count)
        finish(r, no_error);
    else
        ask(r);
}

static void on_rows(void *arg, error err, std::vector<index_row> rows)
{
    page_request *r = static_cast<page_request *>(arg);
    if (err) {
        finish(r, err);
        return;
    }
    r->rows = std::move(rows);
    r->next = 0;
    take_rows(r);
}

static void ask(page_request *r)
{
    size_t missing = r->count - r->page.entries.size();
    r->asked = r->is_flat && missing > flat_batch ? flat_batch : missing;
    auto page = r->wants_all ? store_page_all : store_page;
    page(*r->t->objects, r->bucket, r->prefix, r->after, r->asked, on_rows, r);
}

static void begin(page_request *r)
{
    r->begun_ms = clock_now_ms(*r->t->e);
    if (r->members != nullptr) {
        r->before = list_members_before(*r->members);
        exchange_on_gone(*r->x, on_gone, r, true);
    }
    open_before(r);
}

static void on_adopted(void *arg)
{
    page_request *r = static_cast<page_request *>(arg);
    if (is_in_epoch(*r))
        begin(r);
    else
        finish(r, no_error);
}

static void serve_bucket_page(target &t, exchange &x, const route_match &match)
{
    std::string bucket;
    if (!target_admit_peer(t, x, match, bucket))
        return;
    std::string_view query = exchange_head(x).query;
    if (!lifecycle_is_ready(t.life)) {
        exchange_answer_error(x, error_code::not_ready, "the target is not ready");
        return;
    }
    if (std::string why = target_misfit_text(t); !why.empty()) {
        exchange_answer_error(x, error_code::not_ready, why);
        return;
    }
    if (document_find_bucket(t.document, bucket) == nullptr) {
        exchange_answer_error(
            x, error_code::bucket_not_found, "bucket \"ais://" + text_escape(bucket) + "\" does not exist on target " + t.id);
        return;
    }
    if (std::string why = target_emptying_text(t, bucket); !why.empty()) {
        exchange_answer_error(x, error_code::unavailable, why);
        return;
    }
    std::string count, flat;
    uint64_t wanted = 0;
    if (!url_query_get(query, "count", count) || !text_parse_u64(count, wanted) || wanted == 0 || wanted > list_page_size_max) {
        exchange_answer_error(x, error_code::bad_request, "count must be 1 to 10000");
        return;
    }
    page_request *r = new page_request;
    r->t = &t;
    r->x = &x;
    r->bucket = bucket;
    r->count = static_cast<size_t>(wanted);
    url_query_get(query, "prefix", r->prefix);
    url_query_get(query, "after", r->after);
    r->is_flat = url_query_get(query, "flat", flat) && !flat.empty();
    std::string archives;
    if (url_query_get(query, "archives", archives) && !archives.empty())
        r->members = list_members_make(t, bucket, r->prefix, r->after, r->count);
    if (r->is_flat)
        r->after = list_skip_after(r->prefix, r->after);
    std::string epoch, versions;
    r->wants_all = url_query_get(query, "versions", versions);
    if (url_query_get(query, "epoch", epoch) && !text_parse_u64(epoch, r->epoch))
        r->epoch = UINT64_MAX; // never in force
    open_count_begin(t.store_calls);
    if (r->epoch == document_epoch(t.document) && !target_has_adopted(t))
        target_wait_adopted(t, on_adopted, r);
    else if (!is_in_epoch(*r))
        finish(r, no_error);
    else
        begin(r);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/bucket/{bucket}", serve_bucket_page, "a page of its objects"),
};
extern constinit const std::span<const route> target_list_routes = rows;

} // namespace etlnode
