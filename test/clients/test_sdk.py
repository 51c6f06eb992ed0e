#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""AIStore's Python SDK, unmodified from PyPI, against real daemons: what it relies on, and what its users see when a transform fails.

Run it with the Python of an environment that has the package `aistore` (make test-clients creates one)."""
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

import harness  # noqa: E402

try:
    import aistore
    from aistore.sdk import Client
    from aistore.sdk.errors import AISError, ErrBckNotFound, ErrETLNotFound
    from aistore.sdk.etl import ETLConfig
except ImportError as missing:
    sys.exit(f"this test needs the package aistore: {missing}")

SERVER = '''#!/usr/bin/env python3
import http.server, os, sys, time

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
        if body == b"hang": time.sleep(120)
        if body == b"die":
            sys.stdout.flush()
            os._exit(3)
        if body == b"refuse": return self.answer(422, b"this object cannot be transformed")
        self.answer(200, body.upper())

http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), H).serve_forever()
'''
# AIStore's own server class: an ETL is a class with one method. The package comes from the environment of this test.
OFFICIAL = '''#!/usr/bin/python3
import sys
sys.path.insert(0, "/packages")
from aistore.sdk.etl.webserver.http_multi_threaded_server import HTTPMultiThreadedServer

class Reverse(HTTPMultiThreadedServer):
    def transform(self, data, _path, _etl_args):
        return data[::-1]

Reverse(port=8000).start()
'''
world = {}


def client():
    return world["client"]


def bucket():
    return client().bucket("sdk")


def put(name, content):
    bucket().object(name).get_writer().put_content(content)


def started(name, **rest):
    etl = client().etl(name)
    etl.init(image="clients/server:1", command=["/srv.py", "8000"], init_timeout="1m", **rest)
    return etl


def read(name, etl):
    return bucket().object(name).get_reader(etl=ETLConfig(name=etl.name)).read_all()


def fails(what, *words):
    """The error's text. It comes immediately, not after the SDK has retried for over a minute."""
    began = time.monotonic()
    try:
        what()
    except Exception as error:  # noqa: what the SDK makes of an answer is what its user sees
        took = time.monotonic() - began
        for word in words:
            assert word in str(error), f"{type(error).__name__} after {took:.1f} s: {error}"
        return str(error), took
    raise AssertionError("it did not fail")


def case_objects():
    put("plain", b"some text :)")
    assert bucket().object("plain").get_reader().read_all() == b"some text :)"
    assert bucket().object("plain").get_reader(byte_range="bytes=5-8").read_all() == b"text"
    assert bucket().object("plain").head(props="checksum").checksum_type == "xxhash2"
    assert [entry.name for entry in bucket().list_all_objects()] == ["plain"]
    bucket().object("plain").delete()


def case_buckets_by_name():
    assert [b.name for b in client().cluster().list_buckets()] == ["sdk"]
    fails(lambda: client().bucket("nothere").head(), "nothere")
    try:
        client().bucket("nothere").object("o").get_reader().read_all()
        raise AssertionError("a bucket that does not exist was read")
    except ErrBckNotFound:
        pass


def case_life_of_an_etl():
    etl = started("upper-case")
    assert [e.id for e in client().cluster().list_etls()] == ["upper-case"]
    put("text", b"some text")
    assert read("text", etl) == b"SOME TEXT"
    assert etl.view().init_msg.name == "upper-case"
    assert len(etl.logs()) == 2
    etl.stop()
    etl.start()
    assert read("text", etl) == b"SOME TEXT"
    etl.stop()
    etl.delete()
    assert client().cluster().list_etls() == []
    try:
        etl.view()
        raise AssertionError("an ETL that was deleted is shown")
    except ErrETLNotFound:
        pass


def case_the_reason_of_a_refused_object_is_reported():
    etl = started("refuses")
    put("refuse", b"refuse")
    text, _ = fails(lambda: read("refuse", etl), "this object cannot be transformed")
    assert "too many" not in text, text
    errors = etl.view().obj_errors
    assert [(e.ecode, "cannot be transformed" in e.msg) for e in errors] == [(422, True)], errors
    etl.stop()
    etl.delete()


def case_an_object_that_takes_too_long_is_reported_once():
    etl = started("hangs-long", obj_timeout="2s")
    put("hang", b"hang")
    text, took = fails(lambda: read("hang", etl), "timeout")
    assert "too many" not in text and took < 60, (took, text)  # with retries: 102 s
    etl.stop()
    etl.delete()


