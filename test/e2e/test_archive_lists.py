#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lists with the members of archives, and archives that jobs append to or make of long lists of names."""
import gzip
import io
import json
import random
import socket
import tarfile
import urllib.parse
import zipfile

import harness
from harness import Cluster, request, until

world = {}
draw = random.Random(14)
CACHED, INSIDE, DIRECTORY, ARCHIVE = 1 << 6, 1 << 7, 1 << 8, 1 << 9


def cluster():
    return world["cluster"]


def refused(answer, status, text):
    assert answer.status == status and text in answer.json["message"], answer


def tar_of(members, mode="w", style=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=style) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if isinstance(data, tuple):
                info.type, info.linkname = data
                data = b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_of(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def untar(data, mode="r:"):
    with tarfile.open(fileobj=io.BytesIO(data), mode=mode) as tar:
        return [(one.name, tar.extractfile(one).read()) for one in tar]


def page(bucket, expect=200, flags=8, **value):
    body = json.dumps({"action": "list", "value": dict(value, flags=str(flags))})
    answer = request("GET", cluster().url(f"/v1/buckets/{bucket}?provider=ais"), body, {"Content-Type": "application/json"})
    assert answer.status == expect, answer
    return answer


def listed(bucket, size=0, **value):
    """All pages. Tokens only grow, and no page but the last may lack one."""
    entries, token = [], ""
    while True:
        answer = page(bucket, pagesize=size, continuation_token=token, **value).json
        got = answer.get("entries") or []
        assert not size or len(got) <= size, answer
        assert not got or got[0]["name"] > token, (got[0], token)
        entries += got
        if not answer.get("continuation_token"):
            return entries
        assert answer["continuation_token"] == got[-1]["name"]
        token = answer["continuation_token"]


def names(bucket, size=0, **value):
    return [one["name"] for one in listed(bucket, size, **value)]


def archive(bucket="jobs", expect=200, **value):
    answer = request("PUT", cluster().url(f"/v1/buckets/{bucket}?provider=ais"), json.dumps({"action": "archive", "value": value}), {"Content-Type": "application/json"})
    assert answer.status == expect, answer
    return answer


def finished(job):
    def status():
        answer = request("GET", cluster().url("/v1/cluster?what=status"), json.dumps({"id": job}))
        return answer.json if answer.status == 200 and answer.json["end_time"] else None
    return until(status, "the end of the job", limit=120)


def member(bucket, name, path, headers=None, method="GET", more=""):
    return request(method, cluster().url(f"/v1/objects/{bucket}/{urllib.parse.quote(name)}?archpath={urllib.parse.quote(path)}{more}"), headers=headers or {})


def append(bucket, name, path, data):
    hop = request("PUT", cluster().url(f"/v1/objects/{bucket}/{name}?archpath={path}"), b"", follow=False)
    return request("PUT", hop.headers["Location"], data)


# --- lists


def case_members_are_listed_behind_their_archive():
    cluster().bucket("b")
    members = [("z", b"last"), ("dir/a", b"aa"), ("./dotted", b"d"), ("none", b"")]
    for name, content in (("a.tar", tar_of(members)), ("b.tgz", tar_of(members, "w:gz")), ("c.tar.gz", tar_of(members, "w:gz")), ("d.zip", zip_of(members)), ("plain", b"x"), ("e.txt", tar_of(members))):
        cluster().put("b", name, content)
    cluster().put("b", "lz", b"one")
    assert finished(archive("b", objnames=["lz", "plain"], archname="f.tar.lz4").text)["err"] == ""
    entries = {one["name"]: one for one in listed("b")}
    wanted = []
    for name in ("a.tar", "b.tgz", "c.tar.gz", "d.zip"):
        wanted += [name] + [f"{name}/{path}" for path in ("dir/a", "dotted", "none", "z")]
    wanted += ["e.txt", "f.tar.lz4", "f.tar.lz4/lz", "f.tar.lz4/plain", "lz", "plain"]
    assert list(entries) == wanted, list(entries)
    for name in wanted:
        entry, inside = entries[name], name.count("/") > 0
        expected = CACHED if name in ("e.txt", "lz", "plain") else CACHED | ARCHIVE | (INSIDE if inside else 0)
        assert entry["flags"] == str(expected) or entry["flags"] == expected, entry
        assert not inside or not entry.get("checksum"), entry
    assert int(entries["a.tar/z"]["size"]) == 4 and int(entries["d.zip/dir/a"]["size"]) == 2, entries
    for name in wanted:  # what is listed can be read
        if "/" in name:
            name, path = name.split("/", 1)
            assert member("b", name, path).status == 200, (name, path)
    assert names("b", prefix="a.tar") == wanted[:5] and names("b", prefix="a.tar/di") == ["a.tar/dir/a"] and names("b", prefix="b") == wanted[5:10]
    assert names("b", flags=0) == [name for name in wanted if "/" not in name]
    only = page("b", flags=8 | 16, prefix="a.tar").json["entries"]
    assert [one["name"] for one in only] == wanted[:5] and not any(one.get("size") for one in only), only


def case_pages_end_anywhere():
    cluster().bucket("pages")
    wanted = []
    for i in range(8):
        paths = [f"m{k:02}" for k in range(i * 3)] + ["x.tar/y"]
        draw.shuffle(paths)
        name = f"s{i}.tar"
        cluster().put("pages", name, tar_of([(path, b"1") for path in paths + paths[:1]]))
        wanted += [name] + [f"{name}/{path}" for path in paths]
    for name in ("s1.tar-x", "s1.tar.gz", "s1.tar/m01", "s1.tar/object", "s1.tarx", "s", "s9"):  # between an archive and its members, among them, and one that hides a member
        cluster().put("pages", name, b"no archive")
        wanted.append(name)
    wanted = sorted(set(wanted))
    for size in (0, 1, 2, 3, 7, 50):
        assert names("pages", size) == wanted, size
    flags = {one["name"]: int(one["flags"]) for one in listed("pages")}
    assert flags["s1.tar.gz"] == CACHED and flags["s1.tar/m01"] == CACHED and flags["s1.tar/m00"] == CACHED | ARCHIVE | INSIDE, flags
    for after in ("s2.tar", "s2.tar/m03", "s2.tar/", "s2.tar-", "r", "s1.tar/zz"):
        assert [one["name"] for one in page("pages", start_after=after).json["entries"]] == [name for name in wanted if name > after], after
    for prefix in ("s2", "s2.tar", "s2.tar/", "s2.tar/m0", "s1.tar/m01", "s7.tar/x.tar/", "none"):
        for size in (0, 2):
            assert names("pages", size, prefix=prefix) == [name for name in wanted if name.startswith(prefix)], prefix
    shares = [names("pages", 3, target=target) for target in request("GET", cluster().url("/v1/daemon?what=smap")).json["tmap"]]
    assert len(shares) == 2 and set(shares[0]) | set(shares[1]) >= set(wanted) - {"s1.tar/m01"} and all(share == sorted(share) for share in shares)


def case_one_level():
    cluster().bucket("flat")
    for name in ("d/in.tar", "top.tar", "top.tar/object"):
        cluster().put("flat", name, tar_of([("q/m", b"1"), ("a", b"2")]))
    for size in (0, 1, 2):
        assert names("flat", size, flags=8 | 2048) == ["d/", "top.tar", "top.tar/", "top.tar/a", "top.tar/q/m"], names("flat", size, flags=8 | 2048)
        assert names("flat", size, flags=8 | 2048, prefix="d/") == ["d/in.tar", "d/in.tar/a", "d/in.tar/q/m"]


def case_what_is_damaged_stays_in_the_list():
    cluster().bucket("bad")
    good = tar_of([(f"m{i}", draw.randbytes(3000)) for i in range(20)])
    zipped = zip_of([("a", draw.randbytes(5000)), ("b", b"b")])
    broken = bytearray(good)
    broken[4000 // 512 * 512 + 20] ^= 1
    for name, content in (("cut.tar", good[:7000]), ("cut.tgz", gzip.compress(good)[:20000]), ("cut.zip", zipped[:4000]), ("empty.tar", b""), ("garbage.tar", draw.randbytes(9000)),
                          ("garbage.zip", draw.randbytes(9000)), ("garbage.tar.lz4", draw.randbytes(900)), ("sum.tar", bytes(broken)), ("text.tgz", b"no archive"), ("bomb.tgz", gzip.compress(tar_of([("zero", bytes(100 << 20))])))):
        cluster().put("bad", name, content)
    cluster().put("bad", "good.tar", good)
    entries = {one["name"]: int(one["flags"]) for one in listed("bad")}
    assert [name for name in entries if "/" in name] == [f"good.tar/m{i}" for i in sorted(range(20), key=str)], list(entries)
    assert all(flags == CACHED for name, flags in entries.items() if not name.startswith("good")), entries


def case_members_that_cannot_be_read_are_not_listed():
    cluster().bucket("odd")
    cluster().put("odd", "a.tar", tar_of([("ok", b"1"), ("../../etc/passwd", b"x"), ("/etc/passwd", b"x"), ("a/../../b", b"x"), ("dir", (tarfile.DIRTYPE, "")), ("soft", (tarfile.SYMTYPE, "/etc/passwd")),
                                          ("hard", (tarfile.LNKTYPE, "ok")), ("device", (tarfile.CHRTYPE, "")), ("pipe", (tarfile.FIFOTYPE, "")), ("new\nline", b"2"), ("n" * 4096, b"long"), ("schlüssel", b"3"), ("ok", b"22")]))
    entries = listed("odd")
    assert [one["name"] for one in entries] == ["a.tar", "a.tar/new\nline", "a.tar/ok", "a.tar/schlüssel"], entries
    assert int(entries[2]["size"]) == 1 and member("odd", "a.tar", "ok").body == b"1"
    assert member("odd", "a.tar", "new\nline").body == b"2" and member("odd", "a.tar", "n" * 4096).body == b"long"


def case_many_members():
    cluster().bucket("many")
    blocks = []
    for i in range(40_000):
        blocks.append(tarfile.TarInfo(f"m/{(i * 7919) % 40_000:06}").tobuf(tarfile.USTAR_FORMAT))
    cluster().put("many", "a.tar", b"".join(blocks) + bytes(1024))
    cluster().put("many", "b", b"")
    got = names("many")
    assert got == ["a.tar"] + [f"a.tar/m/{i:06}" for i in range(40_000)] + ["b"], len(got)
    assert request("GET", cluster().url("/v1/health")).status == 200


def case_a_list_ends_with_its_client():
    cluster().bucket("left")
    packed = gzip.compress(b"".join(tarfile.TarInfo(f"m{i:05}").tobuf(tarfile.USTAR_FORMAT) for i in range(20_000)) + bytes(1024), 1)
    for i in range(6):
        cluster().put("left", f"a{i}.tgz", packed)
    proxy = urllib.parse.urlparse(cluster().proxy.url)
    clients = []
    for i in range(20):
        body = json.dumps({"action": "list", "value": {"flags": "8", "continuation_token": f"a{i % 6}.tgz/m15000"}}).encode()
        clients.append(socket.create_connection((proxy.hostname, proxy.port)))
        clients[-1].sendall(b"GET /v1/buckets/left HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (proxy.netloc.encode(), len(body), body))
    harness.time.sleep(0.5)
    for client in clients:
        client.close()
    until(lambda: any("/v1/node/bucket/left" in line and "status=503" in line for target in ("target1", "target2") for line in cluster().log_tail(target, 500).splitlines()), "the end of a list that nobody waits for")


# --- members


def case_no_part_and_no_head_of_a_member():
    cluster().put("jobs", "part.tar", tar_of([("a", b"content")]))
    refused(member("jobs", "part.tar", "a", {"Range": "bytes=0-1"}), 416, "a byte range of a member")
    assert member("jobs", "part.tar", "a", method="HEAD").status == 501
    refused(member("jobs", "part.tar", "a", more="&etl_name=e"), 501, "a transform of a member")
    assert member("jobs", "part.tar", "./a").body == b"content"


# --- jobs


def case_a_long_list_of_names():
    wanted = [f"long/{draw.randbytes(40).hex()}/{i:05}" for i in range(3000)]
    for name in wanted[:3]:
        cluster().put("jobs", name, name.encode())
    job = archive(objnames=wanted, archname="long.tar", coer=True).text
    done = finished(job)
    assert "2997 of the members could not be read" in done["err"], done
    assert untar(cluster().get("jobs", "long.tar").body) == [(name, name.encode()) for name in wanted[:3]]
    job = archive(objnames=wanted[2::-1] * 200, archname="twice.tar").text
    assert finished(job)["err"] == ""
    assert [name for name, _ in untar(cluster().get("jobs", "twice.tar").body)] == wanted[2::-1] * 200


def case_a_long_list_survives_its_target():
    wanted = [f"kept/{i:03}" + "n" * 400 for i in range(100)]
    for name in wanted:
        cluster().put("jobs", name, name.encode() * 100)
    target = cluster().holder("jobs", "kept.tgz")
    job = archive(objnames=wanted, archname="kept.tgz").text
    target.kill()
    target.start()
    cluster().wait_registered()
    assert finished(job)["err"] == "", finished(job)
    assert [name for name, _ in untar(cluster().get("jobs", "kept.tgz").body, "r:gz")] == wanted


def case_a_job_appends():
    for i in range(6):
        cluster().put("jobs", f"o{i}", bytes([i]) * (i * 70_000))
    former = [("x", b"former"), ("o0", b"same name")]
    cluster().put("jobs", "grows.tar", tar_of(former))
    patched = request("PATCH", cluster().url("/v1/objects/jobs/grows.tar"), json.dumps({"value": {"colour": "blue"}}), {"Content-Type": "application/json"})
    assert patched.status == 200, patched
    assert finished(archive(template="o{0..2}", archname="grows.tar", aate=True).text)["err"] == ""
    added = [(f"o{i}", bytes([i]) * (i * 70_000)) for i in range(6)]
    assert untar(cluster().get("jobs", "grows.tar").body) == former + added[:3]
    assert finished(archive(template="o{3..5}", archname="grows.tar", aate=True).text)["err"] == ""
    got = cluster().get("jobs", "grows.tar")
    assert untar(got.body) == former + added and "colour=blue" in str(got.headers), got.headers
    assert append("jobs", "grows.tar", "by-hand", b"1").status == 200
    assert untar(cluster().get("jobs", "grows.tar").body)[-1] == ("by-hand", b"1")
    for archname in ("fresh.tar", "fresh.tgz"):  # made if it is not there
        assert finished(archive(template="o{1..2}", archname=archname, aate=True).text)["err"] == ""
    assert untar(cluster().get("jobs", "fresh.tar").body) == added[1:3]
    assert "members are appended to .tar only" in finished(archive(template="o{1..2}", archname="fresh.tgz", aate=True).text)["err"]
    assert [name for name, _ in untar(cluster().get("jobs", "fresh.tgz").body, "r:gz")] == ["o1", "o2"]
    cluster().put("jobs", "broken.tar", b"no archive" * 1000)
    assert "it is no tar, or damaged; make the archive anew" in finished(archive(template="o{1..2}", archname="broken.tar", aate=True).text)["err"]
    assert "does not exist" in finished(archive(objnames=["o1", "gone"], archname="grows.tar", aate=True).text)["err"]
    assert len(untar(cluster().get("jobs", "grows.tar").body)) == 9
    assert finished(archive(template="o{1..2}", archname="grows.tar").text)["err"] == ""  # without it: made anew
    assert untar(cluster().get("jobs", "grows.tar").body) == added[1:3]


def case_appends_wait_for_each_other():
    for i in range(8):
        cluster().put("jobs", f"w{i}", bytes(200_000))
    jobs = [archive(objnames=[f"w{i}"], archname="queue.tar", aate=True).text for i in range(8)]
    for job in jobs:
        assert finished(job)["err"] == "", finished(job)
    assert sorted(name for name, _ in untar(cluster().get("jobs", "queue.tar").body)) == [f"w{i}" for i in range(8)]


def case_an_append_whose_target_is_killed():
    for i in range(30):
        cluster().put("jobs", f"k{i:02}", draw.randbytes(40_000))
    wanted = [f"k{i:02}" for i in range(30)]
    for pause in (0, 0.2, 0.5):
        name = f"killed{pause}.tar"
        cluster().put("jobs", name, tar_of([("former", b"1")]))
        target = cluster().holder("jobs", name)
        job = archive(objnames=wanted, archname=name, aate=True).text
        harness.time.sleep(pause)
        target.kill()
        target.start()
        cluster().wait_registered()
        assert finished(job)["err"] == "", finished(job)
        got = until(lambda: request("GET", cluster().url(f"/v1/objects/jobs/{name}")), "the archive")
        assert [one for one, _ in untar(got.body)] == ["former"] + wanted, [one for one, _ in untar(got.body)]


def other_than(target):
    return next(one for one in cluster().targets if one is not target)


def case_a_job_waits_for_a_target_that_is_away():
    wanted = [f"k{i:02}" for i in range(30)]
    for archname, mode in (("away.tar", "r:"), ("away.tgz", "r:gz")):
        away = other_than(cluster().holder("jobs", archname))
        assert any(cluster().holder("jobs", name) is away for name in wanted)
        away.kill()
        job = archive(objnames=wanted, archname=archname, coer=True).text
        harness.time.sleep(1.5)
        away.start()
        cluster().wait_registered()
        assert finished(job)["err"] == "", finished(job)
        assert [name for name, _ in untar(cluster().get("jobs", archname).body, mode)] == wanted


def case_a_target_is_emptied_while_it_makes_an_archive():
    for i in range(12):
        cluster().put("jobs", f"d{i:02}", draw.randbytes(4 << 20))
    maker = cluster().holder("jobs", "drained.tgz")
    tmap = request("GET", cluster().url("/v1/daemon?what=smap")).json["tmap"]
    target = next(name for name, node in tmap.items() if maker.url.split("//")[1] in json.dumps(node))
    job = archive(template="d{00..11}", archname="drained.tgz").text
    drained = cluster().run("etlctl", "target", "drain", target).stdout.decode().strip()
    assert finished(job)["err"] == "", finished(job)
    got = until(lambda: request("GET", cluster().url("/v1/objects/jobs/drained.tgz")), "the archive")
    assert [name for name, _ in untar(got.body, "r:gz")] == [f"d{i:02}" for i in range(12)]
    cluster().run("etlctl", "job", "wait", drained)
    cluster().run("etlctl", "job", "wait", cluster().run("etlctl", "target", "activate", target).stdout.decode().strip())


def case_commands():
    run = cluster().run
    cluster().bucket("moves")
    cluster().put("moves", "a", b"1")
    run("etlctl", "bucket", "mv", "moves", "moved", "--wait")
    assert cluster().get("moved", "a").body == b"1" and cluster().get("moves", "a").status == 404
    failed = run("etlctl", "bucket", "mv", "moved", "jobs", check=False)
    assert failed.returncode != 0 and b"jobs" in failed.stderr, failed
    assert b"move-bck" in run("etlctl", "bucket", "mv", "moved", "again", "--dry-run").stdout
    run("etlctl", "bucket", "archive", "jobs", "moved/x.tar", "--template", "o{1..3}", "--wait")
    run("etlctl", "bucket", "archive", "jobs", "moved/x.tar", "--template", "o{4..9}", "--append", "--continue", "--wait", check=False)
    assert [name for name, _ in untar(cluster().get("moved", "x.tar").body)] == ["o1", "o2", "o3", "o4", "o5"]
    failed = run("etlctl", "bucket", "archive", "jobs", "moved/x.tar", check=False)
    assert failed.returncode == 2 and b"--template" in failed.stderr, failed


def main():
    with Cluster(targets=2) as started:
        world["cluster"] = started
        started.bucket("jobs")
        harness.run([(name[5:].replace("_", " "), case) for name, case in globals().items() if name.startswith("case_")])


if __name__ == "__main__":
    main()
