// SPDX-License-Identifier: MIT
// etl/pod_last_words.h: what people are told of a pod that failed: where and why, and the last lines of its log.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "etl/pod_facts.h"
#include "kube/kube_call.h"

namespace etlnode {

// The end of a text, from the beginning of a line where one is near.
std::string pod_text_tail(std::string_view text, size_t size_max);
// "target T, ETL E, pod P".
std::string pod_text_context(const pod_plan &plan);
// "<context>: <step>: <what>", in half of etl_error_text_max, so that log lines have room behind it.
std::string pod_text_failure(const pod_plan &plan, std::string_view step, std::string_view what);
// What kubectl said of a call that failed: "kubectl create: exit code 1: ...", or why it could not be started.
std::string pod_text_call(const kube_call &call, std::string_view command);

// A container of the pod has run and has failed.
bool pod_last_words_exist(const pod_facts &pod);
// Between two runs, and for a container that keeps ending, the log lines that matter are those of the run that ended.
bool pod_last_words_are_of_previous_run(const pod_facts &pod, bool keeps_ending);
// The kubectl call that prints them.
proc_options pod_last_words_call(const pod_facts &pod, bool of_previous_run);
// Appends what that call printed, or why it failed.
void pod_last_words_append(std::string &failure, const kube_call &call);

} // namespace etlnode
