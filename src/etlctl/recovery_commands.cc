// SPDX-License-Identifier: MIT
// etlctl/recovery_commands.cc: cluster recover, backup and restore: whole cluster documents. They need the cluster's secret.
#include "etlctl/commands.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/secret_file.h"
#include "base/text.h"
#include "etlctl/format.h"
#include "etlctl/partial_file.h"
#include "node/api.h"

namespace etlnode::etlctl {

// --- the cluster's secret

static std::string_view variable(const char *name)
{
    const char *value = getenv(name);
    return value != nullptr ? std::string_view(value) : std::string_view();
}

static failure read_secret(const session &s, std::string &out_secret)
{
    std::string path = s.opt.secret_file;
    if (path.empty())
        path = secret_default_path(geteuid() == 0, variable("XDG_CONFIG_HOME"), variable("HOME"));
    std::string why = "there is no default location for the cluster's secret";
    if (!path.empty() && secret_read(path, out_secret, why) == secret_outcome::read)
        return {};
    return failure_make(exit_code::usage, "this command needs the secret of the cluster's nodes", why,
        "run it as the user who runs the nodes, or name the file: --cluster-secret-file FILE");
}

// A request with the secret. It goes to the endpoint only, never where a redirect points.
static failure make_request(const session &s, const char *method, const std::string &url, uint64_t timeout_ms, http_request &out_request)
{
    std::string secret;
    failure f = read_secret(s, secret);
    out_request = session_request(s, method, url, timeout_ms);
    out_request.headers.push_back(std::string(header_cluster_secret) + ": " + secret);
    out_request.follow = false;
    return f;
}

// --- recover

static constexpr column document_columns[] = {
    {"TAKEN", "taken", cell_kind::text, false},
    {"DOCUMENT", "document", cell_kind::text, false},
    {"AGE", "age", cell_kind::text, false},
    {"BUCKETS", "buckets", cell_kind::count, false},
    {"ETLS", "etls", cell_kind::count, false},
    {"TARGETS", "targets", cell_kind::count, false},
    {"HELD BY", "holders", cell_kind::text, false},
};

static std::string joined(const cJSON *list)
{
    std::string text;
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item))
            text += (text.empty() ? "" : ", ") + format_message(item->valuestring);
    }
    return text;
}

static void print_sentences(const session &s, const std::string &before, const cJSON *list)
{
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item))
            fprintf(stderr, "%s: %s%s\n", s.program.c_str(), before.c_str(), format_message(item->valuestring).c_str());
    }
}

static json_ptr document_item(const cJSON *row)
{
    json_ptr item = json_object();
    bool is_taken = json_bool(row, "chosen", false);
    bool has_age = json_get(row, "age_seconds") != nullptr;
    json_add_text(item.get(), "taken", is_taken ? "yes" : "no");
    json_add_text(item.get(), "document", json_text(row, "text"));
    output_add_text(item.get(), "age", has_age ? format_seconds(json_u64(row, "age_seconds", 0)) : std::string());
    for (const char *key : {"buckets", "etls", "targets"})
        json_add_u64(item.get(), key, json_u64(row, key, 0));
    json_add_text(item.get(), "holders", joined(json_get(row, "holders")));
    return item;
}

static failure print_plan(session &s, const cJSON *plan)
{
    list_printer list = session_list(s, "ClusterDocument", document_columns, "document");
    const cJSON *row = nullptr;
    cJSON_ArrayForEach(row, json_get(plan, "documents")) list_add(list, document_item(row));
    json_ptr beside = json_object();
    for (const char *key : {"cluster", "problem", "missing", "failures", "aborted"}) {
        if (const cJSON *value = json_get(plan, key))
            json_add_tree(beside.get(), key, json_ptr(cJSON_Duplicate(value, true)));
    }
    list.siblings = std::move(beside);
    list_end(list);
    failure f = session_flush(s);
    print_sentences(s, "", json_get(plan, "failures"));
    cJSON_ArrayForEach(row, json_get(plan, "documents"))
        print_sentences(s, format_message(json_text(row, "text")) + " beside the other: ", json_get(row, "differences"));
    if (std::string aborted = joined(json_get(plan, "aborted")); !aborted.empty())
        fprintf(stderr, "%s: these ETLs were being started, and will be aborted: %s\n", s.program.c_str(), aborted.c_str());
    return f;
}

static void add_list(cJSON *tree, const char *key, const std::vector<std::string> &words)
{
    cJSON *list = json_add_array(tree, key);
    for (const std::string &word : words)
        json_append_text(list, word);
}

