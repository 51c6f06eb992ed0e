#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may talk to a node: web pages may not, nodes without the cluster's secret may not, all other clients are served."""
import json
import os
import pwd
import re
import signal
import socket
import stat
import urllib.parse

import harness
from harness import Cluster, Node, pod_spec, request, until

world = {}
SPEC = pod_spec("guarded", "guard:v1", command=["/srv.py"])
SERVER = """#!/usr/local/bin/python
import http.server, os, urllib.request
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, body):
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_PUT(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])).upper())
    do_POST = do_PUT
    def do_GET(self):
        if self.path == "/health":
            return self.answer(b"ok")
        with urllib.request.urlopen(os.environ["AIS_TARGET_URL"] + self.path) as reply:
            self.answer(reply.read().upper())
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 80), H).serve_forever()
"""


def raw(url, head, body=b""):
    """Sends a head exactly as given; returns status and body text."""
    parts = urllib.parse.urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), 20) as conn:
        conn.settimeout(20)
        conn.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        conn.shutdown(socket.SHUT_WR)
        data = b""
        while chunk := conn.recv(65536):
            data += chunk
    top, _, rest = data.partition(b"\r\n\r\n")
    return int(top.split()[1]), rest.decode("utf-8", "replace")


def post(url, host, lines="", path="/v1/buckets/web", body=b'{"action":"create-bck"}', method="POST"):
    return raw(url, f"{method} {path} HTTP/1.1\nHost: {host}\nConnection: close\nContent-Length: {len(body)}" + "".join("\n" + line for line in lines.split("|") if line), body)


def get(url, host, path="/v1/health", version="1.1"):
    return raw(url, f"GET {path} HTTP/{version}\nHost: {host}\nConnection: close")


def port_of(url):
    return urllib.parse.urlsplit(url).port


def buckets(cluster):
    return [bucket["name"] for bucket in request("GET", cluster.url("/v1/buckets?provider=ais")).json]


def case_rebinding():
    """A name that somebody points here by DNS is refused on every route and listener, including reads."""
    cluster = world["cluster"]
    target = cluster.targets[0]
    for url in (cluster.proxy.url, target.url, f"http://127.0.0.1:{target.announced['pod_port']}"):
        for path in ("/v1/health", "/metrics", "/v1/daemon?what=smap", "/v1/objects/data/o", "/v1/etl", "/nowhere", "/v1/etl/_object/a/b/c"):
            for host in ("evil.example", f"evil.example:{port_of(url)}", "localhost.evil.example", "127.0.0.1.nip.io"):
                status, text = get(url, host, path)
                assert status == 421 and "--allowed-host" in text and host.split(":")[0] in text, (url, path, host, status, text)
        status, text = post(url, "evil.example", "Origin: http://evil.example")
        assert status == 421, text
    assert "web" not in buckets(cluster)
    status, text = raw(cluster.proxy.url, "GET http://evil.example/v1/health HTTP/1.1\nHost: localhost\nConnection: close")
    assert status == 421 and "evil.example" in text, (status, text)


def case_odd_hosts():
    """An invalid name is reported as such. The error suggests only what --allowed-host accepts."""
    cluster = world["cluster"]
    for host, said in (("", "the Host of the request is empty"), ("a b", '"a b" is no host name'), ("evil example:80", "is no host name"), ("*.evil.example", "is no host name"),
                       ("evil.example:8080", "start it with --allowed-host evil.example"), ("evil.example", "start it with --allowed-host evil.example"), ("evil/example", "is no host name"),
                       ("evil.example:x", "start it with --allowed-host evil.example"), ("[::1", "is no host name"), ("x" * 300, "")):
        for url in (cluster.proxy.url, cluster.targets[0].url):
            status, text = raw(url, f"GET /v1/health HTTP/1.1\nHost: {host}\nConnection: close")
            assert status in (400, 421), (host, status, text)
            if status == 421:
                assert said in text and ("--allowed-host" in text) == ("--allowed-host" in said or not said) and len(text) < 1000, (host, text)


