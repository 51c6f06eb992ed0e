#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The modes x sizes from nothing to 100 MiB, byte-equal; servers of every manner; names that hurt; what a WebSocket may do.

LONG=1 takes 1 GiB through a WebSocket, too.
"""
import glob
import hashlib
import http.client
import json
import os
import urllib.parse

import harness
import transformers
from harness import pod_spec, request

SIZES = [("0 B", 0), ("1 B", 1), ("64 KiB", 65536), ("1 MiB", 1 << 20), ("100 MiB", 100 << 20)]
NAMES = ["plain", "with space", "per%cent", "per%25cent", "ques?tion=1&x", "ha#sh", "你好世界", ".hidden", "-dash", "a/b/c", "plus+plus", "quote'\"", "x" * 200]
CUT = (http.client.HTTPException, ConnectionResetError)
world = {}


def blob(size):
    seed = hashlib.sha256(str(size).encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


def start_all():
    cluster = world["cluster"]
    for image, program in (("echo2020", transformers.ECHO_2020), ("echoput", transformers.ECHO_PUT), ("echochunked", transformers.ECHO_CHUNKED), ("pull", transformers.PULL),
                           ("websocket", transformers.WEBSOCKET)):
        cluster.image(f"test/{image}:1", {"srv.py": program}, ["/srv.py", "80"])
    cluster.bucket("modes")
    world["etl"] = {
        "hpush, the document's manners": cluster.init(pod_spec("echo2020", "test/echo2020:1")),
        "hpush, PUT only": cluster.init(pod_spec("echoput", "test/echoput:1")),
        "hpush, chunked": cluster.init(pod_spec("echochunked", "test/echochunked:1")),
        "hrev": cluster.init(pod_spec("pullrev", "test/pull:1", mode="hrev://")),
        "hpull": cluster.init(pod_spec("pullpull", "test/pull:1", mode="hpull://")),
        "ws": cluster.init(pod_spec("websocket", "test/websocket:1", mode="ws://")),
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
        jobs = [pool.submit(cluster.get, "modes", NAMES[i % len(NAMES)], "uuid=" + list(world["etl"].values())[i % len(world["etl"])]) for i in range(200)]
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
    for query in ["uuid=" + world["etl"]["hpush, chunked"], f"uuid={world['etl']['ws']}&etl_args=stream"] * 5:
        hop = request("GET", cluster.url("/v1/objects/modes/100%20MiB?" + query), follow=False)
        parts = urllib.parse.urlsplit(hop.headers["Location"])
        with socket.create_connection((parts.hostname, parts.port)) as conn:
            conn.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert conn.recv(1000).startswith(b"HTTP/1.1 200")
    def idle():
        for target in cluster.targets:
            for line in request("GET", target.url + "/metrics").text.splitlines():
                if line.startswith("etlnode_transfers_in_flight ") and not line.endswith(" 0"):
                    return False
        return True
    harness.until(idle, "no transfer in flight")


def ask(how, name="64 KiB", more="", etl="ws", bucket="modes"):
    """`how`: the pod's etl_args."""
    return world["cluster"].get(bucket, name, f"uuid={world['etl'][etl]}&etl_args={urllib.parse.quote(how, safe='')}{more}")


def case_ws_replies():
    for label, size in SIZES:
        if size > 64 << 20:
            continue
        data = blob(size)
        for how, expected in (("md5", hashlib.md5(data).hexdigest().encode()), ("fragments:65536", data), ("stream", data)):
            answer = ask(how, label)
            assert answer.status == 200 and answer.body == expected, (label, how, answer)
    cluster = world["cluster"]
    for label, size in (("1 KiB", 1024), ("3 MiB", 3 << 20), ("64 MiB", 64 << 20)):
        data = blob(size)
        assert cluster.put("modes", label, data).status == 200
        for how in ("", "stream", "fragments:1000" if size < 4096 else "fragments:1000000"):
            answer = ask(how, label)
            assert answer.status == 200 and answer.body == data, (label, how, answer)
    assert ask("early", "64 MiB").body == b"early"
    assert cluster.put("modes", "a dir/näme%20?", b"named").status == 200
    asked = json.loads(ask("path", "a dir/näme%20?").body)
    assert asked == {"path": "a dir/näme%20?", "fqn": "", "etl_args": "path", "pipeline": ""}, asked


def case_ws_is_asked_for_reads_only():
    cluster = world["cluster"]
    query = "?uuid=" + world["etl"]["ws"]
    answer = request("HEAD", cluster.url("/v1/objects/modes/plain" + query))
    assert answer.status == 405, answer
    whole = cluster.get("modes", "64 KiB", query[1:], headers={"Range": "bytes=5-9"})
    assert whole.status == 200 and whole.body == blob(65536) and whole.headers["Accept-Ranges"] == "none", whole
    assert whole.headers["Content-Security-Policy"] == "sandbox", whole.headers


def case_ws_results_are_kept():
    cluster = world["cluster"]
    def keep(name, how, to):
        query = f"object_to={urllib.parse.quote('ais/@#/modes/' + to, safe='')}&etl_name={world['etl']['ws']}&etl_args={how}"
        return request("PUT", cluster.url(f"/v1/objects/modes/{urllib.parse.quote(name)}?{query}"))
    for label, size in SIZES[:4]:
        for how in ("echo", "stream", "fragments:100000"):
            for to in ("kept 1", "kept 2", "kept 3"):
                answer = keep(label, how, to)
                assert answer.status == 200, (label, how, answer)
                assert cluster.get("modes", to).body == blob(size), (label, how)
    for how in ("text:no", "close:1000", "begin:frame-200000", "begin:close-5", "masked"):
        answer = keep("64 KiB", how, "kept 1")
        assert answer.status in (500, 502, 503, 400), (how, answer)
        assert cluster.get("modes", "kept 1").body == blob(1 << 20), how


