#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whole buckets: copied, transformed and deleted from by jobs, as AIStore's clients and etlctl ask for it."""
import json
import signal

import harness
from harness import pod_spec, request, until
from filled_cluster import NAMES, Filled, act, counts, ended, job_of, listed, nodes, readable, to

UPPER = """#!/usr/local/bin/python
import http.server
import os
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).upper()
        status = 500 if self.path.endswith("/o7") else 503 if "/busy/" in self.path else 200
        self.send_response(status); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    do_PUT = do_POST
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 80), H).serve_forever()
"""


def start_upper(cluster):
    cluster.image("upper:v1", {"srv.py": UPPER})
    return cluster.init(pod_spec("upper", "upper:v1", command=["/srv.py"]))


def case_copies():
    with Filled(2) as cluster:
        def copy(**value):
            return ended(cluster, job_of(cluster, act(cluster, "POST", "/v1/buckets/b" + to("dst"), "copy-bck", value)))
        first = copy(prepend="x/")
        assert first["state"] == "done" and counts(first) == (24, 0, 0), first
        assert listed(cluster, "dst")[1] == sorted("x/" + name for name in NAMES)
        for name in NAMES:
            assert cluster.get("dst", "x/" + name).body == name.encode()
        assert counts(copy(prepend="x/")) == (0, 24, 0)  # nothing is to be done
        assert cluster.put("b", "o3", b"changed").status == 200
        assert counts(copy(prepend="x/")) == (1, 23, 0)
        assert cluster.get("dst", "x/o3").body == b"changed"
        assert cluster.put("dst", "x/o4", b"a client's own").status == 200  # it is not what the job made any more
        assert counts(copy(prepend="x/")) == (1, 23, 0)
        assert cluster.get("dst", "x/o4").body == b"o4"
        assert counts(copy(prepend="x/", force=True)) == (24, 0, 0)
        assert counts(copy(prefix="o1")) == (11, 0, 0)
        dry = ended(cluster, job_of(cluster, act(cluster, "POST", "/v1/buckets/b" + to("nowhere"), "copy-bck", {"dry_run": True})))
        assert counts(dry) == (24, 0, 0) and request("HEAD", cluster.url("/v1/buckets/nowhere")).status == 404


def case_synchronized_copies():
    """What is gone at the source goes at the destination, if a job made it from there; what clients stored stays."""
    with Filled(2) as cluster:
        def copy(bucket="b", **value):
            job = ended(cluster, job_of(cluster, act(cluster, "POST", f"/v1/buckets/{bucket}" + to("a"), "copy-bck", value)))
            assert job["state"] == "done", job
            return counts(job)
        assert copy(prepend="x/", synchronize=True) == (24, 0, 0)
        cluster.bucket("c")
        assert cluster.put("c", "other", b"of another source").status == 200 and copy("c") == (1, 0, 0)
        assert cluster.put("a", "x/own", b"a client's").status == 200 and cluster.put("a", "x/o2", b"a client's").status == 200
        for name in ("o1", "o2", "o10", "o11"):
            assert request("DELETE", cluster.url(f"/v1/objects/b/{name}")).status == 200
        assert copy(prepend="x/")[0] == 0 and len(listed(cluster, "a")[1]) == 26  # without the option everything stays
        # Each object of the source counts once, and so does each that goes. "o2" is the client's own at the destination now, and was copied again.
        assert copy(prepend="x/", synchronize=True, dry_run=True) == (3, 20, 0) and len(listed(cluster, "a")[1]) == 26
        assert copy(prepend="x/", synchronize=True, prefix="o10") == (1, 0, 0)  # the others are not of this job
        assert "x/o10" not in listed(cluster, "a")[1] and "x/o11" in listed(cluster, "a")[1]
        assert copy(prepend="x/", synchronize=True) == (2, 20, 0)
        assert copy(prepend="x/", synchronize=True) == (0, 20, 0)
        wanted = sorted(["x/" + name for name in NAMES if name not in ("o1", "o10", "o11")] + ["x/own", "other"])
        assert listed(cluster, "a")[1] == wanted and cluster.get("a", "x/o2").body == b"a client's"
        # A source that is empty, perhaps by mistake, empties the destination only on demand.
        job = ended(cluster, job_of(cluster, act(cluster, "DELETE", "/v1/buckets/b", "delete-listrange", {"template": "o"})))
        assert counts(job) == (20, 0, 0) and listed(cluster, "a")[1] == wanted
        for value in ({"synchronize": True}, {"synchronize": True, "prefix": "o"}):
            answer = act(cluster, "POST", "/v1/buckets/b" + to("a"), "copy-bck", value)
            assert answer.status == 409 and "ais://b has no objects" in answer.text and "with force" in answer.text, answer
        assert copy(synchronize=True, dry_run=True) == (20, 0, 0) and listed(cluster, "a")[1] == wanted
        assert copy(synchronize=True, force=True) == (20, 0, 0) and listed(cluster, "a")[1] == ["other", "x/o2", "x/own"]


