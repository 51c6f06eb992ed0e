// SPDX-License-Identifier: MIT
// test of kubectl_local/baseline and kubectl_local/allow: forbidden features of a pod, their messages, and grants by the owner only.
#include "node_test.h"

#include <cstdlib>

#include <sys/stat.h>

#include "kubectl_local/baseline.h"
#include "kubectl_local/os.h"

using namespace etlnode;
using namespace etlnode::kubectl_local;

static std::string checked(const std::string &json, const allow_list &allowed, std::string &hint)
{
    json_ptr pod(cJSON_Parse(json.c_str()));
    test_true(pod != nullptr);
    return baseline_violations(pod.get(), allowed, hint);
}

static const char prefix[] = "violates PodSecurity \"baseline:latest\": ";

static void what_the_standard_forbids_is_named(void **)
{
    struct {
        const char *spec;
        const char *words;
    } cases[] = {
        {R"("hostNetwork":true,"hostPID":true,"hostIPC":true)", "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)"},
        {R"("volumes":[{"name":"a","hostPath":{"path":"/"}},{"name":"b","emptyDir":{}}])", "hostPath volumes (volume \"a\")"},
        {R"("volumes":[{"name":"a","hostPath":{"path":"/x"}},{"name":"b","hostPath":{"path":"../y"}}])",
            "hostPath volumes (volumes \"a\", \"b\")"},
        {R"("containers":[{"name":"c","ports":[{"containerPort":80,"hostPort":8080}]}])", "hostPort (container \"c\" uses hostPort 8080)"},
        {R"("initContainers":[{"name":"i","ports":[{"containerPort":80,"hostPort":1}]}],"containers":[{"name":"c","ports":[{"containerPort":80,"hostPort":2}]}])",
            "hostPort (containers \"i\", \"c\" use hostPorts 1, 2)"},
        {R"("containers":[{"name":"c","livenessProbe":{"httpGet":{"host":"169.254.169.254","port":80}}}])",
            "probe or lifecycle host (container \"c\" uses probe or lifecycle host \"169.254.169.254\")"},
        {R"("initContainers":[{"name":"i","startupProbe":{"tcpSocket":{"host":"b","port":80}}}],"containers":[{"name":"c","readinessProbe":{"tcpSocket":{"host":"127.0.0.1","port":80}},"lifecycle":{"preStop":{"httpGet":{"host":"a","port":1}},"postStart":{"httpGet":{"host":"","port":1}}}}])",
            "probe or lifecycle host (containers \"i\", \"c\" use probe or lifecycle hosts \"127.0.0.1\", \"a\", \"b\")"},
        {R"("containers":[{"name":"c","securityContext":{"privileged":true}}])",
            "privileged (container \"c\" must not set securityContext.privileged=true)"},
        {R"("containers":[{"name":"c","securityContext":{"capabilities":{"add":["CHOWN","SYS_ADMIN","NET_RAW"]}}}])",
            "non-default capabilities (container \"c\" must not include \"NET_RAW\", \"SYS_ADMIN\" in securityContext.capabilities.add)"},
        {R"("containers":[{"name":"c","securityContext":{"capabilities":{"add":["ALL"]}}}])",
            "non-default capabilities (container \"c\" must not include \"ALL\" in securityContext.capabilities.add)"},
        {R"("containers":[{"name":"c","securityContext":{"procMount":"Unmasked"}}])",
            "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")"},
        {R"("securityContext":{"seccompProfile":{"type":"Unconfined"}})",
            "seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\")"},
        {R"("containers":[{"name":"c","securityContext":{"seccompProfile":{"type":"Unconfined"}}}])",
            "seccompProfile (container \"c\" must not set securityContext.seccompProfile.type to \"Unconfined\")"},
        {R"("securityContext":{"sysctls":[{"name":"kernel.msgmax","value":"1"},{"name":"net.ipv4.ip_unprivileged_port_start","value":"0"}]})",
            "forbidden sysctls (kernel.msgmax)"},
        {R"("securityContext":{"appArmorProfile":{"type":"Unconfined"}})",
            "forbidden AppArmor profile (pod must not set AppArmor profile type to \"Unconfined\")"},
        {R"("securityContext":{"seLinuxOptions":{"type":"spc_t","user":"u"}})",
            "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type \"spc_t\"; user may not be set)"},
        {R"("securityContext":{"windowsOptions":{"hostProcess":true}})",
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)"},
        {R"("hostNetwork":true,"containers":[{"name":"c","securityContext":{"privileged":true}}])",
            "host namespaces (hostNetwork=true), privileged (container \"c\" must not set securityContext.privileged=true)"},
    };
    for (const auto &one : cases) {
        std::string hint;
        test_eq_text(checked(std::string("{\"metadata\":{},\"spec\":{") + one.spec + "}}", {}, hint), std::string(prefix) + one.words);
    }
    std::string hint;
    test_eq_text(
        checked(R"({"metadata":{"annotations":{"container.apparmor.security.beta.kubernetes.io/c":"unconfined"}},"spec":{}})", {}, hint),
        std::string(prefix) + "forbidden AppArmor profile (container.apparmor.security.beta.kubernetes.io/c=\"unconfined\")");
}

