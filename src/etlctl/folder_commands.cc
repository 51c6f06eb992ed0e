// SPDX-License-Identifier: MIT
// etlctl/folder_commands.cc: put, get, rm, cp and etl object for more than one object, and sync: from words and options to a task.
#include "etlctl/commands.h"

#include <cerrno>
#include <cstring>

#include <sys/stat.h>

#include "base/text.h"
#include "codec/url.h"
#include "etlctl/folder_names.h"
#include "etlctl/folder_run.h"
#include "etlctl/name.h"
#include "node/api.h"

namespace etlnode::etlctl {

static bool is_directory(const std::string &path)
{
    struct stat status = {};
    return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// ---- which command means more than one object

static bool selects(const options &o)
{
    return o.recursive || !o.includes.empty() || !o.excludes.empty() || !o.names_from.empty() || !o.failed_to.empty() || o.has_prefix;
}

// Whether an object has exactly this name; then its characters do not make a pattern.
static bool is_object(session &s, const object_ref &ref)
{
    http_reply reply;
    http_request request = session_request(s, "HEAD", session_object_url(s, ref.bucket, ref.object), control_timeout_ms);
    return !session_perform(s, request, "", {}, reply);
}

static bool is_pattern(session &s, const std::string &word)
{
    object_ref ref;
    std::string why;
    return name_parse_ref(word, ref, why) && glob_is_pattern(ref.object) && !is_object(s, ref);
}

bool folder_is_meant(session &s)
{
    const options &o = s.opt;
    if (selects(o))
        return true;
    switch (s.row->id) {
    case command::object_put: return o.words.size() > 2 || o.skip_existing || o.checksum || o.size_only;
    case command::object_get: return is_pattern(s, o.words[0]) || o.skip_existing || o.checksum || o.size_only;
    case command::etl_object: return is_pattern(s, o.words[1]) || o.skip_existing;
    case command::object_rm:
        for (const std::string &word : o.words)
            if (is_pattern(s, word))
                return true;
        return false;
    case command::object_cp: return is_pattern(s, o.words[0]);
    default: return false;
    }
}

// ---- tasks

static failure read_filter(const options &o, folder_task &task)
{
    std::string why;
    for (const std::string &text : o.includes)
        if (!filter_add(task.filter.included, text, why))
            return usage_failure("--include: " + why);
    for (const std::string &text : o.excludes)
        if (!filter_add(task.filter.excluded, text, why))
            return usage_failure("--exclude: " + why);
    return {};
}

static failure read_skip(const options &o, folder_task &task)
{
    if (o.skip_existing + o.checksum + o.size_only > 1)
        return usage_failure("--skip-existing, --checksum and --size-only exclude one another");
    task.skip = o.skip_existing ? folder_skip::existing
                : o.checksum    ? folder_skip::same
                : o.size_only   ? folder_skip::same_size
                                : folder_skip::never;
    return {};
}

static failure read_common(const options &o, folder_task &task)
{
    failure f = read_filter(o, task);
    return f ? f : read_skip(o, task);
}

// The objects that a word means: those below a folder, those that match a pattern, or one.
static failure read_objects(session &s, const std::string &word, folder_task &task)
{
    object_ref ref;
    std::string why;
    if (!name_parse_ref(word, ref, why))
        return usage_failure(why);
    task.bucket = ref.bucket;
    bool has_pattern = glob_is_pattern(ref.object) && (s.opt.recursive || !is_object(s, ref));
    if (has_pattern) {
        if (!glob_parse(ref.object.ends_with('/') ? ref.object.substr(0, ref.object.size() - 1) : ref.object, task.pattern, why))
            return usage_failure(why);
        size_t slash = task.pattern.literal.rfind('/');
        task.has_pattern = true;
        task.takes_folders = s.opt.recursive;
        task.prefix = slash == std::string::npos ? std::string() : task.pattern.literal.substr(0, slash + 1);
        task.list_prefix = task.pattern.literal;
        return s.opt.has_prefix ? usage_failure("a pattern and --prefix exclude one another") : failure{};
    }
    bool is_one = !s.opt.recursive && !ref.object.empty() && !ref.object.ends_with('/') && s.opt.names_from.empty() && !s.opt.has_prefix;
    if (is_one) {
        size_t slash = ref.object.rfind('/');
        task.prefix = slash == std::string::npos ? std::string() : ref.object.substr(0, slash + 1);
        task.list_prefix = ref.object;
        task.has_pattern = true;
        task.pattern.literal = ref.object;
        return {};
    }
    if (!s.opt.recursive && s.opt.names_from.empty() && !s.opt.has_prefix && ref.object.empty())
        return usage_failure(text_format("\"%s\" does not name an object: write BUCKET/OBJECT", text_escape(word).c_str()),
            "with -r all objects of the bucket are meant");
    task.prefix = folder_prefix(ref.object);
    task.list_prefix = task.prefix + s.opt.prefix;
    return {};
}

static failure read_destination(const std::string &word, std::string &out_bucket, std::string &out_prefix)
{
    object_ref ref;
    std::string why;
    if (!name_parse_ref(word, ref, why))
        return usage_failure(why);
    out_bucket = ref.bucket;
    out_prefix = folder_prefix(ref.object);
    return {};
}

static failure read_put(session &s, folder_task &task)
{
    const options &o = s.opt;
    task.action = folder_action::store;
    failure f = read_destination(o.words.back(), task.bucket, task.prefix);
    if (f)
        return f;
    task.list_prefix = task.prefix;
    const std::string &first = o.words[0];
    if (o.recursive || !o.names_from.empty()) {
        if (o.words.size() > 2)
            return usage_failure("-r takes one folder: object put -r FOLDER BUCKET/PREFIX", "store several folders one after the other");
        task.directory = first;
        return is_directory(first) ? failure{}
                                   : failure_make(exit_code::other, "cannot store " + first,
                                         errno == ENOENT ? strerror(errno) : "it is not a folder, as -r requires");
    }
    task.files.assign(o.words.begin(), o.words.end() - 1);
    for (const std::string &file : task.files) {
        if (file == "-" || file.ends_with('/') || is_directory(file))
            return usage_failure(file == "-" ? "standard input can only be stored alone" : file + " is a folder",
                file == "-" ? "etlctl put - BUCKET/OBJECT" : "to store what is in it: etlctl put -r " + file + " " + o.words.back());
    }
    object_ref ref;
    std::string why;
    bool has_own_name = task.files.size() == 1 && name_parse_object(o.words.back(), ref, why) && !ref.object.ends_with('/');
    if (has_own_name) { // one file under the name that is given
        size_t slash = ref.object.rfind('/');
        task.prefix = slash == std::string::npos ? std::string() : ref.object.substr(0, slash + 1);
        task.file_name = ref.object.substr(task.prefix.size());
    }
    return {};
}

static failure read_get(session &s, size_t word, folder_task &task)
{
    const options &o = s.opt;
    task.action = folder_action::read;
    if (!o.range.empty())
        return usage_failure("--range reads one object only");
    failure f = read_objects(s, o.words[word], task);
    if (f)
        return f;
    if (o.words.size() > word + 1)
        task.directory = o.words[word + 1];
    else if (s.program == "ais")
        task.directory = ".";
    bool is_one = task.has_pattern && task.pattern.tokens.empty();
    if (is_one && !task.directory.empty() && task.directory != "-" && !task.directory.ends_with('/') && !is_directory(task.directory))
        return usage_failure("OUT must be a folder here: " + task.directory + "/");
    if (task.directory.empty() || task.directory == "-")
        return usage_failure("reading more than one object needs a folder: OUT", "etlctl " + grammar_usage(*s.row));
    if (s.row->id == command::etl_object) {
        task.etl = o.words[0];
        task.etl_query = etl_query(task.etl, o.args);
    }
    return {};
}

static failure read_copy(session &s, folder_task &task)
{
    task.action = folder_action::copy;
    failure f = read_objects(s, s.opt.words[0], task);
    if (!f)
        f = read_destination(s.opt.words[1], task.to_bucket, task.to_prefix);
    bool is_inside = task.bucket == task.to_bucket && task.to_prefix.starts_with(task.prefix);
    if (!f && is_inside)
        return usage_failure("the destination lies in the source, so copies would be copied again");
    return f;
}

// ---- running

static failure check_bucket(session &s, const std::string &bucket)
{
    http_reply reply;
    http_request request = session_request(s, "HEAD", session_url(s, path_buckets) + "/" + url_encode(bucket), control_timeout_ms);
    failure f = session_perform(s, request, "cannot use bucket", name_bucket_uri(bucket), reply);
    f.bucket = bucket;
    if (f.exit == exit_code::not_found && f.message.find("did you mean") == std::string::npos)
        f.hint = "etlctl bucket create " + bucket;
    return f;
}

static std::string objects_text(const folder_task &task)
{
    std::string uri = name_bucket_uri(task.bucket);
    if (task.has_pattern)
        return "the objects of " + uri + " that match the pattern";
    return task.list_prefix.empty() ? "all objects of " + uri
                                    : "the objects of " + uri + " that begin with " + text_escape(task.list_prefix);
}

static failure nothing_found(const folder_task &task, const options &o)
{
    if (o.ignore_not_found || task.deletes_others)
        return {};
    bool is_everything = task.list_prefix.empty() && !task.has_pattern;
    if (is_everything)
        return {};
    std::string object = task.prefix.substr(0, task.prefix.empty() ? 0 : task.prefix.size() - 1);
    failure f = failure_make(exit_code::not_found, {},
        task.has_pattern ? "no object of " + name_bucket_uri(task.bucket) + " matches"
                         : "no object of " + name_bucket_uri(task.bucket) + " begins with " + text_escape(task.list_prefix));
    f.hint = object.empty() ? "etlctl ls " + task.bucket : "etlctl ls " + task.bucket + "/" + object;
    return f;
}

// Runs the tasks one after the other, and reports them as one.
static exit_code run_tasks(session &s, std::vector<folder_task> &tasks)
{
    folder_report report;
    failure f = report_begin(s, tasks[0], report);
    if (!f)
        f = session_check_list(s, report.plan);
    if (f)
        return session_fail(s, f);
    uint64_t empty_folders = 0;
    for (const folder_task &task : tasks) {
        uint64_t before = report.done + report.removed + report.skipped + report.failed;
        bool lists = task.action != folder_action::store && task.names_from.empty();
        if (task.action == folder_action::store || !lists)
            f = check_bucket(s, task.bucket);
        if (!f)
            f = folder_run(s, task, report, empty_folders);
        if (!f && lists && before == report.done + report.removed + report.skipped + report.failed && folder_signal() == 0)
            f = nothing_found(task, s.opt);
        if (f || folder_signal() != 0 || (report.failed > 0 && !report.goes_on))
            break;
    }
    return report_end(report, f, empty_folders);
}

// Asks once for all tasks.
static bool may_remove(session &s, const std::vector<folder_task> &tasks, exit_code &out_code)
{
    if (s.opt.dry_run || !s.opt.names_from.empty())
        return true;
    std::string what;
    for (const folder_task &task : tasks)
        what += (what.empty() ? "" : ", ") + objects_text(task);
    std::string command = s.opt.recursive ? "etlctl rm -r" : "etlctl rm";
    for (const std::string &word : s.opt.words)
        command += glob_is_pattern(word) ? " '" + word + "'" : " " + word;
    return confirm(s, "this removes " + what, command, out_code);
}

exit_code folder_command(session &s)
{
    std::vector<folder_task> tasks;
    failure f;
    size_t count = s.row->id == command::object_rm ? s.opt.words.size() : 1;
    for (size_t i = 0; i < count && !f; ++i) {
        folder_task task;
        f = read_common(s.opt, task);
        if (f)
            break;
        if (s.row->id == command::object_put) {
            f = read_put(s, task);
        } else if (s.row->id == command::object_rm) {
            task.action = folder_action::remove;
            f = read_objects(s, s.opt.words[i], task);
        } else if (s.row->id == command::object_cp) {
            f = read_copy(s, task);
        } else {
            f = read_get(s, s.row->id == command::etl_object ? 1 : 0, task);
        }
        task.names_from = s.opt.names_from;
        tasks.push_back(std::move(task));
    }
    if (!f && count > 1 && !s.opt.names_from.empty())
        f = usage_failure("--names-from goes with one BUCKET/PREFIX");
    if (f)
        return session_fail(s, f);
    exit_code code = exit_code::ok;
    if (s.row->id == command::object_rm && !may_remove(s, tasks, code))
        return code;
    return run_tasks(s, tasks);
}

// ---- cp of one object

exit_code command_object_cp(session &s)
{
    if (folder_is_meant(s))
        return folder_command(s);
    object_ref from;
    object_ref to;
    std::string why;
    if (!name_parse_ref(s.opt.words[0], from, why) || !name_parse_ref(s.opt.words[1], to, why))
        return session_fail(s, usage_failure(why));
    if (from.object.empty() || from.object.ends_with('/'))
        return session_fail(s, usage_failure("\"" + text_escape(s.opt.words[0]) + "\" does not name an object: write BUCKET/OBJECT",
                                   "for a folder add -r; for a bucket: etlctl bucket cp " + from.bucket + " " + to.bucket));
    if (to.object.empty() || to.object.ends_with('/'))
        to.object += from.object.substr(from.object.rfind('/') + 1);
    std::string url = session_object_url(s, from.bucket, from.object) + "?" + std::string(query_object_to) + "=" +
                      url_encode_uname("ais/@#/" + to.bucket + "/" + to.object);
    if (session_plan(s, "PUT", url))
        return exit_code::ok;
    http_request request = session_request(s, "PUT", url, 0);
    request.has_body = true;
    http_reply reply;
    failure f = session_perform(s, request, "cannot copy object", name_object_uri(from.bucket, from.object), reply);
    if (!f) {
        session_note(s, "%s stored", name_object_uri(to.bucket, to.object).c_str());
        return exit_code::ok;
    }
    f.bucket = from.bucket;
    f.object = from.object;
    return session_fail(s, f);
}

// ---- sync

enum class sync_end : uint8_t { bucket, folder, unclear };

// What a word must be by its look alone.
static sync_end end_of(const std::string &word)
{
    if (word.find("://") != std::string::npos)
        return sync_end::bucket;
    if (word.starts_with('/') || word.starts_with("./") || word.starts_with("../") || word == "." || word == "..")
        return sync_end::folder;
    return sync_end::unclear;
}

// One of the two is the folder: by its look, or because only one of them is there.
static failure find_ends(const std::vector<std::string> &words, bool &out_reads)
{
    sync_end from = end_of(words[0]);
    sync_end to = end_of(words[1]);
    if (from == sync_end::unclear && to == sync_end::unclear && is_directory(words[0]) != is_directory(words[1]))
        from = is_directory(words[0]) ? sync_end::folder : sync_end::bucket;
    if (from == to)
        return usage_failure(
            from == sync_end::bucket ? "both ends are buckets; sync needs one folder of this machine"
            : from == sync_end::folder
                ? "both ends are folders of this machine; sync needs one bucket"
                : "it is not clear which of the two is the folder and which the bucket: write ./FOLDER or ais://BUCKET/PREFIX",
            from == sync_end::bucket ? "etlctl cp -r SRC DST" : std::string());
    out_reads = from == sync_end::bucket || to == sync_end::folder;
    return {};
}

exit_code command_sync(session &s)
{
    std::vector<folder_task> tasks(1);
    folder_task &task = tasks[0];
    bool reads = false;
    failure f = find_ends(s.opt.words, reads);
    if (!f)
        f = read_common(s.opt, task);
    if (!f)
        f = read_destination(s.opt.words[reads ? 0 : 1], task.bucket, task.prefix);
    task.action = reads ? folder_action::read : folder_action::store;
    task.directory = s.opt.words[reads ? 1 : 0];
    task.list_prefix = task.prefix;
    task.skip = task.skip == folder_skip::never ? folder_skip::same : task.skip;
    task.deletes_others = s.opt.deletes;
    task.deletes_all = s.opt.yes;
    if (!f && !reads && !is_directory(task.directory))
        f = failure_make(
            exit_code::other, "cannot read folder " + task.directory, errno == ENOENT ? strerror(errno) : "it is not a folder");
    return f ? session_fail(s, f) : run_tasks(s, tasks);
}

} // namespace etlnode::etlctl
