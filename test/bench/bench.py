#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures the node: speed beside nginx, growth, and the basis of its promises. `bench.py` runs all rows, `--row NAME` (repeatable) some, `--list` names them.

speed.py       CPU per request, latency and memory of every kind of request, driven by wrk in turn with nginx (peers.py, drive.py)
growth.py      the same with many objects and many ETLs (fill.py)
base.py        this tree beside a commit of its history, in turn
recovery.py    a lost proxy's document from its targets
promises.py    isolation, overload, slow and idle clients, memory of streams; load and transformer are load*.cc and echo.cc

Real daemons and real pods through kubectl-local, as in test/e2e. ETLNODE_BUILD is a release build. A text table goes to stdout, the same numbers as JSON
and as Markdown to build/bench/<row>.json and <row>.md. A goal that is missed is said, and is exit code 1. Figures are compared within a run only, alternating
with and without what is measured, because machines are shared; --seconds scales the parts.
"""
import argparse
import json
import os
import platform
import signal
import sys
import time
import traceback

import base
import data_sets
import drive
import folders
import growth
import moving
import peers
import promises
import recovery
import speed
from common import BUILD, ROOT, Settings, Table

ROWS = {**speed.ROWS, **growth.ROWS, **promises.ROWS, **recovery.ROWS, **moving.ROWS, **folders.ROWS, **data_sets.ROWS, **base.ROWS}


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def congestion_control():
    """It matters for large answers: BBR uses pacing timers."""
    try:
        with open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def tool_version(ask):
    try:
        return ask()
    except (OSError, AssertionError):
        return None


def machine_of():
    return {"cpus": os.cpu_count(), "cpu": cpu_model(), "kernel": platform.release(), "congestion_control": congestion_control(), "load_average": os.getloadavg()[0],
            "nginx": tool_version(peers.version), "wrk": tool_version(drive.wrk_version)}


def caption(machine):
    """What a reader needs to know beside a table."""
    tools = ", ".join(filter(None, (machine["nginx"], machine["wrk"])))
    return (f"{machine['cpus']} CPUs ({machine['cpu']}), Linux {machine['kernel']}, TCP {machine['congestion_control']}, {tools}; speeds: {Settings.rounds} rounds of {Settings.window:g} s; "
            f"load average before: {machine['load_average']:.1f}.\n\n")


def write_results(folder, table, began, machine):
    seconds = time.time() - began
    with open(os.path.join(folder, table.row + ".json"), "w", encoding="utf-8") as file:
        settings = {"seconds": Settings.seconds, "window": Settings.window, "rounds": Settings.rounds}
        json.dump({"row": table.row, "began": began, "seconds": seconds, "machine": machine, "settings": settings, "lines": table.lines}, file, indent=1)
    with open(os.path.join(folder, table.row + ".md"), "w", encoding="utf-8") as file:
        file.write(caption(machine) + table.markdown())


def run_row(name, folder, parts=()):
    """Goals missed, and lines that could not be measured here. A row that cannot be measured counts as one, and the others still run."""
    table, began, machine = Table(name), time.time(), machine_of()
    try:
        ROWS[name](table, *parts)
    except Exception as error:  # whatever it was, the remaining rows are measured
        traceback.print_exc()
        table.add("not measured", "failed", ok=False, note=str(error).partition("\n")[0][:300])
    write_results(folder, table, began, machine)
    return table.missed(), table.unmeasured()


def end_on_signal(number, _frame):
    signal.signal(number, signal.SIG_IGN)  # only once: the clean-up must not be interrupted
    raise SystemExit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--row", action="append", choices=[*ROWS, *base.PARTS, "counted"], metavar="ROW", help="run this row only (repeatable)")
    parser.add_argument("--list", action="store_true", help="name the rows")
    parser.add_argument("--seconds", type=float, help=f"length of one measurement (default {Settings.seconds:g}, of speeds {Settings.window:g})")
    parser.add_argument("--rounds", type=int, default=Settings.rounds, help=f"measurements of each speed (default {Settings.rounds})")
    parser.add_argument("--out", default=os.path.join(ROOT, "build/bench"), help="folder of the results in JSON and Markdown")
    arguments = parser.parse_args()
    if arguments.list:
        for name, function in ROWS.items():
            print(f"{name:<12} {function.__doc__}")
        return 0
    if arguments.seconds:
        Settings.seconds = Settings.window = arguments.seconds
    Settings.rounds = max(1, arguments.rounds)
    assert os.path.isdir(BUILD), f"{BUILD} is not there: ETLNODE_BUILD names a release build"
    # An exception, so that everything that was started is ended.
    signal.signal(signal.SIGTERM, end_on_signal)
    os.makedirs(arguments.out, exist_ok=True)
    if os.environ.get("ETLNODE_BASE"):
        rows = [run_row("base", arguments.out, (arguments.row or (),))]
    else:
        rows = [run_row(name, arguments.out) for name in arguments.row or [name for name in ROWS if name not in base.ROWS]]
    missed, unmeasured = (sum(counts) for counts in zip(*rows))
    print((f"{missed} goals missed" if missed else "no goal missed" if unmeasured else "all goals met") + (f", {unmeasured} not measurable here" if unmeasured else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
