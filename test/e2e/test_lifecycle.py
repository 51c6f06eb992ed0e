#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The life of an ETL with real processes: all failures, pods that die and recover, restarts of every node, no leftovers."""
import base64
import json
import os
import signal
import socket
import subprocess
import time

import harness
import transformers
from harness import Cluster, Readers, pod_spec, remark, request, until

world = {}


def cluster():
    return world["cluster"]


def spec(name, image="test/echo:1", **rest):
    return pod_spec(name, image, **rest)


def fails(text, *words, within=20.0):
    began = time.monotonic()
    answer = cluster().init(text, check=False)
    took = time.monotonic() - began
    assert answer.status == 400, answer
    message = answer.json["message"]
    for word in words:
        assert word in message, (word, message)
    assert took < within * harness.PATIENCE, f"took {took:.1f} s"
    until(lambda: cluster().pods() == [], "no pod is left")
    assert request("GET", cluster().url("/v1/etl")).json == []
    return message


def case_image_missing():
    message = fails(spec("nopic", "test/does-not-exist:1", wait="60s"), "test/does-not-exist:1", within=15)
    assert "target" in message, message


def case_invalid_image_name():
    fails(spec("badpic", "Not A Name!", wait="60s"), within=15)


def case_keeps_exiting():
    cluster().image("test/exits:1", {"srv.py": "#!/usr/bin/env python3\nimport sys\nprint('my last words')\nsys.exit(3)\n"}, ["/srv.py"])
    fails(spec("exits", "test/exits:1", wait="60s"), "my last words", "3", within=40)


def case_exits_and_never_restarts():
    fails(spec("once", "test/exits:1", wait="60s", extra="  restartPolicy: Never\n"), "my last words", within=20)


def case_never_ready():
    cluster().image("test/deaf:1", {"srv.py": "#!/usr/bin/env python3\nimport time\nprint('I do not listen', flush=True)\ntime.sleep(600)\n"}, ["/srv.py"])
    fails(spec("deaf", "test/deaf:1", wait="3s"), "timeout", "I do not listen", within=20)


def case_command_missing():
    fails(spec("nocmd", command=["/no/such/command"], wait="30s"), "/no/such/command", within=30)


def case_unknown_ids():
    for method, path in (("DELETE", "/v1/etl/stop/NoSuchEtl0"), ("GET", "/v1/etl/NoSuchEtl0"), ("GET", "/v1/etl/logs/NoSuchEtl0"), ("DELETE", "/v1/etl/NoSuchEtl0"),
                         ("POST", "/v1/etl/NoSuchEtl0/start"), ("POST", "/v1/etl/NoSuchEtl0/stop")):
        answer = request(method, cluster().url(path))
        assert answer.status == 404 and "etl job" in answer.text and "does not exist" in answer.text, (path, answer)


def read_ok(etl, name="o"):
    answer = cluster().get("life", name, "uuid=" + etl)
    return answer.status == 200 and answer.body == b"content of " + name.encode()


