// SPDX-License-Identifier: MIT
// etlctl/commands.h: one function per command. Each prints data on stdout and failures on stderr, and returns the exit code.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "etlctl/session.h"

namespace etlnode::etlctl {

exit_code command_etl_init(session &s);
exit_code command_etl_ls(session &s);
exit_code command_etl_show(session &s);
exit_code command_etl_logs(session &s);
exit_code command_etl_health(session &s);
exit_code command_etl_errors(session &s);
exit_code command_etl_stop(session &s);
exit_code command_etl_start(session &s);
exit_code command_etl_rm(session &s);
exit_code command_etl_object(session &s);
exit_code command_etl_bucket(session &s);

exit_code command_object_get(session &s);
exit_code command_object_put(session &s);
exit_code command_object_ls(session &s);
exit_code command_object_head(session &s);
exit_code command_object_rm(session &s);
exit_code command_object_cp(session &s);

exit_code command_bucket_create(session &s);
exit_code command_bucket_ls(session &s);
exit_code command_bucket_rm(session &s);
exit_code command_bucket_cp(session &s);
exit_code command_bucket_mv(session &s);
exit_code command_bucket_archive(session &s);

exit_code command_target_ls(session &s);
exit_code command_target_drain(session &s);
exit_code command_target_found(session &s);
exit_code command_target_activate(session &s);
exit_code command_target_rm(session &s);
exit_code command_target_replace(session &s);
exit_code command_target_forget(session &s);
exit_code command_cluster_show(session &s);
exit_code command_cluster_health(session &s);
exit_code command_cluster_recover(session &s);
exit_code command_cluster_backup(session &s);
exit_code command_cluster_restore(session &s);
exit_code command_df(session &s);
exit_code command_du(session &s);
exit_code command_job_ls(session &s);
exit_code command_job_show(session &s);
exit_code command_job_watch(session &s);
exit_code command_job_wait(session &s);
exit_code command_job_cancel(session &s);
exit_code command_job_report(session &s);
exit_code command_job_start(session &s);
exit_code command_job_download(session &s);
exit_code command_scrub(session &s);
exit_code command_sync(session &s);

exit_code command_version(session &s);

exit_code command_help(session &s);
exit_code command_completion(session &s);

// Whether the words and options of put, get, rm, cp or etl object mean more than one object. Then folder_command does it.
bool folder_is_meant(session &s);
exit_code folder_command(session &s);
// "etl_name=...", with which an object is read through the ETL.
std::string etl_query(const std::string &etl, const std::string &args);

// Names for completion. They print no errors; when time is up they return what they have.
std::vector<std::string> etl_ids(session &s);
std::vector<std::string> bucket_names(session &s);
std::vector<std::string> object_names(session &s, const std::string &bucket, const std::string &prefix);
std::vector<std::string> target_ids(session &s);
std::vector<std::string> job_ids(session &s);

// A job was started: prints its id, or waits for its end with --wait.
exit_code job_started(session &s, const std::string &kind, const std::string &id);
// A new job for what failed in this one.
exit_code job_retry(session &s, const std::string &id);
failure fetch_job(session &s, const std::string &id, json_ptr &out_job);
// One page of its failures: the first, or the one behind the failure `after`.
failure fetch_job_failures(session &s, const std::string &id, const cJSON *after, json_ptr &out_page);

// Sends a GET request that returns JSON. `shape` is cJSON_Array or cJSON_Object; any other type of answer is a failure.
failure fetch_json(session &s, const http_request &request, const char *doing, const std::string &name, int shape, json_ptr &out_tree);
// Fetches the state of the nodes as the proxy sees it. `out_nodes` stays empty when the server does not offer it: a target, an older
// version, AIStore.
failure fetch_nodes(session &s, json_ptr &out_nodes);
// Asks, unless --yes answers. False: the command ends with `out_code`. `command` is what a script writes instead, without --yes.
bool confirm(session &s, const std::string &question, const std::string &command, exit_code &out_code);
// A node as an item of a list.
json_ptr node_state_item(const cJSON *node, bool for_people);
// Prints problems as sentences below the table, on standard error.
void print_node_problems(const session &s, const cJSON *nodes);
// What the objects of each bucket amount to: {"buckets":[{"name","objects","bytes"}],"missing":[target...]}.
failure fetch_usage(session &s, json_ptr &out_usage);
// For --limit and --tail: a decimal number of at least 1. Leaves `out` unchanged when the text is empty.
failure parse_count(const char *option, const std::string &text, uint64_t &out);
failure usage_failure(std::string message, std::string hint = {});
// Calls session_fail with the ETL that failed.
exit_code fail_etl(session &s, failure f, const std::string &id);

// One page of a bucket's objects, as received.
struct object_page {
    json_ptr tree;
    const cJSON *entries = nullptr;
    std::string uuid;
    std::string token; // empty on the last page
};
failure fetch_object_page(session &s, const std::string &bucket, const std::string &prefix, const char *props, uint64_t size,
    const object_page &previous, uint64_t timeout_ms, object_page &out_page, const char *flags = "0");

} // namespace etlnode::etlctl
