# SPDX-License-Identifier: MIT
"""The cases of test_etlctl.py about terminals, completion and the start-up time."""
import os
import re
import resource
import shutil
import subprocess
import time

from etlctl_world import ETLCTL, ETL_ID, check, environment, run, run_on_terminal, test, with_etl, with_object, world


# ---- terminal

@test
def a_terminal_gets_what_people_need(tmp):
    with_etl()
    with_object()
    code, out = run_on_terminal(["etl", "object", ETL_ID, "transform/shard.in", "-"])
    check((code, out) == (0, b"393c6706efb128fbc442d3f7d084a426\n"), repr(out))
    code, out = run_on_terminal(["get", "transform/shard.in"])
    check((code, out) == (0, b"some text :)\n"), repr(out))
    code, out = run_on_terminal(["create", "bucket", "more"])
    check((code, out) == (0, b'"more" bucket created\n'), repr(out))
    code, out = run_on_terminal(["bucket", "rm", "transform"], typed=b"n\n")
    check(code == 1 and b"holds objects; remove all of them? [y/N]" in out and "transform" in world.buckets, repr(out))
    code, out = run_on_terminal(["bucket", "rm", "transform"], typed=b"y\n")
    check(code == 0 and "transform" not in world.buckets, repr(out))
    with_object("b", "big", b"x" * (9 << 20))
    code, out = run_on_terminal(["get", "b/big", "/dev/null"])
    check(code == 0 and b"big  0/1 objects  " in out and out.endswith(b"\r\x1b[K"), repr(out[-300:]))
    code, out = run_on_terminal(["get", "b/big", "/dev/null", "--progress", "none"])
    check((code, out) == (0, b""), repr(out[-300:]))


@test
def progress_in_plain_lines(tmp):
    with_object("b", "big", b"x" * 100000)
    r = run("get", "b/big", os.path.join(tmp, "big"), "--progress", "plain")
    check(r.code == 0 and re.match(r"big  1/1 objects  97\.7KiB of 97\.7KiB \(100%\)", r.err), r.err)
    r = run("get", "b/big", os.path.join(tmp, "big"))
    check(r.err == "", r.err)


# ---- completion

def complete(*words, env=None):
    r = run("__complete", *words, env=env)
    check(r.code == 0 and r.err == "", r.err)
    return r.out.decode().splitlines()


@test
def completion_knows_words_and_names(tmp):
    with_etl()
    with_object("photos", "cat.jpg")
    with_object("photos", "dog.jpg")
    world.buckets["papers"] = {}
    check(complete("bu") == ["bucket"], "bu")
    check(complete("etl", "st") == ["stop", "start"], repr(complete("etl", "st")))
    check(complete("etl", "stop", "") == [ETL_ID], "etl ids")
    check(complete("etl", "object", ETL_ID, "p") == ["papers/", "photos/"], "buckets")
    check(complete("etl", "object", ETL_ID, "photos/c") == ["photos/cat.jpg"], "objects")
    check(complete("get", "ais://photos/") == ["ais://photos/cat.jpg", "ais://photos/dog.jpg"], "scheme")
    check(complete("ls", "pa") == ["papers"], "ls")
    check(complete("get", "photos/cat.jpg", "") == [":files"], "files")
    check(complete("bucket", "ls", "-o", "j") == ["json", "jsonl", "jsonpath="], "formats")
    check(complete("etl", "ls", "--no") == ["--no-headers"], "options")
    check(complete("etl", "logs", ETL_ID, "t") == ["t1", "t2"], "targets")
    check(complete("completion", "") == ["bash", "zsh"], "shells")


@test
def completion_is_silent_and_quick(tmp):
    world.hang.set()
    for env in (None, {"ETLNODE_ENDPOINT": "http://127.0.0.1:1"}, {"ETLNODE_ENDPOINT": "ftp://"}):
        started = time.monotonic()
        check(complete("etl", "stop", "", env=env) == [], "something came")
        took = time.monotonic() - started
        check(took < 10.0, "took %.2f s" % took)  # the server would keep the request for 120 s
    world.release.set()


@test
def completion_in_bash(tmp):
    if shutil.which("bash") is None:
        return "bash is not installed"
    with_object("photos", "cat pic.jpg")
    with_object("photos", "cat2.jpg")
    script = """
        source <("$ETLCTL_BIN" completion bash)
        try() { COMP_LINE="$1" COMP_POINT=${#1} COMPREPLY=(); _etlctl_complete; printf '%s|' "${COMPREPLY[@]}"; echo; }
        try "etlctl etl sto"
        try "etlctl get photos/"
        try "etlctl get ais://pho"
        try "etlctl get photos/cat2.jpg ./spe"
    """
    open(os.path.join(tmp, "spec.yaml"), "w").close()
    os.symlink(ETLCTL, os.path.join(tmp, "etlctl"))
    done = subprocess.run(["bash", "-c", script], cwd=tmp, capture_output=True, timeout=120,
                          env=environment({"ETLCTL_BIN": ETLCTL, "PATH": tmp + ":" + os.environ["PATH"]}))
    check(done.stdout.decode() == "stop|\nphotos/cat\\ pic.jpg|photos/cat2.jpg|\n//photos/|\n./spec.yaml|\n", repr(done))


@test
def completion_in_zsh(tmp):
    if shutil.which("zsh") is None:
        return "zsh is not installed"
    with_object("photos", "cat pic.jpg")
    with_object("photos", "cat2.jpg")
    # Outside a line editor, functions that print replace the completion builtins.
    script = """
        compdef() { :; }
        compadd() { [[ $1 == -S ]] && { print -n 'open '; shift 2; }; shift; print -n -- "${(j:|:)@}"; print; }
        _files() { print files; }
        source <("$ETLCTL_BIN" completion zsh)
        words=(etlctl etl sto); CURRENT=3; _etlctl_complete
        words=(etlctl get 'photos/'); CURRENT=3; _etlctl_complete
        words=(etlctl get ais://pho); CURRENT=3; _etlctl_complete
        words=(etlctl get 'photos/cat\\ pic.jpg' ''); CURRENT=4; _etlctl_complete
    """
    os.symlink(ETLCTL, os.path.join(tmp, "etlctl"))
    done = subprocess.run(["zsh", "-f", "-c", script], cwd=tmp, capture_output=True, timeout=120,
                          env=environment({"ETLCTL_BIN": ETLCTL, "PATH": tmp + ":" + os.environ["PATH"]}))
    check(done.stdout.decode() == "stop\nphotos/cat pic.jpg|photos/cat2.jpg\nopen ais://photos/\nfiles\n", repr(done))


@test
def start_up_is_quick(tmp):
    # CPU time, because other work on the machine prolongs elapsed time.
    best = min(start_up_cost() for _ in range(5))
    if best > 1.0:
        return "took %.0f ms of processor time" % (best * 1000)


def start_up_cost():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run("version", "--client")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