def case_list_show_logs_stop():
    etl = cluster().init(spec("listed"))
    listed = request("GET", cluster().url("/v1/etl/list")).json
    assert [e["id"] for e in listed] == [etl] and listed[0]["name"] == "listed", listed
    today = request("GET", cluster().url("/v1/etl")).json
    assert today[0]["id"] == etl and today[0]["stage"] == "Running", today
    shown = request("GET", cluster().url("/v1/etl/" + etl)).json
    assert shown["init_msg"] and not any("pod" in target for target in shown["targets"]), shown
    made = {target["pod_name"]: json.loads(target["pod"]) for target in request("GET", cluster().url(f"/v1/etl/{etl}?pods=true")).json["targets"]}
    assert len(made) == 2, made
    for pod in cluster().pods():
        told, true = made[pod["metadata"]["name"]], pod
        assert told["metadata"]["labels"] == true["metadata"]["labels"] and told["metadata"]["annotations"]["etlnode/launch"] == true["metadata"]["annotations"]["etlnode/launch"], told
        assert told["spec"]["securityContext"] == true["spec"]["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}, told
        assert told["spec"]["containers"][0]["securityContext"] == true["spec"]["containers"][0]["securityContext"], told
        address = [v["value"] for v in told["spec"]["containers"][0]["env"] if v["name"] == "AIS_TARGET_URL"][0]
        assert address.endswith(f"/{etl}/SECRET"), address
    yaml = cluster().run("etlctl", "etl", "show", etl, "-o", "yaml").stdout.decode()
    assert "manifest:" in yaml and "RuntimeDefault" in yaml and "\nspec:" in yaml, yaml
    logs = request("GET", cluster().url("/v1/etl/logs/" + etl)).json
    assert len(logs) == 2 and all("logs" in l and "target_id" in l for l in logs), logs
    one = request("GET", cluster().url(f"/v1/etl/{etl}/logs/{logs[0]['target_id']}")).json
    assert len(one) == 1, one
    health = request("GET", cluster().url(f"/v1/etl/{etl}/health")).json
    assert len(health) == 2 and all(h["health_status"] == "Running" for h in health), health
    assert read_ok(etl) and read_ok("listed")
    cluster().stop_etl(etl)
    assert cluster().pods() == []
    assert cluster().get("life", "o", "uuid=" + etl).status == 404


def case_etl_of_today():
    cluster().image("test/today:1", {"srv.py": transformers.ECHO_PUT.replace("serve(H)", "H.do_GET = lambda self: (self.send_response(200), self.send_header('Content-Length', '0'), self.end_headers())\nserve(H)")}, ["/srv.py", "8000"])
    body = json.dumps({"name": "today-echo", "communication": "hpush://", "init_timeout": "20s", "obj_timeout": "10s", "support_direct_put": True,
                       "runtime": {"image": "test/today:1", "env": [{"name": "A", "value": "b"}]}})
    answer = request("PUT", cluster().url("/v1/etl"), body.encode())
    assert answer.status == 200 and len(answer.text) >= 9, answer
    again = request("PUT", cluster().url("/v1/etl"), body.encode())
    assert again.status == 409 and "etl job" in again.text and "already exists" in again.text, again
    got = cluster().get("life", "o", "etl_name=today-echo")
    assert got.status == 200 and got.body == b"content of o", got
    assert request("POST", cluster().url("/v1/etl/today-echo/stop")).status == 200
    assert cluster().pods() == []
    assert request("GET", cluster().url("/v1/etl")).json[0]["stage"] == "Aborted"
    assert cluster().get("life", "o", "etl_name=today-echo").status == 404
    assert request("POST", cluster().url("/v1/etl/today-echo/start")).status == 200
    assert cluster().get("life", "o", "etl_name=today-echo").status == 200
    assert request("DELETE", cluster().url("/v1/etl/today-echo")).status == 200
    assert cluster().pods() == [] and request("GET", cluster().url("/v1/etl")).json == []


def case_container_killed_while_serving():
    etl = cluster().init(spec("killed"))
    assert read_ok(etl)
    for pod in cluster().pods():
        pid = harness.container_pid(pod["metadata"]["name"])
        assert pid, pod["metadata"]["name"]
        os.kill(pid, signal.SIGKILL)
    until(lambda: read_ok(etl), "the ETL serves again", 30)
    assert len(cluster().pods()) == 2
    restarts = [p["status"]["containerStatuses"][0]["restartCount"] for p in cluster().pods()]
    until(lambda: sum(p["status"]["containerStatuses"][0]["restartCount"] for p in cluster().pods()) >= 2, f"both restarted ({restarts})", 20)
    cluster().stop_etl(etl)


def case_pod_deleted_while_serving():
    etl = cluster().init(spec("deleted"))
    before = {p["metadata"]["uid"] for p in cluster().pods()}
    for pod in cluster().pods():
        cluster().run("kubectl-local", "delete", "pod", pod["metadata"]["name"], "--now")
    until(lambda: len({p["metadata"]["uid"] for p in cluster().pods()} - before) == 2, "new pods", 30)
    until(lambda: read_ok(etl), "the ETL serves again", 30)
    cluster().stop_etl(etl)


def case_target_killed():
    etl = cluster().init(spec("adopted"))
    before = sorted(p["metadata"]["uid"] for p in cluster().pods())
    for target in cluster().targets:
        target.kill(signal.SIGKILL)
        target.start()
    cluster().wait_registered()
    until(lambda: all_names_ok(etl), "the ETL serves again", 30)
    assert sorted(p["metadata"]["uid"] for p in cluster().pods()) == before, "running pods are adopted, not replaced"
    cluster().stop_etl(etl)
    assert cluster().pods() == []


def all_names_ok(etl):
    return all(read_ok(etl, name) for name in ("o", "p", "q", "r", "s", "t"))


def case_proxy_killed():
    etl = cluster().init(spec("survivor"))
    cluster().proxy.kill(signal.SIGKILL)
    for target in cluster().targets:  # reads continue without the proxy
        assert request("GET", target.url + "/v1/health").status == 200
    cluster().proxy.start()
    cluster().wait_registered()
    assert [e["id"] for e in request("GET", cluster().url("/v1/etl")).json] == [etl]
    assert all_names_ok(etl)
    cluster().stop_etl(etl)


def children_of(pid, word):
    found = []
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{other}/stat", encoding="ascii", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            with open(f"/proc/{other}/cmdline", "rb") as file:
                command = file.read()
        except OSError:
            continue
        if parent == pid and word.encode() in command:
            found.append(int(other))
    return found


def case_watch_killed():
    etl = cluster().init(spec("unwatched"))
    for target in cluster().targets:
        watches = until(lambda: children_of(target.pid, "--watch"), "a resident watch")
        for pid in watches:
            os.kill(pid, signal.SIGKILL)
    for pod in cluster().pods():
        os.kill(harness.container_pid(pod["metadata"]["name"]), signal.SIGKILL)
    until(lambda: all_names_ok(etl), "the ETL serves again", 30)
    cluster().stop_etl(etl)
    assert cluster().pods() == []


def case_supervisor_killed():
    etl = cluster().init(spec("orphaned"))
    for pod in cluster().pods():
        container = harness.container_pid(pod["metadata"]["name"])
        pid = container
        while True:  # up to the process that runs the pod
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                pid = int(file.read().rpartition(")")[2].split()[1])
            assert pid > 1, "no supervisor above the container"
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"kubectl-local" in file.read().split(b"\0")[0]:
                    break
        os.kill(pid, signal.SIGKILL)
    until(lambda: all_names_ok(etl), "the ETL serves again", 30)
    assert len(cluster().pods()) == 2
    cluster().stop_etl(etl)
    assert cluster().pods() == []


def case_proxy_killed_while_initializing():
    import threading
    result = {}
    def init():
        try:
            result["answer"] = cluster().init(spec("halfway", "test/deaf:1", wait="60s"), check=False)
        except Exception as error:
            result["error"] = error
    thread = threading.Thread(target=init)
    thread.start()
    until(lambda: len(cluster().pods()) == 2, "pods are being started")
    cluster().proxy.kill(signal.SIGKILL)
    thread.join(10)
    assert "error" in result, result
    until(lambda: cluster().pods() == [], "the targets remove what nobody waits for any more", 30)
    cluster().proxy.start()
    cluster().wait_registered()
    until(lambda: request("GET", cluster().url("/v1/etl")).json == [], "the ETL is forgotten")
    assert cluster().pods() == []


def case_proxy_stopped_while_initializing():
    """A named start that the proxy's orderly end breaks off: its caller is told, so that nothing of it stays. It may be repeated."""
    import threading
    result = {}
    name = "broken-off"
    body = json.dumps({"name": name, "communication": "hpush://", "init_timeout": "90s", "spec": base64.b64encode(spec(name, "test/deaf:1").encode()).decode()})
    thread = threading.Thread(target=lambda: result.update(answer=request("PUT", cluster().url("/v1/etl"), body.encode())))
    thread.start()
    until(lambda: len(cluster().pods()) == 2, "pods are being started")
    assert cluster().proxy.kill(signal.SIGTERM) == 0
    thread.join(60)
    assert result["answer"].status == 503 and "the proxy is shutting down" in result["answer"].text, result
    cluster().proxy.start()
    cluster().wait_registered()
    assert request("GET", cluster().url("/v1/etl")).json == []
    until(lambda: cluster().pods() == [], "the pods are removed", 30)


def case_stopped_during_a_silent_read():
    """A stop waits for reads in flight, but not for ever. The read that it breaks off says so, and does not blame the pod."""
    import concurrent.futures
    cluster().image("test/later:1", {"srv.py": transformers.HOSTILE}, ["/srv.py", "80"])
    etl = cluster().init(spec("silent", "test/later:1", annotations={"obj_timeout": "1m"}))
    cluster().put("life", "hang", b"x")
    holder = cluster().holder("life", "hang")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reading = pool.submit(cluster().get, "life", "hang", "uuid=" + etl)
        until(lambda: "etlnode_transfers_in_flight 1\n" in request("GET", holder.url + "/metrics").text, "the read is on its way")
        cluster().stop_etl(etl)
        answer = reading.result()
    assert answer.status == 502 and answer.json["message"] == f"ETL error: etl job {etl} is being stopped, and its pod ended before it had answered", answer
    assert cluster().pods() == []


def case_target_killed_while_initializing():
    import threading
    result = {}
    thread = threading.Thread(target=lambda: result.update(answer=cluster().init(spec("halfway-there", "test/deaf:1", wait="60s"), check=False)))
    thread.start()
    until(lambda: len(cluster().pods()) == 2, "pods are being started")
    killed = cluster().targets[1]
    killed.kill(signal.SIGKILL)
    thread.join(60)
    killed.start()
    assert result["answer"].status == 503 and "does not answer" in result["answer"].text, result
    cluster().wait_registered()
    until(lambda: cluster().pods() == [], "its pods are removed, also by the target that came back", 30)
    assert request("GET", cluster().url("/v1/etl")).json == []


def case_stopped_by_somebody_else_while_initializing():
    import threading
    result = {}
    name = "called-off"
    body = json.dumps({"name": name, "communication": "hpush://", "init_timeout": "90s", "spec": base64.b64encode(spec(name, "test/deaf:1").encode()).decode()})
    thread = threading.Thread(target=lambda: result.update(answer=request("PUT", cluster().url("/v1/etl"), body.encode())))
    thread.start()
    until(lambda: len(cluster().pods()) == 2, "pods are being started")
    request("POST", cluster().url("/v1/buckets/meanwhile"), json.dumps({"action": "create-bck"}).encode())  # another version of the document, which still contains the start
    assert len(cluster().pods()) == 2 and "answer" not in result
    stopped = request("DELETE", cluster().url(f"/v1/etl/{name}"))
    assert stopped.status == 200 and cluster().pods() == [], stopped
    thread.join(60)
    assert result["answer"].status == 400 and "was stopped before its pod was Ready" in result["answer"].text, result
    assert request("GET", cluster().url("/v1/etl")).json == []
    request("DELETE", cluster().url("/v1/buckets/meanwhile"), json.dumps({"action": "destroy-bck"}).encode())


def case_caller_hangs_up():
    import urllib.parse
    parts = urllib.parse.urlsplit(cluster().proxy.url)
    body = spec("hangup", "test/deaf:1", wait="60s").encode()
    with socket.create_connection((parts.hostname, parts.port)) as conn:
        conn.sendall(b"POST /v1/etl/init HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        until(lambda: len(cluster().pods()) == 2, "pods are being started")
    until(lambda: cluster().pods() == [], "they are rolled back", 30)
    until(lambda: request("GET", cluster().url("/v1/etl")).json == [], "the ETL is forgotten")


def case_one_target_down_rolls_back():
    down = cluster().targets[1]
    down.kill(signal.SIGKILL)
    answer = cluster().init(spec("partial", wait="5s"), check=False)
    assert answer.status >= 400, answer
    until(lambda: [p for p in cluster().pods()] == [], "no pod is left on the other target", 30)
    down.start()
    cluster().wait_registered()
    assert cluster().pods() == []


def case_several_at_once():
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda i: cluster().init(spec(f"many{i}", wait="60s")), range(4)))
    assert len(set(ids)) == 4 and len(cluster().pods()) == 8
    for etl in ids:
        assert read_ok(etl)
        cluster().stop_etl(etl)
    assert cluster().pods() == []


