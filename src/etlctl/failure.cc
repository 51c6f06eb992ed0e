// SPDX-License-Identifier: MIT
// etlctl/failure.cc: errors for people and for scripts.
#include "etlctl/failure.h"

#include "base/error.h"
#include "base/text.h"
#include "codec/json.h"
#include "etlctl/format.h"
#include "etlctl/grammar.h"
#include "etlctl/name.h"

namespace etlnode::etlctl {

static constexpr size_t answer_text_max = 4096; // of an answer that is not error JSON

failure failure_make(exit_code exit, std::string doing, std::string message, std::string hint)
{
    failure f;
    f.exit = exit;
    f.doing = std::move(doing);
    f.message = std::move(message);
    f.hint = std::move(hint);
    f.code = exit_code_name(exit);
    f.retryable = exit == exit_code::unavailable || exit == exit_code::timeout;
    return f;
}

void failure_read_answer(failure &f, int status, std::string_view body)
{
    f.status = status;
    f.retryable = status_is_retryable(status);
    json_ptr tree;
    std::string where;
    error bad = json_parse(body, tree, where);
    if (!bad && cJSON_IsObject(tree.get()) && !json_text(tree.get(), "message").empty()) {
        f.message = json_text(tree.get(), "message");
        f.code = json_text(tree.get(), "code");
        f.node = json_text(tree.get(), "node");
        f.retryable = json_bool(tree.get(), "retryable", f.retryable);
        error_code named = error_code::ok;
        f.is_coded = error_code_from_name(f.code, named);
        std::string_view request_id = json_text(tree.get(), "request_id");
        if (!request_id.empty())
            f.request_id = request_id;
    } else {
        f.message = text_trim(body.substr(0, answer_text_max));
        while (!f.message.empty() && (f.message.back() == '\n' || f.message.back() == '\r'))
            f.message.pop_back();
        if (f.message.empty())
            f.message = text_format("the server answered with status %d", status);
    }
    f.exit = exit_code_from_answer(status, f.code, f.retryable);
    if (f.exit == exit_code::ok)
        f.exit = exit_code::other; // the caller treats the answer as a failure although its status is not one
    if (f.code.empty())
        f.code = exit_code_name(f.exit);
}

static bool has_text(const failure &f, std::string_view part) { return text_lower(f.message).find(part) != std::string::npos; }

// AIStore's own servers send no code. Their wording shows whether the bucket, the object or the ETL is missing.
static std::string hint_not_found(const failure &f)
{
    if (!f.etl.empty() && has_text(f, "it is stopped"))
        return "etlctl etl start " + f.etl;
    if (!f.etl.empty() && has_text(f, "it is not running on"))
        return "etlctl etl show " + f.etl;
    if (has_text(f, "target \"")) // the ETL has no such target
        return "etlctl target ls";
    if (!f.etl.empty() && (f.code == "etl_not_found" || has_text(f, "etl job") || f.object.empty()))
        return "etlctl etl ls";
    bool bucket = f.code == "bucket_not_found" || (!f.bucket.empty() && f.code != "object_not_found" && has_text(f, "bucket") &&
                                                      !has_text(f, name_object_uri(f.bucket, f.object)));
    if (bucket || (f.object.empty() && !f.bucket.empty()))
        return "etlctl bucket ls";
    if (!f.object.empty())
        return "etlctl object ls " + f.bucket;
    return {};
}

static bool is_here(std::string_view endpoint)
{
    size_t scheme = endpoint.find("://");
    std::string_view host = scheme == std::string_view::npos ? endpoint : endpoint.substr(scheme + 3);
    return host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]");
}

static std::string hint_unreachable(std::string_view endpoint)
{
    static const char *name = "name a proxy with --endpoint URL or ETLNODE_ENDPOINT";
    size_t scheme = endpoint.find("://");
    std::string_view host = scheme == std::string_view::npos ? endpoint : endpoint.substr(scheme + 3);
    bool has_port = host.substr(host.find(']') == std::string_view::npos ? 0 : host.find(']')).find(':') != std::string_view::npos;
    if (!has_port && host.find('/') == std::string_view::npos && endpoint.starts_with("http://"))
        return "without a port the URL means port 80, but a proxy listens on 8080 by default: --endpoint " + std::string(endpoint) +
               ":8080";
    return is_here(endpoint) ? std::string("start a node with `make up`, or ") + name
                             : std::string("check that a proxy is running there and that this machine can reach it, or ") + name;
}

