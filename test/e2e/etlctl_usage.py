# SPDX-License-Identifier: MIT
"""The cases of test_etlctl.py about errors, options, help and hints."""
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from etlctl_world import (
    ETLCTL, ETL_ID, PROXY_URL, SPEC, TARGET_URL, check, environment, expect, run, run_on_terminal, test, with_etl, with_object,
    world)


# ---- errors, options, help

@test
def nobody_there(tmp):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        free = "http://127.0.0.1:%d" % s.getsockname()[1]
    r = run("--endpoint", free, "bucket", "ls")
    check(r.code == 6 and r.out == b"", "%d" % r.code)
    check(re.match(r"etlctl: cannot list buckets: no answer from %s: .*\n"
                   r"hint: start a node with `make up`, or name a proxy with --endpoint URL or ETLNODE_ENDPOINT\n$" % re.escape(free), r.err), r.err)
    r = run("rm", "b/1", "b/2", "b/3", env={"ETLNODE_ENDPOINT": free})
    check(r.code == 6 and r.err.count("no answer") == 1, r.err)
    r = run("bucket", "ls", "-o", "json", env={"ETLNODE_ENDPOINT": "", "AIS_ENDPOINT": free})
    e = json.loads(r.err)
    check(e["apiVersion"] == "etlnode/v1" and e["error"]["code"] == "unavailable" and e["error"]["retryable"] is True and e["error"]["status"] is None, r.err)


@test
def errors_in_json(tmp):
    with_object("b", "o", b"x")
    r = run("get", "b/none", "-o", "json", "--request-id", "my-id.1")
    e = json.loads(r.err)
    check(r.code == 3 and r.out == b"", "%d %r" % (r.code, r.out))
    check(e == {"apiVersion": "etlnode/v1", "error": {
        "code": "object_not_found", "message": "cannot read object ais://b/none: t[t1]: ais://b/none does not exist", "status": 404, "retryable": False,
        "exitCode": 3, "requestId": "my-id.1", "node": "t1", "bucket": "b", "object": "none", "etl": None, "hint": "etlctl object ls b", "podLog": None}}, r.err)
    r = run("gett", "b/none", "-ojson")
    check(r.code == 2 and json.loads(r.err)["error"]["code"] == "usage", r.err)


@test
def wrong_command_lines_are_exit_2(tmp):
    for args, text in (
        (("gett", "b/o"), 'etlctl: "gett" is not a command\nhint: etlctl get\n'),
        (("etl", "lss"), 'etlctl: "lss" is not a command of etl\nhint: etlctl etl ls\n'),
        (("etl", "stop"), "etlctl: etl stop needs ID\nhint: etlctl etl stop ID\n"),
        (("etl", "ls", "--ouput", "json"), "etlctl: unknown option --ouput\nhint: did you mean --output?\n"),
        (("bucket", "ls", "x"), 'etlctl: unexpected argument "x"\nhint: etlctl bucket ls\n'),
        (("bucket", "ls", "-o", "xml"), 'etlctl: --output "xml": write table, wide, json, jsonl, yaml, name or jsonpath=TEMPLATE\n'),
        (("bucket", "ls", "--timeout", "5"), 'etlctl: --timeout "5" is not a positive duration: write 30s, 5m or 1h30m\n'),
        (("bucket", "ls", "--endpoint", "ftp://x"), 'etlctl: "ftp://x" is not an endpoint: write http://HOST:PORT\n'),
        (("bucket", "ls", "--request-id", "a b"), "etlctl: --request-id \"a b\": at most 64 letters, digits, '.', '_' or '-'\n"),
        (("get", "b"), 'etlctl: "b" does not name an object: write BUCKET/OBJECT\n'),
        (("put", "-", "b"), "etlctl: standard input has no name: write BUCKET/OBJECT\n"),
        (("ls", "-0"), "etlctl: -0 requires -o name\n"),
    ):
        expect(run(*args), 2, "", text)
    check(not world.requests, "something was sent")
    check(run("bucket", "ls", "-o").code == 2, "an option without its value")
    r = run()
    check(r.code == 2 and r.out == b"" and "Usage: etlctl NOUN VERB" in r.err, r.err)
    r = run("etl")
    check(r.code == 2 and r.out == b"" and "etl object ID BUCKET/OBJECT [OUT]" in r.err, r.err)