static failure ask_proxy(session &s, const std::string &confirm, json_ptr &out_answer)
{
    json_ptr body = json_object();
    add_list(body.get(), "from", s.opt.from);
    add_list(body.get(), "without", s.opt.without);
    if (!s.opt.take.empty())
        json_add_text(body.get(), "take", s.opt.take);
    if (!confirm.empty())
        json_add_text(body.get(), "confirm", confirm);
    std::string text = json_print(body.get());
    http_request request;
    failure f = make_request(s, "POST", session_url(s, path_cluster_recover), control_timeout_ms, request);
    if (f)
        return f;
    request.body = text;
    request.has_body = true;
    request.headers.push_back("Content-Type: application/json");
    return fetch_json(
        s, request, confirm.empty() ? "cannot ask for documents" : "cannot recover the cluster", {}, cJSON_Object, out_answer);
}

static std::string words_of(const char *option, const std::vector<std::string> &values)
{
    std::string text;
    for (const std::string &value : values)
        text += std::string(" ") + option + " " + value;
    return text;
}

// The command as it was given, to be repeated with one option more.
static std::string again(const session &s, const std::string &more)
{
    return "etlctl cluster recover" + words_of("--from", s.opt.from) + words_of("--without", s.opt.without) +
           (s.opt.take.empty() ? std::string() : " --take " + s.opt.take) + " " + more;
}

// What stands in the way of this plan.
static failure check_plan(const session &s, const cJSON *plan)
{
    std::string problem(json_text(plan, "problem"));
    const cJSON *first = cJSON_GetArrayItem(json_get(plan, "documents"), 0);
    if (!problem.empty())
        return failure_make(exit_code::conflict, "cannot recover the cluster", problem,
            first != nullptr && s.opt.take.empty() ? again(s, "--take NODE") : std::string());
    const cJSON *missing = json_get(plan, "missing");
    if (cJSON_GetArraySize(missing) > 0)
        return failure_make(exit_code::conflict, "cannot recover the cluster",
            "the document names targets that do not answer, and that may hold a newer one: " + joined(missing),
            "start them, or go on without: " + again(s, "--without " + std::string(cJSON_GetArrayItem(missing, 0)->valuestring)));
    return {};
}

exit_code command_cluster_recover(session &s)
{
    json_ptr plan;
    failure f = ask_proxy(s, {}, plan);
    if (!f)
        f = print_plan(s, plan.get());
    if (!f)
        f = check_plan(s, plan.get());
    if (f)
        return session_fail(s, f);
    if (json_bool(plan.get(), "in_order", false)) {
        session_note(s, "nothing to recover: no node holds a newer document than the proxy");
        return exit_code::ok;
    }
    if (session_plan(s, "POST", session_url(s, path_cluster_recover), "the document that is marked"))
        return exit_code::ok;
    std::string question = "the proxy takes the document that is marked \"yes\" for cluster " +
                           format_message(json_text(plan.get(), "cluster"));
    if (!s.opt.yes && !s.in_is_tty)
        return session_fail(s, usage_failure(question, "to confirm: " + again(s, "--yes")));
    if (!s.opt.yes && !session_ask(s, question + "; go on?"))
        return session_fail(s, failure_make(exit_code::other, {}, "nothing was changed"));
    json_ptr answer;
    f = ask_proxy(s, std::string(json_text(plan.get(), "confirm")), answer);
    if (f)
        return session_fail(s, f);
    fprintf(stderr, "%s: recovered: cluster %s, version %llu\n", s.program.c_str(),
        format_message(json_text(answer.get(), "cluster")).c_str(), static_cast<unsigned long long>(json_u64(answer.get(), "version", 0)));
    if (std::string silent = joined(json_get(answer.get(), "silent")); !silent.empty())
        fprintf(stderr, "%s: not heard yet: %s\n", s.program.c_str(), silent.c_str());
    return exit_code::ok;
}

// --- backup

static bool keep_bytes(void *arg, const char *bytes, size_t size)
{
    auto &text = *static_cast<std::string *>(arg);
    text.append(bytes, size);
    return text.size() <= document_size_max;
}

