#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The three modes x sizes from nothing to 100 MiB, byte-equal; servers of every manner; names that hurt."""
import hashlib

import harness
import transformers
from harness import pod_spec, request

SIZES = [("0 B", 0), ("1 B", 1), ("64 KiB", 65536), ("1 MiB", 1 << 20), ("100 MiB", 100 << 20)]
NAMES = ["plain", "with space", "per%cent", "per%25cent", "ques?tion=1&x", "ha#sh", "你好世界", ".hidden", "-dash", "a/b/c", "plus+plus", "quote'\"", "x" * 200]
world = {}


def blob(size):
    seed = hashlib.sha256(str(size).encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


def start_all():
    cluster = world["cluster"]
    for image, program in (("echo2020", transformers.ECHO_2020), ("echoput", transformers.ECHO_PUT), ("echochunked", transformers.ECHO_CHUNKED), ("pull", transformers.PULL)):
        cluster.image(f"test/{image}:1", {"srv.py": program}, ["/srv.py", "80"])
    cluster.bucket("modes")
    world["etl"] = {
        "hpush, the document's manners": cluster.init(pod_spec("echo2020", "test/echo2020:1")),
        "hpush, PUT only": cluster.init(pod_spec("echoput", "test/echoput:1")),
        "hpush, chunked": cluster.init(pod_spec("echochunked", "test/echochunked:1")),
        "hrev": cluster.init(pod_spec("pullrev", "test/pull:1", mode="hrev://")),
        "hpull": cluster.init(pod_spec("pullpull", "test/pull:1", mode="hpull://")),
    }
    for label, size in SIZES:
        assert cluster.put("modes", label, blob(size)).status == 200


def case_sizes(how):
    def run():
        cluster = world["cluster"]
        for label, size in SIZES:
            answer = cluster.get("modes", label, "uuid=" + world["etl"][how])
            assert answer.status == 200, (label, answer)
            assert hashlib.sha256(answer.body).digest() == hashlib.sha256(blob(size)).digest(), f"{label}: {len(answer.body)} bytes differ"
    return run


def case_names():
    cluster = world["cluster"]
    for number, name in enumerate(NAMES):
        body = f"content {number}".encode()
        assert cluster.put("modes", name, body).status == 200, name
        assert cluster.get("modes", name).body == body, name
        for how, etl in world["etl"].items():
            answer = cluster.get("modes", name, "uuid=" + etl)
            assert answer.status == 200 and answer.body == body, (how, name, answer)


def case_both_eras_of_query():
    cluster = world["cluster"]
    for query in ("uuid=" + world["etl"]["hrev"], "etl_name=" + world["etl"]["hrev"], "etl_name=pullrev", "uuid=pullrev"):
        answer = cluster.get("modes", "plain", query)
        assert answer.status == 200 and answer.headers["X-From-Pod"] == "yes", (query, answer)


def case_many_at_once():
    import concurrent.futures
    cluster = world["cluster"]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        jobs = [pool.submit(cluster.get, "modes", NAMES[i % len(NAMES)], "uuid=" + list(world["etl"].values())[i % 5]) for i in range(200)]
        for i, job in enumerate(jobs):
            answer = job.result()
            assert answer.status == 200 and answer.body == f"content {i % len(NAMES)}".encode(), (i, answer)


def case_missing_object():
    cluster = world["cluster"]
    for how, etl in world["etl"].items():
        answer = cluster.get("modes", "no such object", "uuid=" + etl)
        assert answer.status == 404 and "ais://modes/no such object does not exist" in answer.text, (how, answer)


def case_unknown_etl():
    answer = world["cluster"].get("modes", "plain", "uuid=NoSuchEtl0")
    assert answer.status == 404 and "etl job" in answer.text and "does not exist" in answer.text, answer


def case_overwrite_is_seen():
    cluster = world["cluster"]
    for i in range(5):
        body = f"version {i}".encode() * 1000
        cluster.put("modes", "changing", body)
        for etl in world["etl"].values():
            assert cluster.get("modes", "changing", "uuid=" + etl).body == body


def case_a_client_that_hangs_up_leaves_nothing():
    import socket
    import urllib.parse
    cluster = world["cluster"]
    for _ in range(5):
        hop = request("GET", cluster.url("/v1/objects/modes/100%20MiB?uuid=" + world["etl"]["hpush, chunked"]), follow=False)
        parts = urllib.parse.urlsplit(hop.headers["Location"])
        with socket.create_connection((parts.hostname, parts.port)) as conn:
            conn.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert conn.recv(1000).startswith(b"HTTP/1.1 200")
    def idle():
        for target in cluster.targets:
            for line in request("GET", target.url + "/metrics").text.splitlines():
                if line.startswith("etlnode_etl_in_flight") and not line.endswith(" 0"):
                    return False
        return True
    harness.until(idle, "no transfer in flight")


def case_stop():
    cluster = world["cluster"]
    for etl in world["etl"].values():
        cluster.stop_etl(etl)
    assert cluster.pods() == []


with harness.Cluster(targets=2) as made:
    world["cluster"] = made
    start_all()
    harness.run([(f"sizes, {how}", case_sizes(how)) for how in world["etl"]] + [
        ("names that hurt", case_names),
        ("both eras of query", case_both_eras_of_query),
        ("many at once", case_many_at_once),
        ("missing object", case_missing_object),
        ("unknown ETL", case_unknown_etl),
        ("an overwrite is seen", case_overwrite_is_seen),
        ("a client that hangs up leaves nothing", case_a_client_that_hangs_up_leaves_nothing),
        ("stop", case_stop),
    ])
