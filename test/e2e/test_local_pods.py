#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kubectl-local: the life of a pod, its network and its probes, as root and as an ordinary user. TAP on stdout.

    test_local_pods.py [PATH-TO-KUBECTL-LOCAL [CASE...]]
"""
import hashlib
import json
import os
import shutil
import signal
import socket
import time

from local import (
    Allowed, HandedOver, IMAGE, SERVER, Target, Watch, address, condition, gone, is_ready, main, nothing_is_left, soon, status, waiting)


LOUD_SERVER = """
import http.server, socketserver
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "%s"
    def do_GET(self):
        body = b"Hello, world! " * 200
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for i in range(0, len(body), 100):
            self.wfile.write(body[i:i + 100])
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
Server(("0.0.0.0", 80), Handler).serve_forever()
"""


SPEAK = r"""
import errno, os, sys
path, said, code = sys.argv[1], sys.argv[2].encode().decode("unicode_escape").encode("latin-1"), int(sys.argv[3])
for i in range(100):
    print("line %d" % i, flush=True)
try:
    os.unlink(path)
    os.symlink("/etc/passwd", path)
    print("replaced", flush=True)
except OSError:
    pass
if said:
    open(path, "wb").write(said)
sys.exit(code)
"""


REDIRECTING_SERVER = r"""
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.raw_requestline, flush=True)
        self.send_response(302)
        self.send_header("Location", "http://%s/stolen")
        self.end_headers()
    def log_message(self, *args): pass
