# SPDX-License-Identifier: MIT
"""Helpers of the tests of kubectl-local with real containers, as root and as an ordinary user.

Started as root, every case runs twice: as root, and in a child that has become user 65534. Otherwise it runs once. Needs bwrap and python3.
Everything it starts is in a directory of its own, and is ended through kubectl-local or by process id.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import leftovers

SERVER = r'''#!/usr/bin/env python
import hashlib, http.server, json, os, signal, socket, socketserver, sys, threading, time, urllib.request

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body, length=True):
        self.send_response(200)
        if length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/env":
            self.answer(json.dumps(dict(os.environ)).encode())
        elif self.path == "/target":
            self.answer(urllib.request.urlopen(os.environ["AIS_TARGET_URL"] + "/obj", timeout=5).read())
        elif self.path.startswith("/dial/"):
            host, port = self.path[6:].split("/")
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                self.answer(b"connected")
            except OSError as error:
                self.answer(str(error).encode())
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b"x" * 1000)
                time.sleep(0.01)
        elif self.path.startswith("/file/"):
            self.answer(open(self.path[5:], "rb").read())
        elif self.path.startswith("/write/"):
            open(self.path[6:], "w").write("written\n")
            self.answer(b"ok")
        elif self.path.startswith("/writable/"):
            # Opened, not written: the answer must not cost the machine its settings.
            try:
                os.close(os.open(self.path[9:], os.O_WRONLY))
                self.answer(b"writable")
            except OSError as error:
                self.answer(str(error).encode())
        elif self.path == "/close":
            self.answer(b"to the end", length=False)
        else:
            self.answer(b"hello\n")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(hashlib.md5(body).hexdigest().encode(), length=False)

    def log_message(self, *args):
        pass

class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

def main():
    mode = sys.argv[1] if len(sys.argv) > 1 else "serve"
    if mode == "exit":
        print("about to exit", sys.argv[2], flush=True)
        sys.exit(int(sys.argv[2]))
    if mode == "idle":
        while True:
            time.sleep(1)
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("line 1\nline 2\nserving", flush=True)
    Server(("0.0.0.0", int(sys.argv[2]) if len(sys.argv) > 2 else 80), Handler).serve_forever()

main()
'''

IMAGE = "example.org/test/server:v1"
"loaded while we may still read the library".encode("idna")


class Run:
    """One pass over the cases: a user, a state directory, a binary."""

    def __init__(self, label, binary, directory):
        self.label = label
        self.binary = binary
        self.directory = directory
        self.state = os.path.join(directory, "state")
        self.prefix = []  # goes before every command
        self.is_root = os.geteuid() == 0
        self.uids = set()
        self.said = ""  # stderr of the latest get
        self.interfaces = set()  # of our pods; other pods may run on this machine

    def k(self, *args, stdin=None, check=True):
        done = subprocess.run([*self.prefix, self.binary, "--state-dir", self.state, *args], input=stdin, capture_output=True, text=True, timeout=120)
        if check and done.returncode != 0:
            raise AssertionError("%s: rc %d: %s" % (" ".join(args), done.returncode, done.stderr))
        return done

    def has_namespaces(self):
        return json.loads(self.k("version", "-o", "json").stdout)["sandbox"]["pods"] == "namespaces"

    def spec(self, name, args=("serve",), **more):
        container = {"name": "server", "image": IMAGE, "args": list(args), "ports": [{"containerPort": 80}],
                     "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1}}
        container.update(more.pop("container", {}))
        labels = {"app": "test"}
        labels.update(more.pop("labels", {}))
        spec = {"containers": [container]}
        spec.update(more)
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}

    def create(self, name, *args, **more):
        spec = self.spec(name, *args, **more)
        done = self.k("create", "-f", "-", stdin=json.dumps(spec))
        assert done.stdout == "pod/%s created\n" % name, done.stdout

    def get(self, name):
        done = self.k("get", "pod", name, "-o", "json", check=False)
        pod = json.loads(done.stdout) if done.returncode == 0 else None
        self.said = done.stderr.strip()
        if pod is not None:
            self.uids.add(pod["metadata"]["uid"])
            self.interfaces.add("etl" + pod["metadata"]["uid"].replace("-", "")[:10])
        return pod

    def wait(self, name, what, condition, timeout=120):
        deadline = time.monotonic() + timeout
        while True:
            pod = self.get(name)
            if pod is not None and condition(pod):
                return pod
            if time.monotonic() > deadline:
                raise AssertionError("%s: not %s within %d s: %s\n%s" % (
                    name, what, timeout, json.dumps(pod["status"]) if pod else self.said, self.supervisor_log(name)))
            time.sleep(0.02)

    def supervisor_log(self, name):
        try:
            return open(os.path.join(self.state, "pods/default", name, "supervisor.log")).read()
        except OSError:
            return ""

    def ready(self, name, timeout=120):
        return self.wait(name, "ready", is_ready, timeout)

    def delete(self, *names):
        self.k("delete", "pod", *names, "--ignore-not-found", "--grace-period=1")

    def http(self, pod, path, method="GET", body=None):
        host, port = address(pod)
        with socket.create_connection((host, port), timeout=5) as connection:
            head = "%s %s HTTP/1.0\r\nHost: pod\r\n" % (method, path)
            if body is not None:
                head += "Content-Length: %d\r\n" % len(body)
            connection.sendall(head.encode() + b"\r\n" + (body or b""))
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        head, _, content = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.0 200"), head
        return content

    def supervisors(self):
        """{pod: supervisor pid}. A supervisor is not a child of another one. Its helper has the same command line, and a lower pid after a
        wrap-around."""
        found = {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            try:
                words = open("/proc/%d/cmdline" % pid, "rb").read().split(b"\0")
            except OSError:
                continue
            if b"supervise" in words and ("--state-dir=" + self.state).encode() in words:
                found[pid] = words[-2].decode().split("/")[1]
        return {name: pid for pid, name in found.items() if parent_of(pid) not in found}

    def kill_supervisor(self, name):
        """A new supervisor may replace the one that was found, so this repeats until one was killed."""
        def killed():
            try:
                os.kill(self.supervisors()[name], signal.SIGKILL)
                return True
            except (KeyError, ProcessLookupError):
                return False
        soon("a supervisor of %s to kill" % name, killed)

    def command_pid(self, name):
        """The container's own process, found through supervisor, bwrap and command."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            pid = self.supervisors().get(name)
            for child in children(pid):
                if comm(child) == "bwrap":
                    for command in children(child):
                        if comm(command) != "bwrap":
                            return command
                if comm(child) == "kubectl-local":  # in bubblewrap's place, without namespaces
                    for command in children(child):
                        return command
            time.sleep(0.01)
        raise AssertionError("no process of %s" % name)