def case_wrong_endpoints():
    """etlctl says in one sentence what the endpoint is, and what to type instead."""
    cluster = world["cluster"]
    target, proxy = cluster.targets[0], cluster.proxy.url
    other = next(one for one in cluster.targets if one is not cluster.holder("data", "o"))
    pods = f"http://127.0.0.1:{target.announced['pod_port']}"
    for endpoint, command, said, hint in (
            (target.url, ("bucket", "ls"), f"{target.url} is a target; its proxy is {proxy}", f"--endpoint {proxy}"),
            (target.url, ("put", "/etc/hostname", "data/x"), f"{target.url} is a target; its proxy is {proxy}", f"--endpoint {proxy}"),
            (target.url, ("etl", "ls"), f"{target.url} is a target; its proxy is {proxy}", f"--endpoint {proxy}"),
            (pods, ("bucket", "ls"), f"{pods} is the address where a target's pods read objects; it serves no other clients", "name the proxy with --endpoint URL or ETLNODE_ENDPOINT"),
            (pods, ("get", "data/o", "-"), f"{pods} is the address where a target's pods read objects", "name the proxy with --endpoint"),
            (proxy + "/ais", ("bucket", "ls"), f"{proxy} has nothing below /ais", f"--endpoint {proxy}"),
            (proxy.replace("http:", "https:"), ("bucket", "ls"), "speaks plain HTTP, not TLS", f"--endpoint {proxy}"),
            ("http://127.0.0.1:1", ("bucket", "ls"), "no answer from http://127.0.0.1:1", "make up")):
        done = cluster.run("etlctl", *command, env={"ETLNODE_ENDPOINT": endpoint}, check=False)
        text = done.stderr.decode()
        assert done.returncode == 6 and said in text and hint in text.split("hint: ")[1] and text.count("\n") == 2, (endpoint, command, done)
    for endpoint, said in ((proxy + "/v1", f"write {proxy}"), (proxy + "/v1/buckets/", f"write {proxy}"), ("http://127.0.0.1:99999", "has an invalid port (1 to 65535)"),
                           ("http://::1:8080", "in brackets"), ("http://u:p@127.0.0.1", "without a user or password")):
        done = cluster.run("etlctl", "bucket", "ls", env={"ETLNODE_ENDPOINT": endpoint}, check=False)
        assert done.returncode == 2 and said in done.stderr.decode() and done.stderr.count(b"\n") == 1, (endpoint, done)
    # A target sends those on who ask it for an object of another one, so that its answer is the cluster's.
    assert cluster.run("etlctl", "get", "data/o", "-", env={"ETLNODE_ENDPOINT": other.url}).stdout == b"some data"
    for one in cluster.targets:
        done = cluster.run("etlctl", "object", "head", "data/none", env={"ETLNODE_ENDPOINT": one.url}, check=False)
        assert done.returncode == 3 and b"does not exist" in done.stderr, done
    # For an object that is really missing, the proxy's own endpoint says so.
    done = cluster.run("etlctl", "object", "head", "data/none", check=False)
    assert done.returncode == 3 and b"does not exist" in done.stderr and b"is a target" not in done.stderr, done


