# SPDX-License-Identifier: MIT
"""Small transformers for tests, as program texts that go into images."""

COMMON = '''#!/usr/bin/env python3
import http.server, os, socket, struct, sys, time, urllib.request, urllib.error
PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 80
def serve(handler, threads=True):
    kind = http.server.ThreadingHTTPServer if threads else http.server.HTTPServer
    kind.request_queue_size = 128
    kind.daemon_threads = True
    server = kind(("0.0.0.0", PORT), handler)
    server.serve_forever()
class Base(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def pieces(self):
        left = int(self.headers["Content-Length"])
        while left:
            piece = self.rfile.read(min(left, 65536))
            if not piece: return
            left -= len(piece)
            yield piece
'''

# The document's manners: POST only, HTTP/1.0, the end of the body is the end of the connection; one request at a time.
ECHO_2020 = COMMON + '''
class H(Base):
    def do_POST(self):
        self.send_response(200)
        self.send_header("Content-type", "text/plain")
        self.end_headers()
        for piece in self.pieces(): self.wfile.write(piece)
serve(H, threads=False)
'''

# Knows only PUT; HTTP/1.1 with Content-Length.
ECHO_PUT = COMMON + '''
class H(Base):
    protocol_version = "HTTP/1.1"
    def do_PUT(self):
        self.send_response(200)
        self.send_header("Content-Length", self.headers["Content-Length"])
        self.end_headers()
        for piece in self.pieces(): self.wfile.write(piece)
serve(H)
'''

# Chunked answers while it reads.
ECHO_CHUNKED = COMMON + '''
class H(Base):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in self.pieces(): self.wfile.write(b"%x\\r\\n" % len(piece) + piece + b"\\r\\n")
        self.wfile.write(b"0\\r\\n\\r\\n")
serve(H)
'''

# hrev and hpull: fetches the object from AIS_TARGET_URL and passes it on.
PULL = COMMON + '''
class H(Base):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        try:
            with urllib.request.urlopen(os.environ["AIS_TARGET_URL"] + self.path, timeout=30) as source:
                self.send_response(200)
                self.send_header("Content-Length", source.headers["Content-Length"])
                self.send_header("X-From-Pod", "yes")
                self.end_headers()
                while True:
                    piece = source.read(65536)
                    if not piece: break
                    self.wfile.write(piece)
        except urllib.error.HTTPError as problem:
            body = problem.read()
            self.send_response(problem.code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
serve(H)
'''

# Behaves as the last part of the object's name says, to POST and to GET alike.
HOSTILE = COMMON + '''
class H(Base):
    protocol_version = "HTTP/1.1"
    def reset(self):
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
    def raw(self, data):
        self.wfile.write(data)
        self.wfile.flush()
        self.close_connection = True
    def do_POST(self):
        if self.headers.get("Content-Length"):
            for _ in self.pieces(): pass
        how = self.path.split("?")[0].split("/")[-1]
        if how.startswith("status-"):
            self.raw(b"HTTP/1.1 %d Said So\\r\\nContent-Length: 9\\r\\n\\r\\nmy reason" % int(how[7:]))
        elif how == "garbage": self.raw(b"\\x00\\x01 this is not http\\r\\n\\r\\n")
        elif how == "bad-length": self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Length: twelve\\r\\n\\r\\nabc")
        elif how == "two-lengths": self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\nContent-Length: 4\\r\\n\\r\\nabc")
        elif how == "redirect": self.raw(b"HTTP/1.1 302 Found\\r\\nLocation: /x\\r\\nContent-Length: 0\\r\\n\\r\\n")
        elif how == "no-content": self.raw(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
        elif how == "close-before-head": self.close_connection = True
        elif how == "reset-before-head": self.reset()
        elif how == "half-head": self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Le")
        elif how == "big-head": self.raw(b"HTTP/1.1 200 OK\\r\\nA: " + b"a" * 100000 + b"\\r\\n\\r\\n")
        elif how == "many-1xx": self.raw(b"HTTP/1.1 102 Processing\\r\\n\\r\\n" * 50 + b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
        elif how == "some-1xx": self.raw(b"HTTP/1.1 102 Processing\\r\\n\\r\\n" * 3 + b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        elif how == "hang": time.sleep(60)
        elif how == "stall":
            self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nabc"); self.wfile.flush(); time.sleep(60)
        elif how == "short": self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nabc")
        elif how == "short-big": self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Length: 1000000\\r\\n\\r\\n" + b"x" * 900000)
        elif how == "long": self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nabcdef")
        elif how == "bad-chunk": self.raw(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nabc\\r\\nzz\\r\\n")
        elif how == "no-last-chunk": self.raw(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nabc\\r\\n")
        elif how == "reset-in-body":
            self.wfile.write(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + b"x" * 200000); self.reset()
        elif how == "die-in-body":
            self.wfile.write(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + b"x" * 200000); self.wfile.flush(); time.sleep(0.2); os._exit(1)
        elif how == "open-ended": self.raw(b"HTTP/1.0 200 OK\\r\\nContent-Type: text/x-mine\\r\\n\\r\\nopen")
        elif how == "typed": self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Type: text/x-mine\\r\\nETag: \\"pod\\"\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        elif how == "partial": self.raw(b"HTTP/1.1 206 Partial Content\\r\\nContent-Range: bytes 1-2/5\\r\\nContent-Length: 2\\r\\n\\r\\nbc")
        else: self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    do_GET = do_POST
serve(H)
'''

# Answers with what it sees of its surroundings: variables, files from volumes. Ready two seconds after its start, as its /health says.
SHOW = COMMON + '''
import json
began = time.monotonic()
def read(path):
    try:
        with open(path) as file: return file.read()
    except OSError: return None
class H(Base):
    def do_GET(self):
        self.send_response(200 if time.monotonic() - began > 2 else 503)
        self.end_headers()
    def do_POST(self):
        for _ in self.pieces(): pass
        self.send_response(200)
        self.end_headers()
        seen = {"greeting": os.environ.get("GREETING"), "config": read("/words/word"), "scratch": read("/scratch/made"), "age": time.monotonic() - began,
                "token": read("/var/run/secrets/kubernetes.io/serviceaccount/token"), "uid": os.getuid(), "url": os.environ.get("AIS_TARGET_URL")}
        self.wfile.write(json.dumps(seen).encode())
serve(H)
'''
