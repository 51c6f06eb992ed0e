# SPDX-License-Identifier: MIT
"""Finds leftovers: pods and processes without an ETL, content files without a row, rows without a file, leaked descriptors.

Every function returns a sentence for each leftover. A test waits with a limit for an empty list, because housekeeping continues after an
answer.
"""
import glob
import json
import os
import sqlite3

from harness import request


def processes(cluster, prefix):
    """{process id: description} of everything that belongs to the cluster's pods. Supervisors are found by their state directory, sandboxes
    and containers by the name of their pod, which starts with `prefix`."""
    state = cluster.dir.encode()
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = file.read().split(b"\0")
        except OSError:
            continue
        if b"supervise" in words and any(state in word for word in words):
            found[int(pid)] = "supervisor of " + next(w for w in reversed(words) if w).decode()
            continue
        for entry in environment:
            if entry.startswith(b"HOSTNAME=" + prefix.encode()):
                found[int(pid)] = "container of " + entry[9:].decode()
            elif entry.startswith(b"KUBECTL_LOCAL_POD=") and state in entry:
                found[int(pid)] = "sandbox " + entry.decode()
    return found


def parent(pid):
    """Reads the file as bytes, because a process that has changed its user may be unable to load Python's codec modules."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])


def of_calls(cluster):
    """kubectl processes and their children that no node waits for. Each belongs to the process group of a child of a node."""
    nodes = {node.pid for node in cluster.targets + [cluster.proxy] if node.alive()}
    state = b"KUBECTL_LOCAL_STATE=" + os.path.join(cluster.dir, "pods").encode()
    wrong = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = file.read().split(b"\0")
            group = os.getpgid(int(pid))
        except OSError:
            continue
        is_call = state in environment and b"supervise" not in words and int(pid) not in nodes and b"etlnode" not in os.path.basename(words[0])
        try:
            is_owned = parent(group) in nodes
        except OSError:
            is_owned = False
        if is_call and not is_owned and os.path.exists(f"/proc/{pid}"):
            wrong.append(f"process {pid} is nobody's: {b' '.join(words).decode(errors='replace')[:200]}")
    return wrong


def etl_ids(cluster):
    return {e["id"] for e in request("GET", cluster.url("/v1/etl")).json}


def of_pods(cluster, prefix):
    """Pods whose ETL does not exist, duplicate pods of one target, processes whose pod does not exist."""
    wrong = []
    owned = etl_ids(cluster)
    names, places = set(), set()
    for pod in cluster.pods():
        name, labels = pod["metadata"]["name"], pod["metadata"]["labels"]
        etl, target = labels.get("etlnode/etl"), labels.get("etlnode/target")
        names.add(name)
        if etl not in owned:
            wrong.append(f"pod {name} belongs to no ETL ({etl})")
        elif (etl, target) in places:
            wrong.append(f"pod {name} is a second one of its target")
        places.add((etl, target))
    for pid, what in processes(cluster, prefix).items():
        if not any(name in what for name in names):
            wrong.append(f"process {pid} belongs to no pod: {what}")
    return wrong


def of_content(data_dir):
    """Files in tmp/ and objects/ and bytes in the index that no row names, rows without content, and pending housekeeping."""
    with sqlite3.connect(f"file:{data_dir}/node.db?mode=ro", uri=True, timeout=10) as db:
        rows = {content_id for (content_id,) in db.execute("SELECT content_id FROM objects WHERE content_id <> 0 AND NOT in_index")}
        small = set(db.execute("SELECT content_id, size FROM objects WHERE in_index"))
        held = set(db.execute("SELECT content_id, length(bytes) FROM contents"))
        garbage = [content_id for (content_id,) in db.execute("SELECT content_id FROM garbage")]
        unplaced = [content_id for (content_id,) in db.execute("SELECT content_id FROM unplaced")]
        objects = db.execute("SELECT count(*) FROM objects").fetchone()[0]
        counted = db.execute("SELECT objects FROM buckets WHERE bucket = x''").fetchone()[0]
    db.close()
    wrong = [f"{data_dir}/tmp/{name} is left" for name in os.listdir(data_dir + "/tmp")]
    files = {int(os.path.basename(path), 16) for path in glob.glob(data_dir + "/objects/*/*")}
    wrong += [f"content {number:016x} in {data_dir} has no row" for number in sorted(files - rows)]
    wrong += [f"content {number:016x} in {data_dir} has no file" for number in sorted(rows - files)]
    wrong += [f"content {number:016x} in the index of {data_dir} has no row" for number, _ in sorted(held - small)]
    wrong += [f"content {number:016x} in the index of {data_dir} has no bytes" for number, _ in sorted(small - held)]
    if garbage or unplaced:
        wrong.append(f"{data_dir}: {len(garbage)} contents to be removed, {len(unplaced)} to be placed")
    if objects != counted:
        wrong.append(f"{data_dir}: {objects} rows, counted as {counted}")
    return wrong


def of_cluster(cluster, prefix):
    wrong = of_pods(cluster, prefix) + of_calls(cluster)
    for node in cluster.targets:
        wrong += of_content(os.path.join(cluster.dir, node.name))
    return wrong


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def children(pid):
    """Process ids of a process's children, including zombies."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
        except OSError:
            pass
    return found


def zombies(pid):
    wrong = []
    for child in children(pid):
        try:
            with open(f"/proc/{child}/stat", encoding="ascii", errors="replace") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    wrong.append(child)
        except OSError:
            pass
    return wrong


def show(wrong, limit=12):
    return json.dumps(wrong[:limit], indent=1)
