// SPDX-License-Identifier: MIT
// kubectl_local/trace_exec.cc: starts programs in an unsandboxed container.
//
// The kernel would search for a script's interpreter and a program's loader among this machine's files. So both are resolved here.
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <vector>

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"
#include "kubectl_local/trace_call.h"
#include "kubectl_local/trace_memory.h"

namespace etlnode::kubectl_local {

static constexpr size_t line_size_max = 255; // of "#!", as in the kernel
static constexpr size_t scripts_max = 5;     // nested interpreters that are scripts themselves
static constexpr size_t argument_count_max = trace_scratch_size / sizeof(uint64_t) / 2;
static constexpr size_t program_headers_max = 64;

// "#!/path argument": everything after the path is one argument, including spaces.
static bool parse_script(std::string_view head, std::string &out_program, std::string &out_argument)
{
    if (!head.starts_with("#!"))
        return false;
    std::string_view line = text_trim(head.substr(2, std::min(head.find('\n'), head.size()) - 2));
    size_t end = std::min(line.find_first_of(" \t"), line.size());
    out_program = line.substr(0, end);
    out_argument = text_trim(line.substr(end));
    return !out_program.empty();
}

// The loader that a program names; empty if it is static.
static std::string loader_of(int fd)
{
    Elf64_Ehdr head;
    if (pread(fd, &head, sizeof head, 0) != static_cast<ssize_t>(sizeof head) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phnum > program_headers_max || head.e_phentsize != sizeof(Elf64_Phdr))
        return "";
    for (size_t i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr part;
        if (pread(fd, &part, sizeof part, static_cast<off_t>(head.e_phoff + i * sizeof part)) != static_cast<ssize_t>(sizeof part))
            return "";
        char name[PATH_MAX] = "";
        if (part.p_type == PT_INTERP && part.p_filesz > 1 && part.p_filesz < sizeof name &&
            pread(fd, name, part.p_filesz, static_cast<off_t>(part.p_offset)) == static_cast<ssize_t>(part.p_filesz))
            return name;
    }
    return "";
}

struct start_plan {
    guest_path program;               // the program that the kernel runs
    std::vector<std::string> leading; // replaces argv[0]; if empty, argv is unchanged
};

static bool is_same_file(const std::string &a, const std::string &b)
{
    struct stat one;
    struct stat other;
    return stat(a.c_str(), &one) == 0 && stat(b.c_str(), &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// If the loader differs from this machine's file of that name, start the program through the loader explicitly.
static int plan_loader(trace_context &h, int fd, const std::string &first_word, start_plan &plan)
{
    std::string loader = loader_of(fd);
    guest_path path;
    if (loader.empty())
        return 0;
    int error = trace_resolve(h, AT_FDCWD, loader, true, path);
    if (error != 0 || is_same_file(path.host, loader))
        return error;
    std::vector<std::string> leading = {loader, "--argv0", plan.leading.empty() ? first_word : plan.leading.front(), plan.program.guest};
    if (!plan.leading.empty())
        leading.insert(leading.end(), plan.leading.begin() + 1, plan.leading.end());
    plan.leading = std::move(leading);
    plan.program = path;
    return 0;
}

static int plan_start(trace_context &h, int dirfd, std::string name, const std::string &first_word, start_plan &plan)
{
    for (size_t depth = 0; depth < scripts_max; depth++) {
        int error = trace_resolve(h, depth == 0 ? dirfd : AT_FDCWD, name, true, plan.program);
        struct stat about;
        if (error == 0 && stat(plan.program.host.c_str(), &about) != 0)
            error = errno;
        if (error == 0 && (!S_ISREG(about.st_mode) || access(plan.program.host.c_str(), X_OK) != 0))
            error = EACCES;
        if (error != 0)
            return error;
        os_fd file(open(plan.program.host.c_str(), O_RDONLY | O_CLOEXEC));
        char head[line_size_max];
        ssize_t n = file.fd >= 0 ? read(file.fd, head, sizeof head) : 0;
        std::string interpreter;
        std::string argument;
        if (n <= 0 || !parse_script(std::string_view(head, static_cast<size_t>(n)), interpreter, argument))
            return file.fd >= 0 ? plan_loader(h, file.fd, first_word, plan) : 0;
        std::vector<std::string> leading = {interpreter};
        if (!argument.empty())
            leading.push_back(argument);
        leading.push_back(name);
        if (!plan.leading.empty())
            leading.insert(leading.end(), plan.leading.begin() + 1, plan.leading.end());
        plan.leading = std::move(leading);
        name = interpreter;
    }
    return ELOOP;
}

static int read_pointers(pid_t tid, uint64_t from, std::vector<uint64_t> &out)
{
    for (uint64_t value = 1; from != 0; from += sizeof value) {
        if (!trace_read(tid, from, &value, sizeof value))
            return EFAULT;
        if (value == 0)
            break;
        out.push_back(value);
        if (out.size() > argument_count_max)
            return E2BIG;
    }
    return 0;
}

void trace_handle_exec(trace_context &h, int dirfd, unsigned path_arg)
{
    std::string name;
    std::string first_word;
    std::vector<uint64_t> argv;
    pid_t tid = h.thread.tid;
    int error = trace_read_text(tid, trace_get_arg(h.regs, path_arg), PATH_MAX - 1, name);
    if (error == 0 && name.empty())
        return; // the program is a descriptor, or missing
    start_plan plan;
    if (error == 0)
        error = read_pointers(tid, trace_get_arg(h.regs, path_arg + 1), argv);
    if (error == 0 && !argv.empty())
        error = trace_read_text(tid, argv[0], trace_scratch_size / 4, first_word);
    if (error == 0)
        error = plan_start(h, dirfd, name, first_word, plan);
    if (error != 0) {
        trace_fail(h, error);
        return;
    }
    uint64_t path_at = trace_to_scratch(h, plan.program.host.c_str(), plan.program.host.size() + 1);
    uint64_t argv_at = trace_get_arg(h.regs, path_arg + 1);
    if (path_at != 0 && !plan.leading.empty()) {
        std::vector<uint64_t> pointers;
        for (const std::string &word : plan.leading)
            pointers.push_back(trace_to_scratch(h, word.c_str(), word.size() + 1));
        if (!argv.empty())
            pointers.insert(pointers.end(), argv.begin() + 1, argv.end());
        pointers.push_back(0);
        argv_at = trace_to_scratch(h, pointers.data(), pointers.size() * sizeof pointers[0]);
    }
    if (h.lacks_scratch)
        return;
    if (path_at == 0 || argv_at == 0) {
        trace_fail(h, E2BIG);
        return;
    }
    trace_set_arg(h.regs, path_arg, path_at);
    trace_set_arg(h.regs, path_arg + 1, argv_at);
}

} // namespace etlnode::kubectl_local
