#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A failed transform never looks complete: answers cut at every 64 KiB boundary and at random offsets, judged by third-party clients.

Modes x framings of the pod x premature ends x offsets x clients: curl (HTTP/1.0 and 1.1), wget, `requests` (Debian's and the newest),
Perl's LWP, Python's http.client as HTTP/1.0, and Node and Go if installed. No client may call a cut answer complete, and all must call the
whole one complete. SEED=n repeats the random offsets of a run; LONG=1 tests more of them, and more kills.
"""
import collections
import concurrent.futures
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

import harness
import truncating_pod
from harness import Skip, pod_spec, request, until

LONG = os.environ.get("LONG", "") not in ("", "0")
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 31))
KIB64 = 65536
SIZE = (32 if LONG else 6) * KIB64 + 777
MODES = ("hpush", "hrev")
FRAMINGS = ("length", "chunked", "close")
CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
world = {}


def cluster():
    return world["cluster"]


def offsets():
    rng = random.Random(SEED)
    return [0, 1] + [i * KIB64 for i in range(1, SIZE // KIB64 + 1)] + sorted(rng.randrange(2, SIZE - 1) for _ in range(24 if LONG else 4))


def name_of(framing, cut, how):
    return f"{framing}.{SIZE}.{cut}.{how}"


def url_of(etl, name):
    return f"{cluster().targets[0].url}/v1/objects/cut/{name}?uuid={etl}"


def put(name):
    if name not in world["stored"]:
        assert cluster().put("cut", name, b"some content").status == 200
        world["stored"].add(name)


# --- clients: each takes URLs and prints for every one "complete ...", "status ..." or "broken ..."

def environment():
    return {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}


def each(command, verdict):
    """A client with one process per URL."""
    def run(urls):
        def one(url):
            done = subprocess.run(command + [url], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment(), timeout=90, check=False)
            return verdict(done)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return list(pool.map(one, urls))
    return run


def batch(command):
    """A client that reads URLs line by line."""
    def run(urls):
        done = subprocess.run(command, input="".join(url + "\n" for url in urls), capture_output=True, text=True, env=environment(), timeout=300, check=False)
        lines = done.stdout.splitlines()
        assert len(lines) == len(urls), f"{command}: {len(lines)} lines for {len(urls)} URLs, exit {done.returncode}: {done.stderr[-2000:]}"
        return lines
    return run


def curl_verdict(done):
    status, size = (done.stdout.split() + ["0", "0"])[:2]
    if done.returncode != 0:
        return f"broken {done.returncode} {size}"
    return f"{'complete' if status == '200' else 'status'} {status} {size}"


def wget_verdict(done):
    return {0: f"complete 200 {len(done.stdout)}", 8: "status"}.get(done.returncode, f"broken {done.returncode}")


def find_clients():
    """name -> how to run it; and name -> why it is not available."""
    curl = ["curl", "-sSL", "--max-time", "60", "-o", "/dev/null", "-w", "%{http_code} %{size_download}"]
    found, missing = {}, {}
    def offer(name, program, run):
        if shutil.which(program):
            found[name] = run
        else:
            missing[name] = f"{program} is not installed"
    offer("curl", "curl", each(curl + ["--http1.1"], curl_verdict))
    offer("curl, HTTP/1.0", "curl", each(curl + ["--http1.0"], curl_verdict))
    offer("wget", "wget", each(["wget", "-q", "-O", "-", "--tries=1", "--timeout=120"], wget_verdict))
    offer("http.client, HTTP/1.0", "python3", batch([sys.executable, os.path.join(CLIENTS, "get_http10.py")]))
    offer("Node", "node", batch(["node", os.path.join(CLIENTS, "get_node.js")]))
    if subprocess.run(["perl", "-MLWP::UserAgent", "-e", "1"], capture_output=True, check=False).returncode == 0:
        found["LWP"] = batch(["perl", os.path.join(CLIENTS, "get_lwp.pl")])
    else:
        missing["LWP"] = "libwww-perl is not installed"
    if subprocess.run(["/usr/bin/python3", "-c", "import requests"], capture_output=True, check=False).returncode == 0:
        found["requests, Debian's"] = batch(["/usr/bin/python3", os.path.join(CLIENTS, "get_requests.py")])
    else:
        missing["requests, Debian's"] = "python3-requests is not installed"
    add_requests(found, missing)
    add_go(found, missing)
    return found, missing


def add_requests(found, missing):
    """The newest version from the registry, in a virtual environment of its own."""
    folder = os.path.join(cluster().dir, "venv")
    python = os.path.join(folder, "bin/python")
    try:
        subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, check=True, timeout=120)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "requests"], capture_output=True, check=True, timeout=90)
    except (subprocess.SubprocessError, OSError) as error:
        missing["requests, newest"] = f"it cannot be installed: {type(error).__name__}"
        return
    found["requests, newest"] = batch([python, os.path.join(CLIENTS, "get_requests.py")])


def add_go(found, missing):
    program = os.path.join(cluster().dir, "get-go")
    if not shutil.which("go"):
        missing["Go"] = "go is not installed"
        return
    try:
        subprocess.run(["go", "build", "-o", program, os.path.join(CLIENTS, "get.go")], capture_output=True, check=True, timeout=120)
    except (subprocess.SubprocessError, OSError) as error:
        missing["Go"] = f"the client does not build: {type(error).__name__}"
        return
    found["Go"] = batch([program])


# --- cases

def start(name, mode, how="fork", **notes):
    return cluster().init(pod_spec(name, "test/truncating:1", mode=mode + "://", command=["/srv.py", "80", how], annotations={"obj_timeout": "30s"} | notes))


def tally(client, verdicts):
    world["verdicts"][client].update(line.split()[0] for line in verdicts)


def case_whole(client):
    """The control group: a whole answer is complete for every client, mode and framing. Otherwise the other cases would prove nothing."""
    def run():
        names = [name_of(framing, SIZE, "whole") for framing in FRAMINGS]
        urls = [url_of(world["etl"][mode], name) for mode in MODES + ("hpull",) for name in names]
        for url, line in zip(urls, client_of(client)(urls)):
            assert line.split() == ["complete", "200", str(SIZE)], f"{url}: {line}"
    return run


def client_of(client):
    if client in world["missing"]:
        raise Skip(world["missing"][client])
    return world["clients"][client]


def case_cut(client):
    """Close-delimited answers do not have `close`: that is the one way that cannot be distinguished from the real end, see below."""
    def run():
        names = [name_of(framing, cut, how) for framing in FRAMINGS for how in ("close", "reset", "worker") if framing != "close" or how == "reset" for cut in offsets()]
        urls = [url_of(world["etl"][mode], name) for mode in MODES for name in names]
        verdicts = client_of(client)(urls)
        tally(client, verdicts)
        wrong = [f"{url}: {line}" for url, line in zip(urls, verdicts) if line.startswith("complete")]
        assert not wrong, f"{len(wrong)} of {len(urls)} cut answers look complete:\n" + "\n".join(wrong[:10])
    return run


def case_cut_on_the_way_from_the_pod(client):
    """hpull: the target is not on the path. If the pod frames its answers, a client that checks the framing notices the cut by itself."""
    def run():
        names = [name_of(framing, cut, how) for framing in ("length", "chunked") for how in ("close", "reset") for cut in offsets()[1:]]
        urls = [url_of(world["etl"]["hpull"], name) for name in names]
        verdicts = client_of(client)(urls)
        tally(client, verdicts)
        wrong = [f"{url}: {line}" for url, line in zip(urls, verdicts) if line.startswith("complete")]
        assert not wrong, f"{len(wrong)} of {len(urls)} cut answers look complete:\n" + "\n".join(wrong[:10])
    return run


def in_flight():
    text = request("GET", cluster().targets[0].url + "/metrics").text
    return int(next(line for line in text.splitlines() if line.startswith("etlnode_transfers_in_flight ")).split()[1])


def case_killed(mode, framing, cut):
    """All clients simultaneously read an answer that stops at `cut`; then the container is killed. It is a single process. Several
    processes do not die at the same instant, so for a moment the case would be that of a worker behind a living listener."""
    def run():
        name = name_of(framing, cut, "wait")
        put(name)
        etl = start(f"killed-{mode}-{framing}-{cut}", mode, "thread")
        pid = harness.container_pid(next(p["metadata"]["name"] for p in cluster().pods() if etl in str(p["metadata"])))
        assert pid, f"no process of {etl}"
        names = list(world["clients"])
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            jobs = [pool.submit(world["clients"][client], [url_of(etl, name)]) for client in names]
            until(lambda: in_flight() == len(names), "all clients have begun", 30)
            time.sleep(0.1)  # the sent data has arrived
            os.kill(pid, signal.SIGKILL)
            for client, job in zip(names, jobs):
                line = job.result()[0]
                tally(client, [line])
                assert not line.startswith("complete"), f"{client}: {line}"
        cluster().stop_etl(etl)
    return run


def read_to_end(name, during):
    """A GET over a bare connection; `during` runs when the answer has begun. Returns how the connection ended."""
    parts = urllib.parse.urlsplit(cluster().targets[0].url)
    with socket.create_connection((parts.hostname, parts.port), timeout=120) as conn:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        conn.sendall(f"GET {name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert conn.recv(1000).startswith(b"HTTP/1.1 200")
        during()
        try:
            while conn.recv(KIB64):
                pass
        except ConnectionResetError:
            return "reset"
        return "closed"


def case_target_stops():
    """A stopping target cuts the requests that are still in progress when its drain time is up."""
    name = name_of("length", 2 * KIB64, "wait")
    put(name)
    target = cluster().targets[0]
    silent = name_of("length", 0, "wait")
    put(silent)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        # Its client has got nothing yet, so that it can be told the reason.
        waiting = pool.submit(request, "GET", f"{target.url}/v1/objects/cut/{silent}?uuid={world['etl']['patient']}")
        until(lambda: "etlnode_transfers_in_flight 1\n" in request("GET", target.url + "/metrics").text, "it is on its way")
        assert read_to_end(f"/v1/objects/cut/{name}?uuid={world['etl']['patient']}", lambda: target.process.send_signal(signal.SIGTERM)) == "reset"
        answer = waiting.result()
    assert answer.status == 503 and answer.json["code"] == "stopping" and answer.json["message"] == "the node is shutting down", answer
    assert target.kill(signal.SIGTERM) in (0, 130)
    with open(os.path.join(cluster().log_dir, target.name + ".log"), encoding="utf-8", errors="replace") as log:
        ends = [line for line in log if "sub=transfer" in line and f"etl={world['etl']['patient']}" in line]
    assert len([line for line in ends if 'reason="the node is shutting down"' in line]) == 2 and not [line for line in ends if "client has gone" in line], ends
    target.start()
    cluster().wait_registered()
    until(lambda: request("GET", url_of(world["etl"]["hpush"], name_of("length", SIZE, "whole"))).status == 200, "the ETL serves again", 30)


def case_object_that_cannot_be_read_to_its_end():
    """A plain read by a pod: the disk fails in the middle of it, here because the content file is truncated. The pod must not accept it as
    the whole."""
    size = 40 << 20
    assert cluster().put("cut", "damaged", b"d" * size).status == 200
    folder = os.path.join(cluster().dir, cluster().targets[0].name)

    def content_file():
        for path, _, files in os.walk(folder):
            for file in files:
                if os.path.getsize(os.path.join(path, file)) == size:
                    return os.path.join(path, file)
        return None

    assert read_to_end("/v1/objects/cut/damaged", lambda: os.truncate(until(content_file, "the content file"), size - (8 << 20))) == "reset"


def case_undecidable():
    """A worker dies behind a living listener, in an answer that ends by closing: nothing distinguishes it from the end. `require_framing`
    refuses such answers."""
    names = [name_of("close", cut, how) for how in ("worker", "close") for cut in (1000, 3 * KIB64)]
    for name in names:
        put(name)
    for client, run in world["clients"].items():
        for line in run([url_of(world["etl"][mode], name) for mode in MODES for name in names]):
            assert line.split()[:2] == ["complete", "200"], f"{client}: {line}: better than what is documented: correct docs/PROTOCOL.md"
        for line in run([url_of(world["etl"]["framed " + mode], name) for mode in MODES for name in names]):
            assert not line.startswith("complete"), f"{client}: {line}"
    for url in (url_of(world["etl"]["framed " + mode], name) for mode in MODES for name in names):
        answer = request("GET", url)
        assert answer.status == 502 and "require_framing" in answer.text, answer


def case_next_request():
    for etl in world["etl"].values():
        answer = request("GET", url_of(etl, name_of("length", SIZE, "whole")))
        assert answer.status == 200 and answer.body == b"t" * SIZE, answer.status


def case_three_foreign_clients():
    assert len(world["clients"]) >= 3, world["missing"]
    for client, counts in world["verdicts"].items():
        print(f"# {client}: {dict(counts)}")
    assert all(counts["broken"] > 0 and counts["complete"] == 0 for counts in world["verdicts"].values()), world["verdicts"]


def kills():
    rng = random.Random(SEED + 1)

    def cuts():
        if not LONG:
            return [rng.choice([rng.randrange(1, SIZE // KIB64 + 1) * KIB64, rng.randrange(2, SIZE)])]
        return [1, 1000, KIB64, 8 * KIB64] + [rng.randrange(2, SIZE) for _ in range(3)]

    return [(f"killed, {mode}, {framing}, at {cut}", case_killed(mode, framing, cut)) for mode in MODES for framing in FRAMINGS for cut in cuts()]


ALL_CLIENTS = ("curl", "curl, HTTP/1.0", "wget", "http.client, HTTP/1.0", "requests, Debian's", "requests, newest", "LWP", "Node", "Go")
# Without a reset these clients accept a short Content-Length (wget: a missing last chunk) as the end. The target resets a cut answer; with
# hpull nothing does.
LENIENT = ("wget", "requests, Debian's", "LWP")
print(f"# SEED={SEED}", flush=True)
with harness.Cluster(targets=1) as made:
    world.update(cluster=made, stored=set(), verdicts=collections.defaultdict(collections.Counter))
    world["clients"], world["missing"] = find_clients()
    made.image("test/truncating:1", {"srv.py": truncating_pod.PROGRAM}, ["/srv.py", "80"])
    made.bucket("cut")
    for framing in FRAMINGS:
        put(name_of(framing, SIZE, "whole"))
        for how in ("close", "reset", "worker"):
            for cut in offsets():
                put(name_of(framing, cut, how))
    world["etl"] = {mode: start("cuts-" + mode, mode) for mode in MODES + ("hpull",)}
    world["etl"].update({"framed " + mode: start("framed-" + mode, mode, require_framing="true") for mode in MODES})
    if LONG:
        world["etl"]["patient"] = start("patient", "hpush", obj_timeout="60s")
    print(f"# {len(offsets())} offsets in {SIZE} bytes, clients: {', '.join(world['clients'])}")
    harness.run([(f"whole, {client}", case_whole(client)) for client in ALL_CLIENTS] + [(f"cut, {client}", case_cut(client)) for client in ALL_CLIENTS] +
                [(f"hpull, {client}", case_cut_on_the_way_from_the_pod(client)) for client in ALL_CLIENTS if client not in LENIENT] + kills() + [
        ("an object that cannot be read to its end", case_object_that_cannot_be_read_to_its_end),
        ("what cannot be told apart, and require_framing", case_undecidable),
        ("the next request is served well", case_next_request),
        ("at least three foreign clients, all of them saw cuts", case_three_foreign_clients),
    ] + ([("the target stops", case_target_stops)] if LONG else []), limit=600 if LONG else 120)
