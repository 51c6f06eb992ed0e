#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Buckets and objects over HTTP: names, ranges, listings in both formats, errors, request smuggling, kill -9, full and broken disks."""
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import threading
import urllib.parse

import harness
from harness import Cluster, request, until

world = {}
NAUGHTY = ["%", "%25", "%3D", "a b", "a+b", "yHvMJM(s\\(0hR\\3\\)", "file_#@!$%^&*()_+.mp3", "track?name=lofi&v=1", "track%20space.wav", "你好世界", "-hidden", ".audio_hidden.wav",
           "a/b/c//d", "tab\there", "new\nline", "nul-free\x01", "é", "😀", "a" * 1024, "x" * 300 + "/" + "y" * 300, "...", ".../x", "CON", "<script>", "' OR 1=1 --", "${HOME}", "\u202eright"]


def cluster():
    return world["cluster"]


def listing(bucket, accept="application/json", **value):
    body = json.dumps({"action": "list", "name": "", "value": value})
    return request("GET", cluster().url(f"/v1/buckets/{bucket}?provider=ais"), body, {"Accept": accept, "Content-Type": "application/json"})


def case_buckets():
    c = cluster()
    c.bucket("b-one")
    again = request("POST", c.url("/v1/buckets/b-one?provider=ais"), json.dumps({"action": "create-bck", "name": "", "value": None}))
    assert again.status == 409 and '"ais://b-one"' in again.json["message"] and "already exists" in again.text, again
    for bad in ("*", ".", "%20", "#x", "$x", "~x", "a..b", ".hidden", "x" * 65):
        answer = request("POST", c.url("/v1/buckets/" + urllib.parse.quote(bad, safe="%")), json.dumps({"action": "create-bck"}))
        assert answer.status == 400, (bad, answer)
    assert request("POST", c.url("/v1/buckets/b/extra"), json.dumps({"action": "create-bck"})).status == 400
    assert request("POST", c.url("/v1/buckets/far?provider=aws"), json.dumps({"action": "create-bck"})).status == 501
    assert request("HEAD", c.url("/v1/buckets/b-one?provider=ais&provider=ais")).status == 200
    twice = request("GET", c.url("/v1/objects/b-one/x?provider=ais&provider=aws"))
    assert twice.status == 400 and "given twice" in twice.json["message"], twice
    listed = request("GET", c.url("/v1/buckets?provider=ais"), json.dumps({"action": "list", "name": "", "value": None})).json
    assert {"name": "b-one", "provider": "ais", "namespace": {"uuid": "", "name": ""}} in listed, listed
    head = request("HEAD", c.url("/v1/buckets/b-one?provider=ais"))
    assert head.status == 200 and json.loads(head.headers["Ais-Bucket-Props"])["provider"] == "ais", head.headers
    missing = request("HEAD", c.url("/v1/buckets/nope"))
    assert missing.status == 404 and json.loads(missing.headers["Hdr-Error"])["status"] == 404
    gone = request("DELETE", c.url("/v1/buckets/nope"), json.dumps({"action": "destroy-bck"}))
    assert gone.status == 404 and '"ais://nope"' in gone.json["message"], gone
    assert request("DELETE", c.url("/v1/buckets/b-one"), json.dumps({"action": "destroy-bck"})).status == 200
    for action in ({"action": "fly"}, "not json", []):
        answer = request("POST", c.url("/v1/buckets/b-one"), action if isinstance(action, str) else json.dumps(action))
        assert answer.status in (400, 501), (action, answer)


def case_names_are_kept():
    c = cluster()
    c.bucket("names")
    for number, name in enumerate(NAUGHTY):
        body = f"content {number}".encode()
        put = c.put("names", name, body)
        assert put.status == 200 and put.headers["Ais-Version"] == "1", (name, put)
        got = c.get("names", name)
        assert got.status == 200 and got.body == body, (name, got)
    names = [e["name"] for e in listing("names").json["entries"]]
    assert names == sorted(NAUGHTY, key=lambda n: n.encode()), set(names) ^ set(NAUGHTY)
    for bad in ("a/", "./x", "a/../b", "a/./b", "..", "~/x", "x" * 1025):
        answer = request("PUT", c.url("/v1/objects/names/" + urllib.parse.quote(bad, safe="/")), b"", follow=False)
        assert answer.status == 400, (bad, answer)
    assert request("GET", c.url("/v1/objects/names/%ff%fe")).status == 400
    assert request("GET", c.url("/v1/objects/names/%zz")).status == 400
    assert request("GET", c.url("/v1/objects/names/a%00b")).status == 400