def parent_of(pid):
    """0 if the process has ended meanwhile."""
    try:
        return leftovers.parent(pid)
    except OSError:
        return 0


def children(pid):
    try:
        return [int(child) for child in open("/proc/%d/task/%d/children" % (pid, pid)).read().split()]
    except (OSError, TypeError):
        return []


def comm(pid):
    try:
        return open("/proc/%d/comm" % pid).read().strip()
    except OSError:
        return ""


def gone(pid):
    return not os.path.exists("/proc/%d" % pid)


def alive(pid):
    """False for a zombie as well."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def soon(what, condition, timeout=120):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("not within %d s: %s" % (timeout, what))
        time.sleep(0.01)


def address(pod):
    host, port = pod["metadata"]["annotations"]["etlnode.local/address"].rsplit(":", 1)
    return host, int(port)


def status(pod):
    return pod["status"].get("containerStatuses", [{}])[0]


def condition(pod, name):
    for one in pod["status"].get("conditions", []):
        if one["type"] == name:
            return one
    return {}


def is_ready(pod):
    return condition(pod, "Ready").get("status") == "True"


def waiting(pod):
    return status(pod).get("state", {}).get("waiting", {})


class Allowed:
    """Applies the grants of the machine's owner for the duration of the block."""

    def __init__(self, r, text):
        self.path = os.path.join(r.state, "allow.yaml")
        with open(self.path, "w") as file:
            file.write(text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.unlink(self.path)


class HandedOver:
    """Passes the node's address to the pod, as a node does, for the duration of the block."""

    def __init__(self, url):
        self.url = url

    def __enter__(self):
        os.environ["KUBECTL_LOCAL_ALLOW_TARGET"] = self.url
        return self

    def __exit__(self, *_):
        del os.environ["KUBECTL_LOCAL_ALLOW_TARGET"]


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
    """`get pods --watch` in the background, with its events."""

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


def nothing_is_left(r):
    """The last case of every file: no process, file or interface of the earlier cases remains."""
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


def run_cases(cases, label, binary, directory, only, needs_namespaces):
    r = Run(label, binary, directory)
    if not r.has_namespaces():
        os.environ["KUBECTL_LOCAL_SANDBOX"] = "none"  # for the ordinary user
    image = os.path.join(directory, "image")
    os.makedirs(os.path.join(image, "code"))
    os.makedirs(os.path.join(image, "usr/local/bin"))
    with open(os.path.join(image, "code/server.py"), "w") as file:
        file.write(SERVER)
    os.chmod(os.path.join(image, "code/server.py"), 0o755)
    os.symlink("/usr/bin/python3", os.path.join(image, "usr/local/bin/python"))
    r.k("image", "--env", "FROM_IMAGE=yes", IMAGE, image, "/code/server.py")
    failed = 0
    for case in cases:
        if only and case.__name__ not in only:
            continue
        if case in needs_namespaces and not r.has_namespaces():
            print("ok %s: %s # SKIP no namespaces can be made here" % (label, case.__name__), flush=True)
            continue
        begun = time.monotonic()
        try:
            case(r)
            good = True
        except Exception:
            good = False
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            # Start the next case from an empty state.
            r.k("delete", "pods", "--all", "--force", "--grace-period=0", check=False)
        print("%s %s: %s # %.2f s" % ("ok" if good else "not ok", label, case.__name__, time.monotonic() - begun), flush=True)
    r.k("delete", "pods", "--all", "--force", "--grace-period=0", check=False)
    return failed


def find_binary():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for candidate in sys.argv[1:2] + [os.environ.get("KUBECTL_LOCAL", ""), os.path.join(root, "build/src/kubectl_local/kubectl-local")]:
        if candidate and os.path.isfile(candidate):
            return os.path.abspath(candidate)
    sys.exit("usage: %s PATH-TO-KUBECTL-LOCAL [CASE...]" % sys.argv[0])


def main(cases, needs_namespaces=()):
    binary = find_binary()
    only = sys.argv[2:]
    passes = ["root", "user"] if os.geteuid() == 0 else ["user"]
    top = tempfile.mkdtemp(prefix="kubectl-local-")
    os.chmod(top, 0o755)
    # Copy it to a place where an ordinary user can run it, whatever the modes of the build directory are.
    copy = os.path.join(top, "kubectl-local")
    shutil.copy(binary, copy)
    os.chmod(copy, 0o755)
    failed = 0
    try:
        for label in passes:
            directory = os.path.join(top, label)
            os.mkdir(directory)
            if label == "user" and os.geteuid() == 0:
                os.chown(directory, 65534, 65534)
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    if label == "user" and os.geteuid() == 0:
                        os.setgroups([])
                        os.setgid(65534)
                        os.setuid(65534)
                    os.environ["HOME"] = directory
                    code = 1 if run_cases(cases, label, copy, directory, only, needs_namespaces) else 0
                except BaseException:
                    traceback.print_exc()
                sys.stdout.flush()
                os._exit(code)
            _, wait_status = os.waitpid(child, 0)
            failed += wait_status != 0
    finally:
        shutil.rmtree(top, ignore_errors=True)
    count = len([case for case in cases if not only or case.__name__ in only]) * len(passes)
    print("1..%d" % count)
    sys.exit(1 if failed else 0)
