# SPDX-License-Identifier: MIT
"""A small server that speaks the HTTP interface of proxy and target, and helpers that run etlctl against it, for test_etlctl.py."""
import base64
import hashlib
import http.server
import json
import os
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

ETLCTL = os.path.abspath(os.environ.get("ETLCTL", "build/src/etlctl/etlctl"))
ETL_ID = "JGHEoo89gg"
SPEC = """apiVersion: v1
kind: Pod
metadata:
  name: transformer-md5
  annotations:
    communication_type: hpush://
    wait_timeout: 1m
spec:
  containers:
    - name: server
      image: quay.io/user/md5_server:v1
      ports:
        - containerPort: 80
      command: ['/code/server.py', '--listen', '0.0.0.0', '--port', '80']
"""
RUNTIME = """name: upper-case
runtime:
  image: example/upper:1
  command: [serve]
communication: hpush://
init_timeout: 2m
"""


# ---- XXH64, independent of the code under test

def xxh64(data, seed=0):
    m = (1 << 64) - 1
    p1, p2, p3, p4, p5 = 11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261
    rotl = lambda x, r: ((x << r) | (x >> (64 - r))) & m
    rnd = lambda acc, lane: (rotl((acc + lane * p2) & m, 31) * p1) & m
    at, n = 0, len(data)
    if n >= 32:
        v = [(seed + p1 + p2) & m, (seed + p2) & m, seed, (seed - p1) & m]
        while at + 32 <= n:
            lanes = struct.unpack_from("<4Q", data, at)
            v = [rnd(a, b) for a, b in zip(v, lanes)]
            at += 32
        h = (rotl(v[0], 1) + rotl(v[1], 7) + rotl(v[2], 12) + rotl(v[3], 18)) & m
        for x in v:
            h = ((h ^ rnd(0, x)) * p1 + p4) & m
    else:
        h = (seed + p5) & m
    h = (h + n) & m
    while at + 8 <= n:
        h = (rotl(h ^ rnd(0, struct.unpack_from("<Q", data, at)[0]), 27) * p1 + p4) & m
        at += 8
    if at + 4 <= n:
        h = (rotl(h ^ (struct.unpack_from("<I", data, at)[0] * p1) & m, 23) * p2 + p3) & m
        at += 4
    while at < n:
        h = (rotl(h ^ (data[at] * p5) & m, 11) * p1) & m
        at += 1
    h = ((h ^ (h >> 33)) * p2) & m
    h = ((h ^ (h >> 29)) * p3) & m
    return "%016x" % (h ^ (h >> 32))


# ---- the server

class World:
    def __init__(self):
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        self.buckets = {}
        self.etls = {}
        self.requests = []  # (role, method, path, headers, body)
        self.page = 10000
        self.says_version = True
        self.cluster = {}  # answers of /v1/cluster by what=; none: as AIStore
        self.jobs = 0      # how often a summary is not ready yet
        self.moves = 0     # how often an object gets another owner while it is uploaded
        self.hang = threading.Event()
        self.release = threading.Event()


