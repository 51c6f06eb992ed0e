// SPDX-License-Identifier: MIT
// test/unit/kube/test_kubectl.cc: argument vectors and texts.
#include "node_test.h"

#include "base/limits.h"
#include "kube/kubectl.h"

using namespace etlnode;

static std::string joined(const proc_options &call)
{
    std::string out;
    for (const std::string &word : call.argv)
        out += (out.empty() ? "" : " ") + word;
    return out;
}

static void calls_are_spelled_out(void **)
{
    kubectl_program program = {"/opt/kubectl", "--namespace", "ais"};
    proc_options create = kubectl_create(program, "{}", "http://127.0.0.1:8082/v1/etl/_object/e/secret");
    test_eq(create.extra_env.size(), size_t{1});
    test_eq_text(create.extra_env[0], "KUBECTL_LOCAL_ALLOW_TARGET=http://127.0.0.1:8082");
    test_eq(kubectl_create(program, "{}", "").extra_env.size(), size_t{0});
    test_eq_text(joined(create), "/opt/kubectl --namespace ais create -f -");
    test_eq_text(create.input, "{}");
    test_eq(create.deadline_ms, kubectl_timeout_ms);
    test_eq_text(joined(kubectl_delete({"kubectl"}, "p-1", 2)), "kubectl delete pod p-1 --ignore-not-found --wait=true --grace-period=2");
    test_eq_text(joined(kubectl_delete({"kubectl"}, "p-1", 0)), "kubectl delete pod p-1 --ignore-not-found --wait=true");
    test_eq_text(joined(kubectl_logs({"kubectl"}, "p-1", "", false, 20, 5'000)), "kubectl logs p-1 --tail=20");
    test_eq_text(joined(kubectl_logs({"kubectl"}, "p-1", "", false, 20, 5'000, 3)), "kubectl logs p-1 --tail=20 --since=3s");
    test_eq_text(joined(kubectl_logs({"kubectl"}, "p-1", "setup", true, 20, 5'000)), "kubectl logs p-1 -c setup --tail=20 --previous");
    test_eq_text(joined(kubectl_list({"kubectl"}, "c1", "t1")), "kubectl get pods -l etlnode/cluster=c1,etlnode/target=t1 -o json");
    proc_options expose = kubectl_expose({"kubectl"}, "{}");
    test_eq_text(joined(expose), "kubectl create -f - -o jsonpath={.spec.ports[0].nodePort}");
    test_eq_text(expose.input, "{}");
    test_eq_text(joined(kubectl_get_port({"kubectl"}, "etl-a-1")), "kubectl get service etl-a-1 -o jsonpath={.spec.ports[0].nodePort}");
    proc_options watch = kubectl_watch({"kubectl"}, "c1", "t1");
    test_eq_text(joined(watch), "kubectl get pods -l etlnode/cluster=c1,etlnode/target=t1 --watch --output-watch-events -o json");
    test_eq(watch.deadline_ms, 0);
}

static void label_values_are_legal(void **)
{
    test_eq_text(kubectl_label_value("JGHEoo89gg"), "JGHEoo89gg");
    test_eq_text(kubectl_label_value("a.b_c-d"), "a.b_c-d");
    std::string odd = kubectl_label_value("-t1/x y-");
    test_true(odd.size() <= 63);
    test_eq_text(odd.substr(0, 7), "t1-x-y-");
    std::string large(300, 'a');
    std::string other = large + "b";
    test_true(kubectl_label_value(large).size() <= 63);
    test_true(kubectl_label_value(large) != kubectl_label_value(other));
    test_true(kubectl_label_value("---").front() == 'x');
}

static void failures_are_reported_in_kubectls_words(void **)
{
    proc_result result;
    result.exit_code = 1;
    result.err_text = "Error from server (Forbidden): pods is forbidden\n";
    test_eq_text(kubectl_failure_text(result, 30'000), "exit code 1: Error from server (Forbidden): pods is forbidden");
    result.deadline_passed = true;
    result.signal = 15;
    result.err_text = "";
    test_has_text(kubectl_failure_text(result, 30'000), "timeout: kubectl did not end within 30s");
    test_eq_text(
        kubectl_refusal_text({"/none/kubectl"}, make_error(error_code::no_such_file, "x")), "kubectl: program not found: /none/kubectl");
    test_eq_text(kubectl_refusal_text({"kubectl"}, make_error(error_code::permission, "program is not executable")),
        "kubectl: program is not executable: kubectl");
}

static void ports_are_read(void **)
{
    uint16_t port = 0;
    test_true(kubectl_parse_port("31234", port));
    test_eq(port, 31234);
    test_true(kubectl_parse_port("30000\n", port)); // as a shell wrapper around kubectl may print it
    test_eq(port, 30000);
    for (const char *text : {"", "0", "65536", "31234 31235", "service/etl-a-1 created", "-1", "0x10"})
        test_false(kubectl_parse_port(text, port));
    test_eq(port, 30000);
}

static void escaped_nul_is_survived(void **)
{
    json_ptr tree;
    std::string where;
    test_ok(kubectl_parse_json(R"({"message":"a\u0000b\\u0000c"})", tree, where));
    test_eq_text(json_text(tree.get(), "message"), "a\xef\xbf\xbd"
                                                   "b\\u0000c");
    tree.reset();
    where = std::string();
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_spelled_out),
        cmocka_unit_test(label_values_are_legal),
        cmocka_unit_test(failures_are_reported_in_kubectls_words),
        cmocka_unit_test(ports_are_read),
        cmocka_unit_test(escaped_nul_is_survived),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
