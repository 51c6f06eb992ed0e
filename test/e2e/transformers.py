# SPDX-License-Identifier: MIT
"""Small transformers for tests: program texts for images."""

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

# The document's style: POST only, HTTP/1.0, the end of the connection ends the body; one request at a time.
ECHO_2020 = COMMON + '''
class H(Base):
    def do_POST(self):
        self.send_response(200)
        self.send_header("Content-type", "text/plain")
        self.end_headers()
        for piece in self.pieces(): self.wfile.write(piece)
serve(H, threads=False)
'''

# Accepts only PUT; HTTP/1.1 with Content-Length.
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

# Sends chunked answers while it reads.
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

# For hrev and hpull: reads the object from AIS_TARGET_URL and passes it on.
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

# Behaves as the last part of the object's name says, for POST and GET alike.
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

# Returns its environment: variables, and files from volumes. Becomes Ready two seconds after its start, through its /health.
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

# ws: what AIStore's servers do at /ws, with the standard library alone. etl_args says how it replies; without it the object comes back.
WEBSOCKET = '''#!/usr/bin/env python3
import base64, hashlib, http.client, json, os, socketserver, struct, sys, time, urllib.parse
PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 80
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
class Closed(Exception): pass
def unmask(data, mask):
    whole = (mask * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, "little") ^ int.from_bytes(whole, "little")).to_bytes(len(data), "little")
class H(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    def exactly(self, size):
        data = self.rfile.read(size)
        if len(data) < size: raise Closed()
        return data
    def frame(self, opcode, data=b"", fin=True, mask=b""):
        size = len(data)
        head = bytes([opcode | (0x80 if fin else 0)])
        bit = 0x80 if mask else 0
        head += bytes([bit | size]) if size < 126 else bytes([bit | 126]) + struct.pack(">H", size) if size < 65536 else bytes([bit | 127]) + struct.pack(">Q", size)
        self.wfile.write(head + mask + data)
    def pieces(self):
        """(opcode of the message, bytes, whether it ends here) as they come; answers pings, notes pongs."""
        kind = 0
        while True:
            first, second = self.exactly(2)
            opcode, fin, size = first & 15, first >> 7, second & 127
            assert second & 128, "clients mask"
            if size == 126: size, = struct.unpack(">H", self.exactly(2))
            elif size == 127: size, = struct.unpack(">Q", self.exactly(8))
            mask = self.exactly(4)
            if opcode >= 8:
                data = unmask(self.exactly(size), mask)
                if opcode == CLOSE:
                    self.frame(CLOSE, data)
                    raise Closed()
                if opcode == PING: self.frame(PONG, data)
                if opcode == PONG:
                    self.pongs.append(data)
                    if self.storm: self.frame(PING, b"%d" % len(self.pongs))
                    yield PONG, b"", False
                continue
            assert (opcode == 0) == (kind != 0), "a message inside another one"
            kind = kind or opcode
            left = size
            while True:
                data = unmask(self.exactly(min(left, 65536)), mask)
                left -= len(data)
                is_end = bool(fin) and left == 0
                yield kind, data, is_end
                if left == 0: break
            if is_end: kind = 0
    def message(self):
        parts = []
        for kind, data, is_end in self.stream:
            if kind != PONG: parts.append(data)
            if is_end: return kind, b"".join(parts)
    def upgrade(self):
        lines = []
        while True:
            line = self.rfile.readline(65536).strip()
            if not line: break
            lines.append(line.decode())
        if not lines: raise Closed() # somebody looked whether the port is open
        headers = {key.lower(): value.strip() for key, value in (line.split(":", 1) for line in lines[1:])}
        if lines[0] != "GET /ws HTTP/1.1" or headers.get("upgrade") != "websocket" or headers.get("sec-websocket-version") != "13":
            self.wfile.write(b"HTTP/1.1 404 Not Found\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
            raise Closed()
        accept = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: " + accept + b"\\r\\n\\r\\n")
    def handle(self):
        self.pongs, self.storm = [], False
        try:
            self.upgrade()
            self.stream = self.pieces()
            while True:
                kind, control = self.message()
                asked = json.loads(control)
                assert kind == BINARY and sorted(asked) == ["etl_args", "fqn", "path", "pipeline"], control
                assert all(isinstance(value, str) for value in asked.values()) and not asked["fqn"], control
                assert not asked["pipeline"] or asked["etl_args"].startswith("direct"), control
                how, _, rest = asked["etl_args"].partition(":")
                getattr(self, "do_" + (how or "echo"))(asked, rest)
        except (Closed, ConnectionError): pass
    def object(self):
        kind, data = self.message()
        assert kind == BINARY
        return data
    def do_direct(self, asked, rest): # puts the result itself, and says how long it is
        data, url, base = self.object(), urllib.parse.urlsplit(asked["pipeline"]), urllib.parse.urlsplit(os.environ["AIS_TARGET_URL"])
        target = http.client.HTTPConnection(url.netloc, timeout=30)
        target.request("PUT", base.path + url.path + "?" + url.query, b"put " + data)
        answer = target.getresponse()
        assert answer.status == 200 and answer.read() == b"", answer.status
        self.frame(TEXT, b"%d" % len(data))
    def do_echo(self, asked, rest): self.frame(BINARY, self.object())
    def do_md5(self, asked, rest): self.frame(BINARY, hashlib.md5(self.object()).hexdigest().encode())
    def do_path(self, asked, rest):
        self.object()
        self.frame(BINARY, json.dumps(asked).encode())
    def do_fragments(self, asked, rest): # with pings between them
        data, size = self.object(), int(rest)
        for at in range(0, max(len(data), 1), size):
            self.frame(PING, b"still here")
            self.frame(BINARY if at == 0 else 0, data[at:at + size], fin=at + size >= len(data))
    def do_stream(self, asked, rest): # while it reads
        kind = BINARY
        for opcode, data, is_end in self.stream:
            if opcode == PONG: continue
            self.frame(kind, data, fin=is_end)
            kind = 0
            if is_end: return
    def do_early(self, asked, rest): # replies before it has read the object
        self.frame(BINARY, b"early")
        for kind, data, is_end in self.stream:
            if is_end: return
    def do_text(self, asked, rest):
        self.object()
        self.frame(TEXT, rest.encode())
    def do_latin(self, asked, rest):
        self.object()
        self.frame(TEXT, "n\\u00e4mlich".encode("latin-1"))
    def do_close(self, asked, rest):
        self.object()
        code, _, why = rest.partition(" ")
        self.frame(CLOSE, (struct.pack(">H", int(code)) + why.encode()) if code else b"")
        raise Closed()
    def do_vanish(self, asked, rest):
        self.object()
        raise Closed()
    def do_begin(self, asked, rest): # and then: die, close, close with a frame, stay
        self.object()
        self.frame(BINARY, b"x" * int(rest.split("-")[1]), fin=False)
        if rest.startswith("die"):
            time.sleep(0.2)
            os._exit(1)
        if rest.startswith("frame"): self.frame(CLOSE, struct.pack(">H", 1000))
        if rest.startswith("stay"): time.sleep(3600)
        if rest.startswith("text"): self.frame(TEXT, b"a failure behind the beginning")
        raise Closed()
    def do_masked(self, asked, rest):
        self.object()
        self.frame(BINARY, b"abc", mask=b"\\0\\0\\0\\0")
    def do_control(self, asked, rest): # a control frame that is too large
        self.object()
        self.frame(PING, b"p" * 126)
    def do_silent(self, asked, rest):
        self.object()
        time.sleep(3600)
    def do_storm(self, asked, rest): # each pong is answered with a ping at once, for so many seconds; then says how many pongs there were in how many seconds
        self.object()
        self.storm = True
        for _ in range(50): self.frame(PING, b"first")
        began = time.monotonic()
        while time.monotonic() < began + float(rest): next(self.stream)
        self.frame(BINARY, b"%d %f" % (len(self.pongs), time.monotonic() - began))
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True
Server(("0.0.0.0", PORT), H).serve_forever()
'''
