#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Targets join, are drained, leave, return, die and are lost while clients read, write, delete and list: every acknowledged write is read back."""
import json
import re
import signal
import time

import harness
from filled_cluster import id_of, nodes
from harness import Cluster, pod_spec, request, until
from moving_traffic import Traffic

UPPER = """#!/usr/local/bin/python
import http.server
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).upper()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_PUT
    def log_message(self, *a): pass
class S(http.server.ThreadingHTTPServer):
    request_queue_size = 128
S(("0.0.0.0", 80), H).serve_forever()
"""


def state(cluster):
    return request("GET", cluster.url("/v1/cluster?what=nodes")).json


def state_of(cluster, identity):
    return nodes(cluster).get(identity, {}).get("state")


def settled(cluster, limit=120):
    """Nothing moves, and each object is on exactly one target."""
    until(lambda: not state(cluster)["moving"], "nothing moves any more", limit)


def etlctl(cluster, *words, check=True):
    return cluster.run("etlctl", *words, check=check)


def start_upper(cluster):
    cluster.image("upper:v1", {"srv.py": UPPER})
    return cluster.init(pod_spec("upper", "upper:v1", command=["/srv.py"]))


def ready_pods(cluster, etl):
    rows = request("GET", cluster.url("/v1/etl")).json
    return next(row["ready"] for row in rows if row["id"] == etl)


def objects_of(cluster, identity):
    return nodes(cluster)[identity].get("objects")


def join(cluster, number):
    """Starts one more target; returns its id once it takes part."""
    node = cluster.add_target(number)
    identity = until(lambda: next((one["id"] for one in nodes(cluster).values() if one["url"] == node.url), None), "it has registered", 60)
    until(lambda: state_of(cluster, identity) in ("joining", "active"), "it is placed", 60)
    return node, identity


def drain(cluster, identity):
    """As the manual says; returns the id of the rebalance."""
    job = etlctl(cluster, "target", "drain", identity).stdout.decode().strip()
    assert re.fullmatch(r"g\d+", job), job
    return job


def case_joins():
    with Cluster(targets=2) as cluster:
        traffic = Traffic(cluster).fill()
        traffic.etl = start_upper(cluster)
        with traffic:
            _, third = join(cluster, 3)
            settled(cluster)
            until(lambda: state_of(cluster, third) == "active", "it is active", 60)
            traffic.calm(1)
        traffic.check_all()
        until(lambda: (objects_of(cluster, third) or 0) > 20, "it holds its share", 30)
        until(lambda: ready_pods(cluster, traffic.etl) == 3, "its pod serves", 60)
        jobs = request("GET", cluster.url("/v1/jobs")).json["jobs"]
        assert jobs and all(job["kind"] == "rebalance" and job["state"] in ("done", "cancelled") for job in jobs), jobs
        assert jobs[-1]["state"] == "done" and jobs[-1]["done"] >= 50, jobs
        cluster.stop_etl(traffic.etl)


def case_drained_leaves_and_returns():
    with Cluster(targets=3) as cluster:
        traffic = Traffic(cluster).fill()
        traffic.etl = etl = start_upper(cluster)
        gone = cluster.targets[0]
        identity = id_of(cluster, gone)
        assert [pod_target(pod) for pod in cluster.pods()].count(identity) == 1
        with traffic:
            until(lambda: objects_of(cluster, identity), "a heartbeat counts its objects", 30)
            refused = etlctl(cluster, "target", "rm", identity, "--yes", check=False)
            assert refused.returncode == 4 and b"target drain" in refused.stderr, refused
            assert drain_and_wait(cluster, identity).startswith("rebalance g")
            assert state_of(cluster, identity) == "maintenance"
            until(lambda: objects_of(cluster, identity) == 0, "it is empty", 30)
            until(lambda: ready_pods(cluster, etl) == 2, "its pod has ended", 60)
            assert [pod for pod in cluster.pods() if pod_target(pod) == identity] == []
            flags = cluster.smap()["tmap"][identity]["flags"]
            assert flags == 4, flags
            etlctl(cluster, "target", "rm", identity)
            assert cluster.smap()["tmap"][identity]["flags"] == 12
            assert gone.kill(signal.SIGTERM) == 0
            until(lambda: identity not in nodes(cluster), "it is forgotten", 90)
            traffic.calm()
            gone.start()
            until(lambda: state_of(cluster, identity) in ("joining", "active"), "it is back", 60)
            settled(cluster)
            until(lambda: ready_pods(cluster, etl) == 3, "its pod serves again", 60)
            traffic.calm()
        traffic.check_all()
        until(lambda: (objects_of(cluster, identity) or 0) > 20, "it holds its share again", 30)
        cluster.stop_etl(etl)


