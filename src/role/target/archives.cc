// SPDX-License-Identifier: MIT
// role/target/archives.cc: GET of one member of an archive, or of all whose path agrees with a pattern, as a tar.
//
// Owns     one members_read for each such request.
// Knows    object/archive_reader, object/archive_writer, joins.cc.        Known by  objects.cc.
// Normal   the first wanted member is found before the answer begins, so that what is wrong with the archive gets a status.
// Fails    400 no archive, a damaged one, one that expands to too much, a member that is no file; 404 no such member. Later: cut.
// Limits   pattern_size_max.
#include "role/target/archives.h"

#include <memory>

#include <regex.h>

#include "base/limits.h"
#include "base/text.h"
#include "codec/content_guard.h"
#include "http/pump.h"
#include "object/archive_reader.h"
#include "object/archive_writer.h"
#include "object/sink.h"
#include "role/target/joins.h"

namespace etlnode {

static constexpr size_t pattern_size_max = 512;

enum class member_match : uint8_t { path, regexp, prefix, suffix, substr, wdskey };

struct members_read {
    object_request r;
    member_match how = member_match::path;
    std::string wanted;
    regex_t compiled = {}; // how == regexp
    archive_reader *reader = nullptr;
    archive_member first; // found, and not handed to the writer yet
    bool has_first = false;
    archive_writer *waiting = nullptr; // for the next member
    bool is_over = false;              // it is freed when the search for that member has ended
    source from;
    sink to;
};

static std::string uname_of(const members_read &m) { return "ais://" + m.r.bucket + "/" + m.r.name; }

// --- which members; off the loop

// A key of the WebDataset format is the path up to the first dot of its last part.
static std::string_view dataset_key(std::string_view path)
{
    size_t slash = path.rfind('/');
    return path.substr(0, path.find('.', slash == std::string_view::npos ? 0 : slash + 1));
}

static bool wants(const void *arg, std::string_view path)
{
    const auto &m = *static_cast<const members_read *>(arg);
    switch (m.how) {
    case member_match::path: return archive_plain_path(path) == archive_plain_path(m.wanted);
    case member_match::regexp: return regexec(&m.compiled, std::string(path).c_str(), 0, nullptr, 0) == 0;
    case member_match::prefix: return path.starts_with(m.wanted);
    case member_match::suffix: return path.ends_with(m.wanted);
    case member_match::substr: return path.find(m.wanted) != std::string_view::npos;
    case member_match::wdskey: return dataset_key(path) == m.wanted;
    }
    return false;
}

static bool read_mode(std::string_view mode, member_match &out_how)
{
    static constexpr struct {
        std::string_view name;
        member_match how;
    } modes[] = {{"", member_match::regexp}, {"regexp", member_match::regexp}, {"prefix", member_match::prefix},
        {"suffix", member_match::suffix}, {"substr", member_match::substr}, {"wdskey", member_match::wdskey}};
    for (const auto &one : modes) {
        if (one.name == mode) {
            out_how = one.how;
            return true;
        }
    }
    return false;
}

// --- the end

static void free_read(members_read *m)
{
    target &t = *m->r.t;
    source_close(m->from);
    if (m->waiting != nullptr) { // a thread looks at members with what is in here
        m->is_over = true;
        archive_stop(*m->reader);
        return;
    }
    if (m->reader != nullptr)
        archive_close(m->reader);
    if (m->how == member_match::regexp)
        regfree(&m->compiled);
    delete m;
    open_count_end(t.requests);
}

static void refuse(members_read *m, error_code code, const std::string &text)
{
    m->r.t->metrics.get_errors++;
    exchange_answer_error(*m->r.x, code, text);
    free_read(m);
}

static void on_pumped(void *arg, error err, uint64_t bytes)
{
    auto *m = static_cast<members_read *>(arg);
    target &t = *m->r.t;
    if (err) {
        t.metrics.get_errors++;
        sink_abandon(m->to);
    } else {
        t.metrics.get_count++;
        t.metrics.get_bytes += bytes;
        sink_commit_now(m->to);
    }
    free_read(m);
}

static void begin_answer(members_read *m, const char *content_type)
{
    exchange_on_gone(*m->r.x, nullptr, nullptr, false);
    m->to = sink_client(*m->r.x);
    sink_head head;
    head.size = m->from.facts.size;
    http_write_header(head.headers, "Content-Type", content_type);
    content_write_guard(head.headers, content_type);
    sink_begin(m->to, std::move(head));
    pump_options options;
    options.source_timeout_ms = m->from.patience_ms;
    options.sink_timeout_ms = m->to.patience_ms;
    options.has_length = m->from.facts.size != stream_size_unknown;
    options.length = options.has_length ? m->from.facts.size : 0;
    options.on_done = on_pumped;
    options.arg = m;
    pump_start(*m->r.t->e, sink_stream(m->to), m->from.from, std::move(options));
}

// --- all that agree with a pattern

static void give(members_read &m, archive_writer &w, const archive_member &member)
{
    if (member.has_size)
        archive_give(w, member.path, member.size, archive_member_source(*m.reader, member));
    else
        archive_fail(w, make_error(error_code::bad_request, "the size of a member is not known before its end"));
}

static void on_next(void *arg, error err, std::string_view, const archive_member *member)
{
    auto &m = *static_cast<members_read *>(arg);
    archive_writer &w = *std::exchange(m.waiting, nullptr);
    if (m.is_over)
        free_read(&m);
    else if (err)
        archive_fail(w, err);
    else if (member == nullptr)
        archive_end(w);
    else
        give(m, w, *member);
}

static void ask_next(void *arg, archive_writer &w)
{
    auto &m = *static_cast<members_read *>(arg);
    if (m.has_first) {
        m.has_first = false;
        give(m, w, m.first);
        return;
    }
    m.waiting = &w;
    archive_next(*m.reader, wants, &m, on_next, &m);
}

// --- the way there

static void on_first(void *arg, error err, std::string_view why, const archive_member *member)
{
    auto *m = static_cast<members_read *>(arg);
    target &t = *m->r.t;
    std::string prefix = "t[" + t.id + "]: ";
    if (err) {
        refuse(m, err.code, prefix + uname_of(*m) + ": " + std::string(why));
        return;
    }
    if (member == nullptr) {
        refuse(m, error_code::object_not_found,
            prefix + (m->how == member_match::path ? m->wanted : "a member that agrees with \"" + m->wanted + "\"") + " in " +
                uname_of(*m) + " does not exist");
        return;
    }
    if (m->how == member_match::path) {
        m->from = archive_member_source(*m->reader, *member);
        begin_answer(m, "application/octet-stream");
        return;
    }
    m->first = *member;
    m->has_first = true;
    archive_writer_options options;
    options.mime = ".tar";
    options.next = ask_next;
    options.arg = m;
    options.at_work = &t.store_calls;
    m->from = archive_writer_source(*t.e, std::move(options));
    begin_answer(m, "application/x-tar");
}

// While the member is looked for, which may take long.
static void on_gone(void *arg) { archive_stop(*static_cast<members_read *>(arg)->reader); }

static void on_held(void *arg, error err, const std::string &text, const store_object *object)
{
    auto *m = static_cast<members_read *>(arg);
    target &t = *m->r.t;
    if (err) {
        refuse(m, err.code, text);
        return;
    }
    m->reader = archive_open(*t.e, *t.objects, object, t.store_calls);
    exchange_on_gone(*m->r.x, on_gone, m, true);
    archive_next(*m->reader, wants, m, on_first, m);
}

void target_read_archive(object_request &&r, const object_query &asks)
{
    exchange &x = *r.x;
    auto m = std::make_unique<members_read>();
    m->wanted = asks.member.empty() ? asks.pattern : asks.member;
    const char *wrong = asks.member.empty() ? nullptr : archive_check_member(asks.member);
    if (wrong != nullptr) {
        exchange_answer_error(x, error_code::bad_name, "archpath \"" + text_escape(asks.member, 200) + "\" " + wrong);
        return;
    }
    if (asks.member.empty() && !read_mode(asks.pattern_mode, m->how)) {
        exchange_answer_error(x, error_code::bad_request,
            "archmode \"" + text_escape(asks.pattern_mode, 32) + "\": expected regexp, prefix, suffix, substr or wdskey");
        return;
    }
    if (m->wanted.size() > pattern_size_max && !asks.pattern.empty()) {
        exchange_answer_error(x, error_code::bad_request, "archregx is longer than " + text_bytes(pattern_size_max));
        return;
    }
    if (m->how == member_match::regexp && regcomp(&m->compiled, m->wanted.c_str(), REG_EXTENDED | REG_NOSUB) != 0) {
        exchange_answer_error(
            x, error_code::bad_request, "archregx \"" + text_escape(m->wanted, 100) + "\" is not an extended regular expression");
        return;
    }
    m->r = std::move(r);
    open_count_begin(m->r.t->requests);
    members_read *read = m.release();
    target_hold_object(*read->r.t, read->r.bucket, read->r.name, on_held, read);
}

} // namespace etlnode