def case_ws_text_is_an_error():
    answer = ask("text:Transform error: 你好 is no image")
    assert answer.status == 500 and answer.json["message"] == "ETL error: Transform error: 你好 is no image", answer
    for how, part in (("text:0", 'replied with the text "0"'), ("text:", "replied with an empty text"), ("latin", 'text that is not UTF-8: "n\ufffdmlich"'),
                      ("text:" + "long " * 400, "long long")):
        answer = ask(how)
        assert answer.status in (500, 502) and part in answer.json["message"], (how, answer)


def case_ws_broken_before_a_byte():
    for how, status, part in (("close:1000", 502, "closed its WebSocket without an answer (code 1000)"), ("close:", 502, "(without a code)"),
                              ("close:1011 out of memory", 502, '(code 1011, "out of memory")'), ("vanish", 502, "closed the connection of its WebSocket"),
                              ("masked", 502, "masked"), ("control", 502, "not well formed"), ("begin:text-0", 502, "message inside another one")):
        answer = ask(how)
        assert answer.status == status and part in answer.json["message"], (how, answer)
    by_name = f"etl_name={world['etl']['ws']}&etl_args=vanish"
    statuses = [world["cluster"].get("modes", "1 B", by_name).status for _ in range(2)]
    assert statuses == [503, 400], statuses


def case_ws_cut_in_the_middle():
    """What has begun is cut by a reset, never ended as if it were whole."""
    for how in ("begin:close-300000", "begin:frame-300000", "begin:text-300000", "begin:die-300000"):  # what kills the pod comes last
        try:
            answer = ask(how)
        except CUT:
            continue
        raise AssertionError((how, answer))
    harness.until(lambda: ask("md5").status == 200, "the pod that died serves again", limit=60)


def case_ws_timeouts():
    cluster = world["cluster"]
    world["etl"]["short"] = cluster.init(pod_spec("websocketshort", "test/websocket:1", mode="ws://", annotations={"obj_timeout": "1s"}))
    answer = ask("silent", etl="short")
    assert answer.status == 504 and "timeout: the pod did not answer within obj_timeout (1s); to allow more time" in answer.json["message"], answer
    # Pings are no progress.
    answer = ask("storm:3600", etl="short")
    assert answer.status == 504, answer
    try:
        answer = ask("begin:stay-300000", etl="short")
    except CUT:
        pass
    else: # a busy machine: the pod did not even begin
        assert answer.status == 504, answer


def case_ws_pings_are_answered_once_a_second():
    answer = ask("storm:3")
    assert answer.status == 200, answer
    pongs, seconds = answer.body.split()
    assert 2 <= int(pongs) <= float(seconds) + 2, answer


def case_ws_needs_a_websocket():
    cluster = world["cluster"]
    world["etl"]["none"] = cluster.init(pod_spec("nowebsocket", "test/echoput:1", mode="ws://"))
    answer = ask("", etl="none")
    assert answer.status == 502 and "answered GET /ws with 501" in answer.json["message"] and "an ETL with communication_type ws:// needs a WebSocket server there" in answer.json["message"], answer


def case_ws_damage():
    """Damage of the stored object is met before a byte of its block reaches the pod; nothing that the pod made of a part looks whole."""
    cluster = world["cluster"]
    size = 900_001
    def contents():
        return {path for t in cluster.targets for path in glob.glob(os.path.join(cluster.dir, t.name, "objects", "*", "*"))}
    before = contents()
    assert cluster.put("modes", "damaged", blob(size)).status == 200
    path = harness.until(lambda: [path for path in contents() - before if os.path.getsize(path) == size], "the content is in its place")[0]
    with open(path, "r+b") as file:
        file.seek(size - 1000)
        byte = file.read(1)[0]
        file.seek(size - 1000)
        file.write(bytes([byte ^ 4]))
    answer = ask("", "damaged")
    assert answer.status == 500 and "data is corrupt" in answer.json["message"], answer
    try:
        answer = ask("stream", "damaged")
    except CUT:
        pass
    else:
        assert answer.status == 500 and "data is corrupt" in answer.json["message"], answer


def case_ws_large():
    if os.environ.get("LONG", "") in ("", "0"):
        raise harness.Skip("LONG=1 takes it")
    size = 1 << 30
    assert world["cluster"].put("modes", "1 GiB", blob(size)).status == 200
    assert hashlib.sha256(ask("stream", "1 GiB").body).digest() == hashlib.sha256(blob(size)).digest()


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
        ("ws: replies of every manner", case_ws_replies),
        ("ws: HEAD and Range", case_ws_is_asked_for_reads_only),
        ("ws: results are kept, or not at all", case_ws_results_are_kept),
        ("ws: a text is an error", case_ws_text_is_an_error),
        ("ws: broken before a byte", case_ws_broken_before_a_byte),
        ("ws: cut in the middle", case_ws_cut_in_the_middle),
        ("ws: timeouts", case_ws_timeouts),
        ("ws: pings in a storm", case_ws_pings_are_answered_once_a_second),
        ("ws: a server without a WebSocket", case_ws_needs_a_websocket),
        ("ws: a damaged object", case_ws_damage),
        ("ws: 1 GiB", case_ws_large),
        ("stop", case_stop),
    ], limit=300)
