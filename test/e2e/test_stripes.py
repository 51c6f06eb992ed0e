#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No other request's bytes, and no stale ones: concurrent transformed reads, overwrites and faults, with every stripe of every answer
checked.

An object consists of 48-byte stripes that name object, version and offset, with a blank into which the pod writes the id of the request. So
a whole answer must be, byte for byte, what one version gives for this very request, and a cut answer must be the beginning of that. The
version must have been current at some moment between the request and the end of its answer. Meanwhile pods give wrong answers at random and
are killed, clients hang up, and writers overwrite. SEED=n repeats the random choices of a run (not its timing); LONG=1 runs for two
minutes.
"""
import collections
import http.client
import os
import random
import signal
import threading
import time
import urllib.parse

import harness
import striping_pod
from harness import pod_spec, request, until

LONG = os.environ.get("LONG", "") not in ("", "0")
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 31))
RUN_S = 120 if LONG else 12
READERS, OBJECTS = 8, 6
BLANK = "?" * 12
world = {}


def content(name, version, size):
    """Stripes of 48 bytes; the last may be shorter."""
    count = size // 48 + 1
    return "".join(f"{BLANK}|{name:>9}|{version:08d}|{48 * i:014d}|\n" for i in range(count)).encode()[:size]


def version_in(body):
    return int(body[23:31]) if len(body) >= 31 and body[23:31].isdigit() else None


class History:
    """What was written: the versions of each object in order, with the times when each PUT began and was acknowledged."""

    def __init__(self):
        self.lock = threading.Lock()
        self.versions = collections.defaultdict(list)  # name -> [[began, acknowledged, size]]; the index is the version

    def begin(self, name, size):
        with self.lock:
            self.versions[name].append([time.monotonic(), None, size])
            return len(self.versions[name]) - 1

    def acknowledge(self, name, version):
        with self.lock:
            self.versions[name][version][1] = time.monotonic()

    def problem(self, name, version, began, ended):
        """Why `version` was not current at any moment from `began` to `ended`; None if it was."""
        with self.lock:
            versions = self.versions[name]
            if version is None or version >= len(versions):
                return "no such version"
            if versions[version][0] > ended:
                return "from the future"
            if version + 1 < len(versions) and versions[version + 1][1] is not None and versions[version + 1][1] < began:
                return f"stale: version {version + 1} was acknowledged {began - versions[version + 1][1]:.3f} s before"
            return None

    def size(self, name, version):
        with self.lock:
            return self.versions[name][version][2]


class Reader(threading.Thread):
    """A client that keeps one connection as long as possible."""

    def __init__(self, number):
        super().__init__(daemon=True)
        self.rng = random.Random(f"{SEED} reader {number}")
        self.number, self.count = number, 0
        self.connections = {}
        self.seen = collections.Counter()
        self.most_served = 0
        self.problems = []

    def run(self):
        while not world["ended"].is_set():
            self.count += 1
            try:
                self.read_one(self.rng.choice(world["names"]), self.rng.choice(list(world["etl"])))
            except Exception as error:  # noqa: a reader must not end without a word
                self.problems.append(f"{type(error).__name__}: {error}")
                return

    def connection_to(self, host, port):
        if (host, port) not in self.connections:
            self.connections[(host, port)] = http.client.HTTPConnection(host, port, timeout=120)
        return self.connections[(host, port)]

    def drop(self, host, port):
        self.connections.pop((host, port)).close()

    def get(self, url, request_id):
        """(status or "cut", the received part of the body, the answer's headers)"""
        parts = urllib.parse.urlsplit(url)
        connection = self.connection_to(parts.hostname, parts.port)
        body = b""
        try:
            connection.request("GET", parts.path + ("?" + parts.query if parts.query else ""), headers={"X-Request-Id": request_id})
            answer = connection.getresponse()
            patience = self.rng.randrange(200000) if self.rng.randrange(20) == 0 else None
            while True:
                piece = answer.read1(65536)
                body += piece
                if not piece:
                    break
                if patience is not None and len(body) >= patience:  # this client hangs up
                    self.drop(parts.hostname, parts.port)
                    return "left", body, answer.headers
            if answer.length:  # read1 does not report a short answer
                raise http.client.IncompleteRead(body)
            answer.read()
            if answer.will_close:
                self.drop(parts.hostname, parts.port)
            return answer.status, body, answer.headers
        except (http.client.HTTPException, OSError):
            self.drop(parts.hostname, parts.port)
            return "cut", body, {}

    def read_one(self, name, how):
        request_id = f"{self.number:03d}-{self.count:08d}"
        began = time.monotonic()
        status, body, headers = self.get(f"{world['at'][name]}/v1/objects/stripes/{name}?uuid={world['etl'][how]}", request_id)
        if status == 307:
            status, body, headers = self.get(headers["Location"], request_id)
        ended = time.monotonic()
        self.seen[status] += 1
        self.most_served = max(self.most_served, int(headers.get("X-Served") or 0))
        if status not in (200, "cut", "left"):
            if status not in (500, 502, 503, 504) or BLANK[0].encode() in body or b"|" in body:
                self.problems.append(f"{how} {name} {request_id}: status {status} {body[:200]}")
            return
        if status != 200 and len(body) < 31:
            return
        self.check(f"{how} {name} {request_id} {status}", name, request_id, body, status == 200, began, ended)

    def check(self, what, name, request_id, body, whole, began, ended):
        version = version_in(body)
        problem = world["history"].problem(name, version, began, ended)
        if problem is None:
            expected = content(name, version, world["history"].size(name, version)).replace(BLANK.encode(), request_id.encode())
            if whole and body != expected:
                problem = "not complete" if expected.startswith(body) else "foreign bytes"
            elif not expected.startswith(body):
                problem = "foreign bytes"
            if problem == "foreign bytes":
                at = next(i for i in range(len(body)) if body[i:i + 1] != expected[i:i + 1])
                problem += f" at {at}: {body[at // 48 * 48:][:96]}"
        if problem is not None:
            self.problems.append(f"{what}: version {version}, {len(body)} bytes: {problem}")


def draw_size(rng):
    return rng.choice([rng.randrange(48, 3000), rng.randrange(48, 80000), rng.randrange(48, 300000)])


def write(rng, name):
    history = world["history"]
    size = draw_size(rng)
    version = history.begin(name, size)
    path = f"/v1/objects/stripes/{name}?pid=test&utm={time.time_ns()}"
    answer = request("PUT", world["at"][name] + path, content(name, version, size))
    assert answer.status == 200, answer
    history.acknowledge(name, version)


class Writer(threading.Thread):
    """The only writer of its objects, so the order of their versions is the order of its PUTs."""

    def __init__(self, number):
        super().__init__(daemon=True)
        self.rng = random.Random(f"{SEED} writer {number}")
        self.names = world["names"][number::2]
        self.problems = []

    def run(self):
        try:
            while not world["ended"].is_set():
                write(self.rng, self.rng.choice(self.names))
                time.sleep(0.02)
        except Exception as error:  # noqa: see above
            self.problems.append(f"{type(error).__name__}: {error}")


class Killer(threading.Thread):
    """Kills a container from time to time; Kubernetes restarts it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.rng = random.Random(f"{SEED} killer")
        self.killed = 0

    def run(self):
        pods = [p["metadata"]["name"] for p in world["cluster"].pods()]
        while not world["ended"].wait(self.rng.uniform(0.8, 1.8)):
            pid = harness.container_pid(self.rng.choice(pods))
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                self.killed += 1


def case_stripes():
    threads = [Reader(i) for i in range(READERS)]
    writers = [Writer(0), Writer(1)]
    killer = Killer()
    for thread in threads + writers + [killer]:
        thread.start()
    time.sleep(RUN_S)
    world["ended"].set()
    for thread in threads + writers + [killer]:
        thread.join(60)
        assert not thread.is_alive(), "a request does not end"
    seen = sum((t.seen for t in threads), collections.Counter())
    written = sum(len(v) for v in world["history"].versions.values())
    reused = max(t.most_served for t in threads)
    print(f"# answers: {dict(seen)}; versions written: {written}; containers killed: {killer.killed}; most requests on one connection to a pod: {reused}")
    problems = sum((t.problems for t in threads + writers), [])
    assert not problems, f"{len(problems)} problems:\n" + "\n".join(problems[:20])
    assert seen[200] > 300 and seen["cut"] > 5 and seen["left"] > 5 and written > 50 and killer.killed > 2, "too little happened to show anything"
    assert reused > 1, "no connection to a pod was used twice"


def case_afterwards():
    """Finally every mode returns the last version of every object, and nothing is in flight."""
    reader = Reader(900)
    for how in world["etl"]:
        for name in world["names"]:
            def is_whole():
                reader.count += 1
                before = reader.seen[200]
                reader.read_one(name, how)
                return reader.seen[200] > before
            until(is_whole, f"{how} {name} is read", 60)
    assert not reader.problems, reader.problems
    for target in world["cluster"].targets:
        until(lambda: "\netlnode_transfers_in_flight 0\n" in request("GET", target.url + "/metrics").text, "nothing is in flight")


def requests_as_objects():
    """Contents that look like requests, from their beginning or from their middle, to a server that does not read them."""
    get = b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"
    post = b"POST /stripes/evil HTTP/1.1\r\nHost: x\r\nX-Request-Id: evil\r\nContent-Length: 0\r\n\r\n"
    return {"get": get, "gets": get * 3, "post": post, "middle": b"#" * len(get) + get, "middles": b"\r\n" * len(get + post) + get + post, "empty": b""}


class Fetcher(threading.Thread):
    """Reads objects that are requests, through servers that do not read bodies: each answer is the right one or none."""

    def __init__(self, number, etls):
        super().__init__(daemon=True)
        self.rng = random.Random(f"{SEED} fetcher {number}")
        self.number, self.etls, self.count = number, etls, 0
        self.seen, self.problems = collections.Counter(), []

    def run(self):
        while not world["unread_ended"].is_set():
            self.count += 1
            how, etl = self.rng.choice(list(self.etls.items()))
            slow = "middle" if how.startswith("half") else "get"
            name = self.rng.choice(["empty", slow] if world["unread_slow"] else list(requests_as_objects()))
            request_id = f"f{self.number:03d}-{self.count:08d}"
            parts = urllib.parse.urlsplit(world["unread_at"][name])
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
            try:
                connection.request("GET", f"/v1/objects/stripes/{name}?uuid={etl}", headers={"X-Request-Id": request_id})
                answer = connection.getresponse()
                status, body = answer.status, answer.read()
            except (http.client.HTTPException, OSError):
                status, body = "cut", b""
            connection.close()
            self.seen[how, status] += 1
            if (body != f"/stripes/{name} {request_id}".encode()) if status == 200 else (b"EVIL" in body or b"-0000" in body):
                self.problems.append(f"{how} {name} {request_id}: {status} {body[:100]}")


def case_unread():
    made.image("test/unread:1", {"srv.py": striping_pod.UNREAD}, ["/srv.py", "80"])
    world["unread_at"], world["unread_ended"] = {}, threading.Event()
    world["unread_slow"] = True  # at first only delayed answers, because an immediate one gives the server away
    for name, body in requests_as_objects().items():
        assert made.put("stripes", name, body).status == 200
        world["unread_at"][name] = made.holder("stripes", name).url
    etls = {f"{how}{n}": made.init(pod_spec(f"unread-{how}{n}", "test/unread:1", command=["/srv.py", "80", how])) for how in ("never", "half", "third") for n in (1, 2, 3)}
    fetchers = [Fetcher(i, etls) for i in range(6)]
    for fetcher in fetchers:
        fetcher.start()
    time.sleep(RUN_S / 2)
    world["unread_slow"] = False
    time.sleep(RUN_S / 2)
    world["unread_ended"].set()
    for fetcher in fetchers:
        fetcher.join(120)
        assert not fetcher.is_alive(), "a request does not end"
    seen = sum((f.seen for f in fetchers), collections.Counter())
    print(f"# answers of servers that do not read: {dict(seen)}")
    problems = sum((f.problems for f in fetchers), [])
    assert not problems, f"{len(problems)} problems:\n" + "\n".join(problems[:20])
    for how in etls:
        assert seen[how, 200] > 10, f"too few answers of {how}: {seen}"


print(f"# SEED={SEED}", flush=True)
with harness.Cluster(targets=2) as made:
    world.update(cluster=made, ended=threading.Event(), history=History(), names=[f"object{i}" for i in range(OBJECTS)])
    made.image("test/striping:1", {"srv.py": striping_pod.PROGRAM}, ["/srv.py", "80"])
    made.bucket("stripes")
    world["at"] = {name: made.holder("stripes", name).url for name in world["names"]}
    for key in world["names"]:
        write(random.Random(SEED), key)
    world["etl"] = {}
    # hpull's pods frame their answers: the target is not on the path, and a client could not distinguish a killed pod from the end.
    for label, mode, more in (("hpush", "hpush", []), ("hrev", "hrev", []), ("hpull", "hpull", ["framed"]),
                              ("untidy hpush", "hpush", ["untidy"]), ("untidy hrev", "hrev", ["untidy"])):
        world["etl"][label] = made.init(pod_spec("stripes-" + label.replace(" ", "-"), "test/striping:1", mode=mode + "://",
                                                 command=["/srv.py", "80", str(SEED), "60"] + more, annotations={"obj_timeout": "10s"}))
    harness.run([("every stripe belongs to its request and to a current version", case_stripes), ("afterwards", case_afterwards),
                 ("servers that do not read the objects, and objects that are requests", case_unread)], limit=RUN_S + 180)
