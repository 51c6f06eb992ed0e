#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Downloads: contents of the web come whole into a bucket, by http and https; what breaks off, loops or must not be asked for is a failure
with its reason; a killed target goes on."""
import http.server
import json
import os
import random
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

import harness
from harness import Cluster, request, until

world = {}
MIB = 1 << 20
SIZES = {"empty": 0, "one": 1, "small": 1000, "edge": 16_385, "middle": 3 * MIB + 7, "large": 64 * MIB}


def content(name):
    size = SIZES.get(name, 5000)
    draw = random.Random(name)
    return draw.randbytes(size)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = []
    gates = {}  # path: an event to wait for
    lock = threading.Lock()

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", headers=(), length=None):
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        with self.lock:
            self.asked.append(self.path)
            count = self.asked.count(self.path)
        kind, _, name = path.strip("/").partition("/")
        try:
            getattr(self, "do_" + kind, self.do_missing)(name, count)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    def do_missing(self, name, count):
        self.answer(404, b"there is nothing\n")

    def do_data(self, name, count):
        self.answer(200, content(name.rpartition("/")[2]))

    def do_chunked(self, name, count):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        body = content(name)
        for at in range(0, len(body), 100_000):
            piece = body[at:at + 100_000]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def do_broken(self, name, count):
        self.answer(200, content("middle")[:MIB], length=SIZES["middle"])
        self.close_connection = True

    def do_flaky(self, name, count):  # it works at the third time
        if count < 3:
            self.do_broken(name, count)
        else:
            self.answer(200, content("middle"))

    def do_busy(self, name, count):
        self.answer(503 if count < 3 else 200, b"later" if count < 3 else content(name))

    def do_down(self, name, count):
        self.answer(500, b"down")

    def do_loop(self, name, count):
        self.answer(302, headers=[("Location", f"/loop/{name}")])

    def do_moved(self, name, count):
        self.answer(301, b"over there", [("Location", f"/data/{name}")])

    def do_metadata(self, name, count):
        self.answer(302, headers=[("Location", "http://169.254.169.254/latest/meta-data/")])

    def do_file(self, name, count):
        self.answer(302, headers=[("Location", "file:///etc/passwd")])

    def do_slow(self, name, count):  # ten pieces, of which each waits
        body = content("middle")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for at in range(0, len(body), len(body) // 10):
            self.wfile.write(body[at:at + len(body) // 10])
            time.sleep(0.3)

    def do_held(self, name, count):
        body = content("middle")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:MIB])
        self.gates.setdefault("held", threading.Event()).wait(60)
        self.wfile.write(body[MIB:])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, peer, address):
        pass


def serve(certificate=None):
    server = Server(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def make_certificate(folder, name, address):
    path = os.path.join(folder, name + ".pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + name, "-addext", "subjectAltName=" + address, "-keyout", path + ".key",
                    "-out", path], check=True, capture_output=True, timeout=60)
    with open(path, "a", encoding="ascii") as both, open(path + ".key", encoding="ascii") as key:
        both.write(key.read())
    return path


def cluster():
    return world["cluster"]


def link(path, server="http"):
    return f"{'http' if server == 'http' else 'https'}://127.0.0.1:{world[server].server_address[1]}/{path}"


def send(method, path, body, **rest):
    return request(method, cluster().url("/v1/download" + path), json.dumps(body) if not isinstance(body, bytes) else body, {"Content-Type": "application/json"}, **rest)


def start(kind, bucket="b", **fields):
    answer = send("POST", "", {"type": kind, "bucket": {"name": bucket, "provider": "ais"}, **fields})
    assert answer.status == 200 and set(answer.json) == {"id"}, answer
    return answer.json["id"]


def status(job):
    answer = send("GET", "", {"id": job})
    assert answer.status == 200, answer
    return answer.json


def ended(job, limit=60):
    def look():
        now = status(job)
        return now if not now["finished_time"].startswith("0001") else None
    return until(look, f"the end of download {job}", limit)


def download(kind, **fields):
    return ended(start(kind, **fields))


def refused(answer, code, text):
    assert answer.status == code and text in answer.json["message"], (answer, text)


def same(name, wanted, bucket="b"):
    answer = cluster().get(bucket, name)
    assert answer.status == 200, (name, answer)
    assert answer.body == wanted, (name, len(answer.body), len(wanted))
    return answer


def asked(path):
    with Handler.lock:
        return sum(1 for one in Handler.asked if one == "/" + path)


def errors(now):
    return {one["name"]: one["error"] for one in now["download_errors"]}


def case_every_size_comes_whole():
    for name in SIZES:
        now = download("single", link=link("data/" + name), object_name="sizes/" + name)
        assert (now["finished_cnt"], now["error_cnt"], now["total"], now["aborted"], now["all_dispatched"]) == (1, 0, 1, False, True), now
        assert now["scheduled_cnt"] == 1 and now["skipped_cnt"] == 0, now
        answer = same("sizes/" + name, content(name))
        assert answer.headers["Ais-Checksum-Value"], answer.headers
    download("single", link=link("chunked/middle"), object_name="chunked")
    same("chunked", content("middle"))
    now = download("single", link=link("moved/small?x=1"))
    assert now["error_cnt"] == 0, now
    same("small", content("small"))


def case_a_range_of_many():
    now = download("range", template=link("data/r-{000..099}.bin"), subdir="many", description="a hundred")
    assert (now["finished_cnt"], now["error_cnt"], now["total"], now["description"]) == (100, 0, 100, "a hundred"), now
    for i in range(0, 100, 7):
        same(f"many/r-{i:03}.bin", content(f"r-{i:03}.bin"))
    held = {cluster().holder("b", f"many/r-{i:03}.bin").name for i in range(100)}
    assert len(held) == 2, held
    before = asked("data/r-005.bin")
    now = download("range", template=link("data/r-{000..099}.bin"), subdir="many")
    assert (now["finished_cnt"], now["skipped_cnt"], now["error_cnt"]) == (100, 100, 0), now
    assert asked("data/r-005.bin") == before
    cluster().put("b", "many/r-005.bin", b"mine")  # made from something else now
    now = download("range", template=link("data/r-{000..009}.bin"), subdir="many")
    assert (now["skipped_cnt"], now["finished_cnt"]) == (9, 10), now
    same("many/r-005.bin", content("r-005.bin"))


def case_lists_and_their_errors():
    now = download("multi", objects={"l/good": link("data/small"), "l/gone": link("nothing"), "l/down": link("down/x"), "l/loop": link("loop/x"), "l/cut": link("broken/x")})
    assert (now["finished_cnt"], now["error_cnt"]) == (1, 4), now
    same("l/good", content("small"))
    found = errors(now)
    assert "answered 404" in found["l/gone"] and "answered 500" in found["l/down"] and "more than 10 redirects" in found["l/loop"], found
    assert "broke off" in found["l/cut"], found
    assert asked("nothing") == 1 and asked("down/x") == 5 and asked("broken/x") == 5
    for name in ("gone", "down", "loop", "cut"):
        assert cluster().get("b", "l/" + name).status == 404
    report = json.loads(cluster().run("etlctl", "job", "report", now["id"], "-o", "json", check=False).stdout)
    statuses = {one["object"]: one["status"] for one in report["items"]}
    assert statuses["b/l/gone"] == 404 and statuses["b/l/down"] == 500, report


def case_what_passes_is_tried_again():
    now = download("multi", objects={"f/flaky": link("flaky/x"), "f/busy": link("busy/small")})
    assert (now["finished_cnt"], now["error_cnt"]) == (2, 0), now
    same("f/flaky", content("middle"))
    same("f/busy", content("small"))


def case_https_is_verified():
    now = download("multi", objects={"s/good": link("data/middle", "https"), "s/bad": link("data/small", "stranger")})
    assert (now["finished_cnt"], now["error_cnt"]) == (1, 1), now
    same("s/good", content("middle"))
    assert "certificate is not trusted" in errors(now)["s/bad"], now


def case_addresses_that_are_never_asked():
    now = download("multi", objects={"m/direct": "http://169.254.169.254/latest", "m/redirect": link("metadata/x"), "m/file": link("file/x"), "m/mapped": "http://[::ffff:169.254.169.254]/x",
                                     "m/decimal": "http://2852039166/x", "m/zero": "http://0.0.0.0/x"})
    found = errors(now)
    assert now["error_cnt"] == 6 and now["finished_cnt"] == 0, now
    for name in ("direct", "redirect", "mapped", "decimal", "zero"):
        assert "is never fetched from" in found["m/" + name], found
    assert "only http and https" in found["m/file"], found


def case_nothing_shows_before_its_end():
    gate = Handler.gates["held"] = threading.Event()
    job = start("single", link=link("held/x"), object_name="held")
    now = until(lambda: next((one for one in [status(job)] if one.get("current_tasks") and int(one["current_tasks"][0]["downloaded"]) >= MIB // 2), None), "half of it")
    assert now["current_tasks"][0]["name"] == "held" and int(now["current_tasks"][0]["total"]) == SIZES["middle"], now
    assert not now["all_dispatched"] and now["finished_cnt"] == 0, now
    assert cluster().get("b", "held").status == 404
    listed = send("GET", "", {"only_active_tasks": True}).json
    assert [one["id"] for one in listed] == [job], listed
    refused(send("DELETE", "/remove", {"id": job}), 409, "still running")
    assert f"download[{job}]" in request("GET", cluster().url("/v1/cluster?what=running_all"), b"{}").json
    gate.set()
    assert ended(job)["finished_cnt"] == 1
    same("held", content("middle"))
    assert send("DELETE", "/remove", {"id": job}).status == 200
    refused(send("GET", "", {"id": job}), 404, "does not exist")


def case_an_abort_ends_it():
    Handler.gates["held"] = threading.Event()
    job = start("multi", objects={"a/held": link("held/y"), "a/slow": link("slow/y")}, limits={"connections": 1})
    until(lambda: asked("held/y") + asked("slow/y") > 0, "a request")
    assert send("DELETE", "/abort", {"id": job}).status == 200
    now = ended(job)
    assert now["aborted"], now
    assert cluster().get("b", "a/held").status == 404
    assert send("DELETE", "/abort", {"id": job}).status == 200
    refused(send("DELETE", "/abort", {"id": "nosuchjob"}), 404, "does not exist")
    Handler.gates["held"].set()


def case_time_and_rate_are_limited():
    Handler.gates["held"] = threading.Event()
    job = start("single", link=link("held/z"), object_name="late", timeout="300ms")
    now = ended(job)
    Handler.gates["held"].set()
    assert now["error_cnt"] == 1 and "timeout" in errors(now)["late"], now
    begun = time.monotonic()
    rate = 2 * SIZES["middle"] * 3600  # bytes an hour, of two targets and one connection: a second
    job = start("single", link=link("data/middle"), object_name="paced", limits={"connections": 1, "bytes_per_hour": rate // 2})
    assert ended(job)["finished_cnt"] == 1
    assert time.monotonic() - begun > 1, time.monotonic() - begun
    same("paced", content("middle"))


def case_a_killed_target_goes_on():
    template = link("data/k-{00..59}")
    for victim in (0, 1):
        subdir = f"killed{victim}"
        slow = {f"{subdir}/{i}": link(f"slow/k{victim}{i}") for i in range(8)}
        jobs = [start("range", template=template, subdir=subdir), start("multi", objects=slow, limits={"connections": 2})]
        until(lambda: sum(asked(f"slow/k{victim}{i}") for i in range(8)) >= 2, "the first ones")
        cluster().targets[victim].kill()
        time.sleep(0.5)
        cluster().targets[victim].start()
        cluster().wait_registered()
        for job, count in zip(jobs, (60, 8)):
            now = ended(job, 120)
            assert (now["finished_cnt"], now["error_cnt"], now["total"]) == (count, 0, count), now
        for i in range(60):
            same(f"{subdir}/k-{i:02}", content(f"k-{i:02}"))
        for name in slow:
            same(name, content("middle"))
    while_proxy = start("range", template=link("data/p-{00..40}"), subdir="proxy")
    cluster().proxy.kill()
    cluster().proxy.start()
    cluster().wait_registered()
    now = ended(while_proxy, 120)
    assert (now["finished_cnt"], now["error_cnt"]) == (41, 0), now


def case_a_target_that_is_stopped_goes_on():
    job = start("multi", objects={f"stop/{i}": link(f"slow/s{i}") for i in range(10)}, limits={"connections": 2})
    until(lambda: sum(asked(f"slow/s{i}") for i in range(10)) >= 3, "the first ones")
    for target in cluster().targets[:2]:
        begun = time.monotonic()
        assert target.kill(signal.SIGTERM) == 0
        assert time.monotonic() - begun < 20, time.monotonic() - begun
        target.start()
    cluster().wait_registered()
    now = ended(job, 120)
    assert (now["finished_cnt"], now["error_cnt"], now["aborted"]) == (10, 0, False), now
    for i in range(10):
        same(f"stop/{i}", content("middle"))


def case_beside_a_bucket_that_moves():
    cluster().bucket("from")
    for i in range(40):
        cluster().put("from", f"o{i}", b"x" * 1000)
    job = start("multi", bucket="from", objects={f"d{i}": link(f"slow/m{i}") for i in range(4)}, limits={"connections": 1})
    move = request("POST", cluster().url("/v1/buckets/from?bck_to=ais%2F%40%23%2Fto%2F"), json.dumps({"action": "move-bck"}))
    refused(move, 409, "works on the same bucket")
    assert ended(job, 120)["finished_cnt"] == 4


def case_a_long_list():
    objects = {f"long/{i:05}/{'x' * 60}": link(f"data/l{i}") for i in range(600)}
    now = ended(start("multi", objects=objects), 240)
    assert (now["finished_cnt"], now["error_cnt"], now["total"]) == (600, 0, 600), {key: now[key] for key in ("finished_cnt", "error_cnt", "total")}
    for i in range(0, 600, 97):
        same(f"long/{i:05}/{'x' * 60}", content(f"l{i}"))


def case_a_target_that_joins_takes_its_share():
    job = start("multi", objects={f"j/{i}": link(f"slow/j{i}") for i in range(24)}, limits={"connections": 4})
    until(lambda: sum(asked(f"slow/j{i}") for i in range(24)) >= 4, "the first ones")
    cluster().add_target(3)
    cluster().wait_registered(3)
    now = ended(job, 120)
    assert (now["finished_cnt"], now["error_cnt"]) == (24, 0), now
    for i in range(24):
        same(f"j/{i}", content("middle"))


def case_the_commands():
    made = cluster().run("etlctl", "job", "download", link("data/c-{0..4}"), "b/cli/", "--wait", "--num-workers", "2")
    assert b"done: 5 objects" in made.stdout, made
    same("cli/c-3", content("c-3"))
    made = cluster().run("etlctl", "job", "download", link("data/small"), "b/cli/named", "--wait")
    same("cli/named", content("small"))
    made = cluster().run("etlctl", "job", "download", link("data/small"), "b/cli/", "--wait")
    same("cli/small", content("small"))
    made = cluster().run("etlctl", "job", "download", link("nothing"), "b", "--wait", check=False)
    assert made.returncode == 8, made
    failed = json.loads(cluster().run("etlctl", "job", "ls", "-o", "json").stdout)["items"][-1]
    made = cluster().run("etlctl", "job", "report", failed["id"], "--retry-failed", check=False)
    assert made.returncode == 2 and b"begin it again" in made.stderr, made
    made = cluster().run("etlctl", "job", "download", link("data/small"), "nowhere", check=False)
    assert made.returncode == 4 or b"nowhere" in made.stderr, made
    made = cluster().run("etlctl", "job", "download", link("data/c-{0..4}"), "b/name", check=False)
    assert made.returncode == 2 and b"end it with /" in made.stderr, made
    made = cluster().run("etlctl", "job", "download", "ftp://example.org/x", "b", check=False)
    assert made.returncode != 0 and b"only http:// and https://" in made.stderr, made


def case_the_list_of_downloads():
    job = start("single", link=link("data/small"), object_name="listed", description="find me 42")
    ended(job)
    listed = send("GET", "", {"regex": "me.42"}).json
    assert [one["id"] for one in listed] == [job], listed
    assert send("GET", "", {"regex": "nothing like it"}).json == []
    assert job in [one["id"] for one in send("GET", "", b"").json]
    refused(send("GET", "", {"regex": "(a*)*"}), 400, "regex")
    refused(send("GET", "", {"regex": "x", "id": "y"}), 400, "expected one of them")
    refused(send("GET", "", {"id": 7}), 400, "id")
    refused(send("GET", "", b"[1]"), 400, "expected an object")
    refused(send("GET", "", b"{"), 400, "line")
    refused(send("DELETE", "/abort", {}), 400, "which download")
    refused(send("DELETE", "/remove", {"id": "nosuchjob"}), 404, "does not exist")
    snaps = request("GET", cluster().url("/v1/cluster?what=qryxstats"), json.dumps({"id": job})).json
    assert all(len(one) == 1 for one in snaps.values()) and all(snap["is_idle"] for one in snaps.values() for snap in one), snaps


def case_what_cannot_be():
    good = {"type": "single", "bucket": {"name": "b"}, "link": link("data/small")}
    for change, code, text in (({"bucket": {"name": "nowhere"}}, 404, "nowhere"), ({"bucket": None}, 400, "bucket"), ({"bucket": "b"}, 400, "bucket"), ({"bucket": {"name": "b", "provider": "s3"}}, 501, "provider"),
                               ({"bucket": {"name": "../b"}}, 400, "invalid bucket name"), ({"type": "backend"}, 501, "backend"), ({"type": None}, 400, "type"), ({"link": ""}, 400, "link"),
                               ({"type": "range", "template": "http://h/{0..999999999}"}, 400, "more than 100000"), ({"type": "multi", "objects": []}, 400, "empty"),
                               ({"type": "multi", "objects": {"a": 1}}, 400, "texts"), ({"etl_name": "e"}, 501, "etl_name"), ({"headers": {"X": ["y"]}}, 501, "headers"), ({"timeout": "never"}, 400, "timeout")):
        refused(send("POST", "", {**good, **change}), code, text)
    refused(send("POST", "", b"["), 400, "line")
    refused(send("POST", "", b"[]"), 400, "expected an object")
    refused(send("POST", "", b""), 400, "")
    answer = request("PUT", cluster().url("/v1/cluster"), json.dumps({"action": "start", "value": {"Kind": "download"}}))
    refused(answer, 400, "a call of its own")


def case_a_bucket_that_goes():
    cluster().bucket("gone")
    job = start("multi", bucket="gone", objects={f"o{i}": link(f"slow/g{i}") for i in range(20)}, limits={"connections": 1})
    until(lambda: sum(asked(f"slow/g{i}") for i in range(20)) >= 1, "the first one")
    assert request("DELETE", cluster().url("/v1/buckets/gone"), json.dumps({"action": "destroy-bck"})).status == 200
    now = ended(job)
    assert now["aborted"], now


def case_rules_of_the_operator():
    with Cluster(targets=1, target_arguments=["--download-from", "public", "--download-from", "*.example.org"]) as other:
        former, world["cluster"] = world["cluster"], other
        try:
            other.bucket("b")
            now = download("multi", objects={"x": link("data/small"), "y": link("data/small").replace("127.0.0.1", "localhost")})
            assert now["error_cnt"] == 2 and all("--download-from" in text for text in errors(now).values()), now
        finally:
            world["cluster"] = former


def main():
    folder = tempfile.mkdtemp(prefix="downloads.")
    try:
        good, stranger = make_certificate(folder, "good", "IP:127.0.0.1"), make_certificate(folder, "stranger", "IP:127.0.0.1")
        world.update({"http": serve(), "https": serve(good), "stranger": serve(stranger)})
        with Cluster(targets=2, target_arguments=["--download-ca", good]) as started:
            world["cluster"] = started
            started.bucket("b")
            harness.run([(name[5:].replace("_", " "), case) for name, case in globals().items() if name.startswith("case_")])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
