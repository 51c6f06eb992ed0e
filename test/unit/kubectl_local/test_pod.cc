// SPDX-License-Identifier: MIT
// test of kubectl_local/pod, status, print and view: what becomes of a Pod object.
#include "node_test.h"

#include "base/text.h"
#include "kubectl_local/pod.h"
#include "kubectl_local/print.h"
#include "kubectl_local/probe.h"
#include "kubectl_local/quantity.h"
#include "kubectl_local/status.h"
#include "kubectl_local/view.h"

using namespace etlnode;
using namespace etlnode::kubectl_local;

struct fixture {
    json_ptr pod;
    pod_key key;
    pod_spec spec;
    pod_status status;
    std::string text;
    env_list env;
};

static int setup(void **state)
{
    *state = new fixture;
    return 0;
}

static int teardown(void **state)
{
    delete static_cast<fixture *>(*state);
    return 0;
}

static bool admit(fixture &f, const char *json, const char *ns = "default", bool given = false)
{
    f.pod.reset(cJSON_Parse(json));
    test_true(f.pod != nullptr);
    return pod_admit(f.pod.get(), ns, given, "node1", f.key, f.text);
}

#define POD(metadata, spec) "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":" metadata ",\"spec\":" spec "}"
#define CONTAINER(rest) "{\"containers\":[{\"name\":\"c\",\"image\":\"i\"" rest "}]}"

static void admission_completes(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_true(admit(f, POD("{\"name\":\"x\"}", CONTAINER(",\"ports\":[{\"containerPort\":80}]"))));
    test_eq_text(f.key.name, "x");
    test_eq_text(f.key.ns, "default");
    const cJSON *metadata = json_get(f.pod.get(), "metadata");
    test_eq(json_text(metadata, "uid").size(), size_t{36});
    test_eq_text(json_text(json_get(f.pod.get(), "spec"), "restartPolicy"), "Always");
    test_eq_text(json_text(json_get(f.pod.get(), "spec"), "nodeName"), "node1");
    test_eq_text(json_text(json_get(f.pod.get(), "status"), "phase"), "Pending");
    test_true(admit(f, POD("{\"generateName\":\"gen-\"}", CONTAINER(""))));
    test_true(f.key.name.starts_with("gen-"));
    test_eq(f.key.name.size(), size_t{9});
    test_true(admit(f, POD("{\"name\":\"x\",\"namespace\":\"other\"}", CONTAINER(""))));
    test_eq_text(f.key.ns, "other");
}

