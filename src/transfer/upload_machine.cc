// SPDX-License-Identifier: MIT
// transfer/upload_machine.cc: moves a request body into a put.
//
// Owns     the exchange until it is answered, one put.
// Knows    sm, http, store.           Known by  role.
// Machine  upload, drawn in docs/machines/upload.md (generated, do not edit).
// Normal   awaiting_body and writing alternate; committing with the last bytes; done. A body that fits into one buffer is not written
//          first.
// Fails    a body that breaks off, stalls or is malformed, a full or broken disk, a wrong checksum: nothing is stored.
// Limits   put_buffer_size in flight; body_stall_timeout_ms (the exchange's own deadline).
#include "transfer/upload_machine.h"

#include "base/text.h"
#include "codec/http_write.h"
#include "node/api.h"
#include "object/sink.h"
#include "port/clock.h"
#include "sm/sm_news.h"
#include "sm/sm_verify.h"

namespace etlnode {

enum class upload_news : uint8_t { read_on, ask_leave };

struct upload {
    enum class state : uint8_t { awaiting_body, writing, preparing, awaiting_leave, committing, done };
    enum class event : uint8_t {
        starved,
        buffered,
        body_ended,
        body_failed,
        written,
        write_failed,
        ready,
        leave_given,
        part_taken,
        leave_refused,
        committed,
        commit_failed
    };
    sm_core sm;
    sm_news<upload_news> news;
    env *e = nullptr;
    store *objects = nullptr;
    exchange *x = nullptr;
    upload_options options;
    put *target = nullptr;
    size_t filled = 0; // bytes in the put's buffer
    uint64_t bytes = 0;
    error err;
    index_row row;
    put_leave leave;
};

using S = upload::state;
using E = upload::event;

static void on_body_ready(void *arg);
static void on_written(void *arg, error err);
static void on_ready(void *arg);
static void on_committed(void *arg, error err, const index_row &row);

static void wait_body(upload &u) { exchange_body_wait(*u.x, on_body_ready, &u); }
static void write_buffer(upload &u) { put_write(*u.target, u.filled, on_written, &u); }

static void commit(upload &u)
{
    put *target = u.target;
    u.target = nullptr;
    put_commit(*target, u.filled, u.options.has_expected_checksum, u.options.expected_checksum, on_committed, &u);
}

// All but the row becomes durable.
static void prepare(upload &u)
{
    put_hold(*u.target, on_ready, &u);
    put_commit(*u.target, u.filled, u.options.has_expected_checksum, u.options.expected_checksum, on_committed, &u);
}

static void release(upload &u)
{
    put *target = u.target;
    u.target = nullptr;
    put_set_terms(*target, u.leave.terms);
    put_release(*target);
}

static void delete_upload(void *arg) { delete static_cast<upload *>(arg); }

static void end(upload &u)
{
    if (u.target != nullptr)
        put_abort(*u.target);
    u.target = nullptr;
    if (u.err && u.options.part && u.options.part->on_failed != nullptr)
        u.options.part->on_failed(u.options.arg, *u.options.part);
    if (u.options.on_end != nullptr)
        u.options.on_end(u.options.arg, u.err, u.bytes);
    clock_post(*u.e, delete_upload, &u);
}

static void answer_stored(upload &u)
{
    answer a;
    http_write_header(a.headers, header_checksum_type, checksum_type_xxhash2);
    http_write_header(a.headers, header_checksum_value, text_hex(u.row.checksum));
    http_write_header_u64(a.headers, header_atime, u.row.changed_ns);
    http_write_header_u64(a.headers, header_version, u.row.version);
    exchange *x = u.x;
    end(u);
    exchange_answer(*x, std::move(a));
}

// AIStore's words.
static std::string describe_mismatch(std::string_view type, const std::string &given, const std::string &computed)
{
    return "BAD DATA CHECKSUM: " + std::string(type) + "(" + given + " != " + computed + ")";
}

// The put has another owner now.
static void answer_part(upload &u)
{
    u.target = nullptr;
    answer a;
    a.headers = std::move(u.leave.headers);
    exchange *x = u.x;
    end(u);
    exchange_answer(*x, std::move(a));
}

static void answer_failure(upload &u)
{
    if (!u.err) // an event that the table does not know
        u.err = make_error(error_code::internal);
    std::string text = sink_put_describe_failure(u.options.node_id, u.options.bucket, u.options.name, u.err);
    if (u.options.digest && !u.options.digest->mismatch.empty())
        text += ": " + u.options.digest->mismatch;
    else if (u.err.code == error_code::checksum_mismatch && u.options.has_expected_checksum)
        text += ": " + describe_mismatch(checksum_type_xxhash2, text_hex(u.options.expected_checksum), text_hex(u.row.checksum));
    exchange *x = u.x;
    error_code code = u.err.code;
    // A request that ended too early is the client's fault, whatever the socket called it.
    if (code == error_code::reset || code == error_code::end_of_stream)
        code = error_code::bad_request;
    end(u);
    exchange_answer_error(*x, code, text);
}

static void answer_mismatch(upload &u)
{
    u.err = make_error(error_code::checksum_mismatch);
    answer_failure(u);
}

static void answer_bucket_gone(upload &u)
{
    u.err = make_error(error_code::bucket_not_found);
    std::string text = "bucket \"ais://" + u.options.bucket +
                       "\" does not exist any more: it was destroyed during the upload, "
                       "even if there is a new one of that name";
    exchange *x = u.x;
    end(u);
    exchange_answer_error(*x, error_code::bucket_not_found, text);
}

static void answer_refusal(upload &u)
{
    u.err = u.leave.err;
    put_leave leave = std::move(u.leave);
    exchange *x = u.x;
    end(u);
    exchange_answer_error(*x, leave.err.code, leave.text, leave.status, std::move(leave.headers));
}

static constexpr uint32_t PUT = 1;
static uint32_t alive(const upload &u) { return u.target != nullptr ? PUT : 0u; }

static bool is_bucket_gone(const upload &u)
{
    return u.options.is_bucket_there != nullptr && !u.options.is_bucket_there(u.options.arg, u.options.bucket, u.options.bucket_created_ns);
}

static bool digest_differs(const upload &u) { return u.options.digest != nullptr && !u.options.digest->mismatch.empty(); }

static bool must_ask(const upload &u)
{
    const put_gate &gate = u.options.gate;
    if (u.options.part != nullptr)
        return true;
    return gate.must_ask != nullptr &&
           (!put_commits_at_once(*u.target, u.filled) || gate.must_ask(u.options.arg, u.options.bucket, u.options.name));
}

static constexpr sm_resource resources[] = {{PUT, "put"}};

// No state is busy: the exchange has the deadline of a client that sends nothing, and the store completes every call.
static constexpr sm_state<upload> states[] = {
    {S::awaiting_body, sm_initial, PUT, PUT},
    {S::writing, 0, PUT, PUT},
    {S::preparing, 0, PUT, PUT},
    {S::awaiting_leave, 0, PUT, PUT},
    {S::committing, 0, 0, 0},
    {S::done, sm_final, 0, 0},
};

static constexpr sm_row<upload> rows[] = {
    {S::awaiting_body, E::starved, always, SM_FN(wait_body), S::awaiting_body},
    {S::awaiting_body, E::buffered, always, SM_FN(write_buffer), S::writing},
    {S::awaiting_body, E::body_ended, SM_FN(is_bucket_gone), SM_FN(answer_bucket_gone), S::done},
    {S::awaiting_body, E::body_ended, SM_FN(digest_differs), SM_FN(answer_mismatch), S::done},
    {S::awaiting_body, E::body_ended, SM_FN(must_ask), SM_FN(prepare), S::preparing},
    {S::awaiting_body, E::body_ended, always, SM_FN(commit), S::committing},
    {S::awaiting_body, E::body_failed, always, SM_FN(answer_failure), S::done},
    {S::writing, E::written, always, nothing, S::awaiting_body},
    {S::writing, E::write_failed, always, SM_FN(answer_failure), S::done},
    {S::preparing, E::ready, always, nothing, S::awaiting_leave},
    {S::preparing, E::commit_failed, always, SM_FN(answer_failure), S::done},
    {S::awaiting_leave, E::leave_given, always, SM_FN(release), S::committing},
    {S::awaiting_leave, E::part_taken, always, SM_FN(answer_part), S::done},
    {S::awaiting_leave, E::leave_refused, always, SM_FN(answer_refusal), S::done},
    {S::committing, E::committed, always, SM_FN(answer_stored), S::done},
    {S::committing, E::commit_failed, always, SM_FN(answer_failure), S::done},
};

static constexpr sm_ignore<upload> ignores[] = {
    {S::writing, E::body_failed, "the write completes, and reading the body then fails"},
    {S::preparing, E::body_failed, "a commit under way is not called back"},
    {S::awaiting_leave, E::body_failed, "the body is here, and the answer waits for others"},
    {S::committing, E::body_failed, "a commit under way is not called back"},
};

static void note_news(upload &u, S, E event)
{
    if (event == E::written)
        sm_news_put(u.news, upload_news::read_on);
    else if (event == E::ready)
        sm_news_put(u.news, upload_news::ask_leave);
}

static constexpr sm_table<upload> table = {
    "upload", states, resources, rows, ignores, {}, E::body_failed, E::body_failed, alive, nullptr, note_news};
SM_VERIFY(table);

sm_view upload_machine_view() { return sm_view_of(table); }

static void read_body(upload &u);
static void ask_leave(upload &u);

// An upload that has ended is deleted in a later iteration.
static void step(upload &u, E event)
{
    sm_step(table, u, event);
    upload_news news;
    if (!sm_news_take(u.news, news))
        return;
    switch (news) {
    case upload_news::read_on: read_body(u); return;
    case upload_news::ask_leave: ask_leave(u); return;
    }
}

// The whole body is here.
static void compare_digest(upload &u)
{
    upload_digest &digest = *u.options.digest;
    std::string computed = content_digest_end(*digest.computed);
    if (computed != digest.given)
        digest.mismatch = describe_mismatch(digest.type, digest.given, computed);
}

// Fills the put's buffer with what the client has sent. A small rest is not worth a write of its own.
static void read_body(upload &u)
{
    std::span<char> buffer = put_buffer(*u.target);
    for (;;) {
        if (u.filled == buffer.size()) {
            step(u, E::buffered);
            return;
        }
        io_result got = exchange_body_read(*u.x, buffer.data() + u.filled, buffer.size() - u.filled);
        switch (got.state) {
        case io_state::done:
            if (u.options.digest)
                content_digest_add(*u.options.digest->computed, buffer.data() + u.filled, got.count);
            u.filled += got.count;
            u.bytes += got.count;
            break;
        case io_state::again: step(u, E::starved); return;
        case io_state::end:
            if (u.options.part && u.filled > 0) { // a part is in a file, however small it is
                step(u, E::buffered);
                return;
            }
            if (u.options.digest)
                compare_digest(u);
            step(u, E::body_ended);
            return;
        case io_state::failed:
            u.err = got.err;
            step(u, E::body_failed);
            return;
        }
    }
}

static void on_body_ready(void *arg) { read_body(*static_cast<upload *>(arg)); }

static void on_written(void *arg, error err)
{
    upload &u = *static_cast<upload *>(arg);
    u.filled = 0;
    u.err = err;
    step(u, err ? E::write_failed : E::written);
}

static void on_ready(void *arg) { step(*static_cast<upload *>(arg), E::ready); }

static void on_leave(void *owner, const put_leave &leave)
{
    upload &u = *static_cast<upload *>(owner);
    u.leave = leave;
    step(u, leave.err ? E::leave_refused : E::leave_given);
}

static void offer_part(upload &u)
{
    put_leave leave;
    const upload_part &part = *u.options.part;
    leave.err = make_error(part.take(u.options.arg, part, *u.target, u.bytes, leave.headers, leave.text));
    u.leave = std::move(leave);
    step(u, u.leave.err ? E::leave_refused : E::part_taken);
}

static void ask_leave(upload &u)
{
    const upload_options &o = u.options;
    if (o.part) {
        offer_part(u);
        return;
    }
    o.gate.ask(o.arg, o.bucket, o.name, o.bucket_created_ns, on_leave, &u);
}

static void on_committed(void *arg, error err, const index_row &row)
{
    upload &u = *static_cast<upload *>(arg);
    u.target = nullptr; // it has ended by itself
    if (!err && u.options.gate.confirm != nullptr)
        err = u.options.gate.confirm(u.options.arg);
    u.err = err;
    u.row = row;
    step(u, err ? E::commit_failed : E::committed);
}

void upload_begin(store &s, exchange &x, upload_options options)
{
    upload *u = new upload;
    u->sm.id = exchange_env(x).next_machine_id++;
    u->e = &exchange_env(x);
    u->objects = &s;
    u->x = &x;
    u->options = std::move(options);
    u->target = put_start(s, u->options.bucket, u->options.name, u->options.content_type);
    if (u->options.custom)
        put_set_custom(*u->target, std::move(*u->options.custom));
    if (u->options.copy)
        put_set_copy(*u->target, u->options.copy->row, u->options.copy->origin_tag);
    clock_post(*u->e, on_body_ready, u);
}

} // namespace etlnode
