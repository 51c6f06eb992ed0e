#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the README's curl lines as printed, and every example manifest."""
import os
import re
import signal

import harness
from harness import Cluster

world = {}
MD5 = "393c6706efb128fbc442d3f7d084a426"


def read(path):
    with open(os.path.join(harness.ROOT, path), encoding="utf-8") as file:
        return file.read()


def case_curl_lines():
    block = re.search(r"```sh\n(.*?)```", read("README.md"), re.S).group(1)
    assert block.count("curl") >= 6
    script = "set -eu\ncd " + harness.ROOT + "\n" + block
    done = world["cluster"].run("bash", "-c", script, env={"URL": world["cluster"].proxy.url})
    assert MD5 in done.stdout.decode(), done
    assert world["cluster"].pods() == []


def case_up_and_down():
    """Runs the scripts of `make up` and `make down`, and the commands that up prints."""
    cluster = world["cluster"]
    state = os.path.join(cluster.dir, "up")
    os.mkdir(state)
    environment = {"BUILD": harness.BUILD, "STATE": state, "PORT": "0"}
    scripts = os.path.join(harness.ROOT, "src/demo")
    started = cluster.run("bash", scripts + "/up.sh", env=environment).stdout.decode()
    try:
        lines = started.split("Try:\n")[1].split("\n\n")[0]
        done = cluster.run("bash", "-c", f"set -eu\ncd {harness.ROOT}\n{lines}", env={"ETLNODE_ENDPOINT": ""})
        assert MD5 in done.stdout.decode(), done
        assert "restarted" not in cluster.run("bash", scripts + "/up.sh", env=environment).stdout.decode()
        with open(os.path.join(state, "target2.pid"), encoding="ascii") as file:
            pid = int(file.read())
        os.kill(pid, signal.SIGKILL)
        harness.until(lambda: not os.path.exists(f"/proc/{pid}") or ") Z " in open(f"/proc/{pid}/stat", encoding="ascii").read(), "target 2 has ended")
        printed = cluster.run("bash", scripts + "/up.sh", env=environment).stdout.decode()
        assert "already up" in printed and "restarted: target2\n" in printed, printed
        stop = started.split("Stop it with: ")[1].strip()
        done = cluster.run("bash", "-c", stop)  # it knows what this cluster was started with
        assert f"The cluster is down. Its data stays in {state}" in done.stdout.decode(), (stop, done)
    finally:
        cluster.run("bash", scripts + "/down.sh", env=environment)
    assert not any(name.endswith(".pid") for name in os.listdir(state))


def case_example(name, expected):
    def run():
        cluster = world["cluster"]
        etl = cluster.init(read(f"manifests/etl/{name}/spec.yaml"))
        answer = cluster.get("examples", "text", "uuid=" + etl)
        assert answer.status == 200 and answer.body == expected, answer
        cluster.stop_etl(etl)
    return run


with Cluster(targets=2) as made:
    world["cluster"] = made
    for folder in ("md5", "upper", "count"):
        made.image(f"etlnode.example/{folder}_server:v1", {"code/server.py": read(f"manifests/etl/{folder}/server.py")}, ["/code/server.py"])
    made.bucket("examples")
    made.put("examples", "text", b"some text :)\n")
    harness.run([
        ("the README's curl lines", case_curl_lines),
        ("make up and make down", case_up_and_down),
        ("manifests/etl/md5", case_example("md5", MD5.encode())),
        ("manifests/etl/upper", case_example("upper", b"SOME TEXT :)\n")),
        ("manifests/etl/count", case_example("count", b"1 3 13\n")),
    ])
