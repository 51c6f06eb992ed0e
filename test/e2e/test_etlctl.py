#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# e2e/test_etlctl.py: every command of etlctl against a small server that speaks the node's wire; stdout, stderr and exit code compared.
#
# TAP on stdout. ETLCTL names the program (default build/src/etlctl/etlctl). Ports are chosen by the kernel; everything runs on loopback.
import base64
import hashlib
import http.server
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
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


# ---- XXH64, to be independent of what is tested

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
            if world.etls[name].get("plain"):  # as AIStore itself answers
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
            # RST, as a node cuts an answer.
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


# ---- running and comparing

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
    """err: exact text; the random request id reads as RID."""
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


# ---- the document

@test
def the_documents_session_word_for_word(tmp):
    ais = os.path.join(tmp, "ais")
    os.symlink(ETLCTL, ais)
    open(os.path.join(tmp, "spec.yaml"), "w").write(SPEC)
    expect(run("transform", "init", "spec.yaml", program=ais, cwd=tmp), 0, ETL_ID + "\n", "")
    check(seen("POST", "/v1/etl/init")[0][4] == SPEC.encode(), "the spec was not sent as it is")
    expect(run("create", "bucket", "transform", program=ais), 0, "", "")
    expect(run("put", "-", "transform/shard.in", program=ais, stdin=b"some text :)\n"), 0, "", "")
    expect(run("etl", "object", ETL_ID, "transform/shard.in", "-", program=ais), 0, "393c6706efb128fbc442d3f7d084a426", "")
    expect(run("etl", "stop", ETL_ID, program=ais), 0, "ETL containers stopped successfully.\n", "")
    check(seen("DELETE", "/v1/etl/stop/" + ETL_ID), "stop did not use the path of 2020")
    check(world.etls == {}, "the ETL is still there")


@test
def a_shell_types_the_document(tmp):
    os.symlink(ETLCTL, os.path.join(tmp, "ais"))
    open(os.path.join(tmp, "spec.yaml"), "w").write(SPEC)
    script = ('set -e; ID=$(ais transform init spec.yaml); ais create bucket transform; echo "some text :)" | ais put - transform/shard.in; '
              'ais etl object $ID transform/shard.in -; echo; ais etl stop $ID')
    done = subprocess.run(["/bin/sh", "-c", script], cwd=tmp, capture_output=True, timeout=120, env=environment({"PATH": tmp + ":" + os.environ["PATH"]}))
    check(done.returncode == 0 and done.stdout == b"393c6706efb128fbc442d3f7d084a426\nETL containers stopped successfully.\n", repr(done))


@test
def etl_init_of_2020_and_2021(tmp):
    spec = os.path.join(tmp, "spec.yaml")
    open(spec, "w").write(SPEC)
    expect(run("etl", "init", spec), 0, ETL_ID + "\n")
    expect(run("etl", "init", "-f", spec), 0, ETL_ID + "\n")
    expect(run("etl", "init", "spec", "-f", spec), 0, ETL_ID + "\n")
    expect(run("etl", "init", "-", stdin=SPEC.encode()), 0, ETL_ID + "\n")
    expect(run("etl", "init", "-f", "-", "-o", "json", stdin=SPEC.encode()), 0,
           '{\n  "apiVersion": "etlnode/v1",\n  "kind": "ETL",\n  "id": "JGHEoo89gg",\n  "jobId": null\n}\n')


# ---- etl

@test
def init_with_a_name_sends_todays_message(tmp):
    expect(run("etl", "init", "-f", "-", "--name", "md5-etl", "--init-timeout", "90s", stdin=SPEC.encode()), 0, "md5-etl\n", "")
    message = json.loads(seen("PUT", "/v1/etl")[0][4])
    check(message == {"name": "md5-etl", "communication": "hpush://", "init_timeout": "90s", "spec": base64.b64encode(SPEC.encode()).decode()}, repr(message))
    check(seen("PUT", "/v1/etl")[0][3]["Content-Type"] == "application/json", "content type")
    r = run("etl", "init", "-f", "-", "--name", "md5-etl", stdin=SPEC.encode())
    expect(r, 4, "", "etlctl: cannot start an ETL from standard input: etl job md5-etl already exists (node p1, request id RID)\n"
                     "hint: etlctl etl show md5-etl\n")


@test
def init_with_a_runtime_spec(tmp):
    expect(run("etl", "init", "-f", "-", "--comm-type", "hpull", stdin=RUNTIME.encode()), 0, "upper-case\n", "")
    message = json.loads(seen("PUT", "/v1/etl")[0][4])
    check(message == {"name": "upper-case", "runtime": {"image": "example/upper:1", "command": ["serve"]}, "communication": "hpull://", "init_timeout": "2m"},
          repr(message))


@test
def init_tells_why_it_failed(tmp):
    r = run("etl", "init", "-f", "-", stdin=SPEC.replace("md5_server", "broken-image").encode())
    expect(r, 1, "", "etlctl: cannot start an ETL from standard input: ETL did not start: pod transformer-md5-abcde-node1: ErrImagePull\nlast log line\n"
                     "(node p1, request id RID)\n")
    r = run("etl", "init", "-f", "-", stdin=b"kind: Pod\nmetadata:\n  name: [x\n")
    check(r.code == 1 and "line 4" in r.err + "line 4" and "cannot start an ETL" in r.err, r.err)
    check(not seen("POST", "/v1/etl/init")[1:], "a broken spec was sent")
    r = run("etl", "init", "no-such-file.yaml")
    expect(r, 1, "", "etlctl: cannot read no-such-file.yaml: No such file or directory\n")
    expect(run("etl", "init"), 2, "", "etlctl: etl init needs a spec: a file, or - for standard input\nhint: etlctl etl init -f spec.yaml\n")


@test
def init_gives_up_in_time(tmp):
    started = time.monotonic()
    r = run("etl", "init", "-f", "-", "--timeout", "300ms", stdin=SPEC.replace("md5", "sleepy").encode())
    world.release.set()
    check(time.monotonic() - started < 20, "too late")  # the server would hold it for 120 s
    check(r.code == 7 and r.err.endswith("hint: the node cleans up what it started; allow more time with --timeout\n"), r.err)


