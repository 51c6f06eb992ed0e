#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The proxy's directory is lost, old, or of another line; backups of the cluster document: what was acknowledged stays readable."""
import json
import os
import shutil
import signal
import stat

import harness
from harness import Cluster, pod_spec, request, until
from filled_cluster import NAMES, Filled, id_of, keep, listed, nodes, put_back, readable

SERVER = """#!/usr/local/bin/python
import http.server
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).upper()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    do_PUT = do_POST
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 80), H).serve_forever()
"""


def buckets(cluster):
    return sorted(one["name"] for one in request("GET", cluster.url("/v1/buckets?provider=ais"), json.dumps({"action": "list"})).json)


def etlctl(cluster, *words, check=False, **rest):
    return cluster.run("etlctl", *words, check=check, **rest)


def problem(node):
    answer = request("GET", node.url + "/v1/health?readiness=true")
    return answer.text if answer.status == 503 else ""


def stop(node):
    assert node.kill(signal.SIGTERM) == 0


def lose_proxy(cluster, start=True):
    stop(cluster.proxy)
    shutil.rmtree(os.path.join(cluster.dir, "proxy"))
    if start:
        cluster.proxy.start()


def said(done):
    return done.stderr.decode()


def case_the_directory_is_lost():
    """Objects, buckets and a running ETL: afterwards everything is readable, the ETL serves, and no pod was started again."""
    with Filled(targets=2) as cluster:
        cluster.image("upper:v1", {"srv.py": SERVER}, ["/srv.py"])
        etl = cluster.init(pod_spec("upper", "upper:v1"))
        assert cluster.get("b", "o1", "uuid=" + etl).body == b"O1"
        before = cluster.smap()
        pods = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cluster.pods()}
        lose_proxy(cluster)
        assert cluster.smap()["uuid"] != before["uuid"]
        url = cluster.targets[0].url

        def told():
            shown = etlctl(cluster, "cluster", "show", check=True)
            return "cluster recover --from http://" in said(shown) and shown
        until(told, "cluster show says how to recover", 90)
        health = etlctl(cluster, "cluster", "health")
        assert health.returncode == 6 and "cluster recover --from http://" in said(health), health
        assert "etlctl cluster recover --from" in cluster.log_tail("proxy", 200)

        unconfirmed = etlctl(cluster, "cluster", "recover", "--from", url)
        assert unconfirmed.returncode == 2 and "--yes" in said(unconfirmed), unconfirmed
        shown = unconfirmed.stdout.decode()
        assert f"version {before['version']} " in shown and "yes" in shown and all(one in shown for one in before["tmap"]), unconfirmed
        assert cluster.smap()["uuid"] != before["uuid"]
        planned = json.loads(etlctl(cluster, "cluster", "recover", "--from", url, "--dry-run", "-o", "json", check=True).stdout.decode().split("\n{")[0])
        assert planned["cluster"] == before["uuid"] and planned["items"][0]["taken"] == "yes" and planned["items"][0]["etls"] == 1, planned
        etlctl(cluster, "cluster", "recover", "--from", url, "--yes", check=True)

        after = cluster.smap()
        assert after["uuid"] == before["uuid"] and int(after["version"]) == int(before["version"]) + 1 and sorted(after["tmap"]) == sorted(before["tmap"]), (before, after)
        assert readable(cluster) == NAMES and listed(cluster)[1] == NAMES
        assert cluster.get("b", "o1", "uuid=" + etl).body == b"O1"
        assert {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cluster.pods()} == pods
        assert all(one["restartCount"] == 0 for pod in cluster.pods() for one in pod["status"].get("containerStatuses", [])), cluster.pods()
        assert cluster.put("b", "new", b"new").status == 200
        cluster.bucket("later")
        second = cluster.init(pod_spec("again", "upper:v1"))
        assert cluster.get("b", "new", "uuid=" + second).body == b"NEW"
        nothing = etlctl(cluster, "cluster", "recover", "--yes")
        assert nothing.returncode == 0, nothing
        assert int(cluster.smap()["version"]) >= int(after["version"])
        # The recovered document survives a restart of everything.
        for node in (cluster.proxy, *cluster.targets):
            stop(node)
        for node in (cluster.proxy, *cluster.targets):
            node.start()
        cluster.wait_registered()
        until(lambda: readable(cluster) == NAMES, "all objects after a restart", 90)


