# SPDX-License-Identifier: MIT
"""A pod that misbehaves on request: the program text of its image, for test_hostile.py. The last part of the object's name selects the
behaviour.

A name that begins with `ok` is served correctly: POST and PUT return the body, GET returns the object that AIS_TARGET_URL has under that
name. The first argument is the port, the second the start behaviour: `now`, `late` (listens after some seconds), `unready` (its /ready
always returns 503) or `flap` (once it has been Ready, every other probe of /ready fails).
"""
import transformers

PROGRAM = transformers.COMMON + '''
import threading
START = sys.argv[2] if len(sys.argv) > 2 else "now"
probes = 0
server = None

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

class H(Base):
    protocol_version = "HTTP/1.1"

    def write(self, data):
        self.wfile.write(data)
        self.wfile.flush()

    def last(self, data):
        self.write(data)
        self.close_connection = True

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def whole(self, status, body):
        self.write(b"HTTP/1.1 %d So\\r\\nContent-Length: %d\\r\\n\\r\\n" % (status, len(body)) + body)

    def probe(self):
        global probes
        probes += 1
        failing = START == "unready" or (START == "flap" and probes > 1 and probes % 2 == 0)
        self.whole(503 if failing else 200, b"")

    def serve_well(self, body):
        if body is None:
            try:
                with urllib.request.urlopen(os.environ["AIS_TARGET_URL"] + self.path.split("?")[0], timeout=20) as source: body = source.read()
            except urllib.error.HTTPError as problem:
                self.whole(problem.code, problem.read())
                return
        self.whole(200, body)

    def do_GET(self):
        if self.path == "/ready":
            self.probe()
            return
        body = b"".join(self.pieces()) if self.headers.get("Content-Length") else None
        how = self.path.split("?")[0].split("/")[-1]
        if how.startswith("ok"): self.serve_well(body)
        elif how == "refuse": self.refuse()
        elif how == "hang": time.sleep(30)
        elif how == "crash-before": os._exit(3)
        elif how == "reset-before": self.reset()
        elif how == "close-before": self.close_connection = True
        elif how == "crash-after":
            self.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 1000000\\r\\n\\r\\n" + b"x" * 200000)
            time.sleep(0.2)
            os._exit(3)
        elif how == "short": self.last(b"HTTP/1.1 200 OK\\r\\nContent-Length: 100000\\r\\n\\r\\n" + b"x" * 99999)
        elif how == "long": self.last(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nabcdef")
        elif how == "length-word": self.last(b"HTTP/1.1 200 OK\\r\\nContent-Length: twelve\\r\\n\\r\\nabc")
        elif how == "length-twice": self.last(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\nContent-Length: 4\\r\\n\\r\\nabc")
        elif how == "garbage": self.last(b"\\x00\\x01 this is not http\\r\\n\\r\\n")
        elif how == "flood": self.last(b"HTTP/1.1 102 Processing\\r\\n\\r\\n" * 20000 + b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        elif how == "no-content": self.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
        elif how == "redirect": self.write(b"HTTP/1.1 302 Found\\r\\nLocation: /elsewhere\\r\\nContent-Length: 0\\r\\n\\r\\n")
        elif how == "header-bomb": self.last(b"HTTP/1.1 200 OK\\r\\n" + b"".join(b"X-%d: %s\\r\\n" % (i, b"y" * 1000) for i in range(10000)) + b"\\r\\n")
        elif how == "endless": self.endless()
        elif how == "twice": self.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nnew" + b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nstale")
        elif how == "twice-late":
            self.whole(200, b"new")
            time.sleep(0.05)
            self.whole(200, b"stale")
        elif how == "slow": self.slow()
        elif how == "drip-head": self.drip(b"HTTP/1.1 200 OK\\r\\nX-Long: ", b"x", b"\\r\\nContent-Length: 3\\r\\n\\r\\nabc")
        elif how == "drip-size": self.drip(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nabc\\r\\n", b"0", b"\\r\\n\\r\\n")
        elif how == "drip-first": self.drip(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n", b"0", b"3\\r\\nabc\\r\\n0\\r\\n\\r\\n")
        elif how == "open-ended":
            self.write(b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\n\\r\\nall of it")
            time.sleep(30)
        elif how == "head-cut": self.last(b"HTTP/1.1 200 OK\\r\\nContent-Le")
        elif how == "padded": self.write(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3  \\r\\nabc\\r\\n0 \\t\\r\\n\\r\\n")
        elif how == "bare-lf": self.write(b"HTTP/1.1 200 OK\\nContent-Length: 3\\n\\nabc")
        else: self.whole(404, b"no such behaviour")

    do_POST = do_PUT = do_GET

    def endless(self):
        self.write(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
        piece = b"10000\\r\\n" + b"e" * 65536 + b"\\r\\n"
        try:
            while True: self.write(piece)
        except OSError:
            self.close_connection = True

    def drip(self, first, byte, rest):
        """One byte every 0.1 s, for longer than any deadline of the target."""
        self.close_connection = True
        try:
            self.write(first)
            for _ in range(100):
                self.write(byte)
                time.sleep(0.1)
            self.write(rest)
        except OSError: pass

    def slow(self):
        self.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 10000000\\r\\n\\r\\n")
        for _ in range(1000):
            self.write(b"s" * 10000)
            time.sleep(0.05)

    def refuse(self):
        self.whole(200, b"bye")
        self.close_connection = True
        server.shutdown_soon = True
        threading.Thread(target=server.shutdown, daemon=True).start()

def listen():
    global server
    server = Server(("0.0.0.0", PORT), H)
    server.serve_forever()
    server.server_close()

if START == "late": time.sleep(2.5)
while True:
    listen()
    time.sleep(7)
'''
