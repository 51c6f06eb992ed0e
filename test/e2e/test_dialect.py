#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What AIStore's clients, and users with typos, get: queries, buckets, configuration, messages, failed starts, lists of failures."""
import base64
import json
import os
import re
import threading
import time

import harness
from harness import Cluster, request, until

world = {}


def cluster():
    return world["cluster"]


def action(method, path, act, **more):
    return request(method, cluster().url(path), json.dumps({"action": act, "name": "", "value": None, **more}))


def case_misspelt_queries_never_give_the_plain_object():
    c = cluster()
    c.bucket("queries")
    c.put("queries", "o.tar", b"the plain bytes")
    target = c.holder("queries", "o.tar")
    for base in (c.proxy.url, target.url):
        path = base + "/v1/objects/queries/o.tar?"
        for query, word in (("etl=thumbs", "did you mean etl_name?"), ("etlname=thumbs", "did you mean etl_name?"), ("uid=x", "did you mean uuid?"), ("etl_nam=x", "did you mean etl_name?"),
                            ("etl_name=a&etl_arg=x", "did you mean etl_args?"), ("etl_name=", "is empty"), ("uuid=", "is empty"), ("etl_name=%zz", "percent-encoded"), ("uuid=%00", "NUL byte"), ("etl_args=x", "which ETL")):
            answer = request("GET", path + query, follow=False)
            assert answer.status == 400 and word in answer.json["message"], (base, query, answer)
            head = request("HEAD", path + query, follow=False)
            assert head.status == 400 and word in json.loads(head.headers["Hdr-Error"])["message"], (base, query, head.headers)
        for query in ("archpath=1.txt&archregx=", "archregx=.*&archmode=regexp"):
            answer = request("GET", path + query)
            assert answer.status == 400 and "it is no archive" in answer.json["message"], (base, query, answer)
        answer = request("GET", base + "/v1/objects/queries%00/o.tar", follow=False)
        assert answer.status == 400 and "NUL byte" in answer.json["message"], (base, answer)
        answer = request("GET", path + "etl_pipeline=b", follow=False)
        assert answer.status == 400 and "which ETL comes first?" in answer.json["message"], answer
        put = request("PUT", path + "etl_name=thumbs&pid=p&utm=1", b"changed", follow=False)
        assert put.status == 501, put
        # Other programs' parameters are ignored, and so are AIStore's own, including empty ones.
        for query in ("width=10&title=a", "archpath=&archregx=", "latest-ver=false&provider=ais", "etl_pipeline="):
            answer = request("GET", path + query)
            assert answer.status == 200 and answer.body == b"the plain bytes", (base, query, answer)


def case_buckets_as_aistores_clients_ask():
    c = cluster()
    c.bucket("here")
    named = action("GET", "/v1/buckets?provider=ais", "list", name="here").json
    assert [b["name"] for b in named] == ["here"], named
    assert action("GET", "/v1/buckets?provider=ais", "list", name="zz").json == []
    for provider, text in (("s3", "failed to lookup bucket s3://x, err: AWS backend is missing in the cluster configuration"), ("gcp", "failed to lookup bucket gs://x")):
        answer = request("GET", c.url(f"/v1/objects/x/o?provider={provider}"), follow=False)
        assert answer.status == 404 and text in answer.json["message"], answer
        assert action("GET", f"/v1/buckets/x?provider={provider}", "list").status == 404
    assert action("POST", "/v1/buckets/x?provider=aws", "create-bck").status == 501
    refused = action("POST", "/v1/buckets/props", "create-bck", value={"mirror": {"enabled": True}})
    assert refused.status == 501 and "mirror.enabled" in refused.json["message"], refused
    assert action("POST", "/v1/buckets/props", "create-bck", value={}).status == 200
    assert action("GET", "/v1/buckets/nowhere", "summary-bck").status == 404
    for name in ("a/1", "a/2", "b"):
        c.put("here", name, b"x")
    for flags, names in ((1 << 11, ["a/", "b"]), (1 << 11 | 1 << 13, ["a/", "b"]), (0, ["a/1", "a/2", "b"])):
        page = request("GET", c.url("/v1/buckets/here"), json.dumps({"action": "list", "value": {"flags": str(flags)}})).json
        assert [e["name"] for e in page["entries"]] == names, (flags, page)
    members = request("GET", c.url("/v1/buckets/here"), json.dumps({"action": "list", "value": {"flags": str(1 << 3)}}))
    assert members.status == 200 and [one["name"] for one in members.json["entries"]] == ["a/1", "a/2", "b"], members
    head = request("HEAD", c.url("/v1/objects/here/b?props=nosuch"))
    assert head.status == 400 and "invalid property" in json.loads(head.headers["Hdr-Error"])["message"], head.headers


