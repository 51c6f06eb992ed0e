# SPDX-License-Identifier: MIT
"""The cases of test_etlctl.py about objects, buckets, the cluster and versions."""
import json
import os
import re
import subprocess

from etlctl_world import ETLCTL, PROXY_URL, TARGET_URL, check, environment, expect, run, seen, test, with_object, world, xxh64


# ---- objects

@test
def put_and_get_round_trip(tmp):
    world.buckets["b"] = {}
    data = bytes(range(256)) * 5000
    source = os.path.join(tmp, "source.bin")
    open(source, "wb").write(data)
    expect(run("object", "put", source, "b/dir/obj"), 0, "", "")
    first, second = world.requests
    check((first[0], first[1], first[4], first[3]["Content-Length"]) == ("proxy", "PUT", b"", "0"), "the first request is not an empty PUT to the proxy")
    check((second[0], second[3].get("Content-Length"), second[3].get("Expect")) == ("target", str(len(data)), None), repr(second[3]))
    check(first[3]["X-Request-Id"] == second[3]["X-Request-Id"], "one run, two request ids")
    expect(run("get", "b/dir/obj"), 0, data, "")
    expect(run("object", "get", "ais://b/dir/obj", os.path.join(tmp, "copy")), 0, "", "")
    check(open(os.path.join(tmp, "copy"), "rb").read() == data, "other bytes")
    expect(run("get", "b/dir/obj", tmp), 0, "", "")
    check(open(os.path.join(tmp, "obj"), "rb").read() == data, "not put into the directory under its name")
    expect(run("put", source, "b"), 0)
    check(world.buckets["b"]["source.bin"] == data, "the file's name was not used")
    expect(run("put", "-", "b/piped", stdin=data), 0, "", "")
    check(world.buckets["b"]["piped"] == data and world.requests[-1][3].get("Transfer-Encoding") == "chunked", "piped")
    with open(source, "rb") as f:
        f.seek(1000)
        subprocess.run([ETLCTL, "put", "-", "b/redirected"], stdin=f, check=True, timeout=120, env=environment())
    check(world.buckets["b"]["redirected"] == data[1000:] and world.requests[-1][3].get("Content-Length") == str(len(data) - 1000), "redirected")
    expect(run("put", "-", "b/empty", stdin=b""), 0, "", "")
    expect(run("get", "b/empty", "-"), 0, b"", "")
    expect(run("get", "b/empty", os.path.join(tmp, "empty")), 0, b"", "")
    check(os.path.getsize(os.path.join(tmp, "empty")) == 0, "an empty object makes an empty file")
    expect(run("get", "b/piped", "/dev/null"), 0, b"", "")


@test
def put_again_when_the_owner_changes(tmp):
    """A file is sent again to the new owner. Standard input that is a pipe cannot be, and nothing was stored."""
    world.buckets["b"] = {}
    data = bytes(range(256)) * 5000
    source = os.path.join(tmp, "source.bin")
    open(source, "wb").write(data)
    world.moves = 2
    expect(run("put", source, "b/o"), 0, "", "")
    check(world.buckets["b"] == {"o": data} and len(world.requests) == 4, "%d requests" % len(world.requests))
    world.moves = 1
    with open(source, "rb") as f:
        f.seek(1000)
        subprocess.run([ETLCTL, "put", "-", "b/redirected"], stdin=f, check=True, timeout=120, env=environment())
    check(world.buckets["b"].get("redirected") == data[1000:], "not from where it began")
    world.moves = 1
    r = run("put", "-", "b/piped", stdin=data)
    check(r.code == 6 and "it was not stored: send it again" in r.err and "piped" not in world.buckets["b"], "%d %s" % (r.code, r.err))
    world.moves = 100
    r = run("put", source, "b/never")
    check(r.code == 6 and "the object got another owner during each upload" in r.err and "never" not in world.buckets["b"], "%d %s" % (r.code, r.err))