def case_read_head_range_delete():
    c = cluster()
    c.bucket("rw")
    body = os.urandom(300_000)
    put = c.put("rw", "o", body)
    assert put.status == 200 and put.headers["Ais-Checksum-Type"] == "xxhash2" and len(put.headers["Ais-Checksum-Value"]) == 16, put.headers
    got = c.get("rw", "o")
    assert got.body == body and got.headers["Content-Type"] == "application/octet-stream"
    assert got.headers["Ais-Checksum-Value"] == put.headers["Ais-Checksum-Value"] and got.headers["Ais-Version"] == "1"
    for spec, first, last in (("bytes=0-0", 0, 0), ("bytes=5-9", 5, 9), ("bytes=299999-", 299999, 299999), ("bytes=-10", 299990, 299999), ("bytes=10-999999999", 10, 299999)):
        part = c.get("rw", "o", headers={"Range": spec})
        assert part.status == 206 and part.body == body[first:last + 1] and part.headers["Content-Range"] == f"bytes {first}-{last}/300000", (spec, part)
    several = c.get("rw", "o", headers={"Range": "bytes=0-1,5-6"})  # RFC 9110 allows a server to ignore it
    assert several.status == 200 and several.body == body and several.headers["Accept-Ranges"] == "bytes", several
    for spec in ("bytes=300000-", "bytes=-0"):
        part = c.get("rw", "o", headers={"Range": spec})
        assert part.status == 416 and part.headers["Content-Range"] == "bytes */300000", (spec, part)
    for condition in ('"a"', 'W/"a"', "Sun, 06 Nov 1994 08:49:37 GMT"):  # a part of another version must not be combined with one of this
        whole = c.get("rw", "o", headers={"Range": "bytes=5-9", "If-Range": condition})
        assert whole.status == 200 and whole.body == body and whole.headers["Content-Range"] is None, (condition, whole)
    head = request("HEAD", c.url("/v1/objects/rw/o"))
    for name in ("Ais-Name", "Ais-Bucket-Name", "Ais-Version", "Ais-Atime", "Ais-Checksum-Value", "Ais-Mirror-Paths", "Ais-Location"):
        assert head.headers[name], name
    assert head.headers["Content-Length"] == "300000" and head.headers["Ais-Present"] == "true"
    two = request("HEAD", c.url("/v1/objects/rw/o?props=size,version"))
    assert two.headers["Ais-Version"] == "1" and two.headers["Ais-Checksum-Value"] is None
    assert request("HEAD", c.url("/v1/objects/rw/o?props=nonsense")).status == 400
    assert c.put("rw", "o", b"").headers["Ais-Version"] == "2"
    empty = c.get("rw", "o")
    assert empty.status == 200 and empty.body == b"" and empty.headers["Content-Length"] == "0"
    assert request("DELETE", c.url("/v1/objects/rw/o")).status == 200
    missing = request("DELETE", c.url("/v1/objects/rw/o"))
    assert missing.status == 404 and "ais://rw/o does not exist" in missing.json["message"], missing
    missing = c.get("rw", "o")
    assert missing.status == 404 and "ais://rw/o does not exist" in missing.json["message"], missing
    unknown = request("GET", c.url("/v1/objects/no-such-bucket/o"))
    assert unknown.status == 404 and '"ais://no-such-bucket" does not exist' in unknown.json["message"], unknown