def case_busy_pod_does_not_disturb_another_etl():
    crash = cluster().init(spec("steady"))
    cluster().image("test/later:1", {"srv.py": transformers.HOSTILE}, ["/srv.py", "80"])
    other = cluster().init(spec("crashy", "test/later:1", annotations={"obj_timeout": "30s"}))
    cluster().put("life", "die-in-body", b"x")
    try:
        cluster().get("life", "die-in-body", "uuid=" + other)
    except Exception:
        pass
    assert all_names_ok(crash)
    for etl in (crash, other):
        cluster().stop_etl(etl)


def reads(etl, nodes=None):
    nodes = nodes or cluster()
    return {nodes.url(f"/v1/objects/life/{name}?uuid={etl}"): b"content of " + name.encode() for name in ("o", "p", "q", "r", "s", "t")}


def case_pods_deleted_under_load():
    etl = cluster().init(spec("loaded", "test/put:1"))
    before = {p["metadata"]["uid"] for p in cluster().pods()}
    with Readers(reads(etl)) as readers:
        for pod in cluster().pods():
            cluster().run("kubectl-local", "delete", "pod", pod["metadata"]["name"], "--now")
        until(lambda: len({p["metadata"]["uid"] for p in cluster().pods()} - before) == 2, "new pods", 30)
        readers.all_good_again()
    cluster().stop_etl(etl)
    assert cluster().pods() == []


