// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "etlnode/secret.h"

using namespace etlnode;

static std::string folder;

static int make_folder(void **)
{
    char name[] = "/tmp/etlnode-secret.XXXXXX";
    folder = mkdtemp(name);
    return 0;
}

static int remove_folder(void **)
{
    std::filesystem::remove_all(folder);
    return 0;
}

static void default_paths(void **)
{
    test_eq_text(secret_default_path(true, "/x", "/root"), "/etc/etlnode/cluster-secret");
    test_eq_text(secret_default_path(false, "/x", "/home/a"), "/x/etlnode/cluster-secret");
    test_eq_text(secret_default_path(false, "", "/home/a"), "/home/a/.config/etlnode/cluster-secret");
    test_eq_text(secret_default_path(false, "relative", "/home/a"), "/home/a/.config/etlnode/cluster-secret");
    test_eq_text(secret_default_path(false, "", ""), "");
}

static void proxies_of_this_machine_are_known(void **)
{
    for (const char *url : {"http://127.0.0.1:8080", "http://127.1.2.3:1", "http://localhost:8080", "http://[::1]:8080", "http://lap:8080",
             "http://LAP.example.net:8080"}) {
        if (!secret_proxy_is_here(url, "lap.example.net"))
            test_fail("%s is here", url);
    }
    for (const char *url : {"http://192.0.2.1:8080", "http://storage1:8080", "http://example.net:8080", "http://[2001:db8::1]:8080",
             "https://localhost", ""}) {
        if (secret_proxy_is_here(url, "lap.example.net"))
            test_fail("%s is not here", url);
    }
}

static void it_is_made_once(void **)
{
    std::string path = folder + "/a/b/cluster-secret";
    std::string secret, reason;
    test_eq_enum(secret_read(path, secret, reason), secret_outcome::absent);
    bool is_created = false;
    test_eq_enum(secret_create(path, secret, is_created, reason), secret_outcome::read);
    test_true(is_created);
    test_true(secret.size() >= 32);
    struct stat info {};
    test_eq(stat(path.c_str(), &info), 0);
    test_eq(info.st_mode & 07777u, 0600u);
    test_eq(stat((folder + "/a/b").c_str(), &info), 0);
    test_eq(info.st_mode & 07777u, 0700u);
    std::string again;
    test_eq_enum(secret_create(path, again, is_created, reason), secret_outcome::read);
    test_false(is_created);
    test_eq_text(again, secret);
    size_t files = 0;
    for (const auto &entry : std::filesystem::directory_iterator(folder + "/a/b"))
        files += entry.path().empty() ? 0 : 1;
    test_eq(files, 1u); // nothing temporary stays
}

