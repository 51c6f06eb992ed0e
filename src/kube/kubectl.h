// SPDX-License-Identifier: MIT
// kube/kubectl.h: argument vectors, deadlines and output bounds of this node's kubectl calls. Pure: the caller spawns the child.
//
// `program` is the program with its leading arguments ("kubectl", or "kubectl", "--namespace", "ais"). kubectl-local and every kubectl from
// 1.20 on know all flags used here. Lifetime: results own their texts. The caller sets on_exit (and on_output of the watch).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"
#include "port/proc.h"

namespace etlnode {

using kubectl_program = std::vector<std::string>;

// The calls below, for counters.
enum class kubectl_verb : uint8_t { create, remove, logs, list, watch, expose, get_port };
inline constexpr std::string_view kubectl_verb_names[] = {"create", "delete", "logs", "list", "watch", "expose", "get_port"};
inline constexpr size_t kubectl_verb_count = sizeof kubectl_verb_names / sizeof *kubectl_verb_names;

// `target_url`: the value of the pod's AIS_TARGET_URL. kubectl-local lets a pod reach this host and port only if the creator names them;
// kubectl ignores it.
proc_options kubectl_create(const kubectl_program &program, std::string pod_json, std::string_view target_url);
// Completes when the pod is gone. `grace_s` 0: uses the pod's own grace period.
proc_options kubectl_delete(const kubectl_program &program, std::string_view pod_name, uint64_t grace_s);
// `container` empty: the pod's only container. `previous`: the instance before the last restart. `since_s`: only lines of the last so many
// seconds; 0: all lines.
proc_options kubectl_logs(const kubectl_program &program, std::string_view pod_name, std::string_view container, bool previous,
    size_t lines, uint64_t deadline_ms, uint64_t since_s = 0);
// Selects by the labels of this cluster and target.
proc_options kubectl_list(const kubectl_program &program, std::string_view cluster_id, std::string_view target_id);
// Resident, without a deadline. Its output is a stream for kube/watch_stream.h.
proc_options kubectl_watch(const kubectl_program &program, std::string_view cluster_id, std::string_view target_id);
// Creates a Service with one port and prints the port that the API server chose, for kubectl_parse_port.
proc_options kubectl_expose(const kubectl_program &program, std::string service_json);
// Prints that port of an existing Service.
proc_options kubectl_get_port(const kubectl_program &program, std::string_view service_name);
// Parses the output of the two calls above. False if it is not a port.
bool kubectl_parse_port(std::string_view text, uint16_t &out_port);

// A legal label value (at most 63 of [A-Za-z0-9._-], alphanumeric at both ends): `text` itself if it is one, otherwise a readable form with
// a hash of the whole text, so that different texts stay different.
std::string kubectl_label_value(std::string_view text);

// Describes a failed call: its trimmed stderr, if any, and how it ended. "exit code 1: Error from server ...".
std::string kubectl_failure_text(const proc_result &result, uint64_t deadline_ms);
// Describes a call that could not be started: "kubectl: program not found: /usr/local/bin/kubectl".
std::string kubectl_refusal_text(const kubectl_program &program, error err);

// Parses JSON as kubectl prints it. Unlike json_parse it accepts escaped NUL characters, which a container can put into its status
// (terminationMessagePolicy FallbackToLogsOnError). They become U+FFFD.
error kubectl_parse_json(std::string_view text, json_ptr &out_tree, std::string &out_where);

} // namespace etlnode