def case_configuration_has_every_section_that_clients_read():
    """AIStore's command dereferences these without a check, so the kinds of values matter."""
    c = cluster()
    c.bucket("props-of")
    config = request("GET", c.url("/v1/cluster?what=cluster_config")).json
    props = json.loads(request("HEAD", c.url("/v1/buckets/props-of")).headers["Ais-Bucket-Props"])
    for tree in (config, props):
        for section in ("checksum", "mirror", "ec", "chunks", "write_policy", "rate_limit", "lru", "versioning"):
            assert isinstance(tree[section], dict) and tree[section], (section, tree)
        assert not tree["mirror"]["enabled"] and not tree["ec"]["enabled"] and not tree["lru"]["enabled"] and tree["checksum"]["type"] == "xxhash2", tree
        assert tree["rate_limit"]["backend"]["enabled"] is False and tree["rate_limit"]["frontend"]["enabled"] is False, tree
    for section in ("rebalance", "space", "net", "memsys", "auth", "backend", "timeout", "proxy"):
        assert isinstance(config[section], dict), (section, config)
    assert config["rebalance"]["enabled"] is False and config["auth"]["enabled"] is False and config["proxy"]["primary_url"] == c.proxy.url, config
    assert config["features"] == "0" and config["config_version"] == "0" and config["uuid"], config
    assert all(isinstance(props[key], str) for key in ("access", "features", "bid", "created")), props
    assert request("GET", c.url("/v1/cluster?what=remote")).json == {"a": None, "ver": 0}


SLEEPER = """import os, sys, time
print("I never listen, and say so", flush=True)
time.sleep(1000)
"""
ENV = """import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class H(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = os.environ.get("SOURCE", "").encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    do_GET = do_PUT = do_POST = answer
    def log_message(self, *a): pass
ThreadingHTTPServer(("", 8000), H).serve_forever()
"""


def message(name, image="dialect/sleeper:1", **more):
    return json.dumps({"name": name, "communication": "hpush://", "runtime": {"image": image, "env": more.pop("env", [])}, **more})


def put_etl(text, timeout=60):
    return request("PUT", cluster().url("/v1/etl"), text.encode(), timeout=timeout)


def stages():
    return {e["id"]: e["stage"] for e in request("GET", cluster().url("/v1/etl")).json}