@test
def odd_names_arrive_byte_equal(tmp):
    world.buckets["b"] = {}
    for name in ("%", "%25", "a b", "track?name=lofi&v=1", "file_#@!$%^&*()_+.mp3", "你好世界", "-hidden", ".a", "a//b", "x/../y", "[z]", "a+b", "'\"\\"):
        expect(run("put", "-", "b/" + name, stdin=name.encode()), 0, "", "")
        check(world.buckets["b"].get(name) == name.encode(), "%r is not among %r" % (name, list(world.buckets["b"])))
        expect(run("get", "b/" + name), 0, name.encode(), "")
    expect(run("object", "rm", *["b/" + name for name in world.buckets["b"]]), 0, "", "")
    check(world.buckets["b"] == {}, repr(world.buckets["b"]))


@test
def get_a_range(tmp):
    with_object("b", "o", b"0123456789")
    expect(run("get", "b/o", "--range", "2-4"), 0, "234", "")
    expect(run("get", "b/o", "--range", "bytes=7-"), 0, "789", "")
    expect(run("get", "b/o", "--range", "-2"), 0, "89", "")
    r = run("get", "b/o", "--range", "20-")
    check(r.code == 1 and "range not satisfiable" in r.err, r.err)
    with_object("b", "no-range", b"0123456789")
    r = run("get", "b/no-range", "--range", "2-4")
    check(r.code == 1 and r.out == b"" and "ignored the range" in r.err, "%d %r %s" % (r.code, r.out, r.err))
    r = run("get", "b/no-range", "--range", "0-3")
    check(r.code == 1 and r.out == b"" and "ignored the range" in r.err, "%d %r %s" % (r.code, r.out, r.err))
    expect(run("get", "b/no-range", "--range", "0-9"), 0, "0123456789", "")
    expect(run("get", "b/o", "--range", "4-2"), 2, "", 'etlctl: "4-2" is not a range: write FIRST-LAST, FIRST- or -COUNT, in bytes from 0\n')


@test
def damage_is_noticed(tmp):
    with_object("b", "rotten", b"0123456789")
    with_object("b", "cut", b"0123456789")
    path = os.path.join(tmp, "out")
    r = run("get", "b/rotten", path)
    check(r.code == 1 and "checksum mismatch" in r.err and os.listdir(tmp) == [], "%d %s %r" % (r.code, r.err, os.listdir(tmp)))
    r = run("get", "b/cut", path)
    check(r.code == 6 and "cut before the answer was complete" in r.err and os.listdir(tmp) == [], "%d %s %r" % (r.code, r.err, os.listdir(tmp)))
    r = run("get", "b/cut")
    check(r.code == 6 and r.out == b"01234", "%d %r" % (r.code, r.out))
    r = run("put", "-", "b/damaged", stdin=b"xyz")
    check(r.code == 1 and "checksum mismatch" in r.err, r.err)
    expect(run("put", "-", "b/too-large", stdin=b"xyz"), 10, "",
           "etlctl: cannot store object ais://b/too-large: no space left on device (node t1, request id RID)\n")
    r = run("get", "b/rotten", "/no/such/dir/x")
    check(r.code == 1 and "/no/such/dir/x: No such file or directory" in r.err, r.err)


@test
def object_ls_pages_and_filters(tmp):
    world.buckets["b"] = {"obj-%02d" % i: b"x" * (i * 100) for i in range(25)}
    world.buckets["b"]["line\nbreak"] = b""
    world.page = 10
    out = run("object", "ls", "b").out.decode().splitlines()
    check(out[0] == "NAME              SIZE" and out[1] == '"line\\x0abreak"   0B' and out[-1] == "obj-24            2.3KiB" and len(out) == 27, repr(out))
    check(len(seen("GET", "/v1/buckets/b")) == 3, "three pages")
    token = json.loads(seen("GET", "/v1/buckets/b")[1][4])["value"]
    check(token["continuation_token"] == "obj-08" and token["uuid"] == "list-uuid1", repr(token))
    expect(run("ls", "ais://b", "--prefix", "obj-0", "--limit", "2", "--no-headers"), 0, "obj-00   0B\nobj-01   100B\n", "")
    expect(run("ls", "b/obj-2", "-o", "name"), 0, "b/obj-20\nb/obj-21\nb/obj-22\nb/obj-23\nb/obj-24\n")
    items = json.loads(run("ls", "b", "-o", "json").out)["items"]
    check(len(items) == 26 and items[1] == {"name": "obj-00", "bucket": "b", "provider": "ais", "size": 0, "version": "1", "checksum": xxh64(b""),
                                             "accessTime": "2026-08-17T20:53:20.123Z"}, repr(items[1]))
    expect(run("ls", "b", "--prefix", "obj", "--sort-by", "size", "--limit", "3", "-o", "name"), 0, "b/obj-00\nb/obj-01\nb/obj-02\n")
    expect(run("ls", "b", "--limit", "0"), 2, "", 'etlctl: --limit "0": write a number of at least 1\n')
    expect(run("ls", "nope"), 3, "", 'etlctl: cannot list objects of ais://nope: bucket "ais://nope" does not exist (node p1, request id RID)\nhint: etlctl bucket ls\n')
    expect(run("ls", "b", "--prefix", "zzz"), 0, "NAME   SIZE\n", "")


