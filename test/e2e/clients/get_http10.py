#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads each URL of stdin with Python's http.client over HTTP/1.0, and prints how it saw the answer: complete, status or broken."""
import http.client
import sys
import urllib.parse

http.client.HTTPConnection._http_vsn = 10
http.client.HTTPConnection._http_vsn_str = "HTTP/1.0"
for line in sys.stdin:
    url = line.strip()
    try:
        for _ in range(3):
            parts = urllib.parse.urlsplit(url)
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
            connection.request("GET", parts.path + ("?" + parts.query if parts.query else ""))
            answer = connection.getresponse()
            size = len(answer.read())
            if answer.status != 307:
                break
            url = answer.headers["Location"]
        print("complete" if answer.status == 200 else "status", answer.status, size, flush=True)
    except (http.client.HTTPException, OSError) as error:
        print("broken", type(error).__name__, flush=True)
