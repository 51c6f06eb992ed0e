# SPDX-License-Identifier: MIT
"""Helpers of the tests on a real Kubernetes: a namespace for the test, images, and the API server's process.

    KUBECONFIG          the cluster; `kubectl` in PATH connects to it as an administrator
    K8S_HOST_NAME       the name of this machine as a node of the cluster
    ETLNODE_POD_HOST    an address of this machine that pods can reach
    ETLNODE_IMAGE       a program that puts an image on the node, called as `$ETLNODE_IMAGE NAME FOLDER ENTRYPOINT...`
    ETLNODE_KUBECTL     the kubectl that targets use (default: kubectl in PATH)
    ETLNODE_API_PID     a file with the process id of the API server, for the case that stops it

`make test-kubernetes` sets them. Without the first four, every case is skipped.
"""
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import harness
import transformers
from harness import until

NODE = os.environ.get("K8S_HOST_NAME", "")
POD_HOST = os.environ.get("ETLNODE_POD_HOST", "")
IMAGE = os.environ.get("ETLNODE_IMAGE", "")
KUBECTL = os.environ.get("ETLNODE_KUBECTL", "")
API_PID = os.environ.get("ETLNODE_API_PID", "")
OF_ETL = "app.kubernetes.io/name=etl"

NO_CLUSTER = None if NODE and POD_HOST and IMAGE and os.environ.get("KUBECONFIG") else \
    "no Kubernetes is set up (KUBECONFIG, K8S_HOST_NAME, ETLNODE_POD_HOST, ETLNODE_IMAGE): make test-kubernetes"

PROGRAMS = {
    "echo.py": transformers.ECHO_PUT.replace("do_PUT", "do_POST"),
    "chunked.py": transformers.ECHO_CHUNKED,
    "echo2020.py": transformers.ECHO_2020,
    "pull.py": transformers.PULL,
    "show.py": transformers.SHOW,
    "exits.py": "#!/usr/bin/env python3\nimport sys\nprint('my last words', flush=True)\nsys.exit(3)\n",
    "deaf.py": "#!/usr/bin/env python3\nimport time\nprint('I do not listen', flush=True)\ntime.sleep(600)\n",
}
TRANSFORMERS = "test/transformers:1"


