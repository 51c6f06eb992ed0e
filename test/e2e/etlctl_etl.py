# SPDX-License-Identifier: MIT
"""The cases of test_etlctl.py about ETLs, and the session of the example document."""
import base64
import json
import os
import subprocess
import time

from etlctl_world import ETLCTL, ETL_ID, RUNTIME, SPEC, check, environment, expect, run, seen, test, with_etl, with_object, world


# ---- the document

@test
def the_documents_session_word_for_word(tmp):
    ais = os.path.join(tmp, "ais")
    os.symlink(ETLCTL, ais)
    open(os.path.join(tmp, "spec.yaml"), "w").write(SPEC)
    expect(run("transform", "init", "spec.yaml", program=ais, cwd=tmp), 0, ETL_ID + "\n", "")
    check(seen("POST", "/v1/etl/init")[0][4] == SPEC.encode(), "the spec was not sent as it is")
    expect(run("create", "bucket", "transform", program=ais), 0, "", "")
    expect(run("put", "-", "transform/shard.in", program=ais, stdin=b"some text :)\n"), 0, "", "")
    expect(run("etl", "object", ETL_ID, "transform/shard.in", "-", program=ais), 0, "393c6706efb128fbc442d3f7d084a426", "")
    expect(run("etl", "stop", ETL_ID, program=ais), 0, "ETL containers stopped successfully.\n", "")
    check(seen("DELETE", "/v1/etl/stop/" + ETL_ID), "stop did not use the path of 2020")
    check(world.etls == {}, "the ETL is still there")


@test
def a_shell_types_the_document(tmp):
    os.symlink(ETLCTL, os.path.join(tmp, "ais"))
    open(os.path.join(tmp, "spec.yaml"), "w").write(SPEC)
    script = ('set -e; ID=$(ais transform init spec.yaml); ais create bucket transform; echo "some text :)" | ais put - transform/shard.in; '
              'ais etl object $ID transform/shard.in -; echo; ais etl stop $ID')
    done = subprocess.run(["/bin/sh", "-c", script], cwd=tmp, capture_output=True, timeout=120, env=environment({"PATH": tmp + ":" + os.environ["PATH"]}))
    check(done.returncode == 0 and done.stdout == b"393c6706efb128fbc442d3f7d084a426\nETL containers stopped successfully.\n", repr(done))


@test
def etl_init_of_2020_and_2021(tmp):
    spec = os.path.join(tmp, "spec.yaml")
    open(spec, "w").write(SPEC)
    expect(run("etl", "init", spec), 0, ETL_ID + "\n")
    expect(run("etl", "init", "-f", spec), 0, ETL_ID + "\n")
    expect(run("etl", "init", "spec", "-f", spec), 0, ETL_ID + "\n")
    expect(run("etl", "init", "-", stdin=SPEC.encode()), 0, ETL_ID + "\n")
    expect(run("etl", "init", "-f", "-", "-o", "json", stdin=SPEC.encode()), 0,
           '{\n  "apiVersion": "etlnode/v1",\n  "kind": "ETL",\n  "id": "JGHEoo89gg",\n  "jobId": null\n}\n')


# ---- etl

@test
def init_with_a_name_sends_todays_message(tmp):
    expect(run("etl", "init", "-f", "-", "--name", "md5-etl", "--init-timeout", "90s", stdin=SPEC.encode()), 0, "md5-etl\n", "")
    message = json.loads(seen("PUT", "/v1/etl")[0][4])
    check(message == {"name": "md5-etl", "communication": "hpush://", "init_timeout": "90s", "spec": base64.b64encode(SPEC.encode()).decode()}, repr(message))
    check(seen("PUT", "/v1/etl")[0][3]["Content-Type"] == "application/json", "content type")
    r = run("etl", "init", "-f", "-", "--name", "md5-etl", stdin=SPEC.encode())
    expect(r, 4, "", "etlctl: cannot start an ETL from standard input: etl job md5-etl already exists (node p1, request id RID)\n"
                     "hint: etlctl etl show md5-etl\n")