def case_containers_killed_under_load():
    etl = cluster().init(spec("shot", "test/put:1"))
    before = sorted(p["metadata"]["uid"] for p in cluster().pods())
    with Readers(reads(etl)) as readers:
        for pod in cluster().pods():
            os.kill(harness.container_pid(pod["metadata"]["name"]), signal.SIGKILL)
        until(lambda: all(p["status"]["containerStatuses"][0]["restartCount"] == 1 for p in cluster().pods()), "both restarted", 30)
        readers.all_good_again()
    assert sorted(p["metadata"]["uid"] for p in cluster().pods()) == before, "the same pods"
    cluster().stop_etl(etl)


def case_target_gone_and_back():
    etl = cluster().init(spec("leftbehind"))
    gone = cluster().targets[1]
    gone.kill(signal.SIGKILL)
    answer = request("DELETE", cluster().url(f"/v1/etl/stop/{etl}"))
    assert answer.status == 202 and "still being removed" in answer.text, answer
    assert len(cluster().pods()) == 1, "the pod of the target that is away is nobody's yet"
    gone.start()
    cluster().wait_registered()
    until(lambda: cluster().pods() == [], "the target that came back removes it", 30)
    until(lambda: request("GET", cluster().url("/v1/etl")).json == [], "the ETL is forgotten")


