# SPDX-License-Identifier: MIT
"""Runs real daemons for end-to-end tests: a proxy, targets, kubectl-local. Prints TAP on stdout, and stops everything it started by process
id.

A test file defines functions named case_*, each taking the `world` that its main() creates, and calls harness.run(cases). Meson sets
ETLNODE_BUILD to the build directory. Sanitizer reports go to files; any report fails the test.
"""
import glob
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("ETLNODE_BUILD", os.path.join(ROOT, "build")))
ETLNODE = os.path.join(BUILD, "src/etlnode/etlnode")
ETLCTL = os.path.join(BUILD, "src/etlctl/etlctl")
KUBECTL_LOCAL = os.environ.get("KUBECTL_LOCAL_PROGRAM", os.path.join(BUILD, "src/kubectl_local/kubectl-local"))
PYTHON_LINK = "/usr/bin/python3"
# Time limits in tests are those of an idle machine. A machine with other work gets this many times as long, because a limit only ends a
# hanging test. It must never distinguish a slow machine from a fast one.
PATIENCE = 4

# nohup and a shell's background jobs ignore signals, and programs inherit that. A signal with a handler here has its default action in
# child processes.
for inherited in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
    if signal.getsignal(inherited) == signal.SIG_IGN:
        signal.signal(inherited, lambda number, frame: None)


class Skip(Exception):
    """Raised by a case that cannot run here; the text gives the reason."""


def until(condition, what, limit=15.0, step=0.03):
    """Waits until condition() is true, and returns its last value."""
    end = time.monotonic() + limit * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit * PATIENCE} s for: {what}")
        time.sleep(step)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def request(method, url, body=None, headers=None, follow=True, timeout=120):
    """Sends one request. Redirects keep the method. A truncated body raises http.client.IncompleteRead or OSError."""
    for _ in range(5):
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        try:
            target = parts.path + ("?" + parts.query if parts.query else "")
            connection.request(method, target, body=body, headers=headers or {})
            reply = connection.getresponse()
            data = reply.read()
            answer = Answer(reply.status, reply.headers, data)
        finally:
            connection.close()
        if follow and answer.status in (301, 307) and answer.headers.get("Location"):
            url = answer.headers["Location"]
            continue
        return answer
    raise AssertionError("too many redirects")


