// SPDX-License-Identifier: MIT
// test/unit/etl/etl_world.h: a registry in a fake world with a model of the cluster, controlled by short texts ("create ok", "pod ready").
//
// The model holds the pods that really exist. A call takes effect on it when the test ends the call. The test also decides whether the
// registry hears of the change.
#pragma once

#include "fake_world.h"
#include "node_test.h"

#include <cstdlib>
#include <map>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "document_spec.h"
#include "etl/etl_machine.h"
#include "etl/etl_registry.h"
#include "etl/etl_spec.h"
#include "etl/spec_tree.h"
#include "golden_page.h"
#include "rows_taken.h"

namespace etlnode {

struct model_pod {
    json_ptr json;
    uint64_t restarts = 0;
    bool reported = false; // the watch has reported it as ADDED
};

struct etl_world {
    fake_world *world = nullptr;
    etl_registry *registry = nullptr;
    etl_registry_options options;
    etl_definition definition;
    std::map<std::string, model_pod> pods;
    uint64_t next_uid = 1;
    uint64_t version = 100;
    std::string story; // transitions, children and answers, in order
    size_t transitions_reported = 0;
    std::string machines; // the machines whose transitions are recorded: "etl", "watch" or "etl watch"
    std::vector<std::string> changes;
    std::vector<etl_ref *> uses; // requests to the pod, in progress
    bool is_shutting_down = false;
    bool was_shut_down = false;
    std::string answer, answer_kind; // the last completion
    uint64_t times_asked_again = 0;  // how often the result of `definition`'s start was asked for again
    bool has_node_ports = false;     // ETLs started from now on request a node port
};

inline etl_definition etl_definition_of(const std::string &generation, bool has_node_port = false)
{
    etl_spec spec;
    std::string reason;
    error err = etl_spec_parse_pod(document_spec, spec, reason);
    CHECK(!err);
    etl_definition d;
    d.id = "JGHEoo89gg";
    d.name = spec.name;
    d.pod_json = spec.pod_json;
    static_cast<etl_config &>(d) = spec;
    d.generation_id = generation;
    d.secret = "secret-" + generation;
    if (has_node_port) {
        d.mode = etl_mode::hpull;
        d.hpull_address = client_address::node_port;
    }
    return d;
}

inline void etl_report_new(etl_world &w)
{
    struct visitor {
        etl_world *w;
        size_t seen;
    } v = {&w, 0};
    sm_trace_each(
        [](void *arg, const sm_trace_entry &entry) {
            auto &to = *static_cast<visitor *>(arg);
            if (to.seen++ < to.w->transitions_reported)
                return;
            to.w->transitions_reported++;
            if (to.w->machines.find(entry.machine) != std::string::npos)
                to.w->story += sm_trace_text(entry) + "\n";
        },
        &v);
    for (const std::string &line : w.world->spawned)
        w.story += "    $ " + line + "\n";
    w.world->spawned.clear();
}

inline void etl_note_answer(etl_world &w, const char *kind, error err, const std::string &text)
{
    w.answer_kind = std::string(kind) + ": " + error_code_name(err.code);
    w.answer = text;
    etl_report_new(w);
    w.story += "    " + w.answer_kind + (text.empty() ? "" : ", " + text) + "\n";
}

inline void etl_on_started(void *arg, error err, const std::string &text)
{
    etl_note_answer(*static_cast<etl_world *>(arg), "started", err, text);
}
inline void etl_on_stopped(void *arg, error err, const std::string &text)
{
    etl_note_answer(*static_cast<etl_world *>(arg), "stopped", err, text);
}
inline void etl_on_logs(void *arg, error err, const std::string &text)
{
    etl_note_answer(*static_cast<etl_world *>(arg), "logs", err, text);
}

inline etl_world *etl_world_make(const char *machines)
{
    auto *w = new etl_world;
    w->world = fake_make();
    w->machines = machines;
    w->options.kubectl = {"kubectl"};
    w->options.node_name = "node1";
    w->options.cluster_id = "c1";
    w->options.target_id = "t1";
    w->options.pod_url = "http://10.0.0.1:9090";
    w->options.arg = w;
    w->options.on_change = [](void *arg, etl_ref &ref) { static_cast<etl_world *>(arg)->changes.emplace_back(etl_ref_id(ref)); };
    sm_trace_clear();
    sm_trace_set_clock([](void *arg) { return static_cast<fake_world *>(arg)->clock.now_ms; }, w->world);
    w->registry = etl_registry_make(w->world->e, w->options);
    return w;
}

inline void etl_shut_down(etl_world &w)
{
    w.is_shutting_down = true;
    etl_registry_shut_down(
        *w.registry, [](void *arg) { static_cast<etl_world *>(arg)->was_shut_down = true; }, &w);
    fake_advance(*w.world, 0);
}

inline void etl_use(etl_world &w, bool begins);

// Ends everything, and CHECKs that nothing is left.
inline void etl_world_free(etl_world *w)
{
    w->world->children_ignore_term = false;
    while (!w->uses.empty())
        etl_use(*w, false);
    if (w->registry != nullptr) {
        if (!w->is_shutting_down)
            etl_shut_down(*w);
        fake_advance(*w->world, 60'000);
        CHECK(w->was_shut_down);
        etl_registry_free(w->registry);
        fake_run(*w->world);
    }
    sm_trace_set_clock(nullptr, nullptr);
    fake_free(w->world);
    delete w;
}

// ---- the model

inline const char *status_of(const std::string &word)
{
    static const std::map<std::string, const char *> all = {
        {"pending", R"({"phase":"Pending"})"},
        {"creating",
            R"({"phase":"Pending","containerStatuses":[{"name":"server","restartCount":0,"state":{"waiting":{"reason":"ContainerCreating"}}}]})"},
        {"image_missing",
            R"({"phase":"Pending","containerStatuses":[{"name":"server","restartCount":0,"state":{"waiting":{"reason":"ErrImagePull","message":"quay.io/user/md5_server:v1: not found"}}}]})"},
        {"image_slow",
            R"({"phase":"Pending","containerStatuses":[{"name":"server","restartCount":0,"state":{"waiting":{"reason":"ErrImagePull","message":"dial tcp: i/o timeout"}}}]})"},
        {"crashed",
            R"({"phase":"Running","containerStatuses":[{"name":"server","restartCount":0,"state":{"terminated":{"exitCode":1,"reason":"Error"}}}]})"},
        {"crashed_thrice",
            R"({"phase":"Running","containerStatuses":[{"name":"server","restartCount":2,"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":1,"reason":"Error"}}}]})"},
        {"running",
            R"({"phase":"Running","podIP":"10.1.2.3","hostIP":"192.168.1.5","conditions":[{"type":"Ready","status":"False"}],"containerStatuses":[{"name":"server","restartCount":0,"containerID":"c://1","state":{"running":{}}}]})"},
        {"ready",
            R"({"phase":"Running","podIP":"10.1.2.3","hostIP":"192.168.1.5","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[{"name":"server","restartCount":0,"containerID":"c://1","ready":true,"state":{"running":{}}}]})"},
        {"died",
            R"({"phase":"Running","podIP":"10.1.2.3","hostIP":"192.168.1.5","conditions":[{"type":"Ready","status":"False"}],"containerStatuses":[{"name":"server","restartCount":0,"containerID":"c://1","state":{"terminated":{"exitCode":137,"reason":"Error"}}}]})"},
        {"restarted",
            R"({"phase":"Running","podIP":"10.1.2.3","hostIP":"192.168.1.5","conditions":[{"type":"Ready","status":"False"}],"containerStatuses":[{"name":"server","restartCount":1,"containerID":"c://2","state":{"running":{}}}]})"},
        {"ready_again",
            R"({"phase":"Running","podIP":"10.1.2.3","hostIP":"192.168.1.5","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[{"name":"server","restartCount":1,"containerID":"c://2","ready":true,"state":{"running":{}}}]})"},
        {"evicted", R"({"phase":"Failed","reason":"Evicted","message":"the node was low on memory"})"},
    };
    auto it = all.find(word);
    return it != all.end() ? it->second : nullptr;
}

inline void model_create(etl_world &w, const std::string &pod_json)
{
    std::string where;
    json_ptr pod;
    error err = json_parse(pod_json, pod, where);
    CHECK(!err);
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(pod.get(), "metadata");
    json_add_text(metadata, "uid", "u" + std::to_string(w.next_uid++));
    json_add_text(metadata, "resourceVersion", std::to_string(w.version++));
    cJSON_AddItemToObject(pod.get(), "status", cJSON_Parse(status_of("pending")));
    w.pods[std::string(json_text(metadata, "name"))].json = std::move(pod);
}

inline void model_touch(model_pod &pod, etl_world &w)
{
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(pod.json.get(), "metadata");
    cJSON_ReplaceItemInObjectCaseSensitive(metadata, "resourceVersion", cJSON_CreateString(std::to_string(w.version++).c_str()));
}

inline void model_report(etl_world &w, const char *type, const cJSON *pod)
{
    proc *watch = fake_child(*w.world, "--watch");
    if (watch == nullptr)
        return;
    json_ptr event = json_object();
    json_add_text(event.get(), "type", type);
    json_add_tree(event.get(), "object", json_ptr(cJSON_Duplicate(pod, true)));
    fake_output(watch, json_print_pretty(event.get()));
}

inline void model_delete(etl_world &w, const std::string &name, bool reported)
{
    auto it = w.pods.find(name);
    if (it == w.pods.end())
        return;
    model_touch(it->second, w);
    if (reported)
        model_report(w, "DELETED", it->second.json.get());
    w.pods.erase(it);
}

inline std::string model_list(const etl_world &w)
{
    json_ptr list = json_object();
    cJSON *items = json_add_array(list.get(), "items");
    for (const auto &[name, pod] : w.pods)
        json_append(items, json_ptr(cJSON_Duplicate(pod.json.get(), true)));
    return json_print(list.get());
}

// ---- the words

inline void do_pod(etl_world &w, const std::string &what)
{
    if (w.pods.empty()) {
        w.story += "    !! no pod for " + what + "\n";
        return;
    }
    const std::string name = w.pods.rbegin()->first;
    model_pod &pod = w.pods.rbegin()->second;
    if (what == "deleted")
        return model_delete(w, name, true);
    if (what == "lost") // the watch does not report it
        return model_delete(w, name, false);
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(pod.json.get(), "metadata");
    if (what == "terminating")
        json_add_text(metadata, "deletionTimestamp", "2026-01-01T00:00:00Z");
    else
        cJSON_ReplaceItemInObjectCaseSensitive(pod.json.get(), "status", cJSON_Parse(status_of(what)));
    model_touch(pod, w);
    model_report(w, pod.reported ? "MODIFIED" : "ADDED", pod.json.get());
    pod.reported = true;
}

inline void do_child(etl_world &w, const std::string &verb, const std::string &how, const std::string &rest)
{
    static const std::map<std::string, std::string> commands = {{"list", "=t1 -o json"}, {"watch", "--watch"}, {"logs", " logs "},
        {"create", " create -f -"}, {"delete", " delete "}, {"expose", " create -f - -o "}, {"get_port", " get service "}};
    proc *child = commands.contains(verb) ? fake_child(*w.world, commands.at(verb)) : nullptr;
    if (child == nullptr) {
        w.story += "    !! no child for " + verb + "\n"; // check_page refuses such a page
        return;
    }
    if (how == "ok" && verb == "create")
        model_create(w, child->options.input);
    if (how == "ok" && verb == "delete") {
        std::string name = child->options.argv[3];
        model_delete(w, name, true);
        child = fake_child(*w.world, " delete ");
    }
    if (how == "prints_garbage")
        fake_exit(child, 0, "No resources found");
    else if (how == "ok")
        fake_exit(child, 0, verb == "list" ? model_list(w) : rest);
    else if (how == "prints")
        fake_output(child, rest);
    else if (how == "hangs") // it ends only after its work is done
        model_create(w, child->options.input);
    else if (how == "creates_and_fails") {
        model_create(w, child->options.input);
        fake_exit(child, 1, "", rest);
    } else
        fake_exit(child, 1, "", rest);
}

inline void etl_sync(etl_world &w, const std::vector<etl_definition> &definitions, bool is_initializing = false)
{
    std::vector<etl_wanted> wanted;
    for (const etl_definition &definition : definitions)
        wanted.push_back({&definition, is_initializing});
    etl_registry_sync(*w.registry, wanted);
}

// The document requests the start, and a call asks for its result. Each further call gives it another time-out.
inline void etl_start(etl_world &w, const std::string &generation)
{
    w.times_asked_again = w.definition.generation_id == generation ? w.times_asked_again + 1 : 0;
    w.definition = etl_definition_of(generation, w.has_node_ports);
    etl_sync(w, {w.definition}, true);
    etl_registry_await_start(
        *w.registry, w.definition.id, generation, w.definition.wait_timeout_ms - 1'000 * w.times_asked_again, etl_on_started, &w);
}

// A request to the pod begins, or the latest one ends.
inline void etl_use(etl_world &w, bool begins)
{
    if (begins) {
        w.uses.push_back(etl_registry_acquire(*w.registry, "JGHEoo89gg"));
        etl_ref_take_slot(*w.uses.back());
        return;
    }
    etl_ref &ref = *w.uses.back();
    w.uses.pop_back();
    etl_ref_give_slot(ref);
    etl_ref_release(ref);
}

inline void etl_do(etl_world &w, const std::string &call)
{
    std::vector<std::string> words = golden_split(call, " ");
    std::string rest = words.size() > 2 ? call.substr(words[0].size() + words[1].size() + 2) : std::string();
    std::string second = words.size() > 1 ? words[1] : std::string();
    if (words[0] == "begin") {
        etl_registry_begin(*w.registry);
    } else if (words[0] == "start") {
        etl_start(w, second.empty() ? "g1" : second);
    } else if (words[0] == "initialize") { // no caller asks for the result
        etl_sync(w, {etl_definition_of(second, w.has_node_ports)}, true);
    } else if (words[0] == "abandon") {
        etl_registry_abandon(*w.registry, "JGHEoo89gg", second);
    } else if (words[0] == "sync") {
        etl_sync(
            w, second.empty() ? std::vector<etl_definition>() : std::vector<etl_definition>{etl_definition_of(second, w.has_node_ports)});
    } else if (words[0] == "stop") {
        etl_sync(w, {});
        etl_registry_await_gone(*w.registry, "JGHEoo89gg", etl_on_stopped, &w);
    } else if (words[0] == "read_logs") {
        etl_registry_logs(*w.registry, "JGHEoo89gg", 0, etl_on_logs, &w);
    } else if (words[0] == "use") {
        for (int count = std::atoi(second.c_str()); count != 0; count += count > 0 ? -1 : 1)
            etl_use(w, count > 0);
    } else if (words[0] == "refused") {
        if (etl_ref *ref = etl_registry_acquire(*w.registry, "JGHEoo89gg")) {
            etl_ref_report_refused(*ref);
            etl_ref_release(*ref);
        }
    } else if (words[0] == "shut_down") {
        etl_shut_down(w);
    } else if (words[0] == "wait") {
        uint64_t ms = 0;
        test_true(text_parse_duration_ms(second, ms));
        fake_advance(*w.world, ms);
    } else if (words[0] == "node_ports") {
        w.has_node_ports = true;
    } else if (words[0] == "no_kubectl") {
        w.world->refuse_spawn = make_error(error_code::no_such_file, "program not found", 2);
    } else if (words[0] == "kubectl_back") {
        w.world->refuse_spawn = no_error;
    } else if (words[0] == "ignore_term") {
        w.world->children_ignore_term = true;
    } else if (words[0] == "probe") {
        if (w.world->connects.empty())
            w.story += "    !! no connect\n";
        else
            fake_connected(*w.world, second == "ok" ? no_error : make_error(error_code::refused));
    } else if (words[0] == "leftover") { // a pod from before a restart, with that generation and target URL
        etl_definition d = etl_definition_of(second, w.has_node_ports);
        etl_pod_context c = {"c1", "t1", d.id, d.generation_id, "node1",
            "http://10.0.0.1:9090/v1/etl/_object/" + d.id + "/" + (rest.empty() ? d.secret : rest), "", "launch0", "", "", {},
            w.has_node_ports};
        c.suffix = etl_pod_suffix(c, d.name);
        model_create(w, etl_pod_build(spec_parse_exactly(d.pod_json).get(), d.name, c));
    } else if (words[0] == "pod") {
        do_pod(w, second);
    } else {
        do_child(w, words[0], second, rest);
    }
    fake_run(*w.world);
    etl_report_new(w);
}

inline void etl_do_all(etl_world &w, const std::string &calls)
{
    for (const std::string &call : golden_split(calls, ", "))
        etl_do(w, call);
}

// The stories of a golden page, played by those machines. A story must be possible: "!!" says where it is not.
inline void check_page(const char *path, const char *machines)
{
    bool is_possible = true;
    golden_page_check(path, [&](const std::string &calls) {
        etl_world *w = etl_world_make(machines);
        etl_do_all(*w, calls);
        std::string story = w->story;
        etl_world_free(w);
        is_possible = is_possible && story.find("!!") == std::string::npos;
        return story;
    });
    test_true(is_possible);
}

} // namespace etlnode
