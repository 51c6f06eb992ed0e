#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The MD5 example with its commands and outputs, as root and as an ordinary user.

It uses the server and the spec of this repository (manifests/etl/md5), so it runs in every clone. If the document that the project
implements is next to the repository (../shared/seed/etl.md), its own server.py and spec.yaml are played literally as well. Otherwise those
cases are skipped with a reason.
"""
import os
import re

import harness

DOCUMENT = os.path.join(harness.ROOT, "..", "shared", "seed", "etl.md")
NOBODY = 65534


def blocks(language):
    with open(DOCUMENT, encoding="utf-8") as file:
        return re.findall(r"```" + language + r"\n(.*?)```", file.read(), re.S)


def own_files():
    """Server and spec of this repository, with the image name of its manifest."""
    folder = os.path.join(harness.ROOT, "manifests/etl/md5")
    with open(os.path.join(folder, "server.py"), encoding="utf-8") as server, open(os.path.join(folder, "spec.yaml"), encoding="utf-8") as spec:
        return server.read(), spec.read()


def files_of_document():
    """The server.py and the spec.yaml printed in the document."""
    if not os.path.exists(DOCUMENT):
        raise harness.Skip("the document (../shared/seed/etl.md) is not here")
    return next(b for b in blocks("python") if "do_POST" in b), next(b for b in blocks("yaml") if "quay.io/user/md5_server:v1" in b)


def play(files, uid):
    server, spec = files()
    # The flag lets an ordinary user's pods run where namespaces cannot be created, and has no effect elsewhere.
    with harness.Cluster(targets=2, uid=uid, target_arguments=["--sandbox", "none"] if uid is not None else []) as cluster:
        # The image that `docker build` creates from the example's Dockerfile.
        image = re.search(r"image: (\S+)", spec).group(1)
        cluster.image(image, {"code/server.py": server}, ["/code/server.py", "--listen", "0.0.0.0", "--port", "80"])
        with open(os.path.join(cluster.dir, "spec.yaml"), "w", encoding="utf-8") as file:
            file.write(spec)
        assert cluster.pods() == []

        done = cluster.run("ais", "transform", "init", "spec.yaml")
        etl = done.stdout.decode().strip()
        assert done.stdout == (etl + "\n").encode() and re.fullmatch(r"[A-Za-z0-9]{10}", etl) and re.search(r"[A-Z]", etl), done.stdout
        pods = cluster.pods()
        assert len(pods) == 2, pods
        for pod in pods:
            assert re.fullmatch(r"transformer-md5-[a-z0-9]{5}-.+", pod["metadata"]["name"]), pod["metadata"]["name"]
            assert pod["status"]["phase"] == "Running"
        table = cluster.run("kubectl-local", "get", "pods").stdout.decode().splitlines()
        unsandboxed = any("etlnode.local/sandbox" in pod["metadata"]["annotations"] for pod in pods)
        assert table[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"] + ["SANDBOX"] * unsandboxed, table
        assert all(line.split()[1:4] == ["1/1", "Running", "0"] for line in table[1:]), table

        done = cluster.run("ais", "create", "bucket", "transform")
        assert done.stdout == b"", done.stdout
        done = cluster.run("sh", "-c", 'echo "some text :)" | ais put - transform/shard.in')
        assert done.stdout == b"", done.stdout
        done = cluster.run("ais", "etl", "object", etl, "transform/shard.in", "-")
        assert done.stdout == b"393c6706efb128fbc442d3f7d084a426", done.stdout

        done = cluster.run("ais", "etl", "stop", etl)
        assert done.stdout == b"ETL containers stopped successfully.\n", done.stdout
        assert cluster.pods() == []


def as_root(files):
    def run():
        if os.getuid() != 0:
            raise harness.Skip("not root")
        play(files, None)
    return run


def as_an_ordinary_user(files):
    return lambda: play(files, NOBODY if os.getuid() == 0 else None)


if __name__ == "__main__":
    harness.run([
        ("the example as root", as_root(own_files)),
        ("the example as an ordinary user", as_an_ordinary_user(own_files)),
        ("the document as root", as_root(files_of_document)),
        ("the document as an ordinary user", as_an_ordinary_user(files_of_document)),
    ])