static void what_the_standard_allows_passes(void **)
{
    for (const char *spec :
        {R"("hostNetwork":false)",
            R"("containers":[{"name":"c","securityContext":{"privileged":false,"capabilities":{"add":["NET_BIND_SERVICE","CHOWN"],"drop":["ALL"]}}}])",
            R"("securityContext":{"seccompProfile":{"type":"RuntimeDefault"},"runAsUser":0,"sysctls":[{"name":"net.ipv4.tcp_rmem","value":"1"}]})",
            R"("containers":[{"name":"c","readinessProbe":{"httpGet":{"host":"","port":80}},"livenessProbe":{"tcpSocket":{"port":80}}}])",
            R"("containers":[{"name":"c","ports":[{"containerPort":80,"hostPort":0}],"securityContext":{"procMount":"Default","seLinuxOptions":{"type":"container_t","level":"s0"}}}])"}) {
        std::string hint;
        test_eq_text(checked(std::string("{\"metadata\":{},\"spec\":{") + spec + "}}", {}, hint), "");
    }
}

static void only_the_owner_grants(void **)
{
    allow_list allowed;
    allowed.paths = {{"/srv/models", false}, {"/srv/scratch", true}};
    auto pod = [](const char *path, const char *mount) {
        return std::string(R"({"metadata":{},"spec":{"volumes":[{"name":"v","hostPath":{"path":")") + path +
               R"("}}],"containers":[{"name":"c","volumeMounts":[{"name":"v","mountPath":"/v")" + mount + "}]}]}}";
    };
    std::string hint;
    test_eq_text(checked(pod("/srv/models", ",\"readOnly\":true"), allowed, hint), "");
    test_eq_text(checked(pod("/srv//models/./big/", ",\"readOnly\":true"), allowed, hint), "");
    test_eq_text(checked(pod("/srv/scratch/a", ""), allowed, hint), "");
    test_eq_text(checked(pod("/srv/models", ""), allowed, hint), std::string(prefix) + "hostPath volumes (volume \"v\")");
    test_eq_text(hint, "--allow-host-path /srv/models:rw");
    for (const char *path : {"/srv/models2", "/srv", "/", "/srv/models/../secret", "srv/models", ""})
        test_eq_text(checked(pod(path, ",\"readOnly\":true"), allowed, hint), std::string(prefix) + "hostPath volumes (volume \"v\")");
    test_eq_text(checked(R"({"metadata":{},"spec":{"hostNetwork":true}})", allowed, hint),
        std::string(prefix) + "host namespaces (hostNetwork=true)");
    test_eq_text(hint, "--allow-host-network");
    allowed.host_network = true;
    test_eq_text(checked(R"({"metadata":{},"spec":{"hostNetwork":true}})", allowed, hint), "");
    // No flag is suggested if none helps.
    test_true(!checked(R"({"metadata":{},"spec":{"hostNetwork":true,"hostPID":true}})", {}, hint).empty());
    test_eq_text(hint, "");
}

