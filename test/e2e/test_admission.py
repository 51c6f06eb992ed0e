#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that kubectl-local accepts and refuses the same pods as an API server, by comparing with recorded verdicts.

    test_admission.py                              apply the table to kubectl-local. TAP.
    test_admission.py --record KUBECTL [ARGS...]   ask a cluster through that kubectl, and rewrite the table
"""
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

import admission_specs
import harness

TABLE = os.path.join(harness.ROOT, "test/golden/admission/verdicts.json")


def ask(command, spec, env=None):
    done = subprocess.run([*command, "create", "--dry-run=server", "-f", "-"], input=spec, text=True, capture_output=True, timeout=60, env=env)
    return done.returncode, done.stderr


def ask_cluster(command):
    """{name: {"verdict", "says", "words"}} of all rows."""
    def one(row):
        code, words = ask(command, row[1])
        verdict = {"verdict": "refused" if code else "accepted"}
        if code:
            verdict["says"] = admission_specs.normalised(code, words)
            verdict["words"] = admission_specs.legible(words)
        return row[0], verdict
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(pool.map(one, admission_specs.ROWS))


def load():
    with open(TABLE, encoding="utf-8") as file:
        return json.load(file)


def case_row(name, spec, expected, state):
    def run():
        code, words = ask([harness.KUBECTL_LOCAL, "--state-dir", state], spec)
        says = admission_specs.normalised(code, words)
        here = admission_specs.HERE.get(name)
        if here is not None:
            assert expected["verdict"] == "accepted", "the cluster refuses it, too"
            assert code == 1 and "cannot run here, on a real cluster it can" in words, words
            assert [line.split(": ")[0] for line in says] == here, words
            return
        assert (code != 0) == (expected["verdict"] == "refused"), (code, words, expected)
        assert says == expected.get("says", []), f"\nkubectl-local: {says}\ncluster:       {expected.get('says')}\n{words}"
    return run


def main():
    if "--record" in sys.argv:
        command = sys.argv[sys.argv.index("--record") + 1:]
        with open(TABLE, "w", encoding="utf-8") as file:
            json.dump(ask_cluster(command), file, indent=1, ensure_ascii=False)
            file.write("\n")
        return
    table = load()
    assert len(admission_specs.ROWS) >= 150
    names = [row[0] for row in admission_specs.ROWS]
    assert sorted(names) == sorted(table), "rows and verdicts differ: record the table anew (make test-kubernetes)"
    with tempfile.TemporaryDirectory() as state:
        harness.run([(name, case_row(name, spec, table[name], state)) for name, spec in admission_specs.ROWS])


if __name__ == "__main__":
    main()
