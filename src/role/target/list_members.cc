// SPDX-License-Identifier: MIT
// role/target/list_members.cc: collects the members of archives for one page of a list.
//
// Owns     the reader of the archive that is being added; the names found.
// Knows    object/archive_reader, store.        Known by  list.cc.
// Normal   an archive is read to its end on the thread pool, because its members have any order. Only names that can be in the page are
//          kept, so that memory is that of a page, however large the archive is.
// Fails    an archive that is damaged or expands to too much has no members: half of them would look like all of them.
// Limits   a member whose whole name is longer than object_name_size_max or is not UTF-8 is not listed.
#include "role/target/list_members.h"

#include "base/limits.h"
#include "base/text.h"
#include "object/archive_reader.h"
#include "store/store.h"

namespace etlnode {

struct list_members {
    target *t = nullptr;
    std::string bucket, prefix, after;
    size_t count = 0;
    std::map<std::string, uint64_t> found;
    // The archive that is being added.
    std::string archive;
    archive_reader *reader = nullptr;
    std::map<std::string, uint64_t> fresh; // a thread of the pool has it
    bool is_stopped = false;
    list_on_added on_added = nullptr;
    void *arg = nullptr;
};

list_members *list_members_make(target &t, std::string bucket, std::string prefix, std::string after, size_t count)
{
    auto *m = new list_members;
    m->t = &t;
    m->bucket = std::move(bucket);
    m->prefix = std::move(prefix);
    m->after = std::move(after);
    m->count = count;
    return m;
}

void list_members_free(list_members *m) { delete m; }
std::map<std::string, uint64_t> &list_members_found(list_members &m) { return m.found; }
const std::string &list_members_after(const list_members &m) { return m.after; }

std::vector<std::string> list_members_before(const list_members &m)
{
    std::vector<std::string> names;
    for (size_t end = 1; end < m.prefix.size(); end++) {
        std::string_view name = std::string_view(m.prefix).substr(0, end);
        if (m.prefix[end] == '/' && archive_is_name(name))
            names.emplace_back(name);
    }
    for (size_t end = 1; end <= m.after.size(); end++) {
        std::string_view name = std::string_view(m.after).substr(0, end);
        bool is_open = end == m.after.size() || m.after[end] <= '/'; // NAME/... may follow
        if (is_open && archive_is_name(name) && name.starts_with(m.prefix))
            names.emplace_back(name);
    }
    return names;
}

// --- on a thread of the pool

static void insert(std::map<std::string, uint64_t> &names, size_t count, std::string name, uint64_t size)
{
    if (names.size() == count && names.rbegin()->first <= name)
        return;
    names.try_emplace(std::move(name), size); // of equal members the first one is what a read gives
    if (names.size() > count)
        names.erase(std::prev(names.end()));
}

static void visit(void *arg, const archive_member &member)
{
    auto &m = *static_cast<list_members *>(arg);
    std::string_view path = archive_plain_path(member.path);
    if (path.empty() || path.ends_with('/') || m.archive.size() + 1 + path.size() > object_name_size_max || !text_is_utf8(path))
        return;
    std::string name = m.archive + "/" + std::string(path);
    if (name > m.after && name.starts_with(m.prefix))
        insert(m.fresh, m.count, std::move(name), member.size);
}

// --- on the loop

static void report(list_members &m, bool is_archive)
{
    if (is_archive && m.found.empty()) {
        m.found = std::move(m.fresh);
    } else if (is_archive) {
        for (auto &[name, size] : m.fresh)
            insert(m.found, m.count, name, size);
    }
    m.fresh.clear();
    m.on_added(m.arg, is_archive);
}

static void on_end(void *arg, error err, std::string_view, const archive_member *)
{
    auto &m = *static_cast<list_members *>(arg);
    archive_close(std::exchange(m.reader, nullptr));
    report(m, !err);
}

static void on_object(void *arg, error err, const store_object *object)
{
    auto &m = *static_cast<list_members *>(arg);
    target &t = *m.t;
    if (!err && m.is_stopped)
        store_release(*t.objects, object);
    if (err || m.is_stopped) {
        report(m, false);
    } else {
        m.reader = archive_open(*t.e, *t.objects, object, t.store_calls);
        archive_each(*m.reader, visit, &m, on_end, &m);
    }
    open_count_end(t.store_calls);
}

void list_members_add(list_members &m, const std::string &archive, list_on_added on_added, void *arg)
{
    m.archive = archive;
    m.on_added = on_added;
    m.arg = arg;
    open_count_begin(m.t->store_calls);
    store_get(*m.t->objects, m.bucket, archive, on_object, &m);
}

void list_members_stop(list_members &m)
{
    m.is_stopped = true;
    if (m.reader != nullptr)
        archive_stop(*m.reader);
}

} // namespace etlnode
