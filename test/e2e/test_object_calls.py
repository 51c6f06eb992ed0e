#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What AIStore's clients do with one object beside reading, storing and deleting it: metadata of their own, other checksums, another name,
parts, appends."""
import concurrent.futures
import hashlib
import json
import os
import random
import signal
import threading
import urllib.parse

import harness
from harness import Cluster, request, until

world = {}
draw = random.Random(11)
MIB = 1 << 20


def cluster():
    return world["cluster"]


def path(name, bucket="b"):
    return cluster().url(f"/v1/objects/{bucket}/{urllib.parse.quote(name, safe='/')}")


def send(method, name, query="", body=None, headers=None, bucket="b"):
    """To the proxy first, without the body, as clients do that wait for the redirect."""
    hop = request(method, path(name, bucket) + ("?" + query if query else ""), b"", follow=False)
    if hop.status not in (301, 307):
        return hop
    return request(method, hop.headers["Location"], body, headers)


def action(method, name, value, query="", bucket="b"):
    return send(method, name, query, json.dumps(value), {"Content-Type": "application/json"}, bucket)


def head(name, props="", bucket="b"):
    return request("HEAD", path(name, bucket) + (f"?props={props}" if props else ""))


def refused(answer, status, text):
    assert answer.status == status and text in answer.json["message"], answer


def custom(name):
    return dict(line.split("=", 1) for line in head(name, "custom").headers.get_all("Ais-Custom-Md") or [])


def names(bucket="b"):
    answer = request("GET", cluster().url(f"/v1/buckets/{bucket}"), json.dumps({"action": "list", "value": {"props": "name"}}))
    return [one["name"] for one in answer.json["entries"] or []]


def other_name(name, bucket="b", same=False):
    """A name that belongs to another target than this object, or to the same one."""
    owner = cluster().holder(bucket, name)
    return next(one for one in (f"{name}.{i}" for i in range(1000)) if (cluster().holder(bucket, one) is owner) == same)


# --- metadata


def case_metadata_of_a_users_own():
    cluster().put("b", "meta", b"content")
    assert custom("meta") == {}
    before = head("meta").headers
    assert action("PATCH", "meta", {"value": {"k": "v", "way": "a b=c"}}).status == 200
    assert custom("meta") == {"k": "v", "way": "a b=c"}
    assert action("PATCH", "meta", {"value": {"k": "w", "new": ""}}).status == 200
    assert custom("meta") == {"k": "w", "way": "a b=c", "new": ""}
    got = cluster().get("b", "meta")
    assert got.body == b"content" and "k=w" in got.headers.get_all("Ais-Custom-Md"), got.headers
    after = head("meta").headers
    assert after["ETag"] == before["ETag"] and int(after["Ais-Version"]) > int(before["Ais-Version"]), (before, after)
    assert action("PATCH", "meta", {"value": {"only": "1"}}, "set-new-custom=true").status == 200
    assert custom("meta") == {"only": "1"}
    assert action("PATCH", "meta", {"value": {}}, "set-new-custom=true").status == 200
    assert custom("meta") == {}


def case_metadata_that_cannot_be_kept():
    cluster().put("b", "meta", b"content")
    for value, text in [(None, "expected an object"), ([], "expected an object"), ({"k": 1}, "must be a text"), ({"": "v"}, "a name is empty"),
                        ({"a=b": "v"}, "a name must not contain"), ({"a": "x\r\nEvil: 1"}, "a value must not contain"), ({"a": "x "}, "must not end with a space"), ({"k": "v" * 20000}, "may have 16384 bytes together")]:
        refused(action("PATCH", "meta", {"value": value}), 400, text)
    refused(send("PATCH", "meta", "", "{"), 400, "JSON")
    refused(action("PATCH", "none", {"value": {"k": "v"}}), 404, "ais://b/none does not exist")
    refused(action("PATCH", "meta", {"value": {"k": "v"}}, bucket="nowhere"), 404, "does not exist")
    assert custom("meta") == {}


def case_as_many_names_of_metadata_as_clients_can_read():
    cluster().put("b", "names", b"content")
    assert action("PATCH", "names", {"value": {f"k{i}": "v" for i in range(64)}}).status == 200
    refused(action("PATCH", "names", {"value": {"one more": "v"}}), 400, "a name must not contain")
    refused(action("PATCH", "names", {"value": {"one-more": "v"}}), 400, "may have 64 names")
    assert action("PATCH", "names", {"value": {"k0": "w"}}).status == 200
    assert len(custom("names")) == 64 and custom("names")["k0"] == "w" and cluster().get("b", "names").body == b"content"


def case_metadata_and_a_large_content():
    content = draw.randbytes(3 * MIB + 5)
    cluster().put("b", "large meta", content)
    for i in range(3):
        assert action("PATCH", "large meta", {"value": {f"k{i}": "v"}}).status == 200
    assert cluster().get("b", "large meta").body == content
    cluster().holder("b", "large meta").kill()
    node = next(one for one in cluster().targets if one.process is None)
    node.start()
    cluster().wait_registered()
    assert cluster().get("b", "large meta").body == content and len(custom("large meta")) == 3


def case_copies_keep_the_metadata_and_overwriting_ends_it():
    for same in (True, False):
        cluster().put("b", "copied", b"content")
        assert action("PATCH", "copied", {"value": {"k": "v"}}).status == 200
        to = other_name("copied", same=same)
        assert request("PUT", path("copied") + "?object_to=" + urllib.parse.quote(f"ais/@#/b/{to}", safe="")).status == 200
        assert custom(to) == {"k": "v"} and cluster().get("b", to).body == b"content"
        cluster().put("b", to, b"another")
        assert custom(to) == {}


def case_changes_of_metadata_at_once():
    cluster().put("b", "contended", b"content")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda i: action("PATCH", "contended", {"value": {f"k{i}": str(i)}}).status, range(24)))
    assert set(done) == {200}, done
    assert custom("contended") == {f"k{i}": str(i) for i in range(24)}


# --- properties and checksums

def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82f63b78 if crc & 1 else 0)
    return f"{crc ^ 0xffffffff:08x}"


def case_checksums_of_other_types():
    for data in (b"", b"123456789", draw.randbytes(300_000)):
        kinds = {kind: getattr(hashlib, kind)(data).hexdigest() for kind in ("md5", "sha256", "sha512")}
        if len(data) < 100:
            kinds["crc32c"] = crc32c(data)
        for kind, value in kinds.items():
            good = cluster().put("b", "summed", data, {"Ais-Checksum-Type": kind, "Ais-Checksum-Value": value.upper()})
            assert good.status == 200, good
            for answer in (head("summed", "checksum"), cluster().get("b", "summed")):
                assert (answer.headers["Ais-Checksum-Type"], answer.headers["Ais-Checksum-Value"]) == (kind, value), answer.headers
            wrong = ("0" if value[0] != "0" else "1") + value[1:]
            bad = cluster().put("b", "summed", data + b"", {"Ais-Checksum-Type": kind, "Ais-Checksum-Value": wrong})
            refused(bad, 400, f"BAD DATA CHECKSUM: {kind}({wrong} != {value})")
    plain = cluster().put("b", "plain", b"abc")
    value = plain.headers["Ais-Checksum-Value"]
    assert crc32c(b"123456789") == "e3069283"
    for kind in ("xxhash", "xxhash2"):
        assert cluster().put("b", "plain", b"abc", {"Ais-Checksum-Type": kind, "Ais-Checksum-Value": value}).status == 200
        refused(cluster().put("b", "plain", b"abd", {"Ais-Checksum-Type": kind, "Ais-Checksum-Value": value}), 400, f"BAD DATA CHECKSUM: {kind}({value} != ")
    assert cluster().get("b", "plain").body == b"abc"
    refused(cluster().put("b", "plain", b"abc", {"Ais-Checksum-Type": "md5", "Ais-Checksum-Value": "00"}), 400, "is not 32 hex digits")
    refused(cluster().put("b", "plain", b"abc", {"Ais-Checksum-Value": value}), 400, "without Ais-Checksum-Type")
    refused(cluster().put("b", "plain", b"abc", {"Ais-Checksum-Type": "adler", "Ais-Checksum-Value": "00"}), 400, 'checksum type "adler" is not supported')


def case_properties():
    cluster().put("b", "props", b"content")
    tag = head("props", "etag").headers["ETag"]
    assert tag.startswith('"v1-') and tag.endswith('"'), tag
    part = cluster().get("b", "props", headers={"Range": "bytes=0-2", "If-Range": tag})
    assert part.status == 206 and part.body == b"con", part
    cluster().put("b", "props", b"CONTENT")
    whole = cluster().get("b", "props", headers={"Range": "bytes=0-2", "If-Range": tag})
    assert whole.status == 200 and whole.body == b"CONTENT", whole
    assert head("props", "chunked").headers.get("Ais-Chunks-Count") is None
    bad = request("HEAD", path("props") + "?props=nosuch")
    assert bad.status == 400 and "invalid property" in bad.headers["Hdr-Error"], bad.headers
    assert action("POST", "props", {"action": "check-lock"}).status == 200
    refused(action("POST", "none", {"action": "check-lock"}), 404, "does not exist")
    refused(action("POST", "props", {"action": "dance"}), 400, 'unknown action "dance"')
    refused(action("POST", "props", {"action": "blob-download"}), 501, "not implemented")
    refused(action("POST", "props", {"action": 5}), 400, "action: expected a text")
    refused(action("POST", "props", {"action": "rename-obj", "name": 5}), 400, "name: expected a text")
    refused(action("POST", "props", {"action": "mpt-complete", "value": []}), 400, "mpt-complete needs uploadId=")
    refused(action("POST", "props", {"action": "rename-obj", "name": "x"}, "uploadId=abcdefghi-" + "t" * 8), 404, "no longer in the cluster")
    upload = begin_upload("props")
    refused(action("POST", "props", {"action": "rename-obj", "name": "x"}, f"uploadId={upload}"), 400, "rename-obj is not about an upload")
    assert abort("props", upload).status == 200


# --- another name

def case_rename():
    for size in (0, 100, 2 * MIB + 1):
        for same in (True, False):
            content = draw.randbytes(size)
            cluster().put("b", "old", content)
            assert action("PATCH", "old", {"value": {"k": "v"}}).status == 200
            to = other_name("old", same=same)
            done = action("POST", "old", {"action": "rename-obj", "name": to})
            assert done.status == 200, done
            assert cluster().get("b", to).body == content and custom(to) == {"k": "v"}
            assert cluster().get("b", "old").status == 404
    refused(action("POST", "old", {"action": "rename-obj", "name": "x"}), 404, "ais://b/old does not exist")
    cluster().put("b", "old", b"1")
    refused(action("POST", "old", {"action": "rename-obj", "name": "old"}), 400, "has this name already")
    for bad in ("", "../x", "a" * 3000):
        refused(action("POST", "old", {"action": "rename-obj", "name": bad}), 400, "invalid object name")
    assert cluster().get("b", "old").body == b"1"


def case_renames_that_share_a_name_are_done_one_after_the_other():
    for i in range(4):
        cluster().put("b", "one", b"content")
        wanted = [f"many.{i}.{k}" for k in range(12)]
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            done = list(pool.map(lambda name: action("POST", "one", {"action": "rename-obj", "name": name}).status, wanted))
        # Those that come too late change nothing.
        assert sorted(done) == [200] + [404] * 11, done
        assert [name for name in names() if name == "one" or name.startswith(f"many.{i}.")] == [wanted[done.index(200)]], done
    a, b = "left", other_name("left", same=True)
    cluster().put("b", a, b"A" * 300_000)
    cluster().put("b", b, b"B" * 300_000)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda k: action("POST", (a, b)[k % 2], {"action": "rename-obj", "name": (b, a)[k % 2]}).status, range(32)))
    assert set(done) <= {200, 404} and 200 in done, done
    assert sorted(cluster().get("b", name).status for name in (a, b)) == [200, 404]


def case_the_content_is_always_under_one_of_the_names():
    content = draw.randbytes(MIB)
    a, b = "swing", other_name("swing")
    cluster().put("b", a, content)
    stop, lost = threading.Event(), []

    def read():
        # The order matters: the content may move from the first name to the second between two reads, but not twice unseen.
        while not stop.is_set():
            got = [cluster().get("b", name) for name in (a, b, a, b, a)]
            if not any(one.status == 200 and one.body == content for one in got):
                lost.append(got)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for one in readers:
        one.start()
    for i in range(10):
        done = action("POST", (a, b)[i % 2], {"action": "rename-obj", "name": (b, a)[i % 2]})
        assert done.status == 200, done
    stop.set()
    for one in readers:
        one.join()
    assert not lost, lost


def case_a_rename_that_is_killed_is_ended_by_a_repeat():
    content = draw.randbytes(24 * MIB)
    to = other_name("doomed")
    for _ in range(4):
        cluster().put("b", "doomed", content)
        request("DELETE", path(to))
        holder = cluster().holder("b", "doomed")
        url = request("POST", path("doomed"), b"", follow=False).headers["Location"]
        asking = threading.Thread(target=lambda: ignore_breaks(lambda: request("POST", url, json.dumps({"action": "rename-obj", "name": to}))))
        asking.start()
        until(lambda: asking.join(draw.random() / 5) or True, "a moment")
        holder.kill()
        asking.join()
        holder.start()
        cluster().wait_registered()
        found = [name for name in ("doomed", to) if cluster().get("b", name).body == content]
        assert found, "the content is lost"
        if "doomed" in found:
            done = until(lambda: retry(lambda: action("POST", "doomed", {"action": "rename-obj", "name": to})), "the repeat")
            assert done.status == 200, done
        assert cluster().get("b", to).body == content and cluster().get("b", "doomed").status == 404


def ignore_breaks(ask):
    try:
        return ask()
    except (OSError, harness.http.client.HTTPException):
        return None


def retry(ask):
    answer = ignore_breaks(ask)
    return answer if answer is not None and answer.status != 503 else None


# --- parts


def begin_upload(name):
    answer = action("POST", name, {"action": "mpt-upload", "name": "", "value": None})
    assert answer.status == 200 and len(answer.text) > 9, answer
    return answer.text


def part(name, upload, number, data, headers=None):
    return send("PUT", name, f"uploadId={urllib.parse.quote(upload)}&partNumber={number}", data, headers)


def complete(name, upload, numbers):
    value = [{"part-number": number, "etag": ""} for number in numbers]
    return action("POST", name, {"action": "mpt-complete", "value": value}, f"uploadId={upload}")


def abort(name, upload):
    return action("DELETE", name, {"action": "mpt-abort"}, f"uploadId={upload}")


def files_in_tmp():
    return [one for target in cluster().targets for one in os.listdir(os.path.join(cluster().dir, target.name, "tmp"))]


def settled():
    """Nothing is left in tmp/: contents move to their place, and parts of uploads that ended go."""
    until(lambda: not files_in_tmp(), "nothing in tmp/")


def case_multipart():
    sizes = (1, 100, 5 * MIB + 3, 256 << 10)
    parts = {number: draw.randbytes(size) for number, size in zip((7, 2, 10000, 3), sizes)}
    for name in ("parts/whole", "parts/with space ? %"):
        upload = begin_upload(name)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda one: part(name, upload, *one).status, parts.items()))
        assert done == [200] * 4, done
        assert cluster().get("b", name).status == 404
        assert complete(name, upload, parts).status == 200
        whole = b"".join(parts[number] for number in sorted(parts))
        assert cluster().get("b", name).body == whole
        headers = head(name, "chunked").headers
        assert (headers["Ais-Chunks-Count"], headers["Ais-Chunks-Max-Chunk-Size"]) == ("4", str(max(sizes))), headers
        refused(complete(name, upload, parts), 404, f"{upload} of ais://b/{name} does not exist")
        refused(abort(name, upload), 404, "does not exist")
        refused(part(name, upload, 1, b"x"), 404, "does not exist")
    settled()


def case_a_completion_names_what_there_is():
    upload = begin_upload("partial")
    refused(complete("partial", upload, []), 400, "no chunks")
    assert part("partial", upload, 1, b"one").status == 200
    assert part("partial", upload, 2, b"two").status == 200
    for numbers in ([], [1], [1, 1], [1, 2, 2], [1, 3], [1, 2, 3]):
        refused(complete("partial", upload, numbers), 400, "partial completion")
    for value in (None, 1, [1, 2], [{"part-number": "x"}, {"part-number": 2}], [{}]):
        refused(action("POST", "partial", {"action": "mpt-complete", "value": value}, f"uploadId={upload}"), 400, "partial completion")
    refused(part("partial", upload, 1, b""), 400, "invalid size (0)")
    for number in ("", "0", "-1", "x", "10001", "99999999999999999999"):
        refused(part("partial", upload, number, b"x"), 400, "partNumber")
    wrong = hashlib.md5(b"other").hexdigest()
    refused(part("partial", upload, 2, b"TWO", {"Ais-Checksum-Type": "md5", "Ais-Checksum-Value": wrong}), 400, "BAD DATA CHECKSUM: md5(")
    assert part("partial", upload, 1, b"ONE").status == 200  # in the place of the first
    assert complete("partial", upload, [2, 1]).status == 200
    assert cluster().get("b", "partial").body == b"ONEtwo"
    refused(action("POST", "x", {"action": "mpt-upload"}, bucket="nowhere"), 404, "nowhere")
    settled()


def case_uploads_of_one_name_at_once():
    cluster().put("b", "one name", b"the old one")
    uploads = [begin_upload("one name") for _ in range(4)]
    for i, upload in enumerate(uploads):
        for number in (1, 2):
            assert part("one name", upload, number, bytes([65 + i]) * (300_000 + number)).status == 200
    refused(part("another name", uploads[0], 1, b"x"), 404, "does not exist")
    assert cluster().get("b", "one name").body == b"the old one"
    assert abort("one name", uploads[3]).status == 200
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda upload: complete("one name", upload, [1, 2]).status, uploads[:3]))
    assert done == [200] * 3, done
    got = cluster().get("b", "one name").body
    assert got in [bytes([65 + i]) * 600_003 for i in range(3)], got[:10]
    settled()


def case_no_part_is_taken_for_a_whole():
    """Nor stored at the target that a handle names, where nobody would find it."""
    cluster().put("b", "query", b"as it was")
    elsewhere = begin_upload(other_name("query"))
    letters, _, target = elsewhere.partition("-")
    handle = urllib.parse.quote(f"{target}|{letters}", safe="")
    for name in ("query", "no such query"):
        for query, text in [("partNumber=1", "without uploadId"), (f"append_handle={handle}", "without append_type"), ("append_handle=", "without append_type"),
                            (f"uploadId={elsewhere}&append_type=append&append_handle=", "exclude each other"), ("uploadId=&partNumber=1", "uploadId is empty"),
                            (f"uploadId={elsewhere}&archpath=x", "exclude each other"), (f"uploadId={elsewhere}&object_to=ais%2F%40%23%2Fb%2Fx", "exclude each other"),
                            (f"uploadId={elsewhere}&partNumber=1&partNumber=2", "given twice")]:
            refused(send("PUT", name, query, b"a part"), 400, text)
            for node in cluster().targets:  # whatever the proxy would say
                refused(request("PUT", node.url + f"/v1/objects/b/{urllib.parse.quote(name)}?{query}&pid=p&utm=1", b"a part"), 400, text)
        refused(send("DELETE", name, f"append_handle={handle}"), 400, "without append_type")
        refused(action("PATCH", name, {"value": {}}, f"uploadId={elsewhere}"), 400, "goes with PUT, POST and DELETE")
    assert cluster().get("b", "query").body == b"as it was" and cluster().get("b", "no such query").status == 404
    assert [name for name in names() if "such query" in name] == []
    assert abort(other_name("query"), elsewhere).status == 200


def case_uploads_end_with_their_bucket():
    for size in (10, 2 * MIB):
        cluster().bucket("short")
        cluster().put("short", "o", b"the old one")
        upload = action("POST", "o", {"action": "mpt-upload"}, bucket="short").text
        assert send("PUT", "o", f"uploadId={upload}&partNumber=1", draw.randbytes(size), bucket="short").status == 200
        handle = send("PUT", "o", "append_type=append&append_handle=", draw.randbytes(size), bucket="short").headers["Ais-Append-Handle"]
        assert files_in_tmp()
        assert request("DELETE", cluster().url("/v1/buckets/short"), json.dumps({"action": "destroy-bck"})).status == 200
        settled()  # the parts go with it
        cluster().bucket("short")
        refused(action("POST", "o", {"action": "mpt-complete", "value": [{"part-number": 1}]}, f"uploadId={upload}", bucket="short"), 404, "does not exist")
        refused(send("PUT", "o", f"append_type=flush&append_handle={urllib.parse.quote(handle, safe='')}", b"", bucket="short"), 404, "does not exist")
        assert cluster().get("short", "o").status == 404 and names("short") == []
        assert request("DELETE", cluster().url("/v1/buckets/short"), json.dumps({"action": "destroy-bck"})).status == 200
    settled()


def case_parts_do_not_survive_their_target():
    upload = begin_upload("restarted")
    assert part("restarted", upload, 1, draw.randbytes(MIB)).status == 200
    assert files_in_tmp()
    target = cluster().holder("b", "restarted")
    target.kill()
    target.start()
    cluster().wait_registered()
    refused(until(lambda: retry(lambda: complete("restarted", upload, [1])), "an answer"), 404, "does not exist")
    refused(part("restarted", upload, 2, b"x"), 404, "does not exist")
    settled()
    upload = begin_upload("ended")  # a proper end removes the parts, too
    assert part("ended", upload, 1, draw.randbytes(MIB)).status == 200
    target = cluster().holder("b", "ended")
    assert target.kill(signal.SIGTERM) == 0
    assert not os.listdir(os.path.join(cluster().dir, target.name, "tmp"))
    target.start()
    cluster().wait_registered()


def case_a_part_that_breaks_off():
    upload = begin_upload("broken")
    assert part("broken", upload, 1, b"good").status == 200
    url = request("PUT", path("broken") + f"?uploadId={upload}&partNumber=1", b"", follow=False).headers["Location"]
    parts = urllib.parse.urlsplit(url)
    connection = harness.http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.putrequest("PUT", parts.path + "?" + parts.query)
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    connection.send(b"x" * 400_000)
    connection.close()
    assert complete("broken", upload, [1]).status == 200
    assert cluster().get("b", "broken").body == b"good"
    settled()


# --- appends


def append(name, data, handle="", kind="append"):
    return send("PUT", name, f"append_type={kind}&append_handle={urllib.parse.quote(handle, safe='')}", data)


def case_append():
    for base in (None, b"", b"what was there; ", draw.randbytes(MIB)):
        name = f"log {len(base) if base is not None else None}"
        if base is not None:
            cluster().put("b", name, base)
            assert action("PATCH", name, {"value": {"k": "v"}}).status == 200
        handle, pieces = "", [b"first", draw.randbytes(700_000), b"", b"last"]
        for piece in pieces:
            answer = append(name, piece, handle)
            assert answer.status == 200, answer
            assert handle in ("", answer.headers["Ais-Append-Handle"])
            handle = answer.headers["Ais-Append-Handle"]
            assert "|" in handle
            assert cluster().get("b", name).status == (404 if base is None else 200)
        done = append(name, b"", handle, "flush")
        assert done.status == 200 and not done.headers["Ais-Append-Handle"], done
        assert cluster().get("b", name).body == (base or b"") + b"".join(pieces)
        assert custom(name) == ({} if base is None else {"k": "v"})
        refused(append(name, b"more", handle), 404, "does not exist")
        refused(append(name, b"", handle, "flush"), 404, "does not exist")
    settled()


def case_handles_at_once_and_handles_that_are_none():
    cluster().put("b", "shared", b"base ")
    first = append("shared", b"one").headers["Ais-Append-Handle"]
    second = append("shared", b"two").headers["Ais-Append-Handle"]
    assert first != second
    assert append("shared", b"", first, "flush").status == 200
    assert cluster().get("b", "shared").body == b"base one"
    assert append("shared", b"", second, "flush").status == 200
    assert cluster().get("b", "shared").body == b"base two"  # what it began with, and its own
    refused(append("shared", b"x", "nonsense"), 404, "does not exist")
    refused(append("shared", b"x", "t00000000|abcdefghi"), 404, "no longer in the cluster")
    refused(append("other", b"x", append("shared", b"y").headers["Ais-Append-Handle"]), 404, "does not exist")
    refused(append("shared", b"", "", "flush"), 400, "append_type=flush needs append_handle=")
    refused(append("shared", b"x", "", "dance"), 400, "expected append or flush")
    handle = append("shared", b"x").headers["Ais-Append-Handle"]
    refused(append("shared", b"more", handle, "flush"), 400, "takes no body")
    assert append("new", b"").headers["Ais-Append-Handle"]
    cluster().holder("b", "shared").kill()
    target = next(one for one in cluster().targets if one.process is None)
    target.start()
    cluster().wait_registered()
    refused(until(lambda: retry(lambda: append("shared", b"", handle, "flush")), "an answer"), 404, "does not exist")
    assert cluster().get("b", "shared").body == b"base two"


def case_appends_that_fail_at_once_leave_nothing():
    """No client has their handles, and there is room for a limited number."""
    wrong = {"Ais-Checksum-Type": "md5", "Ais-Checksum-Value": "0" * 32}
    for i in range(300):
        refused(send("PUT", "fails", "append_type=append&append_handle=", b"x", wrong), 400, "BAD DATA CHECKSUM")
    handle = append("fails", b"good").headers["Ais-Append-Handle"]
    refused(send("PUT", "fails", f"append_type=append&append_handle={urllib.parse.quote(handle, safe='')}", b"x", wrong), 400, "BAD DATA CHECKSUM")
    assert append("fails", b"", handle, "flush").status == 200 and cluster().get("b", "fails").body == b"good"
    settled()


def case_twelve_megabytes_from_stdin():
    """AIStore's own command puts the first 10 MiB of stdin as an object, and appends the rest."""
    data = draw.randbytes(12_000_000)
    assert cluster().put("b", "stdin", data[:10 * MIB]).status == 200
    handle = ""
    for at in range(10 * MIB, len(data), MIB):
        handle = append("stdin", data[at:at + MIB], handle).headers["Ais-Append-Handle"]
    assert append("stdin", b"", handle, "flush").status == 200
    assert cluster().get("b", "stdin").body == data


def main():
    with Cluster(targets=2) as started:
        world["cluster"] = started
        started.bucket("b")
        harness.run([(name[5:].replace("_", " "), case) for name, case in globals().items() if name.startswith("case_")])


if __name__ == "__main__":
    main()
