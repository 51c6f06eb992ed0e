// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <vector>

#include "app/secret.h"

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

static void places(void **)
{
    test_eq_text(secret_default_path(true, "/x", "/root"), "/etc/etlnode/cluster-secret");
    test_eq_text(secret_default_path(false, "/x", "/home/a"), "/x/etlnode/cluster-secret");
    test_eq_text(secret_default_path(false, "", "/home/a"), "/home/a/.config/etlnode/cluster-secret");
    test_eq_text(secret_default_path(false, "relative", "/home/a"), "/home/a/.config/etlnode/cluster-secret");
    test_eq_text(secret_default_path(false, "", ""), "");
}

static void proxies_of_this_machine_are_known(void **)
{
    for (const char *url : {"http://127.0.0.1:8080", "http://127.1.2.3:1", "http://localhost:8080", "http://[::1]:8080", "http://lap:8080", "http://LAP.example.net:8080"}) {
        if (!secret_proxy_is_here(url, "lap.example.net"))
            test_fail("%s is here", url);
    }
    for (const char *url : {"http://192.0.2.1:8080", "http://storage1:8080", "http://example.net:8080", "http://[2001:db8::1]:8080", "https://localhost", ""}) {
        if (secret_proxy_is_here(url, "lap.example.net"))
            test_fail("%s is not here", url);
    }
}

static void it_is_made_once(void **)
{
    std::string path = folder + "/a/b/cluster-secret";
    std::string secret, reason;
    test_eq_enum(secret_read(path, secret, reason), secret_outcome::absent);
    bool is_made = false;
    test_eq_enum(secret_make(path, secret, is_made, reason), secret_outcome::read);
    test_true(is_made);
    test_true(secret.size() >= 32);
    struct stat info{};
    test_eq(stat(path.c_str(), &info), 0);
    test_eq(info.st_mode & 07777u, 0600u);
    test_eq(stat((folder + "/a/b").c_str(), &info), 0);
    test_eq(info.st_mode & 07777u, 0700u);
    std::string again;
    test_eq_enum(secret_make(path, again, is_made, reason), secret_outcome::read);
    test_false(is_made);
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
            bool is_made = false;
            if (secret_make(path, secrets[i], is_made, reason) != secret_outcome::read)
                secrets[i] = reason;
            made[i] = is_made ? 1 : 0;
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

static void bad_files_are_refused(void **)
{
    std::string path = folder + "/bad";
    std::string secret, reason;
    std::ofstream(path) << "short\n";
    chmod(path.c_str(), 0600);
    test_eq_enum(secret_read(path, secret, reason), secret_outcome::bad);
    test_has_text(reason, "fewer than 16");
    std::ofstream(path) << "0123456789abcdef\n";
    chmod(path.c_str(), 0644);
    test_eq_enum(secret_read(path, secret, reason), secret_outcome::bad);
    test_has_text(reason, "chmod 600");
    chmod(path.c_str(), 0640); // Kubernetes mounts secrets so
    test_eq_enum(secret_read(path, secret, reason), secret_outcome::read);
    test_eq_text(secret, "0123456789abcdef");
    bool is_made = false;
    test_eq_enum(secret_make("/proc/nowhere/cluster-secret", secret, is_made, reason), secret_outcome::bad);
    test_has_text(reason, "cannot make /proc/nowhere");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(places), cmocka_unit_test(proxies_of_this_machine_are_known), cmocka_unit_test(it_is_made_once),
        cmocka_unit_test(many_at_once_agree), cmocka_unit_test(bad_files_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
