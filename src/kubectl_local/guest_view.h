// SPDX-License-Identifier: MIT
// kubectl_local/guest_view.h: where a path of an unsandboxed container lies on this machine, and back.
//
// A container's view is written as bubblewrap's options (view.h). Where nothing can be mounted the same options are kept as a list of
// bindings, "the container's path P is the machine's path H", over a directory of the pod that stands for the container's root; tracer.h
// rewrites the paths of system calls by it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace etlnode::kubectl_local {

struct guest_binding {
    std::string host;
    bool read_only = false;
};

struct guest_view {
    std::string root;                                    // the directory that stands for "/"
    std::map<std::string, guest_binding> bindings;       // by the container's path; "" is the root
    std::unordered_map<std::string, std::string> guests; // the machine's path of each binding, and whose it is in the container
    std::vector<std::pair<std::string, std::string>> env;
    std::string dir = "/"; // where the command starts
    std::string hostname;
    std::string pod_address; // what 0.0.0.0, :: and loopback become; empty: nothing is moved
    std::string image;       // the directory of the image's files, which moves when a new image takes its name
    int image_fd = -1;
    unsigned port_shift = 0; // added to ports below 1024, which an ordinary user may not have
};

// Reads bubblewrap's options and makes the directory at `scratch`, which must be absolute; what it held before is removed. Besides
// bubblewrap's there are --pod-address ADDRESS, --port-shift NUMBER, and --place NAME
// PATH, which says where the NAME below stage_dir (stage.h) is; the pod's memory there is made here. Options about namespaces and capabilities have no effect. An option that
// is not known is an error: a view that is only nearly right would mislead.
bool guest_view_make(guest_view &view, const std::string &scratch, const std::vector<std::string> &options, std::string &out_text);

// Follows the image's files to where they are now. Call it before paths are looked up.
void guest_view_follow_image(guest_view &view);

struct guest_caller {
    pid_t tgid = 0;
    pid_t tid = 0;
    bool (*is_inside)(void *arg, pid_t pid) = nullptr; // whether a process is one of the container's
    void *arg = nullptr;
};

struct guest_path {
    std::string host;  // absolute; what the kernel is given
    std::string guest; // absolute, without links
    bool read_only = false;
};

// `base` is the container's directory that a relative path begins at. 0, or an errno. What the path names need not exist, its directory must.
int guest_resolve(const guest_view &view, const guest_caller &caller, const std::string &base, std::string_view path, bool follow_last,
    guest_path &out_path);
// Whether the container may only read what lies there: one of the machine's paths as /proc names it, also of a file that was removed since. What has no path
// (a pipe, a socket, a file of memory) is the container's own; a path that no part of the view shows is somebody else's.
bool guest_is_read_only(const guest_view &view, std::string_view host);
// The container's name of one of the machine's paths; the path itself where it has none.
std::string guest_name_of(const guest_view &view, const std::string &host);
// What a link says to the container: links of /proc name the machine's paths.
std::string guest_link_text(const guest_view &view, const guest_path &link);

} // namespace etlnode::kubectl_local
