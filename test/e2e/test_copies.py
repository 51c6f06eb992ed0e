#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PUT with object_to=: keeps an object or its transform under another name, byte-equal or not at all, on the same target or another.

LONG=1 includes 1 GiB.
"""
import concurrent.futures
import glob
import hashlib
import json
import os
import signal
import socket
import urllib.parse

import harness
import transformers
from harness import pod_spec, request, until

LONG = os.environ.get("LONG", "") not in ("", "0")
SIZES = [("0 B", 0), ("1 B", 1), ("4 KiB", 4096), ("64 KiB and one", 65537), ("256 KiB", 1 << 18), ("1 MiB and one", (1 << 20) + 1), ("40 MiB", 40 << 20)]
GIB = 1 << 30
NAMES = ["with space", "per%cent", "per%25cent", "ques?tion=1&x", "ha#sh", "你好世界", "a/b/c", "plus+plus", "quote'\"", "x" * 200, "semi;colon=1"]
world = {}

# XORs every byte with 0x5a. The second argument is the framing of answers, the third the number of seconds for each 64 KiB.
FLIP = transformers.COMMON + '''
TABLE = bytes(b ^ 0x5a for b in range(256))
FRAMING = sys.argv[2]
PAUSE = float(sys.argv[3]) if len(sys.argv) > 3 else 0

class H(Base):
    protocol_version = "HTTP/1.0" if FRAMING == "close" else "HTTP/1.1"
    def begin(self, size):
        self.send_response(200)
        self.send_header("Content-Type", "application/x-flipped")
        self.send_header("X-Query", self.path)
        if FRAMING == "length": self.send_header("Content-Length", str(size))
        if FRAMING == "chunked": self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
    def piece(self, data):
        if PAUSE:
            self.wfile.flush()
            time.sleep(PAUSE)
        data = data.translate(TABLE)
        self.wfile.write(b"%x\\r\\n" % len(data) + data + b"\\r\\n" if FRAMING == "chunked" else data)
    def end(self):
        if FRAMING == "chunked": self.wfile.write(b"0\\r\\n\\r\\n")
    def do_POST(self):
        if "note=1" in self.path: # what it was asked, instead of the object
            for _ in self.pieces(): pass
            text = (self.command + " " + self.path + " " + str(self.headers.get("Range")) + " " + str(self.headers.get("X-Mine"))).encode()
            self.begin(len(text))
            self.piece(text)
        else:
            self.begin(int(self.headers["Content-Length"]))
            for piece in self.pieces(): self.piece(piece)
        self.end()
    def do_GET(self):
        try:
            with urllib.request.urlopen(os.environ["AIS_TARGET_URL"] + self.path.split("?")[0], timeout=30) as source:
                if "note=1" in self.path:
                    text = (self.command + " " + self.path + " " + str(self.headers.get("Range")) + " " + str(self.headers.get("X-Mine"))).encode()
                    self.begin(len(text))
                    self.piece(text)
                else:
                    self.begin(source.headers["Content-Length"])
                    while True:
                        piece = source.read(65536)
                        if not piece: break
                        self.piece(piece)
                self.end()
        except urllib.error.HTTPError as problem:
            body = problem.read()
            self.send_response(problem.code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
serve(H)
'''
FLIP_TABLE = bytes(b ^ 0x5a for b in range(256))


def blob(size):
    seed = hashlib.sha256(str(size).encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


def start_all():
    cluster = world["cluster"]
    cluster.image("test/flip:1", {"srv.py": FLIP}, ["/srv.py", "80"])
    cluster.image("test/hostile:1", {"srv.py": transformers.HOSTILE}, ["/srv.py", "80"])
    for bucket in ("src", "dst"):
        cluster.bucket(bucket)
    def flip(name, mode, *arguments, **rest):
        return cluster.init(pod_spec(name, "test/flip:1", mode=mode, command=["/srv.py", "80", *arguments], **rest))
    world["etl"] = {
        "as it is": None,
        "hpush, counted": flip("flip-length", "hpush://", "length"),
        "hpush, chunked": flip("flip-chunked", "hpush://", "chunked"),
        "hpush, ended by closing": flip("flip-close", "hpush://", "close"),
        "hrev": flip("flip-hrev", "hrev://", "length"),
        "hrev, ended by closing": flip("flip-hrev-close", "hrev://", "close"),
        "hpull": flip("flip-hpull", "hpull://", "chunked"),
    }
    world["slow"] = flip("flip-slow", "hpush://", "chunked", "0.05")
    world["hostile"] = cluster.init(pod_spec("hostile", "test/hostile:1", annotations={"obj_timeout": "3s"}))
    for label, size in SIZES:
        assert cluster.put("src", label, blob(size)).status == 200


def wanted(how, content):
    return content if world["etl"][how] is None else content.translate(FLIP_TABLE)


def uname(bucket, name):
    return urllib.parse.quote(f"ais/@#/{bucket}/{name}", safe="")


def copy_query(bucket, name, etl=None, more=""):
    query = "object_to=" + uname(bucket, name) + "&latest-ver=false&synchronize=false"
    return query + (f"&etl_name={etl}" if etl else "") + more


def copy(source, bucket, name, etl=None, more="", source_bucket="src", headers=None, **rest):
    url = world["cluster"].url(f"/v1/objects/{source_bucket}/{urllib.parse.quote(source, safe='/')}?{copy_query(bucket, name, etl, more)}")
    return request("PUT", url, headers=headers, **rest)


def case_by_a_job():
    """What a request does for one object, a job does for all of a bucket: in every mode, and each size."""
    cluster = world["cluster"]
    for number, (how, etl) in enumerate(world["etl"].items()):
        value = {"id": etl} if etl else {}
        body = json.dumps({"action": "etl-bck" if etl else "copy-bck", "value": value}).encode()
        started = request("POST", cluster.url(f"/v1/buckets/src?bck_to=ais%2F%40%23%2Fjob-{number}%2F"), body)
        assert started.status == 200, started
        job = {}

        def is_over():
            job.update(request("GET", cluster.url(f"/v1/jobs/{started.text}")).json)
            return job["ended_ns"] != "0"
        harness.until(is_over, f"the job through {how} ends", 120)
        assert job["failed"] == 0 and job["done"] >= len(SIZES), (how, job)
        for label, size in SIZES:
            answer = cluster.get(f"job-{number}", label)
            assert answer.status == 200 and answer.body == wanted(how, blob(size)), (how, label, answer.status, len(answer.body))


def name_held(target, is_there, prefix, bucket="dst"):
    """A name that belongs to this target, or to another one."""
    cluster = world["cluster"]
    return next(name for name in (f"{prefix} {i}" for i in range(1000)) if (cluster.holder(bucket, name) is target) == is_there)


def content_of(bucket, name):
    answer = world["cluster"].get(bucket, name)
    assert answer.status in (200, 404), answer
    return answer.body if answer.status == 200 else None


def is_tidy():
    """No transfer in flight, and no file of an unfinished PUT."""
    cluster = world["cluster"]
    for target in cluster.targets:
        if not target.alive():
            continue
        if glob.glob(os.path.join(cluster.dir, target.name, "tmp", "*")):
            return False
        for line in request("GET", target.url + "/metrics").text.splitlines():
            if line.startswith("etlnode_transfers_in_flight ") and not line.endswith(" 0"):
                return False
    return True


def case_sizes(how):
    def run():
        cluster = world["cluster"]
        for label, size in SIZES:
            source = cluster.holder("src", label)
            for place in ("here", "there"):
                name = name_held(source, place == "here", f"{how} {label} {place}")
                answer = copy(label, "dst", name, world["etl"][how])
                assert answer.status == 200 and answer.body == b"", (how, label, place, answer)
                got = cluster.get("dst", name)
                expected = wanted(how, blob(size))
                assert got.status == 200 and got.body == expected, f"{how}, {label}, {place}: {got.status}, {len(got.body)} bytes of {size} differ"
                assert cluster.get("src", label).body == blob(size)
                # It has a version and a checksum of its own.
                other = cluster.put("dst", "same", expected)
                assert got.headers["Ais-Checksum-Value"] == other.headers["Ais-Checksum-Value"] and got.headers["Ais-Version"] == "1", (got.headers, other.headers)
        until(is_tidy, "nothing is left")
    return run


def case_names():
    for number, name in enumerate(NAMES):
        assert world["cluster"].put("src", name, f"content {number}".encode()).status == 200, name
    for how in ("as it is", "hpush, counted", "hrev", "hpull"):
        for number, name in enumerate(NAMES):
            to = NAMES[(number + 1) % len(NAMES)] + how
            answer = copy(name, "dst", to, world["etl"][how])
            assert answer.status == 200, (how, name, answer)
            assert content_of("dst", to) == wanted(how, f"content {number}".encode()), (how, name)


def case_same_place():
    """An object may be replaced by its own transform. A copy onto itself changes only its version."""
    cluster = world["cluster"]
    content = blob(300_000)
    assert cluster.put("src", "in place", content).status == 200
    for number, how in enumerate(("as it is", "hpush, counted", "as it is", "hpush, chunked", "hrev"), 2):
        assert copy("in place", "src", "in place", world["etl"][how]).status == 200
        content = wanted(how, content)
        got = cluster.get("src", "in place")
        assert got.body == content and got.headers["Ais-Version"] == str(number), (how, got.headers)


def case_overwrite():
    assert world["cluster"].put("dst", "over", b"the old one, which is longer").status == 200
    assert copy("1 B", "dst", "over").status == 200
    assert content_of("dst", "over") == blob(1)


def case_request_of_the_node():
    """Only the query of the client's request reaches the pod. The client's Range does not apply to the copy."""
    for how, etl in (("hpush, counted", "flip-length"), ("hrev", "flip-hrev")):
        answer = copy("64 KiB and one", "dst", "note", etl, more="&etl_args=a%20b&note=1", headers={"Range": "bytes=0-9", "X-Mine": "mine", "If-None-Match": "*"})
        assert answer.status == 200, answer
        told = content_of("dst", "note").translate(FLIP_TABLE).decode()
        assert "etl_args=a%20b&note=1" in told and "object_to" not in told and "synchronize" not in told and "etl_name" not in told, told
        assert told.endswith(" None None") and told.split()[0] in (("GET",) if how == "hrev" else ("POST", "PUT")), told


def refused(answer, status, *texts):
    assert answer.status == status, answer
    for text in texts:
        assert text in answer.json["message"], (text, answer)


def case_refusals():
    cluster = world["cluster"]
    def put(query, source="1 B", body=None, headers=None):
        return request("PUT", cluster.url(f"/v1/objects/src/{urllib.parse.quote(source)}?{query}"), body, headers)
    refused(copy("1 B", "nosuch", "x"), 404, 'bucket "ais://nosuch" does not exist')
    refused(copy("no such object", "dst", "x"), 404, "ais://src/no such object does not exist")
    refused(copy("no such object", "dst", "x", "flip-length"), 404, "ais://src/no such object does not exist")
    refused(copy("1 B", "dst", "x", source_bucket="nosuch"), 404, 'bucket "ais://nosuch" does not exist')
    refused(copy("1 B", "dst", "x", "nosuch"), 404, "etl job nosuch does not exist")
    refused(copy("1 B", "dst", "x", more="&etl_name=flip-length&etl_pipeline=nosuch"), 404, "etl job nosuch does not exist", "entry not found")
    for wrong in ("dst/x", "ais://dst/x", "aws/@#/dst/x", "ais/@#/dst", "ais/@#uuid/dst/x"):
        refused(put("object_to=" + urllib.parse.quote(wrong, safe="")), 400, "names no object here: expected ais/@#/BUCKET/OBJECT")
    refused(put("object_to="), 400, "the parameter object_to is empty")
    refused(copy("1 B", "dst", ""), 400, "object name")
    refused(copy("1 B", "..", "x"), 400, "bucket name")
    refused(copy("1 B", "dst", "y" * 1025), 400, "object name")
    hop = request("PUT", cluster.url("/v1/objects/src/1%20B?" + copy_query("dst", "x")), follow=False)
    refused(request("PUT", hop.headers["Location"], b"a body"), 400, "takes no body")
    refused(request("DELETE", cluster.url("/v1/objects/src/1%20B?" + copy_query("dst", "x", "flip-length"))), 400, "object_to goes with PUT")
    assert content_of("dst", "x") is None
    assert content_of("src", "1 B") == blob(1)
    until(is_tidy, "nothing is left")


BAD_ANSWERS = ["status-500", "status-422", "garbage", "bad-length", "two-lengths", "redirect", "no-content", "close-before-head", "reset-before-head", "half-head", "big-head", "many-1xx",
               "hang", "stall", "short", "short-big", "long", "bad-chunk"]


def case_bad_answers():
    """A result that could not be read completely is not stored: the old object stays, and a new one does not appear."""
    cluster = world["cluster"]
    for how in BAD_ANSWERS:
        assert cluster.put("src", how, b"to be transformed").status == 200
        source = cluster.holder("src", how)
        for place in ("here", "there"):
            old = name_held(source, place == "here", "old " + how)
            new = name_held(source, place == "here", "new " + how)
            assert cluster.put("dst", old, b"the old one").status == 200
            for name in (old, new):
                answer = copy(how, "dst", name, world["hostile"])
                assert answer.status >= 400 and "ETL error" in answer.json["message"], (how, place, answer)
            assert content_of("dst", old) == b"the old one", (how, place)
            assert content_of("dst", new) is None, (how, place)
    until(is_tidy, "nothing is left")


def case_pod_dies():
    """The container is killed in the middle of its answer, with each framing."""
    cluster = world["cluster"]
    for framing in ("length", "chunked", "close"):
        name = "dies-" + framing
        etl = cluster.init(pod_spec(name, "test/flip:1", command=["/srv.py", "80", framing, "0.05"]))
        source = cluster.holder("src", "40 MiB")
        for place in ("here", "there"):
            old = name_held(source, place == "here", "old " + name)
            assert cluster.put("dst", old, b"the old one").status == 200
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                job = pool.submit(copy, "40 MiB", "dst", old, etl)
                until(lambda: begun(source, etl, place, cluster), f"{framing}, {place}: the copy has begun")
                pods = [pod["metadata"]["name"] for pod in cluster.pods() if pod["metadata"]["labels"].get("etlnode/etl") == etl]
                for pod in pods:
                    os.kill(harness.container_pid(pod), signal.SIGKILL)
                answer = job.result()
            assert answer.status >= 400, (framing, place, answer)
            assert content_of("dst", old) == b"the old one", (framing, place)
            until(lambda: all(request("GET", t.url + "/metrics").text.count(f'etlnode_etl_pod_ready{{etl="{etl}"}} 1') for t in cluster.targets), "the pods are back", limit=60)
        cluster.stop_etl(etl)
    until(is_tidy, "nothing is left")


def begun(source, etl, place, cluster):
    """A PUT of the result is in progress: its file exists."""
    target = source if place == "here" else next(t for t in cluster.targets if t is not source)
    return bool(glob.glob(os.path.join(cluster.dir, target.name, "tmp", "*")))


def case_client_hangs_up():
    cluster = world["cluster"]
    source = cluster.holder("src", "40 MiB")
    for place in ("here", "there"):
        old = name_held(source, place == "here", "hung up")
        assert cluster.put("dst", old, b"the old one").status == 200
        hop = request("PUT", cluster.url("/v1/objects/src/40%20MiB?" + copy_query("dst", old, world["slow"])), follow=False)
        parts = urllib.parse.urlsplit(hop.headers["Location"])
        with socket.create_connection((parts.hostname, parts.port)) as conn:
            conn.sendall(f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
            until(lambda: begun(source, world["slow"], place, cluster), "the copy has begun")
        until(is_tidy, f"{place}: nothing is left")
        assert content_of("dst", old) == b"the old one", place


def case_damaged_source():
    """A flipped bit in the stored source is detected before a copy or transform of it is stored (S11)."""
    cluster = world["cluster"]
    size = 900_000
    for number, how in enumerate(("as it is", "hpush, counted")):
        name = f"damaged {number}"
        before = {path for t in cluster.targets for path in glob.glob(os.path.join(cluster.dir, t.name, "objects", "*", "*"))}
        assert cluster.put("src", name, blob(size)).status == 200
        def added():
            return [path for t in cluster.targets for path in glob.glob(os.path.join(cluster.dir, t.name, "objects", "*", "*")) if path not in before and os.path.getsize(path) == size]
        path = until(added, "the content is in its place")[0]
        with open(path, "r+b") as file:
            file.seek(size - 1000)
            byte = file.read(1)[0]
            file.seek(size - 1000)
            file.write(bytes([byte ^ 4]))
        source = cluster.holder("src", name)
        for place in ("here", "there"):
            to = name_held(source, place == "here", "of " + name)
            answer = copy(name, "dst", to, world["etl"][how])
            refused(answer, 500, f"ais://src/{name}: data is corrupt")
            assert content_of("dst", to) is None, (how, place)
    until(is_tidy, "nothing is left")


def case_many_at_once():
    cluster = world["cluster"]
    hows = list(world["etl"])
    labels = [label for label, size in SIZES if size <= 1 << 18]
    jobs = []
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        for number in range(120):
            label = labels[number % len(labels)]
            how = hows[number % len(hows)]
            jobs.append((number, label, how, pool.submit(copy, label, "dst", f"many {number}", world["etl"][how])))
        for number, label, how, job in jobs:
            assert job.result().status == 200, (label, how, job.result())
    for number, label, how, _ in jobs:
        assert content_of("dst", f"many {number}") == wanted(how, blob(dict(SIZES)[label])), (label, how)


def case_one_gib():
    if not LONG:
        raise harness.Skip("LONG=1 takes it")
    cluster = world["cluster"]
    seed = blob(1 << 20)
    path = os.path.join(cluster.dir, "gib")
    plain, flipped = hashlib.sha256(), hashlib.sha256()
    with open(path, "wb") as file:
        for number in range(GIB >> 20):
            piece = number.to_bytes(8, "big") + seed[8:]
            file.write(piece)
            plain.update(piece)
            flipped.update(piece.translate(FLIP_TABLE))
    hop = request("PUT", cluster.url("/v1/objects/src/gib"), b"", follow=False)
    with open(path, "rb") as file:
        assert request("PUT", hop.headers["Location"], file, {"Content-Length": str(GIB)}, timeout=600).status == 200
    os.unlink(path)
    source = cluster.holder("src", "gib")
    for how in ("as it is", "hpush, counted", "hpush, ended by closing", "hrev"):
        for place in ("here", "there"):
            name = name_held(source, place == "here", f"gib {how}")
            assert copy("gib", "dst", name, world["etl"][how], timeout=600).status == 200
            done = cluster.run("sh", "-c", f"curl -sSfL '{cluster.url('/v1/objects/dst/' + urllib.parse.quote(name))}' | sha256sum", timeout=600)
            expected = plain if world["etl"][how] is None else flipped
            assert done.stdout.split()[0].decode() == expected.hexdigest(), (how, place)
            assert request("DELETE", cluster.url("/v1/objects/dst/" + urllib.parse.quote(name))).status == 200
    assert request("DELETE", cluster.url("/v1/objects/src/gib")).status == 200


def case_long_pause():
    """A pod may take as long as its obj_timeout allows, wherever its result is stored; a client may not."""
    if not LONG:
        raise harness.Skip("LONG=1 takes it")
    cluster = world["cluster"]
    etl = cluster.init(pod_spec("flip-pause", "test/flip:1", command=["/srv.py", "80", "chunked", "33"]))
    source = cluster.holder("src", "64 KiB and one")
    for place in ("here", "there"):
        name = name_held(source, place == "here", "paused")
        assert copy("64 KiB and one", "dst", name, etl).status == 200, place
        assert content_of("dst", name) == blob(65537).translate(FLIP_TABLE), place
    cluster.stop_etl(etl)


def case_destination_away():
    """If the other target is unreachable, the answer is 503 in time, and that target's data is unchanged when it is back."""
    cluster = world["cluster"]
    source = cluster.holder("src", "40 MiB")
    other = next(t for t in cluster.targets if t is not source)
    old = name_held(source, False, "away")
    assert cluster.put("dst", old, b"the old one").status == 200
    hops = [request("PUT", cluster.url("/v1/objects/src/40%20MiB?" + copy_query("dst", old, etl)), follow=False).headers["Location"] for etl in (None, "flip-length")]
    other.kill()
    for hop in hops:
        answer = request("PUT", hop)
        refused(answer, 503, f"cannot store ais://dst/{old} on target", "connection refused")
        assert answer.headers["Retry-After"], answer
    other.start()
    cluster.wait_registered()
    assert content_of("dst", old) == b"the old one"
    until(is_tidy, "nothing is left")