class Node:
    def __init__(self, cluster, name, arguments):
        self.cluster, self.name, self.arguments = cluster, name, arguments
        self.process = None
        self.announced = {}

    def start(self, wait=True, env=None):
        log = open(os.path.join(self.cluster.log_dir, self.name + ".log"), "ab")
        environment = dict(self.cluster.env)
        environment.update(env or {})
        self.process = subprocess.Popen(
            [self.cluster.etlnode, "--data-dir", os.path.join(self.cluster.dir, self.name), "--log-level", self.cluster.log_level] + self.arguments,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment, start_new_session=True, preexec_fn=self.cluster.drop)
        log.close()
        if wait:
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError(f"{self.name} did not start:\n{self.cluster.log_tail(self.name)}")
            self.announced = json.loads(line)
        return self

    @property
    def url(self):
        return self.announced["url"]

    @property
    def pid(self):
        return self.process.pid

    def kill(self, signum=signal.SIGKILL, limit=40):
        """Sends the signal, waits for the process to end, and returns the exit code."""
        self.process.send_signal(signum)
        try:
            code = self.process.wait(limit * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            time.sleep(0.3)
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end within {limit * PATIENCE} s of signal {signum}:\n{self.cluster.log_tail(self.name)}")
        self.process.stdout.close()
        self.process = None
        return code

    def alive(self):
        return self.process is not None and self.process.poll() is None


class Cluster:
    """A proxy and `targets` targets in one temporary directory. uid: run everything as that user (needs root)."""

    def __init__(self, targets=2, uid=None, target_arguments=(), kubectl=None, extra_env=None, log_level="info"):
        self.log_level = log_level
        self.dir = tempfile.mkdtemp(prefix="etlnode-e2e.", dir=os.environ.get("TMPDIR", "/tmp"))
        self.uid = uid
        self.log_dir = os.path.join(self.dir, "log")
        self.reports = os.path.join(self.dir, "reports")
        self.bin = os.path.join(self.dir, "bin")
        for path in (self.log_dir, self.reports, self.bin):
            os.mkdir(path)
        for name, program in (("ais", ETLCTL), ("etlctl", ETLCTL), ("kubectl-local", KUBECTL_LOCAL)):
            # Another user may not have access to the build tree.
            (os.symlink if uid is None else shutil.copy)(program, os.path.join(self.bin, name))
        self.etlnode = ETLNODE if uid is None else shutil.copy(ETLNODE, self.bin)
        self.env = dict(os.environ)
        for name in ("K8S_HOST_NAME", "AIS_ENDPOINT", "ETLNODE_ENDPOINT", "KUBECONFIG"):
            self.env.pop(name, None)
        sanitizer = f"log_path={self.reports}/report:exitcode=99"
        self.env.update({
            "PATH": self.bin + ":" + os.environ.get("PATH", "/usr/bin:/bin"),
            "KUBECTL_LOCAL_STATE": os.path.join(self.dir, "pods"),
            "HOME": self.dir,
            "ETLNODE_STRICT": "1",
            "ASAN_OPTIONS": sanitizer + ":detect_leaks=1:abort_on_error=0",
            "UBSAN_OPTIONS": sanitizer + ":print_stacktrace=1:halt_on_error=1",
            "TSAN_OPTIONS": ":".join(filter(None, [os.environ.get("TSAN_OPTIONS"), sanitizer])),
            "LSAN_OPTIONS": f"log_path={self.reports}/report:exitcode=99",
        })
        self.env.update(extra_env or {})
        self.target_arguments = list(target_arguments)
        if kubectl:
            self.target_arguments += ["--kubectl", kubectl]
        secret = os.path.join(self.dir, "secret")
        with open(secret, "w", encoding="ascii") as file:
            file.write(hashlib.sha256(self.dir.encode()).hexdigest() + "\n")
        os.chmod(secret, 0o600)
        self.secret_arguments = ["--cluster-secret-file", secret]
        if uid is not None:
            for path, _, files in os.walk(self.dir):
                os.chown(path, uid, uid)
                for name in files:
                    os.chown(os.path.join(path, name), uid, uid, follow_symlinks=False)
        self.proxy = None
        self.targets = []
        self.count = targets

    def drop(self):
        if self.uid is not None:
            os.setgroups([])
            os.setgid(self.uid)
            os.setuid(self.uid)

    def start(self):
        self.proxy = Node(self, "proxy", ["--role", "proxy", "--listen", "127.0.0.1:0"] + self.secret_arguments).start()
        # A restarted proxy must be reachable at the same address, so its port is fixed from here on.
        self.proxy.arguments[3] = "127.0.0.1:" + str(self.proxy.announced["port"])
        self.env["AIS_ENDPOINT"] = self.proxy.url
        for i in range(self.count):
            self.add_target(i + 1)
        self.wait_registered()
        return self

    def add_target(self, number):
        node = Node(self, f"target{number}", ["--role", "target", "--listen", "127.0.0.1:0", "--proxy", self.proxy.url] + self.secret_arguments + self.target_arguments)
        node.start()
        # Keep the ports across a restart, because running pods already know their target's address.
        node.arguments[3] = "127.0.0.1:" + str(node.announced["port"])
        if "--pod-listen" not in node.arguments:
            node.arguments += ["--pod-listen", "127.0.0.1:" + str(node.announced["pod_port"])]
        self.targets.append(node)
        return node

    def smap(self):
        return request("GET", self.proxy.url + "/v1/daemon?what=smap").json

    def wait_registered(self, count=None):
        count = self.count if count is None else count
        until(lambda: len(self.smap()["tmap"]) >= count, f"{count} targets in the map")
        until(lambda: all(request("GET", t.url + "/v1/health?readiness=true").status == 200 for t in self.targets), "targets ready")

    def url(self, path):
        return self.proxy.url + path

    def run(self, *arguments, stdin=None, check=True, timeout=120, env=None):
        """Runs a program with the cluster's environment. Returns CompletedProcess with bytes."""
        environment = dict(self.env)
        environment.update(env or {})
        done = subprocess.run(arguments, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True, env=environment, timeout=timeout,
                              cwd=self.dir, preexec_fn=self.drop)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(arguments)}: exit {done.returncode}\nstdout: {done.stdout!r}\nstderr: {done.stderr.decode(errors='replace')}")
        return done

    def allow(self, text):
        """The grants of this machine's owner to pods: kubectl-local's allow.yaml."""
        path = os.path.join(self.dir, "pods", "allow.yaml")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        if self.uid is not None:
            for one in (os.path.dirname(path), path):
                os.chown(one, self.uid, self.uid)

    def image(self, name, files, entrypoint=()):
        """Creates an image for kubectl-local. files is {path: text}; every file is executable; usr/local/bin/python is added."""
        folder = tempfile.mkdtemp(prefix="image.", dir=self.dir)
        os.makedirs(os.path.join(folder, "usr/local/bin"))
        os.symlink(PYTHON_LINK, os.path.join(folder, "usr/local/bin/python"))
        for path, text in files.items():
            full = os.path.join(folder, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(full, 0o755)
        os.chmod(folder, 0o755)
        self.run("kubectl-local", "image", name, folder, *entrypoint)
        shutil.rmtree(folder)

    def pods(self):
        done = self.run("kubectl-local", "get", "pods", "-o", "json")
        return json.loads(done.stdout)["items"]

    def bucket(self, name):
        answer = request("POST", self.url(f"/v1/buckets/{name}"), json.dumps({"action": "create-bck"}), {"Content-Type": "application/json"})
        assert answer.status == 200, answer

    def put(self, bucket, name, body, headers=None):
        path = f"/v1/objects/{bucket}/{urllib.parse.quote(name, safe='/')}"
        hop = request("PUT", self.url(path), b"", follow=False)
        assert hop.status == 307, hop
        return request("PUT", hop.headers["Location"], body, headers)

    def get(self, bucket, name, query="", **rest):
        path = f"/v1/objects/{bucket}/{urllib.parse.quote(name, safe='/')}"
        return request("GET", self.url(path) + ("?" + query if query else ""), **rest)

    def init(self, spec, check=True):
        answer = request("POST", self.url("/v1/etl/init"), spec.encode() if isinstance(spec, str) else spec, timeout=240)
        if check:
            assert answer.status == 200, answer
            return answer.text
        return answer

    def stop_etl(self, etl):
        answer = request("DELETE", self.url(f"/v1/etl/stop/{etl}"), timeout=240)
        assert answer.status == 200, answer

    def holder(self, bucket, name):
        """The target that has an object."""
        path = f"/v1/objects/{bucket}/{urllib.parse.quote(name, safe='/')}"
        location = request("GET", self.url(path), follow=False).headers["Location"]
        return next(t for t in self.targets if location.startswith(t.url + "/"))

    def log_tail(self, name, lines=40):
        try:
            with open(os.path.join(self.log_dir, name + ".log"), encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-lines:])
        except OSError:
            return ""

    def sanitizer_reports(self):
        out = []
        for path in glob.glob(self.reports + "/*"):
            with open(path, encoding="utf-8", errors="replace") as file:
                out.append(file.read())
        return out

    def stop(self, expect_clean=True):
        """Ends every node with SIGTERM. Checks exit codes, sanitizer reports, and that no pod process is left."""
        problems = []
        for node in self.targets + ([self.proxy] if self.proxy else []):
            if node.process is None:
                continue
            if not node.alive():
                problems.append(f"{node.name} had ended with {node.process.returncode}:\n{self.log_tail(node.name)}")
                node.process.stdout.close()
                continue
            try:
                code = node.kill(signal.SIGTERM)
                if code != 0:
                    problems.append(f"{node.name} ended with {code} on SIGTERM:\n{self.log_tail(node.name)}")
            except AssertionError as error:
                problems.append(str(error))
        try:
            for pod in self.pods():
                self.run("kubectl-local", "delete", "pod", pod["metadata"]["name"], "--now", check=False)
        except Exception as error:  # the test may have removed the state
            problems.append(f"cleaning pods: {error}")
        problems += self.sanitizer_reports()
        if os.environ.get("KEEP"):
            print(f"# kept {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        if problems and expect_clean:
            raise AssertionError("\n".join(problems))

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            for name in ("proxy", "target1", "target2"):
                print("# " + self.log_tail(name).replace("\n", "\n# "))
            self.stop(expect_clean=False)
            raise

    def __exit__(self, kind, value, trace):
        failed = kind is not None and not (kind is SystemExit and not value.code)
        if failed:
            for name in ["proxy"] + [t.name for t in self.targets]:
                print(f"# --- {name}\n# " + self.log_tail(name, 25).replace("\n", "\n# "))
        self.stop(expect_clean=not failed)


def pod_spec(name, image, mode="hpush://", port=80, command=None, wait="30s", annotations=None, extra=""):
    notes = {"communication_type": mode, "wait_timeout": wait}
    notes.update(annotations or {})
    lines = "\n".join(f"    {key}: {json.dumps(value)}" for key, value in notes.items())
    run = f"      command: {json.dumps(command)}\n" if command else ""
    return f"""apiVersion: v1
kind: Pod
metadata:
  name: {name}
  annotations:
{lines}
spec:
  containers:
    - name: server
      image: {image}
      ports:
        - containerPort: {port}
{run}{extra}"""


def container_pid(pod_name, program="/srv.py"):
    """The process that runs a pod's program, recognised by the pod's host name. None while there is none."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().split(b"\0")
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = file.read().split(b"\0")
        except OSError:
            continue
        if f"HOSTNAME={pod_name}".encode() in environment and program.encode() in command and b"bwrap" not in command[0]:
            return int(pid)
    return None


def remark(text):
    """Prints lines that TAP parsers ignore."""
    print("# " + text.rstrip("\n").replace("\n", "\n# "), flush=True)


class Readers:
    """Threads that repeatedly read objects. An answer is good (whole), refused (an error status), cut (the connection shows it), or wrong:
    complete for the client, but with other content. Wrong must not occur, whatever dies. A client that cannot connect counts the node as
    down."""

    def __init__(self, urls, count=4):
        self.urls = urls  # {url: body}
        self.good = self.refused = self.cut = self.away = 0
        self.wrong = []
        self.last_good = 0.0
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.read, args=(i,), daemon=True) for i in range(count)]

    def read(self, number):
        urls = list(self.urls.items())
        while not self.ended.is_set():
            number += 1
            url, body = urls[number % len(urls)]
            try:
                answer = request("GET", url, timeout=60)
            except Exception as error:
                with self.lock:
                    if isinstance(error, (http.client.HTTPException, ConnectionResetError)):
                        self.cut += 1
                    else:
                        self.away += 1
                time.sleep(0.05)
                continue
            with self.lock:
                if answer.status == 200 and answer.body == body:
                    self.good += 1
                    self.last_good = time.monotonic()
                elif answer.status >= 400:
                    self.refused += 1
                else:
                    self.wrong.append(f"{url}: {answer.status}, {len(answer.body)} of {len(body)} bytes")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        until(lambda: self.good > 20, "reads go on", 30)
        return self

    def all_good_again(self, limit=60):
        """Waits until reads have succeeded for a second without a failure."""
        def steady():
            before = (self.good, self.refused + self.cut + self.away)
            time.sleep(1)
            return self.good > before[0] and self.refused + self.cut + self.away == before[1]
        until(steady, "reads go well again", limit)

    def __exit__(self, kind, value, trace):
        self.ended.set()
        for thread in self.threads:
            thread.join(30 * PATIENCE)
        remark(str(self))
        if kind is None:
            assert self.wrong == [], self.wrong[:5]

    def __str__(self):
        return f"reads: {self.good} whole, {self.refused} refused, {self.cut} cut, {self.away} times away, {len(self.wrong)} wrong"


class Traces:
    """Golden traces of a machine, from the log of a node with log level `state`. test/golden/traces/<machine>.md has a section for each
    title. UPDATE=1 rewrites the sections."""

    def __init__(self, cluster, node, machine):
        self.log = os.path.join(cluster.log_dir, node.name + ".log")
        self.machine = machine
        self.path = os.path.join(ROOT, "test/golden/traces", machine + ".md")
        self.at = 0

    def begin(self):
        """Starts the next check at the present end of the log."""
        self.at = os.path.getsize(self.log)

    def check(self, title, initial, final):
        """Compares the transitions of the first instance that left `initial` since begin(), up to the state `final`, with the section."""
        pattern = re.compile(rf" {self.machine}/(\d+) (\w+) --(\w+)--> (\w+)")

        def lines():
            with open(self.log, encoding="utf-8", errors="replace") as file:
                file.seek(self.at)
                found = [m.groups() for m in map(pattern.search, file) if m]
            first = next((number for number, a, _, _ in found if a == initial), None)
            own = [f"{a} --{on}--> {b}" for number, a, on, b in found if number == first and (a != b or "failed" in on)]
            return own if own and own[-1].endswith("> " + final) else None

        wanted = f"## {title}\n\n```\n" + "\n".join(until(lines, f"a trace that ends in {final}")) + "\n```\n"
        try:
            with open(self.path, encoding="utf-8") as file:
                page = file.read()
        except FileNotFoundError:
            page = f"# Traces of the {self.machine} machine\n\nWhat real pods make of it; `UPDATE=1` with the test that checks them rewrites the blocks.\n"
        kept = re.search(rf"## {re.escape(title)}\n\n```\n.*?```\n", page, re.S)
        if kept and kept.group(0) == wanted:
            return
        if not os.environ.get("UPDATE"):
            raise AssertionError(f"expected\n{kept.group(0) if kept else '(no section)'}\ngot\n{wanted}")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(page.replace(kept.group(0), wanted) if kept else page + "\n" + wanted)


def _alarm(_signum, _frame):
    raise AssertionError("the case took too long")


def run(cases, limit=120):
    """Runs [(name, function)] and prints TAP. Exits with 0 if all passed. A case that raises Skip is reported with its reason."""
    only = sys.argv[1:]
    cases = [(n, f) for n, f in cases if not only or n in only]
    print(f"1..{len(cases)}", flush=True)
    failed = 0
    signal.signal(signal.SIGALRM, _alarm)
    for number, (name, function) in enumerate(cases, 1):
        began = time.monotonic()
        try:
            signal.alarm(limit * PATIENCE)
            function()
            print(f"ok {number} {name} # {time.monotonic() - began:.1f} s", flush=True)
        except Skip as reason:
            print(f"ok {number} {name} # SKIP {reason}", flush=True)
        except BaseException as error:  # noqa: a failing case must not end the others
            failed += 1
            text = traceback.format_exc()
            print(f"not ok {number} {name}", flush=True)
            print("# " + text.replace("\n", "\n# "), flush=True)
            if isinstance(error, KeyboardInterrupt):
                break
        finally:
            signal.alarm(0)
    sys.exit(1 if failed else 0)
