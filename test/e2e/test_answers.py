#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Answers that do not mislead: ranges, conditions, headers, failure reasons, requests to retry, and the ETL that made an answer.

The object's content defines the pod's answer. It is a JSON with status, headers and body (text). `cut` closes the connection after this
many bytes of the body. `do` is hang, die, or redirect to the cleaned path. `pause` and `linger` are seconds before the body and before the
end. The server uses raw sockets, so that its answer goes out as written.
"""
import gzip
import http.client
import json
import os
import subprocess
import urllib.parse
import zlib

import harness
from harness import Skip, pod_spec, request, until

SERVER = r'''#!/usr/bin/env python3
import base64, json, os, signal, socket, struct, sys, threading, time, urllib.parse, urllib.request

def read_head(conn):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = conn.recv(65536)
        if not piece: return None
        data += piece
    head, rest = data.split(b"\r\n\r\n", 1)
    lines = head.decode("latin1").split("\r\n")
    return lines[0].split(" "), {l.split(":", 1)[0].lower(): l.split(":", 1)[1].strip() for l in lines[1:]}, rest

def serve(conn):
    got = read_head(conn)
    if got is None: return conn.close()
    (method, path, _), asked, body = got
    while len(body) < int(asked.get("content-length", 0)): body += conn.recv(1 << 20)
    if method in sys.argv[2:]: # methods that this server does not know
        conn.sendall(b"HTTP/1.1 501 Unsupported\r\nContent-Type: text/html\r\nContent-Length: 54\r\n\r\n<html><body><p>Unsupported method</p></body></html>   ")
        return conn.close()
    if method == "GET":
        read = urllib.request.urlopen(os.environ["AIS_TARGET_URL"] + path.split("?")[0])
        first = read.read(1)
        body = first
        while len(body) < 1 << 40:
            piece = read.read(2_500_000)
            if not piece: break
            body += piece
            if first == b"s": time.sleep(0.5)
        if first == b"s": body = b"{}"
    say = json.loads(body)
    out = base64.b64decode(say["raw"]) if "raw" in say else say.get("body", "").encode()
    if "when" in say and say["when"] not in asked: say = {"headers": {"ETag": '"v1"'}}; out = b"fresh"
    if say.get("do") == "hang": time.sleep(60)
    if say.get("do") == "die": os._exit(3)
    if say.get("do") == "close": return conn.close()
    if say.get("do") == "bytes":
        conn.sendall(out)
        if say.get("reset"): conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); time.sleep(0.5)
        return conn.close()
    if say.get("do") == "redirect": say = {"status": 307, "headers": {"Location": path.replace("//", "/")}}; out = b""
    if say.get("do") == "echo": out = json.dumps(asked).encode()
    headers = dict(say.get("headers", {}))
    framed = not say.get("unframed") and say.get("status", 200) not in (204, 304)
    if framed and "Content-Length" not in headers and "Transfer-Encoding" not in headers: headers["Content-Length"] = str(len(out))
    head = "HTTP/1.1 %d Said\r\n" % say.get("status", 200) + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
    conn.sendall(head.encode())
    if say.get("pause"): time.sleep(say["pause"])
    conn.sendall(out[:say.get("cut", len(out))])
    if say.get("linger"): time.sleep(say["linger"])
    conn.shutdown(socket.SHUT_WR)
    conn.settimeout(5)
    try:
        while conn.recv(65536): pass
    except OSError: pass
    conn.close()

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", int(sys.argv[1])))
listener.listen(64)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
'''
MODES = ("hpush", "hrev")
world = {"stored": {}}


def cluster():
    return world["cluster"]


def etl(mode, *knows_not, **notes):
    """One of each kind, started on first use."""
    key = (mode, knows_not, tuple(sorted(notes.items())))
    if key not in world["etls"]:
        world["etls"][key] = cluster().init(pod_spec(f"answers-{len(world['etls'])}", "test/answers:1", mode=mode + "://", command=["/srv.py", "80", *knows_not], annotations={"obj_timeout": "30s"} | notes))
    return world["etls"][key]


def store(say, name=None):
    body = say if isinstance(say, bytes) else json.dumps(say).encode()
    name = name or f"o{len(world['stored'])}"
    world["stored"][name] = body
    assert cluster().put("answers", name, body).status == 200
    return name


def read(which, say, headers=None, name=None, query="uuid", method="GET"):
    """The answer, or None if it was truncated."""
    name = store(say, name)
    url = f"{cluster().targets[0].url}/v1/objects/answers/{urllib.parse.quote(name)}?{query}={which}"
    try:
        return request(method, url, headers=headers, timeout=120)
    except (http.client.HTTPException, ConnectionResetError):
        return None


def message(answer):
    assert answer is not None, "cut"
    return answer.json["message"]


# --- ranges and conditions

def case_ranges_that_the_pod_ignores():
    for mode in MODES:
        for asked in ("bytes=0-1", "bytes=2-", "bytes=-1", "bytes=0-1,3-3", "bytes=9999-"):
            answer = read(etl(mode), {"body": "abcde", "headers": {"Accept-Ranges": "bytes"}}, {"Range": asked})
            assert answer.status == 200 and answer.body == b"abcde" and answer.headers.get_all("Accept-Ranges") == ["none"], (mode, asked, answer)
        answer = read(etl(mode), {"status": 206, "body": "bc", "headers": {"Content-Range": "bytes 1-2/5"}}, {"Range": "bytes=1-2"})
        assert answer.status == 206 and answer.body == b"bc", answer
        answer = read(etl(mode), {"status": 206, "body": "abcde", "headers": {"Content-Range": "bytes 0-4/5"}}, {"Range": "bytes=0-"})
        assert answer.status == 206 and answer.body == b"abcde", answer
        for wrong in ({}, {"Content-Range": "bytes 0-1/5"}, {"Content-Range": "bytes 1-4/5"}, {"Content-Range": "bytes */5"}):
            answer = read(etl(mode), {"status": 206, "body": "bc", "headers": wrong}, {"Range": "bytes=1-2"})
            assert answer.status == 502 and "another part" in answer.json["message"], (wrong, answer)


def case_a_part_is_whole_or_cut():
    """Neither chunks nor the end of the connection give the length of a part; its Content-Range does."""
    place = {"Content-Range": "bytes 1-200000/300000"}
    for mode in MODES:
        for size in (0, 3, 150_000, 199_999, 200_001, 250_000):
            body = "x" * size
            chunked = "".join(f"{len(piece):x}\r\n{piece}\r\n" for piece in (body[:100_000], body[100_000:]) if piece) + "0\r\n\r\n"
            for say in ({"body": chunked, "headers": place | {"Transfer-Encoding": "chunked"}}, {"body": body, "headers": place, "unframed": True}):
                answer = read(etl(mode), say | {"status": 206}, {"Range": "bytes=1-200000"})
                assert answer is None or (answer.status == 502 and f"206 with {size} bytes" in answer.json["message"]), (mode, size, say["headers"], answer)
        body = "x" * 200_000
        for say in ({"body": f"{len(body):x}\r\n{body}\r\n0\r\n\r\n", "headers": place | {"Transfer-Encoding": "chunked"}}, {"body": body, "headers": place, "unframed": True}):
            answer = read(etl(mode), say | {"status": 206}, {"Range": "bytes=1-200000"})
            assert answer is not None and answer.status == 206 and answer.body == body.encode(), (mode, say["headers"], answer)
        answer = read(etl(mode), {"status": 206, "body": "--x--", "headers": {"Content-Type": "multipart/byteranges; boundary=x"}}, {"Range": "bytes=1-2"})
        assert answer.status == 502 and "another part" in answer.json["message"], answer


def case_curl_resumes():
    if subprocess.run(["curl", "--version"], capture_output=True, check=False).returncode != 0:
        raise Skip("curl is not installed")
    whole = "x" * 20_000
    for mode in MODES:
        part = os.path.join(cluster().dir, "part")
        with open(part, "w", encoding="ascii") as file:
            file.write(whole[:1000])
        url = f"{cluster().targets[0].url}/v1/objects/answers/{store({'body': whole})}?uuid={etl(mode)}"
        done = subprocess.run(["curl", "-sSfL", "-C", "-", "-o", part, "--max-time", "60", url], capture_output=True, check=False)
        with open(part, encoding="ascii") as file:
            assert done.returncode != 0 or file.read() == whole, "curl -C - ended well over a part"


def case_two_ranges_of_a_plain_object():
    store(b"0123456789", "plain")
    answer = cluster().get("answers", "plain", headers={"Range": "bytes=0-1,5-6"})
    assert answer.status == 200 and answer.body == b"0123456789" and answer.headers["Accept-Ranges"] == "bytes", answer


def case_not_modified():
    say = {"status": 304, "headers": {"ETag": '"v1"'}}
    for name, value in (("If-None-Match", '"v1"'), ("If-Modified-Since", "Wed, 21 Oct 2099 07:28:00 GMT")):
        answer = read(etl("hrev"), say | {"when": name.lower()}, {name: value})
        assert answer.status == 304 and answer.body == b"" and answer.headers["ETag"] == '"v1"' and answer.headers["Etlnode-Etl"] == etl("hrev"), answer
        assert answer.headers["Content-Length"] is None, answer.headers
    assert read(etl("hrev"), say).status == 502  # the pod was not asked
    assert read(etl("hpush"), say, {"If-None-Match": '"v1"'}).status == 502  # the pod did not get the condition


def case_other_statuses():
    for mode in MODES:
        for status in (200, 201, 202, 203, 207, 226, 299):
            answer = read(etl(mode), {"status": status, "body": "fine"})
            assert answer.status == status and answer.body == b"fine", (mode, status, answer)
        for status in (204, 205, 206, 300, 301, 307, 399):
            answer = read(etl(mode), {"status": status, "headers": {"Content-Length": "0"} if status != 204 else {}})
            assert answer.status == 502 and str(status) in message(answer), (mode, status, answer)


# --- the reason of a failure

def case_the_reason_of_a_body_that_never_began():
    for mode in MODES:
        answer = read(etl(mode), {"headers": {"Transfer-Encoding": "chunked"}, "body": "zz\r\nnonsense"})
        assert answer is not None and answer.status == 502 and "chunk" in message(answer), answer
        answer = read(etl(mode), {"headers": {"Content-Length": "5"}})
        assert answer is not None and answer.status == 502 and "shorter than its Content-Length" in message(answer), answer
        answer = read(etl(mode, obj_timeout="2s"), {"headers": {"Content-Length": "5"}, "pause": 20, "body": "abcde"})
        assert answer is not None and answer.status == 504 and "obj_timeout (2s)" in message(answer) and "--object-timeout" in message(answer), answer
        assert read(etl(mode), {"headers": {"Content-Length": "5"}, "body": "abcde", "cut": 3, "linger": 5}) is None, "bytes were sent: only a cut is left"


def case_a_closed_connection_is_no_reason_for_another_method():
    for knows_not in ("PUT", "HEAD"):
        answer = read(etl("hpush", knows_not), {"do": "close"}, name=f"closed-{knows_not}")
        assert answer.status == 502 and "closed the connection without an answer to POST /answers/closed-" in message(answer), answer


def case_the_first_failure_is_reported():
    fresh = iter(range(100))

    def first_read(knows_not, say):
        which = cluster().init(pod_spec(f"first-{next(fresh)}", "test/answers:1", command=["/srv.py", "80", *knows_not]))
        answer = read(which, say)
        cluster().stop_etl(which)
        return answer

    answer = first_read(["PUT"], {"status": 400, "body": "cannot decode picture"})
    assert answer.status == 400 and message(answer) == "ETL error: cannot decode picture", answer
    answer = first_read(["POST"], {"status": 422, "body": "cannot decode picture"})
    assert answer.status == 422 and message(answer) == "ETL error: cannot decode picture", answer
    answer = first_read(["POST"], {"do": "close"})
    assert answer.status == 502 and "PUT" in message(answer), answer
    answer = first_read(["POST", "PUT"], {})
    assert answer.status == 501 and message(answer) == "ETL error: Unsupported method", answer


def case_error_texts():
    import base64
    text = "cannot decode picture"
    packed = {"gzip": gzip.compress(text.encode()), "deflate": zlib.compress(text.encode()), "br": b"\x0b\x02\x80xyz\x03"}
    for mode in MODES:
        for coding, body in packed.items():
            answer = read(etl(mode), {"status": 422, "headers": {"Content-Encoding": coding}, "raw": base64.b64encode(body).decode()})
            assert answer.status == 422 and (text if coding != "br" else "encoded as br") in message(answer), (mode, coding, answer)
            assert "\ufffd" not in message(answer), answer
        answer = read(etl(mode), {"status": 413})
        assert message(answer) == "ETL error: the pod answered 413 Content Too Large without a text", answer
        answer = read(etl(mode), {"status": 500, "headers": {"Content-Type": "text/html"}, "body": "<html><head><title>500</title></head><body><h1>Oops</h1>\n<p>it&#39;s broken</p></body></html>"})
        assert message(answer) == "ETL error: Oops it's broken", answer


def case_error_texts_of_all_kinds():
    import base64
    for mode in MODES:
        def told(status, body, **headers):
            answer = read(etl(mode), {"status": status, "headers": {name.replace("_", "-"): value for name, value in headers.items()}, "raw": base64.b64encode(body).decode()})
            assert answer.status == status, answer
            return message(answer).removeprefix("ETL error: ")

        assert told(500, b"<p>a < b, List<String> &#x2014; caf&eacute;</p>", Content_Type="text/html") == "a < b, List<String> \u2014 caf\u00e9"
        assert told(500, "caf\u00e9".encode("latin-1"), Content_Type="text/plain; charset=iso-8859-1") == "caf\u00e9"
        assert told(500, b"not packed", Content_Encoding="gzip") == "not packed"
        assert told(418, b"") == "the pod answered 418 without a text"
        # The first chunk is sent, whatever is wrong with the second.
        assert told(500, b"d\r\nthe first one\r\nzz\r\n", Transfer_Encoding="chunked") == "the first one"


def case_codes_agree_with_what_may_be_tried_again():
    for mode in MODES:
        for status, code, retryable in ((422, "bad_request", False), (429, "overloaded", True), (503, "unavailable", True), (500, "bad_pod_answer", False), (408, "request_timeout", True)):
            answer = read(etl(mode), {"status": status, "body": "no"})
            assert (answer.status, answer.json["code"], answer.json["retryable"]) == (status, code, retryable), answer


def case_what_is_no_redirect():
    for mode in MODES:
        for status, word in ((300, "300 Multiple Choices"), (304, "304 Not Modified"), (399, "399")):
            answer = read(etl(mode), {"status": status, "headers": {"Location": "/x"}})
            assert answer.status == 502 and f"unexpected status {word}" in message(answer) and "redirect" not in message(answer), answer


def case_bytes_that_are_no_head():
    for mode in MODES:
        answer = read(etl(mode), {"do": "bytes", "body": "just \"this\", without a head"})
        assert answer.status == 502 and 'closed the connection inside its answer\'s head, which began with "just \\"this\\", without a head"' in message(answer), answer
        answer = read(etl(mode), {"do": "bytes", "body": "HTTP/1.1 102 Processing\r\n\r\n"})
        assert answer.status == 502 and "behind an informational answer" in message(answer), answer
        answer = read(etl(mode), {"do": "bytes", "body": "just this", "reset": True})
        assert answer.status == 502 and 'reset the connection inside its answer\'s head, which began with "just this"' in message(answer), answer


def case_what_is_wrong_is_named():
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"  # no byte of the body has reached the client
    for mode in MODES:
        for said, word in ((head + "zz\r\n", "bad chunk size"), (head + "0\r\n" + "T: t\r\n" * 20_000 + "\r\n", "trailers are too large"), (head + "2\r\nabcd\r\n", "chunk is longer than its size"),
                           ("ICY 200 OK\r\nContent-Length: 0\r\n\r\n", "does not begin with HTTP/1.1"), ("\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "an empty line before"),
                           ("\ufeffHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "byte order mark")):
            answer = read(etl(mode), {"do": "bytes", "body": said})
            assert answer.status == 502 and word in message(answer), (mode, said[:60], answer)


def case_come_again():
    for mode in MODES:
        for status in (503, 429):
            answer = read(etl(mode), {"status": status, "headers": {"Retry-After": "7"}, "body": "busy"})
            assert answer.status == status and answer.headers.get_all("Retry-After") == ["7"] and answer.json["retryable"] is True, answer
        for nonsense in ("soon", "-1", "1.5", "1, 2", "99999999999999999999"):
            answer = read(etl(mode), {"status": 503, "headers": {"Retry-After": nonsense}, "body": "busy"})
            assert answer.headers.get_all("Retry-After") == ["1"], (nonsense, answer)
        answer = read(etl(mode), {"status": 503, "body": "busy"})
        assert answer.headers.get_all("Retry-After") == ["1"] and answer.json["retryable"] is True, answer
        answer = read(etl(mode), {"status": 422, "headers": {"Retry-After": "7"}})
        assert answer.headers["Retry-After"] is None and answer.json["retryable"] is False, answer


def case_a_redirecting_router():
    for mode in MODES:
        answer = read(etl(mode), {"do": "redirect"}, name="a//b")
        assert answer.status == 502 and "/answers/a/b" in message(answer) and "redirect (307)" in message(answer) and "//" in message(answer).split("; ")[1], answer


def case_reading_the_object_is_progress():
    which = etl("hrev", obj_timeout="8s")  # reading takes 12 s; with 3 s, the data in the kernel's buffers at the end could exceed the limit on a busy machine
    answer = read(which, b"s" * 60_000_000, name="large")  # read at 2.5 MB per step, with pauses of 0.5 s
    assert answer is not None and answer.status == 200, answer


# --- timeouts and deaths, by the form in which the client named the ETL

def case_timeouts_by_name():
    which = etl("hpush", obj_timeout="2s")
    answer = read(which, {"do": "hang"})
    assert answer.status == 504 and answer.json["code"] == "timed_out", answer
    answer = read(which, {"do": "hang"}, query="etl_name")
    assert answer.status == 400 and answer.json["code"] == "timed_out" and answer.json["retryable"] is False and "timeout" in message(answer), answer
    done = cluster().run("etlctl", "etl", "object", which, "answers/" + store({"do": "hang"}), "-", check=False)
    assert done.returncode == 7, done


def case_deaths_by_name():
    which = cluster().init(pod_spec("mortal", "test/answers:1", command=["/srv.py", "80"]))

    def again():
        return until(lambda: read(which, {"body": "well"}).status == 200, "the pod is back", 60, 0.2)

    answer = read(which, {"do": "die"}, name="deadly")
    assert answer.status == 502 and answer.json["code"] == "pod_gone", answer
    again()
    first = read(which, {"do": "die"}, name="deadly", query="etl_name")
    assert first.status == 503 and first.headers["Retry-After"] and first.json["code"] == "pod_gone", first
    again()
    second = read(which, {"do": "die"}, name="deadly", query="etl_name")
    assert second.status == 400 and second.json["code"] == "pod_gone" and "ETL error" in message(second), second
    again()
    other = read(which, {"do": "die"}, name="deadly, too", query="etl_name")
    assert other.status == 503, other
    cluster().stop_etl(which)


# --- headers

def case_headers_of_hrev():
    passes = {"ETag": '"v1"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT", "Cache-Control": "no-store", "Content-Disposition": "inline", "Content-Language": "de", "Content-Type": "text/csv",
              "X-Label": "cat", "Vary": "Accept"}
    stays = {"Ais-Checksum-Value": "1", "Ais-Checksum-Type": "xxhash2", "Ais-Atime": "1", "Ais-Bucket-Props": "{}", "Etlnode-Cluster-Secret": "s", "WWW-Authenticate": "Basic", "Set-Cookie": "a=b",
             "Location": "http://evil.example", "Refresh": "0;url=http://evil.example", "Clear-Site-Data": '"*"', "Strict-Transport-Security": "max-age=1", "Alt-Svc": 'h2="evil.example:1"',
             "Access-Control-Allow-Origin": "*", "Authorization": "x", "X-Accel-Redirect": "/etc/passwd", "X-Foo": "hop", "Etlnode-Etl": "another"}
    answer = read(etl("hrev"), {"headers": passes | stays | {"Connection": "close, X-Foo"}, "body": "x"})
    for name, value in passes.items():
        assert answer.headers[name] == value, name
    for name, value in stays.items():
        assert value not in (answer.headers.get_all(name) or []), name
    answer = read(etl("hpush"), {"headers": passes | stays, "body": "x"})
    assert answer.headers["ETag"] is None and answer.headers["X-Label"] is None and answer.headers["Content-Disposition"] == "inline", answer.headers


def case_headers_to_the_pod():
    answer = read(etl("hrev"), {"do": "echo"}, {"X-Mine": "1", "X-Hop": "2", "Connection": "close, X-Hop", "Authorization": "secret", "Cookie": "secret", "Etlnode-Cluster-Secret": "secret"})
    assert answer.json.get("x-mine") == "1" and "x-hop" not in answer.json and "secret" not in answer.text, answer


def case_what_a_browser_would_execute():
    for mode in MODES:
        for kind in ("text/html", "Text/HTML; charset=utf-8", "image/svg+xml", "application/xhtml+xml", "application/xml", "text/javascript", None):
            answer = read(etl(mode), {"headers": {"Content-Type": kind} if kind else {}, "body": "<script>alert(1)</script>"})
            assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Content-Security-Policy"] == "sandbox", (mode, kind, answer.headers)
            assert answer.headers["Content-Type"] == kind, answer.headers
        answer = read(etl(mode), {"headers": {"Content-Type": "image/png"}, "body": "x"})
        assert answer.headers["Content-Security-Policy"] is None, answer.headers


def case_which_etl():
    for mode in MODES:
        show = request("GET", cluster().url(f"/v1/etl/{etl(mode)}")).json
        for say in ({"body": "x"}, {"status": 422, "body": "no"}, {"do": "redirect"}):
            answer = read(etl(mode), say)
            assert answer.headers["Etlnode-Etl"] == etl(mode) and answer.headers["Etlnode-Etl-Generation"] == show["generation"], answer.headers
    store({"body": "x"}, "pulled")
    hop = request("GET", f"{cluster().targets[0].url}/v1/objects/answers/pulled?uuid={etl('hpull')}", follow=False)
    assert hop.status == 307 and hop.headers["Etlnode-Etl"] == etl("hpull") and hop.headers["Etlnode-Etl-Generation"], hop.headers
    plain = cluster().get("answers", "pulled")
    assert plain.headers["Etlnode-Etl"] is None, plain.headers


# --- unframed answers, and the counters

def metric(name, **labels):
    total = 0
    for target in cluster().targets:
        for line in request("GET", target.url + "/metrics").text.splitlines():
            if line.startswith(name + "{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
    return total


def case_unframed_answers_are_reported():
    which = etl("hpush", wait_timeout="31s")
    assert metric("etlnode_etl_unframed_total", etl=which) == 0
    for _ in range(3):
        assert read(which, {"unframed": True, "body": "open"}).body == b"open"
    until(lambda: metric("etlnode_etl_unframed_total", etl=which) == 3, "three are counted")
    log = cluster().log_tail("target1", 100_000)
    warnings = [line for line in log.splitlines() if "level=warn" in line and f"etl={which} " in line and "require_framing" in line]
    assert len(warnings) == 1, warnings
    targets = request("GET", cluster().url(f"/v1/etl/{which}")).json["targets"]
    assert [row["unframed"] for row in targets] == [3], targets
    shown = cluster().run("etlctl", "etl", "show", which).stdout.decode()
    assert "UNFRAMED" in shown, shown


def case_framing_by_default():
    with harness.Cluster(targets=1, target_arguments=["--require-framing", "true"]) as strict:
        strict.image("test/answers:1", {"srv.py": SERVER}, ["/srv.py", "80"])
        strict.bucket("answers")
        assert strict.put("answers", "open", json.dumps({"unframed": True, "body": "open"}).encode()).status == 200
        for notes, status in (({}, 502), ({"require_framing": "false"}, 200), ({"require_framing": "true"}, 502)):
            which = strict.init(pod_spec("framed", "test/answers:1", command=["/srv.py", "80"], annotations=notes))
            answer = strict.get("answers", "open", "uuid=" + which)
            assert answer.status == status, (notes, answer)
            strict.stop_etl(which)


def case_outcomes():
    which = etl("hpush", obj_timeout="2s", wait_timeout="32s")
    read(which, {"body": "x"})
    assert request("GET", f"{cluster().targets[0].url}/v1/objects/answers/nothing-there?uuid={which}").status == 404
    missing = request("GET", f"{cluster().targets[0].url}/v1/objects/answers/nothing-there?uuid={which}")
    assert message(missing).startswith("t[t") and "t[]" not in message(missing), missing
    read(which, {"body": "x"}, method="HEAD")
    read(which, {"do": "hang"})
    read(which, {"status": 422})
    read(which, {"status": 304})
    read(which, {"headers": {"Content-Length": "5"}, "body": "abc", "linger": 5})
    expected = {"ok": 1, "client_error": 3, "timeout": 1, "pod_error": 2, "cut": 1, "unavailable": 0, "failed": 0}
    until(lambda: sum(metric("etlnode_etl_requests_total", etl=which, outcome=outcome) for outcome in expected) >= 8, "all are counted")
    seen = {outcome: metric("etlnode_etl_requests_total", etl=which, outcome=outcome) for outcome in expected}
    assert seen == expected, seen


with harness.Cluster(targets=1) as made:
    world.update(cluster=made, etls={})
    made.image("test/answers:1", {"srv.py": SERVER}, ["/srv.py", "80"])
    made.bucket("answers")
    harness.run([
        ("ranges that the pod ignores", case_ranges_that_the_pod_ignores),
        ("a part is whole or cut", case_a_part_is_whole_or_cut),
        ("curl resumes", case_curl_resumes),
        ("two ranges of a plain object", case_two_ranges_of_a_plain_object),
        ("not modified", case_not_modified),
        ("other statuses", case_other_statuses),
        ("the reason of a body that never began", case_the_reason_of_a_body_that_never_began),
        ("a closed connection is no reason for another method", case_a_closed_connection_is_no_reason_for_another_method),
        ("the first failure is reported", case_the_first_failure_is_reported),
        ("error texts", case_error_texts),
        ("error texts of all kinds", case_error_texts_of_all_kinds),
        ("codes agree with what may be tried again", case_codes_agree_with_what_may_be_tried_again),
        ("what is no redirect", case_what_is_no_redirect),
        ("bytes that are no head", case_bytes_that_are_no_head),
        ("what is wrong is named", case_what_is_wrong_is_named),
        ("come again", case_come_again),
        ("a redirecting router", case_a_redirecting_router),
        ("reading the object is progress", case_reading_the_object_is_progress),
        ("timeouts by name", case_timeouts_by_name),
        ("deaths by name", case_deaths_by_name),
        ("headers of hrev", case_headers_of_hrev),
        ("headers to the pod", case_headers_to_the_pod),
        ("what a browser would execute", case_what_a_browser_would_execute),
        ("which ETL", case_which_etl),
        ("unframed answers are reported", case_unframed_answers_are_reported),
        ("framing by default", case_framing_by_default),
        ("outcomes", case_outcomes),
    ], limit=300)