def case_bucket_destroyed():
    """The destination's bucket is destroyed while the transform runs: 404 wherever the destination is, because no repetition can succeed."""
    cluster = world["cluster"]
    source = cluster.holder("src", "40 MiB")
    for place in ("here", "there"):
        cluster.bucket("doomed")
        name = name_held(source, place == "here", "doomed", "doomed")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            job = pool.submit(copy, "40 MiB", "doomed", name, world["slow"])
            until(lambda: begun(source, world["slow"], place, cluster), "the copy has begun")
            assert request("DELETE", cluster.url("/v1/buckets/doomed"), json.dumps({"action": "destroy-bck"}).encode()).status == 200
            refused(job.result(), 404, 'bucket "ais://doomed" does not exist')
        refused(copy("40 MiB", "doomed", name), 404, 'bucket "ais://doomed" does not exist')
        until(is_tidy, "nothing is left")


def case_a_node_is_killed(whose):
    """kill -9 of one of the two targets in the middle of a copy between them."""
    def run():
        cluster = world["cluster"]
        source = cluster.holder("src", "40 MiB")
        other = next(t for t in cluster.targets if t is not source)
        victim = source if whose == "source" else other
        old = name_held(source, False, "killed")
        assert cluster.put("dst", old, b"the old one").status == 200
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            job = pool.submit(copy, "40 MiB", "dst", old, world["slow"])
            until(lambda: begun(source, world["slow"], "there", cluster), "the copy has begun")
            victim.kill()
            try:
                answer = job.result()
                assert answer.status >= 400, answer
            except (OSError, harness.http.client.HTTPException):
                assert whose == "source"
        victim.start()
        cluster.wait_registered()
        until(lambda: content_of("dst", old) == b"the old one", "the old one is there")
        until(is_tidy, "nothing is left")
    return run


with harness.Cluster(targets=2) as made:
    world["cluster"] = made
    start_all()
    harness.run([(f"sizes, {how}", case_sizes(how)) for how in world["etl"]] + [
        ("a bucket at a time", case_by_a_job),
        ("names that hurt", case_names),
        ("in place", case_same_place),
        ("an old object is replaced", case_overwrite),
        ("the request to the pod is the node's", case_request_of_the_node),
        ("what is refused", case_refusals),
        ("bad answers are not kept", case_bad_answers),
        ("a pod that dies leaves nothing", case_pod_dies),
        ("a client that hangs up leaves nothing", case_client_hangs_up),
        ("a damaged source is not copied", case_damaged_source),
        ("many at once", case_many_at_once),
        ("1 GiB", case_one_gib),
        ("a pod that pauses longer than a client may", case_long_pause),
        ("a destination that is away", case_destination_away),
        ("the bucket is destroyed meanwhile", case_bucket_destroyed),
        ("the source's target is killed", case_a_node_is_killed("source")),
        ("the destination's target is killed", case_a_node_is_killed("destination")),
    ], limit=300)
