#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A data engineer's day with AIStore's Python SDK, unmodified from PyPI: what works is in verdicts.json, and on docs/CLIENTS.md.

Run it with the Python of an environment that has the package `aistore` (make test-clients creates them). `make test-clients UPDATE=1` writes down what it sees."""
import multiprocessing
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "e2e")]

import harness  # noqa: E402
import verdicts  # noqa: E402

try:
    import aistore
    from aistore.sdk import Client
    from aistore.sdk.list_object_flag import ListObjectFlag
except ImportError as missing:
    sys.exit(f"this test needs the package aistore: {missing}")

UPPER = '''#!/usr/bin/env python3
import http.server, sys
from urllib.parse import parse_qs, urlsplit

class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, b"")

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if b"refuse" in body: return self.answer(422, b"refused as asked")
        args = parse_qs(urlsplit(self.path).query).get("etl_args", [""])[0]
        self.answer(200, args.encode() + body.upper())

    do_POST = do_PUT

http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), H).serve_forever()
'''
# What AIStore's image runtime_python does with a class.
RUNTIME = '''#!/usr/bin/python3
import base64, os, sys
sys.path.insert(0, "/packages")
import cloudpickle
cloudpickle.loads(base64.b64decode(os.environ["ETL_CLASS_PAYLOAD"]))(port=8000).start()
'''
SPEC = """
apiVersion: v1
kind: Pod
metadata:
  name: day-upper
  annotations: {communication_type: "hpush://", wait_timeout: 2m}
spec:
  containers:
    - name: server
      image: day/upper:1
      ports: [{name: default, containerPort: 8000}]
      command: ['/srv.py', '8000']
      readinessProbe: {httpGet: {path: /, port: default}}