static void affinity_names_the_node(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_true(admit(f, POD("{\"name\":\"x\"}",
                           "{\"affinity\":{\"nodeAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":{\"nodeSelectorTerms\":"
                           "[{\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":\"In\",\"values\":[\"node7\"]}]}]}}},"
                           "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}")));
    test_eq_text(json_text(json_get(f.pod.get(), "spec"), "nodeName"), "node7");
}

static void admission_refuses(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    struct {
        const char *json;
        const char *message;
    } cases[] = {
        {"{\"apiVersion\":\"v1\"}", "kind not set"},
        {"{\"kind\":\"Pod\"}", "apiVersion not set"},
        {"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\"}", "no matches for kind \"Deployment\" in version \"apps/v1\""},
        {POD("{}", CONTAINER("")), "resource name may not be empty"},
        {POD("{\"name\":\"X\"}", CONTAINER("")), "The Pod \"X\" is invalid: metadata.name: Invalid value"},
        {POD("{\"name\":\"x\"}", "{}"), "The Pod \"x\" is invalid: spec.containers: Required value"},
        {POD("{\"name\":\"x\"}", "{\"containers\":[{}]}"), "* spec.containers[0].image: Required value"},
        {POD("{\"name\":\"x\"}", CONTAINER("},{\"name\":\"d\",\"image\":\"i\"")),
            "spec.containers[1]: 2 containers: kubectl-local runs one container per pod"},
        {POD("{\"name\":\"x\"}", CONTAINER(",\"ports\":[{\"containerPort\":70000}]")),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"},
        {POD("{\"name\":\"x\"}", CONTAINER(",\"command\":\"sh\"")),
            "json: cannot unmarshal string into Go struct field Container.spec.containers.command of type []string"},
        {POD("{\"name\":\"x\"}", CONTAINER(",\"env\":[{\"name\":\"A\",\"value\":1}]")),
            "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string"},
        {POD("{\"name\":\"x\",\"labels\":{\"a\":1}}", CONTAINER("")), "error: unable to decode \"STDIN\": json: cannot unmarshal number "
                                                                      "into Go struct field ObjectMeta.metadata.labels of type string"},
        {POD("{\"name\":\"x\"}", "{\"restartPolicy\":\"Maybe\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}"),
            "spec.restartPolicy: Unsupported value: \"Maybe\""},
        {POD("{\"name\":\"x\"}", CONTAINER(",\"comand\":[\"a\"],\"imagePullpolicy\":\"Never\"")),
            "strict decoding error: unknown field \"spec.containers[0].comand\" (did you mean command?), unknown field "
            "\"spec.containers[0].imagePullpolicy\" (did you mean imagePullPolicy?)"},
        {POD("{\"name\":\"x\"}", CONTAINER(",\"zzz\":1")), "unknown field \"spec.containers[0].zzz\""},
        {POD("{\"name\":\"x\"}", CONTAINER(",\"volumeMounts\":[{\"name\":\"nope\",\"mountPath\":\"/a\"}]")),
            "spec.containers[0].volumeMounts[0].name: Not found: \"nope\""},
        {POD("{\"name\":\"x\"}",
             "{\"volumes\":[{\"name\":\"v\",\"configMap\":{\"name\":\"m\"}}],\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}"),
            "The Pod \"x\" cannot run here, on a real cluster it can: spec.volumes[0].configMap: "},
    };
    for (const auto &one : cases) {
        test_false(admit(f, one.json));
        test_has_text(f.text, one.message);
    }
    test_false(admit(f, POD("{\"name\":\"x\",\"namespace\":\"other\"}", CONTAINER("")), "default", true));
    test_has_text(f.text, "does not match the namespace \"default\"");
}

#define SPEC(rest) "{" rest ",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}"
#define SEARCHES(list) POD("{\"name\":\"x\"}", SPEC("\"dnsConfig\":{\"searches\":" list "}"))

static void search_domains_are_checked(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    for (const char *good :
        {SEARCHES("[\".\"]"), SEARCHES("[\"_sip._tcp.abc_d.example.com\"]"), SEARCHES("[\"svc.cluster.local.\",\"a\"]")})
        test_true(admit(f, good));
    for (const char *bad : {SEARCHES("[\"\"]"), SEARCHES("[\"..\"]"), SEARCHES("[\"__a\"]"), SEARCHES("[\"a_\"]"), SEARCHES("[\"A\"]")}) {
        test_false(admit(f, bad));
        test_has_text(f.text, "spec.dnsConfig.searches[0]: Invalid value");
    }
    auto many = [](size_t count, size_t size) {
        std::string list = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"containers\":[{\"name\":"
                           "\"c\",\"image\":\"i\"}],\"dnsConfig\":{\"searches\":[";
        for (size_t i = 0; i < count; i++)
            list += (i > 0 ? ",\"" : "\"") + std::string(size, 'a') + "\"";
        return list + "]}}}";
    };
    test_true(admit(f, many(32, 63).c_str())); // 2,047 with the spaces
    test_false(admit(f, many(33, 1).c_str()));
    test_has_text(f.text, "must not have more than 32 search paths");
    test_false(admit(f, many(32, 64).c_str()));
    test_has_text(f.text, "must not have more than 2048 characters (including spaces) in the search list");
}

static void a_linux_pod_has_no_windows_options(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_true(admit(f, POD("{\"name\":\"x\"}", SPEC("\"securityContext\":{\"windowsOptions\":{\"runAsUserName\":\"u\"}}"))));
    test_false(admit(f,
        POD("{\"name\":\"x\"}", SPEC("\"os\":{\"name\":\"linux\"},\"securityContext\":{\"windowsOptions\":{\"runAsUserName\":\"u\"}}"))));
    test_has_text(f.text, "spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod");
    test_false(admit(f, POD("{\"name\":\"x\"}", "{\"os\":{\"name\":\"linux\"},\"containers\":[{\"name\":\"c\",\"image\":\"i\","
                                                "\"securityContext\":{\"windowsOptions\":{}}}]}")));
    test_has_text(f.text, "spec.containers[0].securityContext.windowsOptions: Forbidden");
}

static void spec_is_read(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_true(admit(
        f, POD("{\"name\":\"x\"}",
               "{\"terminationGracePeriodSeconds\":5,\"restartPolicy\":\"Never\",\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}},"
               "{\"name\":\"h\",\"hostPath\":{\"path\":\"/srv\"}}],\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"args\":[\"a\"],"
               "\"ports\":[{\"containerPort\":80,\"name\":\"web\"},{\"containerPort\":53,\"protocol\":\"UDP\"}],"
               "\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}],"
               "\"readinessProbe\":{\"httpGet\":{\"path\":\"health\",\"port\":\"web\"},\"periodSeconds\":3,\"initialDelaySeconds\":2},"
               "\"livenessProbe\":{\"tcpSocket\":{\"port\":80}}}]}")));
    pod_read_spec(f.pod.get(), f.spec);
    test_eq_text(f.spec.unsupported, "");
    test_eq(f.spec.grace_s, uint64_t{5});
    test_eq_enum(f.spec.restart, restart_policy::never);
    test_eq(f.spec.container.ports.size(), size_t{1});
    test_eq_enum(f.spec.container.readiness.kind, probe_kind::http);
    test_eq(f.spec.container.readiness.port, uint16_t{80});
    test_eq_text(f.spec.container.readiness.path, "/health");
    test_eq(f.spec.container.readiness.period_ms, uint64_t{3000});
    test_eq(f.spec.container.readiness.initial_delay_ms, uint64_t{2000});
    test_eq_enum(f.spec.container.liveness.kind, probe_kind::tcp);
    test_true(f.spec.volumes[1].is_host);
}

// The request is a single line, whatever the spec says, and it goes to the pod.
static void probes_ask_for_what_a_kubelet_asks_for(void **state)
{
    struct {
        const char *path;
        const char *sent;
    } cases[] = {
        {"", "/"},
        {"health", "/health"},
        {"/a/b", "/a/b"},
        {"/a b", "/a%20b"},
        {"/a%20b", "/a%20b"},
        {"/a?x=1&y=2", "/a?x=1&y=2"},
        {"/a#part", "/a"},
        {"/a?b c", "/a?b%20c"},
        {"?a", "/?a"},
        {"/x HTTP/1.1\r\nHost: evil\r\n\r\nGET /y", "/x%20HTTP/1.1%0D%0AHost:%20evil%0D%0A%0D%0AGET%20/y"},
        {"/a\nb?c%20#d", "/a%0Ab%3Fc%2520%23d"},
        {"/a%zz?b", "/a%25zz%3Fb"},
        {"/a%2", "/a%252"},
        {"/\xc3\xa4", "/%C3%A4"},
        {"/\"<>", "/%22%3C%3E"},
    };
    for (const auto &one : cases)
        test_eq_text(probe_path(one.path), one.sent);
    fixture &f = *static_cast<fixture *>(*state);
    auto read = [&](const char *probe) {
        std::string spec = std::string("{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"readinessProbe\":") + probe + "}]}";
        test_true(admit(f, ("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"},\"spec\":" + spec + "}").c_str()));
        pod_read_spec(f.pod.get(), f.spec);
        return f.spec.container.readiness;
    };
    test_eq_text(read("{\"httpGet\":{\"path\":\"/a\\r\\nb\",\"port\":80}}").path, "/a%0D%0Ab");
    test_eq_enum(read("{\"httpGet\":{\"port\":80,\"httpHeaders\":[{\"name\":\"A\",\"value\":\"b\\tc\"}]}}").kind, probe_kind::http);
    for (const char *bad : {"{\"httpGet\":{\"port\":80,\"httpHeaders\":[{\"name\":\"A\",\"value\":\"b\\r\\nc: d\"}]}}",
             "{\"httpGet\":{\"port\":80,\"httpHeaders\":[{\"name\":\"A\",\"value\":\"\\u0001\"}]}}",
             // `create` refuses these two (baseline), but older records may contain them.
             "{\"httpGet\":{\"host\":\"127.0.0.1\",\"port\":80}}", "{\"tcpSocket\":{\"host\":\"10.0.0.1\",\"port\":80}}"})
        test_eq_enum(read(bad).kind, probe_kind::unsupported);
}

static void root_is_refused_in_the_kubelets_words(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    struct {
        const char *pod;
        const char *container;
        const char *words;
    } cases[] = {
        {"{}", "{}", ""},
        {"{\"runAsNonRoot\":true}", "{}", "container has runAsNonRoot and image will run as root (pod: \"x_default("},
        {"{\"runAsNonRoot\":true}", "{\"runAsNonRoot\":false}", ""},
        {"{\"runAsUser\":0}", "{\"runAsNonRoot\":true}", "container's runAsUser breaks non-root policy (pod: \"x_default("},
        {"{\"runAsUser\":1000}", "{\"runAsUser\":0,\"runAsNonRoot\":true}", "container's runAsUser breaks non-root policy"},
    };
    for (const auto &one : cases) {
        std::string spec = text_format(
            "{\"securityContext\":%s,\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"securityContext\":%s}]}", one.pod, one.container);
        test_true(admit(f, ("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"},\"spec\":" + spec + "}").c_str()));
        pod_read_spec(f.pod.get(), f.spec);
        if (one.words[0] == 0)
            test_eq_text(f.spec.unsupported, "");
        else
            test_has_text(f.spec.unsupported, one.words);
    }
}