@test
def object_head_and_rm(tmp):
    with_object("b", "o", b"0123456789")
    shown = json.loads(run("object", "head", "b/o", "-o", "json").out)
    check(shown == {"apiVersion": "etlnode/v1", "kind": "Object", "name": "o", "bucket": "b", "provider": "ais", "size": 10, "version": "1",
                    "checksum": xxh64(b"0123456789"), "checksumType": "xxhash2", "contentType": "application/octet-stream", "etag": '"abc"',
                    "lastModified": "2026-08-17T20:53:20Z", "accessTime": "2026-08-17T20:53:20Z", "custom": {"colour": "blue"}}, repr(shown))
    check(run("show", "object", "b/o").out.startswith(b"Name:            o\nBucket:          b\nSize:            10 bytes\n"), "table")
    expect(run("object", "show", "b/none"), 3, "",
           "etlctl: cannot read object ais://b/none: t[t1]: ais://b/none does not exist (node t1, request id RID)\nhint: etlctl object ls b\n")
    r = run("object", "rm", "b/o", "b/none")
    expect(r, 8, "", "etlctl: cannot remove object ais://b/none: t[t1]: ais://b/none does not exist (node t1, request id RID)\nhint: etlctl object ls b\n")
    expect(run("rm", "b/none"), 3, "")
    expect(run("rm", "b/none", "b/o", "--ignore-not-found"), 0, "", "")
    expect(run("rm", "b"), 2, "", 'etlctl: "b" does not name an object: write BUCKET/OBJECT\nhint: to remove the bucket: etlctl bucket rm b\n')


# ---- buckets, cluster, version

@test
def buckets(tmp):
    expect(run("bucket", "create", "ais://one", "two"), 0, "", "")
    expect(run("bucket", "ls"), 0, "NAME   PROVIDER\none    ais\ntwo    ais\n", "")
    expect(run("ls", "-o", "name"), 0, "one\ntwo\n")
    expect(run("ls", "buckets", "-o", "json"), 0, '{\n  "apiVersion": "etlnode/v1",\n  "kind": "BucketList",\n  "items": [\n'
           '    {"name":"one","provider":"ais","namespace":null},\n    {"name":"two","provider":"ais","namespace":null}\n  ]\n}\n')
    expect(run("create", "bucket", "one"), 4, "",
           'etlctl: cannot create bucket ais://one: bucket "ais://one" already exists (node p1, request id RID)\nhint: etlctl object ls one\n')
    expect(run("bucket", "create", "one", "--exist-ok"), 0, "", "")
    with_object("one", "o", b"x")
    expect(run("bucket", "rm", "one"), 2, "", "etlctl: bucket ais://one holds objects\nhint: to remove them too: etlctl bucket rm one --yes\n")
    check("one" in world.buckets, "removed without being asked")
    expect(run("bucket", "rm", "one", "--yes"), 0, "", "")
    expect(run("rm", "bucket", "two"), 0, "", "")
    expect(run("bucket", "rm", "two"), 3, "")
    expect(run("bucket", "rm", "two", "--ignore-not-found"), 0, "", "")
    check(world.buckets == {}, repr(world.buckets))
    expect(run("bucket", "create", "s3://x"), 2, "", 'etlctl: "s3://x": only ais:// buckets exist here\n')


