#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Jobs: a scrub finds exactly what is damaged; its sums are right whoever is killed meanwhile; cancel, wait and report as a person uses
them; the calls of AIStore's clients."""
import json
import os
import random
import signal
import sqlite3
import subprocess

import harness
from harness import Cluster, request, until

BLOCK = 256 << 10
world = {}
draw = random.Random(7)
SMALL = 300
LARGE = 3


def cluster():
    return world["cluster"]


def id_of(node):
    return next(one["daemon_id"] for one in cluster().smap()["tmap"].values() if one["public_net"]["direct_url"] == node.url)


def ctl(*words, code=0, **rest):
    done = cluster().run("etlctl", *words, check=False, **rest)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout.decode()


def ctl_json(*words, code=0):
    return json.loads(ctl(*words, "-o", "json", code=code))


def fill():
    cluster().bucket("photos")
    cluster().bucket("papers")
    for i in range(SMALL):
        assert cluster().put("photos", f"small/{i:04}", b"content %d" % i).status == 200
    for i in range(LARGE):
        assert cluster().put("papers", f"large {i}", draw.randbytes(BLOCK + 100 + i)).status == 200


def database(target, query, *values):
    connection = sqlite3.connect(f"file:{cluster().dir}/{target.name}/node.db?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def damage(bucket, name, offset):
    """Flips a bit of a file on its target's disk."""
    target = cluster().holder(bucket, name)
    content = database(target, "SELECT content_id FROM objects WHERE bucket = ? AND name = ?", bucket.encode(), name.encode())[0][0]
    wanted = f"{content:016x}"
    path = os.path.join(cluster().dir, target.name, "objects", wanted[12:14], wanted)
    until(lambda: os.path.exists(path), "the content in its place")
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    return target


def case_nothing_is_damaged():
    out = ctl("scrub", "--wait", "--rate", "1GiB")
    assert out.endswith(f": done: {SMALL + LARGE} objects, {out.split(', ')[1]}, 0 failed\n"), out
    jobs = ctl_json("job", "ls")["items"]
    assert len(jobs) == 1 and jobs[0]["state"] == "done" and jobs[0]["done"] == SMALL + LARGE and jobs[0]["failed"] == 0, jobs
    report = ctl_json("job", "report", jobs[0]["id"])
    assert report["items"] == [], report


def case_exactly_the_damaged_is_found():
    target = damage("papers", "large 2", BLOCK + 9)
    job = ctl("scrub", "--rate", "1GiB").strip()
    done = cluster().run("etlctl", "job", "wait", job, check=False)
    assert done.returncode == 8, done
    assert f"hint: etlctl job report {job}" in done.stderr.decode(), done.stderr
    items = ctl_json("job", "report", job)["items"]
    assert [(one["object"], one["target"], one["status"]) for one in items] == [("papers/large 2", id_of(target), 500)], items
    assert items[0]["message"] == f"the block at offset {BLOCK} is not what was stored", items
    shown = ctl_json("job", "show", job)
    assert shown["failed"] == 1 and shown["done"] == SMALL + LARGE - 1, shown
    assert sum(one["failed"] for one in shown["targets"]) == 1 and len(shown["targets"]) == 2, shown
    # Only the scope is read, and nothing was removed or repaired.
    ctl("scrub", "photos/small/00", "--wait", "--rate", "1GiB")
    scoped = ctl_json("job", "ls")["items"][-1]
    assert scoped["done"] == 100 and scoped["failed"] == 0 and scoped["scope"] == "photos/small/00", scoped
    assert ctl("ls", "papers", "-o", "name").splitlines() == [f"papers/large {i}" for i in range(LARGE)]


def start_slow():
    """A scrub that takes some seconds on each target: each of the small objects costs 4 KiB of the rate."""
    return ctl("scrub", "--rate", "150KiB").strip()


def sum_of(job):
    shown = ctl_json("job", "show", job)
    return shown["done"] + shown["skipped"] + shown["failed"]


def expect_whole(job):
    ctl("job", "wait", job, "--timeout", "100s", code=8)
    shown = ctl_json("job", "show", job)
    assert shown["state"] == "done", shown
    assert (shown["done"], shown["skipped"], shown["failed"]) == (SMALL + LARGE - 1, 0, 1), shown
    assert len(ctl_json("job", "report", job)["items"]) == 1


def case_a_target_is_killed():
    job = start_slow()
    for _ in range(2):
        before = sum_of(job)
        until(lambda: sum_of(job) > before + 20, "the job goes on", limit=60)
        target = cluster().targets[0]
        target.kill()
        target.start()
        until(lambda: request("GET", target.url + "/v1/health?readiness=true").status == 200, "the target is back")
    expect_whole(job)


def case_the_proxy_is_killed():
    job = start_slow()
    until(lambda: sum_of(job) > 20, "the job goes on", limit=60)
    cluster().proxy.kill()
    cluster().proxy.start()
    cluster().wait_registered()
    expect_whole(job)
    jobs = [one["id"] for one in ctl_json("job", "ls")["items"]]
    assert job in jobs and len(jobs) == len(set(jobs)) >= 4, jobs


def case_a_target_is_away():
    job = start_slow()
    target = cluster().targets[1]
    target.kill()
    until(lambda: "is silent" in (ctl_json("job", "show", job)["waiting"] or ""), "the job waits for the target", limit=60)
    out = cluster().run("etlctl", "job", "wait", job, "--timeout", "1s", check=False)
    assert out.returncode == 7 and b"it goes on" in out.stderr, out
    target.start()
    cluster().wait_registered()
    expect_whole(job)


def case_cancel():
    job = start_slow()
    until(lambda: sum_of(job) > 10, "the job goes on", limit=60)
    ctl("job", "cancel", job)
    done = cluster().run("etlctl", "job", "wait", job, check=False)
    assert done.returncode == 1 and b"was cancelled" in done.stderr, done
    count = sum_of(job)
    assert 10 < count < SMALL + LARGE, count
    assert ctl_json("job", "show", job)["state"] == "cancelled"
    refused = cluster().run("etlctl", "job", "cancel", job, check=False)
    assert refused.returncode == 4 and b"it has ended already: cancelled" in refused.stderr, refused
    assert sum_of(job) == count


def case_ctrl_c_leaves_the_job():
    job = start_slow()
    waiting = subprocess.Popen(["etlctl", "job", "wait", job], env=cluster().env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    before = sum_of(job)
    until(lambda: sum_of(job) > before + 5, "the job goes on", limit=60)
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 130 and out == b"", (waiting.returncode, out)
    assert f"interrupted; job {job} goes on: etlctl job watch {job}" in err.decode(), err
    before = sum_of(job)
    until(lambda: sum_of(job) > before, "the job goes on", limit=60)
    ctl("job", "cancel", job)
    ctl("job", "wait", job, code=1)


def case_watch_shows_progress():
    job = start_slow()
    done = cluster().run("etlctl", "job", "watch", job, check=False)
    assert done.returncode == 8, done
    lines = done.stderr.decode().splitlines()
    assert any(line.startswith(f"scrub {job}  ") and f"/{SMALL + LARGE} objects" in line for line in lines), lines


def case_refusals():
    for words, code, text in (
            (["scrub", "nobucket"], 3, "bucket"),
            (["scrub", "--rate", "fast"], 2, "--rate fast: write bytes a second"),
            (["scrub", "--rate", "1"], 1, "rate: expected bytes a second, at least 65536"),
            (["job", "start", "paint"], 1, 'there is no job of kind "paint"; there are: scrub'),
            (["job", "show", "nojob"], 3, 'there is no job "nojob"'),
            (["job", "wait", "nojob"], 3, "hint: etlctl job ls"),
            (["job", "report", "nojob"], 3, 'there is no job "nojob"'),
            (["job", "cancel", "nojob"], 3, 'there is no job "nojob"')):
        done = cluster().run("etlctl", *words, check=False)
        assert done.returncode == code and text in done.stderr.decode(), (words, done)


def ask(what, query):
    return request("GET", cluster().url("/v1/cluster?what=" + what), json.dumps(query), {"Content-Type": "application/json"})


def act(action, value):
    return request("PUT", cluster().url("/v1/cluster"), json.dumps({"action": action, "value": value}), {"Content-Type": "application/json"})


def case_calls_of_aistores_clients():
    job = act("start", {"ID": "", "Kind": "scrub", "Bck": {"name": "photos", "provider": "ais"}, "options": {"rate": 150 << 10}}).text
    assert len(job) >= 9 and job.isalnum(), job
    status = ask("status", {"id": job}).json
    assert status == {"kind": "scrub", "uuid": job, "err": "", "end_time": 0, "aborted": False}, status
    assert ask("status", {"kind": "scrub"}).json["uuid"] == job
    assert ask("running_all", {}).json == [f"scrub[{job}]"]
    snaps = ask("qryxstats", {"id": job}).json
    assert set(snaps) == {id_of(one) for one in cluster().targets}, snaps
    for snap in (one for share in snaps.values() for one in share):
        assert snap["id"] == job and snap["end-time"].startswith("0001-01-01") and snap["bck"]["name"] == "photos" and not snap["aborted"], snap
    assert act("stop", {"ID": job, "Kind": "scrub"}).text == ""
    until(lambda: ask("status", {"id": job}).json["end_time"] > 0, "the job ends", limit=60)
    assert ask("status", {"id": job}).json["aborted"] is True
    assert ask("running_all", {}).json == []
    assert act("stop", {"ID": job}).status == 200 and act("stop", {"Kind": "scrub"}).status == 200  # nothing runs: fine
    cleanup = act("start", {"Kind": "cleanup"}).text
    assert ask("status", {"id": cleanup}).json["end_time"] > 0
    assert [one["uuid"] for one in ask("status_all", {}).json][:2] == [cleanup, job]
    assert ask("status", {"id": "unknown99"}).json["message"].endswith("x-[unknown99] does not exist")
    assert ask("status", {"id": "unknown99"}).status == 404 and ask("status", {"kind": "copy-bck"}).status == 404
    answer = ask("qryxstats", {"id": "unknown99"})
    assert answer.status == 404 and '"x-[unknown99]" not found' in answer.json["message"], answer
    everything = ask("qryxstats", {}).json
    assert len(everything) == 2 and all(len(share) >= 4 for share in everything.values()), everything
    assert act("start", {"Kind": "resilver"}).status == 501 and act("start", {"Kind": "promote"}).status == 400 and act("stop", {}).status == 400


with Cluster(targets=2) as made:
    world["cluster"] = made
    fill()
    harness.run([
        ("nothing is damaged", case_nothing_is_damaged),
        ("exactly the damaged object is found", case_exactly_the_damaged_is_found),
        ("a target is killed", case_a_target_is_killed),
        ("the proxy is killed", case_the_proxy_is_killed),
        ("a target is away", case_a_target_is_away),
        ("cancel", case_cancel),
        ("Ctrl-C leaves the job", case_ctrl_c_leaves_the_job),
        ("watch shows progress", case_watch_shows_progress),
        ("refusals", case_refusals),
        ("calls of AIStore's clients", case_calls_of_aistores_clients),
    ], limit=240)