def case_a_target_is_missing():
    with Filled(targets=2) as cluster:
        uuid = cluster.smap()["uuid"]
        here, away = cluster.targets
        missing = id_of(cluster, away)
        stop(away)
        lose_proxy(cluster)
        refused = etlctl(cluster, "cluster", "recover", "--from", here.url, "--yes")
        assert refused.returncode != 0 and missing in said(refused) and f"--without {missing}" in said(refused), refused
        assert cluster.smap()["uuid"] != uuid
        etlctl(cluster, "cluster", "recover", "--from", here.url, "--without", missing, "--yes", check=True)
        assert cluster.smap()["uuid"] == uuid
        found = readable(cluster)
        assert 0 < len(found) < len(NAMES), found
        away.start()
        until(lambda: readable(cluster) == NAMES, "the missing target's objects are back", 90)


def case_only_with_the_secret():
    with Filled(targets=1) as cluster:
        for method, path in (("GET", "/v1/cluster/backup"), ("POST", "/v1/cluster/recover"), ("POST", "/v1/cluster/restore")):
            body = "{}" if method == "POST" else None
            assert request(method, cluster.url(path), body).status == 401
            assert request(method, cluster.url(path), body, {"Etlnode-Cluster-Secret": "x" * 32}).status == 403
        assert request("GET", cluster.targets[0].url + "/v1/node/document").status == 401
        none = os.path.join(cluster.dir, "none")
        refused = etlctl(cluster, "cluster", "backup", "-", env={"ETLNODE_CLUSTER_SECRET_FILE": none})
        assert refused.returncode == 2 and "secret" in said(refused) and none in said(refused) and refused.stdout == b"", refused


def case_an_old_image():
    """A copy of the proxy's directory from before a change: it takes the newer document by itself, when all its targets are heard."""
    with Filled(targets=2) as cluster:
        away = cluster.targets[1]
        stop(cluster.proxy)
        kept = keep(cluster, "proxy")
        cluster.proxy.start()
        cluster.bucket("later")
        for name in NAMES:
            assert cluster.put("later", name, name.encode()).status == 200
        version = int(cluster.smap()["version"])
        missing = id_of(cluster, away)
        stop(cluster.proxy)
        stop(away)
        put_back(cluster, "proxy", kept)
        cluster.proxy.start()
        until(lambda: missing in problem(cluster.proxy), "the proxy says who is missing", 90)
        assert "older" in problem(cluster.proxy) and f"--without {missing}" in problem(cluster.proxy), problem(cluster.proxy)
        shown = etlctl(cluster, "cluster", "show", check=True)
        assert f"--without {missing}" in said(shown), shown
        for answer in (request("GET", cluster.url("/v1/objects/b/o1"), follow=False), request("PUT", cluster.url("/v1/objects/b/o1"), b"", follow=False),
                       request("POST", cluster.url("/v1/buckets/c"), json.dumps({"action": "create-bck"})),
                       request("GET", cluster.url("/v1/buckets/b"), json.dumps({"action": "list", "value": {}}))):
            assert answer.status == 409 and answer.json["code"] == "diverged", answer
        refused = etlctl(cluster, "cluster", "backup", "-")
        assert refused.returncode != 0 and refused.stdout == b"", refused
        away.start()
        until(lambda: not problem(cluster.proxy), "it has caught up", 90)
        assert int(cluster.smap()["version"]) > version
        assert "it took the newest of its targets" in cluster.log_tail("proxy", 200)
        until(lambda: readable(cluster) == NAMES and readable(cluster, "later") == NAMES, "everything is readable", 90)
        cluster.bucket("c")


def case_an_old_image_without_a_target():
    with Filled(targets=2) as cluster:
        away = cluster.targets[1]
        stop(cluster.proxy)
        kept = keep(cluster, "proxy")
        cluster.proxy.start()
        cluster.bucket("later")
        missing = id_of(cluster, away)
        stop(cluster.proxy)
        stop(away)
        put_back(cluster, "proxy", kept)
        cluster.proxy.start()
        until(lambda: missing in problem(cluster.proxy), "the proxy says who is missing", 90)
        etlctl(cluster, "cluster", "recover", "--without", missing, "--yes", check=True)
        assert not problem(cluster.proxy) and "later" in buckets(cluster)
        away.start()
        until(lambda: readable(cluster) == NAMES, "everything is readable", 90)