@test
def cluster_and_targets(tmp):
    expect(run("cluster", "show"), 0, "ID   ROLE     STATE         URL\np1   proxy    active        PROXY\nt1   target   active        TARGET\n"
                                      "t2   target   maintenance   http://127.0.0.1:1\n", "")
    expect(run("target", "ls", "-o", "name"), 0, "t1\nt2\n")
    # One in maintenance holds nothing, and may be stopped.
    r = run("cluster", "health")
    check(r.code == 0 and re.search(rb"p1 +proxy +ok +1m02s +[0-9.]+ms\nt1 +target +ok +3s +[0-9.]+ms\nt2 +target +maintenance +- +-\n", r.out), repr(r.out))
    one = nodes({"id": "t1", "state": "active", "url": TARGET_URL}, {"id": "t2", "state": "active", "url": "http://127.0.0.1:1"})
    one["nodes"][0]["url"] = PROXY_URL
    world.cluster["nodes"] = one
    r = run("cluster", "health")
    check(r.code == 6 and re.search(rb"t2 +target +unreachable +- +-\n", r.out), repr(r.out))
    check(r.err == "etlctl: a node is not well: t2\nhint: etlctl cluster health -o wide\n", r.err)
    found = json.loads(run("cluster", "health", "-o", "json").out)["items"]
    check(found[1]["uptime"] == 3 and found[2]["uptime"] is None and "127.0.0.1" in found[2]["problem"], repr(found))
    world.cluster.pop("nodes")


@test
def targets_come_and_go(tmp):
    def live(state, **more):
        return dict({"id": "t1", "state": state, "objects": 1234567, "bytes": 3072, "epoch": 9}, **more)

    def said(*targets, **more):
        world.cluster["nodes"] = dict(nodes(*targets), epoch="9", moving=False, lost=[])
        world.cluster["nodes"].update(more)

    world.cluster["PUT"] = b"g10"
    said(live("active"))
    expect(run("target", "drain", "t1"), 0, "g10\n", "")
    expect(run("target", "activate", "t1"), 0, "g10\n", "")
    expect(run("target", "drain", "t1", "--leave-damaged"), 0, "g10\n", "")
    actions = [json.loads(body) for _, _, _, _, body in seen("PUT", "/v1/cluster")]
    check(actions.pop() == {"action": "start-maintenance", "value": {"sid": "t1", "leave_damaged": True}}, repr(actions))
    check(actions == [{"action": "start-maintenance", "value": {"sid": "t1"}}, {"action": "stop-maintenance", "value": {"sid": "t1"}}], repr(actions))
    expect(run("target", "rm", "t1", "--yes"), 4, "", "etlctl: cannot remove target t1: it is heard, and holds 1,234,567 objects (3.0KiB)\n"
                                                      "hint: move its objects to the other targets first: etlctl target drain t1\n")
    said(live("active", heard_seconds=4))
    expect(run("target", "rm", "t1", "--yes"), 4, "", "etlctl: cannot remove target t1: it was heard 4s ago, and held 1,234,567 objects (3.0KiB)\n"
                                                      "hint: move its objects to the other targets first: etlctl target drain t1\n")
    said(live("draining"))
    r = run("target", "rm", "t1")
    check(r.code == 4 and "which are moving to the others" in r.err and "wait until etlctl target ls shows it in maintenance" in r.err, r.err)
    said(live("silent", silent_seconds=100))
    r = run("target", "rm", "t1")
    check(r.code == 2 and re.match(r"etlctl: target t1 held 1,234,567 objects \(3\.0KiB\), heard (\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d, and no other target has them\n"
                                   r"hint: to do it anyway: etlctl target rm t1 --yes\n", r.err), r.err)
    said({"id": "t1", "state": "silent"})
    r = run("target", "rm", "t1")
    check(r.code == 2 and "target t1 held an unknown number of objects, and no other" in r.err, r.err)
    before = len(seen("PUT", "/v1/cluster"))
    check(before == 3, "a refused removal was sent")
    said(live("silent", silent_seconds=100))
    expect(run("target", "rm", "t1", "--yes"), 0, "g10\n", "")
    said(live("maintenance", objects=0))
    expect(run("target", "rm", "t1"), 0, "g10\n", "")
    values = [json.loads(body)["value"] for _, _, _, _, body in seen("PUT", "/v1/cluster")[before:]]
    check(values == [{"sid": "t1", "objects": 1234567}, {"sid": "t1"}], repr(values))
    said(live("active"))
    check(run("target", "replace", "t1").code == 2 and run("target", "forget", "t1").code == 2, "no question")
    expect(run("target", "replace", "t1", "--yes"), 0, "g10\n", "")
    expect(run("target", "forget", "t1", "-y"), 0, "", "")
    expect(run("target", "drain", "t1", "--dry-run"), 0, "would send PUT PROXY/v1/cluster with action start-maintenance t1\n", "")
    said(live("joining", reason="objects that belong to it now are still moving to it"), moving=True, lost=[{"id": "t7", "disk": "abcdefghijklmnop"}])
    r = run("target", "ls")
    check("etlctl job show g9" in r.err and "target t1 is joining: objects that belong" in r.err and "etlctl target forget t7" in r.err, r.err)
    shown = json.loads(run("cluster", "show", "-o", "json").out)
    check(shown["epoch"] == 9 and shown["moving"] is True and shown["lost"] == [{"id": "t7", "disk": "abcdefghijklmnop"}], repr(shown))
    check(shown["items"][1]["state"] == "joining" and shown["items"][1]["epoch"] == 9, repr(shown["items"]))


