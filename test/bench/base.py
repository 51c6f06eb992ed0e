# SPDX-License-Identifier: MIT
"""Rows of `make bench BASE=COMMIT`: compares this tree with an earlier commit in the same run, to show what a change costs.

Both are built as releases. Three clusters run: the base, this tree, and the base once more. They are measured in turn, at least nine rounds; a ratio is made of two
measurements of one round, which are neighbours in time, and the median of the ratios counts. The base beside itself says how far such a median can be trusted here: where its
spread exceeds what is to be judged, the row is told as not measurable here, never as passed.
"""
import contextlib
import os
import signal
import statistics
import subprocess
import time

from common import KIB, MIB, ROOT, Settings, proc_status
from drive import Subject, series, size_text
from speed import SIZES, Speed, of_target, uploads
# Of test/e2e, which common makes known.
import harness
import counted
import test_document

ROUNDS = 9
DEARER_MAX = 1.03
PROGRAMS = ("etlnode", "etlctl", "ais", "kubectl-local")


# --- the two builds

def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=3600, check=False, **options)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}"
    return done.stdout


def build_of(commit):
    """A release build of that commit in build/base/, kept for the next run."""
    name = run("git", "-C", ROOT, "rev-parse", "--verify", commit + "^{commit}").strip()
    tree = os.path.join(ROOT, "build/base", name[:12])
    build = os.path.join(tree, "build/release")
    if not os.path.exists(os.path.join(build, "build.ninja")):
        os.makedirs(tree, exist_ok=True)
        archive = subprocess.Popen(["git", "-C", ROOT, "archive", name], stdout=subprocess.PIPE)
        run("tar", "-x", "-C", tree, stdin=archive.stdout)
        archive.stdout.close()
        assert archive.wait(60) == 0, f"git archive {name} failed"
        run("meson", "setup", build, tree, "--buildtype=release", "-Doptimization=2")
    run("ninja", "-C", build, "--quiet", *programs_in(build).values())
    return build


def programs_in(build):
    """{program: its path in that build directory}. Folders differ between commits; names of programs do not."""
    listed = {line.split(":")[0] for line in run("ninja", "-C", build, "-t", "targets", "all").splitlines()}
    return {name: next(path for path in listed if os.path.basename(path) == name and path.startswith("src/")) for name in PROGRAMS}


@contextlib.contextmanager
def programs_of(build):
    """Clusters created inside this context take their programs from that build."""
    ours = harness.ETLNODE, harness.ETLCTL, harness.KUBECTL_LOCAL
    harness.ETLNODE, harness.ETLCTL, harness.KUBECTL_LOCAL = (os.path.join(build, programs_in(build)[name]) for name in ("etlnode", "etlctl", "kubectl-local"))
    try:
        yield
    finally:
        harness.ETLNODE, harness.ETLCTL, harness.KUBECTL_LOCAL = ours


@contextlib.contextmanager
def three_clusters():
    """(base, base again, now)"""
    commit = os.environ.get("ETLNODE_BASE", "")
    assert commit, "name the commit to compare with: make bench BASE=COMMIT"
    with programs_of(build_of(commit)):
        base, again = Speed(), Speed()
    with base, again, Speed() as now:
        yield base, again, now


# --- the verdict

def spread_of(ratios):
    """How much base differs from base: its median, or half of the range of its middle half, whichever is larger."""
    low, _, high = statistics.quantiles(ratios, n=4)
    return max(abs(statistics.median(ratios) - 1), (high - low) / 2)


def judge(table, what, base, again, now, unit):
    """Three lists of costs, one value for each round."""
    ratios = [new / max(old, 1e-9) for new, old in zip(now, base)]
    control = [other / max(old, 1e-9) for other, old in zip(again, base)]
    spread = spread_of(control)
    ratio = statistics.median(ratios)
    note = f"{statistics.median(now):,.1f} {unit} beside {statistics.median(base):,.1f}; rounds {min(ratios):.2f}..{max(ratios):.2f}; base beside itself {statistics.median(control):.3f} +- {spread:.3f}"
    if spread > DEARER_MAX - 1:
        table.add(what, ratio, "x", f"<= {DEARER_MAX:g}", None, "not measurable here: " + note)
    else:
        table.at_most(what, ratio, DEARER_MAX, "x", note)