def case_a_failed_named_start_stays_to_be_looked_at():
    """AIStore's clients look up the reason under the ETL's name: stage, text and logs, but no pod. DELETE removes it, and a new start
    replaces it."""
    c = cluster()
    answer = put_etl(message("stillborn", init_timeout="2s"))
    assert answer.status == 400 and "not Ready" in answer.json["message"] and "init_timeout is 2s" in answer.json["message"], answer
    until(lambda: stages().get("stillborn") == "Aborted" and c.pods() == [], "it is Aborted, without a pod")
    shown = request("GET", c.url("/v1/etl/stillborn")).json
    assert shown["stage"] == "Aborted" and "I never listen, and say so" in shown["last_error"], shown
    logs = request("GET", c.url("/v1/etl/stillborn/logs")).json
    assert "I never listen, and say so" in "".join(base64.b64decode(row["logs"]).decode() for row in logs), logs
    answer = request("GET", c.url("/v1/objects/x/y?etl_name=stillborn"), follow=False)
    assert answer.status == 404, answer
    # The name is free for a start that works. DELETE removes a failed one.
    assert put_etl(message("stillborn", image="dialect/env:1")).status == 200
    assert stages() == {"stillborn": "Running"}
    assert put_etl(message("stillborn", image="dialect/env:1")).status == 409
    assert request("DELETE", c.url("/v1/etl/stillborn")).status == 200
    assert put_etl(message("stillborn", init_timeout="1s")).status == 400
    until(lambda: stages().get("stillborn") == "Aborted", "it is Aborted")
    assert request("DELETE", c.url("/v1/etl/stillborn")).status == 200 and stages() == {} and c.pods() == []


def document_bytes():
    lines = request("GET", cluster().url("/metrics")).text.splitlines()
    return int(next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("etlnode_document_bytes")))


def case_failed_starts_leave_no_large_specs():
    """Twenty failed starts of 900 KB do not make the document grow, which every change writes and sends."""
    c = cluster()
    large = [{"name": f"PADDING_{i}", "value": "x" * 900} for i in range(950)]
    before = document_bytes()
    for i in range(20):
        text = message(f"too-large-{i:02}", image="dialect/no-such-image:1", env=large, init_timeout="1s")
        assert len(text) > 800_000, len(text)
        answer = put_etl(text)
        assert answer.status == 400, answer
    until(lambda: [stages().get(f"too-large-{i:02}") for i in range(20)] == ["Aborted"] * 20, "all are Aborted")
    assert document_bytes() < before + 20 * 32_000, (before, document_bytes())
    assert request("GET", c.url("/v1/health?readiness=true")).status == 200
    shown = request("GET", c.url("/v1/etl/too-large-00")).json
    assert shown["stage"] == "Aborted" and shown["last_error"] and shown["spec_kept"] is False and shown["init_msg"]["name"] == "too-large-00", shown
    assert shown["init_msg"]["runtime"]["image"] == "dialect/no-such-image:1", shown
    refused = request("POST", c.url("/v1/etl/too-large-00/start"))
    assert (refused.status, refused.json["code"]) == (400, "conflict") and "was not kept" in refused.json["message"] and "with the spec again" in refused.json["message"], refused
    # The name is free, and a serving ETL keeps its spec, whatever its size.
    assert put_etl(message("too-large-00", image="dialect/env:1", env=large)).status == 200
    assert document_bytes() > before + 800_000
    assert request("POST", c.url("/v1/etl/too-large-00/stop")).status == 200
    assert request("POST", c.url("/v1/etl/too-large-00/start")).status == 200
    for i in range(20):
        assert request("DELETE", c.url(f"/v1/etl/too-large-{i:02}")).status == 200


def case_an_etl_that_served_is_never_replaced():
    c = cluster()
    assert put_etl(message("served", image="dialect/env:1")).status == 200
    assert request("POST", c.url("/v1/etl/served/stop")).status == 200
    answer = put_etl(message("served", image="dialect/env:1"))
    assert answer.status == 409, answer
    assert request("POST", c.url("/v1/etl/served/start")).status == 200
    twice = request("POST", c.url("/v1/etl/served/start"))
    assert twice.status == 400 and "invalid action \"can't start ETL[served] during Running stage\"" in twice.json["message"], twice
    assert request("GET", c.url("/v1/etl/served/metrics")).status == 404
    assert request("DELETE", c.url("/v1/etl/served")).status == 200