http.server.HTTPServer(("0.0.0.0", 80), Handler).serve_forever()
"""


def serves(r):
    r.create("md5")
    pod = r.ready("md5")
    assert r.http(pod, "/", "POST", b"some text :)\n") == b"393c6706efb128fbc442d3f7d084a426"
    assert r.http(pod, "/close") == b"to the end"
    assert pod["status"]["phase"] == "Running" and status(pod)["ready"] and status(pod)["restartCount"] == 0
    assert pod["status"]["podIP"] == address(pod)[0]
    if not r.is_root:
        assert pod["status"]["podIP"].startswith("127.")
    table = r.k("get", "pods").stdout.splitlines()
    assert table[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"], table
    assert table[1].split()[:4] == ["md5", "1/1", "Running", "0"], table
    r.delete("md5")
    assert r.k("get", "pods").stderr == "No resources found in default namespace.\n"
    assert json.loads(r.k("get", "pods", "-o", "json").stdout)["items"] == []


def two_pods_on_port_80(r):
    r.create("one", container={"env": [{"name": "WHO", "value": "one"}]})
    r.create("two", container={"env": [{"name": "WHO", "value": "two"}]})
    pods = [r.ready("one"), r.ready("two")]
    assert [json.loads(r.http(pod, "/env"))["WHO"] for pod in pods] == ["one", "two"]
    assert address(pods[0]) != address(pods[1])
    r.delete("one", "two")


def pod_reaches_only_the_target(r):
    target = Target()
    other = socket.create_server(("127.0.0.1", 0))
    wide = socket.create_server(("0.0.0.0", 0))
    url = "http://127.0.0.1:%d/v1/etl/_object/x/secret" % target.port
    # Neither the spec nor the node's variable in the pod's own environment grants anything.
    env = [{"name": "AIS_TARGET_URL", "value": url}, {"name": "KUBECTL_LOCAL_ALLOW_TARGET", "value": url}]
    for grant in (None, "http://127.0.0.1:%d" % other.getsockname()[1]):
        if grant:
            os.environ["KUBECTL_LOCAL_ALLOW_TARGET"] = grant
        try:
            done = r.k("create", "-f", "-", stdin=json.dumps(r.spec("stranger", container={"env": env})))
        finally:
            os.environ.pop("KUBECTL_LOCAL_ALLOW_TARGET", None)
        assert "Warning: spec.containers[0].env[0]: the pod cannot reach http://127.0.0.1:%d: " % target.port in done.stderr and "secret" not in done.stderr, done.stderr
        pod = r.ready("stranger")
        for port in (target.port, other.getsockname()[1]):
            assert r.http(pod, "/dial/127.0.0.1/%d" % port) != b"connected", grant
        assert json.loads(r.http(pod, "/env"))["AIS_TARGET_URL"] == url
        r.delete("stranger")
    with HandedOver("http://127.0.0.1:%d" % target.port):
        done = r.k("create", "-f", "-", stdin=json.dumps(r.spec("caller", container={"env": env})))
    assert "Warning" not in done.stderr, done.stderr
    pod = r.ready("caller")
    # A restarted supervisor knows it as well.
    r.kill_supervisor("caller")
    soon("another supervisor", lambda: r.get("caller") and r.supervisors().get("caller"))
    pod = r.wait("caller", "restarted", lambda pod: status(pod).get("restartCount") == 1 and is_ready(pod))
    assert r.http(pod, "/target") == b"object at /v1/etl/_object/x/secret/obj"
    assert r.http(pod, "/dial/127.0.0.1/%d" % other.getsockname()[1]) != b"connected"
    host = address(pod)[0]
    for gateway in (host, ".".join(host.split(".")[:3] + [str(int(host.split(".")[3]) - 1)])):
        guarded = shutil.which("nft", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or not r.is_root
        if guarded:
            assert r.http(pod, "/dial/%s/%d" % (gateway, wide.getsockname()[1])) != b"connected"
    r.delete("caller")
    for one in (target, other, wide):
        one.close()


def target_on_the_container_port_is_moved(r):
    # The relay to the target cannot take the container's own port.
    target = Target()
    url = "http://127.0.0.1:%d/base" % target.port
    probe = {"tcpSocket": {"port": target.port}}
    with HandedOver(url):
        r.create("same", ("serve", str(target.port)), container={"env": [{"name": "AIS_TARGET_URL", "value": url}],
                                                                  "ports": [{"containerPort": target.port}], "readinessProbe": probe})
    pod = r.ready("same")
    assert r.http(pod, "/target") == b"object at /base/obj"
    r.delete("same")
    target.close()


def never_ready(r):
    r.create("idle", ("idle",))
    r.wait("idle", "running", lambda pod: pod["status"]["phase"] == "Running")
    done = r.k("wait", "--for=condition=Ready", "pod/idle", "--timeout=500ms", check=False)
    assert done.returncode == 1 and done.stderr == "error: timed out waiting for the condition on pods/idle\n", done.stderr
    pod = r.wait("idle", "explained", lambda pod: "Readiness probe failed" in condition(pod, "Ready").get("message", ""))
    assert not is_ready(pod) and status(pod)["started"]
    r.delete("idle")


def http_probe(r):
    probe = {"httpGet": {"path": "/health", "port": "web", "httpHeaders": [{"name": "X-Test", "value": "1"}]}}
    r.create("http", container={"ports": [{"containerPort": 80, "name": "web"}], "readinessProbe": probe})
    r.ready("http")
    r.create("unprobed", container={"readinessProbe": None})
    r.ready("unprobed")
    r.delete("http", "unprobed")


def probes_leave_no_errors_behind(r):
    """A probe reads the whole answer. Python's servers log a traceback of 19 lines if a connection is reset during their write."""
    probe = {"httpGet": {"path": "/health", "port": 80}, "periodSeconds": 1}
    for version in ("HTTP/1.0", "HTTP/1.1"):
        r.create("loud", container={"command": ["/usr/bin/python3", "-u", "-c", LOUD_SERVER % version], "args": [], "readinessProbe": probe, "livenessProbe": probe})
        r.ready("loud")
        soon("eight probes in the log", lambda: r.k("logs", "loud").stdout.count("\n") >= 8, timeout=60)
        lines = r.k("logs", "loud").stdout.splitlines()
        strange = [line for line in lines if not line.endswith('"GET /health HTTP/1.1" 200 -')]
        assert not strange, strange
        r.delete("loud")