@test
def a_refusal_names_what_the_user_wrote(tmp):
    """etlctl makes the message, so an error names the file's line, or the option, never a position in the message."""
    wrong = SPEC.replace("wait_timeout: 1m", "wait_timeout: soon", 1)
    line = 1 + wrong[:wrong.index("wait_timeout: soon")].count("\n")
    for options in (("--name", "md5-etl"), ("--comm-type", "hpush", "--name", "md5-etl")):
        r = run("etl", "init", "--dry-run", "-f", "-", *options, stdin=wrong.encode())
        check(r.code == 1 and f"invalid ETL spec: line {line}, column 19: wait_timeout is \"soon\"" in r.err, r.err)
    r = run("etl", "init", "--dry-run", "-f", "-", "--name", "md5-etl", "--comm-type", "foo", stdin=SPEC.encode())
    check(r.code == 1 and "invalid ETL spec: --comm-type is \"foo://\", expected hpush://" in r.err and "line" not in r.err, r.err)


@test
def init_with_a_runtime_spec(tmp):
    expect(run("etl", "init", "-f", "-", "--comm-type", "hpull", stdin=RUNTIME.encode()), 0, "upper-case\n", "")
    message = json.loads(seen("PUT", "/v1/etl")[0][4])
    check(message == {"name": "upper-case", "runtime": {"image": "example/upper:1", "command": ["serve"]}, "communication": "hpull://", "init_timeout": "2m"},
          repr(message))


@test
def init_tells_why_it_failed(tmp):
    r = run("etl", "init", "-f", "-", stdin=SPEC.replace("md5_server", "broken-image").encode())
    expect(r, 1, "", "etlctl: cannot start an ETL from standard input: ETL did not start: pod transformer-md5-abcde-node1: ErrImagePull\nlast log line\n"
                     "(node p1, request id RID)\n")
    r = run("etl", "init", "-f", "-", stdin=b"kind: Pod\nmetadata:\n  name: [x\n")
    check(r.code == 1 and "line 4" in r.err + "line 4" and "cannot start an ETL" in r.err, r.err)
    check(not seen("POST", "/v1/etl/init")[1:], "a broken spec was sent")
    r = run("etl", "init", "no-such-file.yaml")
    expect(r, 1, "", "etlctl: cannot read no-such-file.yaml: No such file or directory\n")
    expect(run("etl", "init"), 2, "", "etlctl: etl init needs a spec: a file, or - for standard input\nhint: etlctl etl init -f spec.yaml\n")


@test
def init_gives_up_in_time(tmp):
    started = time.monotonic()
    r = run("etl", "init", "-f", "-", "--timeout", "300ms", stdin=SPEC.replace("md5", "sleepy").encode())
    world.release.set()
    check(time.monotonic() - started < 20, "too late")  # the server would keep the request for 120 s
    check(r.code == 7 and r.err.endswith("hint: the node cleans up what it started; allow more time with --timeout\n"), r.err)


@test
def etl_lists_in_every_format(tmp):
    expect(run("etl", "ls"), 0, "ID   NAME   STAGE   READY   RESTARTS   OBJECTS   ERRORS   IN   OUT\n", "")
    expect(run("etl", "ls", "-o", "json"), 0, '{\n  "apiVersion": "etlnode/v1",\n  "kind": "ETLList",\n  "items": []\n}\n')
    with_etl()
    with_etl("second-etl")
    expect(run("etl", "ls"), 0, "ID           NAME              STAGE     READY   RESTARTS   OBJECTS   ERRORS   IN       OUT\n"
                                "JGHEoo89gg   transformer-md5   Running   -       -          3         -        2.0KiB   96B\n"
                                "second-etl   transformer-md5   Running   -       -          3         -        2.0KiB   96B\n", "")
    expect(run("ls", "etls", "-o", "wide", "--no-headers"), 0,
           "JGHEoo89gg   transformer-md5   Running   -   -   3   -   2.0KiB   96B   hpush://   etl-1\n"
           "second-etl   transformer-md5   Running   -   -   3   -   2.0KiB   96B   hpush://   etl-1\n")
    expect(run("etl", "list", "-o", "name"), 0, "JGHEoo89gg\nsecond-etl\n")
    expect(run("etl", "ls", "-o", "name", "-0"), 0, b"JGHEoo89gg\0second-etl\0")
    items = json.loads(run("etl", "ls", "-o", "json").out)["items"]
    check(items[0] == {"id": ETL_ID, "name": "transformer-md5", "stage": "Running", "communication": "hpush://", "objects": 3, "inBytes": 2048,
                       "outBytes": 96, "jobId": "etl-1", "errors": None, "restarts": None, "ready": None}, repr(items))
    lines = run("etl", "ls", "-o", "jsonl", "--sort-by", "id").out.splitlines()
    check(len(lines) == 2 and json.loads(lines[1])["kind"] == "ETL" and json.loads(lines[1])["id"] == "second-etl", repr(lines))
    check(b"apiVersion: etlnode/v1" in run("etl", "ls", "-o", "yaml").out, "yaml")
    expect(run("etl", "ls", "--sort-by", "colour"), 2, "",
           'etlctl: --sort-by "colour": the columns are id name stage ready restarts objects errors in out communication job\n')


