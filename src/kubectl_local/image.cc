// SPDX-License-Identifier: MIT
// kubectl_local/image.cc: images as directories.
#include "kubectl_local/image.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <cstdio>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

static bool is_word(char c, bool upper) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (upper && c >= 'A' && c <= 'Z'); }

// Checks a path component of a repository name: words joined by '.', '_', '__' or dashes. The first component may be a host with a port.
static bool component_is_valid(std::string_view part, bool is_host)
{
    if (is_host && part.find(':') != std::string_view::npos) {
        uint64_t port = 0;
        size_t colon = part.find(':');
        if (!text_parse_u64(part.substr(colon + 1), port) || port > 65535)
            return false;
        part = part.substr(0, colon);
    }
    if (part.empty() || !is_word(part.front(), is_host) || !is_word(part.back(), is_host))
        return false;
    return std::all_of(part.begin(), part.end(), [&](char c) { return is_word(c, is_host) || c == '.' || c == '_' || c == '-'; });
}

reference_verdict image_parse_reference(std::string_view text, image_reference &out_reference)
{
    out_reference = image_reference();
    if (text.empty() || text.size() > 512)
        return reference_verdict::invalid;
    if (size_t at = text.find('@'); at != std::string_view::npos) {
        image_reference rest;
        return image_parse_reference(text.substr(0, at), rest) == reference_verdict::good &&
                       text.substr(at + 1).find(':') != std::string_view::npos
                   ? reference_verdict::digest
                   : reference_verdict::invalid;
    }
    size_t slash = text.find_last_of('/');
    size_t colon = text.find(':', slash == std::string_view::npos ? 0 : slash);
    std::string_view name = text.substr(0, colon);
    std::string_view tag = colon == std::string_view::npos ? "latest" : text.substr(colon + 1);
    if (tag.empty() || tag.size() > 128 || !(is_word(tag.front(), true) || tag.front() == '_'))
        return reference_verdict::invalid;
    if (!std::all_of(tag.begin(), tag.end(), [](char c) { return is_word(c, true) || c == '.' || c == '_' || c == '-'; }))
        return reference_verdict::invalid;
    std::string_view left = name;
    bool first = true;
    for (;;) {
        size_t end = left.find('/');
        std::string_view part = left.substr(0, end);
        bool is_host = first && end != std::string_view::npos &&
                       (part.find_first_of(".:") != std::string_view::npos || part == "localhost");
        if (!component_is_valid(part, is_host))
            return reference_verdict::invalid;
        first = false;
        if (end == std::string_view::npos)
            break;
        left.remove_prefix(end + 1);
    }
    if (name.find("/rootfs") != std::string_view::npos || tag == "rootfs")
        return reference_verdict::invalid; // would collide with the image's own directory
    out_reference.name = name;
    out_reference.tag = tag;
    return reference_verdict::good;
}

std::string image_text(const image_reference &reference) { return reference.name + ":" + reference.tag; }

std::string image_dir(const local_state &state, const image_reference &reference)
{
    return state.images + "/" + reference.name + "/" + reference.tag;
}

static std::vector<std::string> strings_of(const cJSON *list)
{
    std::vector<std::string> out;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list) if (cJSON_IsString(entry)) out.emplace_back(entry->valuestring);
    return out;
}

bool image_load(const local_state &state, const image_reference &reference, image_config &out_config, std::string &out_text)
{
    std::string dir = image_dir(state, reference);
    std::string text;
    out_config = image_config();
    if (!os_is_dir(dir + "/rootfs") || !os_read_file(dir + "/config.json", text)) {
        // Include the folder, because an image built without it is in another folder.
        bool is_elsewhere = state.images != state.dir + "/images";
        out_text = text_format("no image \"%s\" in %s; create it with: %s%skubectl-local --state-dir=%s image %s DIR [ENTRYPOINT...]",
            image_text(reference).c_str(), dir.c_str(), is_elsewhere ? "KUBECTL_LOCAL_IMAGES=" : "",
            is_elsewhere ? (state.images + " ").c_str() : "", state.dir.c_str(), image_text(reference).c_str());
        return false;
    }
    json_ptr tree;
    std::string where;
    if (json_parse(text, tree, where)) {
        out_text = text_format("%s/config.json: %s", dir.c_str(), where.c_str());
        return false;
    }
    out_config.entrypoint = strings_of(json_get(tree.get(), "Entrypoint"));
    out_config.cmd = strings_of(json_get(tree.get(), "Cmd"));
    out_config.working_dir = json_text(tree.get(), "WorkingDir");
    out_config.id = json_text(tree.get(), "Id");
    for (const std::string &entry : strings_of(json_get(tree.get(), "Env"))) {
        size_t equals = entry.find('=');
        if (equals != std::string::npos && equals > 0)
            out_config.env.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
    }
    return true;
}