def case_a_start_is_not_started_again():
    c = cluster()
    caller = threading.Thread(target=put_etl, args=(message("begun-once", init_timeout="60s"),), daemon=True)
    caller.start()
    until(lambda: stages().get("begun-once") == "Initializing", "it is being started")
    again = request("POST", c.url("/v1/etl/begun-once/start"))
    assert again.status == 400 and again.json["code"] == "conflict" and "invalid action \"can't start ETL[begun-once] during Initializing stage\"" in again.json["message"], again
    assert put_etl(message("begun-once")).status == 409
    assert request("DELETE", c.url("/v1/etl/begun-once")).status == 200
    caller.join(60)
    assert not caller.is_alive() and stages() == {}, stages()


def case_starts_of_2020_leave_nothing():
    c = cluster()
    answer = c.init(harness.pod_spec("nothing-left", "dialect/sleeper:1", port=8000, command=["/srv.py"], wait="6s"), check=False)
    assert answer.status == 400 and "I never listen, and say so" in answer.json["message"], answer
    assert stages() == {} and c.pods() == []


def case_the_reason_comes_before_the_client_gives_up():
    """init_timeout is how long AIStore's SDK waits. The reason with the pod's log lines comes before that, even if the pod is slow to
    stop."""
    c = cluster()
    began = time.monotonic()
    answer = put_etl(message("too-late", init_timeout="6s"), timeout=60)
    took = time.monotonic() - began
    assert answer.status == 400 and "I never listen, and say so" in answer.json["message"], answer
    # Exact times are tested with the virtual clock of control/etl_rollout_machine. Here only check that the pod did not get all of it.
    given = float(re.search(r"wait_timeout ([0-9.]+)s", answer.json["message"]).group(1))  # less the time for storing, if that was long
    assert given <= 4.5 and took < 30, (took, answer)
    until(lambda: stages().get("too-late") == "Aborted", "rolled back")
    assert request("DELETE", c.url("/v1/etl/too-late")).status == 200


def case_what_the_node_adds_to_the_environment_stands_first():
    c = cluster()
    c.bucket("environment")
    c.put("environment", "o", b"x")
    assert put_etl(message("expander", image="dialect/env:1", env=[{"name": "SOURCE", "value": "$(AIS_TARGET_URL)/x"}])).status == 200
    answer = c.get("environment", "o", "etl_name=expander")
    assert answer.body.startswith(b"http://") and answer.body.endswith(b"/x"), answer
    assert request("DELETE", c.url("/v1/etl/expander")).status == 200


FAILING = """import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class H(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        bad = self.path.endswith("bad")
        body = b"cannot read this picture" if bad else b"fine"
        self.send_response(422 if bad else 200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    do_GET = do_PUT = do_POST = answer
    def log_message(self, *a): pass
ThreadingHTTPServer(("", 8000), H).serve_forever()
"""


