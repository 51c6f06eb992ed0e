// SPDX-License-Identifier: MIT
// etlctl/transfer.cc: downloads and uploads with checksum, progress and part files.
//
// Normal   get: stream to a part file, compare XXH64, rename. put: PUT without a body to the proxy, then PUT with the body to the target.
// Fails    A cut connection, a checksum mismatch or a full disk removes the part file; the failure says which.
#include "etlctl/transfer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/check.h"
#include "base/text.h"
#include "etlctl/partial_file.h"
#include "etlctl/progress.h"
#include "node/api.h"

namespace etlnode::etlctl {

static constexpr const char *upload_cut_hint = "try again; an object is stored as a whole or not at all";

static std::string hash_text(const XXH64_state_t *state) { return text_hex(XXH64_digest(state)); }

static XXH64_state_t *hash_new()
{
    XXH64_state_t *state = XXH64_createState();
    CHECK(state != nullptr);
    XXH64_reset(state, 0);
    return state;
}

// Empty if the answer has no checksum that this program can compute.
static std::string expected_checksum(const http_reply &reply)
{
    if (!text_equal_ignore_case(http_header(reply, header_checksum_type), checksum_type_xxhash2))
        return {};
    return text_lower(http_header(reply, header_checksum_value));
}

static std::string base_name(std::string_view name)
{
    while (name.ends_with('/'))
        name.remove_suffix(1);
    size_t slash = name.rfind('/');
    return std::string(slash == std::string_view::npos ? name : name.substr(slash + 1));
}

// ---- download

struct download_state {
    session *s = nullptr;
    const download *d = nullptr;
    partial_file file = {};
    progress shown = {};
    XXH64_state_t *hash = nullptr;
    std::string path = {};
    std::string problem = {};
    int problem_errno = 0;
    bool refused_binary = false;
    bool any_written = false;
    char last_byte = '\n';
};

// Whether the range asks for the whole object: "0-", or "0-N" where the object has no byte behind N.
static bool asks_for_all(const std::string &range, const http_reply &reply)
{
    uint64_t last = 0;
    uint64_t size = 0;
    if (range == "0-")
        return true;
    return range.starts_with("0-") && text_parse_u64(std::string_view(range).substr(2), last) &&
           text_parse_u64(http_header(reply, "Content-Length"), size) && (size == 0 || size - 1 <= last);
}

static bool on_begin(void *arg, const http_reply &reply)
{
    download_state &state = *static_cast<download_state *>(arg);
    const download &d = *state.d;
    if (!d.range.empty() && reply.status != 206 && !asks_for_all(d.range, reply)) {
        state.problem = "the server ignored the range and sent the whole object";
        return false;
    }
    uint64_t size = 0;
    if (text_parse_u64(http_header(reply, "Content-Length"), size))
        state.shown.state.bytes_total = size;
    return partial_file_open(state.file, state.path, state.problem);
}

static bool is_binary(std::string_view bytes)
{
    for (char c : bytes) {
        auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r' && byte != '\f' && byte != '\b' && byte != 0x1b)
            return true;
    }
    return false;
}

static bool on_write(void *arg, const char *bytes, size_t size)
{
    download_state &state = *static_cast<download_state *>(arg);
    if (size == 0)
        return true;
    // Control bytes would change the terminal's state. An explicit "-" overrides this check.
    if (!state.any_written && state.d->out.empty() && state.s->out_is_tty && is_binary({bytes, size})) {
        state.refused_binary = true;
        state.problem = "binary output can disturb your terminal";
        return false;
    }
    state.any_written = true;
    if (!partial_file_write(state.file, bytes, size)) {
        state.problem_errno = errno;
        state.problem = text_format("cannot write %s: %s", state.path == "-" ? "standard output" : state.path.c_str(), strerror(errno));
        return false;
    }
    XXH64_update(state.hash, bytes, size);
    state.last_byte = bytes[size - 1];
    progress_add(state.shown, size);
    return true;
}

static void on_download_tick(void *arg) { progress_tick(static_cast<download_state *>(arg)->shown); }

static failure finish_download(download_state &state, const http_reply &reply)
{
    const download &d = *state.d;
    std::string expected = expected_checksum(reply);
    if (d.whole_object && reply.status == 200 && !expected.empty() && expected != hash_text(state.hash)) {
        failure f = failure_make(exit_code::other, d.doing,
            text_format("checksum mismatch: the server announced %s, the received data has %s", text_escape(expected).c_str(),
                hash_text(state.hash).c_str()),
            "try again; if the error persists, the stored object is damaged");
        f.code = "checksum_mismatch";
        f.request_id = state.s->request_id;
        return f;
    }
    std::string why;
    if (!partial_file_commit(state.file, why))
        return failure_make(exit_code::other, d.doing, why);
    if (state.path == "-" && state.s->out_is_tty && state.last_byte != '\n') {
        // Start the prompt on a new line.
        partial_file newline = {.fd = STDOUT_FILENO};
        if (!partial_file_write(newline, "\n", 1))
            return failure_make(exit_code::other, d.doing, strerror(errno));
    }
    return {};
}

static std::string choose_path(const download &d)
{
    if (d.out.empty() || d.out == "-")
        return "-";
    struct stat status = {};
    bool directory = d.out.ends_with('/') || (stat(d.out.c_str(), &status) == 0 && S_ISDIR(status.st_mode));
    return directory ? d.out + (d.out.ends_with('/') ? "" : "/") + base_name(d.what) : d.out;
}

failure transfer_download(session &s, const download &d)
{
    download_state state = {.s = &s, .d = &d};
    state.path = choose_path(d);
    state.hash = hash_new();
    progress_start(state.shown, s, d.what, 1, 0);

    http_request request = session_request(s, "GET", d.url, 0);
    if (!d.range.empty())
        request.headers.push_back("Range: bytes=" + d.range);
    request.begin = on_begin;
    request.write = on_write;
    request.tick = on_download_tick;
    request.arg = &state;
    http_reply reply;
    http_perform(s.http, request, reply);

    failure f = session_failure(s, reply, d.doing);
    if (f.code == "cut")
        f.hint = "try again; a file is not written, and data on standard output is incomplete";
    if (reply.outcome == http_outcome::stopped && !state.problem.empty()) {
        exit_code exit = state.problem_errno == EPIPE ? exit_code::broken_pipe : exit_code::other;
        f = failure_make(exit, d.doing, state.problem);
        if (state.refused_binary)
            f = failure_make(exit_code::usage, {}, state.problem, "name an output file, or - to print it anyway");
    }
    if (!f) {
        state.shown.state.objects_done = 1;
        progress_end(state.shown);
        f = finish_download(state, reply);
    }
    progress_hide(state.shown);
    partial_file_drop(state.file);
    XXH64_freeState(state.hash);
    return f;
}

// ---- upload

static constexpr int sendings_max = 5; // of one body

struct upload_state {
    int fd = -1;
    const upload *u = nullptr;
    progress shown = {};
    XXH64_state_t *hash = nullptr;
    int64_t left = -1;  // -1: until the end of the input
    off_t begin = -1;   // where the body begins in a regular file; -1: it can be read only once
    int64_t whole = -1; // of a regular file: what `left` was
    std::string problem = {};
};

static size_t on_read(void *arg, char *buffer, size_t size)
{
    upload_state &state = *static_cast<upload_state *>(arg);
    if (state.left >= 0)
        size = std::min(size, static_cast<size_t>(state.left));
    if (size == 0)
        return 0;
    ssize_t got = -1;
    do {
        got = read(state.fd, buffer, size);
    } while (got < 0 && errno == EINTR);
    const char *name = state.u->file == "-" ? "standard input" : state.u->file.c_str();
    if (got < 0) {
        state.problem = text_format("cannot read %s: %s", name, strerror(errno));
        return SIZE_MAX;
    }
    if (got == 0 && state.left > 0) {
        state.problem = text_format("%s was truncated during the upload", name);
        return SIZE_MAX;
    }
    if (state.left > 0)
        state.left -= got;
    XXH64_update(state.hash, buffer, static_cast<size_t>(got));
    progress_add(state.shown, static_cast<uint64_t>(got));
    return static_cast<size_t>(got);
}

static void on_upload_tick(void *arg) { progress_tick(static_cast<upload_state *>(arg)->shown); }

// Asks the proxy which target takes the body.
static failure find_target(session &s, const upload &u, std::string &out_url)
{
    http_request request = session_request(s, "PUT", u.url, control_timeout_ms);
    request.has_body = true;
    request.follow = false;
    http_reply reply;
    http_perform(s.http, request, reply);
    failure f = session_failure(s, reply, u.doing);
    if (f.code == "cut")
        f.hint = upload_cut_hint;
    std::string_view location = http_header(reply, "Location");
    if (reply.outcome == http_outcome::answered && (reply.status == 307 || reply.status == 308 || reply.status == 301) &&
        !location.empty()) {
        out_url = location.starts_with('/') ? s.endpoint.substr(0, s.endpoint.find('/', 8)) + std::string(location) : std::string(location);
        return {};
    }
    if (f)
        return f;
    f = failure_make(exit_code::other, u.doing, text_format("the proxy answered %d where a redirect was expected", reply.status),
        "is " + s.endpoint + " a target? name the proxy with --endpoint");
    f.status = reply.status;
    f.request_id = s.request_id;
    return f;
}

static failure open_source(const upload &u, upload_state &state)
{
    state.fd = u.file == "-" ? STDIN_FILENO : open(u.file.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status = {};
    if (state.fd < 0 || fstat(state.fd, &status) != 0)
        return failure_make(exit_code::other, u.doing, text_format("%s: %s", u.file.c_str(), strerror(errno)));
    if (S_ISDIR(status.st_mode))
        return failure_make(exit_code::other, u.doing, text_format("%s is a directory", u.file.c_str()), "to store what is in it, add -r");
    if (S_ISREG(status.st_mode)) {
        off_t at = lseek(state.fd, 0, SEEK_CUR); // standard input may already be partly consumed
        state.left = status.st_size - std::clamp<off_t>(at, 0, status.st_size);
        state.begin = at;
        state.whole = state.left;
    }
    return {};
}

// The object got another owner during the upload, and nothing was stored. False: the body cannot be read again.
static bool begin_again(upload_state &state)
{
    if (state.begin < 0 || lseek(state.fd, state.begin, SEEK_SET) != state.begin)
        return false;
    state.left = state.whole;
    return true;
}

// `out_next`: where the answer redirects to, in place of an error, if the body can be sent again; else empty.
static failure send_body(session &s, const upload &u, const std::string &url, upload_state &state, std::string &out_next)
{
    out_next.clear();
    XXH64_reset(state.hash, 0);
    http_request request = session_request(s, "PUT", url, 0);
    request.follow = false;
    request.read = on_read;
    request.read_size = state.left;
    request.tick = on_upload_tick;
    request.arg = &state;
    progress_start(state.shown, s, u.what, 1, state.left > 0 ? static_cast<uint64_t>(state.left) : 0);
    http_reply reply;
    http_perform(s.http, request, reply);
    std::string_view location = http_header(reply, "Location");
    if (reply.outcome == http_outcome::answered && reply.status == 307 && location.starts_with("http") && begin_again(state)) {
        out_next = location;
        progress_hide(state.shown);
        return {};
    }
    failure f = session_failure(s, reply, u.doing);
    if (f.code == "cut")
        f.hint = upload_cut_hint;
    if (reply.outcome == http_outcome::stopped && !state.problem.empty())
        f = failure_make(exit_code::other, u.doing, state.problem);
    else if (reply.outcome == http_outcome::cut && !state.problem.empty())
        f.message = state.problem;
    if (!f && !expected_checksum(reply).empty() && expected_checksum(reply) != hash_text(state.hash)) {
        f = failure_make(exit_code::other, u.doing,
            text_format("checksum mismatch: sent %s, the server stored %s", hash_text(state.hash).c_str(),
                text_escape(expected_checksum(reply)).c_str()),
            "store it again");
        f.code = "checksum_mismatch";
        f.request_id = s.request_id;
    }
    if (!f) {
        state.shown.state.objects_done = 1;
        progress_end(state.shown);
    }
    progress_hide(state.shown);
    return f;
}

failure transfer_upload(session &s, const upload &u)
{
    upload_state state = {.u = &u};
    failure f = open_source(u, state);
    std::string url;
    if (!f)
        f = find_target(s, u, url);
    if (!f) {
        state.hash = hash_new();
        std::string next;
        f = send_body(s, u, url, state, next);
        for (int sent = 1; !f && !next.empty(); sent++) {
            if (sent == sendings_max)
                f = failure_make(exit_code::unavailable, u.doing, "the object got another owner during each upload", "try again");
            else
                f = send_body(s, u, std::exchange(next, {}), state, next);
        }
        XXH64_freeState(state.hash);
    }
    if (state.fd > STDIN_FILENO)
        close(state.fd);
    return f;
}

} // namespace etlnode::etlctl
