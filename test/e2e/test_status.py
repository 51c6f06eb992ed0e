#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The answer of a transformed read when the pod misbehaves: one row per behaviour, for hpush and hrev (PROTOCOL.md has the table)."""
import http.client
import re

import harness
import transformers
from harness import pod_spec, request

CUT = "cut"
# behaviour, expected status (or CUT), part of the error text
ROWS = [
    ("ok", 200, None),
    ("typed", 200, None),
    ("some-1xx", 200, None),
    ("open-ended", 200, None),
    ("status-400", 400, "ETL error: my reason"),
    ("status-403", 403, "ETL error: my reason"),
    ("status-404", 404, "ETL error: my reason"),
    ("status-422", 422, "ETL error: my reason"),
    ("status-500", 500, "ETL error: my reason"),
    ("status-503", 503, "ETL error: my reason"),
    ("garbage", 502, "ETL error"),
    ("bad-length", 502, "ETL error"),
    ("two-lengths", 502, "ETL error"),
    ("redirect", 502, "ETL error"),
    ("no-content", 502, "ETL error"),
    ("close-before-head", 502, "ETL error"),
    ("reset-before-head", 502, "ETL error"),
    ("half-head", 502, "ETL error"),
    ("big-head", 502, "ETL error"),
    ("many-1xx", 502, "ETL error"),
    ("hang", 504, "timeout"),
    ("stall", CUT, None),
    ("short", CUT, None),
    ("short-big", CUT, None),
    ("long", CUT, None),
    ("bad-chunk", CUT, None),
    ("no-last-chunk", CUT, None),
    ("reset-in-body", CUT, None),
    ("die-in-body", CUT, None),
]
world = {}


def read(cluster, etl, name, headers=None):
    try:
        return cluster.get("status", name, "uuid=" + etl, headers=headers, timeout=120)
    except (http.client.HTTPException, OSError):
        return CUT


# When the pod dies, resets or closes, the path depends on how much of its answer has arrived, so there is no golden trace.
UNSTEADY = ("die-in-body", "reset-in-body", "short", "short-big", "long", "bad-chunk", "reset-before-head", "no-last-chunk")


def case_row(mode, name, expected, text):
    def run():
        cluster = world["cluster"]
        world["traces"].begin()
        etl = world[mode + ", impatient" if name in ("hang", "stall") else mode]
        answer = read(cluster, etl, name)
        if name not in UNSTEADY:
            world["traces"].check(f"{mode}, {name}", "awaiting_object", "done")
        if name == "die-in-body":  # the pod recovers by itself, which may take a moment on a busy machine
            assert answer == CUT or answer.status in (502, 503), answer
            harness.until(lambda: getattr(read(cluster, world[mode], "ok"), "status", 0) == 200, "the pod came back", 30)
            return
        if expected == CUT:
            # If nothing of the answer has been sent yet, a status is as correct as a cut.
            assert answer == CUT or answer.status in (502, 504), answer
        else:
            assert answer != CUT and answer.status == expected, answer
        if text:
            assert text in answer.text, answer
            assert answer.json["status"] == expected
            if expected == 503:
                assert answer.headers["Retry-After"]
        again = read(cluster, world[mode], "ok")
        assert again != CUT and again.status == 200 and again.body == b"ok", again
    return run


def case_type_and_no_foreign_headers():
    answer = read(world["cluster"], world["hpush"], "typed")
    assert answer.headers["Content-Type"] == "text/x-mine"
    for name in ("ETag", "Ais-Checksum-Value", "Ais-Version"):
        assert answer.headers[name] is None, name


def case_ranges():
    cluster = world["cluster"]
    for mode in ("hpush", "hrev"):
        answer = read(cluster, world[mode], "ok", {"Range": "bytes=0-"})
        assert answer.status == 200, answer
        answer = read(cluster, world[mode], "ok", {"Range": "bytes=1-"})  # not 416: tools that resume take that for "I have it all"
        assert answer.status == 200 and answer.body == b"ok" and answer.headers["Accept-Ranges"] == "none", answer
        answer = read(cluster, world[mode], "partial", {"Range": "bytes=1-2"})
        assert answer.status == 206 and answer.headers["Content-Range"] == "bytes 1-2/5" and answer.body == b"bc", answer
        answer = read(cluster, world[mode], "partial")
        assert answer.status == 502, answer


def case_http_1_0_clients_see_a_reset():
    import socket
    import urllib.parse
    cluster = world["cluster"]
    hop = request("GET", cluster.url("/v1/objects/status/short-big?uuid=" + world["hpush"]), follow=False)
    parts = urllib.parse.urlsplit(hop.headers["Location"])
    with socket.create_connection((parts.hostname, parts.port), timeout=120) as conn:
        conn.sendall(f"GET {parts.path}?{parts.query} HTTP/1.0\r\n\r\n".encode())
        got = b""
        try:
            while True:
                piece = conn.recv(65536)
                if not piece:
                    break
                got += piece
        except ConnectionResetError:
            return
        head = got.split(b"\r\n\r\n")[0]
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length and len(got) - len(head) - 4 < int(length.group(1)), "a cut answer looked complete"


def case_framing_required():
    cluster = world["cluster"]
    answer = read(cluster, world["framed"], "open-ended")
    assert answer.status == 502 and "require_framing" in answer.text, answer
    assert read(cluster, world["framed"], "ok").status == 200


def case_other_methods():
    cluster = world["cluster"]
    path = cluster.url("/v1/objects/status/ok?uuid=" + world["hpush"])
    answer = request("HEAD", path)
    assert answer.status == 405, answer
    answer = request("HEAD", cluster.url("/v1/objects/status/ok?uuid=" + world["hrev"]))
    assert answer.status in (200, 501), answer


def case_counted():
    cluster = world["cluster"]
    text = "".join(request("GET", t.url + "/metrics").text for t in cluster.targets)
    for outcome in ("ok", "client_error", "timeout", "pod_error", "cut"):
        found = re.findall(rf'etlnode_etl_requests_total{{[^}}]*outcome="{outcome}"[^}}]*}} (\d+)', text)
        assert sum(int(n) for n in found) > 0, outcome


with harness.Cluster(targets=1, log_level="state") as made:
    world["cluster"] = made
    world["traces"] = harness.Traces(made, made.targets[0], "transfer")
    made.image("test/hostile:1", {"srv.py": transformers.HOSTILE}, ["/srv.py", "80"])
    made.bucket("status")
    for row in ROWS + [("partial", 0, None)]:
        made.put("status", row[0], b"some content")
    # The limit is short where no answer may come; elsewhere a slow machine must not reach it.
    for mode in ("hpush", "hrev"):
        world[mode] = made.init(pod_spec("hostile-" + mode, "test/hostile:1", mode=mode + "://", annotations={"obj_timeout": "60s"}))
        world[mode + ", impatient"] = made.init(pod_spec("impatient-" + mode, "test/hostile:1", mode=mode + "://", annotations={"obj_timeout": "2s"}))
    world["framed"] = made.init(pod_spec("framed", "test/hostile:1", annotations={"require_framing": "true"}))
    cases = []
    for how in ("hpush", "hrev"):
        cases += [(f"{how}, {row[0]}", case_row(how, *row)) for row in ROWS]
    harness.run(cases + [
        ("content type, and no foreign headers", case_type_and_no_foreign_headers),
        ("ranges", case_ranges),
        ("HTTP/1.0 clients see a reset", case_http_1_0_clients_see_a_reset),
        ("framing required", case_framing_required),
        ("other methods", case_other_methods),
        ("counted", case_counted),
    ])
