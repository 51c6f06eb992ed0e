// SPDX-License-Identifier: MIT
// role/target/archive_append.cc: PUT /v1/objects/<bucket>/<archive>.tar?archpath=: the archive gets one member more.
//
// Owns     one member_append for each such request.
// Knows    joins.cc, object/archive_writer, store, http.        Known by  objects.cc.
// Normal   the end of the archive's last member is looked for on the thread pool. Then the object is made anew: what was before that end,
//          the head of the member, the body as it comes, and the end of a tar. Readers see the former archive until the new one is durable.
// Fails    400 a damaged archive or name; 404 no archive, unless Ais-Pine lets it be made; 409 while another member is appended here; 411.
#include "role/target/archive_append.h"

#include <algorithm>
#include <memory>

#include "base/limits.h"
#include "base/text.h"
#include "object/archive_reader.h"
#include "object/archive_writer.h"
#include "object/source.h"
#include "object/tar_end.h"
#include "port/clock.h"
#include "role/target/joins.h"

namespace etlnode {

static constexpr size_t record_size = 512;              // of a tar
static constexpr size_t trailer_size = 2 * record_size; // zeroes at its end
static constexpr uint64_t may_be_made = 2;              // a bit of Ais-Pine

struct member_append {
    object_request r;
    std::string path;
    bool makes_new = false;
    const store_object *object = nullptr; // the archive; null: it is made
    uint64_t end = 0;                     // of its last member
    // The body as a source.
    std::unique_ptr<char[]> buffer;
    error body_err;
    net_on_ready on_ready = nullptr;
    void *ready_arg = nullptr;
    bool is_posted = false;
    unsigned piece = 0;
};

static std::string uname_of(const member_append &m) { return "ais://" + m.r.bucket + "/" + m.r.name; }

static void free_append(void *arg)
{
    auto *m = static_cast<member_append *>(arg);
    target &t = *m->r.t;
    if (m->object != nullptr)
        store_release(*t.objects, m->object);
    std::erase(t.appending, m->r.bucket + "/" + m->r.name);
    delete m;
    open_count_end(t.requests);
}

static void end(member_append *m, error_code code, const std::string &text)
{
    exchange &x = *m->r.x;
    if (code == error_code::ok)
        exchange_answer(x, answer{});
    else
        exchange_answer_error(x, code, text);
    clock_post(*m->r.t->e, free_append, m); // after a wait for the body that is due
}

// --- the body as a source

static pull_result pull_body(void *self, net_relay *, bool)
{
    auto &m = *static_cast<member_append *>(self);
    io_result got = exchange_body_read(*m.r.x, m.buffer.get(), put_buffer_size);
    switch (got.state) {
    case io_state::done: return {pull_state::bytes, {m.buffer.get(), got.count}, got.count, no_error};
    case io_state::again: return {pull_state::again, {}, 0, no_error};
    case io_state::end: return {pull_state::end, {}, 0, no_error};
    case io_state::failed: break;
    }
    m.body_err = got.err;
    return {pull_state::failed, {}, 0, got.err};
}

static void on_body_ready(void *arg)
{
    auto &m = *static_cast<member_append *>(arg);
    net_on_ready on_ready = m.on_ready;
    m.on_ready = nullptr;
    if (on_ready != nullptr)
        on_ready(m.ready_arg);
}

static void wait_body(void *self, net_on_ready on_ready, void *arg)
{
    auto &m = *static_cast<member_append *>(self);
    m.on_ready = on_ready;
    m.ready_arg = arg;
    exchange_body_wait(*m.r.x, on_body_ready, &m);
}

static void wait_body_cancel(void *self) { static_cast<member_append *>(self)->on_ready = nullptr; }
static uint64_t last_progress_ms(const void *) { return 0; }
static const char *stall_text(const void *) { return "timeout: the client sends nothing"; }
static constexpr stream_from_ops body_ops = {false, pull_body, wait_body, wait_body_cancel, last_progress_ms, stall_text};
static void close_body(void *self) { wait_body_cancel(self); }

// --- the archive

static void give_piece(void *arg, source_chain &chain)
{
    auto &m = *static_cast<member_append *>(arg);
    target &t = *m.r.t;
    uint64_t size = exchange_head(*m.r.x).length;
    switch (m.piece++) {
    case 0:
        if (m.object != nullptr)
            source_chain_give(chain, source_stored_part(*t.e, *t.objects, std::exchange(m.object, nullptr), t.store_calls, 0, m.end));
        else
            source_chain_give(chain, source_memory(*t.e, {}, {}));
        return;
    case 1: source_chain_give(chain, source_memory(*t.e, archive_tar_header(m.path, size), {})); return;
    case 2: source_chain_give(chain, {{}, {&body_ops, &m}, close_body, 2 * body_stall_timeout_ms, nullptr}); return;
    case 3: {
        size_t padding = static_cast<size_t>((record_size - size % record_size) % record_size);
        source_chain_give(chain, source_memory(*t.e, std::string(padding + trailer_size, '\0'), {}));
        return;
    }
    default: source_chain_end(chain); return;
    }
}

static void on_joined(void *arg, error err, const std::string &text, uint64_t)
{
    auto *m = static_cast<member_append *>(arg);
    error_code code = err.code;
    if (m->body_err) // the client's fault, whatever the socket called it
        code = m->body_err.code == error_code::request_timeout ? error_code::request_timeout : error_code::bad_request;
    end(m, code, text);
}

static void join(member_append *m)
{
    target &t = *m->r.t;
    uint64_t size = exchange_head(*m->r.x).length;
    source_facts facts;
    facts.size = m->end + archive_tar_header(m->path, size).size() + (size + record_size - 1) / record_size * record_size + trailer_size;
    m->buffer = std::make_unique_for_overwrite<char[]>(put_buffer_size);
    join_request request;
    request.bucket = m->r.bucket;
    request.name = m->r.name;
    request.request_id = exchange_request_id(*m->r.x);
    request.from = source_chain_make(*t.e, std::move(facts), {give_piece, nullptr, m});
    request.on_done = on_joined;
    request.arg = m;
    target_join(t, std::move(request));
}

static void on_end_found(void *arg, error err, const char *why, uint64_t last)
{
    auto *m = static_cast<member_append *>(arg);
    m->end = last;
    if (err)
        end(m, err.code, object_failure_text(m->r, err));
    else if (why != nullptr)
        end(m, error_code::bad_request, uname_of(*m) + ": " + why);
    else
        join(m);
}

static void on_held(void *arg, error err, const std::string &text, const store_object *object)
{
    auto *m = static_cast<member_append *>(arg);
    target &t = *m->r.t;
    if (err.code == error_code::object_not_found && m->makes_new) {
        join(m);
        return;
    }
    if (err) {
        end(m, err.code, text);
        return;
    }
    m->object = object;
    tar_end_find(*t.e, *object, t.store_calls, on_end_found, m);
}

void target_append_member(object_request &&r, const std::string &path)
{
    exchange &x = *r.x;
    const http_head &head = exchange_head(x);
    target &t = *r.t;
    std::string uname = r.bucket + "/" + r.name;
    std::string why;
    uint64_t pine = 0;
    if (path.empty() || path.ends_with('/') || archive_check_member(path) != nullptr) {
        exchange_answer_error(x, error_code::bad_name, "archpath \"" + text_escape(path, 200) + "\" cannot be the name of a member");
    } else if (!r.name.ends_with(".tar")) {
        exchange_answer_error(x, error_code::not_implemented, "members are appended to .tar only: ais://" + uname + " would be made anew");
    } else if (head.chunked) {
        exchange_answer_error(x, error_code::length_required, "a member of a tar needs its length first: send Content-Length");
    } else if (std::find(t.appending.begin(), t.appending.end(), uname) != t.appending.end()) {
        exchange_answer_error(x, error_code::conflict, "another member is being appended to ais://" + uname);
    } else if (!target_space_admits(t, r.bucket, r.name, head.length, why)) {
        exchange_answer_error(x, error_code::no_space, why);
    } else {
        auto m = std::make_unique<member_append>();
        m->path = path;
        m->makes_new = text_parse_u64(http_head_get(head, "Ais-Pine"), pine) && (pine & may_be_made) != 0;
        m->r = std::move(r);
        t.appending.push_back(uname);
        open_count_begin(t.requests);
        member_append *append = m.release();
        target_hold_object(t, append->r.bucket, append->r.name, on_held, append);
    }
}

} // namespace etlnode
