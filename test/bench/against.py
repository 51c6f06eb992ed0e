# SPDX-License-Identifier: MIT
"""Row `against`: this build beside another one, an older commit's say, in the same run: what a change costs. `make bench AGAINST=/path/to/build/release`.

Both run a node of their own with pods of their own. A ratio is made of two measurements that are neighbours in time; the median of nine rounds counts.
"""
import contextlib
import os

from common import MIB, Settings
from drive import series, size_text
from speed import SIZES, Speed, of_target, uploads
# Of test/e2e, which common makes known.
import harness

ROUNDS = 9
DEARER_MAX = 1.05


@contextlib.contextmanager
def programs_of(build):
    """Clusters that are made meanwhile take their programs from that build."""
    ours = harness.ETLNODE, harness.ETLCTL, harness.KUBECTL_LOCAL
    harness.ETLNODE, harness.ETLCTL, harness.KUBECTL_LOCAL = (os.path.join(build, path) for path in ("src/app/etlnode", "src/cli/etlctl", "src/local/kubectl-local"))
    try:
        yield
    finally:
        harness.ETLNODE, harness.ETLCTL, harness.KUBECTL_LOCAL = ours


def compare(table, what, before, after):
    before.name, after.name, after.peer, after.ratio_max = "before", "now", before, DEARER_MAX
    series(table, what, [before, after], rounds=max(ROUNDS, Settings.rounds))


def row_against(table):
    """GET, PUT, hpush and hrev of this build beside another one: CPU per request, nine rounds in pairs."""
    other = os.environ.get("ETLNODE_AGAINST", "")
    assert os.path.isfile(os.path.join(other, "src/app/etlnode")), "name a built release with AGAINST=/path/to/build/release"
    with programs_of(os.path.abspath(other)):
        older = Speed()
    with older as old, Speed() as new:
        for size in SIZES:
            compare(table, f"GET {size_text(size)}", of_target(old, old.path(size), size), of_target(new, new.path(size), size))
        for size in SIZES:
            names = 256 if size < MIB else 16 if size < 64 * MIB else 4
            compare(table, f"PUT {size_text(size)}", uploads(old, size, names=names), uploads(new, size, names=names))
        for mode in ("hpush", "hrev"):
            (old_etl, _), (new_etl, _) = old.etl_on_host(mode, mode=mode + "://"), new.etl_on_host(mode, mode=mode + "://")
            for size in SIZES:
                compare(table, f"{mode} {size_text(size)}", of_target(old, f"{old.path(size)}?uuid={old_etl}", size), of_target(new, f"{new.path(size)}?uuid={new_etl}", size))


ROWS = {"against": row_against}
