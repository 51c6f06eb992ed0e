// SPDX-License-Identifier: MIT
// etlctl/http_exchange.cc: prepares a handle of libcurl for a request, receives the answer, and reads the outcome.
//
// Knows    base, trace.              Known by  http_client, http_many.
// Fails    see http_outcome. A body that ends early is `cut`, whatever its framing: libcurl reports an RST, a body shorter than
//          Content-Length, and a chunked body without its end.
#include "etlctl/http_exchange.h"

#include <cstdio>
#include <cstring>

#include <curl/curl.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "etlctl/trace.h"

namespace etlnode::etlctl {

static constexpr size_t error_body_max = mib;
static constexpr long redirects_max = 10;

static bool is_success(int status) { return status >= 200 && status < 300; }

static size_t on_header(char *bytes, size_t, size_t size, void *arg)
{
    http_exchange &x = *static_cast<http_exchange *>(arg);
    std::string_view line(bytes, size);
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r'))
        line.remove_suffix(1);
    if (line.starts_with("HTTP/")) {
        // A new status line begins. Drop the headers of the previous answer, which was a 100 Continue or a redirect.
        x.reply->headers.clear();
        x.reply->body.clear();
        size_t space = line.find(' ');
        uint64_t status = 0;
        x.reply->status = space != std::string_view::npos && text_parse_u64(line.substr(space + 1, 3), status) ? static_cast<int>(status)
                                                                                                               : 0;
        return size;
    }
    size_t colon = line.find(':');
    if (colon != std::string_view::npos && x.reply->headers.size() < http_header_count_max)
        x.reply->headers.emplace_back(std::string(line.substr(0, colon)), std::string(text_trim(line.substr(colon + 1))));
    return size;
}

static bool begin(http_exchange &x)
{
    if (x.reply->begun || x.request->begin == nullptr)
        return true;
    x.reply->begun = true;
    return x.request->begin(x.request->arg, *x.reply);
}

static size_t on_write(char *bytes, size_t, size_t size, void *arg)
{
    http_exchange &x = *static_cast<http_exchange *>(arg);
    if (x.request->write != nullptr && is_success(x.reply->status)) {
        x.stopped = !begin(x) || !x.request->write(x.request->arg, bytes, size);
        return x.stopped ? 0 : size;
    }
    size_t max = is_success(x.reply->status) ? call_answer_size_max : error_body_max;
    if (x.reply->body.size() + size > max) {
        if (is_success(x.reply->status)) {
            x.too_large = true;
            return 0;
        }
        size_t room = max - x.reply->body.size(); // of an error text, the beginning is enough
        x.reply->body.append(bytes, room);
        return size;
    }
    x.reply->body.append(bytes, size);
    return size;
}

static size_t on_read(char *buffer, size_t one, size_t count, void *arg)
{
    http_exchange &x = *static_cast<http_exchange *>(arg);
    size_t got = x.request->read(x.request->arg, buffer, one * count);
    if (got == SIZE_MAX) {
        x.stopped = true;
        return CURL_READFUNC_ABORT;
    }
    return got;
}

static int on_progress(void *arg, curl_off_t, curl_off_t, curl_off_t, curl_off_t)
{
    http_exchange &x = *static_cast<http_exchange *>(arg);
    if (x.request->tick != nullptr)
        x.request->tick(x.request->arg);
    return x.client->is_stopped != nullptr && x.client->is_stopped() ? 1 : 0;
}

static void print_lines(const char *mark, std::string_view text, bool all)
{
    bool first = true;
    while (!text.empty()) {
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        while (!line.empty() && line.back() == '\r')
            line.remove_suffix(1);
        bool status = first && (line.starts_with("HTTP/") || *mark == '>');
        bool location = line.size() > 9 && text_equal_ignore_case(line.substr(0, 9), "location:");
        if (!line.empty() && (all || status || location))
            fprintf(stderr, "%s %s\n", mark, trace_mask_line(line).c_str());
        first = false;
    }
}

static int on_debug(CURL *, curl_infotype type, char *bytes, size_t size, void *arg)
{
    http_exchange &x = *static_cast<http_exchange *>(arg);
    if (type == CURLINFO_HEADER_OUT)
        print_lines(">", std::string_view(bytes, size), x.client->trace);
    else if (type == CURLINFO_HEADER_IN)
        print_lines("<", std::string_view(bytes, size), x.client->trace);
    return 0;
}

static http_outcome outcome_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK: return http_outcome::answered;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_INTERFACE_FAILED: return http_outcome::refused;
    case CURLE_OPERATION_TIMEDOUT: return http_outcome::timed_out;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: return http_outcome::cut;
    case CURLE_WRITE_ERROR:
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_READ_ERROR: return http_outcome::stopped;
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING: return http_outcome::bad_answer;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return http_outcome::bad_url;
    default: return http_outcome::failed;
    }
}

