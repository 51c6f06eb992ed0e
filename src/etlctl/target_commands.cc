// SPDX-License-Identifier: MIT
// etlctl/target_commands.cc: target drain, activate, rm, replace and forget.
#include "etlctl/commands.h"

#include <ctime>

#include "base/text.h"
#include "etlctl/format.h"
#include "node/api.h"

namespace etlnode::etlctl {

// "12,345 objects (1.2GiB)"
static std::string holdings(const cJSON *node)
{
    if (json_get(node, "objects") == nullptr)
        return "an unknown number of objects";
    uint64_t count = json_u64(node, "objects", 0);
    std::string text = format_count(count) + (count == 1 ? " object" : " objects");
    return json_get(node, "bytes") == nullptr ? text : text + " (" + format_size(json_u64(node, "bytes", 0)) + ")";
}

static bool is_silent(const cJSON *node) { return json_get(node, "silent_seconds") != nullptr || json_text(node, "state") == "silent"; }

// ---- target rm

static const cJSON *find_target(const cJSON *nodes, std::string_view id)
{
    const cJSON *node = nullptr;
    cJSON_ArrayForEach(node, json_get(nodes, "nodes")) if (json_text(node, "id") == id && json_text(node, "role") == "target") return node;
    return nullptr;
}

// "target t1 held 12,345 objects (1.2GiB), heard 14:03:11, and no other target has them"
static std::string loss_text(const std::string &id, const cJSON *node)
{
    std::string text = "target " + format_message(id) + (is_silent(node) ? " held " : " holds ") + holdings(node);
    uint64_t now_s = static_cast<uint64_t>(time(nullptr));
    uint64_t heard_s = json_u64(node, "heard_seconds", json_u64(node, "silent_seconds", UINT64_MAX)); // a former version: only this one
    if (heard_s < now_s)
        text += ", heard " + format_clock(now_s - heard_s, now_s);
    return text + ", and no other target has them";
}

// Asks the proxy for the change; `out_job` is the id of the rebalance that it begins, if any.
static failure change_target(
    session &s, const char *action, const std::string &id, const cJSON *count, const char *doing, std::string &out_job)
{
    json_ptr body = json_object();
    json_add_text(body.get(), "action", action);
    cJSON *value = json_add_object(body.get(), "value");
    json_add_text(value, "sid", id);
    if (json_get(count, "objects") != nullptr)
        json_add_u64(value, "objects", json_u64(count, "objects", 0));
    if (s.opt.leave_damaged)
        json_add_bool(value, "leave_damaged", true);
    http_request request = session_request(s, "PUT", session_url(s, path_cluster), control_timeout_ms);
    std::string text = json_print(body.get());
    request.body = text;
    request.has_body = true;
    request.headers.push_back("Content-Type: application/json");
    http_reply reply;
    failure f = session_perform(s, request, doing, id, reply);
    if (!f)
        out_job = format_message(text_trim(reply.body));
    return f;
}

// For `etlctl job wait $(etlctl target drain T)`.
static exit_code print_job(session &s, const std::string &job)
{
    if (!job.empty())
        printf("%s\n", job.c_str());
    failure f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

bool confirm(session &s, const std::string &question, const std::string &command, exit_code &out_code)
{
    out_code = exit_code::ok;
    if (s.opt.yes)
        return true;
    if (!s.in_is_tty)
        out_code = session_fail(s, usage_failure(question, "to do it anyway: " + command + " --yes"));
    else if (!session_ask(s, question + "; go on?"))
        out_code = session_fail(s, failure_make(exit_code::other, {}, "nothing was changed"));
    return out_code == exit_code::ok;
}

exit_code command_target_drain(session &s)
{
    const std::string &id = s.opt.words[0];
    if (session_plan(
            s, "PUT", session_url(s, path_cluster), "action start-maintenance " + id + (s.opt.leave_damaged ? " with leave_damaged" : "")))
        return exit_code::ok;
    std::string job;
    failure f = change_target(s, "start-maintenance", id, nullptr, "cannot drain target", job);
    if (f)
        return session_fail(s, f);
    session_note(s, "target %s gives its objects to the others; etlctl target ls shows when it is empty", id.c_str());
    return print_job(s, job);
}

exit_code command_target_activate(session &s)
{
    const std::string &id = s.opt.words[0];
    if (session_plan(s, "PUT", session_url(s, path_cluster), "action stop-maintenance " + id))
        return exit_code::ok;
    std::string job;
    failure f = change_target(s, "stop-maintenance", id, nullptr, "cannot activate target", job);
    if (f)
        return session_fail(s, f);
    session_note(s, job.empty() ? "target %s takes objects as soon as its ETLs serve" : "target %s takes objects", id.c_str());
    return print_job(s, job);
}

exit_code command_target_replace(session &s)
{
    const std::string &id = s.opt.words[0];
    json_ptr nodes;
    failure f = fetch_nodes(s, nodes);
    const cJSON *node = find_target(nodes.get(), id);
    std::string loss = node != nullptr ? loss_text(id, node) : std::string();
    if (session_plan(s, "PUT", session_url(s, path_cluster), "action replace-disk " + id + (loss.empty() ? "" : ": " + loss)))
        return exit_code::ok;
    if (f)
        return session_fail(s, f);
    exit_code code = exit_code::ok;
    if (node != nullptr && !confirm(s, loss + ", in the directory that is given up", "etlctl target replace " + id, code))
        return code;
    std::string job;
    f = change_target(s, "replace-disk", id, node, "cannot replace the directory of target", job);
    if (f)
        return session_fail(s, f);
    session_note(s, "target %s goes on with its new directory", id.c_str());
    return print_job(s, job);
}

exit_code command_target_forget(session &s)
{
    const std::string &id = s.opt.words[0];
    if (session_plan(s, "PUT", session_url(s, path_cluster), "action forget-disk " + id))
        return exit_code::ok;
    exit_code code = exit_code::ok;
    if (!confirm(s, "what only the lost target " + format_message(id) + " held is given up for good", "etlctl target forget " + id, code))
        return code;
    std::string job;
    failure f = change_target(s, "forget-disk", id, nullptr, "cannot forget target", job);
    if (f)
        return session_fail(s, f);
    session_note(s, "target %s forgotten", id.c_str());
    return exit_code::ok;
}

// A target that is heard gives its objects away first; so it is drained before it is removed.
static failure refuse_holder(const session &s, const std::string &id, const cJSON *node)
{
    bool is_draining = json_text(node, "state") == "draining";
    std::string shown = format_message(id);
    std::string heard = json_get(node, "heard_seconds") != nullptr
                            ? "it was heard " + format_seconds(json_u64(node, "heard_seconds", 0)) + " ago, and held "
                            : std::string("it is heard, and holds ");
    std::string text = heard + holdings(node) + (is_draining ? ", which are moving to the others" : "");
    failure f = failure_make(exit_code::conflict, "cannot remove target " + shown, text,
        is_draining ? "wait until " + s.program + " target ls shows it in maintenance"
                    : "move its objects to the other targets first: " + s.program + " target drain " + shown);
    return f;
}

exit_code command_target_rm(session &s)
{
    const std::string &id = s.opt.words[0];
    json_ptr nodes;
    failure f = fetch_nodes(s, nodes);
    const cJSON *node = find_target(nodes.get(), id);
    std::string_view state = json_text(node, "state");
    bool has_epochs = json_get(nodes.get(), "epoch") != nullptr;
    bool is_heard = node != nullptr && !is_silent(node);
    // The count of a silent target comes from its last heartbeat, so 0 is not a guarantee. One that was drained has been seen empty.
    bool loses = node != nullptr && !is_heard && !(has_epochs && state == "maintenance");
    std::string loss = loses ? loss_text(id, node) : std::string();
    if (session_plan(s, "PUT", session_url(s, path_cluster), "action decommission-node " + id + (loss.empty() ? "" : ": " + loss)))
        return exit_code::ok;
    if (f)
        return session_fail(s, f);
    if (has_epochs && is_heard && (state == "active" || state == "joining" || state == "draining"))
        return session_fail(s, refuse_holder(s, id, node));
    exit_code code = exit_code::ok;
    if (loses && !confirm(s, loss, "etlctl target rm " + id, code))
        return code;
    std::string job;
    f = change_target(s, "decommission-node", id, loses ? node : nullptr, "cannot remove target", job);
    if (f)
        return session_fail(s, f);
    session_note(s, is_heard ? "target %s leaves: stop it, and it is forgotten" : "target %s removed", id.c_str());
    return print_job(s, job);
}

} // namespace etlnode::etlctl
