// SPDX-License-Identifier: MIT
// uv/uv_web.cc: contents of the web, through libcurl's multi interface on the loop.
//
// Owns     one multi handle, its timer and its sockets' watches; a fetch for each that was started.
// Normal   libcurl is called when one of its sockets or its timer is due. What it hands over is kept, and told when it has returned:
//          nothing calls upwards inside libcurl. Redirects are followed here, so that the host of each connection is known to the rules.
// Fails    with the status of the answer or in words for what the network did.
// Limits   fetch_buffer_size bytes of each wait for the reader; then its connection is paused. discarded_max of a body nobody reads.
#include "uv/uv_world.h"

#include <algorithm>
#include <cstring>

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "uv/uv_curl.h"

namespace etlnode {

static constexpr size_t discarded_max = 1 << 20;
static constexpr long receive_size = 64 * 1024;

struct uv_web {
    uv_world *world = nullptr;
    const uv_curl *curl = nullptr;
    CURLM *multi = nullptr;
    uv_timer_t clock;
    uv_link all;
    uv_link changed; // have something to tell
    bool is_posted = false, is_closed = false;
};

struct socket_watch {
    uv_poll_t poll;
    uv_web *owner = nullptr;
    curl_socket_t fd = CURL_SOCKET_BAD;
};

struct fetch {
    uv_web *owner = nullptr;
    CURL *easy = nullptr;
    fetch_options options;
    std::string url, host;
    uint64_t begun_ms = 0;
    unsigned redirects = 0;
    bool is_added = false;  // libcurl works on it
    bool is_paused = false; // its connection waits for the reader
    int status = 0;         // of the answer whose head has come
    bool has_head = false;
    bool is_told = false;   // on_head was called
    bool has_ended = false; // nothing more comes
    size_t discarded = 0;
    std::string buffer, given;
    fetch_failure failed;
    std::string refusal; // of the last address
    char detail[CURL_ERROR_SIZE] = "";
    net_on_ready on_ready = nullptr;
    void *ready_arg = nullptr;
    uv_link link, changed;
};

static void post_settle(uv_web &all);

static bool is_content(int status) { return status == 200 || status == 203; }
static bool is_redirect(int status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

static void note_change(fetch &f)
{
    if (uv_link_is_empty(f.changed))
        uv_link_add(f.owner->changed, f.changed, &f);
}

static void remove_from_curl(fetch &f)
{
    if (f.is_added)
        f.owner->curl->curl_multi_remove_handle(f.owner->multi, f.easy);
    f.is_added = false;
}

static void fail(fetch &f, error_code code, std::string text, bool may_pass)
{
    f.has_ended = true;
    f.failed = {make_error(code), std::move(text), f.status, may_pass};
    note_change(f);
}

// --- what libcurl calls

static size_t on_header(char *bytes, size_t, size_t size, void *arg)
{
    fetch &f = *static_cast<fetch *>(arg);
    std::string_view line(bytes, size);
    if (line != "\r\n" && line != "\n")
        return size;
    long status = 0;
    f.owner->curl->curl_easy_getinfo(f.easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200)
        return size;
    f.status = static_cast<int>(status);
    f.has_head = true;
    if (!is_redirect(f.status))
        note_change(f);
    return size;
}

static size_t on_body(char *bytes, size_t, size_t size, void *arg)
{
    fetch &f = *static_cast<fetch *>(arg);
    if (!is_content(f.status)) {
        f.discarded += size;
        return f.discarded <= discarded_max ? size : 0;
    }
    if (f.buffer.size() >= fetch_buffer_size) {
        f.is_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    f.buffer.append(bytes, size);
    note_change(f);
    return size;
}

static bool read_address(const curl_sockaddr &from, address_bytes &out_address)
{
    if (from.family == AF_INET && from.addrlen >= sizeof(sockaddr_in)) {
        sockaddr_in four{};
        std::memcpy(&four, &from.addr, sizeof four);
        std::memset(out_address.at, 0, 10);
        std::memset(out_address.at + 10, 0xff, 2);
        std::memcpy(out_address.at + 12, &four.sin_addr, 4);
        return true;
    }
    if (from.family != AF_INET6 || from.addrlen < sizeof(sockaddr_in6))
        return false;
    sockaddr_in6 six{};
    std::memcpy(&six, &from.addr, sizeof six);
    std::memcpy(out_address.at, &six.sin6_addr, sizeof out_address.at);
    return true;
}

// Each connection comes through here, with the address that its name was resolved to.
static curl_socket_t open_socket(void *arg, curlsocktype purpose, curl_sockaddr *to)
{
    fetch &f = *static_cast<fetch *>(arg);
    address_bytes address;
    if (purpose != CURLSOCKTYPE_IPCXN || !read_address(*to, address)) {
        f.refusal = "the address is of no known kind";
        return CURL_SOCKET_BAD;
    }
    f.refusal = address_rules_refusal(*f.options.rules, f.host, address);
    if (!f.refusal.empty())
        return CURL_SOCKET_BAD;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

// --- the loop

static void act(uv_web &all, curl_socket_t fd, int events);

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
    auto *watch = static_cast<socket_watch *>(poll->data);
    int what = ((events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) | ((events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0);
    act(*watch->owner, watch->fd, status < 0 ? CURL_CSELECT_ERR : what);
}

static int watch_socket(CURL *, curl_socket_t fd, int what, void *arg, void *known)
{
    auto &all = *static_cast<uv_web *>(arg);
    auto *watch = static_cast<socket_watch *>(known);
    if (what == CURL_POLL_REMOVE) {
        if (watch == nullptr)
            return 0;
        uv_poll_stop(&watch->poll);
        all.curl->curl_multi_assign(all.multi, fd, nullptr);
        uv_close(
            reinterpret_cast<uv_handle_t *>(&watch->poll), [](uv_handle_t *handle) { delete static_cast<socket_watch *>(handle->data); });
        return 0;
    }
    if (watch == nullptr) {
        watch = new socket_watch;
        watch->owner = &all;
        watch->fd = fd;
        watch->poll.data = watch;
        if (uv_poll_init(&all.world->loop, &watch->poll, fd) != 0) {
            delete watch;
            return -1;
        }
        all.curl->curl_multi_assign(all.multi, fd, watch);
    }
    int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
    return uv_poll_start(&watch->poll, events, on_socket_ready) == 0 ? 0 : -1;
}

static void on_clock(uv_timer_t *clock) { act(*static_cast<uv_web *>(clock->data), CURL_SOCKET_TIMEOUT, 0); }

static int set_clock(CURLM *, long delay_ms, void *arg)
{
    auto &all = *static_cast<uv_web *>(arg);
    if (delay_ms < 0)
        uv_timer_stop(&all.clock);
    else
        uv_timer_start(&all.clock, on_clock, static_cast<uint64_t>(delay_ms), 0);
    return 0;
}

// --- one request

static bool is_web(std::string_view url)
{
    return text_equal_ignore_case(url.substr(0, 7), "http://") || text_equal_ignore_case(url.substr(0, 8), "https://");
}

static bool find_host(const uv_curl &curl, const std::string &url, std::string &out_host)
{
    CURLU *parts = curl.curl_url();
    char *host = nullptr;
    bool is_good = curl.curl_url_set(parts, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
                   curl.curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK;
    out_host = is_good ? host : "";
    curl.curl_free(host);
    curl.curl_url_cleanup(parts);
    return is_good;
}

static void set_up(fetch &f)
{
    const uv_curl &curl = *f.owner->curl;
    auto set = [&](CURLoption option, auto value) { CHECK(curl.curl_easy_setopt(f.easy, option, value) == CURLE_OK); };
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_PROXY, ""); // none, whatever the environment says: the rules would see the proxy's address only
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_USERAGENT, "etlnode");
    set(CURLOPT_BUFFERSIZE, receive_size);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(f.options.connect_timeout_ms));
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, static_cast<long>((f.options.stall_timeout_ms + 999) / 1000));
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    if (f.options.rate > 0)
        set(CURLOPT_MAX_RECV_SPEED_LARGE, static_cast<curl_off_t>(f.options.rate));
    if (!f.options.ca_file.empty()) {
        set(CURLOPT_CAINFO, f.options.ca_file.c_str());
        set(CURLOPT_CAPATH, static_cast<const char *>(nullptr));
    }
    set(CURLOPT_ERRORBUFFER, f.detail);
    set(CURLOPT_PRIVATE, static_cast<void *>(&f));
    set(CURLOPT_HEADERFUNCTION, on_header);
    set(CURLOPT_HEADERDATA, static_cast<void *>(&f));
    set(CURLOPT_WRITEFUNCTION, on_body);
    set(CURLOPT_WRITEDATA, static_cast<void *>(&f));
    set(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    set(CURLOPT_OPENSOCKETDATA, static_cast<void *>(&f));
}

// Asks for f.url.
static void ask(fetch &f)
{
    const uv_curl &curl = *f.owner->curl;
    f.status = 0;
    f.has_head = false;
    f.discarded = 0;
    f.refusal.clear();
    f.detail[0] = '\0';
    uint64_t spent_ms = uv_now(&f.owner->world->loop) - f.begun_ms;
    if (f.options.timeout_ms != 0 && spent_ms >= f.options.timeout_ms) {
        fail(f, error_code::timed_out, "timeout: it took longer than " + text_duration(f.options.timeout_ms), true);
        return;
    }
    if (!is_web(f.url)) {
        fail(f, error_code::bad_request, "only http and https are fetched, not " + text_escape(f.url, 200), false);
        return;
    }
    if (!find_host(curl, f.url, f.host)) {
        fail(f, error_code::bad_request, "not a URL: " + text_escape(f.url, 200), false);
        return;
    }
    curl.curl_easy_setopt(f.easy, CURLOPT_URL, f.url.c_str());
    curl.curl_easy_setopt(f.easy, CURLOPT_TIMEOUT_MS, static_cast<long>(f.options.timeout_ms == 0 ? 0 : f.options.timeout_ms - spent_ms));
    f.is_added = curl.curl_multi_add_handle(f.owner->multi, f.easy) == CURLM_OK;
    if (!f.is_added)
        fail(f, error_code::internal, "the request could not be begun", true);
}

// --- its end

static void fail_by_status(fetch &f)
{
    bool may_pass = f.status == 408 || f.status == 425 || f.status == 429 || f.status >= 500;
    error_code code = f.status == 404 || f.status == 410   ? error_code::not_found
                      : f.status == 401 || f.status == 403 ? error_code::forbidden
                      : may_pass                           ? error_code::unavailable
                                                           : error_code::bad_request;
    fail(f, code, text_format("the server answered %d", f.status), may_pass);
}

static void fail_by_curl(fetch &f, CURLcode code)
{
    std::string why = f.detail[0] != '\0' ? f.detail : f.owner->curl->curl_easy_strerror(code);
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: fail(f, error_code::unreachable, why, true); return;
    case CURLE_COULDNT_CONNECT:
        if (f.refusal.empty())
            fail(f, error_code::refused, why, true);
        else
            fail(f, error_code::forbidden, f.refusal, false);
        return;
    case CURLE_OPERATION_TIMEDOUT: fail(f, error_code::timed_out, "timeout: " + why, true); return;
    case CURLE_URL_MALFORMAT:
    case CURLE_LOGIN_DENIED: fail(f, error_code::bad_request, why, false); return;
    case CURLE_UNSUPPORTED_PROTOCOL: fail(f, error_code::bad_request, "the server does not speak HTTP: " + why, false); return;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE: fail(f, error_code::forbidden, "the server's certificate is not trusted: " + why, false); return;
    case CURLE_WRITE_ERROR: fail(f, error_code::bad_request, "the server's answer is no content", false); return;
    default: fail(f, error_code::end_of_stream, "the answer broke off: " + why, true); return;
    }
}

static void follow_redirect(fetch &f)
{
    const char *to = nullptr;
    f.owner->curl->curl_easy_getinfo(f.easy, CURLINFO_REDIRECT_URL, &to);
    if (to == nullptr) {
        fail_by_status(f);
        return;
    }
    if (++f.redirects > f.options.redirects_max) {
        fail(f, error_code::bad_request, text_format("more than %u redirects", f.options.redirects_max), false);
        return;
    }
    f.url = to;
    ask(f);
}

static void finish(fetch &f, CURLcode code)
{
    remove_from_curl(f);
    if (code != CURLE_OK) {
        fail_by_curl(f, code);
    } else if (is_redirect(f.status)) {
        follow_redirect(f);
    } else if (!is_content(f.status)) {
        fail_by_status(f);
    } else {
        f.has_ended = true;
        note_change(f);
    }
}

// --- telling

static void tell_head(fetch &f)
{
    f.is_told = true;
    fetch_head head;
    if (!f.has_ended && !is_content(f.status)) { // its body does not matter
        remove_from_curl(f);
        fail_by_status(f);
    }
    head.failed = f.failed;
    curl_off_t size = -1;
    const char *type = nullptr;
    if (!f.failed.err) {
        f.owner->curl->curl_easy_getinfo(f.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
        f.owner->curl->curl_easy_getinfo(f.easy, CURLINFO_CONTENT_TYPE, &type);
    }
    if (size >= 0)
        head.size = static_cast<uint64_t>(size);
    head.content_type = type != nullptr ? type : "";
    f.options.on_head(f.options.arg, head); // this may close it
}

static void tell(fetch &f)
{
    if (!f.is_told && (f.has_ended || f.has_head)) {
        tell_head(f);
        return;
    }
    if (f.is_told && f.on_ready != nullptr && (!f.buffer.empty() || f.has_ended)) {
        net_on_ready on_ready = f.on_ready;
        f.on_ready = nullptr;
        on_ready(f.ready_arg); // this may close it
    }
}

// Inside a dispatch, and not inside libcurl.
static void settle(uv_web &all)
{
    int left = 0;
    while (CURLMsg *message = all.multi != nullptr ? all.curl->curl_multi_info_read(all.multi, &left) : nullptr) {
        fetch *f = nullptr;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        all.curl->curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &f);
        finish(*f, code);
    }
    while (!uv_link_is_empty(all.changed)) {
        auto *f = static_cast<fetch *>(all.changed.next->owner);
        uv_link_remove(f->changed);
        tell(*f);
        uv_dispatch_run_posts(*all.world);
    }
}

static void on_posted(void *arg)
{
    auto &all = *static_cast<uv_web *>(arg);
    all.is_posted = false;
    if (all.is_closed)
        delete &all;
    else
        settle(all);
}

static void post_settle(uv_web &all)
{
    if (!all.is_posted)
        clock_post(*all.world->e, on_posted, &all);
    all.is_posted = true;
}

static void act(uv_web &all, curl_socket_t fd, int events)
{
    uv_world &w = *all.world;
    uv_dispatch_begin(w);
    int running = 0;
    all.curl->curl_multi_socket_action(all.multi, fd, events, &running);
    settle(all);
    uv_dispatch_end(w);
}

// --- the port

static uv_web *make_all(uv_world &w, const uv_curl *curl)
{
    auto *all = new uv_web;
    all->world = &w;
    all->curl = curl;
    CHECK(uv_timer_init(&w.loop, &all->clock) == 0);
    all->clock.data = all;
    if (curl == nullptr)
        return all;
    all->multi = curl->curl_multi_init();
    CHECK(all->multi != nullptr);
    curl->curl_multi_setopt(all->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl->curl_multi_setopt(all->multi, CURLMOPT_SOCKETDATA, static_cast<void *>(all));
    curl->curl_multi_setopt(all->multi, CURLMOPT_TIMERFUNCTION, set_clock);
    curl->curl_multi_setopt(all->multi, CURLMOPT_TIMERDATA, static_cast<void *>(all));
    return all;
}

static fetch *start(env &e, fetch_options options)
{
    uv_world &w = uv_world_of(e);
    std::string why;
    if (w.fetches == nullptr)
        w.fetches = make_all(w, uv_curl_load(why));
    auto *f = new fetch;
    f->owner = w.fetches;
    f->options = std::move(options);
    f->url = f->options.url;
    f->begun_ms = uv_now(&w.loop);
    uv_link_add(w.fetches->all, f->link, f);
    if (w.fetches->curl == nullptr) {
        bool is_there_now = uv_curl_load(why) != nullptr;
        fail(*f, error_code::not_implemented, is_there_now ? "libcurl.so.4 was missing: start the node again" : why, false);
    } else {
        f->easy = w.fetches->curl->curl_easy_init();
        CHECK(f->easy != nullptr);
        set_up(*f);
        ask(*f);
    }
    post_settle(*w.fetches);
    return f;
}

static fetch_piece pull(fetch *f)
{
    CHECK(f->is_told);
    if (f->buffer.empty() && f->has_ended)
        return {f->failed.err ? fetch_state::failed : fetch_state::end, {}};
    if (f->buffer.empty())
        return {};
    f->given.swap(f->buffer);
    f->buffer.clear();
    if (f->is_paused && f->is_added) {
        f->is_paused = false;
        f->owner->curl->curl_easy_pause(f->easy, CURLPAUSE_CONT); // this may hand over what libcurl kept
        post_settle(*f->owner);
    }
    return {fetch_state::bytes, f->given};
}

static void wait(fetch *f, net_on_ready on_ready, void *arg)
{
    f->on_ready = on_ready;
    f->ready_arg = arg;
    if (f->buffer.empty() && !f->has_ended)
        return;
    note_change(*f);
    post_settle(*f->owner);
}

static void wait_cancel(fetch *f) { f->on_ready = nullptr; }
static const fetch_failure &failure(const fetch *f) { return f->failed; }

static void abort(fetch *f)
{
    if (f->has_ended && f->failed.err)
        return;
    remove_from_curl(*f);
    f->buffer.clear();
    fail(*f, error_code::canceled, "it was ended", false);
    post_settle(*f->owner);
}

static void close(fetch *f)
{
    remove_from_curl(*f);
    if (f->easy != nullptr)
        f->owner->curl->curl_easy_cleanup(f->easy);
    uv_link_remove(f->link);
    uv_link_remove(f->changed);
    delete f;
}

void uv_web_end_all(uv_world &w)
{
    uv_web *all = w.fetches;
    w.fetches = nullptr;
    if (all == nullptr)
        return;
    while (!uv_link_is_empty(all->all))
        close(static_cast<fetch *>(all->all.next->owner));
    if (all->multi != nullptr)
        all->curl->curl_multi_cleanup(all->multi);
    all->multi = nullptr;
    uv_close(reinterpret_cast<uv_handle_t *>(&all->clock), [](uv_handle_t *handle) {
        auto *closed = static_cast<uv_web *>(handle->data);
        closed->is_closed = true;
        if (!closed->is_posted)
            delete closed;
    });
}

const fetch_port uv_web_port = {
    .start = start,
    .pull = pull,
    .wait = wait,
    .wait_cancel = wait_cancel,
    .failure = failure,
    .abort = abort,
    .close = close,
};

} // namespace etlnode
