# SPDX-License-Identifier: MIT
"""Creates many objects quickly, as rows in the database of a stopped target (schema: src/uv/db/uv_database.cc, docs/DISK.md).

A million durable uploads would take an hour. Rows without content are good for listing and for being many; those that are read get their bytes, in the database, as small objects do.
All have the same content, because the target checks it when it reads it, and Python has no XXH64: one real upload tells it.
"""
import http.client
import os
import signal
import sqlite3
import threading
import time

from common import request, until

SCHEMA_VERSION = 6
WRITERS = 16
COLUMNS = "bucket, name, content_id, size, version, checksum, changed_ns, content_type, etag, custom, parts, in_index"


def checksum_of(bench, content):
    """As the target computes it, and as the database stores it: a signed number."""
    answer = bench.put("bench", "sample", content)
    assert answer.status == 200, answer
    value = int(request("GET", bench.target.url + "/v1/objects/bench/sample").headers["Ais-Checksum-Value"], 16)
    return value - (1 << 64) if value >= 1 << 63 else value


def stop(bench):
    code = bench.target.kill(signal.SIGTERM)
    assert code == 0, f"the target ended with {code}:\n{bench.log_tail(bench.target.name)}"


def start(bench):
    """Starts the target again. Returns the seconds until its line on stdout, and until it is ready."""
    began = time.monotonic()
    bench.target.start()
    listens = time.monotonic() - began
    until(lambda: request("GET", bench.target.url + "/v1/health?readiness=true").status == 200, "the target is ready", limit=60, step=0.001)
    ready = time.monotonic() - began
    until(lambda: request("GET", bench.url("/v1/health?readiness=true")).status == 200, "the proxy is ready", limit=60)
    return listens, ready


def fill(bench, bucket, names, content, has_content=lambda name: False):
    """Adds missing objects to a bucket; fastest if `names` are sorted by their bytes. The target stays stopped."""
    checksum = checksum_of(bench, content)
    stop(bench)
    folder = os.path.join(bench.dir, bench.target.name)
    database = sqlite3.connect(os.path.join(folder, "node.db"), isolation_level=None)
    try:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        assert version == SCHEMA_VERSION, f"the database has schema {version}; test/bench/fill.py writes {SCHEMA_VERSION}"
        # If this ends early, only a folder of the bench is lost. The node sets its own modes again.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN")
        number = database.execute("SELECT content_id_max FROM buckets WHERE bucket = x''").fetchone()[0]
        known = {row[0] for row in database.execute("SELECT name FROM objects WHERE bucket = ?", (bucket.encode(),))}
        now = time.time_ns()

        with_content = []

        def rows():
            nonlocal number
            for name in names:
                if name.encode() in known:
                    continue
                number += 1
                if has_content(name):
                    with_content.append(number)
                # Names, types and texts are bytes in this schema.
                yield (bucket.encode(), name.encode(), number, len(content), 1, checksum, now, b"", b"", b"", b"", 1)

        database.executemany(f"INSERT INTO objects({COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows())
        database.executemany("INSERT INTO contents(content_id, bytes) VALUES(?, ?)", ((one, content) for one in with_content))
        database.execute("UPDATE buckets SET objects = (SELECT count(*) FROM objects), content_id_max = ? WHERE bucket = x''", (number,))
        database.execute("COMMIT")
    finally:
        database.close()


def put_all(b, count, place, content):
    """Durable uploads over connections that are kept, through the proxy: place(i) is "BUCKET/OBJECT", content(i) its bytes."""
    failed = []

    def write(first):
        proxy = http.client.HTTPConnection(*b.proxy.url.split("//")[1].split(":"))
        targets = {}
        for i in range(first, count, WRITERS):
            proxy.request("PUT", "/v1/objects/" + place(i), b"")
            reply = proxy.getresponse()
            reply.read()
            _, _, address, path = reply.headers["Location"].split("/", 3)
            target = targets.setdefault(address, http.client.HTTPConnection(*address.split(":")))
            target.request("PUT", "/" + path, content(i))
            reply = target.getresponse()
            reply.read()
            if reply.status != 200:
                failed.append(reply.status)
                return

    writers = [threading.Thread(target=write, args=(first,)) for first in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failed, failed