@test
def etl_lists_in_every_format(tmp):
    expect(run("etl", "ls"), 0, "ID   NAME   STAGE   READY   RESTARTS   OBJECTS   ERRORS   IN   OUT\n", "")
    expect(run("etl", "ls", "-o", "json"), 0, '{\n  "apiVersion": "etlnode/v1",\n  "kind": "ETLList",\n  "items": []\n}\n')
    with_etl()
    with_etl("second-etl")
    expect(run("etl", "ls"), 0, "ID           NAME              STAGE     READY   RESTARTS   OBJECTS   ERRORS   IN       OUT\n"
                                "JGHEoo89gg   transformer-md5   Running   -       -          3         -        2.0KiB   96B\n"
                                "second-etl   transformer-md5   Running   -       -          3         -        2.0KiB   96B\n", "")
    expect(run("ls", "etls", "-o", "wide", "--no-headers"), 0,
           "JGHEoo89gg   transformer-md5   Running   -   -   3   -   2.0KiB   96B   hpush://   etl-1\n"
           "second-etl   transformer-md5   Running   -   -   3   -   2.0KiB   96B   hpush://   etl-1\n")
    expect(run("etl", "list", "-o", "name"), 0, "JGHEoo89gg\nsecond-etl\n")
    expect(run("etl", "ls", "-o", "name", "-0"), 0, b"JGHEoo89gg\0second-etl\0")
    items = json.loads(run("etl", "ls", "-o", "json").out)["items"]
    check(items[0] == {"id": ETL_ID, "name": "transformer-md5", "stage": "Running", "communication": "hpush://", "objects": 3, "inBytes": 2048,
                       "outBytes": 96, "jobId": "etl-1", "errors": None, "restarts": None, "ready": None}, repr(items))
    lines = run("etl", "ls", "-o", "jsonl", "--sort-by", "id").out.splitlines()
    check(len(lines) == 2 and json.loads(lines[1])["kind"] == "ETL" and json.loads(lines[1])["id"] == "second-etl", repr(lines))
    check(b"apiVersion: etlnode/v1" in run("etl", "ls", "-o", "yaml").out, "yaml")
    expect(run("etl", "ls", "--sort-by", "colour"), 2, "",
           'etlctl: --sort-by "colour": the columns are id name stage ready restarts objects errors in out communication job\n')


@test
def etl_show_logs_health(tmp):
    with_etl()
    head = ("Id:               JGHEoo89gg\nName:             transformer-md5\nStage:            Running\nLast error:       -\n"
            "Communication:    hpush://\nInit timeout:     1m0s\nObject timeout:   45s\nStarted:          %s\nGeneration:       %s\n"
            "Job:              etl-1\nObjects:          3\nIn:               2.0KiB (2048 bytes)\nOut:              96 bytes\n")
    expect(run("etl", "show", ETL_ID), 0, head % ("2026-08-17T20:53:20Z", "g-1") +
           "\nTARGET   PHASE     READY   RESTARTS   UNFRAMED   POD                           LAST ERROR\n"
           "t1       serving   true    0          -          transformer-md5-fgjk3-node1   -\n"
           "t2       unknown   false   0          -          -                             target is silent\n", "")
    shown = json.loads(run("show", "etl", ETL_ID, "-o", "json").out)
    check(shown["errors"] == [] and shown["initTimeout"] == 60 and shown["init"]["obj_timeout"] == "45s" and shown["lastError"] is None, repr(shown))
    check(shown["targets"][0] == {"target": "t1", "phase": "serving", "ready": True, "restarts": 0, "unframed": None, "pod": "transformer-md5-fgjk3-node1",
                                  "address": "10.0.0.9:80", "clientUrl": None, "lastError": None,
                                  "manifest": {"metadata": {"name": "transformer-md5-fgjk3-node1"}, "spec": {"securityContext": {"runAsUser": 9007199254740993}}}}, repr(shown))
    check(shown["targets"][1]["manifest"] is None and shown["spec"] == {"kind": "Pod", "metadata": {"name": "transformer-md5"}}, repr(shown))
    text = run("etl", "show", ETL_ID, "-o", "yaml").out.decode()
    check("      runAsUser: 9007199254740993\n" in text and "spec:\n  kind: Pod\n" in text, text)
    world.etls[ETL_ID]["plain"] = True
    expect(run("etl", "show", ETL_ID), 0, head % ("-", "-") + "\nObjects that failed:\n  ais://b/bad: boom\n", "")
    shown = json.loads(run("show", "etl", ETL_ID, "-o", "json").out)
    check(shown["errors"] == [{"object": "ais://b/bad", "message": "boom", "status": 500}] and shown["targets"] == [], repr(shown))
    expect(run("etl", "logs", ETL_ID), 0, "t1: one\nt1: two\nt1: three\nt2: one\nt2: two\nt2: three\n", "")
    expect(run("etl", "logs", ETL_ID, "t2", "--tail", "1"), 0, "three\n", "")
    logs = json.loads(run("etl", "logs", ETL_ID, "t2", "-o", "json").out)["items"]
    check(logs == [{"target": "t2", "logs": "one\ntwo\nthree\n"}], repr(logs))
    expect(run("etl", "health", ETL_ID), 0, "TARGET   STATUS\nt1       Running\n")
    expect(run("etl", "show", "nowhere"), 3, "", "etlctl: cannot show ETL nowhere: etl job nowhere does not exist (node p1, request id RID)\nhint: etlctl etl ls\n")


@test
def etl_stop_start_rm_by_name(tmp):
    with_etl("my-etl")
    expect(run("etl", "stop", "my-etl"), 0, "ETL containers stopped successfully.\n", "")
    check(world.etls["my-etl"]["stage"] == "Aborted" and seen("POST", "/v1/etl/my-etl/stop"), "not stopped by today's path")
    expect(run("etl", "start", "my-etl"), 0, "", "")
    check(world.etls["my-etl"]["stage"] == "Running", "not started")
    expect(run("rm", "etl", "my-etl"), 0, "", "")
    check(not world.etls, "still there")
    expect(run("etl", "rm", "my-etl", "--ignore-not-found"), 0, "", "")
    with_etl()
    world.etls[ETL_ID]["late"] = True
    expect(run("etl", "stop", ETL_ID), 8, "", "etlctl: cannot stop ETL JGHEoo89gg everywhere: stopped; pods are still being removed:\ntarget t2: is silent\n"
                                              "hint: etlctl cluster health\n")
    expect(run("etl", "stop", "QWERTYuiop"), 3, "",
           "etlctl: cannot stop ETL QWERTYuiop: etl job QWERTYuiop does not exist (node p1, request id RID)\nhint: etlctl etl ls\n")


