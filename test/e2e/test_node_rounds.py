#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rounds: targets join, are drained, leave, return, and go back and forth, while nodes are killed with -9 or stand still, and clients work.

Each round makes one change of the members and, while objects move, kills the giver, the new owner, the proxy, or two of them. Readers, writers,
deleters and listers go on all the time (moving_traffic.py). They fail the test when an acknowledged write is missing or an old one is seen. Every
losses_every rounds a target is killed, given up with its objects, and comes back; between two such rounds everything is read back.

ROUNDS=n sets the number of rounds (3), SEED=n the seed. A seed repeats the actions, but not their timing.
"""
import os
import random
import signal
import time

import harness
from filled_cluster import nodes
from harness import Cluster, remark, request, until
from moving_traffic import BUCKETS, Name, Traffic

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
CHANGES = ("join", "drain", "leave", "flip", "two")
VICTIMS = ("giver", "owner", "proxy", "giver and owner", "proxy and owner", "giver stands still")
TARGETS_MIN, TARGETS_MAX = 2, 5  # that are placed
LOSSES_EVERY = 25
OBJECTS = 120


def etlctl(cluster, *words):
    return cluster.run("etlctl", *words, check=False)


def shown(cluster):
    """What the proxy says of the cluster; None while it is away."""
    try:
        answer = request("GET", cluster.url("/v1/cluster?what=nodes"), timeout=30)
    except OSError:
        return None
    return answer.json if answer.status == 200 else None


class Members:
    """The nodes, by the ids that the proxy knows."""

    def __init__(self, cluster, chance):
        self.cluster, self.chance = cluster, chance
        self.nodes = {}  # id: Node
        self.out = []    # drained, still running
        self.gone = []   # left for good, with an ended process
        self.next_number = 1 + len(cluster.targets)
        for node in cluster.targets:
            self.learn(node)

    def learn(self, node):
        known = until(lambda: next((one["id"] for one in nodes(self.cluster).values() if one["url"] == node.url), None), f"{node.name} has registered", 60)
        self.nodes[known] = node
        return known

    def placed(self):
        return [one for one in self.nodes if one not in self.out and one not in self.gone]

    def settle(self):
        until(lambda: (shown(self.cluster) or {"moving": True})["moving"] is False, "nothing moves any more", 120)

    # --- changes: each returns the giver and the new owner, of which one is None if any will do

    def enter(self):
        """One more target: one that left, one that is out, or a new one."""
        if self.out:
            known = self.out.pop(0)
            self.want(etlctl(self.cluster, "target", "activate", known))
        elif self.gone:
            known = self.gone.pop(0)
            until(lambda: known not in nodes(self.cluster), "it is forgotten", 90)
            self.nodes[known].start()
        else:
            known = self.learn(self.cluster.add_target(self.next_number))
            self.next_number += 1
        return None, known

    def drain(self, known=None):
        known = known or self.chance.choice(self.placed())
        self.want(etlctl(self.cluster, "target", "drain", known))
        self.out.append(known)
        return known, None

    def leave(self):
        known, _ = self.drain()
        self.settle()
        self.want(etlctl(self.cluster, "target", "rm", known))
        self.out.remove(known)
        assert self.nodes[known].kill(signal.SIGTERM) == 0
        self.gone.append(known)
        return self.enter() if self.chance.random() < 0.5 else (None, None)

    def flip(self):
        known, _ = self.drain()
        time.sleep(self.chance.choice([0, 0.01, 0.1]))
        self.out.remove(known)
        self.want(etlctl(self.cluster, "target", "activate", known))
        return known, None

    def two(self):
        before = self.placed()
        entered = self.enter()[1]
        return self.drain(self.chance.choice(before))[0], entered

    def want(self, done):
        assert done.returncode == 0, done

    def change(self, what):
        count = len(self.placed())
        if count <= TARGETS_MIN:
            what = "join"
        elif count >= TARGETS_MAX and what == "join":
            what = "drain"
        return what, {"join": self.enter, "drain": self.drain, "leave": self.leave, "flip": self.flip, "two": self.two}[what]()

    # --- deaths

    def victims(self, what, giver, owner):
        """Those that are killed. The giver, or the new owner, may be anybody who is placed."""
        giver = giver or self.chance.choice([one for one in self.placed() if one != owner])
        owner = owner or self.chance.choice([one for one in self.placed() if one != giver])
        named = {"giver": self.nodes[giver], "owner": self.nodes[owner], "proxy": self.cluster.proxy}
        return [named[word] for word in what.split() if word in named]

    def kill(self, what, giver, owner):
        end = time.monotonic() + 1
        while time.monotonic() < end and not (shown(self.cluster) or {}).get("moving"):
            time.sleep(0.002)
        time.sleep(self.chance.choice([0, 0.005, 0.02, 0.1, 0.3]))
        victims = self.victims(what, giver, owner)
        if what.endswith("stands still"):
            victims[0].process.send_signal(signal.SIGSTOP)
            time.sleep(self.chance.uniform(0.5, 3))
            victims[0].process.send_signal(signal.SIGCONT)
            return
        for node in victims:
            node.kill(signal.SIGKILL)
        time.sleep(self.chance.choice([0, 0.1, 1]))
        for node in victims:
            node.start()

    def hear_all(self):
        until(lambda: request("GET", self.cluster.url("/v1/health?readiness=true")).status == 200, "the proxy is ready", 60)
        until(lambda: {one["id"] for one in nodes(self.cluster).values() if one["state"] == "active"} >= set(self.placed()), "all that are to be placed are", 60)


class Rounds:
    def __init__(self, cluster, chance):
        self.cluster, self.chance = cluster, chance
        self.traffic = Traffic(cluster, objects=OBJECTS).fill()
        self.members = Members(cluster, chance)
        self.pairs = []

    def draw(self):
        """Every change meets every death once before any pair repeats."""
        if not self.pairs:
            self.pairs = self.chance.sample([(a, b) for a in CHANGES for b in VICTIMS], len(CHANGES) * len(VICTIMS))
        return self.pairs.pop()

    def one(self, number):
        change, death = self.draw()
        began = time.monotonic()
        played, (giver, owner) = self.members.change(change)
        self.members.kill(death, giver, owner)
        self.members.hear_all()
        self.members.settle()
        self.traffic.calm(0.2)
        assert self.traffic.wrong == [], self.traffic.wrong[:3]
        remark(f"round {number}: {played}, {death}, {len(self.members.placed())} placed, {time.monotonic() - began:.1f} s")

    def next_traffic(self, kept):
        """The names of the last writers are deleted; the next ones begin with names that nobody has written."""
        for one in self.traffic.names:
            until(lambda one=one: self.traffic.ask("delete", "DELETE", self.traffic.url(one.bucket, one.name)), f"{one.name} is deleted", 30)
        former, self.traffic = self.traffic, Traffic(self.cluster, objects=0)
        self.traffic.kept = kept
        self.traffic.names = [Name(one.bucket, f"{one.name.split('@')[0]}@{self.members.next_number}.{id(self.traffic)}") for one in former.names]

    def counted_once(self):
        """Nothing moves, so each object counts at one target."""
        there = 0
        for bucket in BUCKETS:
            there += len(request("GET", self.cluster.url(f"/v1/buckets/{bucket}"), '{"action":"list","value":{}}').json["entries"] or [])
        until(lambda: sum(one.get("objects") or 0 for one in nodes(self.cluster).values()) == there, f"heartbeats count {there} objects in all", 60)

    def audit(self):
        self.members.settle()
        self.traffic.check_all()
        self.counted_once()

    def lose(self, number):
        """A target is given up with its objects. Meanwhile writers go on with other names. It comes back, and so does everything."""
        began = time.monotonic()
        while self.members.out or len(self.members.placed()) <= TARGETS_MIN:
            self.members.enter()
        self.members.hear_all()
        self.audit()
        self.next_traffic(self.traffic.kept)
        lost = self.chance.choice(self.members.placed())
        node = self.members.nodes[lost]
        everything = self.traffic.kept
        kept = {key: body for key, body in everything.items() if self.cluster.holder(*key) is not node}
        assert len(kept) < len(everything), "the lost target holds nothing"
        node.kill(signal.SIGKILL)
        until(lambda: nodes(self.cluster)[lost].get("silent_seconds", 0) >= 71, "it has been silent for long enough", 90)
        self.members.want(etlctl(self.cluster, "target", "rm", lost, "--yes"))
        self.traffic.kept = kept
        with self.traffic:
            self.members.settle()
            self.traffic.calm(1)
            node.start()
            until(lambda: lost in nodes(self.cluster) and not shown(self.cluster)["lost"], "it is back", 60)
            victim = self.chance.choice([self.cluster.proxy, node])
            victim.kill(signal.SIGKILL)
            victim.start()
            self.members.hear_all()
            self.members.settle()
            self.traffic.calm(0.5)
        self.traffic.kept = everything
        self.audit()
        remark(f"round {number}: lost and back, {len(everything) - len(kept)} objects came back, {time.monotonic() - began:.1f} s")

    def play(self, rounds):
        done = 0
        while done < rounds:
            with self.traffic:
                while done < rounds and (done + 1) % LOSSES_EVERY != 0:
                    done += 1
                    self.one(done)
            self.audit()
            if done < rounds:
                done += 1
                self.lose(done)
            self.next_traffic(self.traffic.kept)


def case_rounds():
    remark(f"SEED={SEED} ROUNDS={ROUNDS}")
    chance = random.Random(SEED)
    with Cluster(targets=3) as cluster:
        try:
            Rounds(cluster, chance).play(ROUNDS)
        except BaseException:
            remark(f"failed, SEED={SEED}")
            raise


harness.run([("members change and nodes are killed", case_rounds)], limit=120 + 60 * ROUNDS)
