#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A kubectl that fails in every way it can, with real processes. After each fault, the failed start reports it, and no pod, process or ETL
is left. When kubectl works again, the next start serves without a restart of anything.

The node runs a script (kubectl() below) that looks for a fault of its verb (create, delete, get, logs, watch), then becomes kubectl-local.
A fault is a piece of shell; faults that must not last forever count their calls.
"""
import os
import time

import harness
import leftovers
import transformers
from harness import Cluster, pod_spec, request, until

PREFIX = f"faulty{os.getpid()}"
world = {"count": 0}

SCRIPT = """#!/bin/sh
# kubectl, with a fault of the verb it is called with.
dir=@DIR@ real=@REAL@ verb=$1
for word in "$@"; do [ "$word" = --watch ] && verb=watch; done
echo "$verb" >> "$dir/calls"
calls=$(grep -c "^$verb$" "$dir/calls")
[ -f "$dir/$verb" ] && . "$dir/$verb"
exec "$real" "$@"
"""

# Runs the given watch and prints each of its events three times. The two end together.
REPLAY = """import json, os, subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
lock = threading.Lock()
def show(event):
    with lock:
        try:
            sys.stdout.write(event + chr(10))
            sys.stdout.flush()
        except OSError:
            os._exit(0)
text, decoder = "", json.JSONDecoder()
while True:
    piece = os.read(child.stdout.fileno(), 65536).decode()
    if not piece:
        os._exit(child.wait())
    text += piece
    while text.strip():
        text = text.lstrip()
        try:
            event, end = decoder.raw_decode(text)
        except ValueError:
            break
        show(text[:end])
        for delay in (1, 2):
            timer = threading.Timer(delay, show, (text[:end],))
            timer.daemon = True
            timer.start()
        text = text[end:]
