// SPDX-License-Identifier: MIT
// test/unit/kube/test_kubectl_fault.cc: how the node classifies kubectl's own words, as printed by 1.20 and 1.33.
#include "node_test.h"

#include "kube/kubectl_fault.h"

#define SA "system:serviceaccount:etlnode:etlnode-target"

using namespace etlnode;

static constexpr const char
    *create_forbidden = "Error from server (Forbidden): error when creating \"STDIN\": pods is forbidden: User \"" SA
                        "\" cannot create resource \"pods\" in API group \"\" in the namespace \"etlnode\"\n";

static kubectl_fault fault_of(const char *words, int exit_code = 1)
{
    proc_result result;
    result.exit_code = exit_code;
    result.err_text = words;
    return kubectl_fault_of(result);
}

struct said {
    const char *words;
    kubectl_fault fault;
};

static constexpr said all[] = {
    {create_forbidden, kubectl_fault::forbidden},
    {"Error from server (Forbidden): unknown (get pods)\n", kubectl_fault::forbidden},
    {"Error from server (Forbidden): error when creating \"STDIN\": pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, used: "
     "pods=1, limited: pods=1\n",
        kubectl_fault::forbidden},
    {"Error from server (AlreadyExists): error when creating \"STDIN\": pods \"x\" already exists\n", kubectl_fault::already_exists},
    {"Error from server (TooManyRequests): error when creating \"STDIN\": the server has received too many requests and has asked us to "
     "try again later (post pods)\n",
        kubectl_fault::too_many_requests},
    {"Error from server (InternalError): error when creating \"STDIN\": Internal error occurred: failed calling webhook\n",
        kubectl_fault::server_error},
    {"Error from server (ServiceUnavailable): error when creating \"STDIN\": the server is currently unable to handle the request (post "
     "pods)\n",
        kubectl_fault::server_error},
    {"Error from server: error when creating \"STDIN\": etcdserver: request timed out\n", kubectl_fault::server_error},
    {"Error from server: error when creating \"STDIN\": etcdserver: leader changed\n", kubectl_fault::server_error},
    {"Error from server (Timeout): error when creating \"STDIN\": request did not complete within requested timeout - context deadline "
     "exceeded\n",
        kubectl_fault::timeout},
    {"error: error when creating \"STDIN\": client rate limiter Wait returned an error: context deadline exceeded\n",
        kubectl_fault::timeout},
    {"error: error when creating \"STDIN\": Post \"http://h/api/v1/namespaces/etlnode/pods\": net/http: request canceled (Client.Timeout "
     "exceeded while awaiting headers)\n",
        kubectl_fault::timeout},
    {"Unable to connect to the server: net/http: TLS handshake timeout\n", kubectl_fault::timeout},
    {"The connection to the server 127.0.0.1:18777 was refused - did you specify the right host or port?\n", kubectl_fault::unreachable},
    {"error: error validating \"STDIN\": error validating data: failed to download openapi: Get "
     "\"http://127.0.0.1:18777/openapi/v2?timeout=4s\": dial tcp 127.0.0.1:18777: connect: "
     "connection refused; if you choose to ignore these errors, turn validation off with --validate=false\n",
        kubectl_fault::unreachable},
    {"Unable to connect to the server: EOF\n", kubectl_fault::unreachable},
    {"error: unexpected EOF\n", kubectl_fault::unreachable},
    {"Unable to connect to the server: dial tcp: lookup api.example.com: no such host\n", kubectl_fault::unreachable},
    {"Error from server (Expired): too old resource version: 1 (9)\n", kubectl_fault::expired},
    {"Error from server: the server responded with the status code 410 but did not return more information (get pods)\n",
        kubectl_fault::expired},
    {"Unable to connect to the server: x509: certificate signed by unknown authority\n", kubectl_fault::other},
    {"error: You must be logged in to the server (Unauthorized)\n", kubectl_fault::other},
    {"Error from server (Invalid): error when creating \"STDIN\": Pod \"x\" is invalid: spec.hostname: Invalid value: \"connection "
     "refused\"\n",
        kubectl_fault::other},
    {"Error from server (Conflict): error when creating \"STDIN\": Operation cannot be fulfilled on resourcequotas \"q\": the object has "
     "been modified\n",
        kubectl_fault::too_many_requests},
    {"", kubectl_fault::other},
};

static void words_have_a_kind(void **)
{
    for (const said &s : all)
        test_eq_text(std::string(kubectl_fault_names[static_cast<size_t>(fault_of(s.words))]) + ": " + s.words,
            std::string(kubectl_fault_names[static_cast<size_t>(s.fault)]) + ": " + s.words);
    test_true(fault_of(create_forbidden, 0) == kubectl_fault::none);
}

static void ends_have_a_kind(void **)
{
    proc_result result;
    test_true(kubectl_fault_of(result) == kubectl_fault::none);
    result.signal = 11;
    test_true(kubectl_fault_of(result) == kubectl_fault::killed);
    result.truncated = true;
    test_true(kubectl_fault_of(result) == kubectl_fault::output);
    result.deadline_passed = true;
    test_true(kubectl_fault_of(result) == kubectl_fault::timeout);
    result.err = make_error(error_code::io, "x");
    test_true(kubectl_fault_of(result) == kubectl_fault::not_started);
}