def pod_target(pod):
    return next((value for key, value in pod["metadata"].get("labels", {}).items() if key.endswith("target")), None)


def drain_and_wait(cluster, identity):
    job = drain(cluster, identity)
    return etlctl(cluster, "job", "wait", job, "--timeout", "200s").stdout.decode()


def case_drained_is_activated_again():
    """Back and forth, faster than objects can settle."""
    with Cluster(targets=3) as cluster:
        traffic = Traffic(cluster).fill()
        identity = id_of(cluster, cluster.targets[1])
        with traffic:
            for _ in range(3):
                drain(cluster, identity)
                traffic.calm(0.1)
                etlctl(cluster, "target", "activate", identity)
                traffic.calm(0.1)
            settled(cluster)
            assert state_of(cluster, identity) == "active"
        traffic.check_all()


def case_two_changes_at_once():
    with Cluster(targets=3) as cluster:
        traffic = Traffic(cluster).fill()
        first = id_of(cluster, cluster.targets[0])
        with traffic:
            job = drain(cluster, first)
            _, fourth = join(cluster, 4)
            etlctl(cluster, "job", "wait", job, "--timeout", "200s")
            settled(cluster)
            assert state_of(cluster, first) == "maintenance" and state_of(cluster, fourth) == "active", nodes(cluster)
            traffic.calm()
        traffic.check_all()
        until(lambda: objects_of(cluster, first) == 0, "it is empty", 30)


def kill_in_the_middle(which):
    """`which`: the giver, the new owner, or the proxy."""
    def run():
        with Cluster(targets=2) as cluster:
            traffic = Traffic(cluster, objects=400).fill()
            with traffic:
                node = cluster.add_target(3)
                until(lambda: state(cluster)["moving"], "objects move", 60, step=0.002)
                victim = {"giver": cluster.targets[0], "owner": node, "proxy": cluster.proxy}[which]
                victim.kill(signal.SIGKILL)
                time.sleep(0.3)
                victim.start()
                until(lambda: request("GET", cluster.url("/v1/health?readiness=true")).status == 200, "the proxy is ready", 60)
                settled(cluster)
                traffic.calm()
            traffic.check_all()
    return run


def case_lost_and_back():
    """Killed, and taken out with its objects: what only it held is gone, all else is right; when it is back, so is what nobody touched since."""
    with Cluster(targets=3) as cluster:
        traffic = Traffic(cluster, objects=100).fill()
        cluster.bucket("later")
        for i in range(20):
            assert cluster.put("later", f"o{i}", b"of a bucket that is destroyed meanwhile").status == 200
        dead = cluster.targets[1]
        identity = id_of(cluster, dead)
        until(lambda: sum(node.get("objects", 0) for node in nodes(cluster).values()) == 120, "heartbeats count all objects", 60)
        held = objects_of(cluster, identity)
        on_it = [key for key in traffic.kept if cluster.holder(*key) is dead]
        destroyed = [f"o{i}" for i in range(20) if cluster.holder("later", f"o{i}") is dead]
        assert held == len(on_it) + len(destroyed) and len(on_it) > 10 and destroyed, (held, len(on_it), destroyed)
        dead.kill(signal.SIGKILL)
        until(lambda: state_of(cluster, identity) == "silent", "it is silent", 60)
        early = etlctl(cluster, "target", "rm", identity, "--yes", check=False)
        assert early.returncode == 4 and b"may still take writes" in early.stderr, early
        drained = etlctl(cluster, "target", "drain", identity, check=False)
        assert drained.returncode == 4 and b"is silent" in drained.stderr, drained
        asked = etlctl(cluster, "target", "rm", identity, check=False)
        assert asked.returncode == 2 and f"held {held} objects (".encode() in asked.stderr and re.search(rb"heard [0-9: -]+, and no other", asked.stderr), asked
        until(lambda: nodes(cluster)[identity]["silent_seconds"] >= 71, "it has been silent for long enough", 90)
        wrong = request("PUT", cluster.url("/v1/cluster"), json.dumps({"action": "decommission-node", "value": {"sid": identity, "objects": held + 1}}))
        assert wrong.status == 409 and f"holds {held} objects, not {held + 1}" in wrong.text, wrong
        planned = etlctl(cluster, "target", "rm", identity, "--dry-run")
        assert f"held {held} objects (" in (planned.stdout + planned.stderr).decode() and identity in nodes(cluster), planned
        etlctl(cluster, "target", "rm", identity, "--yes")
        settled(cluster)
        shown = state(cluster)
        assert [one["id"] for one in shown["lost"]] == [identity] and identity not in nodes(cluster), shown
        assert f"target forget {identity}" in etlctl(cluster, "cluster", "show").stderr.decode()
        for bucket, name in traffic.kept:
            assert cluster.get(bucket, name).status == (404 if (bucket, name) in on_it else 200), name
        # Meanwhile some is written again, some deleted although it is not there.
        rewritten, deleted = on_it[0::3], on_it[1::3]
        for bucket, name in rewritten:
            traffic.kept[bucket, name] = b"written since"
            assert cluster.put(bucket, name, b"written since").status == 200
        for bucket, name in deleted:
            assert request("DELETE", traffic.url(bucket, name)).status == 404
            del traffic.kept[bucket, name]
        assert request("DELETE", cluster.url("/v1/buckets/later"), json.dumps({"action": "destroy-bck"})).status == 200
        assert cluster.proxy.kill(signal.SIGTERM) == 0
        cluster.proxy.start()
        until(lambda: request("GET", cluster.url("/v1/health?readiness=true")).status == 200, "the proxy is ready", 60)
        until(lambda: all(one["state"] == "active" for one in nodes(cluster).values()), "all are heard", 60)
        with traffic_without(traffic, on_it):
            dead.start()
            until(lambda: state_of(cluster, identity) in ("joining", "active"), "it is back", 60)
            settled(cluster)
        traffic.check_all()
        assert state(cluster)["lost"] == []
        for bucket, name in deleted:
            assert cluster.get(bucket, name).status == 404, name
        cluster.bucket("later")
        assert [cluster.get("later", name).status for name in destroyed] == [404] * len(destroyed)