@test
def etl_object_queries_and_files(tmp):
    with_etl()
    with_etl("my-etl")
    with_object()
    path = os.path.join(tmp, "out")
    expect(run("etl", "object", ETL_ID, "ais://transform/shard.in", path, "--args", "a b&c"), 0, "", "")
    check(open(path, "rb").read() == b"393c6706efb128fbc442d3f7d084a426a b&c", "wrong bytes")
    check("uuid=JGHEoo89gg&etl_args=a%20b%26c" in world.requests[-2][2], world.requests[-2][2])
    expect(run("etl", "object", "my-etl>>next-etl", "transform/shard.in"), 0, "393c6706efb128fbc442d3f7d084a426")
    check(world.requests[-2][2].endswith("?etl_name=my-etl&etl_pipeline=next-etl"), world.requests[-2][2])
    check(os.listdir(tmp) == ["out"], "something was left: %r" % os.listdir(tmp))


@test
def etl_object_failures_have_their_codes(tmp):
    with_etl()
    with_object()
    doing = "etlctl: cannot read object ais://transform/%s through ETL %s: "
    expect(run("etl", "object", ETL_ID, "transform/none", "-"), 3, "",
           doing % ("none", ETL_ID) + "t[t1]: ais://transform/none does not exist (node t1, request id RID)\nhint: etlctl object ls transform\n")
    expect(run("etl", "object", "ABCDEFGHIJ", "transform/shard.in", "-"), 3, "",
           doing % ("shard.in", "ABCDEFGHIJ") + "etl job ABCDEFGHIJ does not exist (node t1, request id RID)\nhint: etlctl etl ls\n")
    expect(run("etl", "object", ETL_ID, "nobucket/x", "-"), 3, "",
           "etlctl: cannot read object ais://nobucket/x through ETL JGHEoo89gg: bucket \"ais://nobucket\" does not exist (node p1, request id RID)\n"
           "hint: etlctl bucket ls\n")
    for args, code, hint in (("crash", 6, "etlctl etl logs JGHEoo89gg"), ("slow", 7, "etlctl etl logs JGHEoo89gg"), ("busy", 6, "try again; etlctl cluster health shows which node is not well")):
        r = run("etl", "object", ETL_ID, "transform/shard.in", "-", "--args", args)
        check(r.code == code and r.err.endswith("hint: %s\n" % hint), "%s: %d %s" % (args, r.code, r.err))


@test
def a_cut_transform_is_an_error_and_leaves_no_file(tmp):
    with_etl()
    with_object()
    path = os.path.join(tmp, "out")
    r = run("etl", "object", ETL_ID, "transform/shard.in", path, "--args", "cut")
    check(r.code == 6 and "cut before the answer was complete" in r.err, "%d %s" % (r.code, r.err))
    check(os.listdir(tmp) == [], "left: %r" % os.listdir(tmp))
    open(path, "w").write("old")
    r = run("etl", "object", ETL_ID, "transform/shard.in", path, "--args", "cut")
    check(r.code == 6 and open(path).read() == "old", "the old file was touched")
    r = run("etl", "object", ETL_ID, "transform/shard.in", "-", "--args", "cut")
    check(r.code == 6 and r.out in (b"", b"393c6706efb128fbc442d3f7d084a426cut"), "%d %r" % (r.code, r.out))


# ---- objects

@test
def put_and_get_round_trip(tmp):
    world.buckets["b"] = {}
    data = bytes(range(256)) * 5000
    source = os.path.join(tmp, "source.bin")
    open(source, "wb").write(data)
    expect(run("object", "put", source, "b/dir/obj"), 0, "", "")
    first, second = world.requests
    check((first[0], first[1], first[4], first[3]["Content-Length"]) == ("proxy", "PUT", b"", "0"), "the first request is not an empty PUT to the proxy")
    check((second[0], second[3].get("Content-Length"), second[3].get("Expect")) == ("target", str(len(data)), None), repr(second[3]))
    check(first[3]["X-Request-Id"] == second[3]["X-Request-Id"], "one run, two request ids")
    expect(run("get", "b/dir/obj"), 0, data, "")
    expect(run("object", "get", "ais://b/dir/obj", os.path.join(tmp, "copy")), 0, "", "")
    check(open(os.path.join(tmp, "copy"), "rb").read() == data, "other bytes")
    expect(run("get", "b/dir/obj", tmp), 0, "", "")
    check(open(os.path.join(tmp, "obj"), "rb").read() == data, "not put into the directory under its name")
    expect(run("put", source, "b"), 0)
    check(world.buckets["b"]["source.bin"] == data, "the file's name was not used")
    expect(run("put", "-", "b/piped", stdin=data), 0, "", "")
    check(world.buckets["b"]["piped"] == data and world.requests[-1][3].get("Transfer-Encoding") == "chunked", "piped")
    with open(source, "rb") as f:
        f.seek(1000)
        subprocess.run([ETLCTL, "put", "-", "b/redirected"], stdin=f, check=True, timeout=120, env=environment())
    check(world.buckets["b"]["redirected"] == data[1000:] and world.requests[-1][3].get("Content-Length") == str(len(data) - 1000), "redirected")
    expect(run("put", "-", "b/empty", stdin=b""), 0, "", "")
    expect(run("get", "b/empty", "-"), 0, b"", "")
    expect(run("get", "b/empty", os.path.join(tmp, "empty")), 0, b"", "")
    check(os.path.getsize(os.path.join(tmp, "empty")) == 0, "an empty object makes an empty file")
    expect(run("get", "b/piped", "/dev/null"), 0, b"", "")


@test
def odd_names_arrive_byte_equal(tmp):
    world.buckets["b"] = {}
    for name in ("%", "%25", "a b", "track?name=lofi&v=1", "file_#@!$%^&*()_+.mp3", "你好世界", "-hidden", ".a", "a//b", "x/../y", "[z]", "a+b", "'\"\\"):
        expect(run("put", "-", "b/" + name, stdin=name.encode()), 0, "", "")
        check(world.buckets["b"].get(name) == name.encode(), "%r is not among %r" % (name, list(world.buckets["b"])))
        expect(run("get", "b/" + name), 0, name.encode(), "")
    expect(run("object", "rm", *["b/" + name for name in world.buckets["b"]]), 0, "", "")
    check(world.buckets["b"] == {}, repr(world.buckets["b"]))


