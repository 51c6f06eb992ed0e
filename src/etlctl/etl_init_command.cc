// SPDX-License-Identifier: MIT
// etlctl/etl_init_command.cc: etl init: sends the request that starts an ETL from a spec file.
//
// Knows    session, yaml.     Limits  spec_size_max.
// Normal   A Pod spec alone is sent unchanged to POST /v1/etl/init, the request of AIStore 2020.
//          A runtime spec, and a Pod spec with a name or overrides, is sent as PUT /v1/etl.
// Fails    A YAML error is reported with line and column before anything is sent.
#include "etlctl/commands.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "codec/yaml.h"
#include "etl/etl_spec.h"
#include "etlctl/format.h"
#include "node/api.h"

namespace etlnode::etlctl {

static failure read_spec(const std::string &file, std::string &out_text)
{
    int fd = file == "-" ? STDIN_FILENO : open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return failure_make(exit_code::other, "cannot read " + file, strerror(errno));
    char block[16 * kib];
    failure f;
    while (out_text.size() <= spec_size_max) {
        ssize_t got = read(fd, block, sizeof(block));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            f = failure_make(exit_code::other, "cannot read " + file, strerror(errno));
        if (got <= 0)
            break;
        out_text.append(block, static_cast<size_t>(got));
    }
    if (fd != STDIN_FILENO)
        close(fd);
    if (!f && out_text.size() > spec_size_max)
        f = failure_make(exit_code::limit, "cannot start an ETL from " + file,
            text_format("the spec is larger than %s", format_size(spec_size_max).c_str()));
    return f;
}

static std::string yaml_text(const yaml_node *mapping, std::string_view key)
{
    const yaml_node *value = yaml_get(mapping, key);
    return value != nullptr && value->kind == yaml_kind::scalar && value->type != yaml_type::null ? value->text : std::string();
}

// Users write "hpush"; the protocol uses "hpush://".
static std::string with_scheme(const std::string &communication)
{
    return communication.empty() || communication.find("://") != std::string::npos ? communication : communication + "://";
}

static void add_overrides(
    const options &opt, cJSON *message, const std::string &communication, const std::string &init_timeout, const std::string &obj_timeout)
{
    const std::string &c = opt.communication.empty() ? communication : opt.communication;
    const std::string &i = opt.init_timeout.empty() ? init_timeout : opt.init_timeout;
    const std::string &o = opt.obj_timeout.empty() ? obj_timeout : opt.obj_timeout;
    struct {
        const char *key;
        std::string value;
    } rows[] = {{"communication", with_scheme(c)}, {"init_timeout", i}, {"obj_timeout", o}};
    for (const auto &row : rows) {
        if (row.value.empty())
            continue;
        cJSON_DeleteItemFromObjectCaseSensitive(message, row.key);
        json_add_text(message, row.key, row.value);
    }
}

// Makes the init message for a Pod spec: the spec as base64, with the values of its annotations repeated next to it.
static json_ptr message_of_pod(const session &s, const std::string &text, const yaml_node *tree)
{
    const yaml_node *annotations = yaml_get(yaml_get(tree, "metadata"), "annotations");
    json_ptr message = json_object();
    json_add_text(message.get(), "name", s.opt.name.empty() ? yaml_text(yaml_get(tree, "metadata"), "name") : s.opt.name);
    add_overrides(s.opt, message.get(), yaml_text(annotations, annotation_communication), yaml_text(annotations, annotation_wait_timeout),
        yaml_text(annotations, annotation_obj_timeout));
    if (text_is_true(yaml_text(annotations, annotation_direct_put)))
        json_add_bool(message.get(), "support_direct_put", true);
    json_add_text(message.get(), "spec", base64_encode(text));
    return message;
}

// A runtime spec is already an init message; this adds what the command line sets.
static json_ptr message_of_runtime(const session &s, const yaml_node &tree)
{
    json_ptr message = yaml_to_json(tree);
    if (!s.opt.name.empty()) {
        cJSON_DeleteItemFromObjectCaseSensitive(message.get(), "name");
        json_add_text(message.get(), "name", s.opt.name);
    }
    add_overrides(s.opt, message.get(), std::string(json_text(message.get(), "communication")), {}, {});
    return message;
}

static exit_code print_init(session &s, const std::string &id, const std::string &job)
{
    if (s.format == output_format::table || s.format == output_format::wide || s.format == output_format::name) {
        printf("%s\n", format_message(id).c_str());
    } else {
        json_ptr item = json_object();
        json_add_text(item.get(), "id", id);
        output_add_text(item.get(), "jobId", job);
        item_print(stdout, s.format, "ETL", {}, "id", item.get());
    }
    failure f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

static failure pick_files(const session &s, std::vector<std::string> &out_files)
{
    std::vector<std::string> words = s.opt.words;
    // The AIStore of 2021 wrote `etl init spec -f FILE`.
    if (!words.empty() && words[0] == "spec" && !s.opt.files.empty())
        words.erase(words.begin());
    if (words.empty() == s.opt.files.empty())
        return usage_failure(words.empty() ? "etl init needs a spec: a file, or - for standard input" : "the spec is given twice",
            "etlctl etl init -f spec.yaml");
    out_files = words.empty() ? s.opt.files : words;
    if (out_files.size() > 1 && !s.opt.name.empty())
        return usage_failure("--name works with one spec only, but several are given");
    return {};
}

// The message was made here, so positions in it mean nothing to the user. What the file does not say comes from an option.
static std::string reason_in_users_words(const std::string &reason)
{
    struct {
        std::string_view key, option;
    } rows[] = {{"communication", "--comm-type"}, {"init_timeout", "--init-timeout"}, {"obj_timeout", "--object-timeout"}};
    size_t end = reason.starts_with("line ") ? reason.find(": ") : std::string::npos;
    if (end == std::string::npos)
        return reason;
    std::string_view words = std::string_view(reason).substr(end + 2);
    for (const auto &row : rows) {
        if (words.starts_with(row.key) && words.substr(row.key.size()).starts_with(' '))
            return std::string(row.option) + std::string(words.substr(row.key.size()));
    }
    return std::string(words);
}

// Checks the spec as a node does. If the message was made from the file, this reads the file itself, so that errors name lines the user
// knows.
static error check_spec(
    const std::string &text, bool is_message, bool is_pod_file, const json_ptr &message, etl_spec &out_spec, std::string &out_reason)
{
    if (!is_message)
        return etl_spec_parse_pod(text, out_spec, out_reason);
    error bad;
    if (json_get(message.get(), "runtime") != nullptr) {
        bad = etl_spec_parse_init_file(text, out_spec, out_reason);
        // The name may come from the command line alone: then check the complete message as well.
        if (!bad || json_get(message.get(), "name") == nullptr)
            return bad;
        etl_spec whole;
        std::string reason;
        if (!etl_spec_parse_init(json_print(message.get()), whole, reason))
            return no_error;
        return bad;
    }
    bad = etl_spec_parse_init(json_print(message.get()), out_spec, out_reason);
    constexpr std::string_view inner = "spec: "; // the node's prefix for errors in the message's Pod, which is the unchanged file
    if (bad && out_reason.starts_with(inner)) {
        out_reason = out_reason.substr(inner.size());
        return bad;
    }
    etl_spec alone;
    std::string reason;
    if (bad && (is_pod_file ? etl_spec_parse_pod(text, alone, reason) : etl_spec_parse_init_file(text, alone, reason)))
        out_reason = reason; // the file's own line
    else if (bad)
        out_reason = reason_in_users_words(out_reason);
    return bad;
}

static void print_warnings(const session &s, const std::vector<std::string> &warnings)
{
    for (const std::string &warning : warnings)
        fprintf(stderr, "%s: warning: %s\n", s.program.c_str(), format_message(warning).c_str());
}

static std::vector<std::string> warnings_of(const http_reply &reply)
{
    std::vector<std::string> warnings;
    for (const auto &[name, value] : reply.headers) {
        if (text_equal_ignore_case(name, header_warning))
            warnings.push_back(value);
    }
    return warnings;
}

// One spec on its way to the server.
struct start_request {
    std::string file;
    std::string doing; // "cannot start an ETL from spec.yaml"
    std::string text;  // of the file
    yaml_ptr tree;     // the same, parsed
    json_ptr message;  // an init message for PUT /v1/etl; null: the text is a Pod for POST /v1/etl/init
    std::string name;  // of the message
    etl_spec spec;
    error spec_error; // what a node will report about the spec
    std::string spec_reason;
};

static failure load_spec(start_request &r)
{
    failure f = read_spec(r.file, r.text);
    if (f)
        return f;
    std::string where;
    error bad = yaml_parse(r.text, r.tree, where);
    if (bad) {
        f = failure_make(exit_code::other, r.doing, where.empty() ? error_text(bad) : where);
        f.code = error_code_name(bad.code);
    }
    return f;
}

// Makes the init message, unless the spec can be sent unchanged.
static failure make_message(const session &s, start_request &r)
{
    const yaml_node *tree = r.tree.get();
    bool is_runtime = yaml_get(tree, "runtime") != nullptr;
    // An init message that already contains its Pod.
    bool is_wrapped = !is_runtime && yaml_get(tree, "kind") == nullptr && yaml_get(yaml_get(tree, "spec"), "containers") == nullptr &&
                      !yaml_text(tree, "spec").empty();
    bool has_overrides = !s.opt.name.empty() || !s.opt.communication.empty() || !s.opt.init_timeout.empty() || !s.opt.obj_timeout.empty();
    if (!is_runtime && !is_wrapped && !has_overrides)
        return {};
    r.message = is_runtime || is_wrapped ? message_of_runtime(s, *tree) : message_of_pod(s, r.text, tree);
    r.name = json_text(r.message.get(), "name");
    if (r.name.empty())
        return usage_failure("this spec needs a name: use --name NAME, or add `name:` to the file");
    if (etl_spec_is_init_name(r.name))
        return {};
    std::string from = s.opt.name.empty() ? "the name" : "--name";
    return usage_failure(from + " \"" + text_escape(r.name, 80) + "\" is not valid for an ETL: " + etl_spec_init_name_words(),
        s.opt.name.empty() ? "choose another name with --name NAME" : "");
}

// Prints the id or name of the ETL that was started.
static exit_code print_started(session &s, const start_request &r, const http_reply &reply)
{
    std::string answer(text_trim(reply.body));
    while (!answer.empty() && (answer.back() == '\n' || answer.back() == '\r'))
        answer.pop_back();
    if (answer.empty())
        return session_fail(s, failure_make(exit_code::other, r.doing, "the server answered without an id"));
    bool has_name = r.message != nullptr;
    session_note(s, "ETL %s is running", has_name ? r.name.c_str() : answer.c_str());
    return has_name ? print_init(s, r.name, answer) : print_init(s, answer, {});
}

static exit_code print_accepted(session &s, const http_reply &reply)
{
    session_note(s, "the server accepts the spec; nothing was started");
    fputs(reply.body.c_str(), stdout);
    fputc('\n', stdout);
    failure f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

static exit_code send_request(session &s, const start_request &r, bool asks_server)
{
    bool put = r.message != nullptr;
    std::string url = session_url(s, path_etl) + (put ? "" : "/init") + (asks_server ? "?dry_run=true" : "");
    std::string body = put ? json_print(r.message.get()) : r.text;
    if (!asks_server &&
        session_plan(s, put ? "PUT" : "POST", url, text_format("%s (%zu bytes)", put ? "an init message" : r.file.c_str(), body.size())))
        return exit_code::ok;
    http_request request = session_request(s, put ? "PUT" : "POST", url, 0);
    request.body = body;
    request.has_body = true;
    if (put)
        request.headers.push_back("Content-Type: application/json");
    http_reply reply;
    failure f = session_perform(s, request, r.doing.c_str(), {}, reply);
    print_warnings(s, warnings_of(reply));
    if (!f)
        return asks_server ? print_accepted(s, reply) : print_started(s, r, reply);
    // The server's error refers to the message made here; the position in the file is more useful.
    if (f.status == 400 && r.spec_error && put && f.message.starts_with("invalid ETL spec: "))
        f.message = "invalid ETL spec: " + r.spec_reason;
    if (f.code == "cut")
        f.hint = "etlctl etl ls shows whether it was started; otherwise try again";
    else if (f.exit == exit_code::timeout && f.status == 0 && f.hint.empty())
        f.hint = "the node cleans up what it started; allow more time with --timeout";
    else if (f.status >= 500 && f.hint.empty())
        f.hint = "etlctl cluster health"; // no pod was started, so there are no logs
    return fail_etl(s, f, r.name);
}

static exit_code start_one(session &s, const std::string &file)
{
    start_request r;
    r.file = file;
    r.doing = "cannot start an ETL from " + (file == "-" ? std::string("standard input") : file);
    failure f = load_spec(r);
    if (!f)
        f = make_message(s, r);
    if (f)
        return session_fail(s, f);
    r.spec_error = check_spec(r.text, r.message != nullptr, yaml_get(r.tree.get(), "kind") != nullptr, r.message, r.spec, r.spec_reason);
    bool asks_server = s.opt.dry_run && s.opt.dry_run_mode == "server";
    if (s.opt.dry_run && !asks_server) {
        if (r.spec_error) {
            f = failure_make(exit_code::other, r.doing, "invalid ETL spec: " + r.spec_reason);
            f.code = error_code_name(r.spec_error.code);
            return session_fail(s, f);
        }
        print_warnings(s, r.spec.warnings);
    }
    return send_request(s, r, asks_server);
}

// Starts the specs one after the other, as kubectl does. A failed start does not prevent the others.
exit_code command_etl_init(session &s)
{
    std::vector<std::string> files;
    failure f = pick_files(s, files);
    if (f)
        return session_fail(s, f);
    struct {
        const char *option;
        const std::string &text;
    } durations[] = {{"--init-timeout", s.opt.init_timeout}, {"--object-timeout", s.opt.obj_timeout}};
    for (const auto &[option, text] : durations) {
        uint64_t ms = 0;
        if (!text.empty() && !text_parse_duration_ms(text, ms))
            return session_fail(
                s, usage_failure(text_format("%s \"%s\" is not a duration: write 30s, 5m, 1h30m", option, text_escape(text).c_str())));
    }
    size_t failed = 0;
    exit_code last = exit_code::ok;
    for (const std::string &file : files) {
        exit_code exit = start_one(s, file);
        failed += exit != exit_code::ok ? 1 : 0;
        last = exit != exit_code::ok ? exit : last;
    }
    if (failed == 0 || failed == files.size())
        return last;
    s.worst = exit_code::partial;
    return exit_code::partial;
}

} // namespace etlnode::etlctl