def case_transforms():
    with Filled(2) as cluster:
        etl = start_upper(cluster)
        job = ended(cluster, job_of(cluster, act(cluster, "POST", "/v1/buckets/b" + to("up"), "etl-bck", {"id": etl, "coer": True})))
        assert counts(job) == (23, 0, 1), job
        for name in NAMES:
            if name != "o7":
                assert cluster.get("up", name).body == name.upper().encode()
        assert cluster.get("up", "o7").status == 404
        failure, = request("GET", cluster.url(f"/v1/jobs/{job['id']}/failures")).json["failures"]
        assert failure["name"] == "o7" and failure["status"] == 502 and failure["text"] == "ETL error: O7", failure
        status = request("GET", cluster.url("/v1/cluster?what=status"), json.dumps({"id": job["id"]}).encode()).json
        assert status["kind"] == "etl-bck" and status["err"] == "1 object failed" and status["aborted"] is False, status
        errors = request("GET", cluster.url(f"/v1/etl/{etl}?uuid={job['id']}")).json["obj_errors"]
        assert errors == [{"obj_name": "ais://b/o7", "msg": "ETL error: O7", "ecode": 502}], errors
        again = ended(cluster, job_of(cluster, act(cluster, "POST", "/v1/buckets/b" + to("up"), "etl-bck", {"id": etl, "coer": True})))
        assert counts(again) == (0, 23, 1), again
        # A pod that answers always the same is not waited for without end, and whatever it says, its target can report it.
        for i in range(3):
            assert cluster.put("b", f"busy/{i}", b"\xc3\xa9" * 5000).status == 200
        busy = ended(cluster, job_of(cluster, act(cluster, "POST", "/v1/buckets/b" + to("up"), "etl-bck", {"id": etl, "prefix": "busy/"})))
        assert counts(busy) == (0, 0, 3), busy
        failures = request("GET", cluster.url(f"/v1/jobs/{busy['id']}/failures")).json["failures"]
        assert [(one["name"], one["tries"]) for one in failures] == [(f"busy/{i}", 5) for i in range(3)], failures
        assert all(node["role"] == "proxy" or node["state"] == "active" for node in nodes(cluster).values())
        assert all(request("DELETE", cluster.url(f"/v1/objects/b/busy/{i}")).status == 200 for i in range(3))
        # Inspection: nothing is kept, and nothing counts as failed.
        look = ended(cluster, job_of(cluster, act(cluster, "POST", "/v1/buckets/b" + to("b"), "etl-bck", {"id": etl, "coer": True, "dry_run": True})))
        assert counts(look) == (23, 0, 1) and readable(cluster) == NAMES, look
        assert request("GET", cluster.url("/v1/cluster?what=status"), json.dumps({"id": look["id"]}).encode()).json["err"] == ""
        cluster.stop_etl(etl)


