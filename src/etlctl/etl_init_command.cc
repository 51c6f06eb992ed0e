// SPDX-License-Identifier: MIT
// etlctl/etl_init_command.cc: etl init: a spec file becomes the request that starts an ETL.
//
// Knows    session, yaml.     Limits  spec_size_max.
// Normal   a Pod spec alone goes as it is to POST /v1/etl/init (2020); with a name or overrides, and for runtime specs, PUT /v1/etl.
// Fails    broken YAML is told with line and column before anything is sent.
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

// "hpush" is what people write, "hpush://" what the wire has.
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

// The init message of today for a Pod spec: the spec itself goes as base64, what its annotations say is repeated.
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

// A runtime spec is the init message but for what the command line adds.
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
    // `etl init spec -f FILE` is how it was written in 2021.
    if (!words.empty() && words[0] == "spec" && !s.opt.files.empty())
        words.erase(words.begin());
    if (words.empty() == s.opt.files.empty())
        return usage_failure(words.empty() ? "etl init needs a spec: a file, or - for standard input" : "the spec is named twice",
            "etlctl etl init -f spec.yaml");
    out_files = words.empty() ? s.opt.files : words;
    if (out_files.size() > 1 && !s.opt.name.empty())
        return usage_failure("--name names one ETL, but there are several specs");
    return {};
}

// What the spec says, as a node reads it. For a message that was made of the file, the file itself is read: its lines are what the user knows.
static error check_spec(const std::string &text, bool is_message, const json_ptr &message, etl_spec &out_spec, std::string &out_reason)
{
    if (!is_message)
        return etl_spec_parse_pod(text, out_spec, out_reason);
    error bad;
    if (json_get(message.get(), "runtime") != nullptr) {
        bad = etl_spec_parse_init_file(text, out_spec, out_reason);
        // What only the command line says is not in the file.
        if (!bad || json_get(message.get(), "name") == nullptr)
            return bad;
        etl_spec whole;
        std::string reason;
        if (!etl_spec_parse_init(json_print(message.get()), whole, reason))
            return no_error;
        return bad;
    }
    bad = etl_spec_parse_init(json_print(message.get()), out_spec, out_reason);
    constexpr std::string_view inner = "spec: "; // of the Pod in the message, which is the file as it is
    if (bad && out_reason.starts_with(inner))
        out_reason = out_reason.substr(inner.size());
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

// A spec on its way to the server.
struct start_order {
    std::string text, doing; // of the file; what is being done with it, for people
    std::string name;        // of the ETL; empty: the server makes an id
    json_ptr message;        // an init message, made of the file or given in it
    bool is_message = false; // PUT, not POST of the file as it is
    std::string body;        // what is sent
};

static failure fail_of_error(const std::string &doing, const std::string &text, error err)
{
    failure f = failure_make(exit_code::other, doing, text);
    f.code = error_code_name(err.code);
    return f;
}

static failure read_order(session &s, const std::string &file, start_order &out)
{
    if (failure f = read_spec(file, out.text))
        return f;
    out.doing = "cannot start an ETL from " + (file == "-" ? std::string("standard input") : file);
    yaml_ptr tree;
    std::string where;
    if (error bad = yaml_parse(out.text, tree, where))
        return fail_of_error(out.doing, where.empty() ? error_text(bad) : where, bad);
    bool runtime = yaml_get(tree.get(), "runtime") != nullptr;
    bool today = runtime || !s.opt.name.empty() || !s.opt.communication.empty() || !s.opt.init_timeout.empty() ||
                 !s.opt.obj_timeout.empty();
    // A message of today that already wraps its Pod.
    bool wrapped = !runtime && yaml_get(tree.get(), "kind") == nullptr && yaml_get(yaml_get(tree.get(), "spec"), "containers") == nullptr &&
                   !yaml_text(tree.get(), "spec").empty();
    out.is_message = today || wrapped;
    if (!out.is_message) {
        out.body = out.text;
        return {};
    }
    out.message = runtime || wrapped ? message_of_runtime(s, *tree) : message_of_pod(s, out.text, tree.get());
    out.name = json_text(out.message.get(), "name");
    if (out.name.empty())
        return usage_failure("this spec needs a name: give --name NAME, or `name:` in the file");
    out.body = json_print(out.message.get());
    if (etl_spec_is_init_name(out.name))
        return {};
    std::string from = s.opt.name.empty() ? "the name" : "--name";
    return usage_failure(from + " \"" + text_escape(out.name, 80) + "\" cannot be an ETL's: " + etl_spec_init_name_words(),
        s.opt.name.empty() ? "give another with --name NAME" : "");
}

static exit_code print_dry_run(session &s, const http_reply &reply)
{
    session_note(s, "the server would start it: nothing was started");
    fputs(reply.body.c_str(), stdout);
    fputc('\n', stdout);
    failure f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

static exit_code fail_start(session &s, failure f, const std::string &name)
{
    if (f.exit == exit_code::timeout && f.status == 0 && f.hint.empty())
        f.hint = "the node removes what it has started; --timeout gives it longer";
    else if (f.status >= 500 && f.hint.empty())
        f.hint = "etlctl cluster health"; // nothing was started: there are no logs to look at
    return fail_etl(s, f, name);
}

static exit_code start_one(session &s, const std::string &file)
{
    start_order order;
    if (failure f = read_order(s, file, order))
        return session_fail(s, f);
    const char *method = order.is_message ? "PUT" : "POST";
    std::string url = order.is_message ? session_url(s, path_etl) : session_url(s, path_etl) + "/init";
    etl_spec spec;
    std::string reason;
    error wrong = check_spec(order.text, order.is_message, order.message, spec, reason);
    bool asks_server = s.opt.dry_run && s.opt.dry_run_mode == "server";
    if (s.opt.dry_run && !asks_server) {
        if (wrong)
            return session_fail(s, fail_of_error(order.doing, "invalid ETL spec: " + reason, wrong));
        print_warnings(s, spec.warnings);
    }
    if (asks_server)
        url += "?dry_run=true";
    if (!asks_server &&
        session_plan(s, method, url, text_format("%s (%zu bytes)", order.is_message ? "an init message" : file.c_str(), order.body.size())))
        return exit_code::ok;

    http_request request = session_request(s, method, url, 0);
    request.body = order.body;
    request.has_body = true;
    if (order.is_message)
        request.headers.push_back("Content-Type: application/json");
    http_reply reply;
    failure f = session_perform(s, request, order.doing.c_str(), {}, reply);
    print_warnings(s, warnings_of(reply));
    // The server read a message that was made here: the place in the file is what helps.
    if (f && f.status == 400 && wrong && order.is_message && f.message.starts_with("invalid ETL spec: "))
        f.message = "invalid ETL spec: " + reason;
    if (f)
        return fail_start(s, f, order.name);
    if (asks_server)
        return print_dry_run(s, reply);
    std::string answer(text_trim(reply.body));
    while (!answer.empty() && (answer.back() == '\n' || answer.back() == '\r'))
        answer.pop_back();
    if (answer.empty())
        return session_fail(s, failure_make(exit_code::other, order.doing, "the server answered without an id"));
    session_note(s, "ETL %s is running", order.is_message ? order.name.c_str() : answer.c_str());
    return order.is_message ? print_init(s, order.name, answer) : print_init(s, answer, {});
}

// Each in its turn, as kubectl does; one that does not start does not keep the others from it.
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
