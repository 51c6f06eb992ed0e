# SPDX-License-Identifier: MIT
"""nginx as the peer: one worker each, its own folder, a free port, ended by process id.

What it is compared for gets the best that nginx has: no access log, sendfile, cached descriptors, kept connections to clients and upstreams.
"""
import os
import shutil
import socket
import subprocess

from common import end_process, free_port, until

# Debian's build has these modules, and with them folders that an ordinary user may not write.
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

CONFIG = """daemon off;
{user}worker_processes 1;
pid nginx.pid;
error_log error.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    {nopush}
    open_file_cache max=4096 inactive=3600s;
    open_file_cache_valid 3600s;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    client_max_body_size 0;
    default_type application/octet-stream;
    {temporary}
    {upstream}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            {location}
        }}
    }}
}}
"""


def program():
    """The path of nginx. Debian installs it outside an ordinary user's PATH."""
    found = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    assert found, "nginx is missing: src/demo/packages.sh bench installs it"
    return found


def version():
    done = subprocess.run([program(), "-v"], capture_output=True, text=True, check=False, timeout=10)
    return done.stderr.strip().rpartition(": ")[2]


class Nginx:
    """One nginx whose every request goes through `location`. With `upstream` (HOST:PORT) it is a proxy in front of that."""

    def __init__(self, folder, name, location, upstream=None, nopush=False):
        self.folder = os.path.join(folder, "nginx-" + name)
        self.name, self.location, self.upstream, self.nopush = name, location, upstream, nopush
        self.process = self.port = self.pid = None

    def start(self):
        os.makedirs(self.folder)
        for attempt in (1, 2, 3):
            self.port = free_port()
            self.write_config()
            command = [program(), "-p", self.folder + "/", "-c", "nginx.conf", "-e", "error.log"]
            self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                until(lambda: self.process.poll() is not None or self.answers(), f"nginx {self.name} listens", limit=10)
                if self.process.poll() is None:
                    self.pid = until(self.worker, "nginx has its worker", limit=10)
                    return self
            except BaseException:
                self.end()
                raise
            # Another process may have taken the port meanwhile.
            if attempt == 3:
                raise AssertionError(f"nginx {self.name} does not start:\n{self.log()}")

    def write_config(self):
        upstream = ""
        if self.upstream:
            upstream = f"upstream pod {{ server {self.upstream}; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 3600s; }}"
        text = CONFIG.format(user="user root;\n" if os.geteuid() == 0 else "", port=self.port, location=self.location, upstream=upstream, nopush="tcp_nopush on;" if self.nopush else "",
                             temporary=" ".join(f"{name}_temp_path {name};" for name in TEMPORARY))
        with open(os.path.join(self.folder, "nginx.conf"), "w", encoding="utf-8") as file:
            file.write(text)

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def worker(self):
        """The worker's process id: the worker does the work, the master only supervises."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
            children = file.read().split()
        return int(children[0]) if len(children) == 1 else None

    def log(self):
        try:
            with open(os.path.join(self.folder, "error.log"), encoding="utf-8", errors="replace") as file:
                return file.read()[-2000:]
        except OSError:
            return ""

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return "http://" + self.address

    def end(self):
        if self.process is not None:
            end_process(self.process)


def static(folder, sizes, name="static", nopush=False):
    """Serves files with those sizes under the same paths as a target's objects."""
    root = os.path.join(folder, "www-" + name)
    for path, size in sizes.items():
        full = os.path.join(root, path.lstrip("/"))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            # Write real bytes: a hole would be read from a single zero page.
            for at in range(0, size, 1 << 20):
                file.write(bytes([at >> 20 & 255]) * min(1 << 20, size - at))
    return Nginx(folder, name, f"root {root};", nopush=nopush)


def redirect(folder, base):
    return Nginx(folder, "redirect", f"return 307 {base}$request_uri;")


def proxy(folder, upstream, name="proxy"):
    """A proxy in front of another server. It forwards request bodies as they arrive, like the node; answers never go to a file."""
    location = "proxy_pass http://pod; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_max_temp_file_size 0; proxy_request_buffering off;"
    return Nginx(folder, name, location, upstream)