static void many_at_once_agree(void **)
{
    std::string path = folder + "/many/cluster-secret";
    std::vector<std::string> secrets(16);
    std::vector<unsigned char> made(secrets.size(), 0);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < secrets.size(); i++) {
        threads.emplace_back([&secrets, &made, &path, i] {
            std::string reason;
            bool is_created = false;
            if (secret_create(path, secrets[i], is_created, reason) != secret_outcome::read)
                secrets[i] = reason;
            made[i] = is_created ? 1 : 0;
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    test_eq((std::set<std::string>(secrets.begin(), secrets.end()).size()), 1u);
    size_t makers = 0;
    for (unsigned char one : made)
        makers += one;
    test_eq(makers, 1u);
}

static void put(const std::string &path, std::string_view text, mode_t mode)
{
    std::filesystem::remove_all(path);
    std::ofstream(path, std::ios::binary) << text;
    chmod(path.c_str(), mode);
}

static constexpr std::string_view good = "0123456789abcdef";

// Each reason names the file, says what is wrong with it, and what to do.
static void bad_files_are_refused(void **)
{
    std::string path = folder + "/bad";
    std::string secret, reason;
    struct row {
        std::string text;
        const char *wrong, *remedy;
    };
    std::string line(good);
    const row rows[] = {
        {"", "is empty", "head -c 24 /dev/urandom | base64 > "},
        {"\n\n", "is empty", "copy the file of another node"},
        {"short\n", "fewer than 16 characters", "make a new one"},
        {line + "\n" + line + "\n", "more than one line", "make a new one"},
        {line + "\r\n" + line, "more than one line", "make a new one"},
        {line + "\x01" + line, "control byte 0x01", "make a new one"},
        {line + "\t" + line, "control byte 0x09", "make a new one"},
        {line + std::string(1, '\0') + line, "control byte 0x00", "make a new one"},
        {line + "\x7f\n", "control byte 0x7f", "make a new one"},
        {" " + line, "begins or ends with a space", "remove it"},
        {line + " \n", "begins or ends with a space", "remove it"},
        {std::string(4097, 'x'), "more than 4096 bytes", "16 to 4096 characters"},
        {std::string(4097, 'x') + "\n", "more than 4096 bytes", "16 to 4096 characters"},
        {std::string(1'000'000, 'x'), "more than 4096 bytes", "16 to 4096 characters"},
        {std::string(4096, 'x') + "\n" + line, "more than 4096 bytes", "16 to 4096 characters"},
    };
    for (const row &r : rows) {
        put(path, r.text, 0600);
        reason.clear();
        test_eq_enum(secret_read(path, secret, reason), secret_outcome::bad);
        test_has_text(reason, path);
        test_has_text(reason, r.wrong);
        test_has_text(reason, r.remedy);
    }
    bool is_created = false;
    test_eq_enum(secret_create("/proc/nowhere/cluster-secret", secret, is_created, reason), secret_outcome::bad);
    test_has_text(reason, "cannot create /proc/nowhere");
}

static void good_files_are_read(void **)
{
    std::string path = folder + "/good";
    std::string line(good);
    struct row {
        std::string text, secret;
    };
    const row rows[] = {
        {line, line},
        {line + "\n", line},
        {line + "\r\n", line},
        {line + "\n\n", line},
        {"correct horse battery staple\n", "correct horse battery staple"},
        {"sch\xc3\xb6ne Geheimnisse\n", "sch\xc3\xb6ne Geheimnisse"},
        {std::string(4096, 'x') + "\n", std::string(4096, 'x')},
    };
    for (const row &r : rows) {
        put(path, r.text, 0600);
        std::string secret, reason;
        test_eq_enum(secret_read(path, secret, reason), secret_outcome::read);
        test_eq_text(secret, r.secret);
    }
}

static void only_the_owner_may_change_it_and_its_group_read_it(void **)
{
    std::string path = folder + "/modes";
    std::string secret, reason;
    for (mode_t mode = 0; mode <= 077; mode++) {
        put(path, good, 0400 | mode);
        bool is_kept = (mode & 020) == 0 && (mode & 007) == 0; // group read is allowed: Kubernetes mounts secrets with it
        reason.clear();
        secret_outcome read = secret_read(path, secret, reason);
        if (read != (is_kept ? secret_outcome::read : secret_outcome::bad))
            test_fail("mode %03o: %s", static_cast<unsigned>(0400 | mode), reason.c_str());
        if (!is_kept) {
            char text[16];
            std::snprintf(text, sizeof text, "mode %04o", static_cast<unsigned>(0400 | mode));
            test_has_text(reason, text);
            test_has_text(reason, "chmod 600 " + path + ", or 640 if");
        }
    }
}

// None of these files is opened, because opening a pipe would wait for its writer.
static void only_regular_files_are_opened(void **)
{
    std::string secret, reason;
    std::string pipe = folder + "/pipe";
    test_eq(mkfifo(pipe.c_str(), 0600), 0);
    struct row {
        std::string path;
        const char *wrong;
    };
    const row rows[] = {{pipe, "is a pipe"}, {folder, "is a directory"}, {"/dev/null", "is a device"}, {"/dev/zero", "is a device"}};
    for (const row &r : rows) {
        test_eq_enum(secret_read(r.path, secret, reason), secret_outcome::bad);
        test_has_text(reason, r.path + " " + r.wrong + ": name a regular file");
    }
    std::string link = folder + "/link";
    test_eq(symlink("link", link.c_str()), 0);
    test_eq_enum(secret_read(link, secret, reason), secret_outcome::bad);
    test_has_text(reason, "cannot read " + link);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(default_paths),
        cmocka_unit_test(proxies_of_this_machine_are_known),
        cmocka_unit_test(it_is_made_once),
        cmocka_unit_test(many_at_once_agree),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(good_files_are_read),
        cmocka_unit_test(only_the_owner_may_change_it_and_its_group_read_it),
        cmocka_unit_test(only_regular_files_are_opened),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
