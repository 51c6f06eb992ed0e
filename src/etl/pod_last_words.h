// SPDX-License-Identifier: MIT
// etl/pod_last_words.h: the text that describes a failed pod to people: where and why it failed, and the last lines of its log.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "etl/pod_facts.h"
#include "kube/kube_call.h"

namespace etlnode {

// The end of a text, starting at the beginning of a line if one is near.
std::string pod_text_tail(std::string_view text, size_t size_max);
// "target T, ETL E, pod P".
std::string pod_text_context(const pod_plan &plan);
// "<context>: <step>: <what>", in half of etl_error_text_max, which leaves room for log lines.
std::string pod_text_failure(const pod_plan &plan, std::string_view step, std::string_view what);
// Describes a failed call in kubectl's words: "kubectl create: exit code 1: ...", or says why it could not be started.
std::string pod_text_call(const kube_call &call, std::string_view command);

// A container of the pod has run and failed.
bool pod_last_words_exist(const pod_facts &pod);
// Between two runs, and for a container that keeps ending, the relevant log lines are those of the run that ended.
bool pod_last_words_are_of_previous_run(const pod_facts &pod, bool keeps_ending);
// The kubectl call that prints them.
proc_options pod_last_words_call(const pod_facts &pod, bool of_previous_run);
// Appends the output of that call, or why it failed.
void pod_last_words_append(std::string &failure, const kube_call &call);

} // namespace etlnode