@test
def help_is_everywhere(tmp):
    top = run("--help")
    check(top.code == 0 and top.err == "" and b"Example:" in top.out, top.err)
    commands = re.findall(r"^  ((?:[a-z]+ )?[a-z]+)(?: [A-Z\[].*?)?(?:  |$)", top.out.decode().split("other commands:")[0], re.M)
    commands = [c for c in commands if " " in c]
    with open(os.path.join(os.path.dirname(__file__), "../../src/etlctl/grammar_table.cc"), encoding="utf-8") as table:
        rows = re.findall(r'\{command::\w+, "([a-z]+)", "([a-z]+)"', table.read())
    check(commands == [" ".join(row) for row in rows], "%d commands: %r" % (len(commands), commands))
    for command in commands + ["version", "help", "completion"]:
        r = run(*command.split(), "--help")
        check(r.code == 0 and r.err == "" and b"Usage: etlctl " + command.encode() in r.out and b"\nExample:\n  " in r.out, command)
        check(r.out == run("help", *command.split()).out, command + ": help and --help differ")
    check(run("etl", "--help").out == run("help", "etl").out, "etl --help")
    codes = run("help", "exit-codes").out.decode()
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 130, 143):
        check(re.search(r"^%d +\w" % code, codes, re.M), "exit code %d is not explained" % code)
    check(b"ETLNODE_ENDPOINT, AIS_ENDPOINT" in run("help", "environment").out, "help environment")
    check(run("help", "nonsense").code == 2, "help nonsense")
    check(not world.requests, "help asked the server")
    ais = os.path.join(tmp, "ais")
    os.symlink(ETLCTL, ais)
    check(b"Usage: ais etl object" in run("etl", "object", "--help", program=ais).out, "the name it was called by")


@test
def the_man_page_names_everything(tmp):
    page = open(os.path.join(os.path.dirname(__file__), "..", "..", "docs", "man", "etlctl.1")).read().replace("\\-", "-")
    for line in run("help", "exit-codes").out.decode().splitlines()[1:]:
        code, name = line.split()[:2]
        check(re.search(r"^\.B %s$|^\.IP %s" % (code, code), page, re.M), "exit code %s" % code)
    top = run("--help").out.decode()
    for flag in set(re.findall(r"--[a-z0-9-]+", top + "".join(run("help", *c.split()).out.decode() for c in (
            "etl init", "etl ls", "etl logs", "etl object", "object get", "object put", "object ls", "object rm", "bucket create", "bucket rm", "version")))):
        check(flag in page, flag + " is not in the man page")
    for command in ("etl init", "etl ls", "etl show", "etl logs", "etl health", "etl stop", "etl start", "etl rm", "etl object", "object get", "object put",
                    "object ls", "object head", "object rm", "bucket create", "bucket ls", "bucket rm", "target ls", "cluster show", "cluster health",
                    "cluster recover", "cluster backup", "cluster restore", "df", "du",
                    "version", "help", "completion"):
        check(re.search(r"^\.B(R)? \"?%s\b" % command, page, re.M), command + " is not in the man page")


@test
def dry_run_sends_nothing(tmp):
    spec = os.path.join(tmp, "spec.yaml")
    open(spec, "w").write(SPEC)
    expect(run("etl", "init", "-f", spec, "--dry-run", cwd=tmp), 0, "would send POST PROXY/v1/etl/init with %s (%d bytes)\n" % (spec, len(SPEC)), "")
    expect(run("etl", "stop", ETL_ID, "--dry-run"), 0, "would send DELETE PROXY/v1/etl/stop/JGHEoo89gg\n", "")
    expect(run("put", "-", "b/a b", "--dry-run", stdin=b"x"), 0, "would send PUT PROXY/v1/objects/b/a%20b with standard input\n", "")
    expect(run("rm", "b/1", "b/2", "--dry-run"), 0, "would send DELETE PROXY/v1/objects/b/1\nwould send DELETE PROXY/v1/objects/b/2\n", "")
    expect(run("bucket", "rm", "b", "--dry-run", "-o", "json"), 0,
           '{\n  "apiVersion": "etlnode/v1",\n  "kind": "Plan",\n  "requests": [\n    {\n      "method": "DELETE",\n      "url": "PROXY/v1/buckets/b",\n'
           '      "body": "action destroy-bck"\n    }\n  ]\n}\n')
    check(not world.requests, "something was sent")