"""

ACCOUNT = "system:serviceaccount:etlnode:etlnode-target"
REFUSED = "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?"
TOO_MANY = "Error from server (TooManyRequests): the server has received too many requests and has asked us to try again later"
INTERNAL = "Error from server (InternalError): an error on the server has prevented the request from succeeding"


def forbidden(verb, resource="pods"):
    return f'Error from server (Forbidden): {resource.split("/")[0]} is forbidden: User "{ACCOUNT}" cannot {verb} resource "{resource}" in API group "" in the namespace "etlnode"'


def rule(verb, resource="pods"):
    return f"the Role needs verbs [{verb}] on {resource} in namespace etlnode for {ACCOUNT}"


def fails_with(words, times=None):
    """Shell code: the call fails with this message, the first `times` times."""
    piece = f"echo '{words}' >&2; exit 1"
    return piece if times is None else f"[ $calls -le {times} ] && {{ {piece}; }}"


def cluster():
    return world["cluster"]


def script():
    return os.path.join(cluster().dir, "faulty", "kubectl-local")


def write_script():
    folder = os.path.dirname(script())
    with open(script() + ".new", "w", encoding="ascii") as file:
        file.write(SCRIPT.replace("@DIR@", folder).replace("@REAL@", harness.KUBECTL_LOCAL))
    os.chmod(script() + ".new", 0o755)
    os.rename(script() + ".new", script())


class Fault:
    """Within the block, kubectl runs these pieces of shell: {verb: text}."""

    def __init__(self, **pieces):
        self.pieces = pieces

    def __enter__(self):
        folder = os.path.dirname(script())
        open(os.path.join(folder, "calls"), "w", encoding="ascii").close()
        for verb, text in self.pieces.items():
            with open(os.path.join(folder, "new"), "w", encoding="utf-8") as file:
                file.write(text + "\n")
            os.rename(os.path.join(folder, "new"), os.path.join(folder, verb))
        if "watch" in self.pieces or "get" in self.pieces:
            end_watch()  # the next one has the fault
        return self

    def __exit__(self, *_):
        for verb in self.pieces:
            os.remove(os.path.join(os.path.dirname(script()), verb))
        if "watch" in self.pieces:
            end_watch()


def calls(verb):
    with open(os.path.join(os.path.dirname(script()), "calls"), encoding="ascii") as file:
        return file.read().split().count(verb)


def end_watch():
    target = cluster().targets[0]
    for pid in leftovers.children(target.pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"--watch" in file.read():
                    os.killpg(pid, 9)
        except OSError:
            pass


def spec(**rest):
    world["count"] += 1
    rest.setdefault("wait", "20s")
    return pod_spec(f"{PREFIX}-{world['count']}", rest.pop("image", "faults/echo:1"), **rest)


def serves(etl):
    answer = cluster().get("b", "o", "uuid=" + etl)
    return answer.status == 200 and answer.body == b"content"


def nothing_left(limit=20):
    wrong = []

    def look():
        wrong[:] = leftovers.of_pods(cluster(), PREFIX) + leftovers.of_calls(cluster())
        wrong.extend(f"ETL {etl}" for etl in leftovers.etl_ids(cluster()))
        wrong.extend(f"pod {pod['metadata']['name']}" for pod in cluster().pods())
        wrong.extend(f"zombie {pid}" for pid in leftovers.zombies(cluster().targets[0].pid))
        return not wrong
    try:
        until(look, "nothing is left", limit, 0.1)
    except AssertionError:
        raise AssertionError(f"left after {limit} s: {leftovers.show(wrong)}") from None


def well_again():
    etl = cluster().init(spec())
    until(lambda: serves(etl), "the next ETL serves")
    cluster().stop_etl(etl)
    nothing_left()


def fails(text, *words, within=20.0):
    began = time.monotonic()
    answer = cluster().init(text, check=False)
    took = time.monotonic() - began
    assert answer.status == 400, answer
    for word in words:
        assert word in answer.json["message"], (word, answer.json["message"])
    assert answer.json["code"] == "etl_init_failed" and not answer.json["retryable"], answer.json
    assert took < within * harness.PATIENCE, f"took {took:.1f} s"
    return answer.json["message"]


def create_fails(piece, *words, wait="20s", within=20.0):
    """A start with a faulty create, then with a working kubectl."""
    with Fault(create=piece):
        fails(spec(wait=wait), *words, within=within)
        assert calls("create") >= 1
        nothing_left()
    well_again()


def case_missing():
    os.rename(script(), script() + ".away")
    try:
        fails(spec(), script(), "not found")
        nothing_left()
    finally:
        os.rename(script() + ".away", script())
    well_again()


def case_not_executable():
    os.chmod(script(), 0o644)
    try:
        fails(spec(), script(), "not executable")
        nothing_left()
    finally:
        os.chmod(script(), 0o755)
    well_again()


def health():
    return request("GET", cluster().targets[0].url + "/v1/health?readiness=true")


def metric(name):
    text = request("GET", cluster().targets[0].url + "/metrics").text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def case_create_refused():
    create_fails(fails_with(forbidden("create")), "Forbidden", "cannot create resource", "exit code 1", rule("create"), within=5)


def case_create_refused_by_others():
    # Pod Security and quotas are not permissions: their messages reach the user unchanged.
    words = 'Error from server (Forbidden): error when creating "STDIN": pods "x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false'
    with Fault(create=fails_with(words)):
        message = fails(spec(), words, within=5)
        assert "the Role needs" not in message, message
        nothing_left()


def case_list_is_not_allowed():
    with Fault(get=fails_with(forbidden("list"))):
        until(lambda: health().status == 503 and rule("list") in health().json["message"], "readiness names the rule", 20)
        assert metric("etlnode_kubectl_right_missing") == 1 and metric('etlnode_kubectl_failures_total{kind="forbidden"}') >= 1
        fails(spec(wait="60s"), "cannot see its pods", rule("list"), within=10)
    until(lambda: health().status == 200, "the node is ready again", 20)
    nothing_left()
    well_again()


def case_watch_is_not_allowed():
    for words in (forbidden("watch"), "Error from server (Forbidden): unknown (get pods)"):  # of today's kubectl, of 1.20
        with Fault(watch=fails_with(words)):
            until(lambda: health().status == 503 and "the Role needs verbs [watch] on pods" in health().json["message"], "readiness names the rule", 20)
            fails(spec(wait="60s"), "the Role needs verbs [watch] on pods", within=10)
        until(lambda: health().status == 200, "the node is ready again", 20)
    nothing_left()
    well_again()


def case_delete_is_not_allowed():
    etl = cluster().init(spec())
    with Fault(delete=fails_with(forbidden("delete"))):
        answer = request("DELETE", cluster().url("/v1/etl/stop/" + etl), timeout=240)
        assert answer.status == 202 and rule("delete") in answer.text, answer
    nothing_left(40)
    well_again()


def case_logs_are_not_allowed():
    with Fault(logs=fails_with(forbidden("get", "pods/log"))):
        fails(spec(image="faults/exits:1", extra="  restartPolicy: Never\n"), "exit code 3", "the pod's log could not be read", rule("get", "pods/log"))
    nothing_left()
    well_again()


def case_too_many_requests():
    create_fails(fails_with(TOO_MANY), "too many requests", " attempts, last: ", wait="5s", within=10)


def case_server_error():
    create_fails(fails_with(INTERNAL), "InternalError", wait="5s", within=10)


def case_create_fails_for_a_while():
    for words in (TOO_MANY, INTERNAL, REFUSED, "Error from server (Timeout): the server was unable to return a response"):
        with Fault(create=fails_with(words, 2)):
            etl = cluster().init(spec())
            assert calls("create") == 3, calls("create")
            until(lambda etl=etl: serves(etl), "the ETL serves")
            cluster().stop_etl(etl)
        nothing_left()
    assert metric('etlnode_kubectl_failures_total{kind="too_many_requests"}') >= 2 and metric('etlnode_kubectl_failures_total{kind="unreachable"}') >= 2


def case_create_times_out_but_has_made_the_pod():
    # The next attempt finds it and adopts it: there is one pod, not two.
    words = "error: error when creating \"STDIN\": context deadline exceeded"
    with Fault(create=f"[ $calls -le 1 ] && {{ \"$real\" \"$@\"; echo '{words}' >&2; exit 1; }}", watch="sleep 1000", get="sleep 2"):
        etl = cluster().init(spec())
        assert calls("create") == 2 and calls("delete") == 0, (calls("create"), calls("delete"))
        assert len(cluster().pods()) == 1
        until(lambda: serves(etl), "the ETL serves")
        cluster().stop_etl(etl)
    nothing_left(40)
    well_again()


def case_watch_expires():
    expired = '{"type":"ERROR","object":{"kind":"Status","message":"too old resource version: 1 (9)","reason":"Expired","code":410}}'

    def failures():  # except for the watch that this test ends itself
        return metric("etlnode_kubectl_failures_total") - metric('etlnode_kubectl_failures_total{kind="killed"}')
    before = failures()
    with Fault(watch=f"[ $calls -le 3 ] && {{ echo '{expired}'; exit 0; }}"):
        until(lambda: calls("watch") >= 4, "it is started again", 20)
        assert failures() == before and metric("etlnode_kubectl_watch_expiries_total") >= 3
        well_again()


def case_clock_of_the_api_server_is_off():
    """Times in kubectl's output are years off, in both directions. No decision of the node depends on them."""
    for year in ("2001", "2099"):
        shifted = f"""echo 1 >> "$dir/shifted"; "$real" "$@" | sed -u -E 's/"20[0-9][0-9]-/"{year}-/g'; exit 0"""
        with Fault(get=shifted, watch=shifted):
            etl = cluster().init(spec())
            until(lambda: serves(etl), "the ETL serves")
            before = cluster().pods()[0]["metadata"]["uid"]
            cluster().run("kubectl-local", "delete", "pod", cluster().pods()[0]["metadata"]["name"], "--now")
            until(lambda: [p["metadata"]["uid"] for p in cluster().pods() if p["metadata"]["uid"] != before], "a new pod", 30)
            until(lambda: serves(etl), "it serves", 30)
            cluster().stop_etl(etl)
            nothing_left()
        assert os.path.exists(os.path.join(os.path.dirname(script()), "shifted"))