@test
def etl_show_logs_health(tmp):
    with_etl()
    head = ("Id:               JGHEoo89gg\nName:             transformer-md5\nStage:            Running\nLast error:       -\n"
            "Communication:    hpush://\nInit timeout:     1m0s\nObject timeout:   45s\nStarted:          %s\nGeneration:       %s\n"
            "Job:              etl-1\nObjects:          3\nIn:               2.0KiB (2048 bytes)\nOut:              96 bytes\n")
    expect(run("etl", "show", ETL_ID), 0, head % ("2026-08-17T20:53:20Z", "g-1") +
           "\nTARGET   PHASE     READY   RESTARTS   UNFRAMED   POD                           LAST ERROR\n"
           "t1       serving   true    0          -          transformer-md5-fgjk3-node1   -\n"
           "t2       unknown   false   0          -          -                             target is silent\n", "")
    shown = json.loads(run("show", "etl", ETL_ID, "-o", "json").out)
    check(shown["errors"] == [] and shown["initTimeout"] == 60 and shown["init"]["obj_timeout"] == "45s" and shown["lastError"] is None, repr(shown))
    check(shown["targets"][0] == {"target": "t1", "phase": "serving", "ready": True, "restarts": 0, "unframed": None, "pod": "transformer-md5-fgjk3-node1",
                                  "address": "10.0.0.9:80", "clientUrl": None, "lastError": None,
                                  "manifest": {"metadata": {"name": "transformer-md5-fgjk3-node1"}, "spec": {"securityContext": {"runAsUser": 9007199254740993}}}}, repr(shown))
    check(shown["targets"][1]["manifest"] is None and shown["spec"] == {"kind": "Pod", "metadata": {"name": "transformer-md5"}}, repr(shown))
    text = run("etl", "show", ETL_ID, "-o", "yaml").out.decode()
    check("      runAsUser: 9007199254740993\n" in text and "spec:\n  kind: Pod\n" in text, text)
    world.etls[ETL_ID]["plain"] = True
    expect(run("etl", "show", ETL_ID), 0, head % ("-", "-") + "\nObjects that failed:\n  ais://b/bad: boom\n", "")
    shown = json.loads(run("show", "etl", ETL_ID, "-o", "json").out)
    check(shown["errors"] == [{"object": "ais://b/bad", "message": "boom", "status": 500}] and shown["targets"] == [], repr(shown))
    expect(run("etl", "logs", ETL_ID), 0, "t1: one\nt1: two\nt1: three\nt2: one\nt2: two\nt2: three\n", "")
    expect(run("etl", "logs", ETL_ID, "t2", "--tail", "1"), 0, "three\n", "")
    logs = json.loads(run("etl", "logs", ETL_ID, "t2", "-o", "json").out)["items"]
    check(logs == [{"target": "t2", "logs": "one\ntwo\nthree\n"}], repr(logs))
    expect(run("etl", "health", ETL_ID), 0, "TARGET   STATUS\nt1       Running\n")
    expect(run("etl", "show", "nowhere"), 3, "", "etlctl: cannot show ETL nowhere: etl job nowhere does not exist (node p1, request id RID)\nhint: etlctl etl ls\n")


