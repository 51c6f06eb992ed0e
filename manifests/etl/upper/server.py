#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A transformer that returns an object in upper case. It answers GET requests and reads the object from AIS_TARGET_URL."""
import http.server
import os
import sys
import urllib.error
import urllib.request


class UpperHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            with urllib.request.urlopen(os.environ["AIS_TARGET_URL"] + self.path, timeout=40) as source:
                status, body = 200, source.read().upper()
        except urllib.error.HTTPError as problem:
            status, body = problem.code, problem.read()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), UpperHandler).serve_forever()
