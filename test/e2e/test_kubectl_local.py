#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# test/e2e/test_kubectl_local.py: kubectl-local as kubectl: its commands, the life of a pod, its network. TAP on stdout.
#
#   test_kubectl_local.py [PATH-TO-KUBECTL-LOCAL [CASE...]]
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

from local import Allowed, HandedOver, IMAGE, SERVER, address, condition, gone, is_ready, main, soon, status, waiting


class Target:
    """Stands for the node's listener for pods, on the host's loopback."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                request = connection.recv(65536)
                path = request.split(b" ")[1] if b" " in request else b""
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nobject at " + path)

    def close(self):
        self.listener.close()


class Watch:
    def __init__(self, run, *args):
        self.process = subprocess.Popen([run.binary, "--state-dir", run.state, "get", "pods", "--watch", "--output-watch-events", "-o", "json", *args],
                                        stdout=subprocess.PIPE)
        self.events = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        text = ""
        decoder = json.JSONDecoder()
        while chunk := os.read(self.process.stdout.fileno(), 65536):
            text += chunk.decode()
            while text.strip():
                text = text.lstrip()
                try:
                    event, end = decoder.raw_decode(text)
                except ValueError:
                    break
                self.events.append((event["type"], event["object"]))
                text = text[end:]

    def of(self, name):
        return [(kind, pod) for kind, pod in list(self.events) if pod["metadata"]["name"] == name]

    def stop(self):
        self.process.terminate()
        self.process.wait(5)
        self.thread.join(5)
        self.process.stdout.close()


# Cases. Each leaves nothing behind.

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
    # The words of a spec open nothing, and neither does the variable that a node sets, in the pod's own environment.
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
    # A supervisor that is started again knows it too.
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
    # The container's own port cannot be taken by the way to the target.
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
    """What a beginner gets wrong: the first message says what to do."""
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
    # The server listens elsewhere.
    # ... and the way to the target is none of its.
    target = Target()
    env = [{"name": "AIS_TARGET_URL", "value": "http://127.0.0.1:%d/x" % target.port}]
    with HandedOver(env[0]["value"]):
        r.create("wrong", container={"env": env, "ports": [{"containerPort": 81}], "readinessProbe": {"tcpSocket": {"port": 81}, "periodSeconds": 1}})
    pod = r.wait("wrong", "explained", lambda pod: "hint" in condition(pod, "Ready").get("message", ""))
    assert "(hint: it listens on 80, but the spec says 81)" in condition(pod, "Ready")["message"], condition(pod, "Ready")
    r.delete("wrong")
    target.close()
    r.k("image", "rm", "example.org/test/mistakes:1")


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


def probes_leave_no_errors_behind(r):
    """A probe takes the whole answer: Python's servers log a traceback of 19 lines when a connection is reset under their write."""
    probe = {"httpGet": {"path": "/health", "port": 80}, "periodSeconds": 1}
    for version in ("HTTP/1.0", "HTTP/1.1"):
        r.create("loud", container={"command": ["/usr/bin/python3", "-u", "-c", LOUD_SERVER % version], "args": [], "readinessProbe": probe, "livenessProbe": probe})
        r.ready("loud")
        soon("eight probes in the log", lambda: r.k("logs", "loud").stdout.count("\n") >= 8, timeout=60)
        lines = r.k("logs", "loud").stdout.splitlines()
        strange = [line for line in lines if not line.endswith('"GET /health HTTP/1.1" 200 -')]
        assert not strange, strange
        r.delete("loud")


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
    assert done.stdout == 'pod "polite" deleted\n' and time.monotonic() - begun < 20  # its grace
    begun = time.monotonic()
    r.k("delete", "pod", "stubborn", "--grace-period=1", "--wait=false")
    # `delete` returns before the supervisor has recorded the deletion.
    pod = r.wait("stubborn", "deletion is recorded", lambda pod: "deletionTimestamp" in pod["metadata"])
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 1, pod["metadata"]
    assert r.k("get", "pods", "--no-headers").stdout.split()[2] == "Terminating"
    r.k("wait", "--for=delete", "pod/stubborn", "--timeout=60s")
    assert 0.9 < time.monotonic() - begun < 30, time.monotonic() - begun  # one second, and not the 30 of the default
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
    # Without a watcher the next look does it.
    r.kill_supervisor("phoenix")
    soon("it died", lambda: "phoenix" not in r.supervisors())
    assert not is_ready(r.get("phoenix")) or status(r.get("phoenix"))["restartCount"] == 2
    r.ready("phoenix")
    # And a deletion does not need one.
    r.kill_supervisor("phoenix")
    r.delete("phoenix")
    assert r.get("phoenix") is None


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


def last_words(r):
    """terminationMessagePath and terminationMessagePolicy, as a kubelet reads them."""
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
    # Of the run that ended, not of the one before.
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
    if r.has_namespaces():  # memory of a bounded size
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
    # Over a veth the kernel closes the dead process's socket with a FIN; then a fresh look must show that it is another container.
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
    # The request's end is the client's FIN; the answer must still come, whole.
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