@test
def trace_masks_secrets(tmp):
    with_object("b", "o", b"x")
    r = run("get", "b/o", "--trace-http", env={"ETLNODE_TOKEN": "s3cr3t"})
    check(r.code == 0 and r.out == b"x", r.err)
    check("Authorization: ***" in r.err and "s3cr3t" not in r.err and "> GET /v1/objects/b/o" in r.err and "< HTTP/1.1 301" in r.err, r.err)
    check(world.requests[0][3]["Authorization"] == "Bearer s3cr3t", "the token was not sent")
    check("Authorization" not in world.requests[1][3], "the token went to another port")
    r = run("get", "b/o", "-v")
    check(r.err.count("\n> GET") + r.err.startswith("> GET") == 2 and "< Location: " + TARGET_URL in r.err and "User-Agent" not in r.err, r.err)


@test
def standard_output_that_is_full_or_gone(tmp):
    with_object("b", "o", b"x" * 300000)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([ETLCTL, "bucket", "ls"], stdout=full, stderr=subprocess.PIPE, timeout=120, env=environment())
        check(done.returncode == 1 and b"cannot write to standard output: No space left" in done.stderr, repr(done))
        done = subprocess.run([ETLCTL, "get", "b/o"], stdout=full, stderr=subprocess.PIPE, timeout=120, env=environment())
        check(done.returncode == 1 and b"cannot write standard output: No space left" in done.stderr, repr(done))
    child = subprocess.Popen([ETLCTL, "get", "b/o"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    child.stdout.close()
    check(child.wait(20) == 141 and child.stderr.read() == b"", "a reader that went away")
    child.stderr.close()


@test
def signals_remove_the_part_file(tmp):
    with_object("b", "stall", b"0123456789")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        child = subprocess.Popen([ETLCTL, "get", "b/stall", os.path.join(tmp, "out")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        deadline = time.monotonic() + 10
        while not os.listdir(tmp) and time.monotonic() < deadline:
            time.sleep(0.01)
        check(len(os.listdir(tmp)) == 1 and ".part-" in os.listdir(tmp)[0], "no part file: %r" % os.listdir(tmp))
        child.send_signal(number)
        _, err = child.communicate(timeout=120)
        check(child.returncode == code, "exit code %d" % child.returncode)
        check(os.listdir(tmp) == [], "left: %r" % os.listdir(tmp))
        check(err.endswith(b"etlctl: interrupted\n"), repr(err))
    world.release.set()


# ---- useful hints

@test
def hints_never_destroy(tmp):
    for words in (("etl", "run", "x"), ("etl", "rn", "x"), ("etl", "stp", "x"), ("etl", "sotp"), ("bucket", "rmb", "b"), ("bucket", "destory", "b"), ("rmb", "b"), ("rn",),
                  ("rmm",), ("target", "rn", "t1"), ("etl", "remov")):
        r = run(*words)
        check(r.code == 2 and not re.search(r"hint: etlctl( [a-z]+)? (rm|stop|remove|destroy|delete)", r.err), repr((words, r.err)))
    expect(run("etl", "run", "x"), 2, "", 'etlctl: "run" is not a command of etl\nhint: etlctl etl init -f spec.yaml\n')
    expect(run("mb", "b"), 2, "", 'etlctl: "mb" is not a command\nhint: etlctl bucket create BUCKET\n')
    expect(run("etl", "restart", "x"), 2, "", 'etlctl: "restart" is not a command of etl\nhint: etlctl etl stop ID, then etlctl etl start ID\n')
    expect(run("etl", "helth", "x"), 2, "", 'etlctl: "helth" is not a command of etl\nhint: etlctl etl health\n')


@test
def options_in_our_own_words(tmp):
    expect(run("etl", "init", "--name"), 2, "", "etlctl: --name needs a value: --name NAME\nhint: etlctl etl init --help\n")
    expect(run("ls", "-o"), 2, "", "etlctl: -o needs a value: -o FORMAT\nhint: etlctl bucket ls --help\n")
    expect(run("ls", "b", "--limit", "1", "--limit=2"), 2, "", "etlctl: --limit is given twice\nhint: etlctl object ls BUCKET\n")
    expect(run("ls", "-ojson", "-o", "name"), 2, "", "etlctl: -o is given twice\nhint: etlctl bucket ls\n")


@test
def several_specs(tmp):
    for name in ("one", "two"):
        with open(os.path.join(tmp, name), "w", encoding="utf-8") as f:
            f.write("name: %s-etl\ncommunication: hpush://\nruntime: {image: example/upper:1}\n" % name)
    expect(run("etl", "init", "-f", "one", "-f", "two", cwd=tmp), 0, "one-etl\ntwo-etl\n", "")
    expect(run("etl", "init", "-f", "one", "-f", "two", "--name", "three", cwd=tmp), 2, "", "etlctl: --name works with one spec only, but several are given\n")
    del world.etls["two-etl"]
    r = run("etl", "init", "-f", "one", "-f", "two", cwd=tmp)
    check(r.code == 8 and r.out == b"two-etl\n" and "one-etl already exists" in r.err, repr((r.code, r.out, r.err)))


@test
def a_failed_transform_shows_what_its_pod_wrote(tmp):
    with_etl()
    with_object("b", "fails")
    r = run("etl", "object", ETL_ID, "b/fails", "-")
    check(r.code == 6 and "ETL error" in r.err and "\nlast log lines of the pod:\n  one\n  two\n  three\n" in r.err, r.err)
    asked = [path for _, _, path, _, _ in world.requests if "/logs/" in path]
    check(len(asked) == 1 and re.search(r"/logs/t1\?since=[1-9]\d*$", asked[0]), repr(asked))
    shown = json.loads(run("etl", "object", ETL_ID, "b/fails", "-", "-o", "json").err)
    check(shown["error"]["podLog"] == "one\ntwo\nthree\n", repr(shown))
    run("etl", "object", ETL_ID, "b/none", "-")
    check(len([1 for _, _, path, _, _ in world.requests if "/logs/" in path]) == 2, "a missing object is no failure of the pod")


@test
def another_server_is_named(tmp):
    expect(run("--endpoint", TARGET_URL, "bucket", "ls"), 6, "", "etlctl: cannot list buckets: TARGET is a target; its proxy is PROXY (node t1, request id RID)\nhint: --endpoint PROXY\n")
    r = run("--endpoint", PROXY_URL.replace("http:", "https:"), "bucket", "ls")
    check(r.code == 6 and r.err.startswith("etlctl: cannot list buckets: %s speaks plain HTTP, not TLS" % PROXY_URL.replace("http:", "https:")) and
          r.err.endswith("hint: --endpoint %s\n" % PROXY_URL), r.err)

    for kind, body, said in (("text/html; charset=utf-8", b"<html><body>Not here</body></html>", ", text/html"), ("text/plain", b"404 page not found\n", ", text/plain"),
                             ("application/xml", b"<Error><Code>NoSuchBucket</Code></Error>", ", application/xml"), ("application/json", b'{"detail":"Not Found"}', ", application/json")):
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass
        other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=other.serve_forever, daemon=True).start()
        url = "http://127.0.0.1:%d" % other.server_port
        r = run("--endpoint", url, "bucket", "ls")
        other.shutdown()
        check(r.code == 6 and "%s is not an etlnode (status 404%s)" % (url, said) in r.err and "<" not in r.err.replace("<html", "<"), r.err)


@test
def what_is_no_http(tmp):
    """A server that answers with a TLS alert, or that speaks first."""
    for says, wanted in ((b"\x15\x03\x01\x00\x02\x02\x46", "does not speak plain HTTP; it may speak TLS"), (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak plain HTTP; it may speak TLS")):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(4)
            port = listener.getsockname()[1]

            def serve():
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(says)
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            r = run("--endpoint", "http://127.0.0.1:%d" % port, "bucket", "ls")
            thread.join(60)
            check(r.code == 6 and wanted in r.err and r.err.endswith("hint: --endpoint https://127.0.0.1:%d\n" % port), (says, r.err))


@test
def a_start_on_a_sick_cluster_names_no_logs(tmp):
    r = run("etl", "init", "-f", "-", stdin=SPEC.replace("md5", "silent").encode())
    check(r.code == 6 and r.err.endswith("hint: etlctl cluster health\n"), r.err)


@test
def binary_stays_off_the_terminal(tmp):
    with_object("b", "picture", b"\xff\xd8\xff\xe0\0\x10JFIF")
    code, out = run_on_terminal(["get", "b/picture"])
    check(code == 2 and out == b"etlctl: binary output can disturb your terminal\nhint: name an output file, or - to print it anyway\n", repr((code, out)))
    code, out = run_on_terminal(["get", "b/picture", "-"])
    check(code == 0 and out.startswith(b"\xff\xd8"), repr((code, out)))
    expect(run("get", "b/picture"), 0, b"\xff\xd8\xff\xe0\0\x10JFIF", "")
    ais = os.path.join(tmp, "ais")
    os.symlink(ETLCTL, ais)
    expect(run("get", "b/picture", cwd=tmp, program=ais), 0, b"", "")
    check(open(os.path.join(tmp, "picture"), "rb").read() == b"\xff\xd8\xff\xe0\0\x10JFIF", "ais get writes a file named as the object")
