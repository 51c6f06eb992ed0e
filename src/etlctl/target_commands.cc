// SPDX-License-Identifier: MIT
// etlctl/target_commands.cc: target rm.
#include "etlctl/commands.h"

#include "base/text.h"
#include "etlctl/format.h"
#include "node/api.h"

namespace etlnode::etlctl {

static std::string count_of_objects(const cJSON *node)
{
    if (json_get(node, "objects") == nullptr)
        return "an unknown number of objects";
    uint64_t count = json_u64(node, "objects", 0);
    return text_format("%llu object%s", static_cast<unsigned long long>(count), count == 1 ? "" : "s");
}

// ---- target rm

static const cJSON *find_target(const cJSON *nodes, std::string_view id)
{
    const cJSON *node = nullptr;
    cJSON_ArrayForEach(node, json_get(nodes, "nodes")) if (json_text(node, "id") == id && json_text(node, "role") == "target") return node;
    return nullptr;
}

// "target t1 holds 3 objects that no other target has, according to its last heartbeat 14s ago"
static std::string loss_text(const std::string &id, const cJSON *node)
{
    std::string text = "target " + format_message(id) + " holds " + count_of_objects(node) + " that no other target has";
    if (json_get(node, "silent_seconds") != nullptr && json_get(node, "objects") != nullptr)
        text += ", according to its last heartbeat " + format_seconds(json_u64(node, "silent_seconds", 0)) + " ago";
    return text;
}

exit_code command_target_rm(session &s)
{
    const std::string &id = s.opt.words[0];
    std::string url = session_url(s, path_cluster);
    json_ptr nodes;
    failure f = fetch_nodes(s, nodes);
    const cJSON *node = find_target(nodes.get(), id);
    std::string loss = node != nullptr ? loss_text(id, node) : std::string();
    if (session_plan(s, "PUT", url, "action decommission-node " + id + (loss.empty() ? "" : ": " + loss)))
        return exit_code::ok;
    if (f)
        return session_fail(s, f);
    bool is_known = json_get(node, "objects") != nullptr;
    uint64_t count = json_u64(node, "objects", 0);
    bool loses = node != nullptr &&
                 json_text(node, "state") !=
                     // The server refuses to remove an active target. The count comes from the last heartbeat, so a count of 0 is not a
                     // guarantee.
                     "active";
    if (loses && !s.opt.yes && !s.in_is_tty)
        return session_fail(s, usage_failure(loss, "to remove it anyway: etlctl target rm " + id + " --yes"));
    if (loses && !s.opt.yes && !session_ask(s, loss + "; remove it anyway?"))
        return session_fail(s, failure_make(exit_code::other, {}, "nothing was changed"));
    json_ptr body = json_object();
    json_add_text(body.get(), "action", "decommission-node");
    cJSON *value = json_add_object(body.get(), "value");
    json_add_text(value, "sid", id);
    if (is_known)
        json_add_u64(value, "objects", count);
    http_request request = session_request(s, "PUT", url, control_timeout_ms);
    std::string text = json_print(body.get());
    request.body = text;
    request.has_body = true;
    request.headers.push_back("Content-Type: application/json");
    http_reply reply;
    f = session_perform(s, request, "cannot remove target", id, reply);
    if (f)
        return session_fail(s, f);
    session_note(s, "target %s removed", id.c_str());
    return exit_code::ok;
}

} // namespace etlnode::etlctl