def case_lists_and_templates():
    with Filled(2) as cluster:
        etl = start_upper(cluster)
        value = {"id": etl, "template": "o{1..12..5}", "tobck": {"name": "lr", "provider": "ais"}, "ext": {"txt": "md"}}
        job = ended(cluster, job_of(cluster, act(cluster, "POST", "/v1/buckets/b?provider=ais", "etl-listrange", value)))
        assert counts(job) == (3, 0, 0) and listed(cluster, "lr")[1] == ["o1", "o11", "o6"], job
        value = {"objnames": ["o1", "o2", "missing"], "tobck": {"name": "copied"}, "prepend": "p-"}
        job = ended(cluster, job_of(cluster, act(cluster, "POST", "/v1/buckets/b", "copy-listrange", value)))
        entries = listed(cluster, "copied")[0].json["entries"]
        assert counts(job) == (2, 0, 0) and [entry["name"] for entry in entries] == ["p-o1", "p-o2"], entries
        running = request("GET", cluster.url("/v1/cluster?what=running_all")).json
        assert f"copy-listrange[{job['id']}]" in running, running  # it idles for a while, as AIStore's clients expect
        job = ended(cluster, job_of(cluster, act(cluster, "DELETE", "/v1/buckets/b", "delete-listrange", {"objnames": ["o1", "o2", "missing"]})))
        assert counts(job) == (2, 0, 0) and readable(cluster) == sorted(set(NAMES) - {"o1", "o2"}), job
        job = ended(cluster, job_of(cluster, act(cluster, "DELETE", "/v1/buckets/b", "delete-listrange", {"template": "o{0..999999999}"})))
        assert counts(job) == (22, 0, 0) and readable(cluster) == [], job
        cluster.stop_etl(etl)


def case_lists_of_names_that_begin_alike():
    """The bytes that they have in common end in the middle of a character."""
    with Filled(2) as cluster:
        names = ["日", "文", "日記", "é", "è", "😀", "😁", "per%cent", "per%25", "a?b", "a#b", "x" * 1024]
        for name in names:
            assert cluster.put("b", name, name.encode()).status == 200
        for chosen in (["日", "文"], ["é", "è"], ["😀", "😁"], ["日", "日記"], ["per%cent", "per%25"], ["a?b", "a#b"], ["x" * 1024]):
            value = {"objnames": chosen, "tobck": {"name": "cjk"}, "force": True}
            job = ended(cluster, job_of(cluster, act(cluster, "POST", "/v1/buckets/b", "copy-listrange", value)))
            assert counts(job) == (len(chosen), 0, 0), (chosen, job)
            for name in chosen:
                assert cluster.get("cjk", name).body == name.encode(), name
        job = ended(cluster, job_of(cluster, act(cluster, "DELETE", "/v1/buckets/b", "delete-listrange", {"objnames": names})))
        assert counts(job) == (len(names), 0, 0) and listed(cluster)[1] == NAMES, job