static void quantities(void **)
{
    struct {
        const char *text;
        double value;
    } good[] = {{"0", 0}, {"1", 1}, {"500m", 0.5}, {"1.5Gi", 1610612736.0}, {"2e3", 2000}, {"1E", 1e18}, {"1E3", 1000}, {"-1Ki", -1024},
        {".5", 0.5}, {"1.", 1}, {"12e-1", 1.2}, {"+", 0}, {".", 0}, {"+1", 1}, {"7n", 7e-9}};
    quantity q;
    std::string fault;
    for (const auto &one : good) {
        test_true(quantity_parse(one.text, q, fault));
        test_true(static_cast<double>(q.value) == one.value);
    }
    quantity same;
    test_true(quantity_parse("0.1", q, fault) && quantity_parse("100m", same, fault) && q.value == same.value);
    test_true(quantity_parse("2e-9", q, fault) && quantity_parse("2n", same, fault) && q.value == same.value);
    for (const char *bad : {"", "lots", "1 Mi", "16MB", "1.2.3", "1Mi ", "0x10"}) {
        test_false(quantity_parse(bad, q, fault));
        test_has_text(fault, "quantities must match");
    }
    for (const char *bad : {"1K", "1mi", "1ee", "1e", "1Mi2"}) {
        test_false(quantity_parse(bad, q, fault));
        test_eq_text(fault, "unable to parse quantity's suffix");
    }
}