def case_own_clock_is_off():
    """The API server's certificate is not valid at this machine's time. A start reports that immediately; serving ETLs continue."""
    wrong = "Unable to connect to the server: x509: certificate has expired or is not yet valid: current time 2031-01-01T00:00:00Z is after 2027-01-01T00:00:00Z"
    etl = cluster().init(spec())
    refused = fails_with(wrong)
    with Fault(create=refused, get=refused, watch=refused, delete=refused, logs=refused):
        fails(spec(wait="60s"), wrong, within=40)
        assert serves(etl)
        until(lambda: wrong in health().json["kubectl"]["last_error"], "health says so", 20)
    cluster().stop_etl(etl)
    nothing_left(40)
    well_again()


def case_health_tells_how_kubectl_fares():
    well_again()
    said = health().json["kubectl"]
    assert said["ok"] and said["last_error"] == "" and said["calls"] > 10 and said["seconds_since_success"] < 70, said
    with Fault(get=fails_with(INTERNAL), watch=fails_with(INTERNAL)):
        until(lambda: "InternalError" in health().json["kubectl"]["last_error"], "health says that kubectl fails", 20)
        answer = health()
        assert answer.status == 200 and not answer.json["kubectl"]["ok"], answer  # objects are still served
        assert answer.json["kubectl"]["failures"]["server_error"] >= 1 and metric("etlnode_kubectl_up") == 0, answer
    until(lambda: health().json["kubectl"]["ok"], "health says that kubectl is well again", 30)
    assert metric('etlnode_kubectl_calls_total{verb="create"}') >= 1 and 0 <= metric("etlnode_kubectl_success_age_seconds") < 70