static void grants_come_from_the_file_and_from_the_caller(void **)
{
    char path[] = "/tmp/test-allow-XXXXXX";
    local_state state;
    state.dir = mkdtemp(path);
    std::string file = state.dir + "/allow.yaml";
    allow_list list;
    std::string text;
    test_true(allow_read(state, list, text));
    test_eq(list.paths.size(), size_t{0});
    test_true(os_write_file(file,
        "hostPaths:\n- path: /srv/models\n- path: /srv/scratch/\n  access: rw\nhostNetwork: true\ntargets:\n- "
        "http://127.0.0.1:8082/v1/x\n- http://Node1\n",
        0600));
    setenv("KUBECTL_LOCAL_ALLOW_TARGET", "http://127.0.0.1:9", 1);
    setenv("KUBECTL_LOCAL_ALLOW_HOST_PATH", "/a:rw\n/b", 1);
    test_true(allow_read(state, list, text));
    test_true(list.host_network);
    test_eq(list.paths.size(), size_t{4});
    test_eq_text(list.paths[1].path, "/srv/scratch");
    test_true(!list.paths[0].writable && list.paths[1].writable && list.paths[2].writable && !list.paths[3].writable);
    json_ptr tree = allow_to_json(list);
    allow_list again;
    allow_from_json(tree.get(), again);
    test_eq(again.paths.size(), size_t{4});
    for (const char *good : {"http://127.0.0.1:8082", "http://127.0.0.1:8082/v1/etl/_object/x/secret", "http://node1/", "http://node1:80",
             "http://127.0.0.1:9/x"})
        test_true(allow_has_target(again, good));
    for (const char *other :
        {"", "http://127.0.0.1:8083", "http://127.0.0.1", "http://127.0.0.1:80820", "http://127.0.0.1:8082@10.0.0.1:8082/",
            "http://10.0.0.1/127.0.0.1:8082", "https://127.0.0.1:8082", "127.0.0.1:8082", "http://node1.example.org"})
        test_false(allow_has_target(again, other));
    unsetenv("KUBECTL_LOCAL_ALLOW_TARGET");
    test_true(again.host_network && again.paths[1].writable && again.paths[1].path == "/srv/scratch");
    unsetenv("KUBECTL_LOCAL_ALLOW_HOST_PATH");
    for (const char *bad : {"hostPaths: /x\n", "hostPaths:\n- /x\n", "hostPaths:\n- path: x\n", "hostPaths:\n- path: /x/../y\n",
             "hostPath: []\n", "hostNetwork: perhaps\n", "hostPaths:\n- path: /x\n  access: all\n", "- /x\n", "targets: http://a\n",
             "targets:\n- a:80\n", "targets:\n- {url: http://a}\n", "target: []\n"}) {
        test_true(os_write_file(file, bad, 0600));
        test_false(allow_read(state, list, text));
        test_eq(list.paths.size(), size_t{0});
        test_false(list.host_network);
        test_eq(list.targets.size(), size_t{0});
    }
    test_true(os_write_file(file, "hostNetwork: true\n", 0600));
    for (const char *strange : {"https://node1:8443", "http://[::1]:80", "", "x"}) {
        setenv("KUBECTL_LOCAL_ALLOW_TARGET", strange, 1);
        test_true(allow_read(state, list, text));
        test_true(list.host_network && list.targets.empty());
    }
    unsetenv("KUBECTL_LOCAL_ALLOW_TARGET");
    test_eq(chmod(file.c_str(), 0666), 0);
    test_false(allow_read(state, list, text));
    test_false(list.host_network);
    test_has_text(text, "is writable by others");
    test_true(os_remove_tree(state.dir));
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_standard_forbids_is_named),
        cmocka_unit_test(what_the_standard_allows_passes),
        cmocka_unit_test(only_the_owner_grants),
        cmocka_unit_test(grants_come_from_the_file_and_from_the_caller),
    };
    return cmocka_run_group_tests_name("local_baseline", tests, nullptr, nullptr);
}