static void set_method(CURL *easy, const http_request &request)
{
    std::string_view method = request.method;
    if (method == "HEAD") {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (request.read != nullptr) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.read_size));
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    } else if (request.has_body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.empty() ? "" : request.body.data());
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method); // redirects keep the method
}

static curl_slist *add_header(curl_slist *list, const std::string &line)
{
    curl_slist *longer = curl_slist_append(list, line.c_str());
    CHECK(longer != nullptr);
    return longer;
}

// The caller frees the list with curl_slist_free_all.
static curl_slist *make_headers(const http_client &client, const http_request &request)
{
    curl_slist *headers = add_header(nullptr, "Expect:");
    bool has_type = false;
    for (const std::string &line : request.headers)
        has_type = has_type || text_equal_ignore_case(std::string_view(line).substr(0, 13), "content-type:");
    if (!has_type && (request.has_body || request.read != nullptr))
        headers = add_header(headers, "Content-Type: application/octet-stream");
    if (!client.token.empty())
        headers = add_header(headers, "Authorization: Bearer " + client.token);
    for (const std::string &line : request.headers)
        headers = add_header(headers, line);
    return headers;
}

static void set_connection(CURL *easy, const http_client &client, const http_request &request)
{
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "etlctl");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); // object names may contain dots and double slashes
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, request.follow ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, redirects_max);
    curl_easy_setopt(easy, CURLOPT_POSTREDIR, static_cast<long>(CURL_REDIR_POST_ALL));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout_ms));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_ms));
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, static_cast<long>(request.buffer_size));
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, static_cast<long>(request.buffer_size));
    curl_easy_setopt(easy, CURLOPT_NOPROXY, client.no_proxy.c_str());
    if (request.stall_s != 0) {
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall_s));
    }
}

static void set_callbacks(CURL *easy, http_exchange &x)
{
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &x);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &x);
    curl_easy_setopt(easy, CURLOPT_READDATA, &x);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, x.request->tick == nullptr && x.client->is_stopped == nullptr ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &x);
    if (x.client->verbose || x.client->trace) {
        curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
        curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_debug);
        curl_easy_setopt(easy, CURLOPT_DEBUGDATA, &x);
    }
}

void exchange_prepare(http_exchange &x)
{
    CURL *easy = static_cast<CURL *>(x.easy);
    curl_easy_reset(easy);
    *x.reply = http_reply{};
    x.stopped = false;
    x.too_large = false;
    x.problem[0] = '\0';
    curl_slist *headers = make_headers(*x.client, *x.request);
    x.headers = headers;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x.problem);
    set_connection(easy, *x.client, *x.request);
    set_callbacks(easy, x);
    set_method(easy, *x.request);
}

static void forget(http_exchange &x)
{
    CURL *easy = static_cast<CURL *>(x.easy);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, nullptr);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, nullptr);
    curl_slist_free_all(static_cast<curl_slist *>(x.headers));
    x.headers = nullptr;
}

void exchange_finish(http_exchange &x, int curl_code)
{
    CURL *easy = static_cast<CURL *>(x.easy);
    auto code = static_cast<CURLcode>(curl_code);
    x.reply->outcome = x.stopped ? http_outcome::stopped : outcome_of(code);
    if (x.too_large)
        x.reply->outcome = http_outcome::bad_answer;
    if (code == CURLE_OK && is_success(x.reply->status) && !begin(x))
        x.reply->outcome = http_outcome::stopped;
    if (x.reply->outcome != http_outcome::answered)
        x.reply->problem = x.too_large ? "the answer is too large" : *x.problem != '\0' ? x.problem : curl_easy_strerror(code);
    const char *url = nullptr;
    if (curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && url != nullptr)
        x.reply->url = url;
    forget(x);
}

void exchange_drop(http_exchange &x) { forget(x); }

} // namespace etlnode::etlctl