def case_every_verb_refused_for_a_while():
    refused = f"echo '{INTERNAL}' >&2; exit 1"
    with Fault(create=refused, get=refused, watch=refused, delete=refused, logs=refused):
        fails(spec(wait="5s"), "InternalError", within=40)
    nothing_left(40)
    well_again()


def case_create_hangs():
    create_fails("sleep 1000", "timeout", wait="2s", within=15)


def case_create_ignores_term():
    create_fails("trap '' TERM; while :; do sleep 1; done", "timeout", wait="2s", within=20)


def case_create_prints_garbage():
    create_fails("cat > /dev/null; echo '{{{ garbage'; exit 0", wait="5s", within=30)


def case_create_prints_for_ever():
    create_fails("cat > /dev/null; exec yes 'all work and no play'", wait="10s", within=30)


def case_create_dies():
    create_fails("kill -SEGV $$", "signal 11")


def case_creates_the_pod_and_then_fails():
    create_fails("\"$real\" \"$@\"; echo 'error: something odd' >&2; exit 1", "something odd")


def case_creates_the_pod_and_then_hangs():
    create_fails("\"$real\" \"$@\"; sleep 1000", "timeout", wait="3s", within=20)


def case_fails_and_the_pod_comes_later():
    # What a slow (not dead) server does with a request that the client gave up.
    create_fails("cat > \"$dir/pod.json\"; setsid sh -c 'sleep 2; \"$0\" create -f \"$1\"' \"$real\" \"$dir/pod.json\" > /dev/null 2>&1 < /dev/null & "
                 "echo 'error: something odd' >&2; exit 1", "something odd")
    time.sleep(3)
    nothing_left()


def case_image_missing():
    message = fails(spec(image="faults/does-not-exist:1", wait="60s"), "faults/does-not-exist:1", within=15)
    assert "target" in message
    nothing_left()
    well_again()


def case_pending_for_ever():
    waiting = "  initContainers:\n    - name: first\n      image: faults/never:1\n"
    fails(spec(wait="3s", extra=waiting), "timeout", within=20)
    nothing_left()
    well_again()


def case_delete_hangs():
    etl = cluster().init(spec())
    with Fault(delete="[ $calls -le 1 ] && sleep 1000"):
        began = time.monotonic()
        answer = request("DELETE", cluster().url("/v1/etl/stop/" + etl), timeout=240)
        assert answer.status in (200, 202), answer
        nothing_left(60)
        assert time.monotonic() - began < 80 * harness.PATIENCE
    well_again()


def case_failed_start_and_delete_hangs():
    """The reason still reaches the caller, instead of a timeout of the proxy."""
    world["cluster"].image("faults/deaf:1", {"srv.py": "#!/usr/bin/env python3\nimport time\ntime.sleep(1000)\n"}, ["/srv.py"])
    with Fault(delete="[ $calls -le 1 ] && sleep 1000"):
        fails(spec(image="faults/deaf:1", wait="2s"), "not Ready within wait_timeout 2s", within=60)
        nothing_left(60)
    well_again()


def case_delete_refused_for_a_while():
    etl = cluster().init(spec())
    with Fault(delete=f"[ $calls -le 3 ] && {{ echo '{TOO_MANY}' >&2; exit 1; }}"):
        answer = request("DELETE", cluster().url("/v1/etl/stop/" + etl), timeout=240)
        assert answer.status in (200, 202), answer
        nothing_left(30)
        assert calls("delete") >= 4
    well_again()


def case_delete_lies():
    etl = cluster().init(spec())
    with Fault(delete="[ $calls -le 1 ] && exit 0"):
        answer = request("DELETE", cluster().url("/v1/etl/stop/" + etl), timeout=240)
        assert answer.status in (200, 202), answer
        nothing_left(80)  # the next list finds it
    well_again()


def case_failed_start_cannot_be_removed_for_a_while():
    with Fault(create="\"$real\" \"$@\"; exit 1", delete=f"[ $calls -le 2 ] && {{ echo '{INTERNAL}' >&2; exit 1; }}"):
        fails(spec(), within=40)
        nothing_left(30)
    well_again()


def case_watch_ends_at_once():
    with Fault(watch="exit 0"):
        well_again()


