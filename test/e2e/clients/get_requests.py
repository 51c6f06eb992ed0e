#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads every URL on stdin with `requests`, as most people use it, and says what it made of the answer: complete, status or broken."""
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