def disk(name, used, limit=95):
    return {"id": name, "size": 1000 << 20, "used": used << 20, "free": (1000 - used) << 20, "used_percent": used / 10, "out_of_space": limit,
            "state": "full" if used >= limit * 10 else "low" if used >= limit * 10 - 50 else "ok"}


def nodes(*targets):
    rows = [{"id": "p1", "role": "proxy", "url": "http://p", "flags": 0, "primary": True, "state": "active", "version": "1.2.3", "reason": ""}]
    return {"uuid": "u", "version": "4", "nodes": rows + [dict({"role": "target", "url": "http://t", "flags": 0, "primary": False, "state": "active",
                                                                "reason": ""}, **one) for one in targets], "strangers": []}


@test
def wait_for_a_paused_rebalance(tmp):
    """It would wait for ever without a word, also for somebody else's `job cancel`."""
    world.cluster["jobs"] = {"id": "g9", "kind": "rebalance", "state": "paused", "done": 3, "failed": 0, "bytes": 9}
    r = run("job", "wait", "g9", "--timeout", "1s")
    check(r.code == 7 and r.err.count("etlctl: job g9 is paused; to let it go on: etlctl job start rebalance\n") == 1, "%d %s" % (r.code, r.err))


@test
def disks_and_versions(tmp):
    world.cluster["nodes"] = nodes({"id": "t1", "objects": 3, "version": "1.2.3", "bytes": 3072, "disk": disk("m:1", 300)},
                                   {"id": "t2", "objects": 1, "version": "1.2.4", "bytes": 10, "disk": disk("m:1", 300)},
                                   {"id": "t3", "objects": 2, "version": "1.2.4", "bytes": 20, "disk": disk("n:1", 500)})
    expect(run("df"), 0, "TARGET   STATE    OBJECTS   BYTES    SIZE        USED       FREE       USED%\n"
                         "t1       active   3         3.0KiB   1000.0MiB   300.0MiB   700.0MiB   30\n"
                         "t2       active   1         10B      1000.0MiB   300.0MiB   700.0MiB   30\n"
                         "t3       active   2         20B      1000.0MiB   500.0MiB   500.0MiB   50\n"
                         "total    -        6         3.0KiB   2.0GiB      800.0MiB   1.2GiB     40\n", "")
    expect(run("df", "-o", "name"), 0, "t1\nt2\nt3\n", "")
    total = json.loads(run("df", "-o", "json").out)["total"]
    check(total == {"objects": 6, "bytes": 3102, "diskSize": 2000 << 20, "diskUsed": 800 << 20, "diskFree": 1200 << 20, "usedPercent": 40, "complete": True}, repr(total))
    wide = run("cluster", "show", "-o", "wide").out.decode().splitlines()
    check(re.search(r"VERSION +EPOCH +OBJECTS +BYTES +FOUND +DISK FREE +USED%$", wide[0]) and re.search(r"1\.2\.4 +- +2 +20B +- +500\.0MiB +50$", wide[4]), repr(wide))
    check(re.search(r"1\.2\.3 +- +- +- +- +- +-$", wide[1]), repr(wide))  # the proxy


