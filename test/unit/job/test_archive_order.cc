// SPDX-License-Identifier: MIT
// test of job/archive_order: what an archive is made of, in which order, and what is refused.
#include "node_test.h"

#include "job/archive_order.h"

using namespace etlnode;

static std::string read(const std::string &fields, archive_order &out_order)
{
    json_ptr tree;
    std::string where;
    test_ok(json_parse("{" + fields + R"(,"to":"b","at":"t1"})", tree, where));
    return archive_order_read(tree.get(), out_order);
}

static std::string verdict(const std::string &fields)
{
    archive_order order;
    if (std::string wrong = read(fields, order); !wrong.empty())
        return wrong;
    std::string out = order.to_name + " " + order.mime + (order.with_bucket ? " isbn" : "") + (order.continues ? " coer" : "");
    for (const std::string &name : order.names)
        out += " " + name;
    return out;
}

static void members_keep_their_order(void **)
{
    test_eq_text(verdict(R"("archname":"a.tgz","objnames":["z","a","m"],"isbn":true,"coer":true)"), "a.tgz .tgz isbn coer z a m");
    test_eq_text(verdict(R"("archname":"a","mime":"tar","template":"x{08..10}y{1..3..2}")"), "a .tar x08y1 x08y3 x09y1 x09y3 x10y1 x10y3");
    test_eq_text(verdict(R"("archname":"a.tar.gz","template":"x{9..11..2}")"), "a.tar.gz .tar.gz x9 x11");
}

static void a_long_list_stands_elsewhere(void **)
{
    test_has_text(verdict(R"("archname":"a.tar","objnames":[],"objnames_count":2)"), "the list is empty");
    archive_order order;
    test_eq_text(read(R"("archname":"a.tar","objnames":["x"],"objnames_count":1,"aate":true)", order), "");
    test_true(order.appends);
}

static void what_is_refused(void **)
{
    test_has_text(verdict(R"("archname":"a.tar")"), "which objects are the members?");
    test_has_text(verdict(R"("archname":"a.tar","template":"prefix")"), "A prefix alone is not enough");
    test_has_text(verdict(R"("archname":"a.tar","template":"x{0..100000}")"), "more than 100000 names");
    test_has_text(verdict(R"("archname":"a.rar","objnames":["x"])"), "expected .tar");
    test_has_text(verdict(R"("archname":"../a.tar","objnames":["x"])"), "archname: invalid object name");
    test_has_text(verdict(R"("archname":"a.tar","objnames":[1])"), "objnames");
    test_has_text(verdict(R"("archname":1,"objnames":["x"])"), "archname");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(members_keep_their_order), cmocka_unit_test(a_long_list_stands_elsewhere), cmocka_unit_test(what_is_refused)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