@test
def etl_stop_start_rm_by_name(tmp):
    with_etl("my-etl")
    expect(run("etl", "stop", "my-etl"), 0, "ETL containers stopped successfully.\n", "")
    check(world.etls["my-etl"]["stage"] == "Aborted" and seen("POST", "/v1/etl/my-etl/stop"), "not stopped by today's path")
    expect(run("etl", "start", "my-etl"), 0, "", "")
    check(world.etls["my-etl"]["stage"] == "Running", "not started")
    expect(run("rm", "etl", "my-etl"), 0, "", "")
    check(not world.etls, "still there")
    expect(run("etl", "rm", "my-etl", "--ignore-not-found"), 0, "", "")
    with_etl()
    world.etls[ETL_ID]["late"] = True
    expect(run("etl", "stop", ETL_ID), 8, "", "etlctl: cannot stop ETL JGHEoo89gg everywhere: stopped; pods are still being removed:\ntarget t2: is silent\n"
                                              "hint: etlctl cluster health\n")
    expect(run("etl", "stop", "QWERTYuiop"), 3, "",
           "etlctl: cannot stop ETL QWERTYuiop: etl job QWERTYuiop does not exist (node p1, request id RID)\nhint: etlctl etl ls\n")


@test
def etl_object_queries_and_files(tmp):
    with_etl()
    with_etl("my-etl")
    with_object()
    path = os.path.join(tmp, "out")
    expect(run("etl", "object", ETL_ID, "ais://transform/shard.in", path, "--args", "a b&c"), 0, "", "")
    check(open(path, "rb").read() == b"393c6706efb128fbc442d3f7d084a426a b&c", "wrong bytes")
    check("uuid=JGHEoo89gg&etl_args=a%20b%26c" in world.requests[-2][2], world.requests[-2][2])
    expect(run("etl", "object", "my-etl>>next-etl", "transform/shard.in"), 0, "393c6706efb128fbc442d3f7d084a426")
    check(world.requests[-2][2].endswith("?etl_name=my-etl&etl_pipeline=next-etl"), world.requests[-2][2])
    check(os.listdir(tmp) == ["out"], "something was left: %r" % os.listdir(tmp))


@test
def etl_object_failures_have_their_codes(tmp):
    with_etl()
    with_object()
    doing = "etlctl: cannot read object ais://transform/%s through ETL %s: "
    expect(run("etl", "object", ETL_ID, "transform/none", "-"), 3, "",
           doing % ("none", ETL_ID) + "t[t1]: ais://transform/none does not exist (node t1, request id RID)\nhint: etlctl object ls transform\n")
    expect(run("etl", "object", "ABCDEFGHIJ", "transform/shard.in", "-"), 3, "",
           doing % ("shard.in", "ABCDEFGHIJ") + "etl job ABCDEFGHIJ does not exist (node t1, request id RID)\nhint: etlctl etl ls\n")
    expect(run("etl", "object", ETL_ID, "nobucket/x", "-"), 3, "",
           "etlctl: cannot read object ais://nobucket/x through ETL JGHEoo89gg: bucket \"ais://nobucket\" does not exist (node p1, request id RID)\n"
           "hint: etlctl bucket ls\n")
    for args, code, hint in (("crash", 6, "etlctl etl logs JGHEoo89gg"), ("slow", 7, "etlctl etl logs JGHEoo89gg"), ("busy", 6, "try again; etlctl cluster health shows which node is not well")):
        r = run("etl", "object", ETL_ID, "transform/shard.in", "-", "--args", args)
        check(r.code == code and r.err.endswith("hint: %s\n" % hint), "%s: %d %s" % (args, r.code, r.err))


@test
def a_cut_transform_is_an_error_and_leaves_no_file(tmp):
    with_etl()
    with_object()
    path = os.path.join(tmp, "out")
    r = run("etl", "object", ETL_ID, "transform/shard.in", path, "--args", "cut")
    check(r.code == 6 and "cut before the answer was complete" in r.err, "%d %s" % (r.code, r.err))
    check(os.listdir(tmp) == [], "left: %r" % os.listdir(tmp))
    open(path, "w").write("old")
    r = run("etl", "object", ETL_ID, "transform/shard.in", path, "--args", "cut")
    check(r.code == 6 and open(path).read() == "old", "the old file was touched")
    r = run("etl", "object", ETL_ID, "transform/shard.in", "-", "--args", "cut")
    check(r.code == 6 and r.out in (b"", b"393c6706efb128fbc442d3f7d084a426cut"), "%d %r" % (r.code, r.out))
