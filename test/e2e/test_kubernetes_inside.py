#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""manifests/ on a real Kubernetes: proxy and targets in pods, kubectl inside the target's pod, with only its service account's rights.

`make test-kubernetes` runs it; kube.py lists the requirements. The image also needs root and debootstrap. Without a cluster every case is
skipped.
"""
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.parse

import harness
import kube
from harness import Readers, remark, request, until
from kube import NODE, Namespace, kubectl, pod_spec
from test_document import files_of_document

IMAGE = "registry.example/etlnode:test"
NEXT_IMAGE = "registry.example/etlnode:next"  # the same programs with an additional /etc/image-name, to distinguish it from the first
TARGETS = "app.kubernetes.io/name=etlnode,app.kubernetes.io/component=target"
NODES = "app.kubernetes.io/name=etlnode"
MANIFESTS = os.path.join(harness.ROOT, "manifests")
VOLUMES = ("proxy-0", "target-0", "target-1")
OBJECTS = {f"o{i}": bytes([65 + i]) * size for i, size in enumerate((13, 1000, 70_000, 300_000, 1_000_000))}
CLIENT = f"""apiVersion: v1
kind: Pod
metadata:
  name: client
spec:
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  securityContext: {{runAsNonRoot: true, runAsUser: 10001, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: client
      image: {IMAGE}
      command: [sleep, infinity]
      env: [{{name: AIS_ENDPOINT, value: 'http://etlnode-proxy:8080'}}, {{name: HOME, value: /tmp}}]
      securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
"""
world = {}


class Deployment(Namespace):
    """Applies an overlay on manifests/overlays/hostpath with `kubectl apply -k`: another namespace, volumes in a temporary folder."""

    def __enter__(self):
        self.volumes = tempfile.mkdtemp(prefix="etlnode-volumes.", dir="/var/tmp")
        os.chmod(self.volumes, 0o755)
        for volume in VOLUMES:
            os.mkdir(os.path.join(self.volumes, volume), 0o700)
            os.chown(os.path.join(self.volumes, volume), 10001, 10001)
        self.overlay = os.path.join(self.folder, "overlay")
        os.mkdir(self.overlay)
        self.write_overlay(IMAGE)
        try:
            kubectl("apply", "-k", self.overlay)
            self.wait_ready()
            self.apply(CLIENT)
            self.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
        except BaseException:
            remark(self.kubectl("describe", "pods", check=False)[-6000:])
            self.__exit__(None, None, None)
            raise
        kube.resolve_services(self.addresses)
        return self

    def __exit__(self, kind, value, trace):
        kubectl("delete", "-k", self.overlay, "--wait=true", "--timeout=120s", "--ignore-not-found", check=False, timeout=200)
        super().__exit__(kind, value, trace)
        shutil.rmtree(self.volumes, ignore_errors=True)

    def write_overlay(self, image):
        volumes = [{"target": {"kind": "PersistentVolume", "name": "etlnode-" + volume}, "patch": json.dumps([
            {"op": "replace", "path": "/spec/hostPath/path", "value": os.path.join(self.volumes, volume)},
            {"op": "replace", "path": "/spec/claimRef/namespace", "value": self.name},
            {"op": "replace", "path": "/metadata/name", "value": f"{self.name}-{volume}"},
        ])} for volume in VOLUMES]
        with open(os.path.join(self.overlay, "kustomization.yaml"), "w", encoding="utf-8") as file:
            json.dump({
                "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": self.name,
                "resources": [os.path.relpath(os.path.join(MANIFESTS, "overlays/hostpath"), os.path.realpath(self.overlay))],
                "images": [{"name": "registry.example/etlnode", "newName": image.split(":")[0], "newTag": image.split(":")[1]}],
                "patches": volumes,
            }, file)

    def add_volume(self, number):
        """A further volume for a target, as an administrator makes it beside those of the overlay."""
        volume = json.loads(kubectl("get", "persistentvolume", f"{self.name}-target-1", "-o", "json"))
        folder = os.path.join(self.volumes, f"target-{number}")
        os.mkdir(folder, 0o700)
        os.chown(folder, 10001, 10001)
        claim = volume["spec"]["claimRef"]
        volume["metadata"] = {"name": f"{self.name}-target-{number}", "labels": volume["metadata"].get("labels", {})}
        volume["spec"]["hostPath"]["path"] = folder
        volume["spec"]["claimRef"] = {"namespace": self.name, "name": claim["name"].replace("target-1", f"target-{number}")}
        volume.pop("status", None)
        self.kubectl("create", "-f", "-", stdin=json.dumps(volume))
        return volume

    def drop_volume(self, volume):
        self.kubectl("delete", "persistentvolumeclaim", volume["spec"]["claimRef"]["name"], "--wait=true", "--timeout=60s", timeout=90)
        kubectl("delete", "persistentvolume", volume["metadata"]["name"], "--wait=true", "--timeout=60s", timeout=90)

    def scale(self, replicas):
        self.kubectl("scale", "statefulset/etlnode-target", f"--replicas={replicas}")
        until(lambda: len(self.pods(TARGETS)) == replicas, f"{replicas} targets", 90, 0.3)
        self.kubectl("rollout", "status", "statefulset/etlnode-target", "--timeout=120s", timeout=150)

    def targets(self):
        """{number of the pod: (id, state)}, as `etlctl target ls` says."""
        items = json.loads(self.client("etlctl", "target", "ls", "-o", "json"))["items"]
        return {int(re.search(r"etlnode-target-(\d+)\.", item["url"]).group(1)): (item["id"], item["state"]) for item in items}

    def wait_ready(self):
        for name in ("etlnode-proxy", "etlnode-target"):
            self.kubectl("rollout", "status", "statefulset/" + name, "--timeout=120s", timeout=150)
        # The proxy learns of every target by its heartbeat.
        until(lambda: len(self.pods(TARGETS)) == 2, "two targets", 30)

    def addresses(self):
        out = {}
        for pod in self.pods(NODES):
            name, address = pod["metadata"]["name"], pod["status"].get("podIP", "")
            out[f"{name}.etlnode-target.{self.name}.svc"] = address
            if name == "etlnode-proxy-0":
                out[f"etlnode-proxy.{self.name}.svc"] = address
        return out

    def client(self, *words, stdin=None, check=True, timeout=120):
        """Runs a program in the client's pod; bytes in, bytes out."""
        done = subprocess.run(["kubectl", "-n", self.name, "exec", "-i", "client", "--", *words], input=stdin or b"", capture_output=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{words}: exit {done.returncode}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def url(self, path):
        return f"http://etlnode-proxy.{self.name}.svc:8080{path}"


def deployed():
    return world["deployment"]


def init(spec):
    fill()
    return deployed().client("ais", "transform", "init", "-", stdin=spec.encode(), timeout=200).decode().strip()


def stop(etl):
    assert deployed().client("ais", "etl", "stop", etl) == b"ETL containers stopped successfully.\n"
    until(lambda: deployed().pods() == [], "no pod is left", 60, 0.3)


def urls(etl):
    return {deployed().url(f"/v1/objects/life/{name}?uuid={etl}"): body for name, body in OBJECTS.items()}


def all_read_ok(etl):
    try:
        return all(request("GET", url, timeout=20).body == body for url, body in urls(etl).items())
    except OSError:
        return False


def case_every_folder_renders():
    for folder in (".", "node", "overlays/hostpath", "hpull", "monitoring"):
        text = kubectl("kustomize", os.path.join(MANIFESTS, folder))
        kinds = re.findall(r"^kind: (\w+)", text, re.M)
        remark(f"{folder}: {' '.join(kinds)}")
        assert kinds and ("ServiceMonitor" in kinds) == (folder == "monitoring"), kinds
        if folder != "monitoring":
            kubectl("apply", "--dry-run=client", "-f", "-", stdin=text)


def case_the_document():
    server, spec = files_of_document()
    kube.put_document_image(server)
    d = deployed()
    remark(d.kubectl("get", "pods"))
    d.client("sh", "-c", "cat > /tmp/spec.yaml", stdin=spec.encode())
    etl = d.client("ais", "transform", "init", "/tmp/spec.yaml").decode().strip()
    remark(d.kubectl("get", "pods"))
    pods = d.pods()
    assert len(pods) == 2 and all(re.fullmatch(rf"transformer-md5-[a-z0-9]{{5}}-{NODE}", p["metadata"]["name"]) for p in pods), pods
    assert d.client("ais", "create", "bucket", "transform") == b""
    assert d.client("sh", "-c", 'echo "some text :)" | ais put - transform/shard.in') == b""
    assert d.client("ais", "etl", "object", etl, "transform/shard.in", "-") == b"393c6706efb128fbc442d3f7d084a426"
    assert d.client("ais", "etl", "stop", etl) == b"ETL containers stopped successfully.\n"
    until(lambda: d.pods() == [], "no pod is left", 30, 0.3)
    remark("after stop:\n" + d.kubectl("get", "pods"))


def fill():
    """The objects that most cases read, stored on first use."""
    if "filled" in world:
        return
    world["filled"] = True
    deployed().client("ais", "create", "bucket", "life")
    for name, body in OBJECTS.items():
        deployed().client("ais", "put", "-", "life/" + name, stdin=body)


def case_three_modes():
    d = deployed()
    for program, mode in (("echo.py", "hpush://"), ("pull.py", "hrev://"), ("pull.py", "hpull://")):
        etl = init(pod_spec("modes", program, mode=mode, wait="90s"))
        for name, body in OBJECTS.items():
            assert d.client("ais", "etl", "object", etl, "life/" + name, "-") == body, (mode, name)
        assert all_read_ok(etl), mode
        stop(etl)


def case_node_ports():
    """With manifests/hpull: the permission, and network access. Without it, the start says what is missing."""
    d = deployed()
    fill()
    spec = pod_spec("ported", "pull.py", mode="hpull://", wait="90s", annotations={"hpull_address": "node_port"})
    said = d.client("sh", "-c", "ais transform init - 2>&1", stdin=spec.encode(), check=False, timeout=60).decode()
    remark(said[:500])
    assert "the Role needs verbs [create] on services" in said, said
    until(lambda: d.pods() == [], "no pod is left", 30, 0.3)
    text = kubectl("kustomize", os.path.join(MANIFESTS, "hpull")).replace("namespace: etlnode\n", f"namespace: {d.name}\n")
    d.kubectl("apply", "-f", "-", stdin=text)
    ask = ["auth", "can-i", "get", "services", "--as", f"system:serviceaccount:{d.name}:etlnode-target"]
    until(lambda: d.kubectl(*ask, check=False).strip() == "yes", "the right is there", 20, 0.3)
    etl = init(spec)
    for name, body in OBJECTS.items():
        first = request("GET", d.url(f"/v1/objects/life/{name}?uuid={etl}"), follow=False)
        hop = request("GET", first.headers["Location"], follow=False)
        port = urllib.parse.urlsplit(hop.headers["Location"]).port
        assert 30000 <= port <= 32767, hop.headers["Location"]
        assert request("GET", hop.headers["Location"]).body == body, name
    stop(etl)
    until(lambda: d.kubectl("get", "services", "-l", kube.OF_ETL, "-o", "name") == "", "no Service is left", 60, 0.3)
    d.kubectl("delete", "-f", "-", stdin=text)


def case_what_an_etl_pod_may_do():
    d = deployed()
    enforced = json.loads(kubectl("get", "namespace", d.name, "-o", "json"))["metadata"]["labels"]
    assert enforced["pod-security.kubernetes.io/enforce"] == "restricted", enforced
    etl = init(pod_spec("humble", "show.py", wait="90s", extra="      resources: {requests: {cpu: 10m, memory: 32Mi}, limits: {memory: 64Mi}}\n"))
    targets = {p["metadata"]["uid"]: p["metadata"]["name"] for p in d.pods(TARGETS)}
    for pod in d.pods():
        owner = pod["metadata"]["ownerReferences"][0]
        assert targets[owner["uid"]] == owner["name"] and owner["kind"] == "Pod", owner
        spec = pod["spec"]
        assert spec["nodeName"] == NODE and spec["automountServiceAccountToken"] is False
        assert spec["containers"][0]["resources"] == {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}
        labels = pod["metadata"]["labels"]
        assert {"name", "instance", "component", "part-of", "managed-by"} <= {k.removeprefix("app.kubernetes.io/") for k in labels}, labels
    seen = json.loads(d.client("ais", "etl", "object", etl, "life/o0", "-"))
    assert seen["token"] is None, "an ETL pod has no token"
    assert seen["uid"] != 0, seen
    stop(etl)


def case_what_the_namespace_forbids():
    """A spec that exceeds `restricted` is refused immediately, in the API server's words."""
    done = deployed().client("sh", "-c", "ais transform init - 2>&1", stdin=pod_spec("greedy", wait="5m", extra="  hostNetwork: true\n").encode(), check=False, timeout=60).decode()
    remark(done[:600])
    assert 'violates PodSecurity "restricted' in done and "hostNetwork=true" in done, done
    until(lambda: deployed().pods() == [], "no pod is left", 30, 0.3)


def case_what_a_target_may_do():
    account = f"system:serviceaccount:{deployed().name}:etlnode-target"

    def may(verb, what, *more, namespace=deployed().name):
        return kubectl("-n", namespace, "auth", "can-i", verb, what, *more, "--as", account, check=False).strip() == "yes"

    for verb in ("get", "list", "watch", "create", "delete"):
        assert may(verb, "pods"), verb
        assert not may(verb, "pods", namespace="default"), verb
        assert not may(verb, "secrets") and not may(verb, "configmaps"), verb
    assert may("get", "pods", "--subresource=log")
    for verb in ("create", "get", "list", "delete"): # manifests/hpull is a separate case
        assert not may(verb, "services"), verb
    for verb, subresource in (("create", "exec"), ("create", "attach"), ("create", "portforward"), ("create", "ephemeralcontainers")):
        assert not may(verb, "pods", "--subresource=" + subresource), subresource
    assert not may("patch", "pods") and not may("update", "pods") and not may("create", "serviceaccounts", "--subresource=token")
    for pod in deployed().pods("app.kubernetes.io/component=proxy"):
        assert pod["spec"]["automountServiceAccountToken"] is False, "the proxy asks Kubernetes for nothing"


def case_target_process_restarted():
    """The container of a target ends and is restarted in the same pod: its ETL pods are adopted."""
    d = deployed()
    etl = init(pod_spec("adopted", wait="90s"))
    before = d.uids()
    for pod in d.pods(TARGETS):
        d.kubectl("exec", pod["metadata"]["name"], "--", "sh", "-c", "kill 1")
    restarts = lambda: [p["status"]["containerStatuses"][0]["restartCount"] for p in d.pods(TARGETS)]
    until(lambda: all(count >= 1 for count in restarts()), "both targets were restarted", 60, 0.3)
    d.wait_ready()
    until(lambda: all_read_ok(etl), "the ETL serves again", 60, 0.3)
    assert d.uids() == before, "running pods are adopted, not replaced"
    stop(etl)


def case_target_pod_deleted():
    """Its ETL pod is removed with it, through the owner reference. The target's successor creates a new one, and has the old objects."""
    d = deployed()
    etl = init(pod_spec("owned", wait="90s"))
    owned = {p["metadata"]["ownerReferences"][0]["name"]: p["metadata"]["uid"] for p in d.pods()}
    with Readers(urls(etl)) as readers:
        d.kubectl("delete", "pod", "etlnode-target-0", "--wait=true")
        until(lambda: owned["etlnode-target-0"] not in d.uids(), "its ETL pod is removed", 60, 0.3)
        d.wait_ready()
        until(lambda: len(d.pods()) == 2, "a new ETL pod", 60, 0.3)
        readers.all_good_again(90)
    assert owned["etlnode-target-1"] in d.uids(), "the other target's ETL pod is untouched"
    stop(etl)


def case_rollout_restart():
    """An upgrade: every pod of the node is replaced, one by one. Objects and ETLs survive."""
    d = deployed()
    etl = init(pod_spec("upgraded", wait="90s"))
    before = d.uids(NODES)
    with Readers(urls(etl)) as readers:
        for name in ("etlnode-target", "etlnode-proxy"):
            d.kubectl("rollout", "restart", "statefulset/" + name)
            d.kubectl("rollout", "status", "statefulset/" + name, "--timeout=180s", timeout=200)
        readers.all_good_again(120)
    assert not set(before) & set(d.uids(NODES)) and len(d.uids(NODES)) == 3
    until(lambda: len(d.pods()) == 2, "two ETL pods", 60, 0.3)
    assert all_read_ok(etl)
    assert d.client("ais", "etl", "object", etl, "life/o1", "-") == OBJECTS["o1"]
    stop(etl)


def case_upgrade_to_another_image():
    """The same manifests with another image, and back to the first: the running image changes; objects, ETLs and their readers survive."""
    d = deployed()
    etl = init(pod_spec("across", wait="90s"))
    with Readers(urls(etl)) as readers:
        for image in (NEXT_IMAGE, IMAGE):
            before = d.uids(NODES)
            d.write_overlay(image)
            kubectl("apply", "-k", d.overlay)
            d.wait_ready()
            assert {container["image"] for pod in d.pods(NODES) for container in pod["spec"]["containers"]} == {image}
            assert not set(before) & set(d.uids(NODES)) and len(d.uids(NODES)) == 3
            named = d.kubectl("exec", "etlnode-target-0", "--", "sh", "-c", "cat /etc/image-name || true")
            assert (named.strip() == NEXT_IMAGE) == (image == NEXT_IMAGE), named
            readers.all_good_again(120)
    until(lambda: len(d.pods()) == 2, "two ETL pods", 60, 0.3)
    assert all_read_ok(etl)
    stop(etl)


def case_disruption_budget():
    """A drain of the machine gets one target at a time. As in a drain, no pod is placed on the machine meanwhile; so the first target stays away."""
    d = deployed()
    kubectl("cordon", NODE)
    try:
        said = d.evict("etlnode-target-0")
        assert "Success" in said, said
        said = d.evict("etlnode-target-1")
        remark(said)
        assert "disruption budget" in said, said
    finally:
        kubectl("uncordon", NODE)
    d.wait_ready()
    until(lambda: json.loads(d.kubectl("get", "poddisruptionbudget", "etlnode-target", "-o", "json"))["status"]["disruptionsAllowed"] == 1, "one more may go", 60, 0.3)


def case_target_taken_away():
    """When a target is scaled away, its ETL pod is removed as well. When it returns, an ETL that was stopped meanwhile has no pod there."""
    d = deployed()
    etl = init(pod_spec("scaled", wait="90s"))
    d.kubectl("scale", "statefulset/etlnode-target", "--replicas=1")
    try:
        until(lambda: len(d.pods(TARGETS)) == 1 and len(d.pods()) == 1, "one target and its ETL pod", 90, 0.3)
        remark("stop without one target: " + d.client("sh", "-c", f"ais etl stop {etl} 2>&1", check=False).decode())
        until(lambda: d.pods() == [], "no ETL pod", 60, 0.3)
    finally:
        d.kubectl("scale", "statefulset/etlnode-target", "--replicas=2")
        d.wait_ready()
    until(lambda: json.loads(request("GET", d.url("/v1/etl")).body) == [], "the ETL is forgotten", 60, 0.3)
    assert d.pods() == []


def case_scaled_up_and_down():
    """2 to 4; one is drained, and 4 becomes 3; 3 becomes 2 without a drain, which makes objects unavailable, not lost; and back."""
    d = deployed()
    etl = init(pod_spec("scales", wait="90s"))
    more = {f"more/{i}": bytes([i]) * (1000 * i) for i in range(60)}
    for name, body in more.items():
        d.client("etlctl", "put", "-", "life/" + name, stdin=body)

    def statuses():
        answers = {name: request("GET", d.url("/v1/objects/life/" + name)) for name in more}
        assert all(answer.body == more[name] for name, answer in answers.items() if answer.status == 200)
        return {answer.status for answer in answers.values()}

    def drain(number):
        identity = d.targets()[number][0]
        job = d.client("etlctl", "target", "drain", identity).decode().strip()
        d.client("etlctl", "job", "wait", job, "--timeout", "300s", timeout=330)
        assert d.targets()[number][1] == "maintenance"
        d.client("etlctl", "target", "rm", identity)

    volumes = [d.add_volume(number) for number in (2, 3)]
    with Readers(urls(etl)) as readers:
        d.scale(4)
        until(lambda: [state for _, state in d.targets().values()] == ["active"] * 4, "four targets hold objects", 120, 0.5)
        assert statuses() == {200}
        drain(3)
        d.scale(3)
        until(lambda: 3 not in d.targets(), "the drained one is forgotten", 60, 0.5)
        readers.all_good_again(120)
    assert statuses() == {200}
    d.scale(2)
    until(lambda: d.targets()[2][1].startswith("silent"), "the third is missed", 60, 0.5)
    assert statuses() == {200, 503}
    d.scale(3)
    until(lambda: statuses() == {200}, "all objects are back", 120, 0.5)
    drain(2)
    d.scale(2)
    until(lambda: 2 not in d.targets(), "the third is forgotten", 60, 0.5)
    assert statuses() == {200} and all_read_ok(etl)
    for volume in volumes:
        d.drop_volume(volume)
    d.client("etlctl", "rm", *["life/" + name for name in more])
    stop(etl)


def case_right_to_create_removed():
    d = deployed()
    role = json.loads(d.kubectl("get", "role", "etlnode-target", "-o", "json"))
    whole = json.dumps(role["rules"])
    role["rules"][0]["verbs"].remove("create")
    d.kubectl("replace", "-f", "-", stdin=json.dumps(role))
    try:
        done = subprocess.run(["kubectl", "-n", d.name, "exec", "-i", "client", "--", "ais", "transform", "init", "-"], input=pod_spec("forbidden", wait="60s").encode(),
                              capture_output=True, timeout=120, check=False)
        remark(done.stderr.decode()[:400])
        assert done.returncode != 0 and b"forbidden" in done.stderr and b"create" in done.stderr, done
    finally:
        d.kubectl("patch", "role", "etlnode-target", "--type=json", "-p", f'[{{"op":"replace","path":"/rules","value":{whole}}}]')
    etl = init(pod_spec("allowed", wait="90s"))
    stop(etl)


def case_uninstalled():
    d = deployed()
    etl = init(pod_spec("last", wait="90s"))
    assert etl and len(d.pods()) == 2
    kubectl("delete", "-k", d.overlay, "--wait=true", "--timeout=150s", timeout=200)
    until(lambda: kubectl("get", "namespace", d.name, "-o", "name", check=False) == "", "the namespace and all in it is gone", 120, 0.5)
    assert kubectl("get", "persistentvolumes", "-o", "name").count(d.name) == 0
    assert os.listdir(os.path.join(d.volumes, "target-0")), "the objects are the operator's to remove"


def play():
    cases = [(name[5:].replace("_", " "), function) for name, function in list(globals().items()) if name.startswith("case_")]
    why = kube.NO_CLUSTER or (None if os.getuid() == 0 and shutil.which("debootstrap") else "the image needs root and debootstrap")
    if why:
        def skip():
            raise harness.Skip(why)
        harness.run([(name, skip) for name, _ in cases])
    with tempfile.TemporaryDirectory(dir=harness.BUILD) as folder:
        root = os.path.join(folder, "root")
        subprocess.run([os.path.join(MANIFESTS, "image/rootfs.sh"), root, harness.BUILD], check=True, timeout=900, env=dict(os.environ, KUBECTL=kube.KUBECTL))
        for image in (IMAGE, NEXT_IMAGE):
            kube.put_image(image, root, ["/usr/local/bin/etlnode"])
            with open(os.path.join(root, "etc/image-name"), "w", encoding="utf-8") as file:  # for the second round
                file.write(NEXT_IMAGE)
    kube.put_image(kube.TRANSFORMERS, kube.PROGRAMS)
    with Deployment() as deployment:
        world["deployment"] = deployment
        version = deployment.client("kubectl", "version", "--client", "-o", "json")
        remark(f"namespace {deployment.name}; {kube.versions()}; in the image: {json.loads(version)['clientVersion']['gitVersion']}")
        harness.run(cases, limit=1200)


if __name__ == "__main__":
    play()