def diverge(cluster):
    """Both lines have a bucket of their own."""
    target = cluster.targets[0]
    stop(cluster.proxy)
    kept = keep(cluster, "proxy")
    cluster.proxy.start()
    cluster.bucket("theirs")
    for name in NAMES:
        assert cluster.put("theirs", name, name.encode()).status == 200
    stop(target)
    stop(cluster.proxy)
    put_back(cluster, "proxy", kept)
    cluster.proxy.start()
    cluster.bucket("ours")
    target.start()
    until(lambda: "diverged" in problem(cluster.proxy), "the proxy says it", 60)
    assert "etlctl cluster recover" in problem(cluster.proxy), problem(cluster.proxy)


def case_take_the_targets_line():
    with Filled(targets=1) as cluster:
        diverge(cluster)
        target = id_of(cluster, cluster.targets[0])
        refused = etlctl(cluster, "cluster", "recover", "--yes")
        assert refused.returncode != 0 and "diverged" in said(refused) and 'bucket "theirs"' in said(refused) and 'bucket "ours"' in said(refused) and "--take" in said(refused), refused
        etlctl(cluster, "cluster", "recover", "--take", target, "--yes", check=True)
        until(lambda: not problem(cluster.proxy) and not problem(cluster.targets[0]), "both agree", 60)
        assert buckets(cluster) == ["b", "theirs"]
        assert readable(cluster) == NAMES and readable(cluster, "theirs") == NAMES


def case_take_the_proxys_line():
    """The target's bucket is not in the chosen document: its objects are kept and reported, until somebody says that they may go."""
    with Filled(targets=1) as cluster:
        diverge(cluster)
        node = cluster.targets[0]
        proxy = next(one["id"] for one in nodes(cluster).values() if one["role"] == "proxy")
        etlctl(cluster, "cluster", "recover", "--take", proxy, "--yes", check=True)
        until(lambda: not problem(cluster.proxy) and not problem(node), "both agree", 60)
        assert buckets(cluster) == ["b", "ours"] and readable(cluster) == NAMES
        target = id_of(cluster, node)
        until(lambda: nodes(cluster)[target].get("orphans") == [{"bucket": "theirs", "objects": len(NAMES)}], "the orphans are reported", 60)
        shown = etlctl(cluster, "cluster", "show", check=True)
        assert f"{len(NAMES)} objects of a bucket theirs" in said(shown) and "bucket rm theirs --yes" in said(shown), shown
        assert nodes(cluster)[target]["objects"] == 2 * len(NAMES)
        assert request("GET", node.url + "/v1/objects/theirs/o1?pid=p&utm=1").status == 404
        refused = request("POST", cluster.url("/v1/buckets/theirs"), json.dumps({"action": "create-bck"}))
        assert refused.status == 409 and "bucket rm theirs" in refused.text, refused
        stop(node)
        node.start()
        until(lambda: nodes(cluster)[target].get("orphans") == [{"bucket": "theirs", "objects": len(NAMES)}], "also after a restart", 60)
        etlctl(cluster, "bucket", "rm", "theirs", "--yes", check=True)
        until(lambda: nodes(cluster)[target]["objects"] == len(NAMES) and "orphans" not in nodes(cluster)[target], "they are gone", 60)
        cluster.bucket("theirs")
        assert listed(cluster, "theirs")[1] == [] and readable(cluster) == NAMES


