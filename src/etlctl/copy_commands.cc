// SPDX-License-Identifier: MIT
// etlctl/copy_commands.cc: etl bucket, bucket cp, mv and archive: jobs that keep the objects of one bucket in another one.
#include "etlctl/commands.h"

#include "base/text.h"
#include "codec/url.h"
#include "etlctl/name.h"
#include "node/api.h"

namespace etlnode::etlctl {

static failure add_extensions(const session &s, cJSON *value)
{
    if (s.opt.extensions.empty())
        return {};
    cJSON *list = json_add_object(value, "ext");
    for (const std::string &text : s.opt.extensions) {
        size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0)
            return usage_failure("--ext " + text_escape(text) + ": write FORMER=NEW, for example --ext jpg=txt");
        json_add_text(list, text.substr(0, equals).c_str(), text.substr(equals + 1));
    }
    return {};
}

// "first>>second>>third": a pipeline.
static void add_etls(std::string_view etl, cJSON *value)
{
    size_t arrow = etl.find(">>");
    json_add_text(value, "id", etl.substr(0, arrow));
    if (arrow == std::string_view::npos)
        return;
    json_ptr stages = json_array();
    while (arrow != std::string_view::npos) {
        etl.remove_prefix(arrow + 2);
        arrow = etl.find(">>");
        json_append_text(stages.get(), etl.substr(0, arrow));
    }
    json_add_tree(value, "pipeline", std::move(stages));
}

// Everything except where from and where to.
static failure read_options(const session &s, const std::string &etl, cJSON *value)
{
    uint64_t workers = 0;
    failure f = parse_count("--num-workers", s.opt.num_workers, workers);
    if (!f)
        f = add_extensions(s, value);
    if (f)
        return f;
    if (!etl.empty())
        add_etls(etl, value);
    if (!s.opt.args.empty())
        json_add_text(value, "etl_args", s.opt.args);
    if (!s.opt.prepend.empty())
        json_add_text(value, "prepend", s.opt.prepend);
    if (workers > 0)
        json_add_u64(value, "num-workers", workers);
    if (s.opt.force)
        json_add_bool(value, "force", true);
    if (!etl.empty())
        json_add_bool(value, "coer", true); // the job goes on behind an object that fails
    return {};
}

struct copy_request {
    object_ref from;
    std::string to;
    std::string action;
    json_ptr value;
};

static failure read_copy(const session &s, const std::string &etl, const std::string &from, const std::string &to, copy_request &out_copy)
{
    std::string why;
    if (!name_parse_ref(from, out_copy.from, why) || !name_parse_bucket(to, out_copy.to, why))
        return usage_failure(why);
    if (!out_copy.from.object.empty() && !s.opt.prefix.empty())
        return usage_failure("the prefix is given twice: in the argument and with --prefix");
    std::string prefix = out_copy.from.object + s.opt.prefix;
    if (!prefix.empty() && !s.opt.pattern.empty())
        return usage_failure("a template begins with its own prefix: leave out the other one");
    out_copy.value = json_object();
    bool is_of_list = !s.opt.pattern.empty();
    out_copy.action = std::string(etl.empty() ? "copy-" : "etl-") + (is_of_list ? "listrange" : "bck");
    if (is_of_list) {
        json_add_text(out_copy.value.get(), "template", s.opt.pattern);
        json_add_text(json_add_object(out_copy.value.get(), "tobck"), "name", out_copy.to);
    } else if (!prefix.empty()) {
        json_add_text(out_copy.value.get(), "prefix", prefix);
    }
    return read_options(s, etl, out_copy.value.get());
}

// What begins, and as it is told to the user.
struct job_wish {
    const char *method = "POST";
    std::string bucket, url, action, shown;
    const char *doing = "";
    json_ptr value;
};

static exit_code start(session &s, job_wish wish)
{
    if (session_plan(s, wish.method, wish.url, wish.shown))
        return exit_code::ok;
    json_ptr body = json_object();
    json_add_text(body.get(), "action", wish.action);
    if (wish.value != nullptr)
        json_add_tree(body.get(), "value", std::move(wish.value));
    std::string text = json_print(body.get());
    http_request request = session_request(s, wish.method, wish.url, control_timeout_ms);
    request.body = text;
    request.has_body = true;
    request.headers.push_back("Content-Type: application/json");
    http_reply reply;
    failure f = session_perform(s, request, wish.doing, name_bucket_uri(wish.bucket), reply);
    f.bucket = wish.bucket;
    return f ? session_fail(s, f) : job_started(s, wish.action, std::string(text_trim(reply.body)));
}

static std::string bucket_url(const session &s, const std::string &from, const std::string &to)
{
    std::string url = session_url(s, path_buckets) + "/" + url_encode(from);
    return to.empty() ? url : url + "?bck_to=" + url_encode("ais/@#/" + to + "/");
}

static exit_code start_copy(session &s, const std::string &etl, const std::string &from, const std::string &to)
{
    copy_request copy;
    failure f = read_copy(s, etl, from, to, copy);
    if (f)
        return session_fail(s, f);
    job_wish wish;
    wish.bucket = copy.from.bucket;
    wish.url = bucket_url(s, copy.from.bucket, s.opt.pattern.empty() ? copy.to : std::string());
    wish.action = copy.action;
    wish.shown = "action " + copy.action + " to " + name_bucket_uri(copy.to) + (etl.empty() ? "" : " with etl " + etl);
    wish.doing = etl.empty() ? "cannot copy" : "cannot transform";
    wish.value = std::move(copy.value);
    return start(s, std::move(wish));
}

exit_code command_etl_bucket(session &s) { return start_copy(s, s.opt.words[0], s.opt.words[1], s.opt.words[2]); }

exit_code command_bucket_cp(session &s) { return start_copy(s, {}, s.opt.words[0], s.opt.words[1]); }

exit_code command_bucket_mv(session &s)
{
    std::string to, why;
    job_wish wish;
    if (!name_parse_bucket(s.opt.words[0], wish.bucket, why) || !name_parse_bucket(s.opt.words[1], to, why))
        return session_fail(s, usage_failure(why));
    wish.url = bucket_url(s, wish.bucket, to);
    wish.action = "move-bck";
    wish.shown = "action move-bck to " + name_bucket_uri(to);
    wish.doing = "cannot rename";
    return start(s, std::move(wish));
}

exit_code command_bucket_archive(session &s)
{
    object_ref to;
    std::string why;
    job_wish wish;
    if (!name_parse_bucket(s.opt.words[0], wish.bucket, why) || !name_parse_object(s.opt.words[1], to, why))
        return session_fail(s, usage_failure(why));
    if (s.opt.pattern.empty())
        return session_fail(s, usage_failure("which objects? Add --template, for example --template 'train-{000..099}.jpg'"));
    wish.method = "PUT";
    wish.url = bucket_url(s, wish.bucket, {});
    wish.action = "archive";
    wish.shown = "action archive to " + name_bucket_uri(to.bucket) + "/" + to.object;
    wish.doing = "cannot make an archive of";
    wish.value = json_object();
    json_add_text(wish.value.get(), "template", s.opt.pattern);
    json_add_text(wish.value.get(), "archname", to.object);
    json_add_text(json_add_object(wish.value.get(), "tobck"), "name", to.bucket);
    if (s.opt.append)
        json_add_bool(wish.value.get(), "aate", true);
    if (s.opt.goes_on)
        json_add_bool(wish.value.get(), "coer", true);
    return start(s, std::move(wish));
}

} // namespace etlnode::etlctl