class traffic_without:
    """Traffic that leaves out the names that are lost for now."""

    def __init__(self, traffic, names):
        self.traffic, self.names = traffic, names

    def __enter__(self):
        self.all = self.traffic.kept
        self.traffic.kept = {key: body for key, body in self.all.items() if key not in self.names}
        # Lists may have lost names again at any moment, which judge_list does not mind.
        return self.traffic.__enter__()

    def __exit__(self, *what):
        self.traffic.__exit__(*what)
        self.traffic.kept = self.all


def case_the_last_one_stays():
    with Cluster(targets=1) as cluster:
        cluster.bucket("b")
        assert cluster.put("b", "o", b"x").status == 200
        identity = id_of(cluster, cluster.targets[0])
        refused = etlctl(cluster, "target", "drain", identity, check=False)
        assert refused.returncode == 4 and b"is the last one that holds objects" in refused.stderr, refused
        refused = request("PUT", cluster.url("/v1/cluster"), json.dumps({"action": "decommission-node", "value": {"sid": identity, "rm_user_data": True}}))
        assert refused.status == 409, refused
        assert cluster.get("b", "o").body == b"x"


def case_joins_when_asked():
    """--auto-activate=false."""
    with Cluster(targets=1) as cluster:
        assert cluster.proxy.kill(signal.SIGTERM) == 0
        cluster.proxy.arguments += ["--auto-activate=false"]
        cluster.proxy.start()
        until(lambda: state_of(cluster, id_of(cluster, cluster.targets[0])) == "active", "the first is heard", 60)
        traffic = Traffic(cluster, objects=60).fill()
        with traffic:
            node = cluster.add_target(2)
            identity = until(lambda: next((one["id"] for one in nodes(cluster).values() if one["url"] == node.url), None), "it has registered", 60)
            traffic.calm(3)
            assert state_of(cluster, identity) == "maintenance", nodes(cluster)
            assert f"target activate {identity}" in etlctl(cluster, "target", "ls").stderr.decode()
            etlctl(cluster, "target", "activate", identity)
            until(lambda: state_of(cluster, identity) in ("joining", "active"), "it is placed", 60)
            settled(cluster)
        traffic.check_all()
        until(lambda: (objects_of(cluster, identity) or 0) > 10, "it holds its share", 30)


def main():
    harness.run([
        ("the last target stays", case_the_last_one_stays),
        ("a third target joins", case_joins),
        ("a target waits for its activation", case_joins_when_asked),
        ("a drained target leaves and returns", case_drained_leaves_and_returns),
        ("a target is drained and activated again and again", case_drained_is_activated_again),
        ("one joins while another is drained", case_two_changes_at_once),
        ("the giver is killed in the middle", kill_in_the_middle("giver")),
        ("the new owner is killed in the middle", kill_in_the_middle("owner")),
        ("the proxy is killed in the middle", kill_in_the_middle("proxy")),
        ("a target is lost and comes back", case_lost_and_back),
    ], limit=300)


main()