static std::string hint_conflict(const failure &f)
{
    if (f.code == "diverged" || f.code == "newer_version")
        return "etlctl cluster show";
    if (!f.etl.empty())
        return "etlctl etl show " + f.etl;
    bool is_there = f.code == "already_exists" || !f.is_coded;
    return is_there && f.object.empty() && !f.bucket.empty() ? "etlctl object ls " + f.bucket : std::string();
}

// Whether the pod caused the failure, rather than the cluster.
static bool is_pod_failure(const failure &f)
{
    bool has_failed = f.status >= 500 || f.exit == exit_code::timeout;
    return !f.etl.empty() && has_failed &&
           (!f.is_coded || has_text(f, "etl error") || has_text(f, "the pod ") || f.code == "bad_pod_answer" || f.code == "pod_gone");
}

static std::string raw_hint(const failure &f, std::string_view endpoint)
{
    if (!f.hint.empty())
        return f.hint;
    if (f.exit == exit_code::not_found)
        return hint_not_found(f);
    // An etlnode has no accounts; its own message says what it needs.
    if (f.exit == exit_code::auth)
        return f.is_coded ? std::string() : "set ETLNODE_TOKEN to a token that is allowed to do this";
    if (f.status == 0 && f.exit == exit_code::unavailable && !endpoint.empty())
        return hint_unreachable(endpoint);
    if (is_pod_failure(f))
        return "etlctl etl logs " + f.etl;
    if (f.exit == exit_code::conflict)
        return hint_conflict(f);
    if (f.retryable)
        return "try again; etlctl cluster health shows which node is not well";
    return {};
}

std::string failure_hint(const failure &f, std::string_view program, std::string_view endpoint)
{
    return grammar_as_program(raw_hint(f, endpoint), program);
}

std::string failure_as_text(const failure &f, std::string_view program)
{
    std::string out = std::string(program) + ": ";
    if (!f.doing.empty())
        out += format_message(f.doing) + ": ";
    std::string message = format_message(f.message);
    out += message;
    std::string where;
    if (!f.node.empty())
        where = "node " + format_message(f.node);
    if (!f.request_id.empty())
        where += (where.empty() ? "request id " : ", request id ") + format_message(f.request_id);
    if (!where.empty())
        out += (message.find('\n') == std::string::npos ? " (" : "\n(") + where + ")";
    out += "\n";
    if (!f.pod_log.empty())
        out += "last log lines of the pod:\n";
    for (std::string_view rest = f.pod_log; !rest.empty();) {
        size_t end = rest.find('\n');
        out += "  " + format_message(rest.substr(0, end)) + "\n";
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
    if (!f.hint.empty())
        out += "hint: " + format_message(f.hint) + "\n";
    return out;
}

static void add_text_or_null(cJSON *object, const char *key, const std::string &value)
{
    if (value.empty())
        cJSON_AddNullToObject(object, key);
    else
        json_add_text(object, key, value);
}

std::string failure_as_json(const failure &f)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "apiVersion", "etlnode/v1");
    cJSON *e = json_add_object(tree.get(), "error");
    json_add_text(e, "code", f.code);
    json_add_text(e, "message", f.doing.empty() ? f.message : f.doing + ": " + f.message);
    if (f.status == 0)
        cJSON_AddNullToObject(e, "status");
    else
        json_add_i64(e, "status", f.status);
    json_add_bool(e, "retryable", f.retryable);
    json_add_i64(e, "exitCode", static_cast<int>(f.exit));
    add_text_or_null(e, "requestId", f.request_id);
    add_text_or_null(e, "node", f.node);
    add_text_or_null(e, "bucket", f.bucket);
    add_text_or_null(e, "object", f.object);
    add_text_or_null(e, "etl", f.etl);
    add_text_or_null(e, "hint", f.hint);
    add_text_or_null(e, "podLog", f.pod_log);
    return json_print(tree.get()) + "\n";
}

} // namespace etlnode::etlctl
