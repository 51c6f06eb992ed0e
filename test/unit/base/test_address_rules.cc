// SPDX-License-Identifier: MIT
// test of base/address_rules: from which addresses a node may fetch.
#include "node_test.h"

#include "base/address_rules.h"

using namespace etlnode;

static address_rules rules_of(std::initializer_list<std::string_view> texts)
{
    address_rules rules;
    for (std::string_view text : texts)
        test_true(address_rules_add(rules, text));
    return rules;
}

static bool admits(const address_rules &rules, std::string_view address, std::string_view host = "example.org")
{
    address_bytes bytes;
    test_true(address_read(address, bytes));
    return address_rules_refusal(rules, host, bytes).empty();
}

static void some_addresses_are_never_fetched_from(void **)
{
    address_rules all = rules_of({"public", "private", "0.0.0.0/0", "::/0", "*.org", "example.org"});
    for (const char *address : {"169.254.169.254", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "100.100.100.200", "fe80::1",
             "::", "ff02::1", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::169.254.169.254"})
        test_false(admits(all, address));
    address_bytes metadata;
    test_true(address_read("169.254.169.254", metadata));
    test_has_text(address_rules_refusal(all, "example.org", metadata), "169.254.169.254 is never fetched from");
}

static void public_and_private(void **)
{
    address_rules open = rules_of({"public"}), near = rules_of({"private"}), none = rules_of({"none"});
    for (const char *address : {"8.8.8.8", "172.15.0.1", "172.32.0.1", "192.167.1.1", "2606:4700::1111", "64:ff9b::808:808"}) {
        test_true(admits(open, address));
        test_false(admits(near, address));
        test_false(admits(none, address));
    }
    for (const char *address : {"127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "::1", "fc00::1",
             "fdff::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "198.18.0.1"}) {
        test_false(admits(open, address));
        test_true(admits(near, address));
        test_false(admits(none, address));
    }
    address_bytes loopback;
    test_true(address_read("127.0.0.1", loopback));
    test_has_text(address_rules_refusal(open, "localhost", loopback), "private address 127.0.0.1 (etlnode --download-from)");
}

static void blocks_and_hosts(void **)
{
    address_rules rules = rules_of({"10.1.0.0/16", "192.168.7.7", "fd12::/16", "[fd13::1]", "Data.example.org", "*.mirror.example"});
    test_true(admits(rules, "10.1.255.1"));
    test_false(admits(rules, "10.2.0.1"));
    test_true(admits(rules, "192.168.7.7"));
    test_false(admits(rules, "192.168.7.8"));
    test_true(admits(rules, "fd12:1::1"));
    test_true(admits(rules, "fd13::1"));
    test_false(admits(rules, "fd13::2"));
    test_false(admits(rules, "8.8.8.8"));
    test_true(admits(rules, "8.8.8.8", "data.EXAMPLE.org"));
    test_true(admits(rules, "8.8.8.8", "data.example.org."));
    test_true(admits(rules, "10.9.9.9", "a.b.mirror.example"));
    test_false(admits(rules, "8.8.8.8", "mirror.example"));
    test_false(admits(rules, "8.8.8.8", "evilmirror.example"));
    test_false(admits(rules, "8.8.8.8", "data.example.org.evil.example"));
}

static void what_is_no_rule(void **)
{
    address_rules rules;
    for (const char *text :
        {"", "*", "*.", "10.0.0.0/33", "10.0.0/8", "10.0.0.256", "fe80::/129", "http://x", "a b", "x/8", ".example.org", "a*b", "host:80"})
        test_false(address_rules_add(rules, text));
    address_bytes unused;
    test_false(address_read("localhost", unused));
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(some_addresses_are_never_fetched_from), cmocka_unit_test(public_and_private),
        cmocka_unit_test(blocks_and_hosts), cmocka_unit_test(what_is_no_rule)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
