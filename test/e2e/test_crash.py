#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kill -9 of targets, the proxy, pods and starting nodes, at random moments under load; then the audit.

Load: workers put, overwrite, delete and read (plain and transformed) their own names, create and destroy buckets, and start and stop ETLs.
Each keeps a ledger of acknowledged changes, and of later requests whose outcome is unknown. After every round the nodes are restarted and
everything is compared with the ledgers, byte by byte. Housekeeping gets a limited time, after which nothing may be left.

ROUNDS=n sets the number of rounds (10), SEED=n the seed. A seed repeats the actions, but not their timing.
"""
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import harness
import leftovers
import transformers
from harness import Cluster, pod_spec, request, until

ROUNDS = int(os.environ.get("ROUNDS", "10"))
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
PREFIX = f"crash{os.getpid()}"
SIZES = (0, 1, 100, 4_000, 16_384, 16_385, 70_000, 262_144, 1 << 20)
KINDS = ("target", "all targets", "proxy", "everything", "starting", "pods", "target and pods")
# The errors that a client sees when a node is killed.
BROKEN = (OSError, http.client.HTTPException)

world = {}


def cluster():
    return world["cluster"]


def content(name, number, size):
    """The bytes of the n-th value of a name. Every block differs, so that no torn mixture of two values equals one of them."""
    out = bytearray()
    block = 0
    while len(out) < size:
        piece = hashlib.sha256(f"{name} {number} {block}".encode()).digest()
        out += piece * 128
        block += 1
    return bytes(out[:size])


def xxh64(data):
    """XXH64, seed 0, as the nodes store it."""
    p1, p2, p3, p4, p5, mask = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5, (1 << 64) - 1

    def rotate(value, count):
        return ((value << count) | (value >> (64 - count))) & mask

    def mix(lane, word):
        return rotate((lane + word * p2) & mask, 31) * p1 & mask

    at, size = 0, len(data)
    if size >= 32:
        lanes = [(p1 + p2) & mask, p2, 0, -p1 & mask]
        while at + 32 <= size:
            for i in range(4):
                lanes[i] = mix(lanes[i], int.from_bytes(data[at + 8 * i:at + 8 * i + 8], "little"))
            at += 32
        value = (rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18)) & mask
        for lane in lanes:
            value = ((value ^ mix(0, lane)) * p1 + p4) & mask
    else:
        value = p5
    value = (value + size) & mask
    while at + 8 <= size:
        value = (rotate(value ^ mix(0, int.from_bytes(data[at:at + 8], "little")), 27) * p1 + p4) & mask
        at += 8
    if at + 4 <= size:
        value = (rotate(value ^ (int.from_bytes(data[at:at + 4], "little") * p1 & mask), 23) * p2 + p3) & mask
        at += 4
    for byte in data[at:]:
        value = rotate(value ^ (byte * p5 & mask), 11) * p1 & mask
    value = (value ^ (value >> 33)) * p2 & mask
    value = (value ^ (value >> 29)) * p3 & mask
    return value ^ (value >> 32)


def tolerated(status):
    """The permitted answers of a cluster with a missing node."""
    return status in (502, 503, 504)


class Load:
    """Workers that run between go() and halt(). A failed assertion in one of them fails the round."""

    def __init__(self, workers):
        self.workers = workers
        self.running = threading.Event()
        self.ended = False
        self.failure = None
        self.idle = threading.Semaphore(0)
        self.start = [threading.Semaphore(0) for _ in workers]
        self.threads = [threading.Thread(target=self.main, args=(i,), daemon=True) for i in range(len(workers))]
        for thread in self.threads:
            thread.start()

    def main(self, number):
        while True:
            self.start[number].acquire()
            if self.ended:
                return
            while self.running.is_set() and not self.failure:
                try:
                    self.workers[number].step()
                except BROKEN:
                    time.sleep(0.02)
                except BaseException as error:  # noqa: halt() reports it
                    self.failure = error
            self.idle.release()

    def go(self):
        self.running.set()
        for semaphore in self.start:
            semaphore.release()

    def halt(self):
        self.running.clear()
        for _ in self.workers:
            assert self.idle.acquire(timeout=70), "a worker waits for an answer that does not come"
        if self.failure:
            raise self.failure

    def end(self):
        self.ended = True
        for semaphore in self.start:
            semaphore.release()
        for thread in self.threads:
            thread.join(10)


class Objects:
    """Changes and reads names that no other worker uses. possible[name] holds the possible values, None for no object: one after an
    acknowledged change and after a read, more after changes whose answer never came."""

    def __init__(self, number, seed, bucket, etl):
        self.random = random.Random(seed * 100 + number)
        self.bucket, self.etl = bucket, etl
        self.possible = {f"w{number}/n{i}": [None] for i in range(8)}
        self.versions = 0
        self.acknowledged = self.reads = self.transformed = 0

    def url(self, name):
        return f"/v1/objects/{self.bucket}/{urllib.parse.quote(name)}"

    def step(self):
        name = self.random.choice(list(self.possible))
        what = self.random.randrange(10)
        if what < 5:
            self.put(name)
        elif what < 6:
            self.remove(name)
        elif what < 8:
            self.read(name)
        else:
            self.read_transformed(name)

    def put(self, name):
        self.versions += 1
        value = (self.versions, self.random.choice(SIZES))
        hop = request("PUT", cluster().url(self.url(name)), b"", follow=False)
        if hop.status == 503:
            return
        assert hop.status == 307, hop
        self.possible[name].append(value)
        answer = request("PUT", hop.headers["Location"], content(name, *value))
        if answer.status == 200:
            self.possible[name] = [value]
            self.acknowledged += 1
        else:
            assert tolerated(answer.status), answer

    def remove(self, name):
        hop = request("DELETE", cluster().url(self.url(name)), follow=False)
        if hop.status == 503:
            return
        assert hop.status == 307, hop
        self.possible[name].append(None)
        answer = request("DELETE", hop.headers["Location"])
        if answer.status in (200, 404):
            assert answer.status == 200 or None in self.possible[name][:-1], (name, self.possible[name], answer)
            self.possible[name] = [None]
            self.acknowledged += 1
        else:
            assert tolerated(answer.status), answer

    def found(self, name, body):
        for value in self.possible[name]:
            if value is not None and value[1] == len(body) and content(name, *value) == body:
                self.possible[name] = [value]
                return value
        raise AssertionError(f"{name}: {len(body)} bytes that are none of {self.possible[name]}: {body[:80]!r}")

    def read(self, name):
        """True if the cluster gave an answer."""
        answer = cluster().get(self.bucket, name)
        if tolerated(answer.status):
            return False
        if answer.status == 404:
            assert None in self.possible[name], f"{name} is gone: {self.possible[name]}, {answer}"
            self.possible[name] = [None]
            return True
        assert answer.status == 200, answer
        value = self.found(name, answer.body)
        if value[1] <= 70_000:
            assert int(answer.headers["Ais-Checksum-Value"], 16) == xxh64(answer.body), (name, answer.headers)
        self.reads += 1
        return True

    def read_transformed(self, name):
        answer = cluster().get(self.bucket, name, "uuid=" + self.etl)
        if answer.status == 200:
            self.found(name, answer.body)
            self.transformed += 1
        elif answer.status == 404:
            assert None in self.possible[name] and "etl job" not in answer.text, (name, self.possible[name], answer)
        else:
            assert tolerated(answer.status), answer

    def audit(self):
        for name in self.possible:
            until(lambda name=name: self.read(name), f"{name} can be read")

    def names(self):
        """Of the existing objects; certain after audit()."""
        assert all(len(values) == 1 for values in self.possible.values())
        return {name: values[0][1] for name, values in self.possible.items() if values[0] is not None}


class Buckets:
    """Creates a bucket, stores two objects, destroys it and creates it again: nothing of the first bucket may be visible."""

    def __init__(self, number, seed):
        self.random = random.Random(seed * 100 + number)
        self.exists = {f"made-{number}-{i}": [False] for i in range(3)}
        self.objects = {name: set() for name in self.exists}  # names stored in the present bucket, acknowledged or not
        self.count = 0

    def action(self, method, name, action):
        return request(method, cluster().url("/v1/buckets/" + name), json.dumps({"action": action}), {"Content-Type": "application/json"})

    def step(self):
        name = self.random.choice(list(self.exists))
        if self.exists[name] == [True] and self.random.randrange(2):
            self.exists[name].append(False)
            answer = self.action("DELETE", name, "destroy-bck")
            if answer.status == 200:
                self.exists[name] = [False]
                self.objects[name] = set()
            else:
                assert tolerated(answer.status), answer
        elif self.exists[name] == [False]:
            self.exists[name].append(True)
            answer = self.action("POST", name, "create-bck")
            if answer.status == 200:
                self.exists[name] = [True]
            else:
                assert tolerated(answer.status), answer
        elif self.exists[name] == [True]:
            self.count += 1
            key = f"o{self.count}"
            self.objects[name].add(key)
            hop = request("PUT", cluster().url(f"/v1/objects/{name}/{key}"), b"", follow=False)
            if hop.status == 307:
                answer = request("PUT", hop.headers["Location"], b"content of " + key.encode())
                assert answer.status == 200 or tolerated(answer.status), answer
            else:
                assert hop.status == 503, hop
        else:
            self.settle(name)

    def settle(self, name):
        answer = request("HEAD", cluster().url("/v1/buckets/" + name))
        if tolerated(answer.status):
            return False
        assert answer.status in (200, 404), answer
        exists = answer.status == 200
        assert exists in self.exists[name], f"bucket {name}: {answer}, but {self.exists[name]}"
        if exists != self.exists[name][0]:
            self.objects[name] = set()  # of a destroyed bucket; a new one has nothing yet
        self.exists[name] = [exists]
        return True

    def audit(self):
        for name in self.exists:
            until(lambda name=name: self.settle(name), f"whether bucket {name} exists")
            if self.exists[name] == [True]:
                listed = set(listing(name))
                assert listed <= self.objects[name], f"bucket {name} shows {listed - self.objects[name]} of an earlier life"


class Etls:
    """Starts and stops ETLs. state: id -> True (serves) or None (stop requested but not answered)."""

    def __init__(self, number, seed):
        self.random = random.Random(seed * 100 + number)
        self.state = {}
        self.stopped = set()
        self.count = self.started = 0
        self.unanswered = 0  # starts without an answer: each may have succeeded

    def step(self):
        if len(self.state) < 2 and self.random.randrange(3):
            self.count += 1
            self.unanswered += 1
            answer = cluster().init(pod_spec(f"{PREFIX}-e{self.count}", "crash/echo:1", wait="30s"), check=False)
            if answer.status == 200:
                self.state[answer.text] = True
                self.started += 1
            else:
                assert answer.status == 400 or tolerated(answer.status), answer
            self.unanswered -= 1
        elif self.state:
            etl = self.random.choice(list(self.state))
            self.state[etl] = None
            answer = request("DELETE", cluster().url("/v1/etl/stop/" + etl))
            if answer.status in (200, 404):
                del self.state[etl]
                self.stopped.add(etl)
            else:
                assert answer.status == 202 or tolerated(answer.status), answer
        time.sleep(0.1)

    def audit(self):
        def known():
            answer = request("GET", cluster().url("/v1/etl"))
            return answer.json if answer.status == 200 and all(e["stage"] == "Running" for e in answer.json) else None
        ids = {e["id"] for e in until(known, "every ETL of the list runs", 40)}
        lost = {etl for etl, state in self.state.items() if state} - ids
        assert not lost, f"acknowledged ETLs are gone: {lost}"
        back = self.stopped & ids
        assert not back, f"stopped ETLs are back: {back}"
        new = ids - set(self.state) - {world["etl"]}
        assert len(new) <= self.unanswered, f"{new} were never asked for"
        self.unanswered = 0
        self.state = {etl: True for etl in ids - {world["etl"]}}
        for etl in ids:
            until(lambda etl=etl: all_serve(etl), f"ETL {etl} serves on every target", 40)


def all_serve(etl):
    for key in world["steady"]:
        try:
            answer = cluster().get("steady", key, "uuid=" + etl)
        except BROKEN:
            return False
        if answer.status != 200 or answer.body != b"content of " + key.encode():
            assert answer.status != 404, answer
            return False
    return True


def listing(bucket):
    """{name: size}, when every target can be reached."""
    def page():
        answer = request("GET", cluster().url("/v1/buckets/" + bucket), json.dumps({"action": "list", "value": {"props": "name,size"}}), {"Accept": "application/json"})
        return answer if answer.status == 200 else None
    return {e["name"]: int(e.get("size", 0)) for e in until(page, f"a listing of {bucket}").json["entries"]}


def kill(node, signum=signal.SIGKILL):
    if node.alive():
        node.kill(signum)


def kill_while_starting(random_, node):
    """Started and killed repeatedly before, during and after its recovery."""
    for _ in range(random_.randrange(2, 6)):
        node.start(wait=False)
        time.sleep(random_.random() ** 2 * 0.8)
        node.kill(signal.SIGKILL)


def is_leak_checker(pid):
    """The helper process of the leak sanitizer, which an exiting program creates with clone(). Unlike a forked child it sends no signal
    when it ends. If only the helper is killed, its program spins forever, but only in builds with sanitizers."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[35] == "0"
    except OSError:
        return False