static void names_are_checked(void **)
{
    for (const char *good : {"a", "a-b", "transformer-md5-fgjk3-node1", "a.b.c", "1"})
        test_true(pod_name_is_valid(good));
    for (const char *bad : {"", "-a", "a-", "A", "a_b", "..", "a..b", ".a", "a/b", "a\n"})
        test_false(pod_name_is_valid(bad));
    test_true(pod_name_is_valid(std::string(253, 'a')));
    test_false(pod_name_is_valid(std::string(254, 'a')));
    test_false(pod_label_is_valid(std::string(64, 'a')));
}

static void references_are_expanded(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    f.env = {{"A", "1"}, {"B", "two"}, {"A", "3"}};
    test_eq_text(pod_expand("$(A)-$(B)", f.env), "3-two");
    test_eq_text(pod_expand("$(NO) $$(A) $A ${A} $(", f.env), "$(NO) $(A) $A ${A} $(");
    test_eq_text(pod_expand("$$$(A)", f.env), "$3");
}

static void environment_and_command(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_true(
        admit(f, POD("{\"name\":\"x\"}", CONTAINER(",\"args\":[\"--port\",\"$(PORT)\"],\"env\":[{\"name\":\"PORT\",\"value\":\"81\"},"
                                                   "{\"name\":\"AIS_TARGET_URL\",\"value\":\"http://old\"},"
                                                   "{\"name\":\"IP\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"status.podIP\"}}}]"))));
    pod_read_spec(f.pod.get(), f.spec);
    image_config image;
    image.entrypoint = {"/server", "$(PORT)"};
    image.cmd = {"--default"};
    image.env = {{"PORT", "80"}, {"PATH", "/opt/bin"}};
    container_context place;
    place.pod_ip = "10.0.0.2";
    place.hostname = "x";
    place.target_url = "http://127.0.0.1:99/base";
    f.env = view_environment(f.spec.container, image, place);
    auto value = [&](const char *name) {
        for (const auto &[key, text] : f.env)
            if (key == name)
                return text;
        return std::string("-");
    };
    test_eq_text(value("PORT"), "81");
    test_eq_text(value("PATH"), "/opt/bin");
    test_eq_text(value("IP"), "10.0.0.2");
    test_eq_text(value("AIS_TARGET_URL"), "http://127.0.0.1:99/base");
    test_eq_text(value("HOSTNAME"), "x");
    std::vector<std::string> command = view_command(f.spec.container, image, f.env);
    test_eq(command.size(), size_t{4});
    test_eq_text(command[1], "$(PORT)"); // the image's words are taken as they stand
    test_eq_text(command[3], "81");
    f.spec.container.has_args = false;
    command = view_command(f.spec.container, image, f.env);
    test_eq_text(command.back(), "--default");
    f.spec.container.has_command = true;
    f.spec.container.command = {"/other"};
    command = view_command(f.spec.container, image, f.env);
    test_eq(command.size(), size_t{1}); // the image's arguments go with the image's entrypoint
}