world = World()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    role = ""

    def log_message(self, *args):
        pass

    def version_string(self):
        return "etlnode/0.1.0" if world.says_version else "other"

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Request-Id", self.headers.get("X-Request-Id", "none"))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, value):
        self.answer(200, json.dumps(value).encode(), [("Content-Type", "application/json")])

    def error(self, status, code, message, retryable=False):
        body = json.dumps({"tcode": "ErrX", "message": message, "method": self.command, "url_path": self.path, "remote_addr": "", "caller": "",
                           "node": self.node, "status": status, "code": code, "retryable": retryable,
                           "request_id": self.headers.get("X-Request-Id", "")})
        if self.command == "HEAD":
            self.answer(status, b"", [("Hdr-Error", body)])
        else:
            self.answer(status, body.encode(), [("Content-Type", "application/json")])

    def read_body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while True:
                size = int(self.rfile.readline(), 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return body
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def handle_any(self):
        body = self.read_body()
        with world.lock:
            world.requests.append((self.role, self.command, self.path, dict(self.headers), body))
        parts = urllib.parse.urlsplit(self.path)
        words = [urllib.parse.unquote(w) for w in parts.path.split("/")[2:]]
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        if self.headers.get("X-Test-Hang") or world.hang.is_set():
            world.release.wait(120)
            return
        if self.role == "proxy":
            self.proxy(words, query, body)
        else:
            self.target(words, query, body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    # -- proxy

    def proxy(self, words, query, body):
        if self.path == "/metrics":
            self.answer(200, b'# TYPE etlnode_build_info gauge\netlnode_build_info{node_id="p1",version="9.9.9"} 1\n')
        elif words[0] == "health":
            self.answer(200, b"", [("Ais-Node-Uptime", "62000000000")])
        elif words[0] == "daemon":
            self.json(smap())
        elif words[0] == "cluster" and query.get("what") in world.cluster:
            self.json(world.cluster[query["what"]])
        elif words[0] == "cluster" and self.command == "PUT" and "PUT" in world.cluster:
            self.answer(200, world.cluster["PUT"])
        elif words[0] == "jobs" and "jobs" in world.cluster:
            self.json(world.cluster["jobs"])
        elif words[0] == "buckets":
            self.proxy_buckets(words, body)
        elif words[0] == "objects":
            if words[1] not in world.buckets:
                return self.error(404, "bucket_not_found", 'bucket "ais://%s" does not exist' % words[1])
            location = TARGET_URL + self.path + ("&" if "?" in self.path else "?") + "pid=p1&utm=123"
            self.answer(301 if self.command == "GET" else 307, b"", [("Location", location)])
        elif words[0] == "etl":
            self.proxy_etl(words[1:], body)
        else:
            self.error(400, "bad_request", "no such path")

    def proxy_buckets(self, words, body):
        action = json.loads(body) if body else {"action": "list", "value": None}
        if len(words) == 1:
            return self.json([{"name": b, "provider": "ais", "namespace": {"uuid": "", "name": ""}} for b in sorted(world.buckets)])
        bucket = words[1]
        if action["action"] == "create-bck":
            if bucket in world.buckets:
                return self.error(409, "already_exists", 'bucket "ais://%s" already exists' % bucket)
            world.buckets[bucket] = {}
            return self.answer(200)
        if bucket not in world.buckets:
            return self.error(404, "bucket_not_found", 'bucket "ais://%s" does not exist' % bucket)
        if action["action"] == "destroy-bck":
            del world.buckets[bucket]
            return self.answer(200)
        value = action["value"]
        if action["action"] == "summary-bck":
            world.jobs -= 1 if value["uuid"] else 0
            if not value["uuid"] or world.jobs >= 0:
                return self.answer(202, b"summary-1")
            sizes = [len(data) for name, data in world.buckets[bucket].items() if name.startswith(value["prefix"])]
            return self.json([{"name": bucket, "provider": "ais", "ObjCount": {"obj_count_present": str(len(sizes))},
                               "TotalSize": {"size_all_present_objs": str(sum(sizes))}}])
        if "application/json" not in self.headers.get("Accept", ""):
            return self.error(400, "bad_request", "JSON was not asked for")
        names = [n for n in sorted(world.buckets[bucket]) if n.startswith(value["prefix"]) and n > value["continuation_token"]]
        page = names[:min(value["pagesize"] or 10000, world.page)]
        entries = []
        for name in page:
            data = world.buckets[bucket][name]
            entry = {"name": name, "size": str(len(data)), "flags": 64}
            if "checksum" in value["props"]:
                entry.update(checksum=xxh64(data), version="1", atime="1787000000123000000")
            entries.append(entry)
        self.json({"uuid": "list-uuid1", "continuation_token": page[-1] if len(page) < len(names) else "", "flags": 0, "entries": entries})

    def proxy_etl(self, words, body):
        if self.command == "POST" and words == ["init"]:
            if b"broken-image" in body:
                return self.error(400, "etl_init_failed", "ETL did not start: pod transformer-md5-abcde-node1: ErrImagePull\nlast log line")
            if b"silent" in body:
                return self.error(503, "unavailable", "target t2 is silent", True)
            if b"sleepy" in body:
                world.release.wait(120)
                return
            world.etls[ETL_ID] = {"name": "transformer-md5", "stage": "Running", "spec": body}
            return self.answer(200, ETL_ID.encode())
        if self.command == "PUT" and not words:
            message = json.loads(body)
            if message["name"] in world.etls:
                return self.error(409, "already_exists", "etl job %s already exists" % message["name"])
            world.etls[message["name"]] = {"name": message["name"], "stage": "Running", "message": message}
            return self.answer(200, b"etl-9fGhijK1m")
        if self.command == "GET" and not words:
            return self.json([{"id": k, "name": v["name"], "stage": v["stage"], "xaction_id": "etl-1", "obj_count": 3, "in_bytes": 2048, "out_bytes": 96,
                               "communication": "hpush://"} for k, v in sorted(world.etls.items())])
        name = words[1] if words[0] == "stop" else words[0]
        if name not in world.etls:
            return self.error(404, "etl_not_found", "etl job %s does not exist" % name)
        if self.command == "DELETE":
            late = world.etls[name].get("late")
            del world.etls[name]
            return self.answer(202, b"stopped; pods are still being removed:\ntarget t2: is silent\n") if late else self.answer(200)
        if self.command == "POST":
            world.etls[name]["stage"] = {"stop": "Aborted", "start": "Running"}[words[1]]
            return self.answer(200)
        if len(words) == 1:
            init = {"name": world.etls[name]["name"], "communication": "hpush://", "init_timeout": "1m0s", "obj_timeout": "45s",
                    "spec": base64.b64encode(b"kind: Pod\nmetadata: {name: transformer-md5}\n").decode()}
            if world.etls[name].get("plain"):  # AIStore's own answer
                return self.json({"init_msg": init, "obj_errors": [{"obj_name": "ais://b/bad", "msg": "boom", "ecode": 500}]})
            target = {"target_id": "t1", "phase": "serving", "pod_name": "transformer-md5-fgjk3-node1", "ready": True, "address": "10.0.0.9:80",
                      "client_url": "", "restarts": 0, "last_error": "", "maintenance": False}
            silent = dict(target, target_id="t2", phase="unknown", pod_name="", ready=False, address="", last_error="target is silent")
            if "pods=true" in self.path:
                target["pod"] = '{"metadata":{"name":"transformer-md5-fgjk3-node1"},"spec":{"securityContext":{"runAsUser":9007199254740993}}}'
            return self.json({"init_msg": init, "id": name, "name": init["name"], "stage": world.etls[name]["stage"], "communication": "hpush://",
                              "xaction_id": "etl-1", "generation": "g-1", "started": "2026-08-17T20:53:20Z", "last_error": "", "targets": [target, silent]})
        if words[1] == "logs":
            targets = [words[2]] if len(words) > 2 else ["t1", "t2"]
            return self.json([{"target_id": t, "logs": base64.b64encode(b"one\ntwo\nthree\n").decode()} for t in targets])
        if words[1] == "health":
            return self.json([{"target_id": "t1", "health_status": "Running"}])
        self.error(400, "bad_request", "no such path")

    # -- target

    def target(self, words, query, body):
        if words[0] == "health":
            return self.answer(200, b"", [("Ais-Node-Uptime", "3000000000")])
        if words[0] == "daemon":
            return self.json(smap())
        if words[0] != "objects":
            return self.error(404, "not_found", "there is no /v1/%s here" % words[0])
        if "pid" not in query:
            return self.error(400, "not_redirected", "expected to be redirected")
        bucket, name = words[1], "/".join(words[2:])
        objects = world.buckets[bucket]
        if self.command == "PUT":
            if name == "too-large":
                return self.error(507, "no_space", "no space left on device")
            if world.moves > 0:
                world.moves -= 1
                return self.answer(307, json.dumps({"message": "it was not stored: send it again", "status": 307, "code": "unavailable", "retryable": True, "node": self.node}).encode(),
                                   [("Location", TARGET_URL + self.path), ("Content-Type", "application/json")])
            objects[name] = body
            checksum = "0" * 16 if name == "damaged" else xxh64(body)
            return self.answer(200, b"", [("Ais-Checksum-Type", "xxhash2"), ("Ais-Checksum-Value", checksum), ("Ais-Version", "1")])
        if name not in objects:
            return self.error(404, "object_not_found", "t[t1]: ais://%s/%s does not exist" % (bucket, name))
        if self.command == "DELETE":
            del objects[name]
            return self.answer(200)
        data = objects[name]
        if "uuid" in query or "etl_name" in query:
            if name == "fails":
                return self.error(502, "pod_gone", "ETL error: the pod closed the connection without an answer to POST /b/fails", True)
            return self.transform(query, data)
        checksum = "00000000deadbeef" if name == "rotten" else xxh64(data)
        headers = [("Ais-Checksum-Type", "xxhash2"), ("Ais-Checksum-Value", checksum), ("Ais-Version", "1"), ("Ais-Atime", "1787000000000000000"),
                   ("Content-Type", "application/octet-stream"), ("ETag", '"abc"'), ("Last-Modified", "Mon, 17 Aug 2026 20:53:20 GMT"), ("Ais-Custom-Md", "colour=blue")]
        if name == "cut":
            self.answer(200, data[:5], headers + [("Content-Length", str(len(data)))])
            self.close_connection = True
        elif name == "stall":
            self.answer(200, data[:5], headers + [("Content-Length", str(len(data)))])
            self.wfile.flush()
            world.release.wait(120)
            self.close_connection = True
        elif self.headers.get("Range") and name != "no-range":
            first, last = re.match(r"bytes=(\d*)-(\d*)", self.headers["Range"]).groups()
            low, high = (len(data) - int(last), len(data) - 1) if first == "" else (int(first), int(last) if last else len(data) - 1)
            if low >= len(data):
                return self.error(416, "bad_range", "range not satisfiable")
            part = data[low:high + 1]
            self.answer(206, part, headers + [("Content-Range", "bytes %d-%d/%d" % (low, low + len(part) - 1, len(data)))])
        else:
            self.answer(200, data, headers + ([("Content-Length", str(len(data)))] if self.command == "HEAD" else []))

    def transform(self, query, data):
        etl = query.get("uuid", query.get("etl_name"))
        if etl not in world.etls:
            return self.error(404, "etl_not_found", "etl job %s does not exist" % etl)
        args = query.get("etl_args", "")
        if args == "crash":
            return self.error(502, "pod_gone", "ETL error: the pod closed the connection", True)
        if args == "slow":
            return self.error(504, "timed_out", "timeout: no byte from the pod in 45s", True)
        if args == "busy":
            return self.error(503, "overloaded", "too many requests in flight", True)
        result = (hashlib.md5(data).hexdigest() + args).encode()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(result), result))
        if args == "cut":
            self.wfile.flush()
            # Resets the connection, like a node that cuts an answer.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")


