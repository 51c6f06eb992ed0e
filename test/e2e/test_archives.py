#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Archives: members are read out of them, and many objects come in one; what is damaged, too large or unsafe is refused."""
import base64
import email.parser
import email.policy
import gzip
import io
import json
import random
import shutil
import subprocess
import tarfile
import urllib.parse
import zipfile

import harness
from harness import Cluster, request, until

world = {}
draw = random.Random(12)
MIB = 1 << 20


def cluster():
    return world["cluster"]


def refused(answer, status, text):
    assert answer.status == status and text in answer.json["message"], answer


def tar_of(members, mode="w", style=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=style) as tar:
        for member in members:
            info, data = member if isinstance(member[0], tarfile.TarInfo) else (tarfile.TarInfo(member[0]), member[1])
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_of(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def special(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b""


def query(**parts):
    return urllib.parse.urlencode(parts, quote_via=urllib.parse.quote)


def member(archive, path):
    return cluster().get("b", archive, query(archpath=path, archregx=""))


def matching(archive, pattern, mode="regexp"):
    answer = cluster().get("b", archive, query(archregx=pattern, archmode=mode))
    if answer.status != 200:
        return answer
    assert answer.headers["Content-Type"] == "application/x-tar", answer.headers
    return untar(answer.body)


def untar(data, mode="r:"):
    with tarfile.open(fileobj=io.BytesIO(data), mode=mode) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar}


MEMBERS = [("1.txt", b"one"), ("empty", b""), ("dir/2.txt", b"two" * 1000), ("dir/large.bin", draw.randbytes(3 * MIB + 7)), ("x" * 90 + "/" + "y" * 90, b"long name"),
           ("ключ.txt", "значение".encode()), ("sample.001.jpg", b"jpg"), ("sample.001.cls", b"7")]


def case_members_of_every_kind_of_archive():
    lz4 = shutil.which("lz4")
    kinds = {"a.tar": tar_of(MEMBERS), "gnu.tar": tar_of(MEMBERS, style=tarfile.GNU_FORMAT), "a.tgz": tar_of(MEMBERS, "w:gz"), "a.tar.gz": tar_of(MEMBERS, "w:gz"), "a.zip": zip_of(MEMBERS)}
    if lz4:
        kinds["a.tar.lz4"] = subprocess.run([lz4, "-c"], input=kinds["a.tar"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    for name, data in kinds.items():
        assert cluster().put("b", name, data).status == 200
        for path, content in MEMBERS:
            got = member(name, path)
            assert got.status == 200 and got.body == content, (name, path, got)
            assert got.headers["Content-Type"] == "application/octet-stream" and not got.headers["Ais-Checksum-Value"], got.headers
        refused(member(name, "none"), 404, f"none in ais://b/{name} does not exist")
        assert cluster().get("b", name, query(archpath="", archregx="")).body == data


def case_members_that_agree_with_a_pattern():
    wanted = dict(MEMBERS)
    for name in ("a.tar", "a.tgz", "a.zip"):
        for pattern, mode, names in [(r"\.txt$", "regexp", ["1.txt", "dir/2.txt", "ключ.txt"]), ("dir/", "prefix", ["dir/2.txt", "dir/large.bin"]), (".cls", "suffix", ["sample.001.cls"]),
                                     ("large", "substr", ["dir/large.bin"]), ("1", "wdskey", ["1.txt"]), ("sample", "wdskey", ["sample.001.jpg", "sample.001.cls"]), (".", "regexp", list(wanted))]:
            got = matching(name, pattern, mode)
            assert got == {path: wanted[path] for path in names}, (name, pattern, mode, got)
        refused(matching(name, "nothing like it"), 404, "does not exist")
    cluster().put("b", "bytes.tar", tar_of([("lat\udce9in.txt", b"not UTF-8")], style=tarfile.GNU_FORMAT))
    assert matching("bytes.tar", "txt", "substr") == {"lat\udce9in.txt": b"not UTF-8"}
    refused(matching("a.tar", "(", "regexp"), 400, "is not an extended regular expression")
    refused(matching("a.tar", "x", "glob"), 400, "expected regexp, prefix, suffix, substr or wdskey")
    refused(matching("a.tar", "x" * 600), 400, "longer than")
    refused(cluster().get("b", "a.tar", query(archmode="prefix")), 400, "without archregx")
    refused(cluster().get("b", "a.tar", query(archpath="a", archregx="b")), 400, "exclude each other")
    refused(cluster().get("b", "a.tar", query(archpath="a", etl_name="e")), 501, "a transform of a member")
    for method in ("DELETE", "PATCH"):  # not the whole archive in the place of the member
        refused(request(method, cluster().url(f"/v1/objects/b/a.tar?{query(archpath='1.txt')}"), b"{}"), 501, "archpath goes with GET and PUT")


def case_what_is_no_archive_or_damaged():
    good = tar_of(MEMBERS)
    zipped = tar_of(MEMBERS, "w:gz")
    for name, data in {"text.tar": b"no archive at all " * 100, "empty.zip": b"", "cut.tgz": zipped[:len(zipped) // 2], "noise.tar": draw.randbytes(100_000),
                       "head.tar": b"\0" * 100 + good[100:]}.items():
        cluster().put("b", name, data)
        answer = cluster_cut(name, "dir/large.bin")
        assert answer is None or answer.status in (400, 404), (name, answer)
    refused(member("text.tar", "x"), 400, "it is no archive, or damaged")
    refused(member("nowhere.tar", "x"), 404, "ais://b/nowhere.tar does not exist")


def cluster_cut(name, path):
    """None if the answer began and was cut."""
    try:
        return member(name, path)
    except (harness.http.client.HTTPException, OSError):
        return None


def case_checksums_of_what_is_packed():
    packed = bytearray(gzip.compress(tar_of(MEMBERS), 0))
    packed[bytes(packed).rfind(b"large.bin") + 5000] ^= 1  # only the checksum knows
    good = gzip.compress(tar_of(MEMBERS))
    for name, content in (("flip.tgz", bytes(packed)), ("crc.tgz", good[:-8] + bytes(4) + good[-4:]), ("size.tgz", good[:-1] + b"\x07"), ("tail.tgz", good[:-5])):
        cluster().put("b", name, content)
        assert member(name, MEMBERS[0][0]).body == MEMBERS[0][1]  # nothing behind it is looked at
        refused(member(name, "none"), 400, "it is damaged: its gzip")
        try:
            matching(name, ".")
            raise AssertionError(f"{name} is damaged, and all of its members look right")
        except (harness.http.client.HTTPException, OSError):
            pass
    cluster().put("b", "two.tgz", gzip.compress(tar_of(MEMBERS)[:1024]) + gzip.compress(tar_of(MEMBERS)[1024:]) + bytes(100))
    assert matching("two.tgz", ".") == dict(MEMBERS)


def case_a_retried_header_is_damage():
    broken = bytearray(tar_of([(f"m{i}", bytes(3000)) for i in range(9)], style=tarfile.USTAR_FORMAT))
    broken[3584 + 20] ^= 1  # in the header of m1
    cluster().put("b", "header.tar", bytes(broken))
    assert member("header.tar", "m0").status == 200
    for path in ("m1", "m5"):
        refused(member("header.tar", path), 400, "it is no archive, or damaged")


def case_members_that_are_unsafe():
    cluster().put("b", "odd.tar", tar_of([special("link", tarfile.SYMTYPE, "/etc/passwd"), special("hard", tarfile.LNKTYPE, "1.txt"), special("pipe", tarfile.FIFOTYPE), special("device", tarfile.CHRTYPE),
                                          special("folder", tarfile.DIRTYPE), ("../out", b"x"), ("/abs", b"y"), ("a/../../b", b"z"), ("fine", b"ok")]))
    for path, text in (("link", "is a link"), ("hard", "is a link"), ("pipe", "is a device or the like"), ("device", "is a device or the like")):
        refused(member("odd.tar", path), 400, text)
    for path in ("../out", "a/../../b"):
        refused(member("odd.tar", path), 400, "leaves the folder of its archive")
    refused(member("odd.tar", "/abs"), 400, "is an absolute path")
    refused(matching("odd.tar", "out"), 400, 'the member "../out" leaves the folder of its archive')
    assert member("odd.tar", "fine").body == b"ok"
    inner = tar_of([("deep", b"content")])
    cluster().put("b", "nested.tar", tar_of([("inner.tar", inner)]))
    assert member("nested.tar", "inner.tar").body == inner  # nested archives are files
    refused(member("nested.tar", "inner.tar/deep"), 404, "does not exist")


def case_a_bomb_is_defused():
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as file:
        info = tarfile.TarInfo("zeroes")
        info.size = 300 * MIB
        file.write(info.tobuf())
        for _ in range(300):
            file.write(bytes(MIB))
        file.write(tarfile.TarInfo("last").tobuf() + bytes(1024))
    cluster().put("b", "bomb.tgz", out.getvalue())
    refused(member("bomb.tgz", "last"), 400, "which is the limit for an archive of")
    assert cluster_cut("bomb.tgz", "zeroes") is None


def case_a_hundred_thousand_members():
    header = tarfile.TarInfo("m/000000").tobuf(tarfile.USTAR_FORMAT)
    blocks = []
    for i in range(100_000):
        info = tarfile.TarInfo(f"m/{i:06}")
        blocks.append(info.tobuf(tarfile.USTAR_FORMAT))
    assert len(header) == 512
    cluster().put("b", "many.tar", b"".join(blocks) + tarfile.TarInfo("end").tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    assert member("many.tar", "end").status == 200
    assert len(matching("many.tar", "m/0999", "prefix")) == 100
    refused(member("many.tar", "none"), 404, "does not exist")


def append(name, path, data, pine=None, bucket="b"):
    url = cluster().url(f"/v1/objects/{bucket}/{urllib.parse.quote(name)}?{query(archpath=path)}")
    hop = request("PUT", url, b"", follow=False)
    return request("PUT", hop.headers["Location"], data, {"Ais-Pine": str(pine)} if pine is not None else {})


def case_members_are_appended():
    for style in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        start = MEMBERS if style != tarfile.USTAR_FORMAT else MEMBERS[:4]
        cluster().put("b", "grows.tar", tar_of(start, style=style))
        wanted = dict(start)
        for path, data in (("new/a", b"aa"), ("none", b""), ("new/" + "n" * 150, b"x" * 512), ("large", draw.randbytes(MIB + 3)), ("schlüssel", b"u")):
            done = append("grows.tar", path, data)
            assert done.status == 200, done
            wanted[path] = data
        assert untar(cluster().get("b", "grows.tar").body) == wanted
        assert member("grows.tar", "large").body == wanted["large"]
    refused(append("fresh.tar", "a", b"1"), 404, "ais://b/fresh.tar does not exist")
    assert append("fresh.tar", "a", b"1", 2).status == 200
    assert append("fresh.tar", "b", b"2", 2).status == 200
    assert untar(cluster().get("b", "fresh.tar").body) == {"a": b"1", "b": b"2"}
    cluster().put("b", "bad.tar", b"no archive at all " * 100)
    refused(append("bad.tar", "a", b"1"), 400, "it is no tar, or damaged")
    for path in ("../a", "/a", "a/", ""):
        refused(append("fresh.tar", path, b"1"), 400, "cannot be the name of a member")
    refused(append("a.zip", "a", b"1"), 501, "members are appended to .tar only")


# --- batches


def batch(items, expect=200, bucket="/b", follow=True, **options):
    body = {"in": items, "mime": ".tar", "strm": True}
    body.update(options)
    answer = request("GET", cluster().url(f"/v1/ml/moss{bucket}?provider=ais"), json.dumps(body), {"Content-Type": "application/json"})
    assert answer.status == expect, answer
    return answer


def fill():
    contents = {f"o/{i:03}": draw.randbytes(size) for i, size in enumerate([0, 1, 100, 20_000, 300_000, MIB + 1] * 5)}
    for name, content in contents.items():
        cluster().put("b", name, content)
    return contents


def case_many_objects_in_one_archive():
    contents = fill()
    order = list(contents)
    draw.shuffle(order)
    for mime, mode in ((".tar", "r:"), (".tgz", "r:gz"), (".tar.gz", "r:gz"), ("tar", "r:")):
        answer = batch([{"objname": name} for name in order], mime=mime)
        got = untar(answer.body, mode)
        assert list(got) == ["b/" + name for name in order] and all(got["b/" + name] == contents[name] for name in order)
        assert answer.headers["Transfer-Encoding"] == "chunked"
    with zipfile.ZipFile(io.BytesIO(batch([{"objname": name} for name in order], mime=".zip").body)) as archive:
        assert archive.namelist() == ["b/" + name for name in order] and all(archive.read("b/" + name) == contents[name] for name in order)
    got = untar(batch([{"objname": name, "bucket": "b", "provider": "ais"} for name in order], bucket="", onob=True).body)
    assert list(got) == order


def case_parts_and_members_in_a_batch():
    content = cluster().get("b", "o/005").body
    got = untar(batch([{"objname": "o/005", "start": 100, "length": 300_000}, {"objname": "o/002", "start": 90, "length": -1}, {"objname": "a.tar", "archpath": "dir/2.txt"},
                       {"objname": "a.tgz", "archpath": "1.txt"}, {"objname": "a.zip", "archpath": "dir/large.bin"}]).body)
    assert got == {"b/o/005": content[100:300_100], "b/o/002": cluster().get("b", "o/002").body[90:], "b/a.tar/dir/2.txt": b"two" * 1000, "b/a.tgz/1.txt": b"one", "b/a.zip/dir/large.bin": MEMBERS[3][1]}


def case_what_is_missing_in_a_batch():
    items = [{"objname": "o/002"}, {"objname": "gone"}, {"objname": "a.tar", "archpath": "none"}, {"objname": "x", "bucket": "nowhere"}, {"objname": "o/003"}]
    got = untar(batch(items, coer=True).body)
    assert list(got) == ["b/o/002", "__404__/b/gone", "__404__/b/a.tar/none", "__404__/nowhere/x", "b/o/003"], list(got)
    assert got["__404__/b/gone"] == b"" and got["b/o/003"] == cluster().get("b", "o/003").body
    refused(batch([{"objname": "gone"}], 404), 404, "ais://b/gone does not exist")
    refused(batch([{"objname": "o/002"}, {"objname": "gone"}], 404, strm=False), 404, "ais://b/gone does not exist")
    try:
        batch(items[:2])
        raise AssertionError("an archive without one of its objects looks complete")
    except (harness.http.client.HTTPException, OSError):
        pass
    refused(batch([{"objname": "o/002"}], 404, bucket="/nowhere"), 404, "nowhere")


def case_a_batch_with_its_facts():
    items = [{"objname": "o/002", "opaque": base64.b64encode(b"mine").decode()}, {"objname": "gone"}, {"objname": "a.tar", "archpath": "1.txt"}, {"objname": "o/005", "start": 5, "length": 7}]
    answer = batch(items, strm=False, coer=True)
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(b"Content-Type: " + answer.headers["Content-Type"].encode() + b"\r\n\r\n" + answer.body)
    facts, archive = form.iter_parts()
    assert [one.get_param("name", header="content-disposition") for one in (facts, archive)] == ["metadata", "archive"]
    facts = json.loads(facts.get_payload(decode=True))
    assert [(one["objname"], one["bucket"], one["size"], one.get("archpath"), "err_msg" in one) for one in facts["out"]] == [
        ("o/002", "b", 100, None, False), ("gone", "b", 0, None, True), ("a.tar", "b", 3, "1.txt", False), ("o/005", "b", 7, None, False)], facts
    assert facts["uuid"] and facts["out"][0]["opaque"] == items[0]["opaque"]
    got = untar(archive.get_payload(decode=True))
    assert got == {"b/o/002": cluster().get("b", "o/002").body, "__404__/b/gone": b"", "b/a.tar/1.txt": b"one", "b/o/005": cluster().get("b", "o/005").body[5:12]}


def case_bad_batches():
    for items, text in (([], "in: expected a list"), (None, "in: expected a list"), ([1], "in[0]: expected an object"), ([{}], "objname is missing"), ([{"objname": "o", "provider": "s3"}], "only ais is here"),
                        ([{"objname": "o", "start": 5}], "are no range"), ([{"objname": "o", "start": -1, "length": 1}], "are no range"), ([{"objname": "o", "length": -2}], "are no range"), ([{"objname": "../o"}], "component"),
                        ([{"objname": "a.tar", "archpath": "../x"}], "leaves the folder"), ([{"objname": "o/002", "start": 1000, "length": 1}], "begins behind")):
        refused(batch(items, 400), 400, text)
    refused(batch([{"objname": "o/002"}], 400, mime=".rar"), 400, "expected .tar")
    refused(batch([{"objname": "o"}], 400, bucket=""), 400, "bucket is missing")


# --- archives that a job makes


def archive(expect=200, **value):
    answer = request("PUT", cluster().url("/v1/buckets/b?provider=ais"), json.dumps({"action": "archive", "value": value}), {"Content-Type": "application/json"})
    assert answer.status == expect, answer
    return answer


def finished(job):
    def status():
        answer = request("GET", cluster().url("/v1/cluster?what=status"), json.dumps({"id": job}))
        return answer.json if answer.status == 200 and answer.json["end_time"] else None
    return until(status, "the end of the job")


def case_a_job_makes_an_archive():
    names = [f"o/{i:03}" for i in (7, 3, 5, 0, 11)]
    cluster().bucket("c")
    for archname, mode in (("made.tar", "r:"), ("made.tgz", "r:gz")):
        for to in ("b", "c"):
            job = archive(objnames=names, archname=archname, tobck={"name": to, "provider": "ais"}, isbn=True, mime="", aate=False, coer=False).text
            assert finished(job)["err"] == "", finished(job)
            got = untar(request("GET", cluster().url(f"/v1/objects/{to}/{archname}")).body, mode)
            assert list(got) == ["b/" + name for name in names] and all(got["b/" + name] == cluster().get("b", name).body for name in names)
    job = archive(template="o/{000..004..2}", archname="ranged.tar").text
    assert finished(job)["err"] == ""
    assert list(untar(cluster().get("b", "ranged.tar").body)) == ["o/000", "o/002", "o/004"]


def case_a_damaged_block_of_lz4():
    assert finished(archive(objnames=["o/003", "o/004", "o/005"], archname="made.tar.lz4").text)["err"] == ""
    for name in ("o/003", "o/004", "o/005"):
        assert member("made.tar.lz4", name).body == cluster().get("b", name).body
    damaged = bytearray(cluster().get("b", "made.tar.lz4").body)
    damaged[100_000] ^= 1  # of o/004, which cannot be compressed
    cluster().put("b", "flip.tar.lz4", bytes(damaged))
    answer = cluster_cut("flip.tar.lz4", "o/004")
    assert answer is None or answer.status == 400, answer


def case_a_job_that_lacks_a_member():
    job = archive(objnames=["o/001", "gone", "o/002"], archname="lacks.tar").text
    assert "ais://b/gone does not exist" in finished(job)["err"], finished(job)
    assert cluster().get("b", "lacks.tar").status == 404
    job = archive(objnames=["o/001", "gone", "o/002"], archname="lacks.tar", coer=True).text
    assert finished(job)["end_time"]
    assert list(untar(cluster().get("b", "lacks.tar").body)) == ["o/001", "o/002"]
    report = json.loads(cluster().run("etlctl", "job", "report", job, "-o", "json", check=False).stdout)
    assert [one["object"] for one in report["items"]] == ["ais://b/gone"] or "gone" in json.dumps(report["items"]), report


def case_a_job_whose_target_is_killed():
    names = [f"o/{i:03}" for i in range(30)]
    for i in range(3):
        archname = f"killed{i}.tgz"
        target = cluster().holder("b", archname)
        job = archive(objnames=names, archname=archname).text
        target.kill()
        target.start()
        cluster().wait_registered()
        assert finished(job)["err"] == "", finished(job)
        got = until(lambda: fetched(archname), "the archive")
        assert list(got) == names and all(got[name] == cluster().get("b", name).body for name in names)
        request("DELETE", cluster().url(f"/v1/objects/b/{archname}"))


def fetched(archname):
    try:
        answer = cluster().get("b", archname)
    except (harness.http.client.HTTPException, OSError):
        return None
    return untar(answer.body, "r:gz") if answer.status == 200 else None


def case_jobs_of_archives_that_cannot_be():
    for value, status, text in (({}, 400, "archname"), ({"objnames": ["o"], "archname": "x.rar"}, 400, "expected .tar"), ({"archname": "x.tar"}, 400, "which objects are the members"), ({"template": "o/", "archname": "x.tar"}, 400, "A prefix alone"),
                                ({"objnames": ["o"], "archname": "x.tar", "tobck": {"name": "nowhere"}}, 404, "nowhere"),
                                ({"objnames": ["o"], "archname": "x.tar", "tobck": {"name": 5}}, 400, "value.tobck.name: expected a text"), ({"objnames": ["o"], "archname": "x.tar", "tobck": {"name": "b", "provider": "nosuch"}}, 400, "unknown provider"),
                                ({"objnames": ["o"], "archname": "x.tar", "tobck": {"name": "b", "namespace": {"name": "n"}}}, 501, "without a namespace"), ({"template": "o{0..999999999}", "archname": "x.tar"}, 400, "names"), ({"objnames": "o", "archname": "x.tar"}, 400, "objnames")):
        refused(archive(status, **value), status, text)


def main():
    with Cluster(targets=2) as started:
        world["cluster"] = started
        started.bucket("b")
        harness.run([(name[5:].replace("_", " "), case) for name, case in globals().items() if name.startswith("case_")])


if __name__ == "__main__":
    main()
