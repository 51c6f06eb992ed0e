// SPDX-License-Identifier: MIT
// store/set_aside.cc: what is left of a damaged content is kept beside the objects, for a person who may want to rescue it.
//
// Owns     one aside_work for each content. It waits for one thing at a time, so it is not a machine.
// Knows    store_internal, content_path.        Known by  role/target.
// Normal   a file is renamed into <dir>/damaged/; the bytes of a small content are written there. The row stays. Repeating it is harmless.
// Fails    a content of which nothing is left: there is no file, and that is fine.
#include "store/set_aside.h"

#include "base/log.h"
#include "base/text.h"
#include "codec/url.h"
#include "store/content_path.h"
#include "store/store_internal.h"

namespace etlnode {

static constexpr size_t shown_name_max = 150; // bytes of the object's name in the file's name, which may have 255 in all

struct aside_work {
    store *owner = nullptr;
    std::string bucket, name;
    index_row row;
    unsigned looks = 0; // for the file: in its place, in tmp/, and again in its place, because files move from tmp/ to their place
    disk_file *file = nullptr;
    std::string result;
    void (*on_done)(void *arg, error err, const std::string &name) = nullptr;
    void *arg = nullptr;
};

static std::string dir_of(const store &s) { return s.options.dir + "/damaged"; }

// "damaged/000000000000001f-photos-cat.jpg"
static std::string name_of(const index_row &row)
{
    std::string shown = url_encode(row.bucket + "-" + row.name);
    return "damaged/" + content_name(row.content_id) + "-" + shown.substr(0, shown_name_max);
}

static void finish(aside_work *w, error err)
{
    store &s = *w->owner;
    if (w->file != nullptr)
        disk_close(*s.e, w->file);
    if (err)
        LOG(error, "store", "object=\"ais://%s/%s\" error=\"%s\" msg=\"the damaged content could not be set aside\"",
            text_escape(w->bucket).c_str(), text_escape(w->name).c_str(), error_text(err));
    else if (!w->result.empty())
        LOG(warn, "store", "object=\"ais://%s/%s\" file=%s msg=\"the damaged content was set aside\"", text_escape(w->bucket).c_str(),
            text_escape(w->name).c_str(), text_escape(w->result).c_str());
    w->on_done(w->arg, err, w->result);
    delete w;
    store_unref(s);
}

static void on_dir_synced(void *arg, error err) { finish(static_cast<aside_work *>(arg), err); }

static void sync_dir(aside_work *w) { disk_sync_dir(*w->owner->e, dir_of(*w->owner), on_dir_synced, w); }

// --- a file

static void rename_file(aside_work *w);

static void on_renamed(void *arg, error err)
{
    auto *w = static_cast<aside_work *>(arg);
    if (err.code == error_code::no_such_file && ++w->looks < 3) {
        rename_file(w);
    } else if (err.code == error_code::no_such_file) {
        w->result.clear(); // it was lost, or set aside before
        finish(w, no_error);
    } else if (err) {
        finish(w, err);
    } else {
        sync_dir(w);
    }
}

static void rename_file(aside_work *w)
{
    store &s = *w->owner;
    uint64_t id = w->row.content_id;
    std::string from = w->looks == 1 ? content_temp_path(s.options.dir, id) : content_final_path(s.options.dir, id);
    disk_rename(*s.e, from, s.options.dir + "/" + w->result, on_renamed, w);
}

// --- bytes of the index

static void on_synced(void *arg, error err)
{
    auto *w = static_cast<aside_work *>(arg);
    if (err)
        finish(w, err);
    else
        sync_dir(w);
}

static void on_written(void *arg, error err)
{
    auto *w = static_cast<aside_work *>(arg);
    if (err)
        finish(w, err);
    else
        disk_sync(*w->owner->e, w->file, on_synced, w);
}

static void on_opened(void *arg, error err, disk_file *file, uint64_t)
{
    auto *w = static_cast<aside_work *>(arg);
    w->file = file;
    if (err)
        finish(w, err);
    else
        disk_write(*w->owner->e, file, w->row.content.data(), w->row.content.size(), 0, on_written, w);
}

// --- the row

static void on_dir(void *arg, error err)
{
    auto *w = static_cast<aside_work *>(arg);
    store &s = *w->owner;
    if (err)
        finish(w, err);
    else if (w->row.in_index)
        disk_open(*s.e, s.options.dir + "/" + w->result, disk_open_mode::create_or_open, on_opened, w);
    else
        rename_file(w);
}

static void on_row(void *arg, error err, std::vector<index_row> rows)
{
    auto *w = static_cast<aside_work *>(arg);
    bool has_row = !err && !rows.empty();
    if (has_row)
        w->row = std::move(rows.front());
    // Bytes of the index that have the wrong size cannot be read: nothing is left of them.
    bool is_lost = err.code == error_code::corrupt || err.code == error_code::object_not_found;
    if (!has_row || w->row.content_id == 0 || (w->row.in_index && w->row.content.empty())) {
        finish(w, is_lost ? no_error : err);
        return;
    }
    store_forget(*w->owner, w->bucket, w->name);
    w->result = name_of(w->row);
    disk_make_dir(*w->owner->e, dir_of(*w->owner), on_dir, w);
}

void store_set_aside(
    store &s, const std::string &bucket, const std::string &name, void (*on_done)(void *arg, error err, const std::string &name), void *arg)
{
    store_ref(s);
    auto *w = new aside_work{.owner = &s, .bucket = bucket, .name = name, .row = {}, .result = {}, .on_done = on_done, .arg = arg};
    index_get(*s.e, bucket, name, on_row, w);
}

} // namespace etlnode
