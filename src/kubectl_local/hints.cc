// SPDX-License-Identifier: MIT
// kubectl_local/hints.cc: finds the reason on this machine why a container does not work.
#include "kubectl_local/hints.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

static constexpr const char *python_link =
    "this machine only has python3: write python3, or add a link to the image (ln -s /usr/bin/python3 DIR/usr/local/bin/python)";
static constexpr size_t ports_shown = 3;

static bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

static std::string as_command(std::string_view program)
{
    std::string_view with = program.ends_with(".py") ? "python3" : program.ends_with(".sh") ? "sh" : program.ends_with(".js") ? "node" : "";
    return with.empty() ? std::string() : ", or command: [" + std::string(with) + ", " + std::string(program) + "]";
}

// The program in a script's first line; empty if the file is not a script.
static std::string interpreter_of(const std::string &path)
{
    std::string content;
    if (!os_read_file(path, content) || !content.starts_with("#!"))
        return "";
    std::string_view line = text_trim(std::string_view(content).substr(2, content.find('\n') - 2));
    return std::string(line.substr(0, line.find(' ')));
}

static std::string hint_of_missing(const std::string &program, const std::string &rootfs)
{
    if (program == "python")
        return python_link;
    if (!program.starts_with('/'))
        return "no directory in PATH contains " + text_escape(program, 200);
    if (!os_exists(rootfs + program))
        return os_exists(program) ? "" : "the image does not contain " + text_escape(program, 200);
    std::string interpreter = interpreter_of(rootfs + program);
    if (interpreter.empty())
        return "the loader that it was linked with does not exist";
    return "its first line names " + text_escape(interpreter, 200) + ", which does not exist" +
           (interpreter.ends_with("/python") ? std::string("; ") + python_link : "");
}

std::string hint_of_start(std::string_view text, const std::string &rootfs)
{
    if ((has(text, "Can't create file at ") || has(text, "Can't mkdir ")) && has(text, "Read-only file system"))
        return "a mount needs an existing target: create an empty file or directory of that name in the image, or use a path below /tmp or "
               "a volume";
    size_t at = text.find("execvp ");
    size_t end = text.rfind(": ");
    if (at == std::string_view::npos || end == std::string_view::npos || end < at + 7)
        return "";
    std::string program(text.substr(at + 7, end - at - 7));
    if (has(text.substr(end), "Permission denied"))
        return "chmod +x " + text_escape(program, 200) + as_command(program);
    if (has(text.substr(end), "Exec format error"))
        return "its first line must name an interpreter, for example #!/usr/bin/env python3" + as_command(program);
    return has(text.substr(end), "No such file") ? hint_of_missing(program, rootfs) : "";
}

std::string hint_of_exit(int exit_code, std::string_view last_line)
{
    bool is_not_found = exit_code == 127 && has(last_line, "No such file or directory");
    // env and various shells quote the name differently.
    bool is_python = has(last_line, "python'") || has(last_line, "python\xe2\x80\x99") || has(last_line, "python:");
    return is_not_found && is_python ? python_link : "";
}

struct listener {
    uint16_t port;
    bool is_loopback;
};

static std::vector<listener> listeners_of(std::string_view table)
{
    static constexpr std::string_view listening = "0A";
    std::vector<listener> out;
    while (!table.empty()) {
        size_t end = std::min(table.find('\n'), table.size());
        std::string line(table.substr(0, end));
        table.remove_prefix(std::min(end + 1, table.size()));
        char address[64];
        char state[8];
        unsigned port = 0;
        if (sscanf(line.c_str(), " %*u: %63[0-9A-F]:%4X %*[0-9A-F:] %2s", address, &port, state) != 3 || state != listening)
            continue;
        std::string_view where = address;
        bool is_loopback = where.size() == 8 ? where.ends_with("7F") : where == "00000000000000000000000001000000";
        out.push_back({static_cast<uint16_t>(port), is_loopback});
    }
    return out;
}

std::string hint_of_sockets(std::string_view table, uint16_t port, uint16_t own_port)
{
    std::vector<uint16_t> others;
    for (const listener &one : listeners_of(table)) {
        if (one.port == port)
            return one.is_loopback ? text_format("it listens on port %u of 127.0.0.1 only: make it listen on 0.0.0.0", port)
                                   : std::string();
        if (one.port != own_port && std::find(others.begin(), others.end(), one.port) == others.end())
            others.push_back(one.port);
    }
    if (others.empty())
        return "";
    std::string list;
    for (size_t i = 0; i < std::min(others.size(), ports_shown); i++)
        list += (i > 0 ? ", " : "") + std::to_string(others[i]);
    return text_format("it listens on %s, but the spec says %u", list.c_str(), port);
}

std::string hint_of_port(pid_t pid, uint16_t port, std::string_view target_url)
{
    std::string table;
    std::string more;
    os_read_file(text_format("/proc/%d/net/tcp", pid), table);
    os_read_file(text_format("/proc/%d/net/tcp6", pid), more);
    size_t colon = target_url.find(':', target_url.find("//") == std::string_view::npos ? 0 : target_url.find("//") + 2);
    std::string_view rest = colon == std::string_view::npos ? std::string_view() : target_url.substr(colon + 1);
    uint64_t own_port = 0;
    if (!text_parse_u64(rest.substr(0, rest.find('/')), own_port))
        own_port = 0;
    return hint_of_sockets(table + more, port, static_cast<uint16_t>(own_port));
}

} // namespace etlnode::kubectl_local