def a_watcher_brings_back_a_lost_supervisor(r):
    r.create("phoenix")
    old = r.ready("phoenix")
    watch = Watch(r)
    try:
        command = r.command_pid("phoenix")
        r.kill_supervisor("phoenix")
        soon("the container died with it", lambda: gone(command))
        soon("told", lambda: watch.of("phoenix") and status(watch.of("phoenix")[-1][1]).get("restartCount") == 1 and is_ready(watch.of("phoenix")[-1][1]))
        new = r.get("phoenix")
        assert status(new)["containerID"] != status(old)["containerID"]
        assert status(new)["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
        assert address(new) == address(old)
        assert r.http(new, "/") == b"hello\n"
    finally:
        watch.stop()
    # Without a watcher, the next command does it.
    r.kill_supervisor("phoenix")
    soon("it died", lambda: "phoenix" not in r.supervisors())
    assert not is_ready(r.get("phoenix")) or status(r.get("phoenix"))["restartCount"] == 2
    r.ready("phoenix")
    # A deletion does not need one.
    r.kill_supervisor("phoenix")
    r.delete("phoenix")
    assert r.get("phoenix") is None


def last_words(r):
    """terminationMessagePath and terminationMessagePolicy, in the kubelet's interpretation."""
    def ended(path="/dev/termination-log", said="", code=1, init=False, **fields):
        container = dict({"command": ["/usr/bin/python3", "-c", SPEAK, path, said, str(code)], "args": [], "readinessProbe": None}, **fields)
        more = {}
        if init:
            more = {"initContainers": [{"name": "first", "image": IMAGE, **{key: value for key, value in container.items() if key != "readinessProbe"}}]}
            container = {}
        r.create("words", restartPolicy="Never", container=container, **more)
        pod = r.wait("words", "ended", lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"))
        one = pod["status"]["initContainerStatuses"][0] if init else status(pod)
        r.delete("words")
        assert one["state"]["terminated"]["exitCode"] == code, one
        return one["state"]["terminated"].get("message", "")
    lines = "".join("line %d\n" % i for i in range(20, 100))
    assert ended(said="no more food\\n") == "no more food\n"
    assert ended(said="well done", code=0) == "well done"
    assert ended() == ""
    assert ended(init=True, said="first") == "first"
    assert ended(said="a\\x00\\xff\\xc3\\xa4") == "a\ufffd\ufffdä"
    assert ended("/tmp/deep/words", "deep", terminationMessagePath="tmp/deep/words") == "deep"
    assert ended(said="x" * 5000 + "end") == "x" * 4093 + "end"
    fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    assert ended(**fallback) == lines
    assert ended(code=0, **fallback) == ""
    assert ended(said="from the file", **fallback) == "from the file"
    # From the run that ended, not from the one before.
    code = "import os, time\nif os.path.exists('/e/again'): time.sleep(0.2); raise SystemExit(2)\nopen('/e/again', 'w'); open('/dev/termination-log', 'w').write('once'); raise SystemExit(1)"
    r.create("words", volumes=[{"name": "e", "emptyDir": {}}], container={"command": ["/usr/bin/python3", "-c", code], "args": [], "readinessProbe": None, "volumeMounts": [{"name": "e", "mountPath": "/e"}]})
    seen = {}
    deadline = time.monotonic() + 60
    while 2 not in seen and time.monotonic() < deadline:
        pod = r.get("words")
        for state in (status(pod).get("state", {}), status(pod).get("lastState", {})):
            if "terminated" in state:
                seen[state["terminated"]["exitCode"]] = state["terminated"].get("message", "")
    assert seen.get(2) == "" and seen.get(1, "once") == "once", seen
    r.delete("words")
    with Allowed(r, "hostNetwork: true\n"):
        for more in ({"hostNetwork": True}, {"securityContext": {"runAsUser": 1000, "runAsGroup": 1000}}):
            if "securityContext" in more and not r.has_namespaces():
                continue
            r.create("words", restartPolicy="Never", container={"command": ["/usr/bin/python3", "-c", SPEAK, "/dev/termination-log", "said", "4"], "args": [], "readinessProbe": None}, **more)
            pod = r.wait("words", "ended", lambda pod: pod["status"]["phase"] == "Failed")
            assert status(pod)["state"]["terminated"]["message"] == "said", (more, status(pod))
            r.delete("words")
    if r.has_namespaces():  # memory of a limited size
        r.create("words", restartPolicy="Never", container={"terminationMessagePath": "/code/words"})
        pod = r.wait("words", "explained", lambda pod: pod["status"]["phase"] == "Failed")
        assert "hint: a mount needs an existing target" in status(pod)["state"]["terminated"]["message"], status(pod)
        r.delete("words")
        code = "import errno\ntry:\n with open('/dev/termination-log', 'wb') as f:\n  while True: f.write(b'x' * 4096); f.flush()\nexcept OSError as e: print(errno.errorcode[e.errno])"
        r.create("words", restartPolicy="Never", container={"command": ["/usr/bin/python3", "-c", code], "args": [], "readinessProbe": None})
        pod = r.wait("words", "ended", lambda pod: pod["status"]["phase"] == "Succeeded")
        assert r.k("logs", "words").stdout == "ENOSPC\n" and status(pod)["state"]["terminated"]["message"] == "x" * 4096
        r.delete("words")


def restart_policy_never(r):
    r.create("good", ("exit", "0"), restartPolicy="Never")
    r.create("bad", ("exit", "4"), restartPolicy="Never")
    good = r.wait("good", "Succeeded", lambda pod: pod["status"]["phase"] == "Succeeded")
    bad = r.wait("bad", "Failed", lambda pod: pod["status"]["phase"] == "Failed")
    assert status(good)["state"]["terminated"]["reason"] == "Completed"
    assert status(bad)["state"]["terminated"]["exitCode"] == 4
    rows = {line.split()[0]: line.split()[1:4] for line in r.k("get", "pods", "--no-headers").stdout.splitlines()}
    assert rows == {"good": ["0/1", "Completed", "0"], "bad": ["0/1", "Error", "0"]}, rows
    assert r.k("logs", "bad").stdout == "about to exit 4\n"
    soon("no supervisor stays", lambda: not r.supervisors())
    r.delete("good", "bad")


def killed_container_restarts(r):
    r.create("victim")
    old = r.ready("victim")
    os.kill(r.command_pid("victim"), signal.SIGKILL)
    new = r.wait("victim", "restarted", lambda pod: status(pod)["restartCount"] == 1 and is_ready(pod))
    assert status(new)["containerID"] != status(old)["containerID"]
    last = status(new)["lastState"]["terminated"]
    assert last["exitCode"] == 137 and last["containerID"] == status(old)["containerID"], last
    assert address(new) == address(old)
    assert r.k("logs", "victim", "--previous").stdout.endswith("serving\n")
    r.delete("victim")


def death_is_a_reset(r):
    r.create("stream")
    pod = r.ready("stream")
    with socket.create_connection(address(pod), timeout=120) as connection:
        connection.sendall(b"GET /endless HTTP/1.0\r\n\r\n")
        seen = len(connection.recv(4096))
        container = status(pod)["containerID"]
        os.kill(r.command_pid("stream"), signal.SIGKILL)
        reset = False
        try:
            while chunk := connection.recv(65536):
                seen += len(chunk)
        except ConnectionResetError:
            reset = True
    # Over a veth the kernel closes the dead process's socket with a FIN. The next status must show another container.
    relayed = pod["status"]["podIP"].startswith("127.") and r.has_namespaces()
    assert reset or not relayed, "the answer ended as if it were complete"
    r.wait("stream", "another container", lambda now: status(now).get("containerID") != container or not is_ready(now))
    r.delete("stream")


def refused_while_down(r):
    r.create("down", ("exit", "1"))
    pod = r.wait("down", "in back-off", lambda pod: waiting(pod).get("reason") == "CrashLoopBackOff" and status(pod)["restartCount"] >= 2)
    try:
        socket.create_connection(address(pod), timeout=2).close()
        raise AssertionError("somebody listens")
    except ConnectionRefusedError:
        pass
    r.delete("down")


def half_close_is_passed_on(r):
    # The client's FIN ends the request; the whole answer must still arrive.
    r.create("half")
    pod = r.ready("half")
    with socket.create_connection(address(pod), timeout=120) as connection:
        body = b"z" * 3_000_000
        connection.sendall(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.endswith(hashlib.md5(body).hexdigest().encode()), answer[-200:]
    r.delete("half")


def probes_stay_in_the_pod(r):
    """Probes come from a process of this machine. A spec must not send them elsewhere, nor turn one into several requests."""
    elsewhere = socket.create_server(("127.0.0.1", 0))
    elsewhere.setblocking(False)
    port = elsewhere.getsockname()[1]
    for probe in ({"tcpSocket": {"host": "127.0.0.1", "port": port}}, {"httpGet": {"host": "127.0.0.1", "port": port, "path": "/"}}):
        for role in ("readinessProbe", "livenessProbe", "startupProbe"):
            done = r.k("create", "-f", "-", stdin=json.dumps(r.spec("sent", container={role: probe})), check=False)
            assert done.returncode == 1 and r.get("sent") is None, done
            assert 'violates PodSecurity "baseline:latest": probe or lifecycle host (container "server" uses probe or lifecycle host "127.0.0.1")' in done.stderr, done.stderr
    # A record from before the refusal.
    probe = {"httpGet": {"path": "/x HTTP/1.1\r\nHost: other\r\n\r\nGET /y", "port": 80}, "periodSeconds": 1}
    r.create("stays", container={"command": ["/usr/bin/python3", "-c", REDIRECTING_SERVER % ("127.0.0.1:%d" % port)], "args": [], "readinessProbe": probe})
    r.ready("stays")  # a redirection counts as an answer and is not followed
    lines = set(r.k("logs", "stays").stdout.splitlines())
    assert lines == {"b'GET /x%20HTTP/1.1%0D%0AHost:%20other%0D%0A%0D%0AGET%20/y HTTP/1.1\\r\\n'"}, lines
    path = os.path.join(r.state, "pods/default/stays/pod.json")
    r.kill_supervisor("stays")
    soon("its supervisor has ended", lambda: "stays" not in r.supervisors())
    with open(path) as file:
        record = json.load(file)
    record["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"host": "127.0.0.1", "port": port}}
    with open(path, "w") as file:
        json.dump(record, file)
    pod = r.wait("stays", "explained", lambda pod: "a probe may not name a host" in condition(pod, "Ready").get("message", ""))
    assert not is_ready(pod)
    r.delete("stays")
    try:
        elsewhere.accept()
        raise AssertionError("a probe came here")
    except BlockingIOError:
        pass
    elsewhere.close()


def host_network(r):
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with Allowed(r, "hostNetwork: true\n"):
        r.create("host", ("serve", str(port)), hostNetwork=True, container={"ports": [{"containerPort": port}], "readinessProbe": {"tcpSocket": {"port": port}}})
    pod = r.ready("host")
    assert address(pod) == ("127.0.0.1", port)
    assert r.http(pod, "/") == b"hello\n"
    r.delete("host")


def init_containers_and_volumes(r):
    volume = [{"name": "shared", "emptyDir": {}}, {"name": "host", "hostPath": {"path": os.path.join(r.directory, "image"), "type": "Directory"}}]
    mounts = [{"name": "shared", "mountPath": "/shared"}, {"name": "host", "mountPath": "/from-host", "readOnly": True}]
    init = [{"name": "prepare", "image": IMAGE, "command": ["/bin/sh", "-c", "echo prepared > /shared/file; echo done"], "volumeMounts": mounts}]
    with Allowed(r, "hostPaths: [{path: '%s'}]\n" % r.directory):
        r.create("init", initContainers=init, volumes=volume, container={"volumeMounts": mounts})
    pod = r.ready("init")
    assert r.http(pod, "/file/shared/file") == b"prepared\n"
    assert r.http(pod, "/file/from-host/code/server.py") == SERVER.encode()
    assert r.http(pod, "/write/shared/more") == b"ok"
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"
    assert r.k("logs", "init", "-c", "prepare").stdout == "done\n"
    r.delete("init")
    init[0]["command"] = ["/bin/sh", "-c", "exit 9"]
    with Allowed(r, "hostPaths: [{path: '%s'}]\n" % r.directory):
        r.create("badinit", initContainers=init, volumes=volume, restartPolicy="Never")
    pod = r.wait("badinit", "Failed", lambda pod: pod["status"]["phase"] == "Failed")
    assert r.k("get", "pod", "badinit", "--no-headers").stdout.split()[2] == "Init:Error"
    r.delete("badinit")


def the_machine_is_protected(r):
    r.create("peek")
    pod = r.ready("peek")
    for path in ("/etc/shadow",):
        try:
            content = r.http(pod, "/file" + path)
        except AssertionError:
            continue
        assert not content.strip(), content
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger", "/usr/bin/env", "/etc/passwd", "/code/server.py"):
        assert r.http(pod, "/writable" + path) != b"writable", path
    assert r.http(pod, "/write/tmp/file") == b"ok"
    assert r.http(pod, "/file/proc/sys/kernel/hostname") == b"peek\n"
    assert b"root:x:0:0" in r.http(pod, "/file/etc/passwd")
    r.delete("peek")


def liveness_restarts(r):
    probe = {"tcpSocket": {"port": 81}, "periodSeconds": 1, "failureThreshold": 1}
    r.create("sick", container={"livenessProbe": probe})
    pod = r.wait("sick", "restarted", lambda pod: status(pod).get("restartCount", 0) >= 1)
    assert "Liveness probe failed" in status(pod)["lastState"]["terminated"]["message"], status(pod)
    r.delete("sick")


def image_of_running_pod_stays(r):
    source = os.path.join(r.directory, "image")
    r.k("image", "example.org/changing", source, "/code/server.py")
    r.create("keeps", container={"image": "example.org/changing"})
    pod = r.ready("keeps")
    r.k("image", "example.org/changing", source, "/code/server.py")
    r.k("image", "rm", "example.org/changing")
    assert r.http(pod, "/file/code/server.py") == SERVER.encode()
    r.delete("keeps")
    assert [entry for entry in os.listdir(os.path.join(r.state, "images")) if entry.startswith(".")] == []


CASES = [serves, two_pods_on_port_80, pod_reaches_only_the_target, target_on_the_container_port_is_moved, never_ready, http_probe,
         probes_leave_no_errors_behind, a_watcher_brings_back_a_lost_supervisor, last_words, restart_policy_never,
         killed_container_restarts, death_is_a_reset, refused_while_down, half_close_is_passed_on, probes_stay_in_the_pod, host_network,
         init_containers_and_volumes, the_machine_is_protected, liveness_restarts, image_of_running_pod_stays, nothing_is_left]


# Without namespaces a pod reaches everything that the machine reaches.
main(CASES, [serves, pod_reaches_only_the_target])
