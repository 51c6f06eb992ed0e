// SPDX-License-Identifier: MIT
// http/server/exchange_answer.cc: answers: heads, bodies from memory, files and streams, and the error envelope.
//
// Owns     nothing: it fills the exchange's output and then hands it to the machine.
#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "http/server/conn_machine.h"

namespace etlnode {

using E = exchange::event;

void exchange_count_out(exchange &x, size_t size)
{
    x.server->counts.bytes_out += size;
    if (x.on_progress != nullptr)
        x.on_progress(x.progress_arg);
}

void exchange_on_progress(exchange &x, void (*on_progress)(void *arg), void *arg)
{
    x.on_progress = on_progress;
    x.progress_arg = arg;
}

static const std::string &date_now(exchange &x)
{
    http_server &server = *x.server;
    uint64_t second = clock_wall_ns(*x.e) / 1'000'000'000;
    if (second != server.date_second || server.date.empty()) {
        server.date_second = second;
        server.date = http_date(second);
    }
    return server.date;
}

static void write_head(exchange &x, const answer &a, answer_framing kind, uint64_t length)
{
    x.keep = x.keep && !a.close && !x.server->draining && kind != answer_framing::by_close && !x.body_error;
    x.server->counts.answers[a.status / 100 < 6 ? a.status / 100 : 0]++;
    if (x.server->options.on_answer != nullptr && !x.head.method.empty())
        x.server->options.on_answer(x.server->options.arg, x, a.status);
    std::string &out = x.out;
    static constexpr size_t other_lines_size = 256;
    out.clear();
    out.reserve(a.headers.size() + a.content_type.size() + other_lines_size); // one allocation
    x.out_sent = 0;
    http_write_status_line(out, a.status);
    http_write_header(out, "Date", date_now(x));
    if (!a.content_type.empty())
        http_write_header(out, "Content-Type", a.content_type);
    if (kind == answer_framing::chunked)
        out += "Transfer-Encoding: chunked\r\n";
    else if (kind == answer_framing::length && a.status != 204 && a.status != 304)
        http_write_header_u64(out, "Content-Length", length);
    if (!x.keep)
        out += "Connection: close\r\n";
    else if (x.head.version_minor == 0)
        out += "Connection: keep-alive\r\n";
    if (!x.request_id.empty())
        http_write_header(out, "X-Request-Id", x.request_id);
    out += a.headers;
    http_write_end(out);
}

// Expect: 100-continue without 100: the client may or may not send its body, so the connection cannot be reused.
static void decide_keep(exchange &x)
{
    x.keep = x.head.keep_alive;
    if (x.continue_due)
        x.keep = false;
}

static bool is_head_request(const exchange &x) { return x.head.method == "HEAD"; }

void exchange_answer(exchange &x, answer a)
{
    decide_keep(x);
    write_head(x, a, answer_framing::length, a.body.size());
    x.body_view = {};
    x.body_sent = 0;
    if (is_head_request(x))
        x.body.clear();
    else
        x.body.swap(a.body);
    exchange_step(x, E::answered);
}

void exchange_answer_head(exchange &x, answer a, uint64_t length)
{
    decide_keep(x);
    write_head(x, a, length == length_unknown ? answer_framing::unsaid : answer_framing::length, length);
    x.body.clear();
    x.body_view = {};
    x.body_sent = 0;
    exchange_step(x, E::answered);
}

void exchange_answer_view(exchange &x, answer a, std::string_view bytes, void (*on_sent)(void *arg, error err), void *arg)
{
    decide_keep(x);
    write_head(x, a, answer_framing::length, bytes.size());
    x.body.clear();
    x.body_view = is_head_request(x) ? std::string_view() : bytes;
    x.body_sent = 0;
    x.on_sent = on_sent;
    x.sent_arg = arg;
    exchange_step(x, E::answered);
}

void exchange_answer_file(
    exchange &x, answer a, disk_file *file, uint64_t offset, uint64_t size, void (*on_sent)(void *arg, error err), void *arg)
{
    decide_keep(x);
    write_head(x, a, answer_framing::length, size);
    x.body.clear();
    x.body_view = {};
    x.body_sent = 0;
    x.on_sent = on_sent;
    x.sent_arg = arg;
    x.file = file;
    x.file_offset = offset;
    x.file_left = is_head_request(x) ? 0 : size;
    exchange_step(x, E::answered);
}

// --- streamed answers

void exchange_stream_begin(exchange &x, answer a, bool has_length, uint64_t length)
{
    decide_keep(x);
    answer_framing kind = has_length                  ? answer_framing::length
                          : x.head.version_minor >= 1 ? answer_framing::chunked
                                                      : answer_framing::by_close;
    x.answer_frame = kind;
    write_head(x, a, kind, length);
    x.body.clear();
    x.body_view = {};
    x.body_sent = 0;
    exchange_step(x, E::stream_begun);
}

void exchange_stream_end(exchange &x, bool complete)
{
    if (x.net == nullptr) {
        exchange_step(x, E::stream_cut);
        return;
    }
    net_wait_cancel(*x.e, x.net, net_side::writable);
    if (!complete) {
        x.server->counts.cut++;
        // Always reset: many clients accept a counted answer that ends early with FIN as complete.
        x.cut = true;
        exchange_step(x, E::stream_cut);
        return;
    }
    if (x.answer_frame == answer_framing::chunked)
        x.out += "0\r\n\r\n";
    exchange_step(x, E::stream_ended);
}

void exchange_frame_piece(exchange &x, size_t size)
{
    if (x.answer_frame == answer_framing::chunked)
        http_write_chunk_size(x.out, size);
}

void exchange_frame_piece_end(exchange &x)
{
    if (x.answer_frame == answer_framing::chunked)
        x.out += "\r\n";
}

io_result exchange_send_piece(exchange &x, std::string_view bytes, bool more)
{
    size_t framing = x.out.size() - x.out_sent;
    iovec parts[2];
    size_t count = 0;
    if (framing > 0)
        parts[count++] = {x.out.data() + x.out_sent, framing};
    if (!bytes.empty())
        parts[count++] = {const_cast<char *>(bytes.data()), bytes.size()};
    if (count == 0)
        return {io_state::done, 0, no_error};
    io_result sent = net_write(*x.e, x.net, {parts, count}, more);
    if (sent.state != io_state::done)
        return sent;
    exchange_count_out(x, sent.count);
    size_t of_framing = std::min(sent.count, framing);
    x.out_sent += of_framing;
    if (of_framing == framing) {
        x.out.clear();
        x.out_sent = 0;
    }
    return {io_state::done, sent.count - of_framing, no_error};
}

// --- error answers

// A caller that gives another status than the table's has decided whether clients repeat the request: they do so by the status.
static bool is_retryable(error_code code, int status)
{
    bool invites = status == 408 || status == 429 || status >= 500;
    return status == 429 || status == 503 || (error_is_retryable(code) && invites);
}

static answer error_answer(exchange &x, error_code code, std::string_view message, int status, std::string headers)
{
    if (status == 0)
        status = error_http_status(code);
    json_ptr tree = json_object();
    json_add_text(tree.get(), "message", message);
    json_add_text(tree.get(), "method", x.head.method);
    json_add_text(tree.get(), "url_path", x.head.path);
    json_add_text(tree.get(), "remote_addr", exchange_peer(x));
    json_add_text(tree.get(), "caller", "");
    json_add_text(tree.get(), "node", x.server->options.node_id);
    json_add_u64(tree.get(), "status", static_cast<uint64_t>(status));
    json_add_text(tree.get(), "code", error_code_name(code));
    json_add_bool(tree.get(), "retryable", is_retryable(code, status));
    json_add_text(tree.get(), "request_id", x.request_id);
    answer a;
    a.status = status;
    a.content_type = "application/json";
    a.body = json_print(tree.get());
    a.headers = std::move(headers);
    http_write_header(a.headers, "X-Content-Type-Options", "nosniff");
    if (status == 503 && a.headers.find("Retry-After") == std::string::npos)
        http_write_header(a.headers, "Retry-After", "1");
    if (is_head_request(x)) {
        http_write_header(a.headers, "Hdr-Error", a.body);
        a.body.clear();
    }
    return a;
}

void exchange_answer_error(exchange &x, error_code code, std::string_view message, int status, std::string headers)
{
    exchange_answer(x, error_answer(x, code, message, status, std::move(headers)));
}

// The kernel takes so few bytes on a connection that has nothing else to send; if not, the client learns no reason.
void exchange_send_refusal(exchange &x, error err)
{
    x.keep = false;
    answer a = error_answer(x, err.code, error_text(err), 0, {});
    write_head(x, a, answer_framing::length, a.body.size());
    iovec parts[] = {{x.out.data(), x.out.size()}, {a.body.data(), a.body.size()}};
    (void)net_write(*x.e, x.net, parts);
    x.out.clear();
}

void exchange_answer_json(exchange &x, const cJSON *tree)
{
    answer a;
    a.content_type = "application/json; charset=utf-8";
    a.body = json_print(tree);
    exchange_answer(x, std::move(a));
}

void exchange_answer_text(exchange &x, std::string text, std::string_view content_type)
{
    answer a;
    a.content_type = content_type;
    a.body = std::move(text);
    exchange_answer(x, std::move(a));
}

void exchange_prepare_refusal(exchange &x, error err)
{
    x.head = http_head{};
    x.framing = body_framing::unknown; // unread bytes may follow: linger
    x.keep = false;
    x.request_id.clear();
    answer a;
    a.status = error_http_status(err.code);
    a.content_type = "application/json";
    a.close = true;
    json_ptr tree = json_object();
    json_add_text(tree.get(), "message", error_text(err));
    json_add_text(tree.get(), "node", x.server->options.node_id);
    json_add_u64(tree.get(), "status", static_cast<uint64_t>(a.status));
    json_add_text(tree.get(), "code", error_code_name(err.code));
    a.body = json_print(tree.get());
    if (a.status == 503)
        http_write_header(a.headers, "Retry-After", "1");
    write_head(x, a, answer_framing::length, a.body.size());
    x.body.swap(a.body);
    x.body_view = {};
    x.body_sent = 0;
    if (x.is_extra) // there may be very many; http_server_counts counts them
        return;
    LOG(info, "http", "server=%s peer=%s status=%d reason=\"%s\" msg=\"request refused\"", x.server->options.name,
        net_peer(*x.e, x.net).c_str(), a.status, text_escape(error_text(err)).c_str());
}

} // namespace etlnode
