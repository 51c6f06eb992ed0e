# SPDX-License-Identifier: MIT
"""A cluster with one target whose data directory is a small file system of its own."""
import contextlib
import os
import shutil
import subprocess

import harness
from harness import Cluster


@contextlib.contextmanager
def on_a_small_disk(size, *arguments):
    """Yields the cluster and the folder. `size`: of the file system, as mount reads it ("48m"); `arguments`: of the target."""
    if os.getuid() != 0:
        raise harness.Skip("a small file system needs root")
    lone = Cluster(targets=0, target_arguments=arguments)
    small = os.path.join(lone.dir, "target1")
    os.mkdir(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", small], check=True, timeout=120)
    try:
        with lone:
            lone.count = 1
            lone.add_target(1)
            lone.wait_registered()
            yield lone, small
    finally:
        subprocess.run(["umount", "-l", small], check=False, timeout=120)
        shutil.rmtree(lone.dir, ignore_errors=True)