def case_pages():
    """Requests from a page of another origin change nothing, whatever their content type. The browser hides the answers of reads from the
    page."""
    cluster = world["cluster"]
    host = f"127.0.0.1:{port_of(cluster.proxy.url)}"
    refused = ["Origin: http://evil.example", "Origin: http://evil.example|Content-Type: text/plain", "Origin: http://evil.example|Content-Type: application/json", "Origin: null",
               "Origin: http://127.0.0.1", f"Origin: http://localhost:{port_of(cluster.proxy.url)}", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors"]
    for lines in refused:
        status, text = post(cluster.proxy.url, host, lines)
        assert status == 403, (lines, status, text)
        status, text = post(cluster.proxy.url, host, lines, "/v1/etl/init", SPEC.encode())
        assert status == 403, (lines, status, text)
        status, text = post(cluster.targets[0].url, f"127.0.0.1:{port_of(cluster.targets[0].url)}", lines, "/v1/objects/data/o", b"bad", "PUT")
        assert status == 403, (lines, status, text)
        assert raw(cluster.proxy.url, f"GET /v1/health HTTP/1.1\nHost: {host}\nConnection: close\n" + lines.replace("|", "\n"))[0] == 200, lines
    assert "--allowed-origin http://evil.example" in post(cluster.proxy.url, host, refused[0])[1]
    assert buckets(cluster) == ["data"] and request("GET", cluster.url("/v1/etl")).json == []
    for number, lines in enumerate((f"Origin: http://{host}", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none", "")):
        status, text = post(cluster.proxy.url, host, lines, f"/v1/buckets/own{number}")
        assert status == 200, (lines, status, text)


def case_names_that_are_ours():
    cluster = world["cluster"]
    port = port_of(cluster.proxy.url)
    name = socket.gethostname()
    # A kubelet's probe uses the pod's IP, a port-forward uses localhost, and a gateway any of the node's names.
    for host in (f"127.0.0.1:{port}", "10.244.0.7:8080", "localhost:33333", "LOCALHOST", "localhost.", f"[::1]:{port}", "[fd00::1]", name, f"{name}:{port}", name.upper()):
        assert get(cluster.proxy.url, host, "/v1/health?readiness=true")[0] == 200, host
    assert raw(cluster.proxy.url, "GET /v1/health HTTP/1.0")[0] == 200
    assert raw(cluster.proxy.url, f"GET http://localhost:{port}/v1/health HTTP/1.1\nHost: localhost:{port}\nConnection: close")[0] == 200
    for agent in ("ais/v4.0.0", "python-requests/2.31.0", "kube-probe/1.29", "Prometheus/2.50.0"):
        assert raw(cluster.proxy.url, f"GET /v1/health HTTP/1.1\nHost: 127.0.0.1:{port}\nUser-Agent: {agent}\nAccept: */*\nConnection: close")[0] == 200, agent
    for endpoint in (f"http://localhost:{port}", f"http://127.0.0.1:{port}"):
        done = cluster.run("ais", "ls", "data", env={"AIS_ENDPOINT": endpoint})
        assert b"o" in done.stdout, done


def case_names_that_are_allowed():
    """A gateway that terminates TLS, and a console on another origin."""
    cluster = world["cluster"]
    node = Node(cluster, "proxy_gate", ["--role", "proxy", "--listen", "127.0.0.1:0", "--allowed-host", "data.example.org", "--allowed-host", "*.internal",
                                        "--allowed-origin", "https://console.example.org"] + cluster.secret_arguments).start()
    try:
        for host in ("data.example.org", "data.example.org:443", "a.b.internal:80"):
            assert get(node.url, host)[0] == 200, host
        for host in ("example.org", "internal", "x.data.example.org"):
            assert get(node.url, host)[0] == 421, host
        for number, (host, lines, wanted) in enumerate((
                ("data.example.org", "Origin: https://data.example.org", 200),
                ("data.example.org", "Origin: https://data.example.org|X-Forwarded-Proto: https|Sec-Fetch-Site: same-origin", 200),
                ("data.example.org", "Origin: https://console.example.org|Sec-Fetch-Site: same-site", 200),
                ("data.example.org", "Origin: http://console.example.org", 403),
                ("data.example.org", "Origin: https://data.example.org:8443", 403),
                ("data.example.org", "Origin: https://evil.example", 403))):
            status, text = post(node.url, host, lines, f"/v1/buckets/gate{number}")
            assert status == wanted, (host, lines, status, text)
    finally:
        assert node.kill(signal.SIGTERM) == 0
    opened = Node(cluster, "proxy_any", ["--role", "proxy", "--listen", "127.0.0.1:0"] + cluster.secret_arguments).start(env={"ETLNODE_ALLOWED_HOST": "a.example,any"})
    try:
        assert get(opened.url, "whatever.example")[0] == 200
    finally:
        assert opened.kill(signal.SIGTERM) == 0


def manifest_arguments(path):
    with open(os.path.join(harness.ROOT, "manifests/node", path), encoding="utf-8") as file:
        text = file.read()
    listed = re.search(r"args: \[(.*?)\]\n", text, re.S).group(1)
    listed = re.sub(r'#.*', '', listed)
    words = [word.strip().strip("'") for word in listed.split(",")]
    known = {"POD_NAMESPACE": "storage", "POD_NAME": "etlnode-target-0", "POD_IP": "127.0.0.1"}
    return [re.sub(r"\$\((\w+)\)", lambda m: known[m.group(1)], word) for word in words]


def case_names_of_services():
    """The names of the Services of manifests/, from inside the namespace and from outside."""
    cluster = world["cluster"]
    for path, names in (("proxy.yaml", ["etlnode-proxy"]), ("targets.yaml", ["etlnode-target", "etlnode-target-0.etlnode-target", "etlnode-target-1.etlnode-target"])):
        words = manifest_arguments(path)
        chosen = []
        for flag, value in zip(words, words[1:]):
            if flag in ("--role", "--advertise-url", "--allowed-host", "--allowed-origin"):
                chosen += [flag, value]
        node = Node(cluster, "manifest_" + path.split(".")[0], chosen + ["--listen", "127.0.0.1:0"] + cluster.secret_arguments).start()
        try:
            port = node.announced["port"]
            for name in names:
                for more in ("", ".storage", ".storage.svc", ".storage.svc.cluster.local"):
                    assert get(f"http://127.0.0.1:{port}", name + more + ":8080")[0] == 200, name + more
            assert get(f"http://127.0.0.1:{port}", "evil.example")[0] == 421
        finally:
            assert node.kill(signal.SIGTERM) == 0


def case_transforms():
    """Redirects between nodes, pods that read from their target, and clients of hpull work."""
    cluster = world["cluster"]
    port = port_of(cluster.proxy.url)
    for mode in ("hpush://", "hrev://", "hpull://"):
        etl = cluster.init(pod_spec("guard-" + mode[:-3], "guard:v1", mode, command=["/srv.py"]))
        answer = request("GET", f"http://localhost:{port}/v1/objects/data/o?uuid={etl}")
        assert answer.status == 200 and answer.body == b"SOME DATA", (mode, answer)
        cluster.stop_etl(etl)


def case_membership():
    """Without the secret no client counts as a node, on loopback or elsewhere, and none gets any of the document."""
    cluster = world["cluster"]
    registration = {"id": "tstranger1", "type": "target", "url": "http://127.0.0.1:9", "digest": "0", "flags": "0", "cluster": "", "document_version": 0, "object_count": 0}
    for headers, wanted in (({}, 401), ({"Etlnode-Cluster-Secret": "0123456789abcdef0123456789abcdef"}, 403), ({"Etlnode-Cluster-Secret": ""}, 403)):
        answer = request("POST", cluster.url("/v1/node/register"), json.dumps(registration), headers)
        assert answer.status == wanted and "uuid" not in answer.text, answer
        target = cluster.targets[0]
        for method, path in (("GET", "/v1/node/status"), ("GET", "/v1/node/etl"), ("PUT", "/v1/node/document"), ("GET", "/v1/node/etl/x/start?generation=g&version=1&wait_timeout_ms=1"), ("GET", "/v1/node/etl/x/gone?version=1"), ("DELETE", "/v1/node/bucket/data"), ("GET", "/v1/node/bucket/data?count=1")):
            answer = request(method, target.url + path, b"{}" if method in ("PUT", "POST") else None, headers)
            assert answer.status == wanted, (method, path, answer)
    assert len(cluster.smap()["tmap"]) == 2
    assert cluster.get("data", "o").body == b"some data"


class User:
    """An ordinary user with a home directory: nobody if the test runs as root, because root's secret is in /etc."""

    def __init__(self, name):
        self.cluster = Cluster(targets=0, uid=pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None)
        self.home = os.path.join(self.cluster.dir, name)
        os.mkdir(self.home)
        if self.cluster.uid is not None:
            os.chmod(self.cluster.dir, 0o755)
            os.chown(self.home, self.cluster.uid, -1)
        self.cluster.env.update({"HOME": self.home})
        self.cluster.env.pop("XDG_CONFIG_HOME", None)
        self.nodes = []

    def secret_path(self):
        return os.path.join(self.home, ".config/etlnode/cluster-secret")

    def node(self, name, *arguments):
        node = Node(self.cluster, name, list(arguments))
        self.nodes.append(node)
        return node

    def refused(self, *arguments):
        """The message of a node that does not start."""
        done = self.cluster.run(self.cluster.etlnode, "--data-dir", os.path.join(self.home, "none"), *arguments, check=False)
        assert done.returncode == 2, done
        return done.stderr.decode()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for node in reversed(self.nodes):
            if node.process is not None:
                node.kill(signal.SIGTERM)
        self.cluster.stop(expect_clean=kind is None)


def case_secret_is_made():
    """No flag and no file: the first node to start creates it, and two that start simultaneously agree."""
    with User("home") as user:
        first = [user.node(f"one{i}", "--role", "proxy", "--listen", "127.0.0.1:0").start(wait=False) for i in range(4)]
        for node in first:
            assert node.process.stdout.readline(), user.cluster.log_tail(node.name)
        logs = [user.cluster.log_tail(node.name) for node in first]
        assert sum("created the cluster secret" in log for log in logs) == 1, logs
        assert all("the API has no accounts yet" in log.splitlines()[0] for log in logs), logs
        info = os.stat(user.secret_path())
        assert stat.S_IMODE(info.st_mode) == 0o600 and os.listdir(os.path.dirname(user.secret_path())) == ["cluster-secret"]
        with open(user.secret_path(), encoding="ascii") as file:
            secret = file.read().strip()
        proxy = user.node("proxy", "--role", "proxy", "--listen", "127.0.0.1:0").start()
        user.node("target", "--role", "target", "--listen", "127.0.0.1:0", "--proxy", proxy.url).start()
        until(lambda: len(request("GET", proxy.url + "/v1/daemon?what=smap").json["tmap"]) == 1, "the target is in the map")
        assert secret not in user.cluster.log_tail("proxy") + user.cluster.log_tail("target")


def case_secret_is_not_made():
    with User("home") as user:
        named = os.path.join(user.home, "no-such-file")
        assert named in user.refused("--role", "proxy", "--listen", "127.0.0.1:0", "--cluster-secret-file", named)
        said = user.refused("--role", "target", "--listen", "127.0.0.1:0", "--proxy", "http://192.0.2.1:8080")
        assert "copy" in said and user.secret_path() in said, said
        assert not os.path.exists(named) and not os.path.exists(user.secret_path())


def case_secret_is_wrong():
    """Both sides report it. The target keeps trying, and joins as soon as the secrets agree."""
    with User("home") as user:
        other = os.path.join(user.home, "other")
        with open(other, "w", encoding="ascii") as file:
            file.write("another secret of sixteen characters\n")
        os.chmod(other, 0o600)
        if user.cluster.uid is not None:
            os.chown(other, user.cluster.uid, -1)
        proxy = user.node("proxy", "--role", "proxy", "--listen", "127.0.0.1:0").start()
        target = user.node("target", "--role", "target", "--listen", "127.0.0.1:0", "--proxy", proxy.url, "--cluster-secret-file", other).start()
        until(lambda: "the cluster secret is wrong" in user.cluster.log_tail("target"), "the target says why it is not in")
        until(lambda: "wrong cluster secret" in user.cluster.log_tail("proxy"), "the proxy says who knocks")
        target.kill(signal.SIGTERM)
        target.arguments = target.arguments[:-2]
        target.start()
        until(lambda: len(request("GET", proxy.url + "/v1/daemon?what=smap").json["tmap"]) == 1, "the target is in the map")


def case_upgrade():
    """The README's step for a cluster that had no secret, or another one: all nodes end and restart without a flag. Nothing is lost."""
    with User("home") as user:
        old = ["--cluster-secret-file", user.cluster.secret_arguments[1]]
        proxy = user.node("proxy", "--role", "proxy", "--listen", "127.0.0.1:0", *old).start()
        target = user.node("target", "--role", "target", "--listen", "127.0.0.1:0", "--proxy", proxy.url, *old).start()
        until(lambda: request("GET", target.url + "/v1/health?readiness=true").status == 200, "the target is ready")
        assert request("POST", proxy.url + "/v1/buckets/kept", '{"action":"create-bck"}').status == 200
        hop = request("PUT", proxy.url + "/v1/objects/kept/o", b"", follow=False)
        assert request("PUT", hop.headers["Location"], b"kept").status == 200
        port = proxy.announced["port"]
        target.kill(signal.SIGTERM)
        proxy.kill(signal.SIGTERM)
        proxy.arguments = ["--role", "proxy", "--listen", f"127.0.0.1:{port}"]
        target.arguments = ["--role", "target", "--listen", "127.0.0.1:0", "--proxy", f"http://127.0.0.1:{port}"]
        proxy.start()
        target.start()
        until(lambda: request("GET", proxy.url + "/v1/objects/kept/o").body == b"kept", "the object can be read again")


def case_readme():
    """README, "Running a node", as printed, except for the ports, which may be taken here."""
    with open(os.path.join(harness.ROOT, "README.md"), encoding="utf-8") as file:
        section = file.read().split("## Running a node")[1]
    block = re.search(r"```sh\n(.*?)```", section, re.S).group(1)
    assert block.count("etlnode --role") == 2 and "etlctl get" in block, block
    ports = {}
    for wanted in ("8080", "8081"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports[wanted] = str(probe.getsockname()[1])
    with User("home") as user:
        os.symlink(user.cluster.etlnode, os.path.join(user.cluster.bin, "etlnode")) if not os.path.exists(os.path.join(user.cluster.bin, "etlnode")) else None
        for wanted, free in ports.items():
            block = block.replace(wanted, free)
        # Pasted into the shell's input as a whole. The text before and after only ends the nodes that it has started.
        pasted = "trap 'kill $(jobs -p); wait' EXIT\n" + block + "exit\n"
        done = user.cluster.run("bash", stdin=pasted.encode(), env={"AIS_ENDPOINT": "", "ETLNODE_ENDPOINT": f"http://127.0.0.1:{ports['8080']}"}, timeout=120 * harness.PATIENCE)
        assert done.stdout.decode().endswith("hello\n"), done
        assert stat.S_IMODE(os.stat(user.secret_path()).st_mode) == 0o600


def case_check_config():
    """All problems in one run, including those of the machine."""
    cluster = world["cluster"]

    def check(*arguments, code, env=None):
        done = cluster.run(harness.ETLNODE, "--check-config", *arguments, *cluster.secret_arguments, check=False, env=env)
        assert done.returncode == code, done
        return done.stderr.decode()

    said = check("--role", "target", "--listen", "0.0.0.0:8081", "--kubectl", "/nope", "--pod-security", "strict", code=2)
    for word in ("0.0.0.0 is not an address that others can connect to", "--advertise-url", "/nope", "--pod-security", "warning: "):
        assert word in said, (word, said)
    assert "is not an address of this machine" in check("--role", "proxy", "--listen", "192.0.2.1:8080", code=2)
    said = check("--role", "target", "--listen", "0.0.0.0:8081", "--advertise-url", "http://storage1:8081", code=0)
    assert "no accounts" in said and "the configuration is valid" in said, said
    assert "bwrap is missing" in check("--role", "target", code=0, env={"PATH": cluster.bin})
    assert "kubectl" in check("--role", "target", "--node-name", "node1", code=2, env={"PATH": "/nowhere"})
    assert "the program that runs pods is missing" in check("--role", "target", "--kubectl", cluster.dir, code=2)  # a folder
    assert "cannot read the config file /dev/zero: File too large" in check("--role", "target", "--config", "/dev/zero", code=2)
    # Everything in one run, whatever its source.
    config = os.path.join(cluster.dir, "check.yaml")
    with open(config, "w", encoding="ascii") as file:
        file.write("listn: x\nlog-level: loud\nrolle: y\n")
    blocked = os.path.join(cluster.dir, "check.blocked")
    with open(blocked, "w", encoding="ascii"):
        pass
    before = sorted(os.listdir(cluster.dir))
    said = check("--role", "proxy", "--lisen", "a", "--config", config, "--allowed-host", "", "--data-dir", blocked + "/p", code=2, env={"ETLNODE_POD_LISTN": "x"})
    for word in ('did you mean "listen"', '"loud"', 'did you mean "role"', "did you mean --listen?", "--allowed-host has an empty value", f"--data-dir: cannot write there: {blocked}",
                 "warning: ETLNODE_POD_LISTN is not read: did you mean ETLNODE_POD_LISTEN?"):
        assert word in said, (word, said)
    assert "the configuration is valid" not in said, said
    # A port taken by another program is a problem; one taken by a running node with this data directory is not.
    taken = cluster.proxy.url[len("http://"):]
    fresh = os.path.join(cluster.dir, "not-there", "yet")
    assert f"{taken} is in use by another program" in check("--role", "proxy", "--listen", taken, "--data-dir", fresh, code=2)
    said = check("--role", "proxy", "--listen", taken, "--data-dir", os.path.join(cluster.dir, "proxy"), code=0)
    assert "another node is using" in said and f"{taken} is in use by the running node" in said and "the configuration is valid" in said, said
    assert f"{taken} is in use by another program" in check("--role", "target", "--pod-listen", taken, "--data-dir", fresh, code=2)
    assert sorted(os.listdir(cluster.dir)) == before # nothing was created
    done = cluster.run(harness.ETLNODE, "--role", "target", "--listen", "0.0.0.0:0", *cluster.secret_arguments, check=False)
    assert done.returncode == 2 and b"--advertise-url" in done.stderr, done


with Cluster(targets=2) as made:
    world["cluster"] = made
    made.image("guard:v1", {"srv.py": SERVER})
    made.bucket("data")
    made.put("data", "o", b"some data")
    harness.run([
        ("a foreign name in Host", case_rebinding),
        ("odd hosts", case_odd_hosts),
        ("wrong endpoints", case_wrong_endpoints),
        ("pages of other origins", case_pages),
        ("names that are ours", case_names_that_are_ours),
        ("names that are allowed", case_names_that_are_allowed),
        ("names of Services", case_names_of_services),
        ("transforms in all modes", case_transforms),
        ("nodes without the secret", case_membership),
        ("the secret is made", case_secret_is_made),
        ("the secret is not made", case_secret_is_not_made),
        ("the secret is wrong", case_secret_is_wrong),
        ("an upgrade without a secret", case_upgrade),
        ("README, running a node", case_readme),
        ("check-config", case_check_config),
    ])