static constexpr std::string_view retired_prefix = ".old-";

static std::string retired_name(const local_state &state) { return state.images + "/" + std::string(retired_prefix) + os_random_hex(12); }

static void add_strings(cJSON *object, const char *key, const std::vector<std::string> &values)
{
    cJSON *list = json_add_array(object, key);
    for (const std::string &value : values)
        json_append_text(list, value);
}

bool image_create(const local_state &state, const image_reference &reference, const image_build &build, std::string &out_text)
{
    std::string final_dir = image_dir(state, reference);
    std::string parent = final_dir.substr(0, final_dir.find_last_of('/'));
    if (!os_is_dir(build.directory)) {
        out_text = text_format("%s: %s", build.directory.c_str(), strerror(errno));
        return false;
    }
    if (!os_make_dirs(parent)) {
        out_text = text_format("%s: %s", parent.c_str(), strerror(errno));
        return false;
    }
    // Build next to the images, so that a rename is possible. The leading dot cannot occur in an image name.
    std::string fresh = state.images + "/.new-" + os_random_hex(12);
    json_ptr config = json_object();
    add_strings(config.get(), "Entrypoint", build.entrypoint);
    add_strings(config.get(), "Cmd", build.cmd);
    add_strings(config.get(), "Env", build.env);
    json_add_text(config.get(), "WorkingDir", build.working_dir);
    json_add_text(config.get(), "Id", "local:" + os_random_hex(64));
    bool done = mkdir(fresh.c_str(), 0755) == 0 && os_write_file(fresh + "/config.json", json_print_pretty(config.get()));
    if (!done)
        out_text = text_format("%s: %s", fresh.c_str(), strerror(errno));
    done = done && os_copy_tree(build.directory, fresh + "/rootfs", out_text);
    if (done) {
        // Exchange both in one step, so that a container that starts now finds either the old image or the new one. The old files stay
        // until no container holds them.
        if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, final_dir.c_str(), RENAME_EXCHANGE) == 0)
            rename(fresh.c_str(), retired_name(state).c_str());
        else if (rename(fresh.c_str(), final_dir.c_str()) != 0) {
            out_text = text_format("%s: %s", final_dir.c_str(), strerror(errno));
            done = false;
        }
    }
    os_remove_tree(fresh);
    image_remove_unused(state);
    return done;
}

int image_acquire(const local_state &state, const image_reference &reference)
{
    std::string dir = image_dir(state, reference);
    for (int attempt = 0; attempt < 5; attempt++) {
        os_fd held(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        struct stat mine;
        struct stat named;
        if (held.fd < 0 || fstat(held.fd, &mine) != 0)
            return -1;
        if (flock(held.fd, LOCK_SH | LOCK_NB) == 0 && stat(dir.c_str(), &named) == 0 && named.st_ino == mine.st_ino)
            return held.release();
    }
    return -1;
}

void image_remove_unused(const local_state &state)
{
    std::vector<std::string> entries;
    os_list(state.images, entries);
    for (const std::string &entry : entries) {
        if (!entry.starts_with(retired_prefix))
            continue;
        os_fd held(open((state.images + "/" + entry).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (held.fd >= 0 && flock(held.fd, LOCK_EX | LOCK_NB) == 0)
            os_remove_tree(state.images + "/" + entry);
    }
}

bool image_remove(const local_state &state, const image_reference &reference)
{
    std::string dir = image_dir(state, reference);
    if (!os_is_dir(dir + "/rootfs") || rename(dir.c_str(), retired_name(state).c_str()) != 0)
        return false;
    image_remove_unused(state);
    // Also remove empty parent folders of the name.
    std::string parent = dir.substr(0, dir.find_last_of('/'));
    while (parent.size() > state.images.size() && rmdir(parent.c_str()) == 0)
        parent.resize(parent.find_last_of('/'));
    return true;
}

static void find_images(const std::string &dir, const std::string &name, size_t depth, std::vector<image_reference> &out)
{
    std::vector<std::string> entries;
    if (depth > 16 || !os_list(dir, entries))
        return;
    for (const std::string &entry : entries) {
        std::string below = dir + "/" + entry;
        if (entry.starts_with(".") || entry == "rootfs" || !os_is_dir(below))
            continue;
        if (!name.empty() && os_is_dir(below + "/rootfs"))
            out.push_back({name, entry});
        find_images(below, name.empty() ? entry : name + "/" + entry, depth + 1, out);
    }
}

std::vector<image_reference> image_list(const local_state &state)
{
    std::vector<image_reference> out;
    find_images(state.images, "", 0, out);
    return out;
}

} // namespace etlnode::kubectl_local