def case_twenty_at_once():
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        began = time.monotonic()
        ids = list(pool.map(lambda i: cluster().init(spec(f"crowd{i}", wait="90s")), range(20)))
        remark(f"20 ETLs, 40 pods: {time.monotonic() - began:.0f} s")
        assert len(set(ids)) == 20 and len(cluster().pods()) == 40
        assert all(pool.map(read_ok, ids))
        list(pool.map(cluster().stop_etl, ids))
    assert cluster().pods() == []


def shown(etl, nodes=None):
    answer = (nodes or cluster()).get("life", "o", "uuid=" + etl)
    assert answer.status == 200, answer
    return answer.json


def case_readiness_probe_of_the_user():
    text = spec("probed", "test/show:1").replace("      ports:", "      readinessProbe: {httpGet: {path: /health, port: 80}, periodSeconds: 1}\n      ports:")
    etl = cluster().init(text)
    assert shown(etl)["age"] > 2, "it was asked before its probe said so"
    cluster().stop_etl(etl)


def case_env_volumes_and_init_container():
    words = os.path.join(cluster().dir, "words")
    os.mkdir(words)
    with open(os.path.join(words, "word"), "w", encoding="ascii") as file:
        file.write("configured")
    cluster().allow(f"hostPaths: [{{path: '{words}'}}]\n")
    etl = cluster().init(spec("rich", "test/show:1", extra=f"""      env:
        - {{name: GREETING, value: good morning}}
        - {{name: AIS_TARGET_URL, value: 'http://not.this.one'}}
      volumeMounts:
        - {{name: scratch, mountPath: /scratch}}
        - {{name: words, mountPath: /words, readOnly: true}}
      readinessProbe: {{httpGet: {{path: /health, port: 80}}, periodSeconds: 1}}
  initContainers:
    - name: first
      image: test/show:1
      command: [python3, -c, "open('/scratch/made', 'w').write('made')"]
      volumeMounts:
        - {{name: scratch, mountPath: /scratch}}
  volumes:
    - {{name: scratch, emptyDir: {{}}}}
    - {{name: words, hostPath: {{path: '{words}', type: Directory}}}}
"""))
    seen = shown(etl)
    assert (seen["greeting"], seen["config"], seen["scratch"]) == ("good morning", "configured", "made"), seen
    assert "/v1/etl/_object/" in seen["url"], seen["url"]
    cluster().stop_etl(etl)