static void what_may_pass(void **)
{
    for (kubectl_fault fault : {kubectl_fault::timeout, kubectl_fault::unreachable, kubectl_fault::too_many_requests,
             kubectl_fault::server_error, kubectl_fault::expired})
        test_true(kubectl_fault_may_pass(fault));
    for (kubectl_fault fault : {kubectl_fault::none, kubectl_fault::not_started, kubectl_fault::killed, kubectl_fault::output,
             kubectl_fault::forbidden, kubectl_fault::already_exists, kubectl_fault::other})
        test_true(!kubectl_fault_may_pass(fault));
}

static void missing_rights_are_named(void **)
{
    test_eq_text(kubectl_missing_right(create_forbidden, false), "the Role needs verbs [create] on pods in namespace etlnode for " SA);
    test_eq_text(kubectl_missing_right("Error from server (Forbidden): pods is forbidden: User \"" SA
                                       "\" cannot list resource \"pods\" in API group \"\" in the namespace \"etlnode\"\n",
                     false),
        "the Role needs verbs [list] on pods in namespace etlnode for " SA);
    test_eq_text(kubectl_missing_right("Error from server (Forbidden): pods is forbidden: User \"" SA
                                       "\" cannot watch resource \"pods\" in API group \"\" in the namespace \"etlnode\"\n",
                     true),
        "the Role needs verbs [watch] on pods in namespace etlnode for " SA);
    test_eq_text(kubectl_missing_right("Error from server (Forbidden): pods \"x\" is forbidden: User \"" SA
                                       "\" cannot delete resource \"pods\" in API group \"\" in the namespace \"etlnode\"\n",
                     false),
        "the Role needs verbs [delete] on pods in namespace etlnode for " SA);
    test_eq_text(kubectl_missing_right("Error from server (Forbidden): pods \"x\" is forbidden: User \"" SA
                                       "\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"etlnode\"\n",
                     false),
        "the Role needs verbs [get] on pods/log in namespace etlnode for " SA);
    test_eq_text(kubectl_missing_right("Error from server (Forbidden): error when creating \"STDIN\": services is forbidden: User \"" SA
                                       "\" cannot create resource \"services\" in API group \"\" in the namespace \"etlnode\"\n",
                     false),
        "the Role needs verbs [create] on services in namespace etlnode for " SA);
    test_eq_text(kubectl_missing_right("Error from server (Forbidden): services \"etl-x-launch0001\" is forbidden: User \"" SA
                                       "\" cannot get resource \"services\" in API group \"\" in the namespace \"etlnode\"\n",
                     false),
        "the Role needs verbs [get] on services in namespace etlnode for " SA);
    // An addition by the authorizer, another API group, a user of the whole cluster.
    test_eq_text(kubectl_missing_right("Error from server (Forbidden): pods is forbidden: User \"" SA
                                       "\" cannot list resource \"pods\" in API group \"\" in the namespace \"etlnode\": RBAC: "
                                       "role.rbac.authorization.k8s.io \"r\" not found\n",
                     false),
        "the Role needs verbs [list] on pods in namespace etlnode for " SA);
    test_eq_text(kubectl_missing_right("Error from server (Forbidden): d.apps is forbidden: User \"bob\" cannot list resource "
                                       "\"deployments\" in API group \"apps\" at the cluster scope\n",
                     false),
        "the Role needs verbs [list] on deployments.apps in all namespaces for bob");
    // kubectl 1.20 omits the reason of a refused watch.
    test_eq_text(kubectl_missing_right("Error from server (Forbidden): unknown (get pods)\n", true),
        "the Role needs verbs [watch] on pods in the namespace and for the service account of this node");
}

static void other_refusals_are_not_the_roles(void **)
{
    for (const char *words : {
             "",
             "Error from server (Forbidden): unknown (get pods)\n",
             "Error from server (Forbidden): error when creating \"STDIN\": pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, "
             "used: pods=1, limited: pods=1\n",
             "Error from server (Forbidden): error when creating \"STDIN\": pods \"x\" is forbidden: violates PodSecurity "
             "\"restricted:latest\": allowPrivilegeEscalation != false (container "
             "\"server\" must set securityContext.allowPrivilegeEscalation=false)\n",
             "Error from server (Forbidden): error when creating \"STDIN\": services \"x\" is forbidden: exceeded quota: q, requested: "
             "services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1\n",
             "Error from server (Forbidden): pods is forbidden: User \"x",
             "Error from server (Forbidden): pods is forbidden: User \"x\" cannot create resource \"pods\"",
         })
        test_eq_text(kubectl_missing_right(words, false), "");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(words_have_a_kind),
        cmocka_unit_test(ends_have_a_kind),
        cmocka_unit_test(what_may_pass),
        cmocka_unit_test(missing_rights_are_named),
        cmocka_unit_test(other_refusals_are_not_the_roles),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
