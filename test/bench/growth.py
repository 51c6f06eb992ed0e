# SPDX-License-Identifier: MIT
"""Rows about growth: the cost of reads, lists, memory and start-up with many objects, and of transformed reads with many ETLs."""
import http.client
import json
import os
import random
import statistics

from common import KIB, MIB, Load, proc_status
from drive import cpu_around, series
from fill import fill, start, stop
from speed import Speed, listing, of_nginx, of_target

COUNTS = (1_000, 100_000, 1_000_000)
READ_COUNT = 1_000  # objects with content: the same number for every count, as far apart as possible
PAGE_SIZE, PAGE_SIZE_MAX = 1_000, 10_000
STARTS = 5
BUCKET = "grown"
ETLS = (1, 8, 64)


def names_of(count):
    """Names in order. The names of a smaller count are also those of a larger one."""
    step = COUNTS[-1] // count
    return (f"folder/object-{i * step:07d}" for i in range(count))


def first_reads(b, paths):
    """Reads each path once from a target that has just started. Returns CPU per request in us. wrk cannot do this: it reads for a time, not a list."""
    used, result = cpu_around({"target": b.target.pid}, lambda: Load(b.address, paths, connections=8, requests=len(paths), duration=60).result())
    assert result["statuses"] == {"200": len(paths)} and not result["errors"], result
    return used["target"] / len(paths) * 1e6


def list_all(b, count):
    """Lists the bucket in pages of the largest size, one after another over one connection. The token is the last name, which is known here."""
    names = list(names_of(count))
    connection = http.client.HTTPConnection(b.proxy.url.split("//")[1], timeout=60)
    try:
        for at in range(0, count + 1, PAGE_SIZE_MAX):  # a full page is followed by another one
            value = {"pagesize": PAGE_SIZE_MAX, "continuation_token": names[at - 1] if at > 0 else ""}
            connection.request("GET", "/v1/buckets/" + BUCKET, json.dumps({"action": "list", "value": value}), {"Accept": "application/msgpack"})
            reply = connection.getresponse()
            body = reply.read()
            assert reply.status == 200, f"{reply.status} {body[:300]!r}"
            shown = names[at:at + PAGE_SIZE_MAX]
            assert all(name.encode() in body for name in shown[:1] + shown[-1:]), f"a page after {at} names lacks what it should have"
    finally:
        connection.close()


def many_objects(table):
    """A bucket with 10^3, 10^5, 10^6 objects: first reads, warm reads, lists, memory and time to start."""
    with Speed() as b:
        nginx = b.nginx_static([KIB])
        peer_path = b.path(KIB)
        b.bucket(BUCKET)
        read = list(names_of(READ_COUNT))
        paths = [f"/v1/objects/{BUCKET}/{name}" for name in read]
        with_content = set(read)
        random.Random(1).shuffle(paths)
        for count in COUNTS:
            what = f"{count:,} objects"
            fill(b, BUCKET, names_of(count), b"x" * KIB, with_content.__contains__)
            listens, ready, memory, cold = [], [], [], []
            for number in range(STARTS):
                if number > 0:
                    stop(b)
                times = start(b)
                listens.append(times[0] * 1000)
                ready.append(times[1] * 1000)
                memory.append(b.rss() / MIB)
                cold.append(first_reads(b, paths))
            spread = "{:.3g}..{:.3g}".format
            table.add(f"{what}: start to the line on stdout", statistics.median(listens), "ms", note=spread(min(listens), max(listens)))
            table.add(f"{what}: start to readiness", statistics.median(ready), "ms", note=spread(min(ready), max(ready)))
            table.add(f"{what}: resident memory after the start", statistics.median(memory), "MiB",
                      note=f"database {os.path.getsize(os.path.join(b.dir, b.target.name, 'node.db')) / MIB:.1f} MiB")
            table.add(f"{what}: first read of 1 KiB, target's CPU", statistics.median(cold), "us",
                      note=f"{spread(min(cold), max(cold))}; contents in the page cache")

            peer = of_nginx(nginx, peer_path, KIB)
            file = os.path.join(b.dir, "paths")
            with open(file, "w", encoding="ascii") as out:
                out.write("\n".join(paths) + "\n")
            warm = of_target(b, paths[0], KIB, peer=peer, script="paths.lua", environment={"BENCH_PATHS": file})
            series(table, f"GET 1 KiB, {what}", [peer, warm])
            page = listing(b, BUCKET, "proxy", "application/msgpack", min(PAGE_SIZE, count), PAGE_SIZE)
            series(table, f"list {PAGE_SIZE:,}, {what}", [page])
            used, _ = cpu_around({"proxy": b.proxy.pid, "target": b.target.pid}, lambda: list_all(b, count))
            table.add(f"{what}: all listed, CPU a name", (used["proxy"] + used["target"]) / count * 1e6, "us",
                      note=f"proxy {used['proxy'] / count * 1e6:.2f}, target {used['target'] / count * 1e6:.2f}; pages of {PAGE_SIZE_MAX:,}")
            table.add(f"{what}: resident memory of the target after all that", b.rss() / MIB, "MiB",
                      note=f"proxy {proc_status(b.proxy.pid, 'VmRSS') / MIB:.1f}")


def many_etls(table):
    """hpush of 1 KiB spread over 1, 8 and 64 ETLs of one target, beside nginx in front of nginx."""
    with Speed() as b:
        proxy = b.nginx_proxy([KIB])
        path = b.path(KIB)
        etls = []
        file = os.path.join(b.dir, "paths")
        for count in ETLS:
            before = b.rss()
            added = count - len(etls)
            etls += [b.etl_on_host(f"many{i}")[0] for i in range(len(etls), count)]
            with open(file, "w", encoding="ascii") as out:
                out.write("".join(f"{path}?uuid={etl}\n" for etl in etls))
            peer = of_nginx(proxy, f"{path}?uuid={etls[0]}", KIB, "nginx proxy, GET")
            target = of_target(b, f"{path}?uuid={etls[-1]}", KIB, "target, pods on loopback", peer=peer, script="paths.lua", environment={"BENCH_PATHS": file})
            rss = b.rss()
            table.add(f"{count} ETLs: resident memory of the target", rss / MIB, "MiB", note=f"{(rss - before) / added / KIB:.0f} KiB an ETL that was added")
            series(table, f"hpush 1 KiB, {count} ETLs", [peer, target])


def row_growth(table):
    """10^3, 10^5, 10^6 objects in a bucket: reads, lists, memory, start; 1, 8, 64 ETLs on a target: transformed reads, memory."""
    many_objects(table)
    many_etls(table)


ROWS = {"growth": row_growth}
