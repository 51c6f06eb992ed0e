#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files of a target's machine become objects: only below the folders that the operator has named, never through links, and they go only when
they are stored."""
import json
import os
import random
import shutil
import tempfile

import harness
from harness import Cluster, request, until

world = {}
MIB = 1 << 20


def cluster():
    return world["cluster"]


def allowed(*parts):
    return os.path.join(world["allowed"], *parts)


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    return content


def content(name, size):
    return random.Random(name).randbytes(size)


def promote(source, bucket="b", **value):
    return request("POST", cluster().url(f"/v1/objects/{bucket}"), json.dumps({"action": "promote", "name": source, "value": value}), {"Content-Type": "application/json"})


def finished(job):
    def look():
        answer = request("GET", cluster().url("/v1/cluster?what=status"), json.dumps({"id": job}))
        assert answer.status == 200, answer
        return answer.json if answer.json["end_time"] else None
    until(look, f"the end of promote {job}", 60)
    return request("GET", cluster().url(f"/v1/jobs/{job}")).json


def done(source, **value):
    answer = promote(source, **value)
    assert answer.status == 200 and len(answer.text) == 9, answer
    return finished(answer.text)


def counts(job):
    return job["done"], job["skipped"], job["failed"]


def refused(answer, status, text):
    assert answer.status == status and text in answer.json["message"], (answer, text)


def same(name, wanted):
    answer = cluster().get("b", name)
    assert answer.status == 200 and answer.body == wanted, (name, answer)


def names(prefix):
    answer = request("GET", cluster().url("/v1/buckets/b"), json.dumps({"action": "list", "value": {"prefix": prefix}}), {"Accept": "application/json"})
    return [entry["name"] for entry in answer.json.get("entries") or []]


def case_one_file():
    body = write(allowed("one.bin"), content("one", 3 * MIB + 1))
    assert counts(done(allowed("one.bin"))) == (1, 0, 0)
    same("one.bin", body)
    assert counts(done(allowed("one.bin"), obj="dir")) == (1, 0, 0)
    same("dir/one.bin", body)
    assert counts(done(allowed("one.bin"), obj="dir/other")) == (1, 0, 0)
    same("dir/other", body)
    write(allowed("empty"), b"")
    assert counts(done(allowed("empty"))) == (1, 0, 0)
    same("empty", b"")
    assert os.path.exists(allowed("one.bin"))


def case_a_folder():
    files = {f"tree/{i % 5}/{i:03}": content(f"tree{i}", i * 997) for i in range(60)}
    files.update({f"tree/top{i}": content(f"top{i}", 100) for i in range(7)})
    for name, body in files.items():
        write(allowed(name), body)
    job = done(allowed("tree"), obj="flat")
    assert counts(job) == (7, 0, 0), job
    assert names("flat/") == [f"flat/top{i}" for i in range(7)]
    job = done(allowed("tree"), obj="all/", rcr=True)
    assert counts(job) == (67, 0, 0), job
    for name, body in files.items():
        same("all/" + name[5:], body)
    assert len({cluster().holder("b", "all/" + name[5:]).name for name in files}) == 2
    job = done(allowed("tree"), obj="all", rcr=True)
    assert counts(job) == (0, 67, 0), job


def case_what_is_there_stays_unless_it_is_to_be_replaced():
    cluster().put("b", "kept/x", b"mine")
    body = write(allowed("kept", "x"), b"theirs")
    assert counts(done(allowed("kept"), obj="kept")) == (0, 1, 0)
    same("kept/x", b"mine")
    assert counts(done(allowed("kept"), obj="kept", ovw=True)) == (1, 0, 0)
    same("kept/x", body)
    body = write(allowed("kept", "x"), b"theirs, and longer")
    assert counts(done(allowed("kept"), obj="kept", ovw=True)) == (1, 0, 0)
    same("kept/x", body)


def case_sources_go_when_they_are_stored():
    bodies = {f"go/{i:02}": write(allowed("go", f"{i:02}"), content(f"go{i}", 20_000 * i)) for i in range(30)}
    cluster().put("b", "go/07", b"in the way")
    job = done(allowed("go"), obj="go", dls=True)
    assert counts(job) == (29, 1, 0), job
    for name, body in bodies.items():
        if name != "go/07":
            same(name, body)
    assert os.listdir(allowed("go")) == ["07"], os.listdir(allowed("go"))
    job = done(allowed("go", "07"), obj="go/07", dls=True, ovw=True)
    assert counts(job) == (1, 0, 0), job
    same("go/07", bodies["go/07"])
    assert os.listdir(allowed("go")) == []


def case_links_are_never_followed():
    outside = world["outside"]
    write(os.path.join(outside, "secret"), b"secret")
    write(allowed("links", "real"), b"real")
    for name, to in (("up", "../../outside"), ("file", os.path.join(outside, "secret")), ("passwd", "/etc/passwd")):
        os.symlink(to, allowed("links", name))
    os.mkfifo(allowed("links", "pipe"))
    job = done(allowed("links"), obj="links", rcr=True)
    assert counts(job) == (1, 0, 0), job
    assert names("links/") == ["links/real"]
    for path in ("links/up", "links/up/secret", "links/file", "links/passwd", "links/pipe"):
        answer = promote(allowed(path))
        assert answer.status in (403, 404), (path, answer)
    os.rename(allowed("links"), allowed("former"))
    os.symlink(outside, allowed("links"))
    assert promote(allowed("links")).status == 403
    assert promote(allowed("links", "secret")).status == 403


def case_only_below_the_folders():
    for path in ("/etc/passwd", "/", "/etc", os.path.dirname(world["allowed"]), world["allowed"] + "2/x", world["outside"]):
        refused(promote(path), 403 if path not in ("/",) else 400, "--promote-from" if path != "/" else "src")
    for path in ("x", "../x", world["allowed"] + "/../outside/secret", world["allowed"] + "/./one.bin", ""):
        refused(promote(path), 400, "src")
    refused(promote(allowed("nothing")), 404, "no such file")


def case_what_cannot_be():
    refused(promote(allowed("one.bin"), bucket="nowhere"), 404, "nowhere")
    refused(promote(allowed("one.bin"), tid="t0000000"), 404, "there is no target")
    refused(promote(allowed("one.bin"), obj="../x"), 400, "obj")
    refused(promote(allowed("one.bin"), rcr="yes"), 400, "rcr")
    refused(promote(allowed("one.bin"), src=7), 400, "src")
    for body, status in ((b"", 400), (b"[]", 400), (b"{", 400), (json.dumps({"action": "promote"}).encode(), 400), (json.dumps({"action": "promote", "name": 7}).encode(), 400),
                         (json.dumps({"action": "blob-download", "name": "x"}).encode(), 501)):
        answer = request("POST", cluster().url("/v1/objects/b"), body)
        assert answer.status == status, (body, answer)


def case_one_target_of_several():
    target = cluster().targets[1]
    write(allowed("single", "x"), b"x")
    write(allowed("single", "y"), b"y")
    identity = next(key for key, node in cluster().smap()["tmap"].items() if node["public_net"]["direct_url"] == target.url)
    job = done(allowed("single"), obj="single", tid=identity)
    assert counts(job) == (2, 0, 0), job
    same("single/x", b"x")
    same("single/y", b"y")
    job = done(allowed("single"), obj="twice", notshr=True)  # each target takes all that it finds
    assert job["done"] + job["skipped"] == 4 and job["failed"] == 0, job
    same("twice/x", b"x")


def case_a_killed_target_goes_on():
    bodies = {f"kill/{i:03}": write(allowed("kill", f"{i:03}"), content(f"kill{i}", 200_000)) for i in range(300)}
    answer = promote(allowed("kill"), obj="kill", dls=True)
    assert answer.status == 200, answer
    until(lambda: len(os.listdir(allowed("kill"))) < 298, "the first ones", step=0.001)
    cluster().targets[0].kill()
    assert len(os.listdir(allowed("kill"))) > 20, "the kill came late"
    cluster().targets[0].start()
    cluster().wait_registered()
    job = finished(answer.text)
    assert job["failed"] == 0 and job["state"] == "done", job
    for name, body in bodies.items():
        same(name, body)
    assert os.listdir(allowed("kill")) == []


def case_nothing_without_the_option():
    with Cluster(targets=1) as other:
        former, world["cluster"] = world["cluster"], other
        try:
            other.bucket("b")
            refused(promote("/etc/hostname"), 403, "--promote-from DIR")
        finally:
            world["cluster"] = former


def main():
    folder = os.path.realpath(tempfile.mkdtemp(prefix="promote."))
    world["allowed"], world["outside"] = os.path.join(folder, "allowed"), os.path.join(folder, "outside")
    os.mkdir(world["allowed"])
    os.mkdir(world["outside"])
    try:
        with Cluster(targets=2, target_arguments=["--promote-from", world["allowed"]]) as started:
            world["cluster"] = started
            started.bucket("b")
            harness.run([(name[5:].replace("_", " "), case) for name, case in globals().items() if name.startswith("case_")])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