def case_watch_is_mute():
    # Connected, but nothing ever arrives: the lists have to suffice.
    with Fault(watch="sleep 1000"):
        answer = cluster().init(spec(wait="20s"), check=False)
        assert answer.status in (200, 400), answer
        if answer.status == 200:
            assert serves(answer.text)
            cluster().stop_etl(answer.text)
        nothing_left(80)
    well_again()


def case_watch_prints_garbage():
    with Fault(watch="while :; do echo '{\"type\":\"ADDED\",\"object\":{{{'; sleep 0.05; done"):
        well_again()


def case_watch_prints_for_ever():
    with Fault(watch="exec yes '{'"):
        well_again()


def case_watch_replays_old_events():
    # Every event is repeated 1 and 2 seconds later, unchanged, even if its pod is long gone.
    with open(os.path.join(os.path.dirname(script()), "replay.py"), "w", encoding="ascii") as file:
        file.write(REPLAY)
    with Fault(watch="exec python3 \"$dir/replay.py\" \"$real\" \"$@\""):
        for _ in range(3):
            well_again()
        time.sleep(2.5)
        nothing_left()
        etl = cluster().init(spec())
        before = {pod["metadata"]["uid"] for pod in cluster().pods()}
        for pod in cluster().pods():
            cluster().run("kubectl-local", "delete", "pod", pod["metadata"]["name"], "--now")
        until(lambda: {p["metadata"]["uid"] for p in cluster().pods()} - before and serves(etl), "the pod is made again", 40)
        time.sleep(2.5)
        assert serves(etl) and len(cluster().pods()) == 1
        cluster().stop_etl(etl)
        nothing_left()
    well_again()


def case_watch_leaves_a_gap():
    # It loses the events between its ends, and continues as if nothing had happened.
    with Fault(watch="timeout -s KILL 1 \"$real\" \"$@\" | head -n 1; sleep 1; exit 0"):
        for _ in range(2):
            well_again()


def case_lists_fail_for_a_while():
    refused = f"[ $calls -le 4 ] && {{ echo '{INTERNAL}' >&2; exit 1; }}"
    with Fault(get=refused):
        well_again()


def case_lists_are_garbage():
    with Fault(get="[ $calls -le 3 ] && { head -c 20000 /dev/urandom; exit 0; }"):
        well_again()


def case_logs_fail_and_hang():
    for piece in ("exit 1", "sleep 1000", "exec yes"):
        with Fault(logs=piece):
            fails(spec(image="faults/exits:1", wait="20s", extra="  restartPolicy: Never\n"), within=25)
            nothing_left()
    well_again()


def case_healthy_etl_is_not_disturbed():
    etl = cluster().init(spec())
    for pieces in ({"create": "exit 1"}, {"create": "exit 1", "watch": "exit 1", "get": "exit 1"}):
        with Fault(**pieces):
            fails(spec(wait="5s"), within=40)
            for _ in range(20):
                assert serves(etl)
                time.sleep(0.02)
    cluster().stop_etl(etl)
    nothing_left()


def case_killed_between_create_and_answer():
    """The node is killed while kubectl create runs. The resulting pod has no owner when the node is back."""
    import threading
    target = cluster().targets[0]
    with Fault(create="\"$real\" \"$@\"; sleep 2; exit 0"):
        thread = threading.Thread(target=lambda: cluster().init(spec(wait="20s"), check=False), daemon=True)
        thread.start()
        until(lambda: cluster().pods(), "the pod is made")
        target.kill(9)
        target.start()
        cluster().wait_registered()
        thread.join(60)
        assert not thread.is_alive()
    nothing_left(40)
    well_again()


with Cluster(targets=0) as made:
    world["cluster"] = made
    os.mkdir(os.path.join(made.dir, "faulty"))
    write_script()
    made.target_arguments = ["--kubectl", script()]
    made.count = 1
    made.add_target(1)
    made.wait_registered()
    made.image("faults/echo:1", {"srv.py": transformers.ECHO_2020}, ["/srv.py", "80"])
    made.image("faults/never:1", {"srv.py": "#!/usr/bin/env python3\nimport time\ntime.sleep(600)\n"}, ["/srv.py"])
    made.image("faults/exits:1", {"srv.py": "#!/usr/bin/env python3\nprint('my last words')\nraise SystemExit(3)\n"}, ["/srv.py"])
    made.bucket("b")
    made.put("b", "o", b"content")
    harness.run([(name[5:].replace("_", " "), function) for name, function in list(globals().items()) if name.startswith("case_")], limit=180)