@test
def get_a_range(tmp):
    with_object("b", "o", b"0123456789")
    expect(run("get", "b/o", "--range", "2-4"), 0, "234", "")
    expect(run("get", "b/o", "--range", "bytes=7-"), 0, "789", "")
    expect(run("get", "b/o", "--range", "-2"), 0, "89", "")
    r = run("get", "b/o", "--range", "20-")
    check(r.code == 1 and "range not satisfiable" in r.err, r.err)
    with_object("b", "no-range", b"0123456789")
    r = run("get", "b/no-range", "--range", "2-4")
    check(r.code == 1 and r.out == b"" and "ignored the range" in r.err, "%d %r %s" % (r.code, r.out, r.err))
    expect(run("get", "b/o", "--range", "4-2"), 2, "", 'etlctl: "4-2" is not a range: write FIRST-LAST, FIRST- or -COUNT, in bytes from 0\n')


@test
def damage_is_noticed(tmp):
    with_object("b", "rotten", b"0123456789")
    with_object("b", "cut", b"0123456789")
    path = os.path.join(tmp, "out")
    r = run("get", "b/rotten", path)
    check(r.code == 1 and "checksum mismatch" in r.err and os.listdir(tmp) == [], "%d %s %r" % (r.code, r.err, os.listdir(tmp)))
    r = run("get", "b/cut", path)
    check(r.code == 6 and "cut before the answer was complete" in r.err and os.listdir(tmp) == [], "%d %s %r" % (r.code, r.err, os.listdir(tmp)))
    r = run("get", "b/cut")
    check(r.code == 6 and r.out == b"01234", "%d %r" % (r.code, r.out))
    r = run("put", "-", "b/damaged", stdin=b"xyz")
    check(r.code == 1 and "checksum mismatch" in r.err, r.err)
    expect(run("put", "-", "b/too-large", stdin=b"xyz"), 10, "",
           "etlctl: cannot store object ais://b/too-large: no space left on device (node t1, request id RID)\n")
    r = run("get", "b/rotten", "/no/such/dir/x")
    check(r.code == 1 and "/no/such/dir/x: No such file or directory" in r.err, r.err)


@test
def object_ls_pages_and_filters(tmp):
    world.buckets["b"] = {"obj-%02d" % i: b"x" * (i * 100) for i in range(25)}
    world.buckets["b"]["line\nbreak"] = b""
    world.page = 10
    out = run("object", "ls", "b").out.decode().splitlines()
    check(out[0] == "NAME              SIZE" and out[1] == '"line\\x0abreak"   0B' and out[-1] == "obj-24            2.3KiB" and len(out) == 27, repr(out))
    check(len(seen("GET", "/v1/buckets/b")) == 3, "three pages")
    token = json.loads(seen("GET", "/v1/buckets/b")[1][4])["value"]
    check(token["continuation_token"] == "obj-08" and token["uuid"] == "list-uuid1", repr(token))
    expect(run("ls", "ais://b", "--prefix", "obj-0", "--limit", "2", "--no-headers"), 0, "obj-00   0B\nobj-01   100B\n", "")
    expect(run("ls", "b/obj-2", "-o", "name"), 0, "b/obj-20\nb/obj-21\nb/obj-22\nb/obj-23\nb/obj-24\n")
    items = json.loads(run("ls", "b", "-o", "json").out)["items"]
    check(len(items) == 26 and items[1] == {"name": "obj-00", "bucket": "b", "provider": "ais", "size": 0, "version": "1", "checksum": xxh64(b""),
                                             "accessTime": "2026-08-17T20:53:20.123Z"}, repr(items[1]))
    expect(run("ls", "b", "--prefix", "obj", "--sort-by", "size", "--limit", "3", "-o", "name"), 0, "b/obj-00\nb/obj-01\nb/obj-02\n")
    expect(run("ls", "b", "--limit", "0"), 2, "", 'etlctl: --limit "0": write a number of at least 1\n')
    expect(run("ls", "nope"), 3, "", 'etlctl: cannot list objects of ais://nope: bucket "ais://nope" does not exist (node p1, request id RID)\nhint: etlctl bucket ls\n')
    expect(run("ls", "b", "--prefix", "zzz"), 0, "NAME   SIZE\n", "")


@test
def object_head_and_rm(tmp):
    with_object("b", "o", b"0123456789")
    shown = json.loads(run("object", "head", "b/o", "-o", "json").out)
    check(shown == {"apiVersion": "etlnode/v1", "kind": "Object", "name": "o", "bucket": "b", "provider": "ais", "size": 10, "version": "1",
                    "checksum": xxh64(b"0123456789"), "checksumType": "xxhash2", "contentType": "application/octet-stream", "etag": '"abc"',
                    "lastModified": "2026-08-17T20:53:20Z", "accessTime": "2026-08-17T20:53:20Z", "custom": {"colour": "blue"}}, repr(shown))
    check(run("show", "object", "b/o").out.startswith(b"Name:            o\nBucket:          b\nSize:            10 bytes\n"), "table")
    expect(run("object", "show", "b/none"), 3, "",
           "etlctl: cannot read object ais://b/none: t[t1]: ais://b/none does not exist (node t1, request id RID)\nhint: etlctl object ls b\n")
    r = run("object", "rm", "b/o", "b/none")
    expect(r, 8, "", "etlctl: cannot remove object ais://b/none: t[t1]: ais://b/none does not exist (node t1, request id RID)\nhint: etlctl object ls b\n")
    expect(run("rm", "b/none"), 3, "")
    expect(run("rm", "b/none", "b/o", "--ignore-not-found"), 0, "", "")
    expect(run("rm", "b"), 2, "", 'etlctl: "b" does not name an object: write BUCKET/OBJECT\nhint: to remove the bucket: etlctl bucket rm b\n')


# ---- buckets, cluster, version

@test
def buckets(tmp):
    expect(run("bucket", "create", "ais://one", "two"), 0, "", "")
    expect(run("bucket", "ls"), 0, "NAME   PROVIDER\none    ais\ntwo    ais\n", "")
    expect(run("ls", "-o", "name"), 0, "one\ntwo\n")
    expect(run("ls", "buckets", "-o", "json"), 0, '{\n  "apiVersion": "etlnode/v1",\n  "kind": "BucketList",\n  "items": [\n'
           '    {"name":"one","provider":"ais","namespace":null},\n    {"name":"two","provider":"ais","namespace":null}\n  ]\n}\n')
    expect(run("create", "bucket", "one"), 4, "",
           'etlctl: cannot create bucket ais://one: bucket "ais://one" already exists (node p1, request id RID)\nhint: etlctl object ls one\n')
    expect(run("bucket", "create", "one", "--exist-ok"), 0, "", "")
    with_object("one", "o", b"x")
    expect(run("bucket", "rm", "one"), 2, "", "etlctl: bucket ais://one holds objects\nhint: to remove them too: etlctl bucket rm one --yes\n")
    check("one" in world.buckets, "removed without being asked")
    expect(run("bucket", "rm", "one", "--yes"), 0, "", "")
    expect(run("rm", "bucket", "two"), 0, "", "")
    expect(run("bucket", "rm", "two"), 3, "")
    expect(run("bucket", "rm", "two", "--ignore-not-found"), 0, "", "")
    check(world.buckets == {}, repr(world.buckets))
    expect(run("bucket", "create", "s3://x"), 2, "", 'etlctl: "s3://x": only ais:// buckets exist here\n')