class ProxyHandler(Handler):
    role = "proxy"
    node = "p1"


class TargetHandler(Handler):
    role = "target"
    node = "t1"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


proxy_server = Server(("127.0.0.1", 0), ProxyHandler)
target_server = Server(("127.0.0.1", 0), TargetHandler)
PROXY_URL = "http://127.0.0.1:%d" % proxy_server.server_port
TARGET_URL = "http://127.0.0.1:%d" % target_server.server_port


def smap():
    def node(name, kind, url, flags=0):
        net = {"node_ip_addr": "127.0.0.1", "daemon_port": url.rsplit(":", 1)[1], "direct_url": url}
        return {"public_net": net, "intra_control_net": net, "intra_data_net": net, "daemon_type": kind, "daemon_id": name, "flags": flags, "id_digest": 1}
    p = node("p1", "proxy", PROXY_URL)
    return {"pmap": {"p1": p}, "proxy_si": p, "tmap": {"t1": node("t1", "target", TARGET_URL), "t2": node("t2", "target", "http://127.0.0.1:1", 4)},
            "uuid": "u", "creation_time": "", "version": "5"}


# ---- running etlctl and comparing its results

def environment(extra=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ETLNODE_", "AIS_")) and k.lower() not in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")}
    env["ETLNODE_ENDPOINT"] = PROXY_URL
    env.update(extra or {})
    return env