exit_code command_cluster_backup(session &s)
{
    const std::string &path = s.opt.words[0];
    if (path.empty())
        return session_fail(
            s, usage_failure("cluster backup needs FILE, or - for standard output", "etlctl cluster backup -o cluster.json"));
    http_request request;
    failure f = make_request(s, "GET", session_url(s, path_cluster_backup), control_timeout_ms, request);
    std::string text;
    request.write = keep_bytes;
    request.arg = &text;
    http_reply reply;
    if (!f)
        f = session_perform(s, request, "cannot back up the cluster", {}, reply);
    if (f)
        return session_fail(s, f);
    partial_file file;
    file.is_private = true;
    std::string why;
    bool is_open = partial_file_open(file, path, why);
    bool is_written = is_open && partial_file_write(file, text.data(), text.size());
    if (is_open && !is_written)
        why = std::string("cannot write: ") + strerror(errno);
    // A backup that a power cut can undo is none.
    if (is_written && !file.part.empty() && fsync(file.fd) != 0) {
        why = std::string("cannot sync: ") + strerror(errno);
        is_written = false;
    }
    if (!is_written || !partial_file_commit(file, why)) {
        partial_file_drop(file);
        return session_fail(s, failure_make(exit_code::other, "cannot write the backup", why));
    }
    if (path != "-")
        session_note(s, "%s holds the cluster document with the secrets of all ETLs", path.c_str());
    return exit_code::ok;
}

// --- restore

static failure read_backup(const std::string &path, std::string &out_text)
{
    int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return failure_make(exit_code::usage, "cannot read " + path, strerror(errno));
    char buffer[64 * kib];
    ssize_t size = 1;
    while (size > 0 && out_text.size() <= document_size_max) {
        size = read(fd, buffer, sizeof buffer);
        if (size < 0 && errno == EINTR) {
            size = 1;
            continue;
        }
        out_text.append(buffer, size > 0 ? static_cast<size_t>(size) : 0);
    }
    int reason = errno;
    if (fd != STDIN_FILENO)
        close(fd);
    if (size < 0)
        return failure_make(exit_code::usage, "cannot read " + path, strerror(reason));
    if (out_text.size() > document_size_max)
        return failure_make(exit_code::usage, "cannot read " + path, "it is larger than a cluster document");
    return {};
}

exit_code command_cluster_restore(session &s)
{
    const std::string &path = s.opt.words[0];
    std::string url = session_url(s, path_cluster_restore);
    if (s.opt.force_old)
        url += "?force_old=true" + (s.opt.take.empty() ? std::string() : "&take=" + s.opt.take);
    if (!s.opt.take.empty() && (!s.opt.force_old || (s.opt.take != "newest" && s.opt.take != "backup")))
        return session_fail(s, usage_failure("--take newest or --take backup belongs to --force-old"));
    std::string text;
    failure f = read_backup(path, text);
    json_ptr tree;
    std::string where;
    if (!f && json_parse(text, tree, where))
        f = failure_make(exit_code::usage, "cannot restore " + path, "it is no backup of a cluster: " + where);
    if (f)
        return session_fail(s, f);
    std::string question = "cluster " + format_message(json_text(tree.get(), "uuid")) +
                           text_format(", version %llu, %d buckets, %d ETLs",
                               static_cast<unsigned long long>(json_u64(tree.get(), "version", 0)),
                               cJSON_GetArraySize(json_get(tree.get(), "buckets")), cJSON_GetArraySize(json_get(tree.get(), "etls")));
    if (session_plan(s, "POST", url, question))
        return exit_code::ok;
    if (!s.opt.yes && !s.in_is_tty)
        return session_fail(s, usage_failure("this puts a backup in place of the proxy's document: " + question,
                                   "to confirm: etlctl cluster restore " + path + (s.opt.force_old ? " --force-old" : "") +
                                       (s.opt.take.empty() ? std::string() : " --take " + s.opt.take) + " --yes"));
    if (!s.opt.yes && !session_ask(s, "restore " + question + "?"))
        return session_fail(s, failure_make(exit_code::other, {}, "nothing was changed"));
    http_request request;
    f = make_request(s, "POST", url, control_timeout_ms, request);
    request.body = text;
    request.has_body = true;
    request.headers.push_back("Content-Type: application/json");
    json_ptr answer;
    if (!f)
        f = fetch_json(s, request, "cannot restore the cluster", {}, cJSON_Object, answer);
    if (f)
        return session_fail(s, f);
    fprintf(stderr, "%s: restored: cluster %s, version %llu\n", s.program.c_str(),
        format_message(json_text(answer.get(), "cluster")).c_str(), static_cast<unsigned long long>(json_u64(answer.get(), "version", 0)));
    return exit_code::ok;
}

} // namespace etlnode::etlctl
