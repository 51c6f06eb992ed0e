#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An answer of a single-process server that dies or exits meanwhile never counts as complete, as root (veth) and as an ordinary user
(relay).

The answers end by closing, as those of http.server do; the server is the single-threaded HTTPServer. The kernel closes the sockets of a
dying process one after the other, the newest first. So for a moment the end of the answer has arrived and the listener still accepts
connections, which looks like a complete answer. A process that exits (sys.exit, an uncaught exception, a handler of SIGTERM) closes the
connection first. It listens for as long as freeing its memory and its atexit functions take. A process that replaces its program passes its
listener on. Each kind of user and of death gets 30 deaths (12 if the process exits itself); LONG=1: 500.
"""
import concurrent.futures
import http.client
import itertools
import os
import random
import signal
import threading

import harness
import transformers
from harness import Skip, pod_spec, remark, request, until

LONG = os.environ.get("LONG", "") not in ("", "0")
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 31))
DEATHS = int(os.environ.get("DEATHS") or (500 if LONG else 30))
KIB, MIB = 1024, 1 << 20
SIZES = [KIB, 20_000, 64 * KIB, 64 * KIB + 1, 200_000, MIB, MIB, 5 * MIB, 20 * MIB]
LARGEST = 64 * MIB
ORDINARY_USER = 61_977
LIVES = 2  # a pod's container restarts immediately after its first death, but waits after the next one
PROGRAM = transformers.COMMON + '''
import atexit, ctypes, signal

class H(Base):
    def do_POST(self):
        if self.headers.get("Content-Length"):
            for _ in self.pieces(): pass
        size, how, _ = self.path.split("?")[0].split("/")[-1].split(".")
        self.send_response(200)
        self.end_headers()
        left = int(size) if how == "whole" else int(size) // 2
        while left:
            piece = min(left, 65536)
            self.wfile.write(b"d" * piece)
            left -= piece
        if how == "exit": os._exit(0)
        elif how == "segv": ctypes.string_at(0)
        elif how == "sysexit": sys.exit(3)
        elif how == "atexit":
            atexit.register(time.sleep, 0.3)
            sys.exit(3)
        elif how == "heap":
            global heap
            heap = [[i] for i in range(1_000_000)]
            sys.exit(3)
        elif how == "exec":
            os.set_inheritable(server.fileno(), True)
            os.execv(sys.executable, [sys.executable, sys.argv[0], str(PORT), str(server.fileno())])
        elif how in ("kill", "term"):
            with open("/proc/self/comm", "w") as file: file.write("halfway")
            time.sleep(60)

    do_GET = do_PUT = do_POST

def end(*_):
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
http.server.HTTPServer.request_queue_size = 128
server = http.server.HTTPServer(("0.0.0.0", PORT), H, len(sys.argv) == 2)
if len(sys.argv) > 2: server.socket = socket.socket(fileno=int(sys.argv[2]))
server.serve_forever()
'''
# The simplest possible server: any error ends it.
RAW = transformers.COMMON + '''
server = socket.create_server(("0.0.0.0", PORT), backlog=128)
while True:
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as request:
        line, left = request.readline(), 0
        while (header := request.readline()) not in (b"\\r\\n", b""):
            if header.lower().startswith(b"content-length:"): left = int(header.split(b":")[1])
        request.read(left)
        if not line: continue
        size, how, _ = line.split()[1].decode().split("?")[0].split("/")[-1].split(".")
        size = int(size) if how == "whole" else int(size) // 2
        connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
        for at in range(0, size, 65536): connection.sendall(b"d" * min(65536, size - at))
        if how != "whole": raise ValueError("this is what goes wrong")
'''
# The server is a child of the container's command, which ends with it.
OWN_DEATHS = DEATHS if LONG else max(4, DEATHS * 2 // 5)
WRAPPED = ["/bin/sh", "-c", "/srv.py 80; exit 3"]
SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM}
IMAGES = {"raise": "test/deaths-raw:1"}
numbers = itertools.count()


def read(cluster, etl, name):
    """(whole body or None, description of what happened)"""
    try:
        answer = request("GET", f"{cluster.targets[0].url}/v1/objects/deaths/{name}?uuid={etl}", timeout=60)
    except (http.client.HTTPException, OSError) as error:
        return None, type(error).__name__
    return (answer.body, "200") if answer.status == 200 else (None, f"{answer.status} {answer.text}")


def kill_halfway(pod, signal_number):
    """Kills from outside, because process 1 of a container gets no fatal signal from inside."""
    def comm():
        pid = harness.container_pid(pod)
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                return pid if file.read() == "halfway\n" else None
        except OSError:
            return None
    os.kill(until(comm, f"{pod} has sent half of its answer", 60, 0.02), signal_number)


def one_pod(cluster, how, mode, command, sizes, verdicts, lock):
    """Starts a pod. In each of its lives it reads a whole answer, and then one during which the server dies."""
    etl = cluster.init(pod_spec(f"deaths-{next(numbers)}", IMAGES.get(how, "test/deaths:1"), mode=mode + "://", command=command, annotations={"obj_timeout": "30s"}))
    pod = next(p["metadata"]["name"] for p in cluster.pods() if etl in str(p["metadata"]))
    for size in sizes:
        whole, half = f"{size}.whole.0", f"{size}.{how}.0"
        for name in (whole, half):
            assert cluster.put("deaths", name, b"some content").status == 200

        def is_whole():
            body, seen = read(cluster, etl, whole)
            assert body is None or body == b"d" * size, f"{whole}: {len(body)} bytes called complete"
            return body is not None

        until(is_whole, f"{etl} answers {whole}", 60, 0.1)
        with concurrent.futures.ThreadPoolExecutor(1) as killer:
            kill = killer.submit(kill_halfway, pod, SIGNALS[how]) if how in SIGNALS else None
            body, seen = read(cluster, etl, half)
            if kill is not None:
                kill.result()
        with lock:
            verdicts.append((mode, size, "complete" if body is not None else seen))
    cluster.stop_etl(etl)


def case_deaths(user, how, command, count):
    def run():
        if user not in worlds:
            raise Skip("needs root, to be another user")
        cluster = worlds[user]
        rng = random.Random(f"{SEED} {user} {how}")
        sizes = [rng.choice(SIZES) for _ in range(count - 1)] + [LARGEST]
        verdicts, lock = [], threading.Lock()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(one_pod, cluster, how, ("hpush", "hrev")[i // LIVES % 2], command, sizes[i:i + LIVES], verdicts, lock) for i in range(0, count, LIVES)]
            for job in jobs:
                job.result()
        assert len(verdicts) == count, len(verdicts)
        wrong = [one for one in verdicts if one[2] == "complete"]
        seen = {}
        for one in verdicts:
            key = one[2].split(",")[0][:60]
            seen[key] = seen.get(key, 0) + 1
        remark(f"{user}, {how}: {len(verdicts)} deaths, {len(wrong)} called complete; {seen}")
        assert not wrong, f"{len(wrong)} of {len(verdicts)} answers of servers that died were called complete: {wrong[:10]}"
    return run


def make(**options):
    cluster = harness.Cluster(targets=1, **options)
    cluster.__enter__()
    cluster.image("test/deaths:1", {"srv.py": PROGRAM}, ["/srv.py", "80"])
    cluster.image("test/deaths-raw:1", {"srv.py": RAW}, ["/srv.py", "80"])
    cluster.bucket("deaths")
    return cluster


worlds = {}
print(f"# SEED={SEED} DEATHS={DEATHS}", flush=True)
failed = None
try:
    if os.geteuid() == 0:
        worlds["root"] = make()
        worlds["ordinary user"] = make(uid=ORDINARY_USER)
    else:
        worlds["ordinary user"] = make()
    harness.run([(f"{user}, {how}", case_deaths(user, how, ["/srv.py", "80"], DEATHS)) for user in ("root", "ordinary user") for how in ("exit", "kill", "segv")] +
                [(f"{user}, {how}", case_deaths(user, how, ["/srv.py", "80"], OWN_DEATHS)) for user in ("root", "ordinary user") for how in ("sysexit", "atexit", "heap", "raise", "term", "exec")] +
                [(f"{user}, {how}, a child of the command", case_deaths(user, how, WRAPPED, max(4, DEATHS // 5))) for user in ("root", "ordinary user") for how in ("exit", "kill", "sysexit", "atexit", "term")],
                limit=3600 if LONG else 180)
finally:
    for cluster in worlds.values():
        cluster.stop()