def kubectl(*arguments, check=True, stdin=None, timeout=90):
    done = subprocess.run(["kubectl", *arguments], input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True, text=True,
                          timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"kubectl {' '.join(arguments)}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def put_image(name, files, entrypoint=()):
    """files: {path: text}, all executable, or the path of a folder."""
    if isinstance(files, str):
        subprocess.run([*IMAGE.split(), name, files, *entrypoint], check=True, timeout=900, stdout=subprocess.DEVNULL)
        return
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(folder + "/usr/local/bin")
        os.symlink("/usr/bin/python3", folder + "/usr/local/bin/python")
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
            with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(os.path.join(folder, path), 0o755)
        os.chmod(folder, 0o755)
        put_image(name, folder, entrypoint)


def put_document_image(server):
    """The image that `docker build` creates from the document's Dockerfile."""
    put_image("quay.io/user/md5_server:v1", {"code/server.py": server}, ["/code/server.py", "--listen", "0.0.0.0", "--port", "80"])


class Namespace:
    """A temporary namespace, and a kubeconfig that selects it."""

    def __init__(self, name=None, labels=()):
        self.name = name or "etlnode-test-" + secrets.token_hex(3)
        self.labels = labels
        self.folder = tempfile.mkdtemp(prefix="etlnode-kube.")
        self.kubeconfig = os.path.join(self.folder, "kubeconfig")

    def __enter__(self):
        kubectl("create", "namespace", self.name)
        for label in self.labels:
            kubectl("label", "namespace", self.name, label)
        with open(self.kubeconfig, "w", encoding="utf-8") as file:
            os.chmod(self.kubeconfig, 0o600)
            file.write(kubectl("config", "view", "--raw", "--flatten", "--minify"))
        kubectl("--kubeconfig", self.kubeconfig, "config", "set-context", "--current", "--namespace=" + self.name)
        until(lambda: kubectl("-n", self.name, "get", "serviceaccount", "default", "-o", "name", check=False), "the namespace's service account", 30)
        return self

    def __exit__(self, kind, value, trace):
        kubectl("delete", "namespace", self.name, "--wait=true", "--timeout=120s", check=False, timeout=150)
        shutil.rmtree(self.folder, ignore_errors=True)

    def kubectl(self, *arguments, **rest):
        return kubectl("-n", self.name, *arguments, **rest)

    def apply(self, text):
        return self.kubectl("apply", "-f", "-", stdin=text)

    def pods(self, selector=OF_ETL):
        """Pods that are not being deleted."""
        items = json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
        return [p for p in items if not p["metadata"].get("deletionTimestamp")]

    def evict(self, name):
        """Evicts a pod, as a drain does. Returns the API server's answer."""
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": self.name}}
        done = subprocess.run(["kubectl", "create", "--raw", f"/api/v1/namespaces/{self.name}/pods/{name}/eviction", "-f", "-"], input=json.dumps(eviction),
                              capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def uids(self, selector=OF_ETL):
        return sorted(p["metadata"]["uid"] for p in self.pods(selector))


def service_account_kubeconfig(namespace, account):
    """A kubeconfig with the permissions of the service account only."""
    token = namespace.kubectl("create", "token", account).strip()
    path = os.path.join(namespace.folder, account + ".kubeconfig")
    with open(namespace.kubeconfig, encoding="utf-8") as source, open(path, "w", encoding="utf-8") as file:
        os.chmod(path, 0o600)
        file.write(source.read())
    user = kubectl("--kubeconfig", path, "config", "view", "-o", "jsonpath={.contexts[0].context.user}")
    kubectl("--kubeconfig", path, "config", "unset", "users")
    kubectl("--kubeconfig", path, "config", "set-credentials", user, "--token=" + token)
    return path


class Outside(harness.Cluster):
    """Nodes as processes of this machine, with their pods in a namespace of the cluster."""

    def __init__(self, namespace, targets=2, kubeconfig=None, **rest):
        self.namespace = namespace
        arguments = ["--pod-listen", POD_HOST + ":0"] + (["--kubectl", KUBECTL] if KUBECTL else [])
        super().__init__(targets=targets, target_arguments=arguments,
                         extra_env={"K8S_HOST_NAME": NODE, "KUBECONFIG": kubeconfig or namespace.kubeconfig}, **rest)

    def add_target(self, number):
        node = super().add_target(number)
        at = node.arguments.index("--pod-listen") + 1
        node.arguments[at] = f"{POD_HOST}:{node.announced['pod_port']}"
        return node

    def pods(self):
        return self.namespace.pods()


def pod_spec(name, program="echo.py", port=8000, **rest):
    return harness.pod_spec(name, TRANSFORMERS, port=port, command=[f"/{program}", str(port)], **rest)


class ApiServer:
    """Stops the API server's process and restarts it unchanged, by its process id in a file."""

    def __init__(self):
        if not API_PID:
            raise harness.Skip("where the API server's process is, is not known (ETLNODE_API_PID)")
        with open(API_PID, encoding="ascii") as file:
            self.pid = int(file.read())
        with open(f"/proc/{self.pid}/cmdline", "rb") as file:
            self.command = [word.decode() for word in file.read().split(b"\0")[:-1]]
        self.folder = os.readlink(f"/proc/{self.pid}/cwd")

    def stop(self):
        os.kill(self.pid, signal.SIGKILL)
        until(lambda: not kubectl("get", "--raw", "/livez", "--request-timeout=2s", check=False), "the API server is gone", 20)

    def start(self):
        log = open(os.path.join(os.path.dirname(API_PID), "log", "kube-apiserver.log"), "ab")
        process = subprocess.Popen(self.command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        self.pid = process.pid
        with open(API_PID, "w", encoding="ascii") as file:
            file.write(f"{process.pid}\n")
        until(lambda: kubectl("get", "--raw", "/readyz", "--request-timeout=2s", check=False) == "ok", "the API server is ready", 90, 0.5)


class EmptyRegistry:
    """A registry on this machine's loopback without any image: it answers 404 to every request."""

    def __enter__(self):
        import http.server

        class Nothing(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
                self.send_response(200 if self.path == "/v2/" else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"localhost:{self.server.server_port}"

    def __exit__(self, kind, value, trace):
        self.server.shutdown()
        self.server.server_close()


def resolve_services(addresses):
    """From now on this process resolves the names in `addresses()` (a function: {name: address}), like a client inside the cluster."""
    original = socket.getaddrinfo
    lock = threading.Lock()
    known = {"at": 0.0}

    def getaddrinfo(host, *rest, **more):
        if isinstance(host, str) and host.endswith(".svc"):
            with lock:
                if time.monotonic() - known["at"] > 1:
                    known.update(names=addresses(), at=time.monotonic())
                if not known["names"].get(host):
                    raise socket.gaierror(socket.EAI_NONAME, "no such pod now")
                host = known["names"][host]
        return original(host, *rest, **more)

    socket.getaddrinfo = getaddrinfo


def versions():
    def client(program):
        text = subprocess.run([program, "version", "--client", "-o", "json"], capture_output=True, text=True, timeout=30, check=True).stdout
        return json.loads(text)["clientVersion"]["gitVersion"]
    server = json.loads(kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
    return f"server {server}, kubectl of the targets {client(KUBECTL or 'kubectl')}"