@test
def full_disks_are_named(tmp):
    world.cluster["nodes"] = nodes({"id": "t1", "objects": 3, "version": "1", "bytes": 3, "disk": disk("m:1", 960)},
                                   {"id": "t2", "objects": 3, "version": "1", "bytes": 3, "disk": disk("n:1", 900)}, {"id": "t3", "objects": 4})
    problems = ("etlctl: target t1 stores nothing: its disk is used to 96%, the limit is 95% (--out-of-space). Reads and deletes go on; remove objects, or give it more room\n"
                "etlctl: target t2 is nearly full: its disk is used to 90%, from 95% (--out-of-space) it stores nothing\n")
    expect(run("cluster", "show"), 0, None, problems)
    r = run("df", "-o", "wide")
    check(r.code == 0 and r.err == problems + "etlctl: the total is not complete: not every target has reported\n", r.err)
    check(re.search(rb"^t1 .* 96 +95 +full$", r.out, re.M) and re.search(rb"^t3 +active +4 +-", r.out, re.M), repr(r.out))
    del world.cluster["nodes"]  # another server
    r = run("df")
    check(r.code == 1 and r.err.startswith("etlctl: cannot read the state of the nodes: the server does not report disks"), r.err)


@test
def what_buckets_hold(tmp):
    for name in ("a/1", "a/2", "b"):
        with_object("one", name, b"xyz")
    world.cluster["usage"] = {"buckets": [{"name": "one", "objects": 3, "bytes": 9}, {"name": "two", "objects": 0, "bytes": 0}], "missing": []}
    expect(run("du", "one", "ais://two", "one/a/"), 0, "NAME     OBJECTS   BYTES\none      3         9B\ntwo      0         0B\none/a/   2         6B\n", "")
    world.jobs = 2  # the sums take a while
    expect(run("du", "one/a/1", "-o", "jsonl"), 0, '{"apiVersion":"etlnode/v1","kind":"Usage","name":"one/a/1","objects":1,"bytes":3}\n', "")
    expect(run("du", "three"), 3, "", "etlctl: cannot sum up ais://three: the bucket does not exist\nhint: etlctl bucket ls\n")
    r = run("du", "three/x")
    check(r.code == 3 and 'bucket "ais://three" does not exist' in r.err, r.err)
    expect(run("bucket", "ls", "-o", "wide"), 0, "NAME   PROVIDER   NAMESPACE   OBJECTS   BYTES\none    ais        -           3         9B\n", "")
    world.cluster["usage"]["missing"] = ["t2"]
    r = run("du", "one")
    check(r.code == 6 and "the sum would be too small: target t2 cannot be heard" in r.err, r.err)
    expect(run("bucket", "ls", "-o", "wide"), 0, "NAME   PROVIDER   NAMESPACE   OBJECTS   BYTES\none    ais        -           -         -\n",
           "etlctl: target t2 cannot be heard, so sums are unknown\n")


@test
def versions(tmp):
    r = run("version", "--client", "-o", "json")
    shown = json.loads(r.out)
    check(r.code == 0 and shown["kind"] == "Version" and re.match(r"\d+\.\d+\.\d+$", shown["client"]) and "server" not in shown, repr(shown))
    check(not world.requests, "--client asked the server")
    expect(run("--version"), 0, "Client:   %s\n" % shown["client"], "")
    expect(run("version"), 0, "Client:     %s\nServer:     0.1.0\nEndpoint:   PROXY\n" % shown["client"], "")
    world.says_version = False
    expect(run("version"), 0, "Client:     %s\nServer:     9.9.9\nEndpoint:   PROXY\n" % shown["client"],
           "etlctl: warning: the server has version 9.9.9, this program %s\n" % shown["client"])
