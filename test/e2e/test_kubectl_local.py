#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kubectl-local as kubectl: its commands, messages and output, as root and as an ordinary user. TAP on stdout.

    test_kubectl_local.py [PATH-TO-KUBECTL-LOCAL [CASE...]]
"""
import json
import os
import shutil
import subprocess
import time

from local import HandedOver, IMAGE, SERVER, Target, Watch, condition, is_ready, main, nothing_is_left, soon, status, waiting


def refusals(r):
    def fails(message, *args, stdin=None):
        done = r.k(*args, stdin=stdin, check=False)
        assert done.returncode == 1 and message in done.stderr, (args, done.returncode, done.stderr)
    fails('Error from server (NotFound): pods "x" not found', "get", "pod", "x")
    fails('Error from server (NotFound): pods "x" not found', "delete", "pod", "x")
    fails('Error from server (NotFound): pods "x" not found', "logs", "x")
    fails('Error from server (NotFound): pods "x" not found', "wait", "--for=condition=Ready", "pod/x")
    fails('unknown command "frob" for "kubectl-local"', "frob")
    fails("unknown flag: --zap", "get", "pods", "--zap")
    fails("the server doesn't have a resource type \"services\"", "get", "services")
    fails("exec is not supported", "exec", "x", "--", "ls")
    fails('The Pod "x" is invalid: spec.containers[0].image: Required value', "create", "-f", "-",
          stdin=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [{"name": "c"}]}}))
    fails("error parsing STDIN", "create", "-f", "-", stdin="kind: Pod\n  bad: [")
    fails("does not support digests", "image", "a/b@sha256:0123", r.directory)
    r.create("twice", ("idle",))
    fails('Error from server (AlreadyExists): error when creating "STDIN": pods "twice" already exists', "create", "-f", "-", stdin=json.dumps(r.spec("twice")))
    saved = json.loads(r.k("get", "pod", "twice", "-o", "json").stdout)
    saved["metadata"]["name"] = "again"
    fails('Error from server: error when creating "STDIN": resourceVersion should not be set on objects to be created', "create", "-f", "-", stdin=json.dumps(saved))
    assert r.k("get", "pod", "x", "--ignore-not-found").stdout == ""
    r.delete("twice", "x")


def unknown_image(r):
    r.create("noimage", container={"image": "example.org/no/such:v9"})
    pod = r.wait("noimage", "ErrImagePull", lambda pod: waiting(pod).get("reason") in ("ErrImagePull", "ImagePullBackOff"))
    message = waiting(pod)["message"]
    assert "kubectl-local --state-dir=%s image example.org/no/such:v9 DIR" % r.state in message, message
    assert pod["status"]["phase"] == "Pending"
    r.wait("noimage", "ImagePullBackOff", lambda pod: waiting(pod).get("reason") == "ImagePullBackOff")
    logs = r.k("logs", "noimage", check=False)
    assert logs.returncode == 1 and "is waiting to start" in logs.stderr, logs.stderr
    r.k("image", "example.org/no/such:v9", os.path.join(r.directory, "image"), "/code/server.py")
    r.ready("noimage")
    r.k("image", "rm", "example.org/no/such:v9")
    r.delete("noimage")
    r.create("badname", container={"image": "Not A Name"})
    r.wait("badname", "InvalidImageName", lambda pod: waiting(pod).get("reason") == "InvalidImageName")
    r.delete("badname")


def crash_loop(r):
    r.create("crash", ("exit", "3"))
    pod = r.wait("crash", "CrashLoopBackOff with two restarts",
                 lambda pod: waiting(pod).get("reason") == "CrashLoopBackOff" and status(pod)["restartCount"] >= 2)
    last = status(pod)["lastState"]["terminated"]
    assert last["exitCode"] == 3 and last["reason"] == "Error", last
    assert r.k("logs", "crash").stdout == "about to exit 3\n"
    assert r.k("logs", "crash", "--previous").stdout == "about to exit 3\n"
    row = r.k("get", "pod", "crash", "--no-headers").stdout.split()
    assert row[:3] == ["crash", "0/1", "CrashLoopBackOff"] and row[3] == "2", row
    r.delete("crash")


def command_missing(r):
    r.create("nocommand", container={"command": ["/no/such/program"]})
    pod = r.wait("nocommand", "StartError", lambda pod: status(pod).get("lastState", {}).get("terminated", {}).get("reason") == "StartError")
    last = status(pod)["lastState"]["terminated"]
    assert last["exitCode"] == 128 and "/no/such/program" in last["message"], last
    assert waiting(pod)["reason"] in ("RunContainerError", "CrashLoopBackOff")
    r.delete("nocommand")


def mistakes_are_named(r):
    """Beginners' mistakes: the first message says what to do."""
    folder = os.path.join(r.directory, "mistakes")
    os.makedirs(os.path.join(folder, "code"))
    for name, text, mode in (("plain.py", SERVER, 0o644), ("line.py", "#!/opt/python\n", 0o755)):
        path = os.path.join(folder, "code", name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
    r.k("image", "example.org/test/mistakes:1", folder)
    no_python = shutil.which("python", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") is None

    def ended(pod):
        return status(pod).get("lastState", {}).get("terminated") or status(pod).get("state", {}).get("terminated")
    for command, words in ((["/code/plain.py"], "hint: chmod +x /code/plain.py, or command: [python3, /code/plain.py]"),
                           (["/code/line.py"], "hint: its first line names /opt/python, which does not exist"),
                           (["/code/typo.py"], "hint: the image does not contain /code/typo.py"),
                           (["python", "/code/plain.py"], "hint: this machine only has python3" if no_python else None)):
        if words is None:
            continue
        r.create("wrong", container={"image": "example.org/test/mistakes:1", "command": command, "args": []})
        pod = r.wait("wrong", "ended", ended)
        assert words in ended(pod)["message"], ended(pod)
        r.delete("wrong")
    # The server listens on another port.
    # The port of the relay to the target is not among the hints.
    target = Target()
    env = [{"name": "AIS_TARGET_URL", "value": "http://127.0.0.1:%d/x" % target.port}]
    with HandedOver(env[0]["value"]):
        r.create("wrong", container={"env": env, "ports": [{"containerPort": 81}], "readinessProbe": {"tcpSocket": {"port": 81}, "periodSeconds": 1}})
    pod = r.wait("wrong", "explained", lambda pod: "hint" in condition(pod, "Ready").get("message", ""))
    assert "(hint: it listens on 80, but the spec says 81)" in condition(pod, "Ready")["message"], condition(pod, "Ready")
    r.delete("wrong")
    target.close()
    r.k("image", "rm", "example.org/test/mistakes:1")


def logs(r):
    r.create("talk")
    r.ready("talk")
    assert r.k("logs", "talk").stdout == "line 1\nline 2\nserving\n"
    assert r.k("logs", "pod/talk", "--tail=1").stdout == "serving\n"
    assert r.k("logs", "talk", "--tail", "2", "-c", "server").stdout == "line 2\nserving\n"
    assert r.k("logs", "talk", "--since=1h").stdout == "line 1\nline 2\nserving\n"
    time.sleep(2.1)
    assert r.k("logs", "talk", "--since=1s").stdout == ""
    assert 'invalid argument "soon" for "--since" flag' in r.k("logs", "talk", "--since=soon", check=False).stderr
    stamped = r.k("logs", "talk", "--timestamps", "--tail=1").stdout.split()
    assert stamped[1] == "serving" and stamped[0].endswith("Z"), stamped
    done = r.k("logs", "talk", "--previous", check=False)
    assert done.returncode == 1 and "previous terminated container \"server\" in pod \"talk\" not found" in done.stderr
    follower = subprocess.Popen([r.binary, "--state-dir", r.state, "logs", "-f", "talk"], stdout=subprocess.PIPE, text=True)
    time.sleep(0.3)
    r.delete("talk")
    assert follower.communicate(timeout=120)[0] == "line 1\nline 2\nserving\n"


def watch_tells_every_change(r):
    r.create("before", ("idle",), labels={"group": "w"})
    r.wait("before", "running", lambda pod: pod["status"]["phase"] == "Running")
    watch = Watch(r, "-l", "group=w")
    try:
        soon("ADDED of what exists", lambda: watch.of("before"))
        assert watch.of("before")[0][0] == "ADDED"
        r.create("during", labels={"group": "w"})
        r.create("elsewhere", ("idle",), labels={"group": "other"})
        soon("Ready seen", lambda: any(is_ready(pod) for _, pod in watch.of("during")))
        r.delete("during", "before", "elsewhere")
        soon("DELETED seen", lambda: [kind for kind, _ in watch.of("during") + watch.of("before")].count("DELETED") == 2)
        kinds = [kind for kind, _ in watch.of("during")]
        assert kinds[0] == "ADDED" and kinds[-1] == "DELETED" and set(kinds[1:-1]) == {"MODIFIED"}, kinds
        assert any("deletionTimestamp" in pod["metadata"] for _, pod in watch.of("during"))
        versions = [int(pod["metadata"]["resourceVersion"]) for kind, pod in watch.of("during") if kind != "DELETED"]
        assert versions == sorted(set(versions)), versions
        assert not watch.of("elsewhere")
    finally:
        watch.stop()


def watch_ends_with_its_reader(r):
    process = subprocess.Popen([r.binary, "--state-dir", r.state, "get", "pods", "--watch", "-o", "json"], stdout=subprocess.PIPE)
    process.stdout.close()
    process.wait(5)


def delete_honours_grace(r):
    r.create("polite", terminationGracePeriodSeconds=20)
    r.create("stubborn", ("stubborn",))
    r.ready("polite")
    r.ready("stubborn")
    begun = time.monotonic()
    done = r.k("delete", "pod", "polite")
    assert done.stdout == 'pod "polite" deleted\n' and time.monotonic() - begun < 20  # its grace period
    begun = time.monotonic()
    r.k("delete", "pod", "stubborn", "--grace-period=1", "--wait=false")
    # `delete` returns before the supervisor has recorded the deletion.
    pod = r.wait("stubborn", "deletion is recorded", lambda pod: "deletionTimestamp" in pod["metadata"])
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 1, pod["metadata"]
    assert r.k("get", "pods", "--no-headers").stdout.split()[2] == "Terminating"
    r.k("wait", "--for=delete", "pod/stubborn", "--timeout=60s")
    assert 0.9 < time.monotonic() - begun < 30, time.monotonic() - begun  # one second instead of the default 30
    r.create("forced", ("stubborn",))
    r.ready("forced")
    begun = time.monotonic()
    done = r.k("delete", "pod", "forced", "--force", "--grace-period=0")
    assert done.stdout == 'pod "forced" force deleted\n' and done.stderr.startswith("Warning:") and time.monotonic() - begun < 30


def deleted_at_every_moment(r):
    for i in range(12):
        name = "early%d" % i
        r.create(name, ("idle",))
        time.sleep(i * 0.003)
        r.k("delete", "pod", name, "--force", "--grace-period=0")
        assert r.get(name) is None
    for i in range(12):
        name = "lost%d" % i
        r.create(name, ("idle",))
        soon("a supervisor", lambda: name in r.supervisors())
        r.get(name)
        time.sleep(i * 0.003)
        r.kill_supervisor(name)
    r.k("delete", "pods", "-l", "app=test", "--now")


def what_only_a_cluster_can_run(r):
    for more, path in (({"volumes": [{"name": "s", "secret": {"secretName": "x"}}]}, "spec.volumes[0].secret"),
                       ({"container": {"readinessProbe": {"exec": {"command": ["true"]}}}}, "spec.containers[0].readinessProbe.exec"),
                       ({"container": {"securityContext": {"runAsUser": 65536}}}, "spec.containers[0].securityContext.runAsUser")):
        done = r.k("create", "-f", "-", stdin=json.dumps(r.spec("never", **more)), check=False)
        assert done.returncode == 1 and done.stderr.startswith('The Pod "never" cannot run here, on a real cluster it can: ' + path), done.stderr
        assert r.get("never") is None
    # An optional Secret or ConfigMap is missing: no variable, and an empty directory.
    absent = {"name": "nothing", "optional": True}
    r.create("optional", volumes=[{"name": "s", "secret": {"secretName": "x", "optional": True}}],
             container={"volumeMounts": [{"name": "s", "mountPath": "/s"}], "envFrom": [{"configMapRef": absent}, {"secretRef": absent}],
                        "env": [{"name": "GONE", "valueFrom": {"secretKeyRef": dict(absent, key="k")}}, {"name": "KEPT", "value": "$(GONE)"}]})
    seen = json.loads(r.http(r.ready("optional"), "/env"))
    assert "GONE" not in seen and seen["KEPT"] == "$(GONE)", seen
    r.delete("optional")


def non_root_is_never_root(r):
    # The kubelet's message, and no process.
    for context, words in (({"runAsNonRoot": True}, "container has runAsNonRoot and image will run as root (pod: \"careful_default("),
                           ({"runAsNonRoot": True, "runAsUser": 0}, "container's runAsUser breaks non-root policy (pod: \"careful_default(")):
        r.create("careful", container={"securityContext": context})
        pod = r.wait("careful", "refused", lambda pod: waiting(pod).get("reason") == "CreateContainerConfigError")
        assert waiting(pod)["message"].startswith(words) and pod["status"]["phase"] == "Pending", pod["status"]
        assert r.k("logs", "careful", check=False).returncode == 1
        r.delete("careful")


def environment(r):
    env = [{"name": "A", "value": "a"}, {"name": "B", "value": "$(A)-$(NOPE)-$$(A)"},
           {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
           {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
           {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
           {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
           {"name": "ACCOUNT", "valueFrom": {"fieldRef": {"fieldPath": "spec.serviceAccountName"}}},
           {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
           {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}},
           {"name": "CORES", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}]
    os.environ["K8S_HOST_NAME"] = "node7"
    try:
        r.create("env", container={"env": env, "resources": {"limits": {"memory": "64.5Mi"}, "requests": {"cpu": "1100m"}}})
        pod = r.ready("env")
        seen = json.loads(r.http(pod, "/env"))
        assert seen["B"] == "a-$(NOPE)-$(A)" and seen["POD"] == "env" and seen["NODE"] == "node7", seen
        # Rounded up like the kubelet does. Without a limit, the machine's capacity.
        assert [seen[name] for name in ("APP", "ACCOUNT", "MEMORY", "CPU", "CORES")] == ["test", "default", "65", "2", str(1000 * os.cpu_count())], seen
        assert seen["IP"] == pod["status"]["podIP"] and seen["HOSTNAME"] == "env" and "/usr/local/bin" in seen["PATH"]
        assert seen["FROM_IMAGE"] == "yes" and "K8S_HOST_NAME" not in seen and "ASAN_OPTIONS" not in seen
        assert r.k("get", "node", "node7", "--template={{.metadata.name}}").stdout == "node7"
        done = r.k("get", "node", "nowhere", check=False)
        assert done.returncode == 1 and done.stderr == 'Error from server (NotFound): nodes "nowhere" not found\n'
        assert r.k("get", "pod", "env", "-o", "jsonpath={.status.containerStatuses[0].ready}").stdout == "true"
    finally:
        del os.environ["K8S_HOST_NAME"]
        r.delete("env")


def selectors(r):
    for name, tier in (("s1", "front"), ("s2", "back")):
        r.create(name, ("idle",), labels={"tier": tier, "run": "sel"})

    def names(query):
        return r.k("get", "pods", "-l", query, "-o", "name").stdout.split()
    assert names("run=sel") == ["pod/s1", "pod/s2"]
    assert names("run=sel,tier!=front") == ["pod/s2"]
    assert names("tier in (front, other)") == ["pod/s1"]
    assert names("run,!tier") == []
    assert r.k("delete", "pods", "-l", "run=sel", "--now").stdout.count("deleted") == 2
    assert r.k("delete", "pods", "-l", "run=sel").stdout == "No resources found\n"


def yaml_and_outputs(r):
    text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: yaml\nspec:\n  containers:\n  - name: c\n    image: %s\n    args: [idle]\n" % IMAGE
    assert json.loads(r.k("create", "-f", "-", "-o", "json", stdin=text).stdout)["metadata"]["name"] == "yaml"
    assert "kind: Pod" in r.k("get", "pod", "yaml", "-o", "yaml").stdout
    assert r.k("get", "po/yaml", "-o", "name").stdout == "pod/yaml\n"
    assert "NOMINATED NODE" in r.k("get", "pods", "-o", "wide").stdout
    version = json.loads(r.k("version", "-o", "json").stdout)
    for side in ("clientVersion", "serverVersion"):
        # One source: the Kubernetes version that the help names.
        named = "%s.%s" % (version[side]["major"], version[side]["minor"])
        assert version[side]["gitVersion"].startswith("v%s.0-kubectl-local" % named), version
        assert "What the API server of Kubernetes %s refuses" % named in r.k("--help").stdout, version
        assert "v%s.0-kubectl-local" % named in r.k("version").stdout
    r.k("wait", "--for", "condition=Ready", "pod/yaml", "--timeout", "5s")
    assert "Container ID:" in r.k("describe", "pod", "yaml").stdout
    r.delete("yaml")


CASES = [refusals, unknown_image, crash_loop, command_missing, mistakes_are_named, logs, watch_tells_every_change,
         watch_ends_with_its_reader, delete_honours_grace, deleted_at_every_moment, what_only_a_cluster_can_run, non_root_is_never_root,
         environment, selectors, yaml_and_outputs, nothing_is_left]


# Without namespaces the search for a port covers all ports of the machine, and the table has an additional column.
main(CASES, [mistakes_are_named])
