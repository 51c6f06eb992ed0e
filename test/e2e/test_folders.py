#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whole folders with etlctl: put -r, get -r, rm -r, cp, sync, patterns and filters, and what goes wrong with them."""
import contextlib
import json
import os
import pty
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import harness
from harness import Cluster, pod_spec, request, until

UPPER = """#!/usr/local/bin/python
import http.server
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).upper()
        self.send_response(500 if body.startswith(b"FAIL") else 200)
        self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    do_PUT = do_POST
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 80), H).serve_forever()
"""
# Whatever a name may have, on both sides.
NAMES = ["plain", "with space", " leading", "trailing ", "new\nline", "tab\there", "ü/ö", "日本語/ファイル", "-rf", "--help", "*", "a?b", "[x]", "back\\slash", "quote\"s",
         "'single'", "per%20cent", "plus+and&?#;=", "deep/er/and/deeper/still", "a.b", "a-b", "a/b", "a0", ".hidden", "...", "~", "x" * 200, "\x01\x7f", "e\u0301", "rtl\u202e"]

cluster = None
count = 0


def write(path, data=b""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def tree(path):
    """{name: content} of all files below a folder."""
    out = {}
    for folder, _, files in os.walk(path):
        for name in files:
            whole = os.path.join(folder, name)
            with open(whole, "rb") as file:
                out[os.path.relpath(whole, path)] = file.read()
    return out


def etlctl(*words, code=0, **rest):
    done = cluster.run("etlctl", *words, check=False, **rest)
    assert done.returncode == code, (words, done)
    return done


def said(*words, code=0, **rest):
    return etlctl(*words, code=code, **rest).stderr.decode()


def sums(*words, code=0, **rest):
    return json.loads(etlctl(*words, "-o", "json", code=code, **rest).stdout)


def names(bucket, prefix=""):
    done = etlctl("ls", f"{bucket}/{prefix}" if prefix else bucket, "-o", "name", "-0").stdout
    return sorted(name.decode().split("/", 1)[1] for name in done.split(b"\0") if name)


@contextlib.contextmanager
def place(*files):
    """A bucket and a folder of this case's own."""
    global count
    count += 1
    bucket = f"folder{count}"
    cluster.bucket(bucket)
    with tempfile.TemporaryDirectory(prefix="folders") as path:
        for name in files:
            write(os.path.join(path, "in", name), name)
        yield bucket, os.path.join(path, "in"), path


def case_there_and_back():
    with place(*NAMES) as (bucket, folder, path):
        write(folder + "/empty")
        write(folder + "/large", os.urandom(3 << 20))
        os.mkdir(folder + "/no files")
        got = sums("put", "-r", folder, f"{bucket}/some/where")
        assert (got["done"], got["failed"], got["skipped"]) == (len(NAMES) + 2, 0, 0), got
        assert got["bytes"] == sum(len(data) for data in tree(folder).values()), got
        assert names(bucket) == sorted("some/where/" + name for name in tree(folder))
        assert cluster.get(bucket, "some/where/large").body == tree(folder)["large"]
        out = path + "/made/for/it"
        assert sums("get", "-r", f"ais://{bucket}/some/where/", out)["done"] == len(NAMES) + 2
        assert tree(out) == tree(folder)
        assert sums("get", "-r", bucket, path + "/all")["done"] == len(NAMES) + 2  # the whole bucket
        assert tree(path + "/all/some/where") == tree(folder)
        # PREFIX is a folder, and not the beginning of a name.
        assert cluster.put(bucket, "some/wherever", b"x").status == 200
        assert sums("rm", "-r", f"{bucket}/some/where", "--yes")["removed"] == len(NAMES) + 2
        assert names(bucket) == ["some/wherever"]
        # AIStore's spelling
        link = path + "/ais"
        os.symlink(harness.ETLCTL, link)
        assert cluster.run(link, "put", folder, f"ais://{bucket}", "-r", check=False).returncode == 0
        assert cluster.run(link, "get", f"ais://{bucket}", path + "/ais-out", "--prefix", "", check=False).returncode == 0
        assert tree(path + "/ais-out") == {**tree(folder), "some/wherever": b"x"}


def case_patterns_and_filters():
    with place("train-1.tar", "train-2.tar", "train-2.txt", "sub/train-3.tar", "sub/deep/a.tmp", "sub/deep/b", ".git/config") as (bucket, folder, path):
        assert sums("put", "-r", folder, bucket, "--exclude", ".git", "--exclude", "*.tmp")["done"] == 5
        assert names(bucket) == ["sub/deep/b", "sub/train-3.tar", "train-1.tar", "train-2.tar", "train-2.txt"]

        def got(*words):
            out = tempfile.mkdtemp(dir=path)
            etlctl("get", *words, out)
            return sorted(tree(out))
        assert got(f"{bucket}/train-*.tar") == ["train-1.tar", "train-2.tar"]
        assert got(f"{bucket}/**/*.tar") == ["sub/train-3.tar", "train-1.tar", "train-2.tar"]
        assert got(f"{bucket}/sub/t*") == ["train-3.tar"]  # relative to the folder in front of the pattern
        assert got("-r", f"{bucket}/s*") == ["sub/deep/b", "sub/train-3.tar"]  # a pattern that matches a folder
        assert got("-r", bucket, "--include", "*.tar", "--exclude", "sub/") == ["train-1.tar", "train-2.tar"]
        assert got("-r", bucket, "--prefix", "train-2") == ["train-2.tar", "train-2.txt"]
        assert "no object of" in said("get", f"{bucket}/nothing*", path, code=3)
        assert "has a [ without its ]" in said("get", f"{bucket}/[x", path, code=2)
        assert "--include" in said("put", "-r", folder, bucket, "--include", "[", code=2)
        def listed(text):
            return [name.split("/", 1)[1] for name in etlctl("ls", f"{bucket}/{text}", "-o", "name").stdout.decode().split()]
        assert listed("train-*.tar") == ["train-1.tar", "train-2.tar"] and listed("**/d*/*") == ["sub/deep/b"] and listed("tr") == listed("tr*")
        assert listed("[") == []  # no pattern, but the beginning of a name
        offered = etlctl("__complete", "get", f"{bucket}/s").stdout.decode().split() + etlctl("__complete", "rm", "-r", f"{bucket}/sub/").stdout.decode().split()
        assert offered == [f"{bucket}/sub/", f"{bucket}/sub/deep/", f"{bucket}/sub/train-3.tar"], offered
        # An object whose own name looks like a pattern is meant itself.
        for name in ("*", "[ab]"):
            assert cluster.put(bucket, name, name.encode()).status == 200
        assert etlctl("get", f"{bucket}/*", "-").stdout == b"*"
        etlctl("rm", f"{bucket}/*")
        assert "*" not in names(bucket) and len(names(bucket)) == 6
        assert "this removes the objects of" in said("rm", f"{bucket}/train-*", code=2)  # nobody is there to be asked
        assert len(names(bucket)) == 6
        etlctl("rm", f"{bucket}/train-*", "--yes")
        assert names(bucket) == ["[ab]", "sub/deep/b", "sub/train-3.tar"]
        etlctl("rm", f"{bucket}/none*", "--yes", "--ignore-not-found")
        # Several files
        etlctl("put", folder + "/train-1.tar", folder + "/sub/train-3.tar", f"{bucket}/two")
        assert names(bucket, "two/") == ["two/train-1.tar", "two/train-3.tar"]
        assert "is a folder" in said("put", folder + "/train-1.tar", folder + "/sub", bucket, code=2)


def case_what_is_there_already():
    with place("a", "b", "c/d") as (bucket, folder, path):
        assert sums("put", "-r", folder, bucket)["done"] == 3
        assert sums("put", "-r", folder, bucket, "--skip-existing") .items() >= {"done": 0, "skipped": 3}.items()
        write(folder + "/b", "other")
        assert sums("put", "-r", folder, bucket, "--skip-existing")["skipped"] == 3
        assert sums("put", "-r", folder, bucket, "--checksum").items() >= {"done": 1, "skipped": 2}.items()
        write(folder + "/a", "A")  # of the same size
        assert sums("put", "-r", folder, bucket, "--size-only")["skipped"] == 3
        assert sums("put", "-r", folder, bucket, "--checksum").items() >= {"done": 1, "skipped": 2}.items()
        assert sums("put", folder + "/a", f"{bucket}/a", "--checksum")["skipped"] == 1
        assert sums("put", folder + "/a", f"{bucket}/aa", "--checksum")["done"] == 1
        assert cluster.get(bucket, "aa").body == b"A"
        out = path + "/out"
        assert sums("get", "-r", bucket, out)["done"] == 4
        write(out + "/b", "mine")
        os.remove(out + "/a")
        assert sums("get", "-r", bucket, out, "--skip-existing").items() >= {"done": 1, "skipped": 3}.items()
        assert tree(out)["b"] == b"mine"
        assert sums("get", "-r", bucket, out, "--checksum").items() >= {"done": 1, "skipped": 3}.items()
        assert tree(out)["b"] == b"other"
        assert "exclude one another" in said("get", "-r", bucket, out, "--checksum", "--size-only", code=2)


def case_sync():
    with place("a", "b", "c/d", "c/e", "keep.log") as (bucket, folder, path):
        ais = f"ais://{bucket}/s"
        assert sums("sync", folder, ais)["done"] == 5
        assert sums("sync", folder, ais).items() >= {"done": 0, "skipped": 5}.items()
        assert sums("sync", folder, f"{bucket}/s")["skipped"] == 5  # only one of them is a folder here
        os.remove(folder + "/a")
        shutil.rmtree(folder + "/c")
        write(folder + "/b", "new")
        write(folder + "/a-new", "x")
        assert sums("sync", folder, ais).items() >= {"done": 2, "skipped": 1, "removed": 0}.items()
        plan = [json.loads(line) for line in etlctl("sync", folder, ais, "--delete", "--dry-run", "-o", "jsonl").stdout.splitlines()]
        assert [(step["action"], step["from"]) for step in plan] == [("remove", f"{ais}/{name}") for name in ("a", "c/d", "c/e")], plan
        assert sums("sync", folder, ais, "--delete", "--exclude", "c/").items() >= {"removed": 1}.items()  # what is excluded stays
        assert sums("sync", folder, ais, "--delete").items() >= {"removed": 2, "skipped": 3}.items()
        assert names(bucket) == ["s/a-new", "s/b", "s/keep.log"]
        # The other way round
        out = path + "/out"
        write(out + "/mine/too", "x")
        write(out + "/b", "x")
        os.symlink(folder, out + "/link")
        assert sums("sync", ais, out)["done"] == 3
        assert tree(out)["mine/too"] == b"x"
        got = sums("sync", ais, out, "--delete")
        assert got.items() >= {"removed": 2, "skipped": 3}.items(), got
        assert tree(out) == tree(folder) and not os.path.exists(out + "/mine"), os.listdir(out)  # nor behind the link
        # An empty source may be a disk that is not mounted.
        os.mkdir(path + "/empty")
        assert "would remove everything" in said("sync", path + "/empty", ais, "--delete", code=2)
        assert len(names(bucket)) == 3
        assert sums("sync", path + "/empty", ais, "--delete", "--yes")["removed"] == 3
        for words, text in [((folder, "./x"), "both ends are folders"), (("ais://a", "ais://b"), "both ends are buckets"), (("a", "b"), "not clear"),
                            ((path + "/none", ais), "No such file")]:
            assert text in said("sync", *words, code=1 if text.startswith("No") else 2), words


def case_copies():
    with place("a", "b/c", "b/d") as (bucket, folder, _):
        etlctl("put", "-r", folder, f"{bucket}/x")
        cluster.bucket(bucket + "-to")
        etlctl("cp", f"{bucket}/x/a", f"{bucket}-to")
        etlctl("cp", f"{bucket}/x/a", f"{bucket}-to/named")
        etlctl("cp", f"ais://{bucket}/x/a", f"ais://{bucket}-to/in/")
        assert names(bucket + "-to") == ["a", "in/a", "named"]
        assert sums("cp", "-r", f"{bucket}/x/b", f"{bucket}-to/z")["done"] == 2
        assert sums("cp", f"{bucket}/x/**", f"{bucket}-to/all")["done"] == 3
        assert names(bucket + "-to") == ["a", "all/a", "all/b/c", "all/b/d", "in/a", "named", "z/c", "z/d"]
        assert cluster.get(bucket + "-to", "z/c").body == b"b/c"
        assert "copied again" in said("cp", "-r", f"{bucket}/x", f"{bucket}/x/y", code=2)
        assert "for a folder add -r" in said("cp", bucket, bucket + "-to", code=2)
        said("cp", f"{bucket}/missing", bucket + "-to", code=3)


def case_names_that_are_no_paths():
    with place() as (bucket, _, path):
        for name in ("good", "a", "a/b", "x//y", "zz"):
            assert cluster.put(bucket, name, name.encode()).status == 200
        out = path + "/out"
        outside = path + "/outside"
        os.makedirs(outside)
        os.makedirs(out)
        os.symlink(outside, out + "/link")
        assert cluster.put(bucket, "link/evil", b"x").status == 200
        failed = path + "/failed"
        text = said("get", "-r", bucket, out, "--failed-to", failed, "--num-workers", "1", code=8)
        assert "a is a file, and a folder of that name is needed" in text and "slashes is empty" in text and "symbolic link" in text, text
        assert "3 objects failed; 3 objects read" in text, text
        assert os.listdir(outside) == [] and sorted(tree(out)) == ["a", "good", "zz"]
        with open(failed, encoding="utf-8") as file:
            assert file.read().split("\n") == ["a/b", "link/evil", "x//y", ""]
        # Once the obstacles are gone, the names that failed are read alone.
        os.remove(out + "/a")
        os.remove(out + "/link")
        got = sums("get", "-r", bucket, out, "--names-from", failed, "--failed-to", failed, code=8)
        assert (got["done"], got["failed"]) == (2, 1), got
        assert tree(out)["link/evil"] == b"x" and open(failed, encoding="utf-8").read() == "x//y\n"
        # Without --continue it stops.
        os.mkdir(path + "/bad")
        write(path + "/bad/good", "x")
        write(path.encode() + b"/bad/\xff\xfe", b"x")
        text = said("put", "-r", path + "/bad", bucket, "--continue", "--failed-to", failed, code=8)
        assert "not valid UTF-8" in text and "1 object failed; 1 object stored" in text, text
        assert open(failed, encoding="utf-8").read() == '"\\xff\\xfe"\n'
        said("put", "-r", path + "/bad", bucket, "--names-from", failed, code=1)


def case_special_files():
    with place("a", "d/b") as (bucket, folder, path):
        os.mkfifo(folder + "/pipe")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(folder + "/socket")
        os.symlink("a", folder + "/to-file")
        os.symlink("d", folder + "/to-folder")
        os.symlink("..", folder + "/d/up")
        text = said("put", "-r", folder, bucket)
        listener.close()
        for part in ("pipe is left out", "socket is left out", "d/up is left out: this symbolic link leads back"):
            assert part in text, text
        assert names(bucket) == ["a", "d/b", "to-file", "to-folder/b"]
        os.symlink("nowhere", folder + "/dangling")
        assert "leads nowhere" in said("put", "-r", folder, bucket, "--continue", code=8)
        # What is there and is no file is not replaced.
        out = path + "/out"
        os.makedirs(out)
        os.mkfifo(out + "/a")
        assert "neither a file nor a folder" in said("get", "-r", bucket, out, "--continue", code=8)
        assert stat.S_ISFIFO(os.stat(out + "/a").st_mode)
        # One that changes or vanishes while it is read is not stored by halves: here one that the list names and is not there, a folder,
        # and one that has more bytes than its size says.
        os.symlink("/proc/version", folder + "/grows")
        write(path + "/names", "a\ngone\nd\ngrows\n")
        text = said("put", "-r", folder, bucket + "/listed", "--names-from", path + "/names", "--continue", code=8)
        assert "the file is no longer there" in text and "the file changed while it was read" in text and "it is a folder" in text, text
        assert names(bucket, "listed/") == ["listed/a"]
        os.remove(folder + "/grows")
        said("put", "-r", folder + "/none", bucket, code=1)
        assert "it is not a folder" in said("put", "-r", folder + "/a", bucket, code=1)
        assert "add -r" in said("put", folder, bucket, code=1)
        assert 'bucket "ais://nosuch" does not exist' in said("put", "-r", folder, "nosuch", code=3)
        assert "does not exist" in said("get", "-r", "nosuch", out, code=3)
        assert "begins with none/" in said("get", "-r", f"{bucket}/none", out, code=3)


def case_dry_runs():
    with place("a", "b") as (bucket, folder, path):
        plan = json.loads(etlctl("put", "-r", folder, f"{bucket}/p", "--dry-run", "-o", "json").stdout)
        assert plan["kind"] == "ActionList" and plan["items"] == [
            {"action": "store", "from": f"{folder}/{name}", "to": f"ais://{bucket}/p/{name}"} for name in ("a", "b")], plan
        assert names(bucket) == []
        etlctl("put", "-r", folder, bucket)
        out = path + "/out"
        lines = etlctl("get", "-r", bucket, out, "--dry-run", "--no-headers").stdout.decode().splitlines()
        assert [line.split() for line in lines] == [["read", f"ais://{bucket}/{name}", f"{out}/{name}"] for name in ("a", "b")], lines
        assert not os.path.exists(out)
        assert etlctl("rm", "-r", bucket, "--dry-run").stdout.count(b"remove") == 2
        assert names(bucket) == ["a", "b"]
        # Nobody reads the plan to its end.
        reader = subprocess.Popen(["etlctl", "rm", "-r", bucket, "--dry-run", "-o", "name"], env=dict(cluster.env), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        reader.stdout.close()
        assert reader.wait(60) in (0, 141) and b"rror" not in reader.stderr.read()
        reader.stderr.close()


def case_through_an_etl():
    with place("a", "b/c", "fail") as (bucket, folder, path):
        write(folder + "/fail", "fail")
        etlctl("put", "-r", folder, bucket)
        cluster.image("upper:v1", {"srv.py": UPPER})
        etl = cluster.init(pod_spec("upper", "upper:v1", command=["/srv.py"]))
        out = path + "/out"
        text = said("etl", "get", "-r", etl, bucket, out, "--continue", code=8)
        assert "ETL error: FAIL" in text and "1 object failed; 2 objects read" in text, text
        assert tree(out) == {"a": b"A", "b/c": b"B/C"}
        etlctl("etl", "object", "-r", etl, f"{bucket}/b", out)
        assert tree(out)["c"] == b"B/C"
        retries(bucket, etl)
        cluster.stop_etl(etl)


def retries(bucket, etl):
    """A job is begun again for what failed."""
    def last(*words, code=0):
        return json.loads(etlctl(*words, "--wait", "-o", "json", code=code).stdout)
    first = last("etl", "bucket", etl, bucket, bucket + "-up", "--prepend", "x/", code=8)
    assert (first["done"], first["failed"]) == (2, 1), first
    assert "of 1 that failed" in etlctl("job", "report", first["id"], "--retry-failed", "--dry-run").stdout.decode()
    again = last("job", "report", first["id"], "--retry-failed", code=8)
    assert (again["kind"], again["done"], again["skipped"], again["failed"]) == ("etl-listrange", 0, 0, 1), again
    assert cluster.put(bucket, "fail", b"well").status == 200
    again = last("job", "report", again["id"], "--retry-failed")  # of a retry, too
    assert (again["done"], again["failed"]) == (1, 0) and cluster.get(bucket + "-up", "x/fail").body == b"WELL", again
    assert etlctl("job", "report", again["id"], "--retry-failed").stdout == b""  # nothing failed
    # More names than a list may have: the whole job again, which skips what is done.
    with tempfile.TemporaryDirectory(prefix="folders") as path:
        deep = "/".join("n" * 200 for _ in range(4))
        for i in range(680):
            write(f"{path}/in/{deep}/{i:03}", b"fail")
        etlctl("put", "-r", path + "/in", bucket)
        first = last("etl", "bucket", etl, bucket, bucket + "-up", "--prepend", "x/", code=8)
        assert first["failed"] == 680, first
        for i in range(680):
            write(f"{path}/in/{deep}/{i:03}", b"good" if i else b"fail")
        etlctl("sync", path + "/in", f"ais://{bucket}")
    again = last("job", "report", first["id"], "--retry-failed", code=8)
    assert (again["kind"], again["done"], again["skipped"], again["failed"]) == ("etl-bck", 679, 3, 1), again
    scrub = last("scrub", bucket)
    assert "hint: etlctl scrub " + bucket in said("job", "report", scrub["id"], "--retry-failed", code=2)
    assert "hint: etlctl job ls" in said("job", "report", "nosuchjob", "--retry-failed", code=3)


def case_watching():
    with place() as (bucket, _, __):
        program = subprocess.Popen(["etlctl", "ls", bucket, "--watch", "-o", "name"], env=dict(cluster.env), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert cluster.put(bucket, "new", b"x").status == 200
        assert program.stdout.readline() == f"{bucket}/new\n".encode()
        assert cluster.put(bucket, "newer", b"x").status == 200
        assert [program.stdout.readline(), program.stdout.readline()] == [f"{bucket}/{name}\n".encode() for name in ("new", "newer")]
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=60)
        assert (program.returncode, out, err) == (130, b"", b"\n"), (program.returncode, out, err)
        pid, fd = pty.fork()
        if pid == 0:
            os.execvpe("etlctl", ["etlctl", "ls", bucket, "-w"], dict(cluster.env))
        seen = b""
        while b"newer" not in seen:
            seen += os.read(fd, 65536)
        os.kill(pid, signal.SIGINT)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
        os.close(fd)
        assert seen.startswith(b"\x1b[2J\x1b[Hetlctl object ls, every 2s: "), seen
        assert "does not exist" in said("ls", "nosuch", "-w", code=3)  # it does not wait for one


def case_jsonpath():
    with place("a", "b\nc") as (bucket, folder, _):
        etlctl("put", "-r", folder, bucket)

        def shown(template, *words):
            return etlctl(*(words or ("ls", bucket)), "-o", "jsonpath=" + template).stdout.decode()
        assert shown("{.items[*].name}") == "a b\nc"
        assert shown('{range .items[*]}{.name}={.size}{"\\n"}{end}') == "a=1\nb\nc=3\n"
        assert shown('{.items[?(@.name=="a")].bucket}') == bucket
        assert shown(".size", "head", f"{bucket}/a") == "1"
        assert shown("{.done}", "put", "-r", folder, bucket) == "2"
        assert etlctl("ls", bucket, "-o=jsonpath={.kind}").stdout == b"ObjectList"
        assert "at character" in said("ls", bucket, "-o", "jsonpath={.items[}", code=2)


def case_a_full_disk():
    if os.getuid() != 0:
        raise harness.Skip("a small file system needs root")
    with place() as (bucket, _, path):
        for i in range(6):
            assert cluster.put(bucket, f"o{i}", os.urandom(1 << 20)).status == 200
        small = path + "/small"
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2500k", "tmpfs", small], check=True, timeout=60)
        try:
            text = said("get", "-r", bucket, small, "--continue", "--num-workers", "1", code=10)
            assert "No space left on device" in text and "the disk is full, so the rest was not tried" in text, text
            there = tree(small)  # what is there is whole, and nothing else is
            assert there and all(cluster.get(bucket, name).body == data for name, data in there.items()), list(there)
        finally:
            subprocess.run(["umount", "-l", small], check=False, timeout=60)


def interrupted(words, is_far_enough, signum=signal.SIGINT):
    """Starts the program, sends the signal once, and returns its exit code and what it said."""
    program = subprocess.Popen(["etlctl", *words], env=dict(cluster.env), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until(lambda: is_far_enough() or program.poll() is not None, "the program is under way")
        program.send_signal(signum)
        return program.wait(120), program.stderr.read().decode()
    finally:
        program.kill()
        program.wait()
        program.stderr.close()


def case_interrupted():
    with place() as (bucket, folder, path):
        for i in range(3000):
            write(f"{folder}/f{i:04}", str(i))
        code, text = interrupted(["put", "-r", folder, bucket, "--num-workers", "1"], lambda: len(names(bucket)) > 20)
        assert code == 130 and "interrupted; " in text, (code, text)
        stored = len(names(bucket))
        assert 20 < stored < 3000, stored
        got = sums("put", "-r", folder, bucket, "--skip-existing")
        assert got["skipped"] >= stored and got["done"] + got["skipped"] == 3000, (stored, got)
        out = path + "/out"
        os.mkdir(out)
        code, text = interrupted(["get", "-r", bucket, out, "--num-workers", "1"], lambda: len(os.listdir(out)) > 20, signal.SIGTERM)
        assert code == 143, (code, text)
        there = tree(out)
        assert 20 < len(there) < 3000 and all(name.startswith("f") and data == str(int(name[1:])).encode() for name, data in there.items())
        # Not even a program that is killed leaves a part of a file.
        code, _ = interrupted(["get", "-r", bucket, out, "--skip-existing", "--num-workers", "1"], lambda: len(os.listdir(out)) > len(there) + 20, signal.SIGKILL)
        there = tree(out)
        assert code == -9 and all(name.startswith("f") and data == str(int(name[1:])).encode() for name, data in there.items()), code
        assert sums("sync", f"ais://{bucket}", out).items() >= {"done": 3000 - len(there), "skipped": len(there)}.items()
        assert tree(out) == tree(folder)


def case_interrupted_while_nothing_answers():
    with place("a") as (bucket, folder, path):
        etlctl("put", "-r", folder, bucket)
        os.kill(cluster.proxy.pid, signal.SIGSTOP)
        try:
            program = subprocess.Popen(["etlctl", "get", "-r", bucket, path + "/out"], env=dict(cluster.env), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            until(lambda: os.path.exists(path + "/out"), "the program is under way")
            program.send_signal(signal.SIGINT)
            try:
                _, err = program.communicate(timeout=50)  # a list is awaited for 60 s
            finally:
                program.kill()
        finally:
            os.kill(cluster.proxy.pid, signal.SIGCONT)
        assert program.returncode == 130 and b"interrupted; 0 objects read" in err, (program.returncode, err)


def case_a_target_restarts():
    with place() as (bucket, folder, _):
        for i in range(400):
            write(f"{folder}/f{i:03}", os.urandom(2000))
        program = subprocess.Popen(["etlctl", "put", "-r", folder, bucket, "--num-workers", "2", "-o", "json"], env=dict(cluster.env), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        until(lambda: len(names(bucket)) > 20, "the program is under way")
        cluster.targets[0].kill()
        time.sleep(0.3)
        cluster.targets[0].start()
        out, err = program.communicate(timeout=120)
        assert program.returncode == 0 and json.loads(out)["done"] == 400, (program.returncode, out, err)
        cluster.wait_registered()
        until(lambda: sums("sync", folder, f"ais://{bucket}")["skipped"] == 400, "everything is there")


def on_terminal(*words):
    """What a person sees: both outputs in one terminal."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe("etlctl", ["etlctl", *words], dict(cluster.env))
    seen = b""
    with contextlib.suppress(OSError):
        while part := os.read(fd, 65536):
            seen += part
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode().replace("\r\n", "\n")


def case_on_a_terminal():
    with place("a", "b") as (bucket, folder, _):
        os.mkdir(folder + "/empty")
        code, text = on_terminal("put", "-r", folder, bucket)
        assert code == 0 and text.startswith("2 objects stored (2B) in ") and "1 empty folder has no object" in text, text
        code, text = on_terminal("put", "-r", folder, bucket, "--skip-existing")
        assert "0 objects stored" in text and "2 there already" in text, text
        assert etlctl("put", "-r", folder, bucket).stderr == b""  # no word in a pipe
        text = said("put", "-r", folder, bucket, "--progress", "plain")
        assert text.startswith("storing  2/2 objects  2B"), text


def main():
    global cluster
    with Cluster(targets=2) as cluster:
        harness.run([
            ("there and back", case_there_and_back),
            ("patterns and filters", case_patterns_and_filters),
            ("what is there already", case_what_is_there_already),
            ("sync", case_sync),
            ("copies", case_copies),
            ("names that are no paths", case_names_that_are_no_paths),
            ("special files", case_special_files),
            ("dry runs", case_dry_runs),
            ("through an etl", case_through_an_etl),
            ("a full disk", case_a_full_disk),
            ("interrupted", case_interrupted),
            ("interrupted while nothing answers", case_interrupted_while_nothing_answers),
            ("a target restarts", case_a_target_restarts),
            ("on a terminal", case_on_a_terminal),
            ("watching", case_watching),
            ("jsonpath", case_jsonpath),
        ])


main()
