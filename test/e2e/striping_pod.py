# SPDX-License-Identifier: MIT
"""A pod that marks every stripe of an object with the request it answers, and fails at random: the program text of its image, for
test_stripes.py.

Objects consist of stripes with a blank in each, and the answer has X-Request-Id in that place. Each answer has random framing. The
arguments are the port, a seed, and how many of 1,000 answers fail. With `untidy`, a small answer may be followed in the same write by the
preceding one. With `framed`, no answer ends by closing.
"""
import transformers

# Leaves request bodies unread: always, half of each, or every third one. It then treats the rest as its next request. The arguments are the
# port, and which of these to do.
UNREAD = transformers.COMMON + '''
import random, threading
count, lock = 0, threading.Lock()
class H(Base):
    protocol_version = "HTTP/1.1"
    def say(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def do_POST(self):
        global count
        size = int(self.headers.get("Content-Length") or 0)
        with lock:
            count += 1
            mine = count
        self.rfile.read({"never": 0, "half": size // 2, "third": size if mine % 3 else 0}[sys.argv[2]])
        time.sleep(random.choice([0, 0.1])) # so that its answer does not always stand right behind the foreign one
        self.say(("%s %s" % (self.path.split("?")[0], self.headers["X-Request-Id"])).encode())
    do_PUT = do_POST
    def do_GET(self):
        time.sleep(random.choice([0.05, 0.05, 0.3])) # another request may come meanwhile
        self.say(b"EVIL")
serve(H)
'''

PROGRAM = transformers.COMMON + '''
import random
PORT, SEED, FAULTS, UNTIDY = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), "untidy" in sys.argv[4:]
rng = random.Random(SEED + str(time.time_ns()))
previous = b""

class H(Base):
    protocol_version = "HTTP/1.1"
    served = 0

    def source(self):
        if self.headers.get("Content-Length"): return b"".join(self.pieces())
        with urllib.request.urlopen(os.environ["AIS_TARGET_URL"] + self.path.split("?")[0], timeout=20) as source: return source.read()

    def do_GET(self):
        global previous
        self.served += 1
        try: body = self.source()
        except OSError:
            body = None
        if body is None:
            self.connection.sendall(b"HTTP/1.1 500 No\\r\\nContent-Length: 0\\r\\n\\r\\n")
            return
        body = body.replace(b"????????????", self.headers["X-Request-Id"].encode())
        note = b"X-Served: %d\\r\\n" % self.served
        framing = rng.choice(["length", "length", "chunked", "chunked" if "framed" in sys.argv else "close"])
        if framing == "length": answer = b"HTTP/1.1 200 OK\\r\\n" + note + b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body
        elif framing == "chunked":
            middle = len(body) // 2
            chunks = b"".join(b"%x\\r\\n" % len(piece) + piece + b"\\r\\n" for piece in (body[:middle], body[middle:]) if piece)
            answer = b"HTTP/1.1 200 OK\\r\\n" + note + b"Transfer-Encoding: chunked\\r\\n\\r\\n" + chunks + b"0\\r\\n\\r\\n"
        else:
            answer = b"HTTP/1.0 200 OK\\r\\n" + note + b"\\r\\n" + body
            self.close_connection = True
        if rng.randrange(1000) < FAULTS:
            self.fail(framing, answer)
            return
        if UNTIDY and framing == "length" and 0 < len(answer) + len(previous) < 8000 and rng.randrange(4) == 0:
            self.connection.sendall(answer + previous)
            return
        self.connection.sendall(answer)
        if framing == "length": previous = answer

    do_POST = do_PUT = do_GET

    def fail(self, framing, answer):
        how = rng.choice(["nothing", "error", "reset", "reset", "early"])
        self.close_connection = True
        if how == "nothing": return
        if how == "error":
            self.connection.sendall(b"HTTP/1.1 500 No\\r\\nContent-Length: 6\\r\\n\\r\\nfailed")
            return
        # Python's client takes a head that breaks off for a whole one: where there is nobody in between, the head is whole.
        least = answer.index(b"\\r\\n\\r\\n") + 4 if "framed" in sys.argv else 1
        self.connection.sendall(answer[:rng.randrange(least, max(least + 1, len(answer) - 5))])
        if how == "early" and framing != "close": return
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close(); self.wfile.close()
        self.connection.close()

    def finish(self):
        try: super().finish()
        except (OSError, ValueError): pass

serve(H)
'''
