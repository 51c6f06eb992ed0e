// SPDX-License-Identifier: MIT
// role/target/batches.cc: GET /v1/ml/moss: many objects in one archive, which is made while it is sent.
//
// Owns     one batch_run for each such request.
// Knows    members.cc, object/archive_writer, aistore/batch.        Known by  routes.cc.
// Normal   the items are opened one after the other, here or at their owners, and packed in their order. Unless the client wants the
//          archive alone, their sizes are asked for first, because the facts of the items come before the archive.
// Fails    400 and 404 before the first byte, if that is known then; later the answer is cut. With `coer`, an item that cannot be read is
//          an empty file below __404__/.
// Limits   batch_size_max.
#include <memory>

#include "aistore/batch.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "http/pump.h"
#include "object/archive_writer.h"
#include "object/sink.h"
#include "port/clock.h"
#include "role/target/members.h"
#include "role/target/moves.h"

namespace etlnode {

static constexpr size_t batch_size_max = 16 * 1024 * 1024; // of a request's body
static constexpr uint64_t member_patience_ms = 60'000;

struct batch_run {
    target *t = nullptr;
    exchange *x = nullptr;
    std::string bucket;
    batch b;
    std::string id, boundary;
    size_t measured = 0; // items whose size is known
    size_t given = 0;    // items in the archive
    member_question *question = nullptr;
    archive_writer *waiting = nullptr;
    source first; // of the first item, opened before the answer begins
    uint64_t first_size = 0;
    bool has_first = false;
    unsigned piece = 0; // of an answer that is more than the archive
    bool is_answering = false;
    source from;
    sink to;
};

// --- the end

static void free_run(batch_run *run)
{
    target &t = *run->t;
    if (run->question != nullptr)
        target_cancel_member(run->question);
    source_close(run->first);
    source_close(run->from);
    delete run;
    open_count_end(t.requests);
}

static void refuse(batch_run *run, error_code code, const std::string &text)
{
    run->t->metrics.get_errors++;
    exchange_answer_error(*run->x, code, text);
    free_run(run);
}

static void on_pumped(void *arg, error err, uint64_t bytes)
{
    auto *run = static_cast<batch_run *>(arg);
    target &t = *run->t;
    if (err) {
        t.metrics.get_errors++;
        sink_abandon(run->to);
    } else {
        t.metrics.get_count++;
        t.metrics.get_bytes += bytes;
        sink_commit_now(run->to);
    }
    free_run(run);
}

// --- items

static void open_item(batch_run &run, const batch_member &item, bool only_size, member_on_open on_open)
{
    member_wish wish{item.bucket, item.name, item.archpath, item.start, item.length, only_size};
    run.question = target_open_member(*run.t, std::move(wish), on_open, &run);
}

static void give(batch_run &run, archive_writer &w, source from, uint64_t size)
{
    const batch_member &item = run.b.items[run.given++];
    if (!source_is_open(from))
        from = source_memory(*run.t->e, {}, {});
    archive_give(w, batch_name(run.b, item), size, std::move(from));
}

static void on_item(void *arg, error err, const std::string &text, source from, uint64_t size)
{
    auto &run = *static_cast<batch_run *>(arg);
    batch_member &item = run.b.items[run.given];
    archive_writer &w = *std::exchange(run.waiting, nullptr);
    run.question = nullptr;
    bool has_changed = !run.b.is_streamed && !err && size != item.size; // since its facts were sent
    if (has_changed || (err && (!run.b.continues || !run.b.is_streamed))) {
        source_close(from);
        archive_fail(w, err ? err : make_error(error_code::conflict, "an object of the batch has changed meanwhile"));
        return;
    }
    if (err)
        item.problem = text;
    give(run, w, std::move(from), err ? 0 : size);
}

static void ask_next(void *arg, archive_writer &w)
{
    auto &run = *static_cast<batch_run *>(arg);
    if (run.given == run.b.items.size()) {
        archive_end(w);
        return;
    }
    if (run.has_first) {
        run.has_first = false;
        give(run, w, std::exchange(run.first, source{}), run.first_size);
        return;
    }
    const batch_member &item = run.b.items[run.given];
    if (!item.problem.empty()) {
        give(run, w, {}, 0);
        return;
    }
    run.waiting = &w;
    open_item(run, item, false, on_item);
}

// --- the answer

static source make_archive(batch_run &run)
{
    archive_writer_options options;
    options.mime = run.b.mime;
    options.patience_ms = member_patience_ms;
    options.next = ask_next;
    options.arg = &run;
    options.at_work = &run.t->store_calls;
    return archive_writer_source(*run.t->e, std::move(options));
}

static std::string_view type_of(std::string_view mime)
{
    return mime.ends_with("zip") ? "application/zip" : mime.ends_with("tar") ? "application/x-tar" : "application/octet-stream";
}

// Before the archive its facts, and behind it the end of the form.
static void give_piece(void *arg, source_chain &chain)
{
    auto &run = *static_cast<batch_run *>(arg);
    std::string text;
    switch (run.piece++) {
    case 0:
        text = "--" + run.boundary + "\r\nContent-Disposition: form-data; name=\"metadata\"\r\nContent-Type: application/json\r\n\r\n" +
               batch_metadata(run.b, run.id) + "\r\n--" + run.boundary +
               "\r\nContent-Disposition: form-data; name=\"archive\"; filename=\"batch" + run.b.mime +
               "\"\r\nContent-Type: " + std::string(type_of(run.b.mime)) + "\r\n\r\n";
        source_chain_give(chain, source_memory(*run.t->e, std::move(text), {}));
        return;
    case 1: source_chain_give(chain, make_archive(run)); return;
    case 2: source_chain_give(chain, source_memory(*run.t->e, "\r\n--" + run.boundary + "--\r\n", {})); return;
    default: source_chain_end(chain); return;
    }
}

static void begin_answer(batch_run *run)
{
    run->is_answering = true;
    sink_head head;
    if (run->b.is_streamed) {
        run->from = make_archive(*run);
        http_write_header(head.headers, "Content-Type", type_of(run->b.mime));
    } else {
        run->from = source_chain_make(*run->t->e, {}, {give_piece, nullptr, run});
        http_write_header(head.headers, "Content-Type", "multipart/form-data; boundary=" + run->boundary);
    }
    run->to = sink_client(*run->x);
    sink_begin(run->to, std::move(head));
    pump_options options;
    options.source_timeout_ms = member_patience_ms;
    options.sink_timeout_ms = run->to.patience_ms;
    options.on_done = on_pumped;
    options.arg = run;
    pump_start(*run->t->e, sink_stream(run->to), run->from.from, std::move(options));
}

// --- before it

static void on_first(void *arg, error err, const std::string &text, source from, uint64_t size)
{
    auto *run = static_cast<batch_run *>(arg);
    run->question = nullptr;
    if (err && !run->b.continues) {
        refuse(run, err.code, text);
        return;
    }
    if (err)
        run->b.items[0].problem = text;
    run->first = std::move(from);
    run->first_size = err ? 0 : size;
    run->has_first = true;
    begin_answer(run);
}

static void measure_next(batch_run *run);

static void on_size(void *arg, error err, const std::string &text, source from, uint64_t size)
{
    auto *run = static_cast<batch_run *>(arg);
    run->question = nullptr;
    source_close(from);
    batch_member &item = run->b.items[run->measured++];
    if (err && !run->b.continues) {
        refuse(run, err.code, text);
        return;
    }
    item.problem = err ? text : std::string();
    item.size = err ? 0 : size;
    measure_next(run);
}

static void measure_next(batch_run *run)
{
    if (exchange_is_gone(*run->x))
        refuse(run, error_code::canceled, "nobody waits for it");
    else if (run->measured == run->b.items.size())
        begin_answer(run);
    else
        open_item(*run, run->b.items[run->measured], true, on_size);
}

static void on_body(void *arg, error err, std::string body)
{
    auto *run = static_cast<batch_run *>(arg);
    std::string text;
    if (err)
        text = std::string("the body cannot be read: ") + error_text(err);
    else
        err = batch_parse(body, run->bucket, run->b, text);
    if (err) {
        refuse(run, err.code, text);
        return;
    }
    if (!archive_can_make(run->b.mime)) {
        refuse(
            run, error_code::bad_request, "mime \"" + text_escape(run->b.mime, 32) + "\": expected .tar, .tgz, .tar.gz, .zip or .tar.lz4");
        return;
    }
    if (!run->b.mime.starts_with('.'))
        run->b.mime = "." + run->b.mime;
    run->id = clock_secret(*run->t->e, 9);
    run->boundary = clock_secret(*run->t->e, 32);
    if (run->b.is_streamed)
        open_item(*run, run->b.items[0], false, on_first);
    else
        measure_next(run);
}

static void serve_batch(target &t, exchange &x, const route_match &match)
{
    if (!lifecycle_has_joined(t.life)) {
        exchange_answer_error(x, error_code::not_ready, "the target has not joined its cluster yet");
        return;
    }
    auto run = std::make_unique<batch_run>();
    if (match.arg_count > 0 && !route_decode_arg(x, match.args[0], "bucket name", run->bucket))
        return;
    run->t = &t;
    run->x = &x;
    open_count_begin(t.requests);
    exchange_read_all(x, batch_size_max, on_body, run.release());
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/ml/moss", serve_batch, "many objects in one archive"),
    ROUTE("GET", "/v1/ml/moss/{bucket}", serve_batch, "the same; objects that name no bucket are in this one"),
};
extern constinit const std::span<const route> target_batch_routes = rows;

} // namespace etlnode
