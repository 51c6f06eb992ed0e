// SPDX-License-Identifier: MIT
// etlctl/folder_plan.cc: merges the files of a folder with the objects of a bucket, and says what is to be done for each name.
#include "etlctl/folder_plan.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "etlctl/folder_names.h"
#include "etlctl/name.h"
#include "store/object_name.h"

namespace etlnode::etlctl {

static constexpr int list_tries_max = 5;

// Whether names come from a file or the command line, in any order; then each object is looked up alone.
static bool is_named(const folder_task &task) { return !task.names_from.empty() || !task.files.empty(); }
static bool compares(const folder_task &task) { return task.skip != folder_skip::never || task.deletes_others; }

failure plan_begin(session &s, const folder_task &task, folder_plan &out_plan)
{
    out_plan.s = &s;
    out_plan.task = &task;
    std::string why;
    bool is_source = task.action == folder_action::store;
    if (!task.directory.empty() && !folder_open(out_plan.root, task.directory, !is_source && !s.opt.dry_run, why)) {
        bool is_missing = !is_source && s.opt.dry_run && errno == ENOENT; // it would be made
        if (!is_missing)
            return failure_make(exit_code::other, {}, why);
    }
    if (!task.names_from.empty()) {
        out_plan.names = task.names_from == "-" ? stdin : fopen(task.names_from.c_str(), "re");
        if (out_plan.names == nullptr)
            return failure_make(exit_code::other, {}, text_format("%s: %s", task.names_from.c_str(), strerror(errno)));
    }
    bool walks = out_plan.root.fd >= 0 && !is_named(task) && (is_source || task.deletes_others);
    out_plan.walk.follows_links = is_source;
    if (walks && !walk_begin(out_plan.walk, out_plan.root.fd, &task.filter))
        return failure_make(exit_code::other, {}, text_format("%s: %s", task.directory.c_str(), strerror(errno)));
    return {};
}

void plan_end(folder_plan &plan)
{
    walk_end(plan.walk);
    folder_close(plan.root);
    if (plan.names != nullptr && plan.names != stdin)
        fclose(plan.names);
    plan.names = nullptr;
}

// ---- names

enum class name_step : uint8_t { name, bad, end };

static name_step next_name(folder_plan &plan, plan_item &out_item)
{
    const folder_task &task = *plan.task;
    if (!task.files.empty()) {
        if (plan.next_file == task.files.size())
            return name_step::end;
        out_item.path = task.files[plan.next_file++];
        out_item.name = task.file_name.empty() ? out_item.path.substr(out_item.path.rfind('/') + 1) : task.file_name;
        return name_step::name;
    }
    char *line = nullptr;
    size_t room = 0;
    name_step step = name_step::end;
    for (ssize_t size = 0; step == name_step::end && (size = getline(&line, &room, plan.names)) >= 0;) {
        std::string_view text(line, static_cast<size_t>(size));
        if (text.ends_with('\n'))
            text.remove_suffix(1);
        if (text.empty())
            continue;
        bool is_good = folder_name_from_line(text, out_item.name);
        if (!is_good)
            out_item.name = text;
        if (!is_good || filter_takes(task.filter, out_item.name))
            step = is_good ? name_step::name : name_step::bad;
    }
    free(line);
    return step;
}

// ---- objects

static failure read_page(folder_plan &plan, const std::string &prefix, uint64_t count, const object_page &former, object_page &out_page)
{
    session &s = *plan.s;
    failure f;
    for (int i = 0; i < list_tries_max; ++i) {
        f = fetch_object_page(s, plan.task->bucket, prefix, "name,size,checksum", count, former, control_timeout_ms, out_page);
        if (!f || !f.retryable || folder_signal() != 0 || plan.source_count == 0)
            break;
        session_sleep_ms(200u << i);
    }
    return f;
}

static bool is_matched(const folder_task &task, const std::string &name)
{
    if (!task.has_pattern || glob_match(task.pattern, name))
        return true;
    for (size_t slash = name.find('/'); task.takes_folders && slash != std::string::npos; slash = name.find('/', slash + 1))
        if (glob_match(task.pattern, std::string_view(name).substr(0, slash)))
            return true;
    return false;
}

static bool takes_entry(const folder_task &task, const cJSON *entry, std::string &out_name)
{
    std::string_view name = json_text(entry, "name");
    if (name.size() <= task.prefix.size() || !name.starts_with(task.prefix) || !is_matched(task, std::string(name)))
        return false;
    out_name = name.substr(task.prefix.size());
    return filter_takes(task.filter, out_name);
}

// False: the plan is broken. At the end of the list, `has_there` stays false.
static bool fetch_there(folder_plan &plan)
{
    const folder_task &task = *plan.task;
    while (!plan.has_there && !plan.ends_there) {
        if (plan.entry == nullptr) {
            if (plan.is_listed) {
                plan.ends_there = true;
                break;
            }
            object_page next;
            plan.problem = read_page(plan, task.list_prefix, list_page_size_max, plan.page, next);
            if (plan.problem)
                return false;
            plan.page = std::move(next);
            plan.is_listed = plan.page.token.empty();
            plan.entry = plan.page.entries != nullptr ? plan.page.entries->child : nullptr;
            continue;
        }
        plan.has_there = takes_entry(task, plan.entry, plan.there.name);
        plan.there.size = json_u64(plan.entry, "size", 0);
        plan.there.checksum = json_text(plan.entry, "checksum");
        plan.entry = plan.entry->next;
    }
    return true;
}

bool plan_count(folder_plan &plan, uint64_t &in_out_objects, uint64_t &in_out_bytes)
{
    if (!fetch_there(plan) || !plan.is_listed)
        return false; // if the list failed, the first step says so
    uint64_t bytes = plan.has_there ? plan.there.size : 0;
    in_out_objects += plan.has_there ? 1 : 0;
    std::string name;
    for (const cJSON *entry = plan.entry; entry != nullptr; entry = entry->next)
        if (takes_entry(*plan.task, entry, name)) {
            ++in_out_objects;
            bytes += json_u64(entry, "size", 0);
        }
    in_out_bytes += bytes;
    return true;
}

// Looks one object up. False: the plan is broken.
static bool look_up(folder_plan &plan, const std::string &name, bool &out_is_there, listed_object &out_object)
{
    object_page page;
    std::string whole = plan.task->prefix + name;
    plan.problem = read_page(plan, whole, 1, {}, page);
    if (plan.problem)
        return false;
    const cJSON *entry = page.entries != nullptr ? page.entries->child : nullptr;
    out_is_there = entry != nullptr && json_text(entry, "name") == whole;
    if (out_is_there) {
        out_object.size = json_u64(entry, "size", 0);
        out_object.checksum = json_text(entry, "checksum");
    }
    return true;
}

// ---- comparing

static bool file_size(folder_plan &plan, const std::string &path, uint64_t &out_size)
{
    int fd = folder_read(plan.root, path);
    struct stat status = {};
    bool is_good = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    if (fd >= 0)
        close(fd);
    out_size = static_cast<uint64_t>(status.st_size);
    return is_good;
}

// Whether the file and the object count as the same.
static bool is_same(folder_plan &plan, const std::string &path, const listed_object &object)
{
    if (plan.task->skip == folder_skip::existing)
        return true;
    uint64_t size = 0;
    if (plan.task->skip == folder_skip::never || !file_size(plan, path, size) || size != object.size)
        return false;
    return plan.task->skip == folder_skip::same_size ||
           (!object.checksum.empty() && text_lower(object.checksum) == folder_checksum(plan.root, path));
}

static folder_step fail_item(folder_plan &plan, const char *why)
{
    plan.why = why;
    return folder_step::failed;
}

// ---- storing

static folder_step take_file(folder_plan &plan, plan_item &out_item, bool is_there, const listed_object &object)
{
    ++plan.source_count;
    out_item.action = folder_action::store;
    if (const char *wrong = object_name_check(plan.task->prefix + out_item.name))
        return fail_item(plan, wrong);
    const std::string &path = out_item.path.empty() ? out_item.name : out_item.path;
    return is_there && is_same(plan, path, object) ? folder_step::skipped : folder_step::item;
}

// An object that the source does not have, or a file.
static folder_step take_other(folder_plan &plan, folder_action action, std::string name, plan_item &out_item)
{
    out_item = {.action = action, .name = std::move(name)};
    bool has_source = plan.source_count > 0 || (action == folder_action::remove ? plan.has_here : plan.has_there);
    if (has_source || plan.task->deletes_all)
        return folder_step::item;
    plan.problem = failure_make(exit_code::usage, {}, "the source has no files, so --delete would remove everything at the destination",
        "if that is what you want, add --yes");
    return folder_step::broken;
}

static folder_step next_stored_named(folder_plan &plan, plan_item &out_item)
{
    out_item = plan_item{};
    name_step step = next_name(plan, out_item);
    if (step != name_step::name)
        return step == name_step::end ? folder_step::end : fail_item(plan, "the line has a quote without its end, or a wrong escape");
    bool is_there = false;
    listed_object object;
    bool is_named_well = object_name_check(plan.task->prefix + out_item.name) == nullptr;
    if (plan.task->skip != folder_skip::never && is_named_well && !look_up(plan, out_item.name, is_there, object))
        return folder_step::broken;
    return take_file(plan, out_item, is_there, object);
}

// Fills `here`. What cannot be a file is returned; folder_step::end: there is a file, or no more.
static folder_step fetch_here(folder_plan &plan, plan_item &out_item)
{
    if (plan.has_here || plan.ends_here)
        return folder_step::end;
    out_item = {.action = plan.task->action};
    folder_step step = folder_step::end;
    switch (walk_next(plan.walk, plan.here, plan.why)) {
    case walk_step::file: plan.has_here = true; break;
    case walk_step::end: plan.ends_here = true; break;
    case walk_step::special: step = folder_step::left_out; break;
    case walk_step::problem:
        step = folder_step::failed;
        plan.is_unsure = true;
        break;
    }
    if (step != folder_step::end)
        out_item.name = std::move(plan.here);
    return step;
}

static folder_step next_stored(folder_plan &plan, plan_item &out_item)
{
    const folder_task &task = *plan.task;
    while (true) {
        folder_step step = fetch_here(plan, out_item);
        if (step != folder_step::end)
            return step;
        bool needs_there = compares(task) && (!plan.ends_here || task.deletes_others);
        if (needs_there && !fetch_there(plan))
            return folder_step::broken;
        if (plan.has_there && (plan.ends_here || plan.there.name < plan.here)) {
            plan.has_there = false;
            if (task.deletes_others && !plan.is_unsure)
                return take_other(plan, folder_action::remove, std::move(plan.there.name), out_item);
            continue;
        }
        if (plan.ends_here)
            return folder_step::end;
        bool is_there = plan.has_there && plan.there.name == plan.here;
        plan.has_here = false;
        plan.has_there = plan.has_there && !is_there;
        out_item = {.action = folder_action::store, .name = std::move(plan.here)};
        return take_file(plan, out_item, is_there, plan.there);
    }
}

// ---- reading, removing, copying

static folder_step take_object(folder_plan &plan, const listed_object &object, plan_item &out_item)
{
    const folder_task &task = *plan.task;
    ++plan.source_count;
    out_item = {.action = task.action, .name = object.name, .size = object.size};
    if (task.action == folder_action::copy)
        if (const char *wrong = object_name_check(task.to_prefix + object.name))
            return fail_item(plan, wrong);
    if (task.action != folder_action::read)
        return folder_step::item;
    if (const char *wrong = folder_check_path(object.name))
        return fail_item(plan, wrong);
    uint64_t size = 0;
    bool is_open = plan.root.fd >= 0; // a dry run does not make the folder
    folder_found found = task.skip == folder_skip::never || !is_open ? folder_found::nothing : folder_look(plan.root, object.name, size);
    bool is_same_file = found == folder_found::file || (found == folder_found::other && task.skip == folder_skip::existing);
    return is_same_file && is_same(plan, object.name, object) ? folder_step::skipped : folder_step::item;
}

static folder_step next_object_named(folder_plan &plan, plan_item &out_item)
{
    out_item = plan_item{};
    name_step step = next_name(plan, out_item);
    out_item.action = plan.task->action;
    if (step != name_step::name)
        return step == name_step::end ? folder_step::end : fail_item(plan, "the line has a quote without its end, or a wrong escape");
    if (const char *wrong = object_name_check(plan.task->prefix + out_item.name))
        return fail_item(plan, wrong);
    listed_object object;
    object.name = std::move(out_item.name);
    bool is_there = false;
    bool needs_object = plan.task->skip == folder_skip::same || plan.task->skip == folder_skip::same_size;
    if (needs_object && !look_up(plan, object.name, is_there, object))
        return folder_step::broken;
    return take_object(plan, object, out_item);
}

static folder_step next_object(folder_plan &plan, plan_item &out_item)
{
    const folder_task &task = *plan.task;
    while (true) {
        if (!fetch_there(plan))
            return folder_step::broken;
        bool merges = task.deletes_others && plan.root.fd >= 0;
        if (!merges && !plan.has_there)
            return folder_step::end;
        if (merges) {
            folder_step step = fetch_here(plan, out_item);
            if (step != folder_step::end)
                continue; // what is neither file nor folder, or cannot be read, stays as it is
            if (plan.has_here && (!plan.has_there || plan.here < plan.there.name)) {
                plan.has_here = false;
                return take_other(plan, folder_action::remove_file, std::move(plan.here), out_item);
            }
            if (!plan.has_there)
                return folder_step::end;
            plan.has_here = plan.has_here && plan.here != plan.there.name;
        }
        plan.has_there = false;
        listed_object object = std::move(plan.there);
        return take_object(plan, object, out_item);
    }
}

folder_step plan_next(folder_plan &plan, plan_item &out_item)
{
    if (plan.task->action == folder_action::store)
        return is_named(*plan.task) ? next_stored_named(plan, out_item) : next_stored(plan, out_item);
    return is_named(*plan.task) ? next_object_named(plan, out_item) : next_object(plan, out_item);
}

} // namespace etlnode::etlctl