def case_backup_and_restore():
    with Filled(targets=2) as cluster:
        cluster.image("upper:v1", {"srv.py": SERVER}, ["/srv.py"])
        etl = cluster.init(pod_spec("upper", "upper:v1"))
        path = os.path.join(cluster.dir, "backup.json")
        os.umask(0o022)
        etlctl(cluster, "cluster", "backup", "-o", path, check=True)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, os.stat(path)
        with open(path, "rb") as file:
            kept = file.read()
        assert etlctl(cluster, "cluster", "backup", "-", check=True).stdout == kept
        assert json.loads(kept)["uuid"] == cluster.smap()["uuid"] and etl in kept.decode()
        uuid = cluster.smap()["uuid"]

        # The targets hold what the backup has: it is taken.
        lose_proxy(cluster)
        refused = etlctl(cluster, "cluster", "restore", path)
        assert refused.returncode == 2 and "--yes" in said(refused) and uuid in said(refused), refused
        etlctl(cluster, "cluster", "restore", path, "--yes", check=True)
        assert cluster.smap()["uuid"] == uuid
        until(lambda: readable(cluster) == NAMES, "everything is readable", 60)
        until(lambda: cluster.get("b", "o1", "uuid=" + etl).body == b"O1", "the ETL serves", 60)

        # They hold a newer one: recover loses less.
        cluster.bucket("later")
        assert cluster.put("later", "o1", b"o1").status == 200
        cluster.stop_etl(etl)
        refused = etlctl(cluster, "cluster", "restore", path, "--yes")
        assert refused.returncode != 0 and "cluster recover" in said(refused) and "--force-old" in said(refused), refused
        assert "later" in buckets(cluster)
        etlctl(cluster, "cluster", "restore", path, "--force-old", "--yes", check=True)
        assert buckets(cluster) == ["b", "later"] and cluster.get("later", "o1").body == b"o1"
        until(lambda: cluster.get("b", "o1", "uuid=" + etl).body == b"O1", "the backup's ETL serves again", 90)

        # A bucket that was destroyed and made again needs a choice.
        etlctl(cluster, "bucket", "rm", "b", "--yes", check=True)
        cluster.bucket("b")
        assert cluster.put("b", "o2", b"anew").status == 200
        refused = etlctl(cluster, "cluster", "restore", path, "--force-old", "--yes")
        assert refused.returncode != 0 and "made again" in said(refused) and "--take" in said(refused), refused
        etlctl(cluster, "cluster", "restore", path, "--force-old", "--take", "newest", "--yes", check=True)
        assert listed(cluster)[1] == ["o2"] and cluster.get("b", "o2").body == b"anew"

        for wrong in (b"", b"{}", b'{"format":1}', b"[" * 100):
            refused = etlctl(cluster, "cluster", "restore", "-", "--yes", stdin=wrong)
            assert refused.returncode != 0 and b"no backup" in refused.stderr, (wrong, refused)
        other = json.loads(kept)
        other["uuid"] = "AnotherOne12"
        refused = etlctl(cluster, "cluster", "restore", "-", "--yes", stdin=json.dumps(other).encode())
        assert refused.returncode != 0 and "AnotherOne12" in said(refused) and uuid in said(refused), refused
        assert listed(cluster)[1] == ["o2"]
        cluster.stop_etl(etl)


def case_another_clusters_target():
    """A proxy whose cluster has targets never takes another cluster's document."""
    with Filled(targets=1) as cluster, Filled(targets=1) as other:
        url, uuid = other.targets[0].url, cluster.smap()["uuid"]
        refused = etlctl(cluster, "cluster", "recover", "--from", url, "--yes")
        assert url in said(refused) and ("secret" in said(refused) or other.smap()["uuid"] in said(refused)), refused
        assert cluster.smap()["uuid"] == uuid and readable(cluster) == NAMES
        nobody = etlctl(cluster, "cluster", "recover", "--from", "http://127.0.0.1:1", "--yes")
        assert "127.0.0.1:1" in said(nobody), nobody
        wrong = etlctl(cluster, "cluster", "recover", "--from", "ftp://x", "--yes")
        assert wrong.returncode != 0 and "http://host:port" in said(wrong), wrong


def case_recover_from():
    """The daemon's own option, for starts without an operator."""
    with Filled(targets=2) as cluster:
        uuid = cluster.smap()["uuid"]
        here, away = cluster.targets
        missing = id_of(cluster, away)
        lose_proxy(cluster, start=False)
        stop(away)
        plain = list(cluster.proxy.arguments)
        cluster.proxy.arguments += ["--recover-from", here.url]
        cluster.proxy.start(wait=False)
        assert cluster.proxy.process.wait(60 * harness.PATIENCE) != 0
        cluster.proxy.process.stdout.close()
        assert missing in cluster.log_tail("proxy") and "etlctl cluster recover" in cluster.log_tail("proxy"), cluster.log_tail("proxy")
        away.start()
        cluster.proxy.start()
        assert cluster.smap()["uuid"] == uuid
        until(lambda: readable(cluster) == NAMES, "everything is readable", 90)
        cluster.bucket("c")
        stop(cluster.proxy)
        cluster.proxy.start()
        assert "--recover-from has no effect" in cluster.log_tail("proxy", 100)
        assert "c" in buckets(cluster)
        cluster.proxy.arguments = plain


harness.run([
    ("the proxy's directory is lost", case_the_directory_is_lost),
    ("a target is missing", case_a_target_is_missing),
    ("only with the secret", case_only_with_the_secret),
    ("an old image of the proxy", case_an_old_image),
    ("an old image, and a target that does not return", case_an_old_image_without_a_target),
    ("diverged: the target's line goes on", case_take_the_targets_line),
    ("diverged: the proxy's line goes on", case_take_the_proxys_line),
    ("backup and restore", case_backup_and_restore),
    ("a target of another cluster", case_another_clusters_target),
    ("--recover-from", case_recover_from),
])
