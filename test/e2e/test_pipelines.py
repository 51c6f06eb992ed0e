#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Objects through several ETLs, one after the other: every mode in every place, whole or not at all. Results that pods put themselves. Clients beside jobs."""
import concurrent.futures
import glob
import hashlib
import itertools
import json
import os
import urllib.parse

import harness
import transformers
from harness import pod_spec, request, until

# Puts <X ...> around the object, so that the order of stages shows. The arguments: port, X, framing, what else it does.
WRAP = transformers.COMMON + '''
import http.client, threading, urllib.parse
MARK = sys.argv[2].encode()
tries, come, gate = [], [], threading.Event()
FRAMING = sys.argv[3]
HOW = sys.argv[4] if len(sys.argv) > 4 else ""
class H(Base):
    protocol_version = "HTTP/1.0" if FRAMING == "close" else "HTTP/1.1"
    def reply(self, data, status=200):
        self.send_response(status)
        if FRAMING == "length": self.send_header("Content-Length", str(len(data)))
        if FRAMING == "chunked": self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "HEAD": return
        if FRAMING == "chunked":
            for at in range(0, len(data), 65536):
                piece = data[at:at + 65536]
                self.wfile.write(b"%x\\r\\n" % len(piece) + piece + b"\\r\\n")
            self.wfile.write(b"0\\r\\n\\r\\n")
        else:
            self.wfile.write(data)
    def direct(self, data):
        """Puts the result where the target says, as AIStore's servers do."""
        url, base = urllib.parse.urlsplit(self.headers["Ais-Node-Url"]), urllib.parse.urlsplit(os.environ["AIS_TARGET_URL"])
        if "torn" in HOW:
            target = http.client.HTTPConnection(url.netloc, timeout=30)
            target.putrequest("PUT", base.path + url.path + "?" + url.query)
            target.putheader("Content-Length", str(len(data) + 100))
            target.endheaders()
            target.send(data)
            time.sleep(1)
            if "open" not in HOW: target.close()
            else: come.append(target)
            return self.reply(b"")
        for number in range(2 if "twice" in HOW else 1):
            target = http.client.HTTPConnection(url.netloc, timeout=30)
            target.request("PUT", base.path + url.path + "?" + url.query, b"put " + data if "chunked" not in HOW else iter([b"put ", data]), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"} if "chunked" in HOW else {})
            answer = target.getresponse()
            if answer.status != 200 or answer.read(): return self.reply(b"the target said %d" % answer.status, 502)
        self.send_response(204 if "204" in HOW else 200)
        if "204" not in HOW: self.send_header("Content-Length", "0")
        self.end_headers()
    def wrapped(self, data):
        query = self.path.partition("?")[2]
        return b"<" + MARK + (b"?" + query.encode() if query else b"") + b" " + data + b">"
    def gate(self, data):
        """Holds every object but those that open the gate, or say who has come."""
        if b"open" in data: gate.set()
        if not data.startswith((b"open", b"seen")):
            come.append(data.decode())
            gate.wait(100)
        self.reply("\\n".join(come).encode() if data == b"seen" else data)
    def do_POST(self):
        data = b"".join(self.pieces())
        if HOW == "transient" and len(tries) < 2:
            tries.append(1)
            self.send_response(503)
            self.send_header("Ais-Etl-Retry-Reason", "direct-put-transient")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if "direct" in HOW and "Ais-Node-Url" in self.headers: return self.direct(self.wrapped(data))
        if HOW == "gate": return self.gate(data)
        if HOW == "wait": time.sleep(30)
        if HOW == "fail": return self.reply(b"no such colour", 422)
        self.reply(self.wrapped(data))
        if HOW == "cut": self.connection.shutdown(socket.SHUT_RDWR)
    def do_GET(self):
        if HOW == "path": return self.reply(self.path.encode())
        try:
            with urllib.request.urlopen(os.environ["AIS_TARGET_URL"] + self.path.split("?")[0], timeout=30) as source:
                data = source.read()
                if "direct" in HOW and "Ais-Node-Url" in self.headers: return self.direct(self.wrapped(data))
                self.reply(self.wrapped(data))
        except urllib.error.HTTPError as problem:
            self.reply(problem.read(), problem.code)
    do_HEAD = do_GET
if HOW == "cut":
    class H(H):
        def reply(self, data, status=200):
            self.send_response(200)
            self.send_header("Content-Length", str(len(data) + 5))
            self.end_headers()
            self.wfile.write(data)
serve(H)
'''
SIZES = [("empty", 0), ("1 B", 1), ("64 KiB and one", 65537), ("1 MiB", 1 << 20), ("5 MiB", 5 << 20)]
NAMES = ["with space", "per%cent", "per%25cent", "ques?tion=1&x", "ha#sh", "你好世界", "a/b/c", "plus+plus", "semi;colon=1"]
world = {}


