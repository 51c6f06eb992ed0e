// SPDX-License-Identifier: MIT
// kubectl_local/process_tree.cc: finds the descendants of a process in /proc.
#include "kubectl_local/process_tree.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/text.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

size_t process_add_children(pid_t pid, size_t count_max, std::vector<pid_t> &out)
{
    std::string dir = text_format("/proc/%d/task", pid);
    std::vector<std::string> threads;
    os_list(dir, threads);
    for (const std::string &thread : threads) {
        std::string text;
        if (!os_read_file(dir + "/" + thread + "/children", text))
            continue;
        for (size_t from = 0; from < text.size();) {
            size_t end = std::min(text.find(' ', from), text.size());
            uint64_t child = 0;
            if (text_parse_u64(std::string_view(text).substr(from, end - from), child) && out.size() < count_max)
                out.push_back(static_cast<pid_t>(child));
            from = end + 1;
        }
    }
    return threads.size();
}

std::vector<pid_t> process_tree(pid_t root, size_t count_max, uint64_t *out_threads)
{
    std::vector<pid_t> all = {root};
    uint64_t threads = 0;
    for (size_t i = 0; i < all.size(); i++)
        threads += process_add_children(all[i], count_max, all);
    if (out_threads != nullptr)
        *out_threads = threads;
    return all;
}

} // namespace etlnode::kubectl_local