def case_what_cannot_be_asked():
    with Filled(1) as cluster:
        etl = start_upper(cluster)
        rows = [
            ("/v1/buckets/b" + to("b"), "copy-bck", {}, 400, "onto itself"),
            ("/v1/buckets/nope" + to("d"), "copy-bck", {}, 404, "nope"),
            ("/v1/buckets/b", "copy-bck", {}, 400, "bck_to="),
            ("/v1/buckets/b?bck_to=s3%2F%40%23%2Fd%2F", "copy-bck", {}, 501, "only provider ais"),
            ("/v1/buckets/b" + to("d"), "etl-bck", {}, 400, "which ETL"),
            ("/v1/buckets/b" + to("d"), "etl-bck", {"id": "nosuch"}, 404, "etl job nosuch does not exist"),
            ("/v1/buckets/b" + to("d"), "etl-bck", {"id": etl, "pipeline": ["x"]}, 404, "entry not found"),
            ("/v1/buckets/b" + to("d"), "copy-bck", {"prefix": 5}, 400, "value.prefix"),
            ("/v1/buckets/b" + to("d"), "copy-bck", {"prefix": "n" * 1025}, 400, "a prefix has at most 1,024 bytes"),
            ("/v1/buckets/b", "copy-listrange", {"template": "n" * 1025, "tobck": {"name": "d"}}, 400, "a prefix has at most 1,024 bytes"),
            ("/v1/buckets/b" + to("d"), "copy-bck", {"ext": {"jpg": 5}}, 400, "value.ext"),
            ("/v1/buckets/b" + to("d"), "copy-bck", {"num-workers": "x"}, 400, "value.num-workers: expected a whole number"),
            ("/v1/buckets/b" + to("d"), "copy-bck", {"num-workers": True}, 400, "value.num-workers: expected a whole number"),
            ("/v1/buckets/b" + to("d") + "&bck_to=ais%2F%40%23%2Fe%2F", "copy-bck", {}, 400, "bck_to"),
            ("/v1/buckets/b", "copy-listrange", {"template": "o", "tobck": {"name": "d", "provider": 5}}, 400, "value.tobck.provider: expected a text"),
            ("/v1/buckets/b", "copy-listrange", {"template": "o", "tobck": {"name": 5}}, 400, "value.tobck.name: expected a text"),
            ("/v1/buckets/b", "copy-listrange", {"template": "o", "tobck": {"name": "d", "namespace": {"name": "n"}}}, 501, "without a namespace"),
            ("/v1/buckets/b", "copy-listrange", {"tobck": {"name": "d"}}, 400, "which objects"),
            ("/v1/buckets/b", "copy-listrange", {"tobck": {"name": "d"}, "template": "a{1..x}"}, 400, "is not a range"),
            ("/v1/buckets/b" + to("d"), "etl-bck", {"id": etl, "etl_args": "n" * 40000}, 413, "without its list of names"),
            ("/v1/buckets/b" + to("d"), "copy-bck", {"prepend": "n" * 40000}, 400, "value.prepend"),
            ("/v1/buckets/b" + to("d"), "copy-bck", {"prepend": "/x"}, 400, "value.prepend: no name may begin with this"),
            ("/v1/buckets/b" + to("d"), "copy-bck", {"prepend": "a/../"}, 400, "value.prepend: no name may begin with this"),
            ("/v1/buckets/b?bck_to=nosuch%2F%40%23%2Fd%2F", "copy-bck", {}, 400, "unknown provider"),
            ("/v1/buckets/b?bck_to=ais%2F%40u%23n%2Fd%2F", "copy-bck", {}, 501, "without a namespace"),
            ("/v1/buckets/b", "copy-listrange", {"template": "o", "tobck": {"name": "d", "provider": "nosuch"}}, 400, "unknown provider"),
            ("/v1/buckets/b", "copy-listrange", {"template": "o", "tobck": {"name": "d", "provider": "gs"}}, 501, "only provider ais"),
            ("/v1/buckets/b" + to("d"), "copy-listrange", {"template": "o", "tobck": {"name": "e"}}, 400, "name two buckets"),
            ("/v1/buckets/b", "copy-listrange", {"template": "o", "tobck": {"name": "d", "namespace": {"name": 5}}}, 400, "value.tobck.namespace.name: expected a text"),
            # What an action would not read might change what it does.
            ("/v1/buckets/b" + to("d"), "copy-bck", {"id": etl}, 400, "value.id: copy-bck takes objects as they are"),
            ("/v1/buckets/b" + to("d"), "copy-bck", {"pipeline": [etl]}, 400, "value.pipeline: copy-bck takes"),
            ("/v1/buckets/b", "copy-listrange", {"template": "o", "tobck": {"name": "d"}, "etl_args": "x"}, 400, "value.etl_args: copy-listrange takes"),
            ("/v1/buckets/b", "copy-listrange", {"template": "o{1..2}", "tobck": {"name": "d"}, "prefix": "x"}, 400, "value.prefix: copy-listrange takes objnames or template"),
            ("/v1/buckets/b", "etl-listrange", {"id": etl, "objnames": ["o1"], "tobck": {"name": "d"}, "prefix": "x"}, 400, "value.prefix: etl-listrange takes"),
            ("/v1/buckets/b" + to("d"), "copy-bck", {"non-recurs": True}, 501, "at every depth"),
            ("/v1/buckets/b", "copy-listrange", {"tobck": {"name": "d"}, "objnames": ["n" * 1000] * 17000}, 413, "too large"),
            ("/v1/buckets/b", "copy-listrange", {"tobck": {"name": "d"}, "objnames": []}, 400, "the list is empty"),
        ]
        for path, action, value, status, text in rows:
            answer = act(cluster, "POST", path, action, value)
            assert answer.status == status and text in answer.text, (path, action, value, answer)
        answer = act(cluster, "DELETE", "/v1/buckets/b", "delete-listrange", {})
        assert answer.status == 400 and "which objects" in answer.text, answer
        for field in ({"prefix": "x"}, {"dry_run": True}, {"tobck": {"name": "d"}}, {"prepend": "x"}, {"id": etl}):
            answer = act(cluster, "DELETE", "/v1/buckets/b", "delete-listrange", {"template": "o", **field})
            assert answer.status == 400 and f"value.{next(iter(field))}: delete-listrange" in answer.text, answer
        nothing = {"id": "", "pipeline": None, "prefix": "", "prepend": "", "ext": {}, "dry_run": False, "force": False, "synchronize": False, "latest-ver": False, "non-recurs": False}
        dry = ended(cluster, job_of(cluster, act(cluster, "POST", "/v1/buckets/b", "copy-listrange", {"objnames": ["o1"], "tobck": {"name": "b2"}, **nothing})))
        assert counts(dry) == (1, 0, 0)
        assert request("HEAD", cluster.url("/v1/buckets/d")).status == 404  # nothing was made on the way
        assert readable(cluster) == NAMES
        cluster.stop_etl(etl)


