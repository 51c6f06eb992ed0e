#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads each URL of stdin with `requests` in its usual way, and prints how it saw the answer: complete, status or broken."""
import sys

import requests

session = requests.Session()
session.trust_env = False
for line in sys.stdin:
    try:
        answer = session.get(line.strip(), timeout=60)
        print("complete" if answer.status_code == 200 else "status", answer.status_code, len(answer.content), flush=True)
    except requests.RequestException as error:
        print("broken", type(error).__name__, flush=True)