def rounds():
    return max(ROUNDS, Settings.rounds)


def compare(table, what, subjects):
    """Subjects of base, base again and now."""
    for subject, name in zip(subjects, ("base", "base again", "now")):
        subject.name = name
    series(table, what, subjects, rounds=rounds())
    costs = [[sample["cpu_us"][subject.name] for sample in subject.samples] for subject in subjects]
    judge(table, f"{what}: CPU of a request, now / base", *costs, "us")


# --- rows

def base_get(table, three):
    for size in SIZES:
        compare(table, f"GET {size_text(size)}", [of_target(one, one.path(size), size) for one in three])


def base_redirect(table, three):
    compare(table, "redirect", [Subject("proxy", one.proxy.pid, one.proxy.url + one.path(KIB), status=301) for one in three])


def base_put(table, three):
    for size in SIZES:
        names = 256 if size < MIB else 16 if size < 64 * MIB else 4
        compare(table, f"PUT {size_text(size)}", [uploads(one, size, names=names) for one in three])


def base_transformed(table, three, mode):
    etls = [one.etl_on_host(mode, mode=mode + "://")[0] for one in three]
    for size in SIZES:
        compare(table, f"{mode} {size_text(size)}", [of_target(one, f"{one.path(size)}?uuid={etl}", size) for one, etl in zip(three, etls)])


def base_init(table, three):
    server, spec = test_document.own_files()
    taken = [[], [], []]
    for one in three:
        one.image("etlnode.example/md5_server:v1", {"code/server.py": server}, ["/code/server.py", "--listen", "0.0.0.0", "--port", "80"])
        one.stop_etl(one.init(spec))
    for number in range(rounds()):
        for index in (0, 1, 2) if number % 2 == 0 else (2, 1, 0):
            began = time.monotonic()
            etl = three[index].init(spec)
            taken[index].append((time.monotonic() - began) * 1000)
            three[index].stop_etl(etl)
    judge(table, "init of the document's pod: time to its answer, now / base", *taken, "ms")


def base_resident(table, three):
    """Memory of nodes that hold one bucket, after a start."""
    costs = [[], [], []]
    for number in range(rounds()):
        for index in (0, 1, 2) if number % 2 == 0 else (2, 1, 0):
            target = three[index].target
            target.kill(signal.SIGTERM)
            target.start()
            three[index].wait_registered()
            costs[index].append(proc_status(target.pid, "RssAnon") / MIB)
    judge(table, "memory of a target's own after its start, now / base", *costs, "MiB")


def base_counted(table):
    """What does not depend on how busy the machine is: instructions and system calls of a request."""
    commit = os.environ.get("ETLNODE_BASE", "")
    assert commit, "name the commit to compare with: make bench BASE=COMMIT"
    build = build_of(commit)
    counted.compare(table, lambda: programs_of(build))


PARTS = {"get": base_get, "redirect": base_redirect, "put": base_put, "hpush": lambda table, three: base_transformed(table, three, "hpush"),
         "hrev": lambda table, three: base_transformed(table, three, "hrev"), "init": base_init, "resident": base_resident}


def row_base(table, names=()):
    """What a change costs beside a commit: rows get, redirect, put, hpush, hrev, init and resident, nine rounds in turn, and counted (or those named)."""
    unknown = [name for name in names if name not in PARTS and name != "counted"]
    assert not unknown, f"beside a commit there are the rows {', '.join(PARTS)}, counted, and no {', '.join(unknown)}"
    timed = [name for name in names or PARTS if name != "counted"]
    if timed:
        with three_clusters() as three:
            for name in timed:
                PARTS[name](table, three)
    if not names or "counted" in names:
        base_counted(table)


ROWS = {"base": row_base}