def case_a_hundred_thousand_names():
    """They do not fit into the document that every heartbeat compares. Nodes are killed before the job is over."""
    with Filled(2) as cluster:
        for i in range(100):
            assert cluster.put("b", f"many/{i:05}", b"%d" % i).status == 200
        value = {"objnames": NAMES + [f"many/{i:05}" for i in range(100_000)], "tobck": {"name": "d"}, "num-workers": 1}
        job = job_of(cluster, act(cluster, "POST", "/v1/buckets/b", "copy-listrange", value))
        for node in (cluster.targets[0], cluster.proxy):
            node.kill(signal.SIGKILL)
            node.start()
        until(lambda: request("GET", cluster.url("/v1/health?readiness=true")).status == 200, "the cluster is back", 60)
        over = ended(cluster, job)
        assert over["state"] == "done" and counts(over) == (124, 0, 0) and over["options"]["objnames_count"] == 100_024, over
        assert len(listed(cluster, "d")[1]) == 124
        for _ in range(3):  # places of lists are used again
            del value["tobck"]
            job = ended(cluster, job_of(cluster, act(cluster, "DELETE", "/v1/buckets/d", "delete-listrange", value)))
            assert job["state"] == "done", job
            value["tobck"] = {}
        assert listed(cluster, "d")[1] == [] and len(listed(cluster, "b")[1]) == 124


def kill_in_the_middle(which):
    def run():
        """A node is killed while a job runs. The job goes on, each object is counted once, and the result is that of an undisturbed run."""
        with Filled(2) as cluster:
            for i in range(400):
                assert cluster.put("b", f"many/{i:03}", b"%d" % i * 50).status == 200
            etl = start_upper(cluster)
            job = job_of(cluster, act(cluster, "POST", "/v1/buckets/b" + to("up"), "etl-bck", {"id": etl, "prefix": "many/", "num-workers": 1}))
            until(lambda: request("GET", cluster.url(f"/v1/jobs/{job}")).json["done"] > 0, "it has begun", 60)
            node = cluster.proxy if which == "proxy" else cluster.targets[0]
            node.kill(signal.SIGKILL)
            node.start()
            until(lambda: request("GET", cluster.url("/v1/health?readiness=true")).status == 200, "the cluster is back", 60)
            over = ended(cluster, job, 120)
            done, skipped, failed = counts(over)
            assert over["state"] == "done" and done == 400 and (skipped, failed) == (0, 0), over
            for i in range(400):
                assert cluster.get("up", f"many/{i:03}").body == b"%d" % i * 50
    return run


