#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A large object belongs to another target and has not moved yet: whoever reads it gets it from its former owner as it comes, and is cut when that one dies."""
import hashlib
import http.client
import os
import signal
import urllib.parse

import harness
from filled_cluster import nodes
from harness import Cluster, request, until

SIZE, COUNT, FIRST = 64 << 20, 8, 1 << 20


def state_of(cluster, node):
    return next((one["state"] for one in nodes(cluster).values() if one["url"] == node.url), None)


def content(number):
    block = hashlib.sha256(b"%d" % number).digest() * 32
    return b"".join(b"%016d" % i + block[16:] for i in range(SIZE // len(block)))


class Reading:
    """A GET or a part of it at the owner, of which the first bytes have come."""

    def __init__(self, url, headers=None):
        parts = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=120)
        self.connection.request("GET", parts.path + "?" + parts.query, headers=headers or {})
        self.answer = self.connection.getresponse()
        self.got = self.answer.read(FIRST)

    def rest(self):
        self.got += self.answer.read()
        self.connection.close()
        return self.got

    def rest_for(self, seconds):
        """What comes until nothing has come for so long, or the end."""
        self.connection.sock.settimeout(seconds)
        try:
            while piece := self.answer.read1(1 << 20):
                self.got += piece
        except TimeoutError:
            pass
        return len(self.got)


def case_read_before_it_moves():
    # A page of the first bucket uses the rate up for an hour, so that nothing of the other one moves.
    with Cluster(targets=1, target_arguments=("--rebalance-rate", "1")) as cluster:
        giver = cluster.targets[0]
        cluster.bucket("a")
        cluster.bucket("large")
        for number in range(COUNT):
            assert cluster.put("large", f"o{number}", content(number)).status == 200

        def address(name):
            """Where the proxy sends a reader."""
            return until(lambda: request("GET", cluster.url(f"/v1/objects/large/{name}"), follow=False).headers.get("Location"), "a redirect", 60)

        number = None
        while number is None:  # which objects a new target gets depends on its id
            owner = cluster.add_target(len(cluster.targets) + 1)
            until(lambda: state_of(cluster, owner) == "joining", "objects move", 60)
            number = next((n for n in range(COUNT) if address(f"o{n}").startswith(owner.url)), None)
        name, whole = f"o{number}", content(number)
        url = address(name)
        rows = request("GET", giver.url + f"/v1/objects/large/{name}", follow=False)
        assert rows.status == 301 and rows.headers["Location"].startswith(owner.url), rows

        head = request("HEAD", url)
        assert head.status == 200 and int(head.headers["Content-Length"]) == SIZE and head.headers["Ais-Version"] == "1", head.headers

        # Its former owner stops in the middle: the reader has the first bytes, and not the last ones.
        reading = Reading(url)
        assert reading.answer.status == 200 and reading.answer.headers["Ais-Checksum-Value"], reading.answer.headers
        os.kill(giver.pid, signal.SIGSTOP)
        try:
            assert reading.rest_for(2) < SIZE
        finally:
            os.kill(giver.pid, signal.SIGCONT)
        reading.connection.close()
        assert Reading(url).rest() == whole
        part = request("GET", url, headers={"Range": f"bytes=5-{FIRST + 4}"})
        assert part.status == 206 and part.body == whole[5:FIRST + 5] and part.headers["Content-Range"] == f"bytes 5-{FIRST + 4}/{SIZE}", part.headers
        behind = request("GET", url, headers={"Range": f"bytes={SIZE}-"})
        assert behind.status == 416, behind
        assert stored_at(cluster, owner) < SIZE  # nothing of it stays there before it moves

        # It dies in the middle: the answer is cut.
        reading = Reading(url)
        giver.kill(signal.SIGKILL)
        try:
            reading.rest()
            raise AssertionError("the answer looked whole")
        except (http.client.IncompleteRead, ConnectionError):
            pass
        refused = request("GET", url)
        assert refused.status == 503 and "which may have it, gives no answer" in refused.text, refused
        giver.start()
        until(lambda: request("GET", url).body == whole, "it is read again", 60)


def stored_at(cluster, node):
    """Bytes in the files of its data directory."""
    folder = os.path.join(cluster.dir, node.name)
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


def main():
    harness.run([
        ("a large object is read before it moves", case_read_before_it_moves),
    ], limit=300)


main()