def kill_pods(random_):
    """Some of the processes that run pods: supervisors, their helpers, sandboxes, containers."""
    for pid in leftovers.processes(cluster(), PREFIX):
        if random_.randrange(3) == 0 and not is_leak_checker(pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def strike(random_, kind):
    c = cluster()
    if kind in ("target", "target and pods", "starting"):
        victims = [random_.choice(c.targets)]
    elif kind == "all targets":
        victims = list(c.targets)
    elif kind == "proxy":
        victims = [c.proxy]
    elif kind == "everything":
        victims = c.targets + [c.proxy]
    else:
        victims = []
    if kind == "starting" and random_.randrange(2):
        victims.append(c.proxy)
    if "pods" in kind:
        kill_pods(random_)
    for node in victims:
        kill(node)
        if random_.randrange(2):
            time.sleep(random_.random() * 0.1)
    if kind == "starting":
        for node in victims:
            kill_while_starting(random_, node)
    return victims


def one_round(number, random_, kind, load, workers):
    load.go()
    time.sleep(0.3 + random_.random() * 1.2)
    victims = strike(random_, kind)
    if random_.randrange(2):  # the others continue without them for a while
        time.sleep(random_.random() * 0.5)
    if random_.randrange(2):  # and while they start
        for node in victims:
            node.start()
        time.sleep(random_.random() * 0.5)
        load.halt()
    else:
        load.halt()
        for node in victims:
            node.start()
    for node in cluster().targets + [cluster().proxy]:
        assert node.alive(), f"{node.name} has ended by itself: {cluster().log_tail(node.name)}"
    cluster().wait_registered()
    began = time.monotonic()
    objects = {}
    for worker in workers:
        worker.audit()
        if isinstance(worker, Objects):
            objects.update(worker.names())
    shown = listing("b")
    assert shown == objects, f"the listing and the reads differ: {sorted(set(shown.items()) ^ set(objects.items()))}"
    wrong = []

    def nothing_left():
        wrong[:] = leftovers.of_cluster(cluster(), PREFIX)
        return not wrong
    try:
        until(nothing_left, "nothing that nobody owns", 30, 0.2)
    except AssertionError:
        raise AssertionError(f"left after 30 s: {leftovers.show(wrong)}") from None
    print(f"# round {number}: {kind}; audit {time.monotonic() - began:.1f} s", flush=True)


def case_the_address_of_a_dead_pod_stays_on_this_machine():
    """When everything that created a pod's network is dead, its address must not lead anywhere. By the default route it could lead to
    another machine, which could answer."""
    c = cluster()
    name = PREFIX + "-address"
    # Use separate pods, because listing the others would recreate their network.
    apart = {"KUBECTL_LOCAL_STATE": os.path.join(c.dir, "apart"), "KUBECTL_LOCAL_IMAGES": os.path.join(c.dir, "pods/images")}
    container = {"name": "server", "image": "crash/echo:1", "ports": [{"containerPort": 80}]}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}
    c.run("kubectl-local", "create", "-f", "-", stdin=json.dumps(manifest).encode(), env=apart)

    def address():
        shown = c.run("kubectl-local", "get", "pod", name, "-o", "json", env=apart).stdout
        return json.loads(shown)["metadata"].get("annotations", {}).get("etlnode.local/address")
    host, _, port = until(address, "the pod has an address").partition(":")

    def answers():
        try:
            socket.create_connection((host, int(port)), timeout=2).close()
            return True
        except OSError as error:
            assert not isinstance(error, TimeoutError), "what is sent to a dead pod disappears"
            return False
    until(answers, "the pod listens")

    def dead():
        alive = [pid for pid, what in leftovers.processes(c, PREFIX).items() if name in what]
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return not alive
    until(dead, "all of its processes are dead")
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert not answers(), f"somebody else answers at {host}"
        time.sleep(0.02)
    c.run("kubectl-local", "delete", "pod", name, "--now", env=apart)
    if shutil.which("ip"):
        routes = subprocess.run(["ip", "route", "show", "table", "all"], capture_output=True, text=True, timeout=10, check=True).stdout
        assert not any(near(host, line) for line in routes.splitlines()), routes