@test
def cluster_and_targets(tmp):
    expect(run("cluster", "show"), 0, "ID   ROLE     STATE         URL\np1   proxy    active        PROXY\nt1   target   active        TARGET\n"
                                      "t2   target   maintenance   http://127.0.0.1:1\n", "")
    expect(run("target", "ls", "-o", "name"), 0, "t1\nt2\n")
    r = run("cluster", "health")
    check(r.code == 6 and re.search(rb"p1 +proxy +ok +1m02s +[0-9.]+ms\nt1 +target +ok +3s +[0-9.]+ms\nt2 +target +unreachable +- +-\n", r.out), repr(r.out))
    check(r.err == "etlctl: not well: t2\nhint: etlctl cluster health -o wide\n", r.err)
    nodes = json.loads(run("cluster", "health", "-o", "json").out)["items"]
    check(nodes[1]["uptime"] == 3 and nodes[2]["uptime"] is None and "127.0.0.1" in nodes[2]["problem"], repr(nodes))


@test
def versions(tmp):
    r = run("version", "--client", "-o", "json")
    shown = json.loads(r.out)
    check(r.code == 0 and shown["kind"] == "Version" and re.match(r"\d+\.\d+\.\d+$", shown["client"]) and "server" not in shown, repr(shown))
    check(not world.requests, "--client asked the server")
    expect(run("--version"), 0, "Client:   %s\n" % shown["client"], "")
    expect(run("version"), 0, "Client:     %s\nServer:     0.1.0\nEndpoint:   PROXY\n" % shown["client"], "")
    world.says_version = False
    expect(run("version"), 0, "Client:     %s\nServer:     9.9.9\nEndpoint:   PROXY\n" % shown["client"],
           "etlctl: warning: the server has version 9.9.9, this program %s\n" % shown["client"])


# ---- errors, options, help

@test
def nobody_there(tmp):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        free = "http://127.0.0.1:%d" % s.getsockname()[1]
    r = run("--endpoint", free, "bucket", "ls")
    check(r.code == 6 and r.out == b"", "%d" % r.code)
    check(re.match(r"etlctl: cannot list buckets: no answer from %s: .*\n"
                   r"hint: start a node with `make up`, or name a proxy with --endpoint URL or ETLNODE_ENDPOINT\n$" % re.escape(free), r.err), r.err)
    r = run("rm", "b/1", "b/2", "b/3", env={"ETLNODE_ENDPOINT": free})
    check(r.code == 6 and r.err.count("no answer") == 1, r.err)
    r = run("bucket", "ls", "-o", "json", env={"ETLNODE_ENDPOINT": "", "AIS_ENDPOINT": free})
    e = json.loads(r.err)
    check(e["apiVersion"] == "etlnode/v1" and e["error"]["code"] == "unavailable" and e["error"]["retryable"] is True and e["error"]["status"] is None, r.err)


@test
def errors_in_json(tmp):
    with_object("b", "o", b"x")
    r = run("get", "b/none", "-o", "json", "--request-id", "my-id.1")
    e = json.loads(r.err)
    check(r.code == 3 and r.out == b"", "%d %r" % (r.code, r.out))
    check(e == {"apiVersion": "etlnode/v1", "error": {
        "code": "object_not_found", "message": "cannot read object ais://b/none: t[t1]: ais://b/none does not exist", "status": 404, "retryable": False,
        "exitCode": 3, "requestId": "my-id.1", "node": "t1", "bucket": "b", "object": "none", "etl": None, "hint": "etlctl object ls b", "podLog": None}}, r.err)
    r = run("gett", "b/none", "-ojson")
    check(r.code == 2 and json.loads(r.err)["error"]["code"] == "usage", r.err)


@test
def wrong_command_lines_are_exit_2(tmp):
    for args, text in (
        (("gett", "b/o"), 'etlctl: "gett" is not a command\nhint: etlctl get\n'),
        (("etl", "lss"), 'etlctl: "lss" is not a command of etl\nhint: etlctl etl ls\n'),
        (("etl", "stop"), "etlctl: etl stop needs ID\nhint: etlctl etl stop ID\n"),
        (("etl", "ls", "--ouput", "json"), "etlctl: unknown option --ouput\nhint: did you mean --output?\n"),
        (("bucket", "ls", "x"), 'etlctl: unexpected argument "x"\nhint: etlctl bucket ls\n'),
        (("bucket", "ls", "-o", "xml"), 'etlctl: --output "xml": write table, wide, json, jsonl, yaml or name\n'),
        (("bucket", "ls", "--timeout", "5"), 'etlctl: --timeout "5" is not a positive duration: write 30s, 5m or 1h30m\n'),
        (("bucket", "ls", "--endpoint", "ftp://x"), 'etlctl: "ftp://x" is not an endpoint: write http://HOST:PORT\n'),
        (("bucket", "ls", "--request-id", "a b"), "etlctl: --request-id \"a b\": at most 64 letters, digits, '.', '_' or '-'\n"),
        (("get", "b"), 'etlctl: "b" does not name an object: write BUCKET/OBJECT\n'),
        (("put", "-", "b"), "etlctl: standard input has no name: write BUCKET/OBJECT\n"),
        (("ls", "-0"), "etlctl: -0 requires -o name\n"),
    ):
        expect(run(*args), 2, "", text)
    check(not world.requests, "something was sent")
    check(run("bucket", "ls", "-o").code == 2, "an option without its value")
    r = run()
    check(r.code == 2 and r.out == b"" and "Usage: etlctl NOUN VERB" in r.err, r.err)
    r = run("etl")
    check(r.code == 2 and r.out == b"" and "etl object ID BUCKET/OBJECT [OUT]" in r.err, r.err)


