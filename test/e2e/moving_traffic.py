# SPDX-License-Identifier: MIT
"""Readers, writers, deleters and listers that go on while targets come and go, and know at each moment what they may see.

Each changing name has one writer, which notes every version when it begins and when it is acknowledged. So a reader, who notes both before and
after, knows which versions are right: none older than the last acknowledged one, and none that was not begun. A request that fails says nothing,
and is counted; a client would repeat it."""
import hashlib
import http.client
import json
import random
import threading
import time
import urllib.parse

from harness import PATIENCE, remark, request, until

SIZES = [0, 1, 16 * 1024, 17 * 1024, 1 << 20]
BUCKETS = ["first", "second"]


def content(name, version, size):
    """No two versions of a name have the same content, unless it has less than two bytes."""
    seed = hashlib.sha256(f"{name}@{version}".encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


class Name:
    """Versions of one object: the content of each; None for a delete. Those in [acked, begun] may be seen."""

    def __init__(self, bucket, name):
        self.bucket, self.name = bucket, name
        self.versions = [None]
        self.acked = self.begun = 0
        self.in_doubt = False

    def may_be(self, low, high):
        return self.versions[low:high + 1]


class Traffic:
    """`etl`: the id of one that answers in capitals; it is set before the traffic begins."""

    def __init__(self, cluster, objects=200, changing=40, writers=3, readers=3):
        self.cluster, self.etl = cluster, None
        self.kept = {}  # (bucket, name): content; nobody changes them
        for i in range(objects):
            bucket, name = BUCKETS[i % 2], f"kept/{i:04}"
            self.kept[bucket, name] = content(name, 0, SIZES[i // 2 % len(SIZES)])
        self.names = [Name(BUCKETS[i % 2], f"moving/{i:04}") for i in range(changing)]
        self.counts = {}
        self.reasons = {}
        self.wrong = []
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.writers, self.readers = writers, readers
        self.threads = []

    # --- one request each

    def url(self, bucket, name, query=""):
        return self.cluster.url(f"/v1/objects/{bucket}/{urllib.parse.quote(name)}" + ("?" + query if query else ""))

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def fault(self, text):
        with self.lock:
            self.wrong.append(text)

    def ask(self, what, method, url, body=None):
        """The answer; None if the request failed in a way that says nothing of the object."""
        try:
            answer = request(method, url, body, timeout=60)
        except Exception as error:  # connections to a node that was killed
            if not isinstance(error, (OSError, http.client.HTTPException)):
                raise
            self.count(f"{what} cut")
            time.sleep(0.05)
            return None
        if answer.status in (502, 503, 504):
            self.count(f"{what} {answer.status}")
            with self.lock:
                self.reasons[answer.text[:300]] = self.reasons.get(answer.text[:300], 0) + 1
            time.sleep(0.05)
            return None
        self.count(what)
        return answer

    def put(self, bucket, name, body):
        try:
            hop = request("PUT", self.url(bucket, name), b"", follow=False, timeout=60)
        except (OSError, http.client.HTTPException):
            self.count("write cut")
            return None
        if hop.status != 307:
            self.count(f"write {hop.status}")
            with self.lock:
                self.reasons[hop.text[:300]] = self.reasons.get(hop.text[:300], 0) + 1
            time.sleep(0.05)
            return None
        return self.ask("write", "PUT", hop.headers["Location"], body)

    def fill(self):
        for bucket in BUCKETS:
            self.cluster.bucket(bucket)
        for (bucket, name), body in self.kept.items():
            assert self.cluster.put(bucket, name, body).status == 200
        return self

    # --- what goes on

    def loop(self, step, number, of):
        chance = random.Random(f"{step.__name__}{number}")
        try:
            while not self.ended.is_set():
                step(chance, number, of)
        except Exception as error:  # noqa: it must not end unseen
            self.fault(f"{step.__name__} {number}: {error!r}")

    def write(self, chance, number, of):
        one = chance.choice(self.names[number::of])
        deletes = one.versions[-1] is not None and chance.random() < 0.25
        body = None if deletes else content(one.name, len(one.versions), chance.choice(SIZES))
        with self.lock:
            one.versions.append(body)
            one.begun = version = len(one.versions) - 1
        if deletes:
            answer = self.ask("delete", "DELETE", self.url(one.bucket, one.name))
        else:
            answer = self.put(one.bucket, one.name, body)
        # What is deleted may not be there if the write before it failed.
        if answer is not None and (answer.status == 200 or (deletes and answer.status == 404 and one.in_doubt)):
            with self.lock:
                one.acked = version
            one.in_doubt = False
            return
        one.in_doubt = True
        if answer is not None:
            self.fault(f"{'delete' if deletes else 'write'} of {one.bucket}/{one.name}: {answer}")

    def read_kept(self, chance):
        bucket, name = chance.choice(list(self.kept))
        body = self.kept[bucket, name]
        answer = self.ask("read", "GET", self.url(bucket, name))
        if answer is not None and (answer.status != 200 or answer.body != body):
            self.fault(f"read of {bucket}/{name}: {answer.status}, {len(answer.body)} of {len(body)} bytes: {answer.text[:300] if answer.status != 200 else ''}")

    def read(self, chance, number, of):
        if chance.random() < 0.5:
            self.read_kept(chance)
            return
        one = chance.choice(self.names)
        with self.lock:
            low = one.acked
        answer = self.ask("read", "GET", self.url(one.bucket, one.name))
        with self.lock:
            right = one.may_be(low, one.begun)
        if answer is not None:
            self.judge(one, answer, right, low)

    def judge(self, one, answer, right, low):
        if answer.status == 404 and None in right:
            return
        if answer.status == 200 and answer.body in [body for body in right if body is not None]:
            return
        known = [i for i, body in enumerate(one.versions) if body == answer.body] if answer.status == 200 else []
        self.fault(f"read of {one.bucket}/{one.name}: {answer.status}, {len(answer.body)} bytes, that of versions {known[-3:]}; expected one of "
                   f"{low} to {low + len(right) - 1} ({['absent' if body is None else len(body) for body in right]}) {answer.text[:200] if answer.status != 200 else ''}")

    def transform(self, chance, number, of):
        bucket, name = chance.choice(list(self.kept))
        answer = self.ask("transform", "GET", self.url(bucket, name, "uuid=" + self.etl))
        if answer is not None and (answer.status != 200 or answer.body != self.kept[bucket, name].upper()):
            self.fault(f"transform of {bucket}/{name}: {answer.status}, {len(answer.body)} bytes: {answer.text[:300] if answer.status != 200 else ''}")

    def list(self, chance, number, of):
        bucket = chance.choice(BUCKETS)
        mine = [one for one in self.names if one.bucket == bucket]
        with self.lock:
            before = [one.acked for one in mine]
        listed, token = [], ""
        while True:
            body = json.dumps({"action": "list", "value": {"pagesize": 37, "continuation_token": token}})
            answer = self.ask("list", "GET", self.cluster.url(f"/v1/buckets/{bucket}"), body)
            if answer is None:
                return
            if answer.status != 200:
                self.fault(f"list of {bucket}: {answer}")
                return
            listed += [entry["name"] for entry in answer.json["entries"] or []]
            token = answer.json.get("continuation_token", "")
            if not token:
                break
        with self.lock:
            after = [one.may_be(low, one.begun) for one, low in zip(mine, before)]
        self.judge_list(bucket, listed, mine, after)
        time.sleep(0.02)

    def judge_list(self, bucket, listed, mine, after):
        if listed != sorted(set(listed)):
            self.fault(f"list of {bucket}: not sorted, or a name twice")
        seen = set(listed)
        missing = [name for there, name in self.kept if there == bucket and name not in seen]
        missing += [one.name for one, may_be in zip(mine, after) if None not in may_be and one.name not in seen]
        ghosts = [one.name for one, may_be in zip(mine, after) if all(body is None for body in may_be) and one.name in seen]
        if missing or ghosts:
            self.fault(f"list of {bucket}: lacks {missing[:3]}, has {ghosts[:3]} that do not exist")

    # --- as a context

    def __enter__(self):
        work = [(self.write, i, self.writers) for i in range(self.writers)] + [(self.read, i, self.readers) for i in range(self.readers)] + [(self.list, 0, 1)]
        if self.etl:
            work.append((self.transform, 0, 1))
        self.threads = [threading.Thread(target=self.loop, args=one, daemon=True) for one in work]
        for thread in self.threads:
            thread.start()
        until(lambda: self.counts.get("read", 0) > 20 and self.counts.get("write", 0) > 10 and self.counts.get("list", 0) > 1, "requests are answered", 30)
        return self

    def calm(self, seconds=0.5):
        """It goes on for a while, so that more happens."""
        end = time.monotonic() + seconds
        before = dict(self.counts)
        until(lambda: time.monotonic() > end and all(self.counts.get(what, 0) > before.get(what, 0) for what in ("read", "write", "list") + (("transform",) if self.etl else ())), "requests go on", 60)

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(70 * PATIENCE)

    def __exit__(self, kind, value, trace):
        self.stop()
        remark(", ".join(f"{count} {what}" for what, count in sorted(self.counts.items())))
        for text, count in sorted(self.reasons.items(), key=lambda one: -one[1])[:6]:
            remark(f"{count} times: {text}")
        if self.wrong:
            remark("\n".join(self.wrong[:10]))
        if kind is None:
            assert self.wrong == [], (len(self.wrong), self.wrong[:3])

    def check_all(self):
        """Nothing goes on any more: every acknowledged write is read back, and the list has exactly what can be read."""
        assert all(not thread.is_alive() for thread in self.threads)
        for (bucket, name), body in self.kept.items():
            answer = until(lambda: self.ask("read", "GET", self.url(bucket, name)), f"{bucket}/{name} is answered", 30)
            assert answer.status == 200 and answer.body == body, (bucket, name, answer, len(body))
        there = {bucket: [name for one, name in self.kept if one == bucket] for bucket in BUCKETS}
        for one in self.names:
            answer = until(lambda: self.ask("read", "GET", self.url(one.bucket, one.name)), f"{one.bucket}/{one.name} is answered", 30)
            self.judge(one, answer, one.may_be(one.acked, one.begun), one.acked)
            if answer.status == 200:
                there[one.bucket].append(one.name)
        for bucket in BUCKETS:
            answer = until(lambda: self.ask("list", "GET", self.cluster.url(f"/v1/buckets/{bucket}"), json.dumps({"action": "list", "value": {}})), "a list", 30)
            listed = [entry["name"] for entry in answer.json["entries"]]
            assert listed == sorted(there[bucket]), (bucket, sorted(set(listed) ^ set(there[bucket]))[:10])
        assert self.wrong == [], self.wrong[:3]