def etlctl(*arguments, check=True):
    done = cluster().run("etlctl", *arguments, check=check)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def case_failed_reads_are_counted_and_listed():
    c = cluster()
    c.bucket("failures")
    names = [f"{i}-bad" for i in range(8)]
    for name in names + ["good"]:
        c.put("failures", name, b"x")
    assert put_etl(message("picky-one", image="dialect/failing:1")).status == 200
    for name in names:
        answer = c.get("failures", name, "etl_name=picky-one", headers={"X-Request-Id": "read-" + name})
        assert answer.status == 422, answer
    assert c.get("failures", "good", "etl_name=picky-one").body == b"fine"
    assert c.get("failures", "nothing", "etl_name=picky-one").status == 404
    assert c.get("failures", names[0], "etl_name=picky-one").status == 422

    def told():
        return request("GET", c.url("/v1/etl/picky-one/errors")).json
    until(lambda: told()["count"] == 10, "all ten are counted")
    listed = told()
    assert sorted(e["object"] for e in listed["errors"]) == sorted([f"ais://failures/{n}" for n in names + ["nothing", names[0]]]), listed
    one = next(e for e in listed["errors"] if e["object"] == "ais://failures/3-bad")
    assert one["status"] == 422 and "cannot read this picture" in one["text"] and one["request_id"] == "read-3-bad" and one["target_id"] and one["time"] and not one["cut"], one
    assert listed["missing"] == [] and "ais://failures/good" not in json.dumps(listed), listed
    shown = request("GET", c.url("/v1/etl/picky-one")).json
    assert sorted(e["obj_name"] for e in shown["obj_errors"]) == sorted(f"ais://failures/{n}" for n in names + ["nothing"]), shown["obj_errors"]
    assert {e["ecode"] for e in shown["obj_errors"]} == {422, 404} and all(e["msg"] for e in shown["obj_errors"]), shown["obj_errors"]
    assert request("GET", c.url("/v1/etl/picky-one?uuid=another-job")).json["obj_errors"] == []
    entry = request("GET", c.url("/v1/etl")).json[0]
    assert (entry["errors"], entry["ready"], entry["targets"], entry["restarts"]) == (10, 2, 2, 0), entry
    assert etlctl("etl", "ls", "--no-headers")[1].split()[:6] == ["picky-one", "picky-one", "Running", "2/2", "0", "1"], etlctl("etl", "ls")
    table = etlctl("etl", "errors", "picky-one")[1]
    assert table.count("\n") == 11 and "read-3-bad" in table and "cannot read this picture" in table, table
    lines = [json.loads(line) for line in etlctl("etl", "errors", "picky-one", "-o", "jsonl")[1].splitlines()]
    assert len(lines) == 10 and {"object", "status", "requestId", "target", "time", "message"} <= set(lines[0]), lines
    assert request("DELETE", c.url("/v1/etl/picky-one")).status == 200
    assert request("GET", c.url("/v1/etl/picky-one/errors")).status == 404


def case_warnings_come_with_the_start():
    c = cluster()
    text = harness.pod_spec("warned-of", "dialect/env:1", port=8000, annotations={"team": "vision", "example.org/obj_timeuot": "x"})
    answer = c.init(text, check=False)
    assert answer.status == 200, answer
    warnings = answer.headers.get_all("Etlnode-Warning")
    assert len(warnings) == 1 and 'annotation "team" is not known here' in warnings[0], warnings
    c.stop_etl(answer.text)
    refused = c.init(text.replace("team:", "object_timeout:"), check=False)
    assert refused.status == 400 and 'unknown annotation "object_timeout", expected obj_timeout' in refused.json["message"], refused
    answer = put_etl(message("warned-of", image="dialect/env:1", argument="url"))
    assert answer.status == 200 and 'key "argument" is not known here' in answer.headers["Etlnode-Warning"], answer.headers
    assert request("DELETE", c.url("/v1/etl/warned-of")).status == 200


KUBECTL = """#!/bin/sh
case "$*" in *create*) echo "Warning: limits.memory is not kept here" >&2; echo "chatter" >&2; echo "Warning: spec.x: deprecated" >&2 ;; esac
exec {program} "$@"
"""


def case_what_kubectl_warns_of_is_handed_on_once():
    with Cluster(targets=0) as lone:
        script = os.path.join(lone.dir, "kubectl-local-warning")
        with open(script, "w", encoding="ascii") as file:
            file.write(KUBECTL.format(program=harness.KUBECTL_LOCAL))
        os.chmod(script, 0o755)
        lone.target_arguments += ["--kubectl", script]
        lone.count = 2
        for number in (1, 2):
            lone.add_target(number)
        lone.wait_registered()
        lone.image("dialect/env:1", {"srv.py": "#!/usr/bin/env python3\n" + ENV}, ["/srv.py"])
        spec = os.path.join(lone.dir, "spec.yaml")
        with open(spec, "w", encoding="ascii") as file:
            file.write(harness.pod_spec("noisy-one", "dialect/env:1", port=8000, annotations={"team": "x"}))
        done = lone.run("etlctl", "etl", "init", "-f", spec)
        assert [line.split("warning: ")[1] for line in done.stderr.decode().splitlines()] == [
            'line 8, column 5: annotation "team" is not known here and has no effect', "limits.memory is not kept here", "spec.x: deprecated"], done.stderr
        lone.stop_etl(done.stdout.decode().strip())