def case_init_container_fails():
    fails(spec("badinit", wait="60s", extra="""  initContainers:
    - name: first
      image: test/echo:1
      command: [python3, -c, "print('I cannot begin'); raise SystemExit(5)"]
"""), "I cannot begin", "exit code 5", within=40)


def case_host_network():
    # Two pods with the same port do not fit on one machine, so use one target.
    with Cluster(targets=1, target_arguments=["--allow-host-network"]) as lone:
        lone.image("test/put:1", {"srv.py": transformers.ECHO_PUT}, ["/srv.py"])
        lone.bucket("life")
        lone.put("life", "o", b"content of o")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        etl = lone.init(pod_spec("hostnet", "test/put:1", port=port, command=["/srv.py", str(port)], extra="  hostNetwork: true\n"))
        assert lone.get("life", "o", "uuid=" + etl).body == b"content of o"
        lone.stop_etl(etl)
        assert lone.pods() == []


def case_node_port():
    """On a single machine there is nothing to expose: clients are redirected to the address that kubectl-local gives the pod."""
    etl = cluster().init(spec("ported", "test/pull:1", mode="hpull://", annotations={"hpull_address": "NodePort"}))
    shown = request("GET", cluster().url(f"/v1/etl/{etl}")).json
    assert shown["hpull_address"] == "node_port", shown
    rows = shown["targets"]
    assert all(row["client_url"] == "http://" + row["address"] for row in rows), rows
    for key in ("o", "p", "q", "r", "s", "t"):
        at_target = request("GET", cluster().url(f"/v1/objects/life/{key}"), follow=False).headers["Location"]
        hop = request("GET", at_target + ("&" if "?" in at_target else "?") + "uuid=" + etl, follow=False)
        assert hop.status == 307 and any(hop.headers["Location"].startswith(row["client_url"] + "/life/") for row in rows), (hop, rows)
        got = cluster().get("life", key, "uuid=" + etl)
        assert got.body == b"content of " + key.encode() and got.headers["X-From-Pod"] == "yes", got
    cluster().stop_etl(etl)
    assert cluster().pods() == []


def case_kubectl_missing():
    with Cluster(targets=1, kubectl="/no/such/kubectl") as lone:
        answer = lone.init(spec("nokubectl", wait="20s"), check=False)
        assert answer.status == 400 and "/no/such/kubectl" in answer.text, answer