static void status_survives_a_round(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_true(admit(f, POD("{\"name\":\"x\"}", CONTAINER(""))));
    f.status.phase = "Running";
    f.status.initialized = true;
    f.status.pod_ip = "10.0.0.2";
    f.status.started = 1'700'000'000;
    container_status &c = f.status.container;
    c.name = "c";
    c.id = "local://1";
    c.restarts = 2;
    c.ready = true;
    c.state.phase = container_phase::running;
    c.state.started = 1'700'000'100;
    c.has_last = true;
    c.last.phase = container_phase::terminated;
    c.last.exit_code = 137;
    c.last.reason = "Error";
    status_write(f.status, f.pod.get());
    const cJSON *tree = json_get(f.pod.get(), "status");
    test_eq(cJSON_GetArraySize(json_get(tree, "conditions")), 4);
    std::string since(json_text(cJSON_GetArrayItem(json_get(tree, "conditions"), 1), "lastTransitionTime"));
    pod_status back;
    // Convert to text and back, as if read from disk.
    f.pod.reset(cJSON_Parse(json_print(f.pod.get()).c_str()));
    status_read(f.pod.get(), back);
    test_eq_text(back.phase, "Running");
    test_eq(back.container.restarts, 2u);
    test_eq(back.container.last.exit_code, 137);
    test_eq(static_cast<int64_t>(back.container.state.started), int64_t{1'700'000'100});
    test_true(back.initialized);
    back.container.ready = false;
    status_write(back, f.pod.get());
    const cJSON *ready = cJSON_GetArrayItem(json_get(json_get(f.pod.get(), "status"), "conditions"), 1);
    test_eq_text(json_text(ready, "type"), "Ready");
    test_eq_text(json_text(ready, "status"), "False");
    test_eq_text(json_text(ready, "reason"), "ContainersNotReady");
    const cJSON *initialized = cJSON_GetArrayItem(json_get(json_get(f.pod.get(), "status"), "conditions"), 0);
    test_eq_text(json_text(initialized, "lastTransitionTime"), since); // same status, same time
}

static void rows_read_as_kubectls(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    struct {
        const char *pod;
        const char *cells;
    } cases[] = {
        {"{\"metadata\":{\"name\":\"a\"},\"spec\":{\"containers\":[{}]},\"status\":{\"phase\":\"Pending\"}}", "a 0/1 Pending 0 <unknown>"},
        {"{\"metadata\":{\"name\":\"a\",\"creationTimestamp\":\"2023-11-14T22:13:20Z\"},\"spec\":{\"containers\":[{}]},\"status\":{"
         "\"phase\":\"Running\","
         "\"containerStatuses\":[{\"ready\":true,\"restartCount\":2,\"state\":{\"running\":{}},\"lastState\":{\"terminated\":{"
         "\"finishedAt\":\"2023-11-14T22:13:50Z\"}}}]}}",
            "a 1/1 Running 2 (10s ago) 40s"},
        {"{\"metadata\":{\"name\":\"a\",\"deletionTimestamp\":\"2023-11-14T22:13:20Z\"},\"spec\":{\"containers\":[{}]},\"status\":{"
         "\"phase\":\"Running\"}}",
            "a 0/1 Terminating 0 <unknown>"},
        {"{\"metadata\":{\"name\":\"a\"},\"spec\":{\"containers\":[{}],\"initContainers\":[{},{}]},\"status\":{\"phase\":\"Pending\","
         "\"initContainerStatuses\":"
         "[{\"state\":{\"terminated\":{\"exitCode\":0}}},{\"state\":{\"running\":{}}}]}}",
            "a 0/1 Init:1/2 0 <unknown>"},
        {"{\"metadata\":{\"name\":\"a\"},\"spec\":{\"containers\":[{}]},\"status\":{\"phase\":\"Pending\",\"containerStatuses\":"
         "[{\"state\":{\"waiting\":{\"reason\":\"ErrImagePull\"}}}]}}",
            "a 0/1 ErrImagePull 0 <unknown>"},
    };
    for (const auto &one : cases) {
        f.pod.reset(cJSON_Parse(one.pod));
        std::string cells;
        for (const std::string &cell : print_pod_cells(f.pod.get(), false, false, 1'700'000'040))
            cells += (cells.empty() ? "" : " ") + cell;
        test_eq_text(cells, one.cells);
    }
    table t;
    test_eq_text(print_rows(t, {print_pod_header(false, false), {"p", "1/1", "Running", "0", "5s"}}),
        "NAME   READY   STATUS    RESTARTS   AGE\np      1/1     Running   0          5s\n");
}

static void ages(void **)
{
    struct {
        uint64_t seconds;
        const char *text;
    } cases[] = {{0, "0s"}, {119, "119s"}, {120, "2m"}, {135, "2m15s"}, {600, "10m"}, {10'800, "3h"}, {11'000, "3h3m"}, {90'000, "25h"},
        {180'000, "2d2h"}, {700'000, "8d"}, {86'400ull * 800, "2y70d"}, {86'400ull * 4000, "10y"}};
    for (const auto &one : cases)
        test_eq_text(print_age(one.seconds), one.text);
}

static void json_and_templates(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    f.pod.reset(cJSON_Parse("{\"b\":[1,{}],\"a\":{\"name\":\"x\"},\"c\":[]}"));
    test_eq_text(print_json(f.pod.get()),
        "{\n    \"a\": {\n        \"name\": \"x\"\n    },\n    \"b\": [\n        1,\n        {}\n    ],\n    \"c\": []\n}\n");
    output_format format;
    std::string out;
    test_true(print_parse_format("go-template={{.a.name}}!{{.b}}", "", format, f.text));
    test_true(print_template(f.pod.get(), format, out, f.text));
    test_eq_text(out, "x![1,{}]");
    test_true(print_parse_format("", "{{ .a.nope }}", format, f.text));
    test_true(print_template(f.pod.get(), format, out, f.text));
    test_eq_text(out, "<no value>");
    test_true(print_parse_format("jsonpath={.b[0]}", "", format, f.text));
    test_true(print_template(f.pod.get(), format, out, f.text));
    test_eq_text(out, "1");
    for (const char *bad : {"go-template={{range .b}}", "go-template={{", "jsonpath={.b[x]}", "jsonpath={}", "go-template={{.}"}) {
        test_true(print_parse_format(bad, "", format, f.text));
        test_false(print_template(f.pod.get(), format, out, f.text));
    }
    test_false(print_parse_format("foo", "", format, f.text));
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(admission_completes, setup, teardown),
        cmocka_unit_test_setup_teardown(affinity_names_the_node, setup, teardown),
        cmocka_unit_test_setup_teardown(admission_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(search_domains_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_linux_pod_has_no_windows_options, setup, teardown),
        cmocka_unit_test_setup_teardown(spec_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(probes_ask_for_what_a_kubelet_asks_for, setup, teardown),
        cmocka_unit_test_setup_teardown(root_is_refused_in_the_kubelets_words, setup, teardown),
        cmocka_unit_test(quantities),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test_setup_teardown(references_are_expanded, setup, teardown),
        cmocka_unit_test_setup_teardown(environment_and_command, setup, teardown),
        cmocka_unit_test_setup_teardown(status_survives_a_round, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_read_as_kubectls, setup, teardown),
        cmocka_unit_test(ages),
        cmocka_unit_test_setup_teardown(json_and_templates, setup, teardown),
    };
    return cmocka_run_group_tests_name("local_pod", tests, nullptr, nullptr);
}
