// SPDX-License-Identifier: MIT
// kubectl_local/probe.cc: a single attempt of a tcpSocket or httpGet probe.
#include "kubectl_local/probe.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"

namespace etlnode::kubectl_local {

static constexpr size_t answer_size_max = 10 * 1024; // like the kubelet, ignore the rest of a longer answer

static bool is_sent_as_it_is(char c) { return c > ' ' && c < 0x7f && std::string_view("\"<>\\^`{|}").find(c) == std::string_view::npos; }

static std::string escaped(std::string_view text, std::string_view more)
{
    std::string out;
    for (char c : text) {
        if (is_sent_as_it_is(c) && more.find(c) == std::string_view::npos)
            out += c;
        else
            out += text_format("%%%02X", static_cast<unsigned char>(c));
    }
    return out;
}

std::string probe_path(std::string_view path)
{
    std::string_view named = path.substr(0, path.find('#'));
    std::string_view dir = named.substr(0, named.find('?'));
    bool is_url = std::none_of(path.begin(), path.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
    for (size_t at = dir.find('%'); at != std::string_view::npos; at = dir.find('%', at + 1))
        is_url = is_url && at + 2 < dir.size() && text_hex_digit(dir[at + 1]) >= 0 && text_hex_digit(dir[at + 2]) >= 0;
    // If it is not a URL, the whole text is a path, including characters that have a meaning in URLs.
    std::string out = is_url ? escaped(named, "") : escaped(path, "%?#");
    return out.starts_with('/') ? out : "/" + out;
}

bool probe_is_running(const probe_try &probe) { return probe.fd >= 0; }

void probe_stop(probe_try &probe)
{
    if (probe.fd < 0)
        return;
    loop_watch_remove(*probe.l, probe.watch);
    loop_timer_stop(probe.deadline);
    close(probe.fd);
    probe.fd = -1;
}

static void finish(probe_try &probe, bool good, const std::string &why)
{
    probe_stop(probe);
    probe.on_result(probe.arg, good, why);
}

static void finish_failed(probe_try &probe, const char *what, int error)
{
    finish(probe, false, text_format("%s %s: %s", what, probe.target.c_str(), strerror(error)));
}

// Whether the whole answer has arrived. Closing before that would interrupt the server's write, which servers log as an error.
static bool is_whole(std::string_view answer)
{
    size_t crlf = answer.find("\r\n\r\n");
    size_t lf = answer.find("\n\n");
    size_t end = std::min(crlf == std::string_view::npos ? crlf : crlf + 4, lf == std::string_view::npos ? lf : lf + 2);
    if (end == std::string_view::npos)
        return false;
    std::string head = text_lower(answer.substr(0, end));
    std::string_view status = std::string_view(head).substr(0, 12);
    if (status.ends_with(" 204") || status.ends_with(" 304"))
        return true;
    size_t at = head.find("\ncontent-length:");
    uint64_t length = 0;
    if (at != std::string::npos) {
        std::string_view value = std::string_view(head).substr(at + 16);
        value = text_trim(value.substr(0, value.find_first_of("\r\n")));
        return text_parse_u64(value, length) && answer.size() - end >= length;
    }
    bool is_chunked = head.find("\ntransfer-encoding:") != std::string::npos;
    return is_chunked && answer.substr(end - 2).ends_with("\r\n0\r\n\r\n"); // otherwise the answer ends with the connection
}

static void check_answer(probe_try &probe)
{
    uint64_t status = 0;
    bool is_http = probe.answer.starts_with("HTTP/1.") && probe.answer.size() >= 12 &&
                   text_parse_u64(std::string_view(probe.answer).substr(9, 3), status);
    if (!is_http)
        finish(probe, false, text_format("Get \"%s\": malformed HTTP response", probe.target.c_str()));
    else if (status >= 200 && status < 400)
        finish(probe, true, "");
    else
        finish(probe, false, text_format("HTTP probe failed with statuscode: %u", static_cast<unsigned>(status)));
}

static void on_event(void *arg, uint32_t)
{
    probe_try &probe = *static_cast<probe_try *>(arg);
    if (probe.connecting) {
        int failed = 0;
        socklen_t size = sizeof failed;
        if (getsockopt(probe.fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0 || failed != 0) {
            finish_failed(probe, "dial tcp", failed);
            return;
        }
        probe.connecting = false;
        if (!probe.is_http) {
            finish(probe, true, "");
            return;
        }
    }
    if (probe.sent < probe.request.size()) {
        ssize_t n = send(probe.fd, probe.request.data() + probe.sent, probe.request.size() - probe.sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            finish_failed(probe, "Get", errno);
            return;
        }
        probe.sent += n > 0 ? static_cast<size_t>(n) : 0;
        if (probe.sent == probe.request.size())
            loop_watch_change(*probe.l, probe.watch, EPOLLIN);
        return;
    }
    char chunk[2048];
    ssize_t n = recv(probe.fd, chunk, sizeof chunk, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        finish_failed(probe, "Get", errno);
        return;
    }
    probe.answer.append(chunk, static_cast<size_t>(n));
    if (n == 0 || probe.answer.size() > answer_size_max || is_whole(probe.answer))
        check_answer(probe);
}

static void on_deadline(void *arg)
{
    probe_try &probe = *static_cast<probe_try *>(arg);
    finish(probe, false, text_format("%s: timeout", probe.target.c_str()));
}

void probe_start(probe_try &probe, const probe_spec &spec, pod_namespaces *inside, const struct sockaddr_in &address)
{
    CHECK(probe.fd < 0);
    char host[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
    probe.is_http = spec.kind == probe_kind::http;
    probe.target = text_format("%s%s:%u%s", probe.is_http ? "http://" : "", host, spec.port, probe.is_http ? spec.path.c_str() : "");
    probe.request.clear();
    probe.answer.clear();
    probe.sent = 0;
    if (probe.is_http) {
        std::string host_header = text_format("%s:%u", host, spec.port);
        std::string rest;
        bool has_agent = false;
        for (const auto &[name, value] : spec.headers) {
            if (text_equal_ignore_case(name, "Host")) {
                host_header = value;
                continue;
            }
            has_agent = has_agent || text_equal_ignore_case(name, "User-Agent");
            rest += name + ": " + value + "\r\n";
        }
        probe.request = "GET " + spec.path + " HTTP/1.1\r\nHost: " + host_header + "\r\n" +
                        (has_agent ? "" : "User-Agent: kube-probe/local\r\n") + "Accept: */*\r\nConnection: close\r\n" + rest + "\r\n";
    }
    probe.fd = inside != nullptr ? pod_namespaces_socket(*inside) : socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe.fd < 0) {
        probe.on_result(probe.arg, false, text_format("dial tcp %s: %s", probe.target.c_str(), strerror(errno)));
        return;
    }
    probe.watch.on_event = on_event;
    probe.watch.arg = &probe;
    probe.deadline.on_timer = on_deadline;
    probe.deadline.arg = &probe;
    int rc = connect(probe.fd, reinterpret_cast<const struct sockaddr *>(&address), sizeof address);
    if (rc != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(probe.fd);
        probe.fd = -1;
        probe.on_result(probe.arg, false, text_format("dial tcp %s: %s", probe.target.c_str(), strerror(error)));
        return;
    }
    probe.connecting = true; // even if it has already connected, so that there is one code path
    loop_watch_add(*probe.l, probe.watch, probe.fd, EPOLLOUT);
    loop_timer_arm(*probe.l, probe.deadline, spec.timeout_ms);
}

} // namespace etlnode::kubectl_local
