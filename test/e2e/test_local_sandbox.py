#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# test/e2e/test_local_sandbox.py: what a pod of kubectl-local cannot reach, and what it is inside. TAP on stdout.
#
#   test_local_sandbox.py [PATH-TO-KUBECTL-LOCAL [CASE...]]
import json
import os
import time

from local import Allowed, IMAGE, is_ready, main, soon, status, waiting


def refused(r, spec, *words, env=None):
    for name, value in (env or {}).items():
        os.environ[name] = value
    try:
        done = r.k("create", "-f", "-", stdin=json.dumps(spec), check=False)
    finally:
        for name in env or {}:
            del os.environ[name]
    assert done.returncode == 1 and not done.stdout, (done.returncode, done.stdout, done.stderr)
    for word in words:
        assert word in done.stderr, (word, done.stderr)
    assert r.get(spec["metadata"]["name"]) is None
    return done.stderr


def a_spec_grants_nothing(r):
    secret = os.path.join(r.directory, "secret")
    os.makedirs(secret, exist_ok=True)
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/host"}]}
    refused(r, r.spec("path", volumes=[{"name": "v", "hostPath": {"path": secret}}], container=mount),
            'Error from server (Forbidden): error when creating "STDIN": pods "path" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes (volume "v")\n',
            "etlnode --allow-host-path %s:rw, or %s/allow.yaml" % (secret, r.state))
    # Unmounted, too: the API server does not look at mounts.
    refused(r, r.spec("path", volumes=[{"name": "v", "hostPath": {"path": "/"}}]), 'hostPath volumes (volume "v")', "--allow-host-path /,")
    refused(r, r.spec("net", hostNetwork=True), "host namespaces (hostNetwork=true)", "etlnode --allow-host-network, or")
    for more, words in (({"hostPID": True}, "host namespaces (hostPID=true)"), ({"hostIPC": True}, "host namespaces (hostIPC=true)"),
                        ({"container": {"securityContext": {"privileged": True}}}, 'privileged (container "server"'),
                        ({"container": {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}}, '"SYS_ADMIN" in securityContext.capabilities.add'),
                        ({"container": {"ports": [{"containerPort": 80, "hostPort": 81}]}}, 'hostPort (container "server" uses hostPort 81)'),
                        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, "seccompProfile (pod must not set"),
                        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "forbidden sysctls (kernel.msgmax)")):
        text = refused(r, r.spec("more", **more), words)
        assert "The owner of this machine" not in text, text
    # Annotations and environment of the pod are words of the spec.
    spec = r.spec("net", hostNetwork=True, container={"env": [{"name": "KUBECTL_LOCAL_ALLOW_HOST_NETWORK", "value": "true"}]})
    spec["metadata"]["annotations"] = {"hostNetwork": "true", "allow-host-network": "true"}
    refused(r, spec, "hostNetwork=true")


def the_owner_grants_by_file_or_by_the_caller(r):
    shared = os.path.join(r.directory, "shared")
    os.makedirs(os.path.join(shared, "below"), exist_ok=True)
    with open(os.path.join(shared, "below/word"), "w") as file:
        file.write("allowed")

    def pod(name, path, read_only):
        return r.spec(name, volumes=[{"name": "v", "hostPath": {"path": path}}],
                      container={"volumeMounts": [{"name": "v", "mountPath": "/host", "readOnly": read_only}]})
    with Allowed(r, "hostPaths: [{path: '%s'}]\n" % shared):
        refused(r, pod("write", shared, False), "hostPath volumes", "--allow-host-path %s:rw" % shared)
        refused(r, pod("beside", shared + "2", True), "hostPath volumes")
        refused(r, pod("above", r.directory, True), "hostPath volumes")
        refused(r, pod("around", shared + "/../image", True), "hostPath")
        r.k("create", "-f", "-", stdin=json.dumps(pod("reader", shared + "/below", True)))
    running = r.ready("reader")
    assert r.http(running, "/file/host/word") == b"allowed"
    assert r.http(running, "/writable/host/word") != b"writable"
    os.environ["KUBECTL_LOCAL_ALLOW_HOST_PATH"] = "/nowhere\n%s:rw" % shared
    try:
        r.k("create", "-f", "-", stdin=json.dumps(pod("writer", shared, False)))
    finally:
        del os.environ["KUBECTL_LOCAL_ALLOW_HOST_PATH"]
    assert r.http(r.ready("writer"), "/write/host/below/new") == b"ok"
    with open(os.path.join(shared, "below/new")) as file:
        assert file.read() == "written\n"
    r.delete("reader", "writer")


CASES = [a_spec_grants_nothing, the_owner_grants_by_file_or_by_the_caller]

main(CASES)
