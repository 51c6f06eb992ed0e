// SPDX-License-Identifier: MIT
// kubectl_local/allow.cc: what the machine's owner lets pods use: directories for hostPath, the host's network, the address of a target.
#include "kubectl_local/allow.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/yaml.h"
#include "kubectl_local/os.h"
#include "kubectl_local/target_url.h"

namespace etlnode::kubectl_local {

static constexpr size_t allow_paths_max = 256;
static constexpr size_t allow_targets_max = 256;

bool allow_normalize(const std::string &path, std::string &out_path)
{
    out_path.clear();
    if (path.empty() || path.front() != '/' || path.find('\0') != std::string::npos)
        return false;
    for (size_t from = 0; from < path.size();) {
        size_t end = std::min(path.find('/', from), path.size());
        std::string part = path.substr(from, end - from);
        from = end + 1;
        if (part == "..")
            return false;
        if (!part.empty() && part != ".")
            out_path += "/" + part;
    }
    if (out_path.empty())
        out_path = "/";
    return true;
}

const allow_path *allow_find(const allow_list &list, const std::string &path)
{
    const allow_path *found = nullptr;
    for (const allow_path &one : list.paths) {
        bool holds = one.path == "/" || path == one.path || path.starts_with(one.path + "/");
        // Of nested writable directories, choose the outermost. A pod may have replaced anything inside it by a link, so the path must be
        // checked from there.
        bool is_better = found == nullptr || (one.writable && !found->writable) ||
                         (one.writable == found->writable && one.path.size() < found->path.size());
        if (holds && is_better)
            found = &one;
    }
    return found;
}

// "host:port" of a URL; empty if it is not such a URL.
static std::string address_of_target(const std::string &url)
{
    target_url parts;
    return target_url_split(url, parts) ? text_format("%s:%u", text_lower(parts.host).c_str(), parts.port) : "";
}

bool allow_has_target(const allow_list &list, const std::string &url)
{
    std::string place = address_of_target(url);
    return !place.empty() && std::find(list.targets.begin(), list.targets.end(), place) != list.targets.end();
}

static bool add_target(allow_list &list, const std::string &url, const std::string &where, std::string &out_text)
{
    std::string place = address_of_target(url);
    if (place.empty() || list.targets.size() >= allow_targets_max) {
        out_text = place.empty() ? text_format("%s: \"%s\" is not http://HOST[:PORT]", where.c_str(), text_escape(url, 200).c_str())
                                 : text_format("%s: more than %zu targets", where.c_str(), allow_targets_max);
        return false;
    }
    list.targets.push_back(place);
    return true;
}

static bool add_path(allow_list &list, const std::string &path, bool writable, const std::string &where, std::string &out_text)
{
    allow_path one;
    one.writable = writable;
    if (!allow_normalize(path, one.path)) {
        out_text = text_format("%s: \"%s\" is not an absolute path without \"..\"", where.c_str(), text_escape(path, 200).c_str());
        return false;
    }
    if (list.paths.size() >= allow_paths_max) {
        out_text = text_format("%s: more than %zu paths", where.c_str(), allow_paths_max);
        return false;
    }
    list.paths.push_back(std::move(one));
    return true;
}

static bool read_tree(const yaml_node &tree, const std::string &where, allow_list &list, std::string &out_text)
{
    auto refuse = [&](const yaml_node &node, const char *expected) {
        out_text = text_format("%s: %s: expected %s", where.c_str(), yaml_location(node).c_str(), expected);
        return false;
    };
    if (tree.kind != yaml_kind::mapping)
        return refuse(tree, "a mapping with hostPaths, hostNetwork and targets");
    for (size_t i = 0; i < tree.keys.size(); i++) {
        const std::string &key = tree.keys[i]->text;
        const yaml_node &value = *tree.values[i];
        if (key == "hostNetwork") {
            if (value.kind != yaml_kind::scalar || value.type != yaml_type::boolean)
                return refuse(value, "true or false");
            list.host_network = value.text == "true";
            continue;
        }
        bool is_targets = key == "targets";
        if (key != "hostPaths" && !is_targets)
            return refuse(*tree.keys[i], "hostPaths, hostNetwork or targets");
        if (value.kind != yaml_kind::sequence)
            return refuse(value, is_targets ? "a list of URLs" : "a list of paths");
        for (size_t k = 0; is_targets && k < value.values.size(); k++) {
            const yaml_node &entry = *value.values[k];
            if (entry.kind != yaml_kind::scalar)
                return refuse(entry, "http://HOST[:PORT]");
            if (!add_target(list, entry.text, where, out_text))
                return false;
        }
        if (is_targets)
            continue;
        for (const auto &entry : value.values) {
            const yaml_node *path = yaml_get(entry.get(), "path");
            const yaml_node *access = yaml_get(entry.get(), "access");
            if (entry->kind != yaml_kind::mapping || path == nullptr || path->kind != yaml_kind::scalar ||
                entry->keys.size() != (access != nullptr ? 2u : 1u))
                return refuse(*entry, "path: DIR, optionally with access: rw");
            if (access != nullptr && access->text != "rw" && access->text != "ro")
                return refuse(*access, "rw or ro");
            if (!add_path(list, path->text, access != nullptr && access->text == "rw", where, out_text))
                return false;
        }
    }
    return true;
}

static bool read_allow_file(const std::string &path, allow_list &list, std::string &out_text)
{
    os_fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat about;
    if (file.fd < 0 && errno == ENOENT)
        return true;
    std::string content;
    if (file.fd < 0 || fstat(file.fd, &about) != 0 || !os_read_file(path, content, 65536)) {
        out_text = text_format("%s: %s", path.c_str(), strerror(errno));
        return false;
    }
    if ((about.st_uid != geteuid() && about.st_uid != 0) || (about.st_mode & 022) != 0) {
        out_text = path + " belongs to another user or is writable by others, so it is ignored";
        return false;
    }
    yaml_ptr tree;
    std::string where;
    if (yaml_parse(content, tree, where)) {
        out_text = path + ": " + where;
        return false;
    }
    return read_tree(*tree, path, list, out_text);
}

bool allow_read(const local_state &state, allow_list &out_list, std::string &out_text)
{
    allow_list list;
    out_list = allow_list();
    if (!read_allow_file(state.dir + "/allow.yaml", list, out_text))
        return false;
    const char *network = getenv("KUBECTL_LOCAL_ALLOW_HOST_NETWORK");
    list.host_network = list.host_network || (network != nullptr && std::string_view(network) == "true");
    const char *target = getenv("KUBECTL_LOCAL_ALLOW_TARGET");
    // A node may give its pods a host name or a scheme to which no route is opened. This grants nothing and is not an error.
    if (target != nullptr && !address_of_target(target).empty() && !add_target(list, target, "KUBECTL_LOCAL_ALLOW_TARGET", out_text))
        return false;
    const char *value = getenv("KUBECTL_LOCAL_ALLOW_HOST_PATH");
    std::string_view rest = value != nullptr ? value : "";
    while (!rest.empty()) {
        std::string one(rest.substr(0, rest.find('\n')));
        rest.remove_prefix(std::min(one.size() + 1, rest.size()));
        bool writable = one.ends_with(":rw");
        if (writable || one.ends_with(":ro"))
            one.resize(one.size() - 3);
        if (!one.empty() && !add_path(list, one, writable, "KUBECTL_LOCAL_ALLOW_HOST_PATH", out_text))
            return false;
    }
    out_list = std::move(list);
    return true;
}

json_ptr allow_to_json(const allow_list &list)
{
    json_ptr tree = json_object();
    cJSON *paths = json_add_array(tree.get(), "hostPaths");
    for (const allow_path &one : list.paths) {
        json_ptr entry = json_object();
        json_add_text(entry.get(), "path", one.path);
        json_add_bool(entry.get(), "writable", one.writable);
        json_append(paths, std::move(entry));
    }
    json_add_bool(tree.get(), "hostNetwork", list.host_network);
    cJSON *targets = json_add_array(tree.get(), "targets");
    for (const std::string &one : list.targets)
        cJSON_AddItemToArray(targets, cJSON_CreateString(one.c_str()));
    return tree;
}

void allow_from_json(const cJSON *tree, allow_list &out_list)
{
    out_list = allow_list();
    const cJSON *entry;
    cJSON_ArrayForEach(entry, json_get(tree, "hostPaths"))
        out_list.paths.push_back({std::string(json_text(entry, "path")), cJSON_IsTrue(json_get(entry, "writable")) != 0});
    out_list.host_network = cJSON_IsTrue(json_get(tree, "hostNetwork"));
    cJSON_ArrayForEach(entry, json_get(tree, "targets")) if (cJSON_IsString(entry)) out_list.targets.emplace_back(entry->valuestring);
}

} // namespace etlnode::kubectl_local