def case_kubectl_failing():
    with Cluster(targets=1) as lone:
        script = os.path.join(lone.dir, "failing-kubectl")
        with open(script, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\necho 'error: the server is on fire' >&2\nexit 7\n")
        os.chmod(script, 0o755)
        lone.targets[0].kill(signal.SIGTERM)
        lone.targets[0].arguments += ["--kubectl", script]
        lone.targets[0].start()
        lone.wait_registered()
        answer = lone.init(spec("onfire", wait="20s"), check=False)
        assert answer.status == 400 and "the server is on fire" in answer.text and "7" in answer.text, answer


def case_exit_statuses_of_etlctl():
    """EXIT STATUS of the manual for everything that a user may meet, with hints that etlctl accepts."""
    c = cluster()
    folder = os.path.join(c.dir, "statuses")
    os.mkdir(folder)

    def file(name, text):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path
    runtime = file("runtime.yaml", spec("statuses", "test/put:1"))
    broken = file("broken.yaml", "kind: Pod\n")
    large = file("large.yaml", "# " + "x" * (1 << 20) + "\n")
    known = next(iter(c.smap()["tmap"]))
    rows = (
        ("", 0, "bucket create statuses"), ("already exists", 4, "bucket create statuses"), ("", 0, "bucket create statuses --exist-ok"), ("does not exist", 3, "bucket rm nowhere"),
        ("", 0, "bucket rm nowhere --ignore-not-found"), ("invalid bucket name", 1, "bucket create ..x"),
        ("does not exist", 3, "object head statuses/none"), ("does not exist", 3, "object get statuses/none -"), ("does not exist", 3, "object get nowhere/none -"),
        ("No such file", 1, f"object put {folder}/none statuses/x"), ("", 0, f"object put {runtime} statuses/o"), ("range", 1, "object get statuses/o - --range 99999999-"),
        ("is not a range", 2, "object get statuses/o - --range x"), ("holds objects", 2, "bucket rm statuses"), ("unknown option", 2, "bucket ls --nonsense"),
        ("", 0, f"etl init -f {runtime} --name statuses"), ("already exists", 4, f"etl init -f {runtime} --name statuses"), ("Running stage", 4, "etl start statuses"),
        ("does not exist", 3, "etl start nowhere"), ("does not exist", 3, "etl show nowhere"), ("does not exist", 3, "etl stop nowhere"), ("does not exist", 3, "etl rm nowhere"),
        ("does not exist", 3, "etl logs nowhere"), ("does not exist", 3, "etl logs statuses t-nowhere"), ("", 0, f"etl logs statuses {known}"),
        ("does not exist", 3, "etl object nowhere statuses/o -"), ("does not exist", 3, "etl object statuses statuses/none -"), ("", 0, "etl object statuses statuses/o -"),
        ("", 0, "etl stop statuses"), ("it is stopped", 3, "etl object statuses statuses/o -"), ("", 0, "etl start statuses"), ("", 0, "etl rm statuses"),
        ("apiVersion is missing", 1, f"etl init -f {broken}"), ("larger than", 10, f"etl init -f {large}"),
        ("there is no target", 3, "target drain nowhere1"), ("", 0, f"target activate {known}"), ("no target with another data directory", 4, f"target replace {known} --yes"), ("no lost target", 3, "target forget nowhere1 --yes"), ("there is no target", 3, "target rm nowhere1 --yes"),
        ("", 0, "cluster health"), ("no answer", 6, "bucket ls --endpoint http://127.0.0.1:1"), ("/v1", 2, f"bucket ls --endpoint {c.proxy.url}/v1"),
        ("is a target", 6, f"bucket ls --endpoint {c.targets[0].url}"), ("", 0, "bucket rm statuses --yes"),
    )
    for said, status, command in rows:
        done = c.run("etlctl", *command.split(), check=False)
        text = done.stderr.decode()
        assert done.returncode == status and said in text, (command, status, done)
        assert "GET /v1" not in text and "POST /v1" not in text, text
    c.run("etlctl", "bucket", "create", "statuses")
    c.run("etlctl", "put", runtime, "statuses/o")
    c.run("etlctl", "etl", "init", "-f", runtime, "--name", "statuses")
    for command, hint in (("etl start statuses", "etlctl etl show statuses"), ("bucket create statuses", "etlctl object ls statuses"), ("object head statuses/none", "etlctl object ls statuses"),
                          ("etl logs statuses t-nowhere", "etlctl target ls"),
                          (f"put {runtime} unlike-any/o", "etlctl bucket create unlike-any"), (f"put {runtime} statuse/o", "etlctl bucket ls"), ("etl show nowhere", "etlctl etl ls")):
        done = c.run("etlctl", *command.split(), check=False)
        assert done.stderr.decode().endswith(f"hint: {hint}\n"), (command, done)
    c.run("etlctl", "etl", "stop", "statuses")
    done = c.run("etlctl", "etl", "object", "statuses", "statuses/o", "-", check=False)
    assert done.returncode == 3 and done.stderr.decode().endswith("hint: etlctl etl start statuses\n"), done
    c.run("etlctl", "etl", "rm", "statuses")
    c.run("etlctl", "bucket", "rm", "statuses", "--yes")


def case_nothing_is_left():
    assert cluster().pods() == []
    own = subprocess.run(["pgrep", "-f", cluster().dir], capture_output=True, text=True, check=False).stdout.split()
    nodes = {str(n.pid) for n in cluster().targets + [cluster().proxy]}
    left = []
    for pid in own:
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                command = file.read().replace("\0", " ")
        except OSError:
            continue
        if pid not in nodes and "--watch" not in command:
            left.append(command)
    assert left == [], left


with Cluster(targets=2) as made:
    world["cluster"] = made
    made.image("test/echo:1", {"srv.py": transformers.ECHO_2020}, ["/srv.py", "80"])
    made.image("test/put:1", {"srv.py": transformers.ECHO_PUT}, ["/srv.py", "80"])
    made.image("test/pull:1", {"srv.py": transformers.PULL}, ["/srv.py", "80"])
    made.image("test/show:1", {"srv.py": transformers.SHOW}, ["/srv.py", "80"])
    made.bucket("life")
    for key in ("o", "p", "q", "r", "s", "t"):
        made.put("life", key, b"content of " + key.encode())
    harness.run([(name[5:].replace("_", " "), function) for name, function in list(globals().items()) if name.startswith("case_")])