def case_a_dry_run_finds_what_a_start_would():
    c = cluster()
    def spec_file(text):
        path = os.path.join(c.dir, "dry.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path
    good = harness.pod_spec("dry-one", "dialect/env:1", port=8000)
    for wrong, reason in ((good.replace("kind: Pod", "kind: Pot"), "line 2, column 7: kind is \"Pot\", expected kind: Pod"),
                          (good.replace("containerPort: 8000", "name: default"), "containerPort is missing"),
                          (good.replace("wait_timeout", "wiat_timeout"), 'unknown annotation "wiat_timeout", expected wait_timeout'),
                          ("name: dry-one\nruntime:\n  image: dialect/env:1\n  comand: [x]\n", 'line 4, column 3: unknown key of runtime "comand", expected command'),
                          ("name: dry-one\nobject_timeout: 3s\nruntime: {image: dialect/env:1}\n", 'line 2, column 1: unknown key "object_timeout", expected obj_timeout')):
        for mode in ("--dry-run", "--dry-run=client", "--dry-run=server", None):
            exit_code, out, err = etlctl("etl", "init", "-f", spec_file(wrong), *([mode] if mode else []), check=False)
            assert exit_code != 0 and reason in err and out == "", (mode, reason, out, err)
    file = spec_file(good.replace("wait_timeout", "team: x\n    wait_timeout"))
    exit_code, out, err = etlctl("etl", "init", "-f", file, "--dry-run")
    assert "would send POST" in out and 'warning: line 7, column 5: annotation "team"' in err, (out, err)
    exit_code, out, err = etlctl("etl", "init", "-f", file, "--dry-run=server")
    assert json.loads(out)["metadata"]["name"] == "dry-one" and 'annotation "team"' in err, (out, err)
    exit_code, out, err = etlctl("etl", "init", "-f", file, "--dry-run=maybe", check=False)
    assert exit_code == 2 and "--dry-run=client" in err, err
    exit_code, out, err = etlctl("etl", "init", "-f", file, "--name", "thumb", check=False)
    assert exit_code == 2 and '--name "thumb"' in err and "6 to 32" in err and "line 1" not in err, err
    assert stages() == {}
    # A typo in the parameter that prevents a start must not start anything.
    for query, word in (("dryrun=true", "did you mean dry_run?"), ("dry-run=true", "did you mean dry_run?"), ("dry_run", "write true or false"), ("dry_run=maybe", "write true or false"),
                        ("dry_run=true&dry_run=false", "given twice"), ("dry_run=false&dry_run=true", "given twice")):
        answer = request("POST", c.url("/v1/etl/init?" + query), good)
        assert answer.status == 400 and word in answer.json["message"], (query, answer)
    assert stages() == {}
    # The form that AIStore's command has used for years.
    exit_code, out, err = etlctl("etl", "init", "spec", "--from-file", file, "--name", "dry-one")
    assert out == "dry-one\n" and stages() == {"dry-one": "Running"}, (out, err)
    exit_code, out, err = etlctl("etl", "init", "-f", file, "--name", "dry-one", "--dry-run=server", check=False)
    assert exit_code != 0 and "already exists" in err, err
    assert request("DELETE", c.url("/v1/etl/dry-one")).status == 200


with Cluster(targets=2) as made:
    world["cluster"] = made
    made.image("dialect/sleeper:1", {"srv.py": "#!/usr/bin/env python3\n" + SLEEPER}, ["/srv.py"])
    made.image("dialect/failing:1", {"srv.py": "#!/usr/bin/env python3\n" + FAILING}, ["/srv.py"])
    made.image("dialect/env:1", {"srv.py": "#!/usr/bin/env python3\n" + ENV}, ["/srv.py"])
    harness.run([(name[5:].replace("_", " "), function) for name, function in list(globals().items()) if name.startswith("case_")])