def case_a_container_that_dies_is_reported_with_the_reason():
    etl = started("dies-often")
    put("die", b"die")
    text, took = fails(lambda: read("die", etl), "ETL error")
    assert "too many" not in text and took < 60, (took, text)  # with all retries: 95 s
    etl.stop()
    etl.delete()


def case_a_start_that_fails_says_why_before_the_sdk_gives_up():
    etl = client().etl("never-ready")
    began = time.monotonic()
    fails(lambda: etl.init(image="clients/server:1", command=["/srv.py", "9999"], init_timeout="12s"), "eady")
    took = time.monotonic() - began
    assert took < 50, f"{took:.1f} s: the SDK asked again for a minute"
    listed = {e.id: e.stage for e in client().cluster().list_etls(stages=["Aborted"])}
    assert listed == {"never-ready": "Aborted"}, listed
    etl.init(image="clients/server:1", command=["/srv.py", "8000"], init_timeout="1m")  # an ETL that never served is replaced
    put("again", b"again")
    assert read("again", etl) == b"AGAIN"
    etl.stop()
    etl.delete()
    assert client().cluster().list_etls() == []


def change_node(action, target):
    """The SDK has no method for this, so its own client of requests sends what AIStore's other clients send. Returns the id of the rebalance."""
    value = {"sid": target, "skip_rebalance": False, "rm_user_data": False, "keep_initial_config": False, "no_shutdown": False}
    return client()._request_client.request("PUT", path="cluster", json={"action": action, "value": value}).text


def case_a_target_goes_into_maintenance_and_leaves():
    """As an operator of AIStore knows it. The SDK waits for the job, reads the map, and finds objects with a map from before."""
    objects = {f"kept/{i}": f"object {i}".encode() for i in range(60)}
    for name, content in objects.items():
        put(name, content)
    target = sorted(client().cluster().get_info().tmap)[0]
    readers = {name: bucket().object(name).get_reader(direct=True) for name in objects}  # with the map of now

    def is_out():
        return client().cluster().get_info().tmap[target].in_maint_or_decomm()

    assert not is_out()
    for action, out in (("start-maintenance", True), ("stop-maintenance", False), ("decommission-node", True)):
        job = change_node(action, target)
        harness.until(lambda out=out: is_out() == out, f"{action} shows in the map", 60)
        if job:  # a target that starts its pods first joins later
            client().job(job_id=job).wait(timeout=120)
        if action == "stop-maintenance":
            harness.until(lambda: client().cluster().list_running_jobs(job_kind="rebalance") == [], "objects have moved", 120)
        assert {name: reader.read_all() for name, reader in readers.items()} == objects, action
        assert {name: bucket().object(name).get_reader(direct=True).read_all() for name in objects} == objects, action
        assert {entry.name for entry in bucket().list_all_objects(prefix="kept/")} == set(objects), action
    ended = client().cluster().list_jobs_status(job_kind="rebalance")
    assert len(ended) == 3 and all(job.end_time and not job.err for job in ended), ended


def case_aistores_own_server():
    etl = client().etl("official")
    etl.init(image="clients/official:1", command=["/srv.py"], init_timeout="2m")
    content = os.urandom(1 << 20)
    put("random", content)
    assert read("random", etl) == content[::-1]
    etl.stop()
    etl.delete()


with harness.Cluster(targets=2) as made:
    print(f"# aistore {aistore.__version__}, Python {sys.version.split()[0]}")
    made.image("clients/server:1", {"srv.py": SERVER}, ["/srv.py"])
    folder = os.path.join(made.dir, "official")
    packages = next(path for path in sys.path if os.path.isdir(os.path.join(path, "aistore")))
    shutil.copytree(packages, os.path.join(folder, "packages"), ignore=shutil.ignore_patterns("pip*", "setuptools*", "__pycache__"))
    with open(os.path.join(folder, "srv.py"), "w", encoding="utf-8") as file:
        file.write(OFFICIAL)
    os.chmod(os.path.join(folder, "srv.py"), 0o755)
    made.run("kubectl-local", "image", "clients/official:1", folder, "/srv.py")
    world["client"] = Client(made.proxy.url)
    bucket().create()
    harness.run([(name[5:].replace("_", " "), function) for name, function in list(globals().items()) if name.startswith("case_")], limit=180)
