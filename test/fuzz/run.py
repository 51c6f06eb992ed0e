#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the libFuzzer targets one after the other, each for some seconds, and prints a summary. `make fuzz T=60 [TARGET=name]`.

Builds with clang in build/fuzz. New inputs are kept in build/fuzz/found/NAME and used by the next run; an input that breaks a promise is
written to build/fuzz/finds and makes the exit status 1."""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def build(folder):
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        instrument = "-fsanitize=fuzzer-no-link"
        env = dict(os.environ, CC="clang", CXX="clang++")
        command = ["meson", "setup", folder, ROOT, "-Db_sanitize=address,undefined", "-Doptimization=1", f"-Dc_args={instrument}", f"-Dcpp_args={instrument}"]
        subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)
    made = subprocess.run(["ninja", "-C", folder, "--quiet", "test/fuzz/etlnode-fuzz"], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode != 0:
        sys.exit(made.stdout)


def targets():
    with open(os.path.join(HERE, "targets.def"), encoding="utf-8") as file:
        return re.findall(r"^TARGET\((\w+), \d+\)$", file.read(), flags=re.M)


def longest_seed(folder):
    return max(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))


def fuzz(folder, name, seconds):
    """Executions, features covered, inputs kept, the reproducer or None."""
    seeds = os.path.join(HERE, "corpus", name)
    found = os.path.join(folder, "found", name)
    finds = os.path.join(folder, "finds")
    os.makedirs(found, exist_ok=True)
    os.makedirs(finds, exist_ok=True)
    log_name = os.path.join(folder, f"fuzz-{name}.log")
    command = [os.path.join(folder, "test/fuzz/etlnode-fuzz"), f"--target={name}", found, seeds, f"-dict={HERE}/dict/{name}.dict", f"-max_total_time={seconds}", f"-artifact_prefix={finds}/{name}-",
               f"-max_len={max(4096, 2 * longest_seed(seeds))}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-use_value_profile=1"]
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:handle_abort=2:detect_stack_use_after_return=0", UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with open(log_name, "wb") as log, tempfile.TemporaryDirectory(prefix="etlnode-fuzz-", dir=memory) as scratch:
        env["TMPDIR"] = scratch
        code = subprocess.run(command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT, timeout=seconds + 120, check=False).returncode
    with open(log_name, encoding="utf-8", errors="replace") as log:
        text = log.read()
    executions = re.findall(r"^stat::number_of_executed_units: (\d+)", text, flags=re.M) or re.findall(r"^#(\d+)\t", text, flags=re.M)
    coverage = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", text)
    reproducer = re.findall(r"Test unit written to (\S+)", text)
    broken = code != 0
    if broken:
        print("\n".join(text.splitlines()[-60:]), file=sys.stderr)
        print(f"{name}: see {log_name}", file=sys.stderr)
    last = coverage[-1] if coverage else ("0", "0", "0")
    return int(executions[-1]) if executions else 0, last, (reproducer[-1] if reproducer else log_name) if broken else None


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=60, help="for each target (default 60)")
    options.add_argument("--target", action="append", choices=targets(), help="only this one; may be repeated")
    options.add_argument("--folder", default=os.path.join(ROOT, "build/fuzz"), help="the build folder (default build/fuzz)")
    chosen = options.parse_args()
    if shutil.which("clang++") is None:
        sys.exit("clang++ is missing: sh src/demo/packages.sh test")
    build(chosen.folder)
    print(f"{'target':<18} {'executions':>11} {'a second':>9} {'edges':>6} {'features':>9} {'inputs':>7}  find", flush=True)
    finds = []
    for name in chosen.target or targets():
        count, (edges, features, inputs), find = fuzz(chosen.folder, name, chosen.seconds)
        print(f"{name:<18} {count:>11} {count // max(chosen.seconds, 1):>9} {edges:>6} {features:>9} {inputs:>7}  {find or '-'}", flush=True)
        if find:
            finds.append(find)
    for find in finds:
        print(f"found: {find}")
    sys.exit(1 if finds else 0)


if __name__ == "__main__":
    main()