"""
is_old = aistore.__version__.startswith("1.9.")
world = {}
TEXTS = {f"text/{i}.txt": b"sample %d" % i for i in range(16)}


def client():
    return world["client"]


def day():
    return client().bucket("day")


def fresh(name):
    client().bucket(name).delete(missing_ok=True)
    return client().bucket(name)


def put(bucket, name, body):
    target = bucket.object(name)
    return target.put_content(body) if is_old else target.get_writer().put_content(body)


def get(bucket, name, etl=None, args=None):
    target = bucket.object(name)
    if is_old:
        if args:
            raise AttributeError("Object.get has no attribute etl_args")
        return target.get(etl_name=etl).read_all()
    from aistore.sdk.etl import ETLConfig
    return target.get_reader(etl=ETLConfig(name=etl, args=args) if etl else None).read_all()


def names(bucket, **options):
    return [entry.name for entry in bucket.list_all_objects(**options)]


def wait(job, idle=False):
    """SDKs of today return an object or a list of ids for a group, and raise or return what became of the job."""
    for one in [job] if isinstance(job, str) else job:
        if idle:
            client().job(one).wait_for_idle(timeout=60)
        else:
            client().job(one).wait(timeout=60)


def expect(got, wanted):
    assert got == wanted, f"got {got!r:.200}, expected {wanted!r:.200}"


# --- buckets

def buckets():
    bucket = fresh("one")
    bucket.create()
    bucket.create(exist_ok=True)
    assert "one" in [b.name for b in client().cluster().list_buckets()]
    bucket.head()
    bucket.delete()
    assert "one" not in [b.name for b in client().cluster().list_buckets()]


def folder():
    where = os.path.join(world["dir"], "folder")
    os.makedirs(os.path.join(where, "sub"), exist_ok=True)
    for path in ("a.txt", "sub/b.txt"):
        with open(os.path.join(where, path), "w", encoding="utf-8") as file:
            file.write(path)
    bucket = fresh("folder").create()
    bucket.put_files(where, recursive=True, prepend="in/")
    expect(names(bucket), ["in/a.txt", "in/sub/b.txt"])


def copy_bucket():
    wait(day().copy(fresh("copied"), prefix_filter="text/1", prepend="c/"))
    expect(names(client().bucket("copied")), sorted("c/" + n for n in TEXTS if n.startswith("text/1")))


def rename():
    fresh("renamed")
    put(fresh("former").create(), "o", b"kept")
    wait(client().bucket("former").rename("renamed"))
    expect(get(client().bucket("renamed"), "o"), b"kept")
    assert "former" not in [b.name for b in client().cluster().list_buckets()]


def summary():
    expect(int(day().summary(prefix="text/")["ObjCount"]["obj_count_present"]), len(TEXTS))
    assert day().info()


# --- lists

def lists():
    expect(names(day(), prefix="text/"), sorted(TEXTS))
    expect([entry.name for entry in day().list_objects_iter(prefix="text/", page_size=3)], sorted(TEXTS))
    page = day().list_objects(prefix="text/", page_size=5)
    assert len(page.entries) == 5 and page.continuation_token
    expect([o.name for o in day().list_all_objects_iter(prefix="text/")], sorted(TEXTS))


def flags():
    for flag in ("NAME_ONLY", "NAME_SIZE", "CACHED", "ONLY_REMOTE_PROPS"):
        expect(names(day(), prefix="text/", flags=[getattr(ListObjectFlag, flag)]), sorted(TEXTS))


def one_level():
    assert "text/" in names(day(), flags=[ListObjectFlag.NO_RECURSION])


def entry_properties():
    entry = day().list_all_objects(prefix="text/0", props="name,size,version,checksum,atime,cached,status,copies,location")[0]
    assert entry.size == 8 and entry.version and entry.checksum and entry.is_cached(), entry


def urls():
    found = list(day().list_urls(prefix="text/"))
    assert len(found) == len(TEXTS)
    expect(harness.request("GET", sorted(found)[0]).body, TEXTS[sorted(TEXTS)[0]])


def members():
    put_archive()
    assert any(entry.name.endswith("text/0.txt") for entry in day().list_archive("some.tar"))


# --- objects

def objects():
    put(day(), "o/put", b"first")
    expect(get(day(), "o/put"), b"first")
    put(day(), "o/put", b"second")
    assert day().object("o/put").head()
    day().object("o/put").delete()
    assert names(day(), prefix="o/put") == []


def readers():
    reader = day().object("text/1.txt").get_reader(chunk_size=2)
    expect(b"".join(reader), TEXTS["text/1.txt"])
    expect(day().object("text/1.txt").get_reader(byte_range="bytes=0-2").read_all(), TEXTS["text/1.txt"][:3])


def direct():
    for name, text in TEXTS.items():
        expect(day().object(name).get_reader(direct=True).read_all(), text)


def as_file():
    content = os.urandom(1 << 20)
    put(day(), "o/large", content)
    with day().object("o/large").get_reader().as_file() as file:
        expect(file.read(7) + file.read(), content)


def custom():
    put(day(), "o/custom", b"x")
    target = day().object("o/custom")
    (target if is_old else target.get_writer()).set_custom_props({"label": "cat"})
    head = target.head() if is_old else target.head(props="custom")
    shown = head.get("Ais-Custom-Md", "") if is_old else dict(head.custom_metadata)
    assert "label" in shown and "cat" in str(shown), shown


def copy_object():
    day().object("text/2.txt").copy(day().object("o/copied"))
    expect(get(day(), "o/copied"), TEXTS["text/2.txt"])


def append():
    target = day().object("o/appended")
    writer = target if is_old else target.get_writer()
    handle = writer.append_content(b"one,")
    handle = writer.append_content(b"two", handle=handle)
    writer.append_content(b"", handle=handle, flush=True)
    expect(get(day(), "o/appended"), b"one,two")


def multipart():
    upload = day().object("o/parts").multipart_upload().create()
    upload.add_part(2).put_content(b"world")
    upload.add_part(1).put_content(b"hello ")
    upload.complete()
    expect(get(day(), "o/parts"), b"hello world")


def batch():
    found = list(client().batch(sorted(TEXTS)[:4], bucket=day()).get())
    expect([data for _, data in found], [TEXTS[name] for name in sorted(TEXTS)[:4]])


# --- groups

def copy_group():
    wait(day().objects(obj_names=["text/1.txt", "text/2.txt", "nothere"]).copy(fresh("group").create()), idle=True)
    expect(names(client().bucket("group")), ["text/1.txt", "text/2.txt"])


def copy_template():
    wait(day().objects(obj_template="text/{3..9..3}.txt").copy(fresh("templates").create(), prepend="t/"), idle=True)
    expect(names(client().bucket("templates")), ["t/text/3.txt", "t/text/6.txt", "t/text/9.txt"])


def delete_group():
    bucket = fresh("deleted").create()
    for i in range(6):
        put(bucket, f"d{i}", b"x")
    wait(bucket.objects(obj_template="d{0..3}").delete())
    expect(names(bucket), ["d4", "d5"])


def put_archive():
    wait(day().objects(obj_names=["text/0.txt", "text/1.txt"]).archive("some.tar"), idle=True)


def archive():
    put_archive()
    if is_old:
        assert get(day(), "some.tar")
        return
    from aistore.sdk.archive_config import ArchiveConfig
    reader = day().object("some.tar").get_reader(archive_config=ArchiveConfig(archpath="text/1.txt"))
    expect(reader.read_all(), TEXTS["text/1.txt"])


# --- jobs and the cluster

def jobs():
    job = day().copy(fresh("jobs"))
    client().job(job).wait(timeout=60)
    status = client().job(job).status()
    assert status.end_time and not status.err and not status.aborted, status
    assert job in [one.uuid for one in client().cluster().list_jobs_status(job_kind="copy-bck")]
    assert isinstance(client().cluster().list_running_jobs(), list)
    assert client().job(job_kind="lru").start()


def details():
    job = day().copy(fresh("details"))
    client().job(job).wait(timeout=60)
    found = client().job(job).get_details()
    assert client().job(job).get_total_time() is not None
    expect(sum(int(snap.stats.objects) for snaps in found.root.values() for snap in snaps), len(names(day())))


def abort():
    job = day().copy(fresh("aborted"))
    client().job(job).abort()


def cluster():
    assert client().cluster().is_ready() and len(client().cluster().get_info().tmap) == 2 and client().cluster().get_uuid()


def performance():
    assert len(client().cluster().get_performance()) == 2


def logs():
    assert all("level=" in str(log) for log in client().cluster().get_cluster_logs().values())


# --- transforms

def start_upper():
    if "upper" in world:
        return "day-upper"
    etl = client().etl("day-upper")
    if is_old:
        etl.init_spec(template=SPEC, communication_type="hpush", timeout="2m")
    else:
        etl.init(image="day/upper:1", command=["/srv.py", "8000"], init_timeout="2m")
    world["upper"] = etl
    return "day-upper"


def etl_from_image():
    expect(get(day(), "text/1.txt", start_upper()), b"SAMPLE 1")
    if not is_old:
        assert "day-upper" in [etl.id for etl in client().cluster().list_etls()]
        assert world["upper"].logs()


def etl_from_class():
    from aistore.sdk.etl.webserver.http_multi_threaded_server import HTTPMultiThreadedServer
    etl = client().etl("day-class")

    @etl.init_class(init_timeout="2m")
    class Reverse(HTTPMultiThreadedServer):  # noqa: the class is what is sent
        def transform(self, data, _path, _etl_args):
            return data[::-1]
    expect(get(day(), "text/1.txt", "day-class"), TEXTS["text/1.txt"][::-1])
    etl.stop()
    etl.delete()


def etl_arguments():
    expect(get(day(), "text/1.txt", start_upper(), args="x="), b"x=SAMPLE 1")


def transform_bucket():
    wait(day().transform(to_bck=fresh("upper"), etl_name=start_upper(), prefix_filter="text/", ext={"txt": "up"}))
    expect(names(client().bucket("upper")), sorted(name.replace(".txt", ".up") for name in TEXTS))
    expect(get(client().bucket("upper"), "text/1.up"), b"SAMPLE 1")


def transform_group():
    wait(day().objects(obj_template="text/{1..3}.txt").transform(fresh("upper-group").create(), start_upper()), idle=True)
    expect(get(client().bucket("upper-group"), "text/3.txt"), b"SAMPLE 3")


def inspect():
    put(day(), "bad/refused", b"refuse this")
    try:
        job = day().inspect(start_upper(), prefix_filter="bad/")
        wait(job) if isinstance(job, str) else None
        errors = world["upper"].view(job_id=job).obj_errors if isinstance(job, str) else job
        assert any("refused as asked" in str(error) for error in errors), errors
    finally:
        day().object("bad/refused").delete()


def copy_through_etl():
    from aistore.sdk.etl import ETLConfig
    day().object("text/4.txt").copy(day().object("o/upper"), etl=ETLConfig(name=start_upper()))
    expect(get(day(), "o/upper"), b"SAMPLE 4")


def pipeline():
    from aistore.sdk.etl import ETLConfig
    second = client().etl("day-second")
    second.init(image="day/upper:1", command=["/srv.py", "8000"], init_timeout="2m")
    try:
        start_upper()
        reader = day().object("text/1.txt").get_reader(etl=ETLConfig(name=world["upper"] >> second))
        expect(reader.read_all(), b"SAMPLE 1")
    finally:
        second.stop()
        second.delete()


# --- loaders

def load_share(arguments):
    url, mine = arguments
    bucket = Client(url).bucket("upper")
    return {name: get(bucket, name) for name in mine}


def loader():
    """As a loader of a training does it: processes, each with a client of its own."""
    if names(client().bucket("upper")) == []:
        transform_bucket()
    wanted = names(client().bucket("upper"))
    with multiprocessing.get_context("fork").Pool(16) as pool:
        loaded = {}
        for share in pool.map(load_share, [(world["url"], wanted[i::16]) for i in range(16)]):
            loaded.update(share)
    expect(loaded, {name.replace(".txt", ".up"): text.upper() for name, text in TEXTS.items()})


ROWS = [
    ("Buckets", "create, list, head, remove", buckets),
    ("Buckets", "put a folder (`put_files`)", folder),
    ("Buckets", "copy, with prefix and prepend", copy_bucket),
    ("Buckets", "rename", rename),
    ("Buckets", "summary, info", summary),
    ("Lists", "names, pages, prefixes, iterators", lists),
    ("Lists", "flags", flags),
    ("Lists", "one level (`NO_RECURSION`)", one_level),
    ("Lists", "properties of entries", entry_properties),
    ("Lists", "URLs", urls),
    ("Lists", "members of archives (`list_archive`)", members),
    ("Objects", "put, get, head, delete", objects),
    ("Objects", "readers by chunks, ranges", readers),
    ("Objects", "readers straight from the target (`direct`)", direct),
    ("Objects", "readers as files that resume (`as_file`)", as_file),
    ("Objects", "custom metadata", custom),
    ("Objects", "copy", copy_object),
    ("Objects", "append", append),
    ("Objects", "multipart upload", multipart),
    ("Objects", "batches (`client.batch`)", batch),
    ("Groups of objects", "copy by names", copy_group),
    ("Groups of objects", "copy by template", copy_template),
    ("Groups of objects", "delete", delete_group),
    ("Groups of objects", "archive, and read a member", archive),
    ("Jobs and the cluster", "wait, status, lists, start", jobs),
    ("Jobs and the cluster", "details (snapshots)", details),
    ("Jobs and the cluster", "abort", abort),
    ("Jobs and the cluster", "map, readiness, uuid", cluster),
    ("Jobs and the cluster", "performance", performance),
    ("Jobs and the cluster", "logs of nodes", logs),
    ("Transforms", "start by image or Pod spec, read, logs", etl_from_image),
    ("Transforms", "start by class (`init_class`)", etl_from_class),
    ("Transforms", "arguments", etl_arguments),
    ("Transforms", "transform a bucket", transform_bucket),
    ("Transforms", "transform a group", transform_group),
    ("Transforms", "inspect", inspect),
    ("Transforms", "copy an object through an ETL", copy_through_etl),
    ("Transforms", "pipelines", pipeline),
    ("Loaders", "16 processes read a transformed bucket", loader),
]


with harness.Cluster(targets=2) as made:
    print(f"# aistore {aistore.__version__}, Python {sys.version.split()[0]}")
    made.image("day/upper:1", {"srv.py": UPPER}, ["/srv.py"])
    runtime = os.path.join(made.dir, "runtime")
    packages = next(path for path in sys.path if os.path.isdir(os.path.join(path, "aistore")))
    shutil.copytree(packages, os.path.join(runtime, "packages"), ignore=shutil.ignore_patterns("pip*", "setuptools*", "__pycache__"))
    with open(os.path.join(runtime, "run.py"), "w", encoding="utf-8") as script:
        script.write(RUNTIME)
    os.chmod(os.path.join(runtime, "run.py"), 0o755)
    made.run("kubectl-local", "image", "aistorage/runtime_python:%d.%d" % sys.version_info[:2], runtime, "/run.py")
    world.update(client=Client(made.proxy.url), url=made.proxy.url, dir=made.dir)
    day().create()
    for text_name, text_body in TEXTS.items():
        put(day(), text_name, text_body)
    harness.run(verdicts.cases(f"aistore {aistore.__version__}", ROWS, (AttributeError, TypeError, ImportError)), limit=180)