def blob(size):
    seed = hashlib.sha256(str(size).encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


def start_all():
    cluster = world["cluster"]
    cluster.image("test/wrap:1", {"srv.py": WRAP}, ["/srv.py", "80"])
    cluster.image("test/ws:1", {"srv.py": transformers.WEBSOCKET}, ["/srv.py", "80"])
    cluster.bucket("src")
    cluster.bucket("dst")

    def wrap(name, mode, mark, framing, *how):
        return cluster.init(pod_spec(name, "test/wrap:1", mode=mode, command=["/srv.py", "80", mark, framing, *how]))
    world["etl"] = {  # its id, and what it puts around an object
        "hpush": (wrap("push", "hpush://", "P", "length"), (b"<P ", b">")),
        "hpush, closing": (wrap("push-close", "hpush://", "C", "close"), (b"<C ", b">")),
        "hrev": (wrap("reverse", "hrev://", "R", "chunked"), (b"<R ", b">")),
        "hpull": (wrap("pull", "hpull://", "L", "length"), (b"<L ", b">")),
        "ws": (cluster.init(pod_spec("web", "test/ws:1", mode="ws://", command=["/srv.py", "80"])), (b"", b"")),
    }
    world["fail"] = wrap("fail", "hpush://", "F", "length", "fail")
    world["cut"] = wrap("cut", "hpush://", "X", "length", "cut")
    world["wait"] = wrap("wait", "hpush://", "W", "length", "wait")
    world["path"] = wrap("path", "hrev://", "T", "length", "path")
    world["gate"] = wrap("gate", "hpush://", "G", "length", "gate")
    for label, size in SIZES:
        assert cluster.put("src", label, blob(size)).status == 200


def expected(hows, content, query=""):
    for how in hows:
        left, right = world["etl"][how][1]
        content = (left[:-1] + (b"?" + query.encode() if query else b"") + left[-1:] if left else b"") + content + right
    return content


def query_of(etls):
    return "etl_name=" + etls[0] + ("&etl_pipeline=" + ",".join(etls[1:]) if etls[1:] else "")


def ids(hows):
    return [world["etl"][how][0] for how in hows]


def read(name, etls, more="", bucket="src", **rest):
    return world["cluster"].get(bucket, name, query_of(etls) + more, **rest)


def held_files(target):
    """What it keeps between two stages: open files that have no name any more."""
    found = []
    for link in glob.glob(f"/proc/{target.pid}/fd/*"):
        try:
            path = os.readlink(link)
        except OSError:
            continue
        if path.startswith(os.path.join(world["cluster"].dir, target.name, "tmp", "")) and path.endswith(" (deleted)"):
            found.append(path)
    return found


def is_tidy():
    """No transfer in flight, no file with a name, and none without one that is still open."""
    cluster = world["cluster"]
    for target in cluster.targets:
        if glob.glob(os.path.join(cluster.dir, target.name, "tmp", "*")) or held_files(target):
            return False
        for line in request("GET", target.url + "/metrics").text.splitlines():
            if line.startswith("etlnode_transfers_in_flight ") and not line.endswith(" 0"):
                return False
    return True


def refused(answer, status, *texts):
    assert answer.status == status, answer
    for text in texts:
        assert text in answer.json["message"], (text, answer)


def case_every_mode_in_every_place():
    for hows in itertools.product(world["etl"], repeat=2):
        for label, size in SIZES:
            answer = read(label, ids(hows))
            assert answer.status == 200 and answer.body == expected(hows, blob(size)), (hows, label, answer.status, len(answer.body))
            assert answer.headers["Etlnode-Etl"] == ids(hows)[-1], answer.headers
    for hows in (["hrev", "hpull", "ws", "hpush", "hpush, closing", "hrev"], ["hpush"] * 16):
        answer = read("5 MiB", ids(hows))
        assert answer.status == 200 and answer.body == expected(hows, blob(5 << 20)), hows
    until(is_tidy, "nothing is left")


def case_names_and_arguments():
    cluster = world["cluster"]
    hows = ["hpush", "hrev", "hpull", "hpush, closing"]
    for number, name in enumerate(NAMES):
        content = f"content {number}".encode()
        assert cluster.put("src", name, content).status == 200
        assert read(name, ids(hows)).body == expected(hows, content), name
        assert read(name, ids(hows), "&etl_args=a%20b").body == expected(hows, content, "etl_args=a%20b"), name  # all stages get it
    assert cluster.get("src", NAMES[0], f"uuid={ids(hows)[0]}&etl_pipeline=reverse").body == expected(["hpush", "hrev"], b"content 0")


def case_results_are_kept():
    cluster = world["cluster"]
    for hows in (["hpush", "hrev"], ["hpull", "ws", "hpush, closing"]):
        for label, size in SIZES:
            for number in range(3):  # on either target
                to = urllib.parse.quote(f"ais/@#/dst/{label} {number}", safe="")
                answer = request("PUT", cluster.url(f"/v1/objects/src/{urllib.parse.quote(label)}?object_to={to}&{query_of(ids(hows))}"))
                assert answer.status == 200 and answer.body == b"", (hows, label, answer)
                assert cluster.get("dst", f"{label} {number}").body == expected(hows, blob(size)), (hows, label)
    to = urllib.parse.quote("ais/@#/dst/1 B 0", safe="")
    refused(request("PUT", cluster.url(f"/v1/objects/src/1%20B?object_to={to}&{query_of(['push', 'fail'])}")), 422, "stage 2 of 2")
    assert cluster.get("dst", "1 B 0").body == expected(["hpull", "ws", "hpush, closing"], blob(1))
    until(is_tidy, "nothing is left")


def case_what_cannot_be_asked():
    cluster = world["cluster"]
    refused(read("1 B", ["push", "nosuch"]), 404, "etl job nosuch does not exist", "entry not found")
    refused(read("1 B", ["nosuch", "push"]), 404, "etl job nosuch does not exist")
    refused(read("1 B", ["push"] * 17), 400, "at most 16 ETLs")
    refused(cluster.get("src", "1 B", "etl_pipeline=push"), 400, "which ETL comes first?")
    for empty in (",", "push,", ",push", "push,,push"):
        refused(cluster.get("src", "1 B", "etl_name=push&etl_pipeline=" + empty), 400, "a name is empty")
    refused(read("no such object", ["push", "reverse"]), 404, "ais://src/no such object does not exist")
    value = {"id": "push", "pipeline": ["nosuch"]}
    refused(act("/v1/buckets/src" + to_bucket("d"), value), 404, "etl job nosuch does not exist", "entry not found")
    refused(act("/v1/buckets/src" + to_bucket("d"), {"id": "push", "pipeline": ["push"] * 16}), 400, "at most 16 ETLs")
    refused(act("/v1/buckets/src" + to_bucket("d"), {"id": "push", "pipeline": [5]}), 400, "value.pipeline")


def case_heads():
    """The last stage is asked what the client asks."""
    cluster = world["cluster"]
    url = cluster.url("/v1/objects/src/1%20B?")
    answer = request("HEAD", url + query_of(["push", "pull"]))
    assert answer.status == 200 and answer.headers["Content-Length"] == str(len(expected(["hpush", "hpull"], blob(1)))), answer.headers
    answer = request("HEAD", url + query_of(["pull", "push"]))
    assert answer.status == 405 and answer.headers["Allow"] == "GET", answer


def case_a_stage_fails():
    for etls, number in ((["fail", "push"], 1), (["push", "fail", "reverse"], 2), (["pull", "reverse", "fail"], 3)):
        refused(read("5 MiB", etls), 422, f"stage {number} of {len(etls)}, etl job fail", "ETL error: no such colour")
    # A part of a result is never the next stage's object.
    for etls in (["cut", "push"], ["push", "cut", "push"]):
        answer = read("64 KiB and one", etls)
        assert answer.status in (502, 503, 400) and "etl job cut: ETL error:" in answer.json["message"], answer
    errors = request("GET", world["cluster"].url("/v1/etl/fail")).json["obj_errors"]
    assert errors and all("no such colour" in error["msg"] for error in errors), errors
    until(is_tidy, "nothing is left")


def case_a_stage_is_stopped():
    cluster = world["cluster"]
    answer = request("POST", cluster.url("/v1/etl/push-close/stop"))
    assert answer.status == 200, answer
    refused(read("1 B", ["push", "push-close"]), 404, "etl job push-close does not exist", "it is stopped")
    assert request("POST", cluster.url("/v1/etl/push-close/start")).status == 200
    assert read("1 B", ["push", "push-close"]).body == expected(["hpush", "hpush, closing"], blob(1))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:  # in the middle
        job = pool.submit(read, "5 MiB", ["push", "wait", "push"])
        until(lambda: any(held_files(target) for target in cluster.targets), "the stage waits: it has what the first one made")
        cluster.stop_etl(world["wait"])
        answer = job.result()
        assert answer.status in (404, 502, 503) and "stage 2 of 3, etl job wait" in answer.json["message"], answer
    until(is_tidy, "nothing is left")


def case_no_pod_finds_what_another_stage_made():
    """Its name is known to one stage only, and only while that runs."""
    cluster = world["cluster"]
    asked = read("1 B", ["push", "path"]).text
    assert asked.startswith("/stage-") and asked.endswith("/1%20B"), asked
    assert read("1 B", ["push", "path"]).text != asked
    for bucket in (asked.split("/")[1],):
        assert cluster.get(bucket, "1 B").status == 404


def case_pipelines_do_not_wait_for_each_other():
    """Each needs the places at the other's pod: one at a time."""
    cluster = world["cluster"]
    with concurrent.futures.ThreadPoolExecutor(96) as pool:
        orders = [["hpush", "hrev"], ["hrev", "hpush"], ["hpull", "hpush", "hrev"]]
        jobs = [(orders[i % 3], pool.submit(read, "64 KiB and one", ids(orders[i % 3]))) for i in range(192)]
        for hows, job in jobs:
            answer = job.result()
            assert answer.status == 200 and answer.body == expected(hows, blob(65537)), (hows, answer)
    assert cluster.get("src", "1 B").status == 200
    until(is_tidy, "nothing is left")


def keep(label, to, etls, more=""):
    to = urllib.parse.quote("ais/@#/dst/" + to, safe="")
    return request("PUT", world["cluster"].url(f"/v1/objects/src/{urllib.parse.quote(label)}?object_to={to}&{query_of(etls)}{more}"))


def case_pods_put_results_themselves():
    cluster = world["cluster"]
    direct = {"support_direct_put": "true"}
    def start(name, mode, *how):
        return cluster.init(pod_spec(name, "test/wrap:1", mode=mode, command=["/srv.py", "80", "D", "length", *how], annotations=direct))
    ways = [start("d-204", "hpush://", "direct 204"), start("d-200", "hpush://", "direct twice"), start("d-chunked", "hrev://", "direct 204 chunked"), start("d-pull", "hpull://", "direct")]
    for etl in ways:
        for label, size in SIZES:
            for number in range(2):
                answer = keep(label, f"direct {number}", [etl])
                assert answer.status == 200, (etl, label, answer)
                assert cluster.get("dst", f"direct {number}").body == b"put <D " + blob(size) + b">", (etl, label)
        assert cluster.get("src", "1 B", "uuid=" + etl).body == b"<D " + blob(1) + b">"  # a reader gets the answer itself
    assert keep("1 B", "direct 0", ["push", ways[0]]).status == 200  # the last stage
    assert cluster.get("dst", "direct 0").body == b"put <D " + expected(["hpush"], blob(1)) + b">"
    assert ended(act("/v1/buckets/src" + to_bucket("direct"), {"id": ways[0], "prefix": "1 "})) == (2, 0, 0)
    assert cluster.get("direct", "1 B").body == b"put <D " + blob(1) + b">"
    web = cluster.init(pod_spec("d-web", "test/ws:1", mode="ws://", command=["/srv.py", "80"], annotations=direct))
    for label, size in SIZES:
        assert keep(label, "direct 0", [web], "&etl_args=direct").status == 200, label
        assert cluster.get("dst", "direct 0").body == b"put " + blob(size), label
    transient = start("d-transient", "hpush://", "transient")
    assert keep("1 B", "direct 0", [transient]).status == 200
    assert cluster.get("dst", "direct 0").body == b"<D " + blob(1) + b">"  # it answers with a body
    for etl in (*ways, web, transient):
        cluster.stop_etl(etl)
    until(is_tidy, "nothing is left")


def case_what_a_pod_puts_in_part_is_no_result():
    """It breaks off, or still goes on, and the pod says that all is well."""
    cluster = world["cluster"]
    for name, how in (("torn", "direct torn"), ("open", "direct torn open")):
        etl = cluster.init(pod_spec(name, "test/wrap:1", mode="hpush://", command=["/srv.py", "80", "D", "length", how], annotations={"support_direct_put": "true"}))
        for label in ("1 B", "5 MiB"):
            for etls in ([etl], ["push", etl]):
                refused(keep(label, "in part", etls), 502, "what it put did not come here whole")
                assert cluster.get("dst", "in part").status == 404
        until(is_tidy, "nothing is left, and nothing is read any more")
        cluster.stop_etl(etl)


def case_clients_come_before_jobs():
    """While a client waits, two of a job's objects are at the pod. Another ETL's job goes on."""
    cluster = world["cluster"]
    cluster.bucket("crowd")
    first = cluster.holder("crowd", "client")
    names = [name for name in (f"j{number}" for number in range(200)) if cluster.holder("crowd", name) is first][:40]
    for name in ("client", *names):
        assert cluster.put("crowd", name, name.encode()).status == 200
    for word in ("seen", "open"):
        name = next(name for name in (f"{word}{number}" for number in range(100)) if cluster.holder("crowd", name) is first)
        assert cluster.put("crowd", name, word.encode()).status == 200
        world[word] = name
    def seen():
        return cluster.get("crowd", world["seen"], "uuid=" + world["gate"]).text.split()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        client = pool.submit(cluster.get, "crowd", "client", "uuid=" + world["gate"])
        until(lambda: seen() == ["client"], "the client's object is at the pod")
        slow = act("/v1/buckets/crowd" + to_bucket("slow"), {"id": world["gate"], "prefix": "j"})
        assert slow.status == 200, slow
        until(lambda: len(seen()) >= 3, "the job has begun")
        fast = act("/v1/buckets/crowd" + to_bucket("fast"), {"id": "push", "prefix": "j"})
        assert ended(fast) == (40, 0, 0)
        assert len(seen()) == 3 and not client.done(), seen()  # it has begun no more, and is still there
        assert request("GET", cluster.url(f"/v1/jobs/{slow.text}")).json["ended_ns"] == "0"
        assert cluster.get("crowd", world["open"], "uuid=" + world["gate"]).body == b"open"
        assert client.result().body == b"client"
        assert ended(slow) == (40, 0, 0)
    for name in names:
        assert cluster.get("slow", name).body == name.encode() and cluster.get("fast", name).body == expected(["hpush"], name.encode())


def to_bucket(bucket):
    return f"?provider=ais&bck_to=ais%2F%40%23%2F{bucket}%2F"


def act(path, value, action="etl-bck"):
    return request("POST", world["cluster"].url(path), json.dumps({"action": action, "value": value}).encode())


def ended(answer):
    assert answer.status == 200, answer
    seen = {}

    def is_over():
        seen.update(request("GET", world["cluster"].url(f"/v1/jobs/{answer.text}")).json)
        return seen["ended_ns"] != "0"
    until(is_over, "the job ends", 60)
    return seen["done"], seen["skipped"], seen["failed"]


def case_jobs():
    cluster = world["cluster"]
    cluster.bucket("many")
    for number in range(20):
        assert cluster.put("many", f"o{number}", b"%d" % number).status == 200
    path = "/v1/buckets/many" + to_bucket("made")
    value = {"id": "push", "pipeline": ["reverse", "pull"]}
    assert ended(act(path, value)) == (20, 0, 0)
    for number in range(20):
        assert cluster.get("made", f"o{number}").body == expected(["hpush", "hrev", "hpull"], b"%d" % number)
    assert ended(act(path, value)) == (0, 20, 0)  # made in this way already
    assert ended(act(path, {"id": "push", "pipeline": ["pull", "reverse"]})) == (20, 0, 0)  # in another order
    assert cluster.get("made", "o7").body == expected(["hpush", "hpull", "hrev"], b"7")
    assert ended(act(path, {"id": "push", "pipeline": None})) == (20, 0, 0)
    listed = {"id": "push", "pipeline": ["fail"], "objnames": ["o1", "o2"], "tobck": {"name": "made"}}
    assert ended(act("/v1/buckets/many?provider=ais", listed, "etl-listrange")) == (0, 0, 2)
    assert cluster.get("made", "o1").body == expected(["hpush"], b"1")
    until(is_tidy, "nothing is left")


with harness.Cluster(targets=2) as made:
    world["cluster"] = made
    start_all()
    harness.run([
        ("every mode in every place", case_every_mode_in_every_place),
        ("names and arguments", case_names_and_arguments),
        ("results are kept", case_results_are_kept),
        ("what cannot be asked", case_what_cannot_be_asked),
        ("heads", case_heads),
        ("a stage fails", case_a_stage_fails),
        ("no pod finds what another stage made", case_no_pod_finds_what_another_stage_made),
        ("pipelines do not wait for each other", case_pipelines_do_not_wait_for_each_other),
        ("jobs", case_jobs),
        ("pods put results themselves", case_pods_put_results_themselves),
        ("what a pod puts in part is no result", case_what_a_pod_puts_in_part_is_no_result),
        ("clients come before jobs", case_clients_come_before_jobs),
        ("a stage is stopped", case_a_stage_is_stopped),
    ])
