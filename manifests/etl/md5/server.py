#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A transformer that returns the MD5 of the request body. It accepts only POST, speaks HTTP/1.0, and serves one request at a time."""
import argparse
import hashlib
import http.server


class Md5Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        digest = hashlib.md5()
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            piece = self.rfile.read(min(left, 1 << 16))
            if not piece:
                return  # the client has gone
            digest.update(piece)
            left -= len(piece)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(digest.hexdigest().encode())


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("-l", "--listen", default="localhost", metavar="ADDRESS")
    options.add_argument("-p", "--port", type=int, default=8000)
    chosen = options.parse_args()
    http.server.HTTPServer((chosen.listen, chosen.port), Md5Handler).serve_forever()


if __name__ == "__main__":
    main()