@test
def help_is_everywhere(tmp):
    top = run("--help")
    check(top.code == 0 and top.err == "" and b"Example:" in top.out, top.err)
    commands = re.findall(r"^  ((?:[a-z]+ )?[a-z]+)(?: [A-Z\[].*?)?(?:  |$)", top.out.decode().split("other commands:")[0], re.M)
    commands = [c for c in commands if " " in c]
    check(len(commands) == 22, "%d commands: %r" % (len(commands), commands))
    for command in commands + ["version", "help", "completion"]:
        r = run(*command.split(), "--help")
        check(r.code == 0 and r.err == "" and b"Usage: etlctl " + command.encode() in r.out and b"\nExample:\n  " in r.out, command)
        check(r.out == run("help", *command.split()).out, command + ": help and --help differ")
    check(run("etl", "--help").out == run("help", "etl").out, "etl --help")
    codes = run("help", "exit-codes").out.decode()
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 130, 143):
        check(re.search(r"^%d +\w" % code, codes, re.M), "exit code %d is not explained" % code)
    check(b"ETLNODE_ENDPOINT, AIS_ENDPOINT" in run("help", "environment").out, "help environment")
    check(run("help", "nonsense").code == 2, "help nonsense")
    check(not world.requests, "help asked the server")
    ais = os.path.join(tmp, "ais")
    os.symlink(ETLCTL, ais)
    check(b"Usage: ais etl object" in run("etl", "object", "--help", program=ais).out, "the name it was called by")


@test
def the_man_page_names_everything(tmp):
    page = open(os.path.join(os.path.dirname(__file__), "..", "..", "docs", "man", "etlctl.1")).read().replace("\\-", "-")
    for line in run("help", "exit-codes").out.decode().splitlines()[1:]:
        code, name = line.split()[:2]
        check(re.search(r"^\.B %s$|^\.IP %s" % (code, code), page, re.M), "exit code %s" % code)
    top = run("--help").out.decode()
    for flag in set(re.findall(r"--[a-z0-9-]+", top + "".join(run("help", *c.split()).out.decode() for c in (
            "etl init", "etl ls", "etl logs", "etl object", "object get", "object put", "object ls", "object rm", "bucket create", "bucket rm", "version")))):
        check(flag in page, flag + " is not in the man page")
    for command in ("etl init", "etl ls", "etl show", "etl logs", "etl health", "etl stop", "etl start", "etl rm", "etl object", "object get", "object put",
                    "object ls", "object head", "object rm", "bucket create", "bucket ls", "bucket rm", "target ls", "cluster show", "cluster health",
                    "version", "help", "completion"):
        check(re.search(r"^\.B(R)? \"?%s\b" % command, page, re.M), command + " is not in the man page")


@test
def dry_run_sends_nothing(tmp):
    spec = os.path.join(tmp, "spec.yaml")
    open(spec, "w").write(SPEC)
    expect(run("etl", "init", "-f", spec, "--dry-run", cwd=tmp), 0, "would send POST PROXY/v1/etl/init with %s (%d bytes)\n" % (spec, len(SPEC)), "")
    expect(run("etl", "stop", ETL_ID, "--dry-run"), 0, "would send DELETE PROXY/v1/etl/stop/JGHEoo89gg\n", "")
    expect(run("put", "-", "b/a b", "--dry-run", stdin=b"x"), 0, "would send PUT PROXY/v1/objects/b/a%20b with standard input\n", "")
    expect(run("rm", "b/1", "b/2", "--dry-run"), 0, "would send DELETE PROXY/v1/objects/b/1\nwould send DELETE PROXY/v1/objects/b/2\n", "")
    expect(run("bucket", "rm", "b", "--dry-run", "-o", "json"), 0,
           '{\n  "apiVersion": "etlnode/v1",\n  "kind": "Plan",\n  "requests": [\n    {\n      "method": "DELETE",\n      "url": "PROXY/v1/buckets/b",\n'
           '      "body": "action destroy-bck"\n    }\n  ]\n}\n')
    check(not world.requests, "something was sent")


@test
def trace_masks_secrets(tmp):
    with_object("b", "o", b"x")
    r = run("get", "b/o", "--trace-http", env={"ETLNODE_TOKEN": "s3cr3t"})
    check(r.code == 0 and r.out == b"x", r.err)
    check("Authorization: ***" in r.err and "s3cr3t" not in r.err and "> GET /v1/objects/b/o" in r.err and "< HTTP/1.1 301" in r.err, r.err)
    check(world.requests[0][3]["Authorization"] == "Bearer s3cr3t", "the token was not sent")
    check("Authorization" not in world.requests[1][3], "the token went to another port")
    r = run("get", "b/o", "-v")
    check(r.err.count("\n> GET") + r.err.startswith("> GET") == 2 and "< Location: " + TARGET_URL in r.err and "User-Agent" not in r.err, r.err)