def case_jobs_end_with_their_etl():
    with Filled(2) as cluster:
        for i in range(400):
            assert cluster.put("b", f"many/{i:03}", b"x").status == 200
        etl = start_upper(cluster)
        job = job_of(cluster, act(cluster, "POST", "/v1/buckets/b" + to("up"), "etl-bck", {"id": etl, "prefix": "many/", "num-workers": 1}))
        until(lambda: request("GET", cluster.url(f"/v1/jobs/{job}")).json["done"] > 0, "it has begun", 60)
        cluster.stop_etl(etl)
        over = ended(cluster, job)
        done, skipped, failed = counts(over)
        assert over["state"] == "cancelled" and done < 400 and failed == 0 and over["error"] == f"etl job {etl} was stopped meanwhile", over
        assert over["error"] in cluster.run("etlctl", "job", "wait", job, check=False).stderr.decode()
        for name in listed(cluster, "up")[0].json["entries"]:
            assert cluster.get("up", name["name"]).body == b"X"  # whole, or not there


def case_jobs_end_with_their_bucket():
    """Otherwise what is gone would count as skipped, and a new bucket of that name would be filled from the middle."""
    with Filled(2) as cluster:
        for i in range(400):
            assert cluster.put("b", f"many/{i:03}", b"x").status == 200
        etl = start_upper(cluster)
        for victim in ("up", "b"):
            job = job_of(cluster, act(cluster, "POST", "/v1/buckets/b" + to("up"), "etl-bck", {"id": etl, "num-workers": 1, "force": True}))
            until(lambda: request("GET", cluster.url(f"/v1/jobs/{job}")).json["done"] > 0, "it has begun", 60)
            assert act(cluster, "DELETE", f"/v1/buckets/{victim}", "destroy-bck", None).status == 200
            over = ended(cluster, job)
            assert over["state"] == "cancelled" and over["error"] == f"bucket ais://{victim} was removed meanwhile", over
        cluster.stop_etl(etl)


def case_with_etlctl():
    with Filled(2) as cluster:
        etl = start_upper(cluster)
        shown = cluster.run("etlctl", "etl", "bucket", etl, "b/o1", "up", "--wait")
        assert shown.returncode == 0, shown
        assert listed(cluster, "up")[1] == [name for name in NAMES if name.startswith("o1")]
        shown = cluster.run("etlctl", "etl", "bucket", etl, "b", "up", "--wait", check=False)
        assert shown.returncode == 8 and "1" in shown.stderr.decode(), shown  # o7
        shown = cluster.run("etlctl", "bucket", "cp", "b", "dst", "--template", "o{0..9}", "--prepend", "x/", "--ext", "a=b", "--wait")
        entries = [entry["name"] for entry in listed(cluster, "dst")[0].json["entries"]]
        assert entries == sorted(f"x/o{i}" for i in range(10)), entries
        shown = cluster.run("etlctl", "bucket", "cp", "b", "dst", "--dry-run")
        assert "copy-bck" in shown.stdout.decode() + shown.stderr.decode(), shown
        job = cluster.run("etlctl", "bucket", "cp", "b", "dst", "-o", "name").stdout.decode().strip()
        assert counts(ended(cluster, job)) == (24, 0, 0)
        assert "b -> dst" in cluster.run("etlctl", "job", "ls").stdout.decode()
        for words, text in [(("bucket", "cp", "b/p", "dst", "--prefix", "q"), "twice"), (("bucket", "cp", "b", "dst", "--ext", "jpg"), "--ext"),
                            (("bucket", "cp", "b", "b"), "onto itself"), (("etl", "bucket", "nosuch", "b", "dst"), "nosuch")]:
            shown = cluster.run("etlctl", *words, check=False)
            assert shown.returncode != 0 and text in shown.stderr.decode(), (words, shown)
        cluster.stop_etl(etl)


harness.run([
    ("copies", case_copies),
    ("synchronized copies", case_synchronized_copies),
    ("transforms", case_transforms),
    ("lists and templates", case_lists_and_templates),
    ("a hundred thousand names", case_a_hundred_thousand_names),
    ("lists of names that begin alike", case_lists_of_names_that_begin_alike),
    ("what cannot be asked", case_what_cannot_be_asked),
    ("a target is killed in the middle", kill_in_the_middle("target")),
    ("the proxy is killed in the middle", kill_in_the_middle("proxy")),
    ("jobs end with their etl", case_jobs_end_with_their_etl),
    ("jobs end with their bucket", case_jobs_end_with_their_bucket),
    ("with etlctl", case_with_etlctl),
])
