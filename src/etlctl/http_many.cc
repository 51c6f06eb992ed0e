// SPDX-License-Identifier: MIT
// etlctl/http_many.cc: libcurl's multi interface over epoll, so that a wake-up costs what has happened and not what is open.
//
// Owns     the CURLM handle and the epoll descriptor.     Knows  http_exchange, session's clock.     Known by  the folder commands.
#include "etlctl/http_many.h"

#include <algorithm>
#include <cerrno>

#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "etlctl/session.h"

namespace etlnode::etlctl {

static int on_socket(CURL *, curl_socket_t fd, int what, void *arg, void *known)
{
    http_many &many = *static_cast<http_many *>(arg);
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(many.epoll, EPOLL_CTL_DEL, fd, nullptr);
        return 0;
    }
    struct epoll_event event = {};
    event.events = ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0u) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0u);
    event.data.fd = fd;
    int operation = known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(many.epoll, operation, fd, &event) != 0 && errno == EEXIST)
        epoll_ctl(many.epoll, EPOLL_CTL_MOD, fd, &event);
    curl_multi_assign(static_cast<CURLM *>(many.multi), fd, &many); // any pointer: the socket is known from now on
    return 0;
}

static int on_timer(CURLM *, long wait_ms, void *arg)
{
    http_many &many = *static_cast<http_many *>(arg);
    many.due_ms = wait_ms < 0 ? UINT64_MAX : session_clock_ms() + static_cast<uint64_t>(wait_ms);
    return 0;
}

bool many_open(http_many &many, http_client &client)
{
    many.client = &client;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return false;
    many.multi = curl_multi_init();
    many.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (many.multi == nullptr || many.epoll < 0)
        return false;
    auto *multi = static_cast<CURLM *>(many.multi);
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, &many);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, &many);
    return true;
}

void many_close(http_many &many)
{
    if (many.multi != nullptr) {
        curl_multi_cleanup(static_cast<CURLM *>(many.multi));
        curl_global_cleanup();
    }
    if (many.epoll >= 0)
        close(many.epoll);
    many.multi = nullptr;
    many.epoll = -1;
}

void many_start(http_many &many, http_call &call)
{
    if (call.x.easy == nullptr)
        call.x.easy = curl_easy_init();
    CHECK(call.x.easy != nullptr);
    call.x.request = &call.request;
    call.x.reply = &call.reply;
    call.x.client = many.client;
    exchange_prepare(call.x);
    auto *easy = static_cast<CURL *>(call.x.easy);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, &call);
    call.is_active = true;
    ++many.active;
    CHECK(curl_multi_add_handle(static_cast<CURLM *>(many.multi), easy) == CURLM_OK);
}

static http_call *take_ended(http_many &many)
{
    auto *multi = static_cast<CURLM *>(many.multi);
    int left = 0;
    while (CURLMsg *message = curl_multi_info_read(multi, &left)) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        char *owner = nullptr;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
        curl_multi_remove_handle(multi, easy); // from here on the message is gone
        auto *call = static_cast<http_call *>(static_cast<void *>(owner));
        call->is_active = false;
        --many.active;
        exchange_finish(call->x, code);
        return call;
    }
    return nullptr;
}

// Returns false if a signal came instead of an event.
static bool turn(http_many &many, uint64_t wait_ms)
{
    static constexpr int events_max = 64;
    static constexpr uint64_t wait_max_ms = 60'000;
    auto *multi = static_cast<CURLM *>(many.multi);
    uint64_t now = session_clock_ms();
    uint64_t wait = many.due_ms <= now ? 0 : std::min(many.due_ms - now, wait_ms);
    struct epoll_event events[events_max];
    int count = epoll_wait(many.epoll, events, events_max, static_cast<int>(std::min(wait, wait_max_ms)));
    int running = 0;
    if (count < 0)
        return false;
    for (int i = 0; i < count; ++i) {
        uint32_t seen = events[i].events;
        int what = ((seen & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) | ((seen & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                   ((seen & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(multi, events[i].data.fd, what, &running);
    }
    if (many.due_ms <= session_clock_ms()) {
        many.due_ms = UINT64_MAX;
        curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    return true;
}

http_call *many_next(http_many &many, uint64_t wait_ms)
{
    uint64_t end_ms = session_clock_ms() + wait_ms;
    while (true) {
        if (http_call *call = take_ended(many))
            return call;
        uint64_t now = session_clock_ms();
        bool goes_on = turn(many, now < end_ms ? end_ms - now : 0);
        if (http_call *call = take_ended(many))
            return call;
        if (!goes_on || session_clock_ms() >= end_ms)
            return nullptr;
    }
}

void many_drop(http_many &many, http_call &call)
{
    if (!call.is_active)
        return;
    curl_multi_remove_handle(static_cast<CURLM *>(many.multi), static_cast<CURL *>(call.x.easy));
    exchange_drop(call.x);
    call.is_active = false;
    --many.active;
}

void many_forget(http_call &call)
{
    if (call.x.easy != nullptr)
        curl_easy_cleanup(static_cast<CURL *>(call.x.easy));
    call.x.easy = nullptr;
}

} // namespace etlnode::etlctl
