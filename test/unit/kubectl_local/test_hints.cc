// SPDX-License-Identifier: MIT
// test of kubectl_local/hints: the reasons found for a container that does not work.
#include "node_test.h"

#include "kubectl_local/hints.h"
#include "kubectl_local/os.h"

using namespace etlnode;
using namespace etlnode::kubectl_local;

static void a_program_that_cannot_start(void **)
{
    test_eq_text(hint_of_start("bwrap: execvp /code/server.py: Permission denied", "/nowhere"),
        "chmod +x /code/server.py, or command: [python3, /code/server.py]");
    test_eq_text(hint_of_start("bwrap: execvp /code/run: Permission denied", "/nowhere"), "chmod +x /code/run");
    test_has_text(hint_of_start("bwrap: execvp python: No such file or directory", "/nowhere"), "this machine only has python3");
    test_eq_text(hint_of_start("bwrap: execvp nope: No such file or directory", "/nowhere"), "no directory in PATH contains nope");
    test_eq_text(hint_of_start("bwrap: execvp /code/nope: No such file or directory", "/nowhere"), "the image does not contain /code/nope");
    test_has_text(hint_of_start("bwrap: execvp /code/server.sh: Exec format error", "/nowhere"), "its first line must name an interpreter");
    test_has_text(hint_of_start("bwrap: Can't mkdir /x: Read-only file system", "/nowhere"), "a mount needs an existing target");
    test_has_text(
        hint_of_start("bwrap: Can't create file at /code/x: Read-only file system", "/nowhere"), "a mount needs an existing target");
    test_eq_text(hint_of_start("bwrap: Can't mkdir /x: No space left on device", "/nowhere"), "");
    test_eq_text(hint_of_start("", ""), "");
}

static void a_script_without_its_interpreter(void **)
{
    char dir[] = "/tmp/hints.XXXXXX";
    test_true(mkdtemp(dir) != nullptr);
    std::string root = dir;
    test_true(os_write_file(root + "/a.py", "#!/usr/bin/no-python -u\nprint()\n") && os_write_file(root + "/b", "\x7f"
                                                                                                                "ELF"));
    std::string script = hint_of_start("bwrap: execvp /a.py: No such file or directory", root);
    std::string binary = hint_of_start("bwrap: execvp /b: No such file or directory", root);
    os_remove_tree(root);
    test_eq_text(script, "its first line names /usr/bin/no-python, which does not exist");
    test_has_text(binary, "the loader");
}

static void a_program_that_ends(void **)
{
    test_has_text(
        hint_of_exit(127, "/usr/bin/env: \xe2\x80\x98python\xe2\x80\x99: No such file or directory"), "this machine only has python3");
    test_has_text(hint_of_exit(127, "/usr/bin/env: 'python': No such file or directory"), "this machine only has python3");
    test_eq_text(hint_of_exit(127, "env: 'node': No such file or directory"), "");
    test_eq_text(hint_of_exit(1, "/usr/bin/env: 'python': No such file or directory"), "");
    test_eq_text(hint_of_exit(1, ""), "");
}

static void another_port(void **)
{
    const char *table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
                        "   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"
                        "   1: 0100007F:22B8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0\n"
                        "   2: 0100007F:1F41 0100007F:1F42 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0\n"
                        "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 "
                        "00:00000000 00000000 0 0 4\n";
    test_eq_text(hint_of_sockets(table, 8001, 8888), "it listens on 8000, 80, but the spec says 8001");
    test_eq_text(hint_of_sockets(table, 8001, 0), "it listens on 8000, 8888, 80, but the spec says 8001");
    test_eq_text(hint_of_sockets(table, 8888, 0), "it listens on port 8888 of 127.0.0.1 only: make it listen on 0.0.0.0");
    test_eq_text(hint_of_sockets(table, 8000, 0), "");
    test_eq_text(hint_of_sockets("", 8000, 0), "");
    test_eq_text(hint_of_sockets("   1: 0100007F:22B8 00000000:0000 0A\n", 8001, 8888), "");
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_that_cannot_start),
        cmocka_unit_test(a_script_without_its_interpreter),
        cmocka_unit_test(a_program_that_ends),
        cmocka_unit_test(another_port),
    };
    return cmocka_run_group_tests_name("local_hints", tests, nullptr, nullptr);
}
