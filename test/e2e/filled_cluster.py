# SPDX-License-Identifier: MIT
"""A cluster with a few objects in bucket b, and what its proxy says of its nodes."""
import json
import os
import shutil

from harness import Cluster, request, until

NAMES = sorted(f"o{i}" for i in range(24))


class Filled(Cluster):
    """etlctl knows its secret."""

    def __init__(self, targets=2):
        super().__init__(targets=targets)

    def __enter__(self):
        self.env["ETLNODE_CLUSTER_SECRET_FILE"] = self.secret_arguments[1]
        super().__enter__()
        self.bucket("b")
        for name in NAMES:
            assert self.put("b", name, name.encode()).status == 200
        return self


def nodes(cluster):
    return {node["id"]: node for node in request("GET", cluster.url("/v1/cluster?what=nodes")).json["nodes"]}


def id_of(cluster, target):
    return next(node["id"] for node in nodes(cluster).values() if node["url"] == target.url)


def readable(cluster, bucket="b"):
    return sorted(name for name in NAMES if cluster.get(bucket, name).status == 200)


def listed(cluster, bucket="b"):
    """The answer, and the names in it; None: the list failed."""
    answer = request("GET", cluster.url(f"/v1/buckets/{bucket}"), json.dumps({"action": "list", "value": {}}))
    return answer, sorted(entry["name"] for entry in (answer.json["entries"] or [])) if answer.status == 200 else None


def keep(cluster, name, mark=".kept"):
    """Copies the data directory of a node beside it; returns where."""
    kept = os.path.join(cluster.dir, name + mark)
    shutil.copytree(os.path.join(cluster.dir, name), kept)
    return kept


def put_back(cluster, name, kept):
    shutil.rmtree(os.path.join(cluster.dir, name))
    shutil.copytree(kept, os.path.join(cluster.dir, name))


def act(cluster, method, path, action, value):
    return request(method, cluster.url(path), json.dumps({"action": action, "value": value}).encode())


def job_of(cluster, answer):
    assert answer.status == 200 and len(answer.text) == 9, answer
    return answer.text


def ended(cluster, job, limit=60):
    seen = {}

    def is_over():
        seen.update(request("GET", cluster.url(f"/v1/jobs/{job}")).json)
        return seen["ended_ns"] != "0"
    until(is_over, f"job {job} ends", limit)
    return seen


def counts(job):
    return job["done"], job["skipped"], job["failed"]


def to(bucket):
    return f"?provider=ais&bck_to=ais%2F%40%23%2F{bucket}%2F"