def case_redirects():
    c = cluster()
    raw = "/v1/objects/rw/a%20b%2Fc%3F?x=1%202"
    for method, status in (("GET", 301), ("HEAD", 307), ("PUT", 307), ("DELETE", 307)):
        hop = request(method, c.url(raw), b"x" if method == "PUT" else None, follow=False)
        assert hop.status == status, (method, hop)
        location = hop.headers["Location"]
        assert "/v1/objects/rw/a%20b%2Fc%3F?x=1%202&" in location and "pid=" in location and "utm=" in location, location
    target = cluster().targets[0]
    direct = request("PUT", target.url + "/v1/objects/rw/o", b"x")
    assert direct.status == 400 and "redirected" in direct.json["message"], direct


def case_checksum_is_checked():
    c = cluster()
    hop = request("PUT", c.url("/v1/objects/rw/sum"), b"", follow=False).headers["Location"]
    bad = request("PUT", hop, b"some bytes", {"Ais-Checksum-Type": "xxhash2", "Ais-Checksum-Value": "0123456789abcdef"})
    assert bad.status == 400, bad
    assert c.get("rw", "sum").status == 404


def unpack(data, at=0):
    """Enough MessagePack for a listing."""
    first = data[at]
    if first < 0x80:
        return first, at + 1
    if first < 0x90:
        return unpack_map(data, at + 1, first & 15)
    if first < 0xa0:
        return unpack_array(data, at + 1, first & 15)
    if first < 0xc0:
        return data[at + 1:at + 1 + (first & 31)].decode(), at + 1 + (first & 31)
    if first == 0xc0:
        return None, at + 1
    if first in (0xcc, 0xcd, 0xce, 0xcf):
        size = 1 << (first - 0xcc)
        return int.from_bytes(data[at + 1:at + 1 + size], "big"), at + 1 + size
    if first in (0xd9, 0xda, 0xdb):
        size = 1 << (first - 0xd9)
        length = int.from_bytes(data[at + 1:at + 1 + size], "big")
        return data[at + 1 + size:at + 1 + size + length].decode(), at + 1 + size + length
    if first in (0xdc, 0xdd):
        size = 2 << (first - 0xdc)
        return unpack_array(data, at + 1 + size, int.from_bytes(data[at + 1:at + 1 + size], "big"))
    if first in (0xde, 0xdf):
        size = 2 << (first - 0xde)
        return unpack_map(data, at + 1 + size, int.from_bytes(data[at + 1:at + 1 + size], "big"))
    raise AssertionError(f"byte {first:#x}")


def unpack_array(data, at, count):
    out = []
    for _ in range(count):
        item, at = unpack(data, at)
        out.append(item)
    return out, at


def unpack_map(data, at, count):
    out = {}
    for _ in range(count):
        key, at = unpack(data, at)
        out[key], at = unpack(data, at)
    return out, at


def case_listing_pages():
    c = cluster()
    c.bucket("pages")
    names = [f"dir{i % 3}/obj-{i:03d}" for i in range(75)]
    for name in names:
        c.put("pages", name, name.encode())
    names.sort()
    got, token, pages = [], "", 0
    while True:
        page = listing("pages", pagesize=20, continuation_token=token).json
        got += [e["name"] for e in page["entries"]]
        pages += 1
        token = page["continuation_token"]
        if not token:
            break
        assert token == got[-1]
    assert got == names and pages == 4, (pages, len(got))
    packed = listing("pages", accept="application/msgpack", prefix="dir1/", props="name,size,checksum,version")
    assert packed.headers["Content-Type"] == "application/msgpack"
    tree, end = unpack(packed.body)
    assert end == len(packed.body) and len(tree["UUID"]) >= 9 and tree["ContinuationToken"] == "", tree
    wanted = [n for n in names if n.startswith("dir1/")]
    assert [e["n"] for e in tree["Entries"]] == wanted and tree["Entries"][0]["s"] == len(wanted[0]) and tree["Entries"][0]["v"] == "1"
    assert [e["name"] for e in listing("pages", prefix="dir2/*").json["entries"]] == [n for n in names if n.startswith("dir2/")]
    assert [e["name"] for e in listing("pages", start_after=names[70]).json["entries"]] == names[71:]
    empty, _ = unpack(listing("pages", accept="application/msgpack", prefix="zzz").body)
    assert empty["Entries"] == []
    assert listing("no-such-bucket").status == 404


