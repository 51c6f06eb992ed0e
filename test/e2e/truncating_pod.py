# SPDX-License-Identifier: MIT
"""A pod whose answers end too early: the program text of its image, for test_truncation.py.

An object's name gives the details: FRAMING.SIZE.CUT.HOW. FRAMING is length, chunked or close (HTTP/1.0: the end of the connection ends the
answer). SIZE is the size of the whole body. After CUT bytes of it comes HOW: whole (nothing happens), close (FIN), reset (RST), worker (the
process of this connection is killed, the listener continues), or wait (nothing more is sent; the test kills the container). The arguments
are the port, and `fork` or `thread`: what serves each connection. With `thread`, the container is a single process.
"""
import transformers

PROGRAM = transformers.COMMON + '''
import signal, socketserver

FORKS = sys.argv[2] == "fork"

class Server(socketserver.ForkingMixIn if FORKS else socketserver.ThreadingMixIn, http.server.HTTPServer):
    request_queue_size = 128
    max_children = 256
    daemon_threads = True

class H(Base):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        if self.headers.get("Content-Length"):
            for _ in self.pieces(): pass
        framing, size, cut, how = self.path.split("?")[0].split("/")[-1].split(".")
        size, cut = int(size), int(cut)
        head = {"length": b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % size, "chunked": b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n",
                "close": b"HTTP/1.0 200 OK\\r\\n\\r\\n"}[framing]
        self.connection.sendall(head)
        left = cut
        while left:
            piece = min(left, 50000)
            data = b"t" * piece
            # The announced size of the last chunk is larger than what is sent, so that the cut is inside it.
            inside = left == piece and cut < size
            if framing == "chunked": data = b"%x\\r\\n" % (piece + inside) + data + (b"" if inside else b"\\r\\n")
            self.connection.sendall(data)
            left -= piece
        if how == "whole":
            if framing == "chunked": self.connection.sendall(b"0\\r\\n\\r\\n")
            self.close_connection = framing == "close"
            return
        self.close_connection = True
        if how in ("reset", "worker") and not FORKS: raise SystemExit("this would end the whole container")
        if how == "reset":
            time.sleep(0.005)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os._exit(0)
        elif how == "worker": os.kill(os.getpid(), signal.SIGKILL)
        elif how == "wait": time.sleep(60)

    do_GET = do_PUT = do_POST

Server(("0.0.0.0", PORT), H).serve_forever()
'''
