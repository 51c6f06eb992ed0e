// SPDX-License-Identifier: MIT
// etlctl/etl_commands.cc: etl ls, show, logs, health, errors, stop, start, rm and object.
//
// Two generations of requests are in use. Ids that a node generated go to the paths of AIStore 2020; names that users chose go to today's
// paths.
#include "etlctl/commands.h"

#include <cstring>

#include "base/text.h"
#include "codec/url.h"
#include "codec/yaml.h"
#include "etlctl/format.h"
#include "etlctl/name.h"
#include "etlctl/transfer.h"
#include "node/api.h"

namespace etlnode::etlctl {

static constexpr column etl_columns[] = {
    {"ID", "id", cell_kind::text, false},
    {"NAME", "name", cell_kind::text, false},
    {"STAGE", "stage", cell_kind::text, false},
    {"READY", "ready", cell_kind::text, false},
    {"RESTARTS", "restarts", cell_kind::count, false},
    {"OBJECTS", "objects", cell_kind::count, false},
    {"ERRORS", "errors", cell_kind::count, false},
    {"IN", "inBytes", cell_kind::bytes, false},
    {"OUT", "outBytes", cell_kind::bytes, false},
    {"COMMUNICATION", "communication", cell_kind::text, true},
    {"JOB", "jobId", cell_kind::text, true},
};

static std::string etl_url(const session &s, const std::string &id, const char *what)
{
    return session_url(s, path_etl) + "/" + url_encode(id) + (*what != '\0' ? std::string("/") + what : std::string());
}

exit_code fail_etl(session &s, failure f, const std::string &id)
{
    f.etl = id;
    return session_fail(s, std::move(f));
}

// ---- ls and show

static void add_number_or_null(cJSON *item, const char *key, const cJSON *from, const char *from_key)
{
    const cJSON *value = json_get(from, from_key);
    if (value == nullptr || cJSON_IsNull(value))
        cJSON_AddNullToObject(item, key);
    else
        json_add_u64(item, key, json_u64(from, from_key, 0));
}

// Adds "1/2": the number of pods that serve, of the targets that should have one. A running ETL with missing pods is shown as degraded.
static void add_readiness(cJSON *item, const cJSON *from)
{
    if (json_get(from, "targets") == nullptr || json_text(from, "stage") == etl_stage_names[static_cast<size_t>(etl_stage::aborted)]) {
        cJSON_AddNullToObject(item, "ready");
        return;
    }
    uint64_t ready = json_u64(from, "ready", 0);
    uint64_t targets = json_u64(from, "targets", 0);
    json_add_text(
        item, "ready", text_format("%llu/%llu", static_cast<unsigned long long>(ready), static_cast<unsigned long long>(targets)));
    if (ready < targets && json_text(from, "stage") == etl_stage_names[static_cast<size_t>(etl_stage::running)])
        cJSON_ReplaceItemInObjectCaseSensitive(item, "stage", cJSON_CreateString("Running (degraded)"));
}

static json_ptr etl_item(const cJSON *from)
{
    json_ptr item = json_object();
    json_add_text(item.get(), "id", json_text(from, "id"));
    output_add_text(item.get(), "name", json_text(from, "name"));
    output_add_text(item.get(), "stage", json_text(from, "stage"));
    output_add_text(item.get(), "communication", json_text(from, "communication"));
    add_number_or_null(item.get(), "objects", from, "obj_count");
    add_number_or_null(item.get(), "inBytes", from, "in_bytes");
    add_number_or_null(item.get(), "outBytes", from, "out_bytes");
    output_add_text(item.get(), "jobId", json_text(from, "xaction_id"));
    add_number_or_null(item.get(), "errors", from, "errors");
    add_number_or_null(item.get(), "restarts", from, "restarts");
    add_readiness(item.get(), from);
    if (json_bool(from, "partial", false))
        json_add_bool(item.get(), "partial", true);
    return item;
}

// Warns when the counters leave out targets that did not answer.
static void warn_if_partial(const session &s, const cJSON *entry)
{
    if (!json_bool(entry, "partial", false))
        return;
    std::string ids;
    const cJSON *id = nullptr;
    cJSON_ArrayForEach(id, json_get(entry, "counters_without")) if (cJSON_IsString(id))
        ids += (ids.empty() ? "" : ", ") + format_message(id->valuestring);
    fprintf(stderr, "%s: warning: the counters do not include targets that did not answer: %s\n", s.program.c_str(), ids.c_str());
}

exit_code command_etl_ls(session &s)
{
    list_printer list = session_list(s, "ETL", etl_columns, "id");
    failure f = session_check_list(s, list);
    json_ptr tree;
    if (!f)
        f = fetch_json(
            s, session_request(s, "GET", session_url(s, path_etl), control_timeout_ms), "cannot list ETLs", {}, cJSON_Array, tree);
    if (f)
        return session_fail(s, f);
    const cJSON *entry = nullptr;
    cJSON_ArrayForEach(entry, tree.get()) list_add(list, etl_item(entry));
    list_end(list);
    f = session_flush(s);
    warn_if_partial(s, cJSON_GetArrayItem(tree.get(), 0));
    return f ? session_fail(s, f) : exit_code::ok;
}

static constexpr column show_columns[] = {
    {"ID", "id", cell_kind::text, false},
    {"NAME", "name", cell_kind::text, false},
    {"STAGE", "stage", cell_kind::text, false},
    {"LAST ERROR", "lastError", cell_kind::text, false},
    {"COMMUNICATION", "communication", cell_kind::text, false},
    {"INIT TIMEOUT", "initTimeout", cell_kind::seconds, false},
    {"OBJECT TIMEOUT", "objectTimeout", cell_kind::seconds, false},
    {"STARTED", "started", cell_kind::text, false},
    {"GENERATION", "generation", cell_kind::text, false},
    {"JOB", "jobId", cell_kind::text, false},
    {"OBJECTS", "objects", cell_kind::count, false},
    {"IN", "inBytes", cell_kind::bytes, false},
    {"OUT", "outBytes", cell_kind::bytes, false},
};

static constexpr column target_columns[] = {
    {"TARGET", "target", cell_kind::text, false},
    {"PHASE", "phase", cell_kind::text, false},
    {"READY", "ready", cell_kind::text, false},
    {"RESTARTS", "restarts", cell_kind::count, false},
    {"UNFRAMED", "unframed", cell_kind::count, false},
    {"POD", "pod", cell_kind::text, false},
    {"ADDRESS", "address", cell_kind::text, true},
    {"CLIENT URL", "clientUrl", cell_kind::text, true},
    {"LAST ERROR", "lastError", cell_kind::text, false},
};

// The list entry with this id or name; null if there is none.
static const cJSON *find_entry(const cJSON *list, std::string_view id)
{
    const cJSON *entry = nullptr;
    cJSON_ArrayForEach(entry, list) if (json_text(entry, "id") == id || json_text(entry, "name") == id) return entry;
    return nullptr;
}

// Adds the first text that is not empty: from the ETL's details, from its init message, or from its list entry.
static void add_first_text(cJSON *out, const char *key, const cJSON *a, const char *a_key, const cJSON *b, const char *b_key)
{
    std::string_view value = json_text(a, a_key);
    output_add_text(out, key, value.empty() ? json_text(b, b_key) : value);
}

// Adds a Go duration as a number of seconds; null if there is none.
static void add_seconds(cJSON *out, const char *key, std::string_view duration)
{
    uint64_t ms = 0;
    if (text_parse_duration_ms(duration, ms))
        cJSON_AddNumberToObject(out, key, static_cast<double>(ms) / 1000);
    else
        cJSON_AddNullToObject(out, key);
}

// Adds a Pod as a tree that keeps every digit; null if there is none.
static void add_pod(cJSON *out, const char *key, std::string_view text)
{
    yaml_ptr tree;
    std::string where;
    if (text.empty() || yaml_parse(text, tree, where))
        cJSON_AddNullToObject(out, key);
    else
        json_add_tree(out, key, yaml_to_json(*tree));
}

static json_ptr target_items(const cJSON *details)
{
    json_ptr out = json_array();
    const cJSON *t = nullptr;
    cJSON_ArrayForEach(t, json_get(details, "targets"))
    {
        json_ptr one = json_object();
        json_add_text(one.get(), "target", json_text(t, "target_id"));
        output_add_text(one.get(), "phase", json_text(t, "phase"));
        json_add_bool(one.get(), "ready", json_bool(t, "ready", false));
        add_number_or_null(one.get(), "restarts", t, "restarts");
        add_number_or_null(one.get(), "unframed", t, "unframed");
        output_add_text(one.get(), "pod", json_text(t, "pod_name"));
        output_add_text(one.get(), "address", json_text(t, "address"));
        output_add_text(one.get(), "clientUrl", json_text(t, "client_url"));
        output_add_text(one.get(), "lastError", json_text(t, "last_error"));
        add_pod(one.get(), "manifest", json_text(t, "pod"));
        json_append(out.get(), std::move(one));
    }
    return out;
}

static json_ptr error_items(const cJSON *details)
{
    json_ptr out = json_array();
    const cJSON *e = nullptr;
    cJSON_ArrayForEach(e, json_get(details, "obj_errors"))
    {
        json_ptr one = json_object();
        output_add_text(one.get(), "object", json_text(e, "obj_name"));
        output_add_text(one.get(), "message", json_text(e, "msg"));
        add_number_or_null(one.get(), "status", e, "ecode");
        json_append(out.get(), std::move(one));
    }
    return out;
}

// In AIStore's answer only init_msg and obj_errors exist; the other fields are etlnode's.
static json_ptr show_item(const std::string &id, const cJSON *details, const cJSON *entry)
{
    const cJSON *init = json_get(details, "init_msg");
    json_ptr out = json_object();
    add_first_text(out.get(), "id", details, "id", entry, "id");
    if (json_text(out.get(), "id").empty())
        cJSON_ReplaceItemInObjectCaseSensitive(out.get(), "id", cJSON_CreateString(id.c_str()));
    add_first_text(out.get(), "name", details, "name", init, "name");
    add_first_text(out.get(), "stage", details, "stage", entry, "stage");
    output_add_text(out.get(), "lastError", json_text(details, "last_error"));
    add_first_text(out.get(), "communication", details, "communication", init, "communication");
    add_seconds(out.get(), "initTimeout", json_text(init, "init_timeout"));
    add_seconds(out.get(), "objectTimeout", json_text(init, "obj_timeout"));
    output_add_text(out.get(), "started", format_time_text(json_text(details, "started")));
    output_add_text(out.get(), "generation", json_text(details, "generation"));
    add_first_text(out.get(), "jobId", details, "xaction_id", entry, "xaction_id");
    add_number_or_null(out.get(), "objects", entry, "obj_count");
    add_number_or_null(out.get(), "inBytes", entry, "in_bytes");
    add_number_or_null(out.get(), "outBytes", entry, "out_bytes");
    json_add_tree(out.get(), "targets", target_items(details));
    json_add_tree(out.get(), "errors", error_items(details));
    std::string spec;
    if (!base64_decode(json_text(init, "spec"), spec))
        spec.clear();
    add_pod(out.get(), "spec", spec);
    if (init != nullptr)
        json_add_tree(out.get(), "init", json_ptr(cJSON_Duplicate(init, true)));
    else
        cJSON_AddNullToObject(out.get(), "init");
    if (json_bool(entry, "partial", false))
        json_add_bool(out.get(), "partial", true);
    return out;
}

static void print_targets_and_errors(const session &s, const cJSON *item)
{
    const cJSON *child = nullptr;
    if (cJSON_GetArraySize(json_get(item, "targets")) > 0) {
        putchar('\n');
        list_printer list = session_list(s, "ETLTarget", target_columns, "target");
        list.sort_by.clear();
        cJSON_ArrayForEach(child, json_get(item, "targets")) list_add(list, json_ptr(cJSON_Duplicate(child, true)));
        list_end(list);
    }
    if (cJSON_GetArraySize(json_get(item, "errors")) == 0)
        return;
    puts("\nObjects that failed:");
    cJSON_ArrayForEach(child, json_get(item, "errors"))
        printf("  %s: %s\n", format_cell(json_text(child, "object")).c_str(), format_message(json_text(child, "message")).c_str());
}

exit_code command_etl_show(session &s)
{
    if (s.opt.words.empty())
        return command_etl_ls(s);
    const std::string &id = s.opt.words[0];
    json_ptr details;
    json_ptr list;
    bool is_for_people = s.format == output_format::table || s.format == output_format::wide;
    std::string url = etl_url(s, id, "") + (is_for_people ? "" : "?pods=true");
    failure f = fetch_json(s, session_request(s, "GET", url, control_timeout_ms), "cannot show ETL", id, cJSON_Object, details);
    // Only the list has the counters.
    if (!f)
        f = fetch_json(
            s, session_request(s, "GET", session_url(s, path_etl), control_timeout_ms), "cannot show ETL", id, cJSON_Array, list);
    if (f)
        return fail_etl(s, f, id);
    json_ptr item = show_item(id, details.get(), find_entry(list.get(), id));
    item_print(stdout, s.format, "ETL", show_columns, "id", item.get());
    if (is_for_people)
        print_targets_and_errors(s, item.get());
    f = session_flush(s);
    warn_if_partial(s, find_entry(list.get(), id));
    return f ? session_fail(s, f) : exit_code::ok;
}

// ---- logs and health

static std::string_view last_lines(std::string_view text, uint64_t count)
{
    size_t at = text.size();
    if (at > 0 && text[at - 1] == '\n')
        --at;
    while (count > 0 && at > 0) {
        size_t newline = text.rfind('\n', at - 1);
        if (newline == std::string_view::npos)
            return text;
        at = newline;
        --count;
    }
    return count == 0 ? text.substr(at + 1) : text;
}

static void print_log(const session &s, std::string_view target, std::string_view text, bool with_target)
{
    while (!text.empty()) {
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        // Container output may hold escape sequences: escape them on a terminal, but pass them unchanged to a pipe.
        std::string shown = s.out_is_tty ? format_message(line) : std::string(line);
        if (with_target)
            printf("%s: ", std::string(target).c_str());
        fwrite(shown.data(), 1, shown.size(), stdout);
        putchar('\n');
    }
}

exit_code command_etl_logs(session &s)
{
    const std::string &id = s.opt.words[0];
    uint64_t tail = UINT64_MAX;
    failure f = parse_count("--tail", s.opt.tail, tail);
    if (f)
        return session_fail(s, f);
    std::string url = etl_url(s, id, "logs");
    if (s.opt.words.size() > 1)
        url += "/" + url_encode(s.opt.words[1]);
    json_ptr tree;
    f = fetch_json(s, session_request(s, "GET", url, control_timeout_ms), "cannot read the logs of ETL", id, cJSON_Array, tree);
    if (f)
        return fail_etl(s, f, id);

    bool several = cJSON_GetArraySize(tree.get()) > 1;
    bool plain = s.format == output_format::table || s.format == output_format::wide;
    static constexpr column columns[] = {{"TARGET", "target", cell_kind::text, false}, {"LOGS", "logs", cell_kind::text, false}};
    list_printer list = session_list(s, "ETLLog", columns, "target");
    const cJSON *entry = nullptr;
    cJSON_ArrayForEach(entry, tree.get())
    {
        std::string bytes;
        if (!base64_decode(json_text(entry, "logs"), bytes))
            return fail_etl(
                s, failure_make(exit_code::other, "cannot read the logs of ETL " + id, "the server's answer is not base64"), id);
        std::string_view shown = last_lines(bytes, tail);
        if (plain) {
            print_log(s, json_text(entry, "target_id"), shown, several);
            continue;
        }
        json_ptr item = json_object();
        json_add_text(item.get(), "target", json_text(entry, "target_id"));
        json_add_text(item.get(), "logs", shown);
        list_add(list, std::move(item));
    }
    if (!plain)
        list_end(list);
    f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

exit_code command_etl_health(session &s)
{
    const std::string &id = s.opt.words[0];
    static constexpr column columns[] = {{"TARGET", "target", cell_kind::text, false}, {"STATUS", "status", cell_kind::text, false}};
    list_printer list = session_list(s, "ETLHealth", columns, "target");
    failure f = session_check_list(s, list);
    json_ptr tree;
    if (!f)
        f = fetch_json(s, session_request(s, "GET", etl_url(s, id, "health"), control_timeout_ms), "cannot read the health of ETL", id,
            cJSON_Array, tree);
    if (f)
        return fail_etl(s, f, id);
    const cJSON *entry = nullptr;
    cJSON_ArrayForEach(entry, tree.get())
    {
        json_ptr item = json_object();
        json_add_text(item.get(), "target", json_text(entry, "target_id"));
        output_add_text(item.get(), "status", json_text(entry, "health_status"));
        list_add(list, std::move(item));
    }
    list_end(list);
    f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

// ---- errors

static constexpr column error_columns[] = {
    {"TIME", "time", cell_kind::text, false},
    {"OBJECT", "object", cell_kind::text, false},
    {"STATUS", "status", cell_kind::count, false},
    {"REQUEST", "requestId", cell_kind::text, false},
    {"TARGET", "target", cell_kind::text, true},
    {"CUT", "cut", cell_kind::text, true},
    {"MESSAGE", "message", cell_kind::text, false},
};

exit_code command_etl_errors(session &s)
{
    const std::string &id = s.opt.words[0];
    list_printer list = session_list(s, "ETLError", error_columns, "object");
    failure f = session_check_list(s, list);
    json_ptr tree;
    if (!f)
        f = fetch_json(s, session_request(s, "GET", etl_url(s, id, "errors"), control_timeout_ms), "cannot list the errors of ETL", id,
            cJSON_Object, tree);
    if (f)
        return fail_etl(s, f, id);
    bool is_for_people = s.format == output_format::table || s.format == output_format::wide;
    const cJSON *entry = nullptr;
    cJSON_ArrayForEach(entry, json_get(tree.get(), "errors"))
    {
        json_ptr item = json_object();
        output_add_text(item.get(), "time", json_text(entry, "time"));
        output_add_text(item.get(), "object", json_text(entry, "object"));
        add_number_or_null(item.get(), "status", entry, "status");
        output_add_text(item.get(), "requestId", json_text(entry, "request_id"));
        output_add_text(item.get(), "target", json_text(entry, "target_id"));
        json_add_bool(item.get(), "cut", json_bool(entry, "cut", false));
        std::string_view text = json_text(entry, "text");
        // Print one line per row.
        output_add_text(item.get(), "message", is_for_people ? text.substr(0, text.find('\n')) : text);
        list_add(list, std::move(item));
    }
    list_end(list);
    uint64_t count = json_u64(tree.get(), "count", 0);
    uint64_t shown = static_cast<uint64_t>(cJSON_GetArraySize(json_get(tree.get(), "errors")));
    if (count > shown)
        session_note(s, "%llu earlier errors were not kept", static_cast<unsigned long long>(count - shown));
    cJSON_ArrayForEach(entry, json_get(tree.get(), "missing"))
        fprintf(stderr, "%s: warning: target %s did not answer: its errors are not among these\n", s.program.c_str(),
            format_message(cJSON_IsString(entry) ? entry->valuestring : "?").c_str());
    f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

// ---- stop, start, rm

// Sends a change whose answer is not printed. True on success.
static bool send_change(
    session &s, const char *method, const std::string &url, const char *doing, const std::string &id, exit_code &out_exit)
{
    out_exit = exit_code::ok;
    if (session_plan(s, method, url))
        return false;
    http_request request = session_request(s, method, url, control_timeout_ms);
    request.has_body = strcmp(method, "POST") == 0;
    http_reply reply;
    failure f = session_perform(s, request, doing, id, reply);
    // 202: the cluster has removed the ETL, but could not notify every target. The answer names those targets.
    if (!f && reply.status == 202 && !reply.body.empty())
        f = failure_make(exit_code::partial, std::string(doing) + " " + id + " everywhere", reply.body, "etlctl cluster health");
    if (!f)
        return true;
    if (f.exit == exit_code::not_found && s.opt.ignore_not_found) {
        session_note(s, "ETL %s does not exist", id.c_str());
        return false;
    }
    out_exit = fail_etl(s, f, id);
    return false;
}

exit_code command_etl_stop(session &s)
{
    const std::string &id = s.opt.words[0];
    exit_code exit = exit_code::ok;
    bool done = name_is_etl_id(id)
                    ? send_change(s, "DELETE", session_url(s, path_etl) + "/stop/" + url_encode(id), "cannot stop ETL", id, exit)
                    : send_change(s, "POST", etl_url(s, id, "stop"), "cannot stop ETL", id, exit);
    if (!done)
        return exit;
    puts("ETL containers stopped successfully.");
    failure f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

exit_code command_etl_start(session &s)
{
    const std::string &id = s.opt.words[0];
    exit_code exit = exit_code::ok;
    std::string url = etl_url(s, id, "start");
    if (session_plan(s, "POST", url))
        return exit;
    http_request request = session_request(s, "POST", url, 0); // no timeout: the start takes as long as the pods take to become Ready
    request.has_body = true;
    http_reply reply;
    failure f = session_perform(s, request, "cannot start ETL", id, reply);
    if (f)
        return fail_etl(s, f, id);
    session_note(s, "ETL %s is running", id.c_str());
    return exit;
}

exit_code command_etl_rm(session &s)
{
    const std::string &id = s.opt.words[0];
    exit_code exit = exit_code::ok;
    if (send_change(s, "DELETE", etl_url(s, id, ""), "cannot remove ETL", id, exit))
        session_note(s, "ETL %s removed", id.c_str());
    return exit;
}

// ---- object

// "uuid=ID" for an id, "etl_name=NAME" for a name; "first>>second" adds the pipeline.
std::string etl_query(const std::string &etl, const std::string &args)
{
    size_t arrow = etl.find(">>");
    std::string first = etl.substr(0, arrow);
    std::string query = std::string(name_is_etl_id(first) ? query_etl_id : query_etl_name) + "=" + url_encode(first);
    if (arrow != std::string::npos) {
        std::string rest = etl.substr(arrow + 2);
        for (size_t at = rest.find(">>"); at != std::string::npos; at = rest.find(">>"))
            rest.replace(at, 2, ",");
        query += "&" + std::string(query_etl_pipeline) + "=" + url_encode(rest);
    }
    if (!args.empty())
        query += "&" + std::string(query_etl_args) + "=" + url_encode(args);
    return query;
}

// What the pod on the failed target has logged since the read began, usually a traceback of the transform. Empty when it cannot be fetched.
static std::string pod_log_since(session &s, const std::string &etl, const std::string &target, uint64_t elapsed_ms)
{
    static constexpr uint64_t lines_shown_max = 20;
    static constexpr uint64_t patience_ms = 5'000;
    uint64_t elapsed_s = elapsed_ms / 1000 + 2;
    std::string url = text_format("%s/%s?%s=%llu", etl_url(s, etl, "logs").c_str(), url_encode(target).c_str(),
        std::string(query_since).c_str(), static_cast<unsigned long long>(elapsed_s));
    json_ptr tree;
    failure f = fetch_json(s, session_request(s, "GET", url, patience_ms), "", {}, cJSON_Array, tree);
    std::string bytes;
    if (f || !base64_decode(json_text(cJSON_GetArrayItem(tree.get(), 0), "logs"), bytes))
        return {};
    return std::string(last_lines(bytes, lines_shown_max));
}

// The ETL whose stage failed: a pipeline's failure names it.
static std::string failing_etl(const std::string &etl, std::string_view message)
{
    static constexpr std::string_view before = "etl job ";
    size_t end = etl.find(">>") == std::string::npos ? std::string::npos : message.find(": ETL error");
    size_t begin = end == std::string::npos ? end : message.rfind(before, end);
    if (begin == std::string::npos)
        return etl.substr(0, etl.find(">>"));
    begin += before.size();
    return std::string(message.substr(begin, end - begin));
}

exit_code command_etl_object(session &s)
{
    if (folder_is_meant(s))
        return folder_command(s);
    const std::string &etl = s.opt.words[0];
    uint64_t began_ms = session_clock_ms();
    object_ref ref;
    std::string why;
    download d;
    if (!name_parse_object(s.opt.words[1], ref, why) || (!s.opt.range.empty() && !name_parse_range(s.opt.range, d.range, why)))
        return session_fail(s, usage_failure(why));
    d.url = session_object_url(s, ref.bucket, ref.object) + "?" + etl_query(etl, s.opt.args);
    d.doing = "cannot read object " + name_object_uri(ref.bucket, ref.object) + " through ETL " + etl;
    d.what = ref.object;
    if (s.opt.words.size() > 2)
        d.out = s.opt.words[2];
    failure f = transfer_download(s, d);
    if (!f)
        return exit_code::ok;
    f.bucket = ref.bucket;
    f.object = ref.object;
    if (f.message.find("ETL error") != std::string::npos && !f.node.empty())
        f.pod_log = pod_log_since(s, failing_etl(etl, f.message), f.node, session_clock_ms() - began_ms);
    return fail_etl(s, f, etl);
}

std::vector<std::string> etl_ids(session &s)
{
    std::vector<std::string> out;
    json_ptr tree;
    failure f = fetch_json(s, session_request(s, "GET", session_url(s, path_etl), 0), "", {}, cJSON_Array, tree);
    const cJSON *entry = nullptr;
    if (!f)
        cJSON_ArrayForEach(entry, tree.get()) out.emplace_back(json_text(entry, "id"));
    return out;
}

} // namespace etlnode::etlctl