class Result:
    pass


def run(*args, stdin=b"", env=None, cwd=None, program=None):
    done = subprocess.run([program or ETLCTL, *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, env=environment(env), cwd=cwd)
    r = Result()
    r.code, r.out, r.err = done.returncode, done.stdout, done.stderr.decode()
    return r


class Failed(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failed(text)


def expect(r, code=0, out=None, err=None):
    """Compares a result. err is the exact text, with RID for the random request id."""
    shown = re.sub(r"request id [0-9a-f]{16}", "request id RID", r.err).replace(PROXY_URL, "PROXY").replace(TARGET_URL, "TARGET")
    text = r.out.replace(PROXY_URL.encode(), b"PROXY").replace(TARGET_URL.encode(), b"TARGET")
    what = "\n  code %d, stdout %r, stderr %r" % (r.code, text, shown)
    check(r.code == code, "exit code is not %d" % code + what)
    if out is not None:
        wanted = out.encode() if isinstance(out, str) else out
        check(text == wanted, "stdout is not %r" % wanted + what)
    if err is not None:
        check(shown == err, "stderr is not %r" % err + what)


def seen(method, path, role="proxy"):
    return [q for q in world.requests if q[0] == role and q[1] == method and q[2].split("?")[0] == path]


tests = []


def test(function):
    tests.append(function)
    return function


def with_object(bucket="transform", name="shard.in", data=b"some text :)\n"):
    world.buckets.setdefault(bucket, {})[name] = data


def with_etl(name=ETL_ID):
    world.etls[name] = {"name": "transformer-md5", "stage": "Running"}


def run_on_terminal(args, typed=b"", env=None):
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(ETLCTL, [ETLCTL, *args], environment(env))
    out = b""
    deadline = time.monotonic() + 60
    if typed:
        os.write(fd, typed)
    while time.monotonic() < deadline:
        ready, _, _ = select.select([fd], [], [], 0.5)
        if not ready:
            continue
        try:
            block = os.read(fd, 65536)
        except OSError:
            break
        if not block:
            break
        out += block
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return os.waitstatus_to_exitcode(status), out.replace(b"\r\n", b"\n")


def main():
    for server in (proxy_server, target_server):
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    only = sys.argv[1:]
    chosen = [t for t in tests if not only or t.__name__ in only]
    print("1..%d" % len(chosen), flush=True)
    bad = 0
    for number, function in enumerate(chosen, 1):
        name = function.__name__.replace("_", " ")
        world.reset()
        tmp = tempfile.mkdtemp(prefix="etlctl-")
        try:
            skipped = function(tmp)
            print("ok %d - %s%s" % (number, name, " # SKIP " + skipped if skipped else ""))
        except (Failed, subprocess.SubprocessError, ValueError, KeyError, IndexError, OSError) as problem:
            bad += 1
            print("not ok %d - %s" % (number, name))
            for line in ("%s: %s" % (type(problem).__name__, problem)).splitlines():
                print("# " + line)
        finally:
            world.release.set()
            shutil.rmtree(tmp, ignore_errors=True)
        sys.stdout.flush()
    proxy_server.shutdown()
    target_server.shutdown()
    return 1 if bad else 0
