#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every command of etlctl against a small server (etlctl_world.py): compares stdout, stderr and exit codes.

Prints TAP on stdout. ETLCTL names the program (default build/src/etlctl/etlctl). The kernel chooses the ports; everything runs on loopback.
Arguments select cases by function name.
"""
import sys

import etlctl_etl  # noqa: F401 (each import adds its cases)
import etlctl_objects  # noqa: F401
import etlctl_terminal  # noqa: F401
import etlctl_usage  # noqa: F401
import etlctl_world

if __name__ == "__main__":
    sys.exit(etlctl_world.main())