def case_chunked_and_continue():
    c = cluster()
    location = urllib.parse.urlsplit(request("PUT", c.url("/v1/objects/rw/chunky"), b"", follow=False).headers["Location"])
    connection = http.client.HTTPConnection(location.hostname, location.port, timeout=120)
    connection.request("PUT", f"{location.path}?{location.query}", body=(bytes([i]) * 1000 for i in range(200)), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().status == 200
    connection.close()
    assert c.get("rw", "chunky").body == b"".join(bytes([i]) * 1000 for i in range(200))
    cut = socket.create_connection((location.hostname, location.port), timeout=120)
    cut.sendall(f"PUT {location.path.replace('chunky', 'cut')}?{location.query} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc".encode())
    cut.close()
    assert c.get("rw", "cut").status == 404
    curl = c.run("curl", "-sS", "-L", "-o", "/dev/null", "-w", "%{http_code}", "-T", harness.ETLCTL, c.url("/v1/objects/rw/by-curl"))
    assert curl.stdout == b"200", curl
    with open(harness.ETLCTL, "rb") as file:
        assert c.get("rw", "by-curl").body == file.read()


def case_bad_requests_touch_nobody_else():
    c = cluster()
    for node in [c.proxy] + c.targets:
        parts = urllib.parse.urlsplit(node.url)
        for text, status in (
            (b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", b"400"),
            (b"POST /v1/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
            (b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n", b"400"),
            (b"GET /v1/health HTTP/1.1\r\nHost: localhost\rA: b\r\n\r\n", b"400"),
            (b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", b"431"),
            (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"414"),
            (b"PUT /v1/etl HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n", b"400"),
        ):
            with socket.create_connection((parts.hostname, parts.port), timeout=120) as conn:
                conn.sendall(text)
                got = b""
                try:
                    while True:
                        piece = conn.recv(65536)
                        if not piece:
                            break
                        got += piece
                except ConnectionResetError:
                    pass
                if status == b"400" and b"PUT /v1/etl" in text and node is not c.proxy:
                    continue  # a target does not have this route
                assert b" " + status + b" " in got.split(b"\r\n")[0], (text[:60], got[:200])
        assert request("GET", node.url + "/v1/health").status == 200


def case_acknowledged_puts_survive_kill():
    c = cluster()
    c.bucket("durable")
    acknowledged, stop = {}, threading.Event()

    def writer(number):
        count = 0
        while not stop.is_set():
            name = f"w{number}-{count}"
            body = hashlib.sha256(name.encode()).digest() * (1 + count * 37 % 3000)
            try:
                if c.put("durable", name, body).status == 200:
                    acknowledged[name] = hashlib.sha256(body).digest()
            except (OSError, http.client.HTTPException, AssertionError):
                pass
            count += 1

    threads = [threading.Thread(target=writer, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        wanted = len(acknowledged) + 20
        until(lambda: len(acknowledged) >= wanted, "more acknowledged puts", 40)
        for target in c.targets:
            target.kill(signal.SIGKILL)
            target.start()
    stop.set()
    for thread in threads:
        thread.join(30)
    c.wait_registered()
    for name, digest in acknowledged.items():
        got = c.get("durable", name)
        assert got.status == 200 and hashlib.sha256(got.body).digest() == digest, (name, got.status)
    listed = {e["name"] for e in listing("durable").json["entries"]}
    assert set(acknowledged) <= listed
    for target in c.targets:
        left = os.listdir(os.path.join(c.dir, target.name, "tmp"))
        assert len(left) < 20, left


def case_silent_target_is_503():
    c = cluster()
    c.put("rw", "held", b"x")
    holder = c.holder("rw", "held")
    holder.process.send_signal(signal.SIGSTOP)
    try:
        def refused():
            hop = request("GET", c.url("/v1/objects/rw/held"), follow=False)
            return hop.status == 503 and hop.headers["Retry-After"]
        until(refused, "503 for the objects of a silent target", 30)
        assert len(c.smap()["tmap"]) == 2
    finally:
        holder.process.send_signal(signal.SIGCONT)
    until(lambda: c.get("rw", "held").status == 200, "it is back", 20)


def case_a_living_target_is_not_taken_out():
    """What becomes of one that is lost is in test_node_life.py."""
    with Cluster(targets=2) as c:
        c.bucket("kept")
        for i in range(20):
            c.put("kept", f"o{i}", b"x")
        ids = set(c.smap()["tmap"])
        for known in ids:
            alive = c.run("etlctl", "target", "rm", known, "--yes", check=False)
            assert alive.returncode == 4 and f"target drain {known}".encode() in alive.stderr, alive
        unknown = c.run("etlctl", "target", "rm", "nonsense1", check=False)
        assert unknown.returncode == 3 and b"there is no target" in unknown.stderr, unknown
        assert set(c.smap()["tmap"]) == ids
        assert all(c.get("kept", f"o{i}").status == 200 for i in range(20))


def case_smap_health_metrics():
    c = cluster()
    smap = c.smap()
    assert len(smap["tmap"]) == 2 and smap["proxy_si"]["public_net"]["direct_url"] == c.proxy.url and isinstance(smap["version"], str)
    for node in [c.proxy] + c.targets:
        assert request("GET", node.url + "/v1/daemon?what=smap").json["uuid"] == smap["uuid"]
        health = request("GET", node.url + "/v1/health")
        assert health.status == 200 and health.body == b"" and int(health.headers["Ais-Node-Uptime"]) > 0, health.headers
        text = request("GET", node.url + "/metrics").text
        names = set()
        for line in text.splitlines():
            if line.startswith("# TYPE"):
                assert line.split()[2] not in names, line
                names.add(line.split()[2])
        assert {"etlnode_build_info", "etlnode_http_requests_total", "etlnode_machine_steps_total"} <= names, names
    assert request("GET", c.url("/v1/health?prr=true")).status == 200
    wrong = request("PATCH", c.url("/v1/health"))
    assert wrong.status == 405 and "GET" in wrong.headers["Allow"], wrong
    nowhere = request("GET", c.url("/v1/nowhere"))
    assert nowhere.status == 404, nowhere


def case_nodes_keep_to_themselves():
    c = cluster()
    for path in ("/v1/node/etl", "/v1/node/status"):
        answer = request("GET", c.targets[0].url + path)
        assert answer.status in (401, 403), answer
    assert request("POST", c.proxy.url + "/v1/node/register", b"{}").status in (401, 403)
    pods = f"http://127.0.0.1:{c.targets[0].announced['pod_port']}"
    for path in ("/v1/objects/rw/held", "/v1/health", "/metrics", "/v1/node/etl"):
        assert request("GET", pods + path).status == 404, path
    assert request("GET", pods + "/v1/etl/_object/nope/secret/rw/held").status in (400, 404)


def start_alone(arguments, **rest):
    return subprocess.run([harness.ETLNODE] + arguments, capture_output=True, text=True, timeout=120,
                          env=dict(cluster().env, ETLNODE_CLUSTER_SECRET_FILE=cluster().secret_arguments[1]), check=False, **rest)


def case_refuses_to_start():
    c = cluster()
    second = start_alone(["--role", "proxy", "--listen", "127.0.0.1:0", "--data-dir", os.path.join(c.dir, "proxy")])
    assert second.returncode == 1 and "in use by process" in second.stderr, second
    with tempfile.TemporaryDirectory() as folder:
        blocked = os.path.join(folder, "file")
        open(blocked, "w").close()
        done = start_alone(["--role", "proxy", "--listen", "127.0.0.1:0", "--data-dir", blocked + "/x"])
        assert done.returncode == 1 and blocked in done.stderr, done
        done = start_alone(["--role", "proxy", "--listen", c.proxy.url[len("http://"):], "--data-dir", folder + "/p"])
        assert done.returncode == 1 and "127.0.0.1" in done.stderr, done
        import sqlite3
        with sqlite3.connect(os.path.join(folder, "node.db")) as database:
            database.execute("PRAGMA user_version = 999")
        done = start_alone(["--role", "proxy", "--listen", "127.0.0.1:0", "--data-dir", folder])
        assert done.returncode == 1 and "version" in done.stderr, done
    config = os.path.join(c.dir, "etlnode.yaml")
    for text, word in (("listn: 127.0.0.1:0\n", 'did you mean "listen"'), ("role: [a]\n", "line 1"), ("role: captain\n", "must be proxy or target, not \"captain\""), ("a: b: c\n", "line 1")):
        with open(config, "w", encoding="ascii") as file:
            file.write(text)
        done = start_alone(["--check-config", "--config", config])
        assert done.returncode == 2 and word in done.stderr, (text, done)
    with open(config, "w", encoding="ascii") as file:
        file.write("role: proxy\nlisten: 127.0.0.1:0\n")
    assert start_alone(["--check-config", "--config", config]).returncode == 0
    inside = dict(c.env, KUBERNETES_SERVICE_HOST="10.0.0.1")
    done = subprocess.run([harness.ETLNODE, "--role", "target", "--check-config"], capture_output=True, text=True, env=inside, timeout=120, check=False)
    assert done.returncode == 2 and "K8S_HOST_NAME" in done.stderr, done


def case_options_in_our_own_words():
    for arguments, said in ((["--rle", "proxy"], "unknown option --rle, did you mean --role?"), (["--role"], "--role needs a value: proxy|target"),
                            (["--role", "proxy", "--role", "target"], "--role is given twice"), (["--role", "proxy", "extra"], '"extra" does not belong to an option'),
                            (["--role", "proxy", "--log-format", "xml", "--check-config"], '--log-format: must be text or json, not "xml"')):
        done = start_alone(arguments)
        assert done.returncode == 2 and said in done.stderr and "not expected" not in done.stderr, (arguments, done.stderr)
    shown = start_alone(["--role", "proxy", "--show-config"]).stdout
    assert 'data-dir: "etlnode-proxy"  # default\n' in shown and 'advertise-url: "http://127.0.0.1:8080"  # default\n' in shown, shown


def case_closed_standard_descriptors():
    """The node never occupies their descriptors; it ends as usual."""
    c = cluster()
    for closed in (">&-", "2>&-", "0<&-", "0<&- >&- 2>&-"):
        folder = tempfile.mkdtemp(dir=c.dir)
        command = " ".join([harness.ETLNODE, "--role proxy --listen 127.0.0.1:0 --data-dir", folder, *c.secret_arguments, closed])
        node = subprocess.Popen(["sh", "-c", "exec " + command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=c.env)
        harness.until(lambda: os.path.exists(os.path.join(folder, "node.db")), "it has started")
        until(lambda: sum(os.readlink(f"/proc/{node.pid}/fd/{fd}").startswith("socket:") for fd in os.listdir(f"/proc/{node.pid}/fd")) > 0, "it listens")
        for fd, name in enumerate(("0<&-", ">&-", "2>&-")):
            if name in closed.split():
                assert os.readlink(f"/proc/{node.pid}/fd/{fd}") == "/dev/null", closed
        node.send_signal(signal.SIGTERM)
        node.communicate(timeout=120)
        assert node.returncode in (0, -signal.SIGTERM), (closed, node.returncode)  # before the node has installed its handler, a signal ends it
    done = subprocess.run(["sh", "-c", harness.ETLCTL + " version --client >&-"], capture_output=True, text=True, timeout=120, check=False, env=c.env)
    assert done.returncode == 1 and "Bad file descriptor" in done.stderr, done


def case_logs_for_collectors():
    c = cluster()
    folder = tempfile.mkdtemp(dir=c.dir)
    log = os.path.join(folder, "log")
    with open(log, "wb") as out:
        node = subprocess.Popen([harness.ETLNODE, "--role", "proxy", "--listen", "127.0.0.1:0", "--data-dir", folder + "/p", "--log-format", "json"] + c.secret_arguments,
                                stdout=subprocess.PIPE, stderr=out, env=dict(c.env, ETLNODE_LISTN="127.0.0.1:1"))

    def lines():
        with open(log, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    try:
        url = json.loads(node.stdout.readline())["url"]
        assert any("did you mean ETLNODE_LISTEN?" in line["msg"] for line in lines()), lines()
        assert all({"ts", "level", "sub"} <= line.keys() for line in lines()), lines()
        node.send_signal(signal.SIGUSR2)
        harness.until(lambda: any("log level is now debug" in line.get("msg", "") for line in lines()), "the level went up")
        before = len(lines())
        request("GET", url + "/v1/health")
        harness.until(lambda: any(line["level"] in ("debug", "state") for line in lines()[before:]), "debug lines")
        node.send_signal(signal.SIGUSR2)
        harness.until(lambda: any("the configured one" in line.get("msg", "") for line in lines()), "the level went down")
        node.send_signal(signal.SIGQUIT)
        harness.until(lambda: any(line.get("msg") == "last transitions of this node:" for line in lines()), "the dump has begun")
        harness.until(lambda: any(" --" in line.get("msg", "") and line["level"] == "info" for line in lines()), "the dump has its lines")
        # The reason why a node cannot start is an object as well, whatever it is.
        for arguments, said in ((["--data-dir", folder + "/p"], "in use by process"), (["--data-dir", folder + "/q", "--listen", "nowhere"], "must be HOST:PORT"),
                                (["--data-dir", folder + "/q", "--listen", url[len("http://"):]], "cannot listen"), (["--data-dir", folder + "/q", "--lisn", "x"], "did you mean --listen?")):
            listen = [] if "--listen" in arguments else ["--listen", "127.0.0.1:0"]
            done = subprocess.run([harness.ETLNODE, "--role", "proxy", "--log-format", "json", *listen, *arguments, *c.secret_arguments], capture_output=True, text=True, timeout=120, check=False)
            told = [json.loads(line) for line in done.stderr.splitlines()]
            assert done.returncode in (1, 2) and any(line["level"] == "error" and said in line["msg"] for line in told), (arguments, done)
    finally:
        node.terminate()
        node.communicate(timeout=120)
    assert node.returncode == 0, node.returncode


def case_signals_of_the_manual():
    """SIGNALS in etlnode(1): what continues, what drains, what ends immediately."""
    c = cluster()
    with open(os.path.join(harness.ROOT, "docs/man/etlnode.1"), encoding="utf-8") as file:
        section = file.read().split(".SH SIGNALS")[1].split(".SH ")[0]
    table = ((signal.SIGQUIT, None), (signal.SIGUSR2, None), (signal.SIGPIPE, None), (signal.SIGXFSZ, None), (signal.SIGTERM, 0), (signal.SIGINT, 0),
             (signal.SIGHUP, -signal.SIGHUP), (signal.SIGUSR1, -signal.SIGUSR1))
    # The process that started this test may ignore some signals, for example nohup, and child processes inherit that.
    for signum, code, way in [(*row, signal.SIG_DFL) for row in table] + [(signal.SIGHUP, None, signal.SIG_IGN), (signal.SIGTERM, 0, signal.SIG_IGN), (signal.SIGINT, 0, signal.SIG_IGN)]:
        assert signum.name in section, signum
        folder = tempfile.mkdtemp(dir=c.dir)
        log = os.path.join(folder, "log")
        with open(log, "wb") as err:
            node = subprocess.Popen([harness.ETLNODE, "--role", "proxy", "--listen", "127.0.0.1:0", "--data-dir", folder] + c.secret_arguments, stdout=subprocess.PIPE, stderr=err, env=c.env,
                                    preexec_fn=lambda way=way: [signal.signal(one[0], way) for one in table])
        try:
            url = json.loads(node.stdout.readline())["url"]
            node.send_signal(signum)
            if code is None:
                assert request("GET", url + "/v1/health?readiness=true").status == 200 and node.poll() is None, signum
            else:
                try:
                    assert node.wait(120) == code, (signum, node.returncode)
                except subprocess.TimeoutExpired:
                    with open(log, encoding="utf-8", errors="replace") as err, open(f"/proc/{node.pid}/status", encoding="ascii") as status:
                        raise AssertionError(f"{signum.name} did not end it: {err.read()}{status.read()}") from None
        finally:
            node.kill()
            node.communicate(timeout=120)


def case_a_signal_in_the_first_moments():
    with Cluster(targets=0) as own:  # a target that lives for long enough gets a share of the cluster's objects, which would miss it
        signals_in_the_first_moments(own)


def signals_in_the_first_moments(c):
    """SIGTERM ends a node in order whenever it comes, from the moment on at which the node catches it: with 0, and the same data directory starts."""
    proxy = ["--role", "proxy", "--listen", "127.0.0.1:0"]
    target = ["--role", "target", "--listen", "127.0.0.1:0", "--proxy", c.proxy.url]

    def catches(pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            fields = dict(line.split(":\t", 1) for line in status)
        return bool(int(fields["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1)

    for arguments in (proxy, target):
        folder = tempfile.mkdtemp(dir=c.dir)
        for pause in [0.002 * i for i in range(30)]:
            with open(os.path.join(folder, "log"), "wb") as log:
                node = subprocess.Popen([harness.ETLNODE, *arguments, "--data-dir", folder + "/data"] + c.secret_arguments, stdout=subprocess.DEVNULL, stderr=log, env=c.env)
            try:
                until(lambda node=node: catches(node.pid), "it catches SIGTERM", step=0)
                time.sleep(pause)
                node.send_signal(signal.SIGTERM)
                assert node.wait(120) == 0, (arguments[1], pause, node.returncode, open(os.path.join(folder, "log"), encoding="utf-8").read())
            finally:
                node.kill()
                node.wait(120)
        with subprocess.Popen([harness.ETLNODE, *arguments, "--data-dir", folder + "/data"] + c.secret_arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=c.env) as alone:
            announced = alone.stdout.readline()
            alone.send_signal(signal.SIGTERM)
            assert json.loads(announced)["url"] and alone.wait(120) == 0, announced


def case_disk_full():
    if os.getuid() != 0:
        raise harness.Skip("a small file system needs root")
    c = Cluster(targets=0, target_arguments=["--out-of-space", "100"])  # until the disk itself refuses
    small = os.path.join(c.dir, "target1")
    os.mkdir(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small], check=True, timeout=120)
    try:
        with c:
            c.add_target(1)
            c.wait_registered(1)
            c.bucket("full")
            assert c.put("full", "fits", b"x" * 100_000).status == 200
            answer = c.put("full", "too large", b"x" * (20 << 20))
            assert answer.status == 507 and answer.json["message"].endswith("cannot store ais://full/too large: the disk is full"), answer
            assert c.get("full", "too large").status == 404
            assert c.get("full", "fits").body == b"x" * 100_000
            until(lambda: c.put("full", "fits too", b"y" * 100_000).status == 200, "room again")
            assert c.get("full", "fits too").body == b"y" * 100_000
    finally:
        subprocess.run(["umount", "-l", small], check=False, timeout=120)
        shutil.rmtree(c.dir, ignore_errors=True)


def case_drain():
    c = cluster()
    body = b"z" * (30 << 20)
    c.put("rw", "slow", body)
    holder = c.holder("rw", "slow")
    parts = urllib.parse.urlsplit(holder.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=120) as conn:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        conn.sendall(b"GET /v1/objects/rw/slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = conn.recv(1000)
        holder.process.send_signal(signal.SIGTERM)
        until(lambda: refused(parts), "the listener is closed")
        while True:
            piece = conn.recv(1 << 20)
            if not piece:
                break
            got += piece
    assert got.endswith(b"z" * 1000) and len(got) > len(body)
    assert holder.process.wait(30) == 0
    holder.process.stdout.close()
    holder.start()
    c.wait_registered()


def refused(parts):
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()
        return False
    except OSError:
        return True


with Cluster(targets=2) as made:
    world["cluster"] = made
    harness.run([(name[5:].replace("_", " "), function) for name, function in list(globals().items()) if name.startswith("case_")])
