// SPDX-License-Identifier: MIT
// Placement compared with the values that AIStore's own clients compute (docs/PROTOCOL.md "Placement").
#include "node_test.h"

#include <array>

#include "control/placement.h"

using namespace etlnode;

static void mix_agrees_with_aistore(void **)
{
    test_eq(placement_mix(0), 1905207664160064169ull);
    test_eq(placement_mix(4573842), 5026071747115404967ull);
}

static void digest_agrees_with_aistore(void **)
{
    test_eq(placement_digest(""), 12295767445558623539ull);
    test_eq(placement_digest("t1"), 14214570646889990061ull);
    test_eq(placement_digest("abcdefgh"), 2400224232631673582ull);
    test_eq(placement_digest("ais/@#/bck/obj"), 7636710260493408699ull);
    test_eq(placement_digest("ais/@#/transform/shard.in"), 7503678393985034882ull);
    test_eq(placement_digest("t1aaaaaa"), 7121389483902232619ull);
    test_eq(placement_digest("t2bbbbbb"), 14038709307019125995ull);
    test_eq(placement_digest("t3cccccc"), 10952930699838777106ull);
    test_eq(placement_digest("t4dddddd"), 8468611682744760738ull);
}

static void uname_digest_is_the_digest_of_the_uname(void **)
{
    test_eq_text(placement_uname("bck", "dir/obj"), "ais/@#/bck/dir/obj");
    test_eq(placement_uname_digest("bck", "obj"), 7636710260493408699ull);
    test_eq(placement_uname_digest("transform", "shard.in"), 7503678393985034882ull);
    test_eq(placement_uname_digest("b", ""), placement_digest("ais/@#/b/"));
}

static constexpr std::array<std::string_view, 4> ids = {"t1aaaaaa", "t2bbbbbb", "t3cccccc", "t4dddddd"};

static std::array<uint64_t, 4> digests()
{
    std::array<uint64_t, 4> out{};
    for (size_t i = 0; i < ids.size(); i++)
        out[i] = placement_digest(ids[i]);
    return out;
}

static void weights_agree_with_aistore(void **)
{
    constexpr std::array<uint64_t, 4> expected = {
        17329135755146312045ull, 15743352094416991630ull, 12330897263715480520ull, 12868103014287908202ull};
    uint64_t uname = placement_uname_digest("transform", "shard.in");
    std::array<uint64_t, 4> nodes = digests();
    for (size_t i = 0; i < nodes.size(); i++)
        test_eq(placement_weight(uname, nodes[i]), expected[i]);
    test_eq(placement_choose(uname, nodes, {}), 0u);
}

static void winners_agree_with_aistore(void **)
{
    std::array<uint64_t, 4> nodes = digests();
    test_eq(placement_choose(placement_uname_digest("bck", "obj"), nodes, {}), 3u);
    test_eq(placement_choose(placement_uname_digest("bck", "dir/obj-0001.tar"), nodes, {}), 0u);
    test_eq(placement_choose(placement_uname_digest("bck", "你好世界"), nodes, {}), 0u);
}

static void skipped_nodes_lose(void **)
{
    std::array<uint64_t, 4> nodes = digests();
    uint64_t uname = placement_uname_digest("transform", "shard.in");
    std::array<bool, 4> skip = {true, false, false, false};
    test_eq(placement_choose(uname, nodes, skip), 1u); // the second largest weight
    skip = {true, true, true, true};
    test_eq(placement_choose(uname, nodes, skip), SIZE_MAX);
    test_eq(placement_choose(uname, {}, {}), SIZE_MAX);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(mix_agrees_with_aistore),
        cmocka_unit_test(digest_agrees_with_aistore),
        cmocka_unit_test(uname_digest_is_the_digest_of_the_uname),
        cmocka_unit_test(weights_agree_with_aistore),
        cmocka_unit_test(winners_agree_with_aistore),
        cmocka_unit_test(skipped_nodes_lose),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
