// SPDX-License-Identifier: MIT
// kubectl_local/guest_view.h: translates paths of an unsandboxed container to paths on this machine, and back.
//
// A container's view is described by bubblewrap's options (view.h). Where nothing can be mounted, the same options become a list of
// bindings from the container's paths to the machine's paths. A directory of the pod stands for the container's root. tracer.h rewrites the
// paths of system calls with these bindings.
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
    std::unordered_map<std::string, std::string> guests; // the machine's path of each binding, and its path in the container
    std::vector<std::pair<std::string, std::string>> env;
    std::string dir = "/"; // where the command starts
    std::string hostname;
    std::string pod_address; // replaces 0.0.0.0, :: and loopback; empty to replace nothing
    std::string image;       // the directory of the image's files, which moves when the image is replaced
    int image_fd = -1;
    unsigned port_shift = 0; // added to ports below 1024, which an ordinary user may not bind
};

// Reads bubblewrap's options, and creates the directory `scratch` (absolute; earlier contents are removed). Additional options are
// --pod-address ADDRESS, --port-shift NUMBER, and --place NAME PATH, which gives the location of NAME below mount_tree_dir (mount_tree.h).
// The pod's memory there is created here. Options about namespaces and capabilities have no effect. An unknown option is an error, because
// an almost correct view would be misleading.
bool guest_view_make(guest_view &view, const std::string &scratch, const std::vector<std::string> &options, std::string &out_text);

// Updates the location of the image's files. Call it before looking up paths.
void guest_view_follow_image(guest_view &view);

struct guest_caller {
    pid_t tgid = 0;
    pid_t tid = 0;
    bool (*is_inside)(void *arg, pid_t pid) = nullptr; // whether a process belongs to the container
    void *arg = nullptr;
};

struct guest_path {
    std::string host;  // absolute; given to the kernel
    std::string guest; // absolute, without links
    bool read_only = false;
};

// Resolves a path. `base` is the container's directory at which a relative path begins. Returns 0 or an errno. The directory must exist;
// the last component need not.
int guest_resolve(const guest_view &view, const guest_caller &caller, const std::string &base, std::string_view path, bool follow_last,
    guest_path &out_path);
// Whether the container may only read the file. `host` is the machine's path as /proc names it; the file may have been removed. Files
// without a path (pipes, sockets, memory files) are the container's own. A path outside the view belongs to another process.
bool guest_is_read_only(const guest_view &view, std::string_view host);
// The container's name of one of the machine's paths; the path itself if it has none.
std::string guest_name_of(const guest_view &view, const std::string &host);
// The text of a link as the container should see it, because links of /proc contain the machine's paths.
std::string guest_link_text(const guest_view &view, const guest_path &link);

} // namespace etlnode::kubectl_local
