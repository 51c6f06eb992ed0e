// SPDX-License-Identifier: MIT
// kubectl_local/state.h: the state directory: pod records, who supervises them, and how watchers hear of changes.
//
//   STATE/pods/<namespace>/<name>/   pod.json   the object as clients see it; replaced whole
//                                    lock       its supervisor holds a record lock on it; the lock tells the supervisor's pid
//                                    terminate  exists once deletion was asked for; JSON
//                                    allowed.json  what the owner allowed when it was created
//                                    log, log.1, log.previous, log.previous.1, volumes/, ...
//   STATE/images/<name>/<tag>/       rootfs/, config.json
//   STATE/resource_version           the counter, guarded by a file lock
//   STATE/changes                    written after every change; watchers follow it with inotify
//   STATE/tmp/                       directories being made or removed
//
// One writer a record: the supervisor while it lives, otherwise whoever holds the record lock.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "codec/json.h"

namespace etlnode::kubectl_local {

struct local_state {
    std::string dir;    // absolute
    std::string images; // STATE/images, or what KUBECTL_LOCAL_IMAGES names
};

struct pod_key {
    std::string ns;
    std::string name;
};

// `dir` empty: KUBECTL_LOCAL_STATE, else $XDG_STATE_HOME/etlnode/local, else ~/.local/state/etlnode/local. Makes what is missing.
bool state_open(local_state &state, const std::string &dir, std::string &out_text);

std::string state_pod_dir(const local_state &state, const pod_key &key);
// Empty `ns`: all namespaces. Sorted.
std::vector<pod_key> state_list_pods(const local_state &state, const std::string &ns);
bool state_read_pod(const local_state &state, const pod_key &key, json_ptr &out_pod);
std::string state_pod_uid(const cJSON *pod);

enum class state_create_result : uint8_t { created, exists, failed };
// Sets metadata.resourceVersion. `allowed` is kept beside the record (allow.h). `out_text` on `failed`.
state_create_result state_create_pod(
    const local_state &state, const pod_key &key, cJSON *pod, const std::string &allowed, std::string &out_text);
// Replaces the record with a new resourceVersion and tells the watchers. Requires: the caller is the record's writer.
bool state_write_pod(const local_state &state, const pod_key &key, cJSON *pod);
// Takes the record away at once and its files after that. Requires: the caller holds the record lock.
void state_remove_pod(const local_state &state, const pod_key &key);

// The pid of the living supervisor, 0 when there is none.
pid_t state_supervisor_pid(const local_state &state, const pod_key &key);
// Takes the record lock if nobody holds it; the lock ends with the descriptor or the process. -1 when held or gone. A lock on
// a record that was replaced meanwhile is not given out.
int state_lock_pod(const local_state &state, const pod_key &key);
// Starts a supervisor of its own session; it ends at once when another one is quicker.
bool state_spawn_supervisor(const local_state &state, const pod_key &key, std::string &out_text);
// A pod that should run (not ended, not beyond help) and has no supervisor gets one. True when one was started.
bool state_heal_pod(const local_state &state, const pod_key &key, const cJSON *pod);

// A watcher's ear. Open it before the first look at the records.
struct state_ear {
    int inotify = -1;
};
void state_ear_open(state_ear &ear, const local_state &state); // without inotify the ear only sleeps
void state_ear_close(state_ear &ear);
// Up to `timeout_ms`, less when something may have changed. False when `output_fd` (or -1) has lost its reader.
bool state_ear_wait(state_ear &ear, int timeout_ms, int output_fd, const std::vector<int> &pidfds);

} // namespace etlnode::kubectl_local
