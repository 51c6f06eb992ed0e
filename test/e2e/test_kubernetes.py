#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The seed document on a real Kubernetes: its own server and spec, real kubectl, real pods.

Needs K8S_HOST_NAME (the node to run on), a kubectl that reaches the cluster (KUBECONFIG), root, and ETLNODE_POD_HOST: an address of this
machine that pods can reach. The document's image must be on the node: ETLNODE_IMAGE names a program that puts it there, called as
`$ETLNODE_IMAGE NAME FOLDER ENTRYPOINT...`. Without these every case says SKIP.
"""
import json
import os
import re
import subprocess
import tempfile

import harness
from harness import Cluster, until
from test_document import blocks_of_document

NODE = os.environ.get("K8S_HOST_NAME", "")
POD_HOST = os.environ.get("ETLNODE_POD_HOST", "")
IMAGE = os.environ.get("ETLNODE_IMAGE", "")


def kubectl(*arguments, check=True):
    return subprocess.run(["kubectl", *arguments], capture_output=True, text=True, timeout=60, check=check).stdout


def transformer_pods():
    items = json.loads(kubectl("get", "pods", "-l", "app.kubernetes.io/part-of=etlnode", "-o", "json"))["items"]
    return [p for p in items if not p["metadata"].get("deletionTimestamp")]


def case_the_document():
    if not (NODE and POD_HOST and IMAGE):
        raise harness.Skip("no Kubernetes is set up (K8S_HOST_NAME, ETLNODE_POD_HOST, ETLNODE_IMAGE)")
    server, spec = blocks_of_document()
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(folder + "/code")
        os.makedirs(folder + "/usr/local/bin")
        os.symlink("/usr/bin/python3", folder + "/usr/local/bin/python")
        with open(folder + "/code/server.py", "w", encoding="utf-8") as file:
            file.write(server)
        os.chmod(folder + "/code/server.py", 0o755)
        os.chmod(folder, 0o755)
        subprocess.run([*IMAGE.split(), "quay.io/user/md5_server:v1", folder, "/code/server.py", "--listen", "0.0.0.0", "--port", "80"], check=True, timeout=900)
    assert transformer_pods() == []
    keep = {"K8S_HOST_NAME": NODE, "KUBECONFIG": os.environ.get("KUBECONFIG", "")}
    with Cluster(targets=2, target_arguments=["--pod-listen", POD_HOST + ":0"], extra_env=keep) as cluster:
        with open(os.path.join(cluster.dir, "spec.yaml"), "w", encoding="utf-8") as file:
            file.write(spec)
        etl = cluster.run("ais", "transform", "init", "spec.yaml", timeout=120).stdout.decode().strip()
        print("# " + kubectl("get", "pods").replace("\n", "\n# "), flush=True)
        pods = transformer_pods()
        assert len(pods) == 2, pods
        for pod in pods:
            assert re.fullmatch(rf"transformer-md5-[a-z0-9]{{5}}-{NODE}", pod["metadata"]["name"]), pod["metadata"]["name"]
        cluster.run("ais", "create", "bucket", "transform")
        cluster.run("sh", "-c", 'echo "some text :)" | ais put - transform/shard.in')
        done = cluster.run("ais", "etl", "object", etl, "transform/shard.in", "-")
        assert done.stdout == b"393c6706efb128fbc442d3f7d084a426", done.stdout
        done = cluster.run("ais", "etl", "stop", etl, timeout=120)
        assert done.stdout == b"ETL containers stopped successfully.\n", done.stdout
        until(lambda: transformer_pods() == [], "no pod is left", 30)
        print("# after stop: " + (kubectl("get", "pods") or "No resources found"), flush=True)


if __name__ == "__main__":
    harness.run([("the document on Kubernetes", case_the_document)], limit=1200)