def probes_stay_in_the_pod(r):
    """Probes come from a process of this machine's: a spec must not send them elsewhere, nor make more of a request than one."""
    elsewhere = socket.create_server(("127.0.0.1", 0))
    elsewhere.setblocking(False)
    port = elsewhere.getsockname()[1]
    for probe in ({"tcpSocket": {"host": "127.0.0.1", "port": port}}, {"httpGet": {"host": "127.0.0.1", "port": port, "path": "/"}}):
        for role in ("readinessProbe", "livenessProbe", "startupProbe"):
            done = r.k("create", "-f", "-", stdin=json.dumps(r.spec("sent", container={role: probe})), check=False)
            assert done.returncode == 1 and r.get("sent") is None, done
            assert 'violates PodSecurity "baseline:latest": probe or lifecycle host (container "server" uses probe or lifecycle host "127.0.0.1")' in done.stderr, done.stderr
    # A record that is older than the refusal.
    probe = {"httpGet": {"path": "/x HTTP/1.1\r\nHost: other\r\n\r\nGET /y", "port": 80}, "periodSeconds": 1}
    r.create("stays", container={"command": ["/usr/bin/python3", "-c", REDIRECTING_SERVER % ("127.0.0.1:%d" % port)], "args": [], "readinessProbe": probe})
    r.ready("stays")  # a redirection is an answer, and is not followed
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


def what_only_a_cluster_can_run(r):
    for more, path in (({"volumes": [{"name": "s", "secret": {"secretName": "x"}}]}, "spec.volumes[0].secret"),
                       ({"container": {"readinessProbe": {"exec": {"command": ["true"]}}}}, "spec.containers[0].readinessProbe.exec"),
                       ({"container": {"securityContext": {"runAsUser": 65536}}}, "spec.containers[0].securityContext.runAsUser")):
        done = r.k("create", "-f", "-", stdin=json.dumps(r.spec("never", **more)), check=False)
        assert done.returncode == 1 and done.stderr.startswith('The Pod "never" cannot run here, on a real cluster it can: ' + path), done.stderr
        assert r.get("never") is None
    # A Secret or ConfigMap that may be absent is: no variable, an empty directory.
    absent = {"name": "nothing", "optional": True}
    r.create("optional", volumes=[{"name": "s", "secret": {"secretName": "x", "optional": True}}],
             container={"volumeMounts": [{"name": "s", "mountPath": "/s"}], "envFrom": [{"configMapRef": absent}, {"secretRef": absent}],
                        "env": [{"name": "GONE", "valueFrom": {"secretKeyRef": dict(absent, key="k")}}, {"name": "KEPT", "value": "$(GONE)"}]})
    seen = json.loads(r.http(r.ready("optional"), "/env"))
    assert "GONE" not in seen and seen["KEPT"] == "$(GONE)", seen
    r.delete("optional")


def non_root_is_never_root(r):
    # The kubelet's words, and no process.
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
        # Rounded up, as the kubelet does; a limit that is not set is what the machine has.
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


def yaml_and_outputs(r):
    text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: yaml\nspec:\n  containers:\n  - name: c\n    image: %s\n    args: [idle]\n" % IMAGE
    assert json.loads(r.k("create", "-f", "-", "-o", "json", stdin=text).stdout)["metadata"]["name"] == "yaml"
    assert "kind: Pod" in r.k("get", "pod", "yaml", "-o", "yaml").stdout
    assert r.k("get", "po/yaml", "-o", "name").stdout == "pod/yaml\n"
    assert "NOMINATED NODE" in r.k("get", "pods", "-o", "wide").stdout
    version = json.loads(r.k("version", "-o", "json").stdout)
    for side in ("clientVersion", "serverVersion"):
        # One truth: the Kubernetes whose verdicts the help promises.
        named = "%s.%s" % (version[side]["major"], version[side]["minor"])
        assert version[side]["gitVersion"].startswith("v%s.0-kubectl-local" % named), version
        assert "What the API server of Kubernetes %s refuses" % named in r.k("--help").stdout, version
        assert "v%s.0-kubectl-local" % named in r.k("version").stdout
    r.k("wait", "--for", "condition=Ready", "pod/yaml", "--timeout", "5s")
    assert "Container ID:" in r.k("describe", "pod", "yaml").stdout
    r.delete("yaml")


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


def nothing_is_left(r):
    soon("all supervisors ended", lambda: not r.supervisors())
    assert os.listdir(os.path.join(r.state, "tmp")) == []
    assert os.listdir(os.path.join(r.state, "pods/default")) == []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open("/proc/%s/cmdline" % pid, "rb").read()
        except OSError:
            continue
        assert r.state.encode() not in words, words
        try:
            environment = open("/proc/%s/environ" % pid, "rb").read().decode(errors="replace")
        except OSError:
            continue
        # bwrap carries the uid of its pod.
        assert not [uid for uid in r.uids if "KUBECTL_LOCAL_POD=" + uid in environment], words
    if r.is_root:
        left = set(os.listdir("/sys/class/net")) & r.interfaces
        assert not left, left


CASES = [refusals, serves, two_pods_on_port_80, pod_reaches_only_the_target, target_on_the_container_port_is_moved, unknown_image, crash_loop,
         command_missing, mistakes_are_named, never_ready, http_probe, probes_leave_no_errors_behind, logs, watch_tells_every_change, watch_ends_with_its_reader, delete_honours_grace,
         deleted_at_every_moment, a_watcher_brings_back_a_lost_supervisor, last_words, restart_policy_never, killed_container_restarts, death_is_a_reset, refused_while_down,
         half_close_is_passed_on, probes_stay_in_the_pod, host_network, init_containers_and_volumes, what_only_a_cluster_can_run,
         non_root_is_never_root, environment, selectors, yaml_and_outputs, the_machine_is_protected,
         liveness_restarts, image_of_running_pod_stays, nothing_is_left]


# Without namespaces a pod reaches what the machine reaches, and its port is sought among all of the machine's; the table has a column more.
main(CASES, [serves, pod_reaches_only_the_target, mistakes_are_named])