def near(host, line):
    """Whether a line of `ip route` is about the /30 network that contains `host`."""
    found = re.search(r"\b(\d+\.\d+\.\d+)\.(\d+)", line)
    first, _, last = host.rpartition(".")
    return found is not None and found.group(1) == first and int(found.group(2)) // 4 == int(last) // 4


def case_killed_at_random_moments():
    print(f"# SEED={SEED} ROUNDS={ROUNDS}", flush=True)
    random_ = random.Random(SEED)
    workers = [Objects(i, SEED, "b", world["etl"]) for i in range(4)] + [Buckets(4, SEED), Etls(5, SEED)]
    load = Load(workers)
    order = []
    try:
        for number in range(1, ROUNDS + 1):
            if not order:  # every kind comes up once before any repeats
                order = random_.sample(KINDS, len(KINDS))
            kind = order.pop()
            try:
                one_round(number, random_, kind, load, workers)
            except BaseException:
                print(f"# failed in round {number} ({kind}), SEED={SEED}", flush=True)
                raise
    finally:
        load.running.clear()
        load.end()
    writers = [w for w in workers if isinstance(w, Objects)]
    changes, reads, transformed = (sum(getattr(w, key) for w in writers) for key in ("acknowledged", "reads", "transformed"))
    print(f"# {ROUNDS} rounds: {changes} acknowledged changes, {reads} reads, {transformed} transformed reads, {workers[-1].started} ETL starts", flush=True)
    assert changes >= 5 * ROUNDS and transformed >= ROUNDS, "hardly any load"


def case_stops_after_that():
    for etl in leftovers.etl_ids(cluster()):
        cluster().stop_etl(etl)
    until(lambda: not cluster().pods(), "no pod is left")
    until(lambda: not leftovers.processes(cluster(), PREFIX), "no process of a pod is left")


with Cluster(targets=2) as made:
    world["cluster"] = made
    made.image("crash/echo:1", {"srv.py": transformers.ECHO_PUT.replace("do_PUT", "do_POST")}, ["/srv.py", "80"])
    made.bucket("b")
    made.bucket("steady")
    world["steady"] = [f"k{i}" for i in range(6)]
    for key in world["steady"]:
        made.put("steady", key, b"content of " + key.encode())
    world["etl"] = made.init(pod_spec(PREFIX + "-steady", "crash/echo:1"))
    harness.run([(name[5:].replace("_", " "), function) for name, function in list(globals().items()) if name.startswith("case_")], limit=120 + 30 * ROUNDS)