@test
def standard_output_that_is_full_or_gone(tmp):
    with_object("b", "o", b"x" * 300000)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([ETLCTL, "bucket", "ls"], stdout=full, stderr=subprocess.PIPE, timeout=120, env=environment())
        check(done.returncode == 1 and b"cannot write to standard output: No space left" in done.stderr, repr(done))
        done = subprocess.run([ETLCTL, "get", "b/o"], stdout=full, stderr=subprocess.PIPE, timeout=120, env=environment())
        check(done.returncode == 1 and b"cannot write standard output: No space left" in done.stderr, repr(done))
    child = subprocess.Popen([ETLCTL, "get", "b/o"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    child.stdout.close()
    check(child.wait(20) == 141 and child.stderr.read() == b"", "a reader that went away")
    child.stderr.close()


@test
def signals_remove_the_part_file(tmp):
    with_object("b", "stall", b"0123456789")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        child = subprocess.Popen([ETLCTL, "get", "b/stall", os.path.join(tmp, "out")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        deadline = time.monotonic() + 10
        while not os.listdir(tmp) and time.monotonic() < deadline:
            time.sleep(0.01)
        check(len(os.listdir(tmp)) == 1 and ".part-" in os.listdir(tmp)[0], "no part file: %r" % os.listdir(tmp))
        child.send_signal(number)
        _, err = child.communicate(timeout=120)
        check(child.returncode == code, "exit code %d" % child.returncode)
        check(os.listdir(tmp) == [], "left: %r" % os.listdir(tmp))
        check(err.endswith(b"etlctl: interrupted\n"), repr(err))
    world.release.set()


# ---- hints that help

@test
def hints_never_destroy(tmp):
    for words in (("etl", "run", "x"), ("etl", "rn", "x"), ("etl", "stp", "x"), ("etl", "sotp"), ("bucket", "rmb", "b"), ("bucket", "destory", "b"), ("rmb", "b"), ("rn",),
                  ("rmm",), ("target", "rn", "t1"), ("etl", "remov")):
        r = run(*words)
        check(r.code == 2 and not re.search(r"hint: etlctl( [a-z]+)? (rm|stop|remove|destroy|delete)", r.err), repr((words, r.err)))
    expect(run("etl", "run", "x"), 2, "", 'etlctl: "run" is not a command of etl\nhint: etlctl etl init -f spec.yaml\n')
    expect(run("mb", "b"), 2, "", 'etlctl: "mb" is not a command\nhint: etlctl bucket create BUCKET\n')
    expect(run("etl", "restart", "x"), 2, "", 'etlctl: "restart" is not a command of etl\nhint: etlctl etl stop ID, then etlctl etl start ID\n')
    expect(run("etl", "helth", "x"), 2, "", 'etlctl: "helth" is not a command of etl\nhint: etlctl etl health\n')


@test
def options_in_our_own_words(tmp):
    expect(run("etl", "init", "--name"), 2, "", "etlctl: --name needs a value: --name NAME\nhint: etlctl etl init --help\n")
    expect(run("ls", "-o"), 2, "", "etlctl: -o needs a value: -o FORMAT\nhint: etlctl bucket ls --help\n")
    expect(run("ls", "b", "--limit", "1", "--limit=2"), 2, "", "etlctl: --limit is given twice\nhint: etlctl object ls BUCKET\n")
    expect(run("ls", "-ojson", "-o", "name"), 2, "", "etlctl: -o is given twice\nhint: etlctl bucket ls\n")


@test
def several_specs(tmp):
    for name in ("one", "two"):
        with open(os.path.join(tmp, name), "w", encoding="utf-8") as f:
            f.write("name: %s-etl\ncommunication: hpush://\nruntime: {image: example/upper:1}\n" % name)
    expect(run("etl", "init", "-f", "one", "-f", "two", cwd=tmp), 0, "one-etl\ntwo-etl\n", "")
    expect(run("etl", "init", "-f", "one", "-f", "two", "--name", "three", cwd=tmp), 2, "", "etlctl: --name works with one spec only, but several are given\n")
    del world.etls["two-etl"]
    r = run("etl", "init", "-f", "one", "-f", "two", cwd=tmp)
    check(r.code == 8 and r.out == b"two-etl\n" and "one-etl already exists" in r.err, repr((r.code, r.out, r.err)))


@test
def a_failed_transform_shows_what_its_pod_wrote(tmp):
    with_etl()
    with_object("b", "fails")
    r = run("etl", "object", ETL_ID, "b/fails", "-")
    check(r.code == 6 and "ETL error" in r.err and "\nlast log lines of the pod:\n  one\n  two\n  three\n" in r.err, r.err)
    asked = [path for _, _, path, _, _ in world.requests if "/logs/" in path]
    check(len(asked) == 1 and re.search(r"/logs/t1\?since=[1-9]\d*$", asked[0]), repr(asked))
    shown = json.loads(run("etl", "object", ETL_ID, "b/fails", "-", "-o", "json").err)
    check(shown["error"]["podLog"] == "one\ntwo\nthree\n", repr(shown))
    run("etl", "object", ETL_ID, "b/none", "-")
    check(len([1 for _, _, path, _, _ in world.requests if "/logs/" in path]) == 2, "a missing object is no failure of the pod")


@test
def another_server_is_named(tmp):
    expect(run("--endpoint", TARGET_URL, "bucket", "ls"), 6, "", "etlctl: cannot list buckets: TARGET is a target; its proxy is PROXY (node t1, request id RID)\nhint: --endpoint PROXY\n")
    r = run("--endpoint", PROXY_URL.replace("http:", "https:"), "bucket", "ls")
    check(r.code == 6 and r.err.startswith("etlctl: cannot list buckets: %s speaks plain HTTP, not TLS" % PROXY_URL.replace("http:", "https:")) and
          r.err.endswith("hint: --endpoint %s\n" % PROXY_URL), r.err)

    for kind, body, said in (("text/html; charset=utf-8", b"<html><body>Not here</body></html>", ", text/html"), ("text/plain", b"404 page not found\n", ", text/plain"),
                             ("application/xml", b"<Error><Code>NoSuchBucket</Code></Error>", ", application/xml"), ("application/json", b'{"detail":"Not Found"}', ", application/json")):
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass
        other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=other.serve_forever, daemon=True).start()
        url = "http://127.0.0.1:%d" % other.server_port
        r = run("--endpoint", url, "bucket", "ls")
        other.shutdown()
        check(r.code == 6 and "%s is not an etlnode (status 404%s)" % (url, said) in r.err and "<" not in r.err.replace("<html", "<"), r.err)


@test
def what_is_no_http(tmp):
    """A server that answers TLS's alert, or speaks first."""
    for says, wanted in ((b"\x15\x03\x01\x00\x02\x02\x46", "does not speak plain HTTP; it may speak TLS"), (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak plain HTTP; it may speak TLS")):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(4)
            port = listener.getsockname()[1]

            def serve():
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(says)
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            r = run("--endpoint", "http://127.0.0.1:%d" % port, "bucket", "ls")
            thread.join(60)
            check(r.code == 6 and wanted in r.err and r.err.endswith("hint: --endpoint https://127.0.0.1:%d\n" % port), (says, r.err))


@test
def a_start_on_a_sick_cluster_names_no_logs(tmp):
    r = run("etl", "init", "-f", "-", stdin=SPEC.replace("md5", "silent").encode())
    check(r.code == 6 and r.err.endswith("hint: etlctl cluster health\n"), r.err)


@test
def binary_stays_off_the_terminal(tmp):
    with_object("b", "picture", b"\xff\xd8\xff\xe0\0\x10JFIF")
    code, out = run_on_terminal(["get", "b/picture"])
    check(code == 2 and out == b"etlctl: binary output can disturb your terminal\nhint: name an output file, or - to print it anyway\n", repr((code, out)))
    code, out = run_on_terminal(["get", "b/picture", "-"])
    check(code == 0 and out.startswith(b"\xff\xd8"), repr((code, out)))
    expect(run("get", "b/picture"), 0, b"\xff\xd8\xff\xe0\0\x10JFIF", "")
    ais = os.path.join(tmp, "ais")
    os.symlink(ETLCTL, ais)
    expect(run("get", "b/picture", cwd=tmp, program=ais), 0, b"", "")
    check(open(os.path.join(tmp, "picture"), "rb").read() == b"\xff\xd8\xff\xe0\0\x10JFIF", "ais get writes a file named as the object")


# ---- terminal

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


@test
def a_terminal_gets_what_people_need(tmp):
    with_etl()
    with_object()
    code, out = run_on_terminal(["etl", "object", ETL_ID, "transform/shard.in", "-"])
    check((code, out) == (0, b"393c6706efb128fbc442d3f7d084a426\n"), repr(out))
    code, out = run_on_terminal(["get", "transform/shard.in"])
    check((code, out) == (0, b"some text :)\n"), repr(out))
    code, out = run_on_terminal(["create", "bucket", "more"])
    check((code, out) == (0, b'"more" bucket created\n'), repr(out))
    code, out = run_on_terminal(["bucket", "rm", "transform"], typed=b"n\n")
    check(code == 1 and b"holds objects; remove all of them? [y/N]" in out and "transform" in world.buckets, repr(out))
    code, out = run_on_terminal(["bucket", "rm", "transform"], typed=b"y\n")
    check(code == 0 and "transform" not in world.buckets, repr(out))
    with_object("b", "big", b"x" * (9 << 20))
    code, out = run_on_terminal(["get", "b/big", "/dev/null"])
    check(code == 0 and b"big  0/1 objects  " in out and out.endswith(b"\r\x1b[K"), repr(out[-300:]))
    code, out = run_on_terminal(["get", "b/big", "/dev/null", "--progress", "none"])
    check((code, out) == (0, b""), repr(out[-300:]))


@test
def progress_in_plain_lines(tmp):
    with_object("b", "big", b"x" * 100000)
    r = run("get", "b/big", os.path.join(tmp, "big"), "--progress", "plain")
    check(r.code == 0 and re.match(r"big  1/1 objects  97\.7KiB of 97\.7KiB \(100%\)", r.err), r.err)
    r = run("get", "b/big", os.path.join(tmp, "big"))
    check(r.err == "", r.err)


# ---- completion

def complete(*words, env=None):
    r = run("__complete", *words, env=env)
    check(r.code == 0 and r.err == "", r.err)
    return r.out.decode().splitlines()


@test
def completion_knows_words_and_names(tmp):
    with_etl()
    with_object("photos", "cat.jpg")
    with_object("photos", "dog.jpg")
    world.buckets["papers"] = {}
    check(complete("bu") == ["bucket"], "bu")
    check(complete("etl", "st") == ["stop", "start"], repr(complete("etl", "st")))
    check(complete("etl", "stop", "") == [ETL_ID], "etl ids")
    check(complete("etl", "object", ETL_ID, "p") == ["papers/", "photos/"], "buckets")
    check(complete("etl", "object", ETL_ID, "photos/c") == ["photos/cat.jpg"], "objects")
    check(complete("get", "ais://photos/") == ["ais://photos/cat.jpg", "ais://photos/dog.jpg"], "scheme")
    check(complete("ls", "pa") == ["papers"], "ls")
    check(complete("get", "photos/cat.jpg", "") == [":files"], "files")
    check(complete("bucket", "ls", "-o", "j") == ["json", "jsonl"], "formats")
    check(complete("etl", "ls", "--no") == ["--no-headers"], "options")
    check(complete("etl", "logs", ETL_ID, "t") == ["t1", "t2"], "targets")
    check(complete("completion", "") == ["bash", "zsh"], "shells")


@test
def completion_is_silent_and_quick(tmp):
    world.hang.set()
    for env in (None, {"ETLNODE_ENDPOINT": "http://127.0.0.1:1"}, {"ETLNODE_ENDPOINT": "ftp://"}):
        started = time.monotonic()
        check(complete("etl", "stop", "", env=env) == [], "something came")
        took = time.monotonic() - started
        check(took < 10.0, "took %.2f s" % took)  # the server would hold it for 120 s
    world.release.set()


@test
def completion_in_bash(tmp):
    if shutil.which("bash") is None:
        return "bash is not installed"
    with_object("photos", "cat pic.jpg")
    with_object("photos", "cat2.jpg")
    script = """
        source <("$ETLCTL_BIN" completion bash)
        try() { COMP_LINE="$1" COMP_POINT=${#1} COMPREPLY=(); _etlctl_complete; printf '%s|' "${COMPREPLY[@]}"; echo; }
        try "etlctl etl sto"
        try "etlctl get photos/"
        try "etlctl get ais://pho"
        try "etlctl get photos/cat2.jpg ./spe"
    """
    open(os.path.join(tmp, "spec.yaml"), "w").close()
    os.symlink(ETLCTL, os.path.join(tmp, "etlctl"))
    done = subprocess.run(["bash", "-c", script], cwd=tmp, capture_output=True, timeout=120,
                          env=environment({"ETLCTL_BIN": ETLCTL, "PATH": tmp + ":" + os.environ["PATH"]}))
    check(done.stdout.decode() == "stop|\nphotos/cat\\ pic.jpg|photos/cat2.jpg|\n//photos/|\n./spec.yaml|\n", repr(done))


@test
def completion_in_zsh(tmp):
    if shutil.which("zsh") is None:
        return "zsh is not installed"
    with_object("photos", "cat pic.jpg")
    with_object("photos", "cat2.jpg")
    # Outside of a line editor the builtins of completion are stood in for by functions that print.
    script = """
        compdef() { :; }
        compadd() { [[ $1 == -S ]] && { print -n 'open '; shift 2; }; shift; print -n -- "${(j:|:)@}"; print; }
        _files() { print files; }
        source <("$ETLCTL_BIN" completion zsh)
        words=(etlctl etl sto); CURRENT=3; _etlctl_complete
        words=(etlctl get 'photos/'); CURRENT=3; _etlctl_complete
        words=(etlctl get ais://pho); CURRENT=3; _etlctl_complete
        words=(etlctl get 'photos/cat\\ pic.jpg' ''); CURRENT=4; _etlctl_complete
    """
    os.symlink(ETLCTL, os.path.join(tmp, "etlctl"))
    done = subprocess.run(["zsh", "-f", "-c", script], cwd=tmp, capture_output=True, timeout=120,
                          env=environment({"ETLCTL_BIN": ETLCTL, "PATH": tmp + ":" + os.environ["PATH"]}))
    check(done.stdout.decode() == "stop\nphotos/cat pic.jpg|photos/cat2.jpg\nopen ais://photos/\nfiles\n", repr(done))


@test
def start_up_is_quick(tmp):
    # Processor time, which other work on the machine does not lengthen as it does time by the clock.
    best = min(start_up_cost() for _ in range(5))
    if best > 1.0:
        return "took %.0f ms of processor time" % (best * 1000)


def start_up_cost():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run("version", "--client")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


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


if __name__ == "__main__":
    sys.exit(main())
