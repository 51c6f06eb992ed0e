// SPDX-License-Identifier: MIT
// kubectl_local/state.h: the state directory: pod records, their supervisors, and notifications for watchers.
//
//   STATE/pods/<namespace>/<name>/   pod.json      the object as clients see it; always replaced as a whole
//                                    lock          the supervisor holds a record lock on it; the lock gives the supervisor's pid
//                                    terminate     exists once deletion was requested; JSON
//                                    allowed.json  the owner's grants at the time of creation
//                                    log, log.1, log.previous, log.previous.1, volumes/, ...
//   STATE/images/<name>/<tag>/       rootfs/, config.json
//   STATE/resource_version           the counter, guarded by a file lock
//   STATE/changes                    written after every change; watchers follow it with inotify
//   STATE/tmp/                       directories being created or removed
//
// A record has one writer: the supervisor while it lives, otherwise the holder of the record lock.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "codec/json.h"

namespace etlnode::kubectl_local {

struct local_state {
    std::string dir;    // absolute
    std::string images; // STATE/images, or the value of KUBECTL_LOCAL_IMAGES
};

struct pod_key {
    std::string ns;
    std::string name;
};

// An empty `dir` selects KUBECTL_LOCAL_STATE, then $XDG_STATE_HOME/etlnode/local, then ~/.local/state/etlnode/local. Creates missing
// directories.
bool state_open(local_state &state, const std::string &dir, std::string &out_text);

std::string state_pod_dir(const local_state &state, const pod_key &key);
// An empty `ns` selects all namespaces. Sorted.
std::vector<pod_key> state_list_pods(const local_state &state, const std::string &ns);
bool state_read_pod(const local_state &state, const pod_key &key, json_ptr &out_pod);
std::string state_pod_uid(const cJSON *pod);

enum class state_create_result : uint8_t { created, exists, failed };
// Sets metadata.resourceVersion. Stores `allowed` next to the record (allow.h). Sets `out_text` on `failed`.
state_create_result state_create_pod(
    const local_state &state, const pod_key &key, cJSON *pod, const std::string &allowed, std::string &out_text);
// Replaces the record with a new resourceVersion and notifies the watchers. Requires: the caller is the record's writer.
bool state_write_pod(const local_state &state, const pod_key &key, cJSON *pod);
// Removes the record at once, then its files. Requires: the caller holds the record lock.
void state_remove_pod(const local_state &state, const pod_key &key);

// The pid of the living supervisor; 0 if there is none.
pid_t state_supervisor_pid(const local_state &state, const pod_key &key);
// Takes the record lock if it is free. Closing the descriptor or ending the process releases it. -1 if it is held, or if the record is gone
// or was replaced meanwhile.
int state_lock_pod(const local_state &state, const pod_key &key);
// Starts a supervisor in a session of its own. It exits at once if another one is faster.
bool state_spawn_supervisor(const local_state &state, const pod_key &key, std::string &out_text);
// Starts a supervisor for a pod that should run (has not ended, can be helped) but has none. True if one was started.
bool state_ensure_supervisor(const local_state &state, const pod_key &key, const cJSON *pod);

// Lets a watcher wait for changes. Open it before the first read of the records.
struct state_watch {
    int inotify = -1;
};
void state_watch_open(state_watch &watch, const local_state &state); // without inotify, waiting only sleeps
void state_watch_close(state_watch &watch);
// Waits up to `timeout_ms`, or until something may have changed. False if the reader of `output_fd` (or -1) has gone.
bool state_watch_wait(state_watch &watch, int timeout_ms, int output_fd, const std::vector<int> &pidfds);

} // namespace etlnode::kubectl_local
