# SPDX-License-Identifier: MIT
"""A row about bad days: a proxy that lost its data directory gets the document back from its targets."""
import os
import shutil
import signal
import statistics
import time

from common import Bench, request, until
from fill import put_all
from moving import wait_moved

OBJECTS, BUCKETS, ETLS, ROUNDS = 100_000, 100, 20, 5


def row_recover(table):
    """Two targets with 100,000 objects in 100 buckets, and 20 ETLs. From the start of `etlctl cluster recover` to its end, and to the last of one read through each ETL."""
    with Bench() as b:
        b.add_target(2)
        wait_moved(b, 2)
        for i in range(BUCKETS):
            b.bucket(f"b{i}")
        put_all(b, OBJECTS, lambda i: f"b{i % BUCKETS}/o{i}", lambda i: str(i).encode())
        etls = [b.etl(f"etl{i}", wait="120s") for i in range(ETLS)]
        pods = sorted(pod["metadata"]["uid"] for pod in b.pods())
        recovered, served, wrong = [], [], 0
        for _ in range(ROUNDS):
            assert b.proxy.kill(signal.SIGTERM) == 0
            shutil.rmtree(os.path.join(b.dir, "proxy"))
            b.proxy.start()
            until(lambda: request("GET", b.url("/v1/health?readiness=true")).status == 200, "the proxy is ready", limit=60)
            began = time.monotonic()
            b.run("etlctl", "cluster", "recover", "--from", b.target.url, "--yes", "--cluster-secret-file", b.secret_arguments[1])
            recovered.append(time.monotonic() - began)
            for i, etl in enumerate(etls):
                wrong += b.get(f"b{i}", f"o{i}", "uuid=" + etl).status != 200
            served.append(time.monotonic() - began)
            wrong += sum(b.get(f"b{i % BUCKETS}", f"o{i}").body != str(i).encode() for i in range(0, OBJECTS, OBJECTS // 100))
        table.at_most("recover", statistics.median(recovered), 2, "s", note=f"slowest {max(recovered):.2f} s")
        table.at_most("recover, and a read through each ETL", statistics.median(served), 2, "s", note=f"slowest {max(served):.2f} s")
        table.at_most("objects and ETLs that could not be read", wrong, 0)
        table.at_most("pods that were started again", len(set(pod["metadata"]["uid"] for pod in b.pods()) - set(pods)), 0)


ROWS = {"recover": row_recover}
