#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# test/e2e/test_local_sandbox.py: what a pod of kubectl-local cannot reach, and its identity inside. TAP on stdout.
#
#   test_local_sandbox.py [PATH-TO-KUBECTL-LOCAL [CASE...]]
import ctypes
import json
import os
import signal
import subprocess

from local import Allowed, IMAGE, Run, alive, children, comm, gone, main, soon, status, waiting


def refused(r, spec, *words, env=None):
    for name, value in (env or {}).items():
        os.environ[name] = value
    try:
        done = r.k("create", "-f", "-", stdin=json.dumps(spec), check=False)
    finally:
        for name in env or {}:
            del os.environ[name]
    assert done.returncode == 1 and not done.stdout, (done.returncode, done.stdout, done.stderr)
    for word in words:
        assert word in done.stderr, (word, done.stderr)
    assert r.get(spec["metadata"]["name"]) is None
    return done.stderr


def a_spec_grants_nothing(r):
    secret = os.path.join(r.directory, "secret")
    os.makedirs(secret, exist_ok=True)
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/host"}]}
    refused(r, r.spec("path", volumes=[{"name": "v", "hostPath": {"path": secret}}], container=mount),
            'Error from server (Forbidden): error when creating "STDIN": pods "path" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes (volume "v")\n',
            "etlnode --allow-host-path %s:rw, or %s/allow.yaml" % (secret, r.state))
    # The same without a mount: the API server does not check mounts.
    refused(r, r.spec("path", volumes=[{"name": "v", "hostPath": {"path": "/"}}]), 'hostPath volumes (volume "v")', "--allow-host-path /,")
    refused(r, r.spec("net", hostNetwork=True), "host namespaces (hostNetwork=true)", "etlnode --allow-host-network, or")
    for more, words in (({"hostPID": True}, "host namespaces (hostPID=true)"), ({"hostIPC": True}, "host namespaces (hostIPC=true)"),
                        ({"container": {"securityContext": {"privileged": True}}}, 'privileged (container "server"'),
                        ({"container": {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}}, '"SYS_ADMIN" in securityContext.capabilities.add'),
                        ({"container": {"ports": [{"containerPort": 80, "hostPort": 81}]}}, 'hostPort (container "server" uses hostPort 81)'),
                        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, "seccompProfile (pod must not set"),
                        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "forbidden sysctls (kernel.msgmax)")):
        text = refused(r, r.spec("more", **more), words)
        assert "The owner of this machine" not in text, text
    # The spec controls the annotations and the environment of the pod.
    spec = r.spec("net", hostNetwork=True, container={"env": [{"name": "KUBECTL_LOCAL_ALLOW_HOST_NETWORK", "value": "true"}]})
    spec["metadata"]["annotations"] = {"hostNetwork": "true", "allow-host-network": "true"}
    refused(r, spec, "hostNetwork=true")


def the_owner_grants_by_file_or_by_the_caller(r):
    shared = os.path.join(r.directory, "shared")
    os.makedirs(os.path.join(shared, "below"), exist_ok=True)
    with open(os.path.join(shared, "below/word"), "w") as file:
        file.write("allowed")

    def pod(name, path, read_only):
        return r.spec(name, volumes=[{"name": "v", "hostPath": {"path": path}}],
                      container={"volumeMounts": [{"name": "v", "mountPath": "/host", "readOnly": read_only}]})
    with Allowed(r, "hostPaths: [{path: '%s'}]\n" % shared):
        refused(r, pod("write", shared, False), "hostPath volumes", "--allow-host-path %s:rw" % shared)
        refused(r, pod("beside", shared + "2", True), "hostPath volumes")
        refused(r, pod("above", r.directory, True), "hostPath volumes")
        refused(r, pod("around", shared + "/../image", True), "hostPath")
        r.k("create", "-f", "-", stdin=json.dumps(pod("reader", shared + "/below", True)))
    running = r.ready("reader")
    assert r.http(running, "/file/host/word") == b"allowed"
    assert r.http(running, "/writable/host/word") != b"writable"
    os.environ["KUBECTL_LOCAL_ALLOW_HOST_PATH"] = "/nowhere\n%s:rw" % shared
    try:
        r.k("create", "-f", "-", stdin=json.dumps(pod("writer", shared, False)))
    finally:
        del os.environ["KUBECTL_LOCAL_ALLOW_HOST_PATH"]
    assert r.http(r.ready("writer"), "/write/host/below/new") == b"ok"
    with open(os.path.join(shared, "below/new")) as file:
        assert file.read() == "written\n"
    r.delete("reader", "writer")


def run(r, name, code, image=IMAGE, **more):
    """The output of a container that runs this Python code."""
    container = {"command": ["/usr/bin/python3", "-c", code], "args": [], "readinessProbe": None, "image": image}
    container.update(more.pop("container", {}))
    r.create(name, container=container, restartPolicy="Never", **more)
    pod = r.wait(name, "ended", lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"), timeout=60)
    out = r.k("logs", name, check=False)
    assert pod["status"]["phase"] == "Succeeded", (pod["status"], out.stdout, out.stderr)
    r.delete(name)
    return out.stdout


def links_lead_nowhere_outside(r):
    secret = os.path.join(r.directory, "private")
    os.makedirs(secret, exist_ok=True)
    with open(os.path.join(secret, "file"), "w") as file:
        file.write("secret of the host")
    os.chmod(secret, 0o700)
    volume = [{"name": "e", "emptyDir": {}}]
    for kind, target in (("absolute", secret), ("up", "../" * 12 + secret), ("file", secret + "/file"), ("root", "/"), ("magic", "/proc/self/root" + secret)):
        init = [{"name": "lay", "image": IMAGE, "command": ["/bin/sh", "-c", "mkdir /e/dir && ln -s %s /e/link && ln -s %s /e/dir/link" % (target, target)],
                 "volumeMounts": [{"name": "e", "mountPath": "/e"}]}]
        for sub in ("link", "dir/link"):
            r.create("linked", initContainers=init, volumes=volume, container={"volumeMounts": [{"name": "e", "mountPath": "/host", "subPath": sub}]})
            pod = r.wait("linked", "refused", lambda pod: waiting(pod).get("reason") == "RunContainerError")
            assert "a link leads out of it" in waiting(pod)["message"] and status(pod)["restartCount"] == 0, (kind, status(pod))
            r.k("delete", "pod", "linked", "--force", "--grace-period=0")
    # Links that stay inside are followed, and missing directories are created, also with subPathExpr.
    init[0]["command"] = ["/bin/sh", "-c", "mkdir -p /e/real/deep && echo inside > /e/real/deep/file && ln -s real /e/link"]
    mounts = [{"name": "e", "mountPath": "/seen", "subPath": "link/deep"}, {"name": "e", "mountPath": "/made", "subPath": "a/b/c"},
              {"name": "e", "mountPath": "/named", "subPathExpr": "of-$(WHO)"}, {"name": "e", "mountPath": "/all"}]
    out = run(r, "inside", "import os; print(open('/seen/file').read().strip()); open('/made/x', 'w'); open('/named/y', 'w'); print(sorted(os.listdir('/all')))",
              initContainers=init, volumes=volume, container={"volumeMounts": mounts, "env": [{"name": "WHO", "value": "me"}]})
    assert out == "inside\n['a', 'link', 'of-me', 'real']\n", out
    # Another user of the container can reach a deep mount.
    if r.is_root:
        deep = run(r, "deep", "open('/data/models/x', 'w'); open('/var/tmp/y', 'w'); print('written')", securityContext={"runAsUser": 1000},
                   volumes=[{"name": "e", "emptyDir": {}}], container={"volumeMounts": [{"name": "e", "mountPath": "/data/models"}]})
        assert deep == "written\n", deep
    # One allowed path inside another, in both orders: no component between them may be a link that a pod has placed.
    outer = os.path.join(r.directory, "outer")
    os.makedirs(outer, exist_ok=True)
    if not os.path.islink(outer + "/scratch"):
        os.symlink(secret, outer + "/scratch")
    for order in ([outer + "/scratch", outer], [outer, outer + "/scratch"]):
        with Allowed(r, "hostPaths: [%s]\n" % ", ".join("{path: '%s', access: rw}" % path for path in order)):
            r.create("between", volumes=[{"name": "v", "hostPath": {"path": outer + "/scratch"}}], container={"volumeMounts": [{"name": "v", "mountPath": "/host"}]})
            pod = r.wait("between", "refused", lambda pod: waiting(pod).get("reason") == "RunContainerError")
            assert "a link leads out of it" in waiting(pod)["message"], status(pod)
            r.k("delete", "pod", "between", "--force", "--grace-period=0")
    # Nothing is created in a directory that pods may only read.
    readable = os.path.join(r.directory, "readable")
    os.makedirs(readable, exist_ok=True)
    with Allowed(r, "hostPaths: [{path: '%s'}]\n" % readable):
        for path, kind, sub in (("/new", "DirectoryOrCreate", None), ("/file", "FileOrCreate", None), ("", "", "below")):
            mount = {"name": "v", "mountPath": "/host", "readOnly": True}
            mount.update({"subPath": sub} if sub else {})
            r.create("reader", volumes=[{"name": "v", "hostPath": {"path": readable + path, "type": kind}}], container={"volumeMounts": [mount]})
            r.wait("reader", "refused", lambda pod: waiting(pod).get("reason") == "RunContainerError")
            r.k("delete", "pod", "reader", "--force", "--grace-period=0")
            assert os.listdir(readable) == [], os.listdir(readable)
    # An allowed host path gives no way out either.
    shared = os.path.join(r.directory, "shared")
    os.makedirs(shared, exist_ok=True)
    if not os.path.islink(shared + "/out"):
        os.symlink(secret, shared + "/out")
    with Allowed(r, "hostPaths: [{path: '%s', access: rw}]\n" % shared):
        for volume, sub in (({"path": shared + "/out"}, None), ({"path": shared}, "out"), ({"path": shared + "/out/new", "type": "DirectoryOrCreate"}, None)):
            mount = {"name": "v", "mountPath": "/host"}
            mount.update({"subPath": sub} if sub else {})
            r.create("door", volumes=[{"name": "v", "hostPath": volume}], container={"volumeMounts": [mount]})
            pod = r.wait("door", "refused", lambda pod: waiting(pod).get("reason") == "RunContainerError")
            assert "a link leads out of it" in waiting(pod)["message"], waiting(pod)
            r.k("delete", "pod", "door", "--force", "--grace-period=0")
    assert os.listdir(secret) == ["file"]


CAPABILITIES = ("import os\n"
                "line = [l for l in open('/proc/self/status') if l.startswith('CapEff')][0]\n"
                "print(os.getuid(), os.getgid(), int(line.split()[1], 16))\n")
DEFAULT = sum(1 << number for number in (0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31))


def root_is_not_root_outside(r):
    assert run(r, "caps", CAPABILITIES) == "0 0 %d\n" % DEFAULT
    assert run(r, "none", CAPABILITIES, container={"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}}) == "0 0 %d\n" % (1 << 10)
    # What root of a container engine can do with its own files.
    code = ("import os\nos.makedirs('/tmp/cache', 0o777); os.chmod('/tmp/cache', 0o666); open('/tmp/cache/file', 'w').write('x')\n"
            "os.chown('/tmp/cache', 0, 0); print(open('/tmp/cache/file').read())")
    assert run(r, "cache", code) == "x\n"
    r.create("map")
    pod = r.ready("map")
    lines = [line.split() for line in r.http(pod, "/file/proc/self/uid_map").decode().splitlines()]
    assert len(lines) == 1 and lines[0][0] == "0", lines
    pid = r.command_pid("map")
    outside = int([line for line in open("/proc/%d/status" % pid) if line.startswith("Uid")][0].split()[1])
    if r.is_root:
        assert outside >= 0x78000000 and int(lines[0][1]) == outside and lines[0][2] == "65536", (outside, lines)
    else:
        assert outside == os.getuid(), outside
    assert open("/proc/%d/oom_score_adj" % pid).read() == "500\n"
    r.delete("map")
    if r.is_root:
        # Its files belong to no other user, and are removed nevertheless.
        r.create("writes", container={"volumeMounts": [{"name": "e", "mountPath": "/e"}]}, volumes=[{"name": "e", "emptyDir": {}}])
        pod = r.ready("writes")
        r.http(pod, "/write/e/file")
        owner = os.stat(os.path.join(r.state, "pods/default/writes/volumes/e/file")).st_uid
        assert owner >= 0x78000000, owner
        other = int(r.http(pod, "/file/proc/self/uid_map").split()[1])
        assert owner == other != outside
        r.delete("writes")


def where_root_has_no_ids_to_give(r):
    """Root of a container whose own map has a single id: root in the pod is that root, without its capabilities, behind the same filter."""
    if not r.is_root:
        return  # an ordinary user never has any, which every other case shows
    weak = Run("weak", r.binary, r.directory)
    weak.state = os.path.join(r.directory, "weak-state")
    weak.prefix = ["unshare", "--user", "--map-root-user", "--mount"]
    weak.k("image", IMAGE, os.path.join(r.directory, "image"), "/code/server.py")
    code = CAPABILITIES + "print([l.split()[1] for l in open('/proc/self/status') if l.startswith('Seccomp:')])\n"
    assert run(weak, "weak", code) == "0 0 %d\n['2']\n" % (1 << 10)


def users_are_who_the_spec_says(r):
    context = {"runAsUser": 1000, "runAsGroup": 1001}
    code = CAPABILITIES + ("for path in ('/etc/x', '/usr/x', '/code/x', '/x'):\n try:\n  open(path, 'w'); print(path)\n except OSError: pass\n"
                           "open('/tmp/mine', 'w'); open('/e/mine', 'w'); print(os.stat('/e/mine').st_uid)\n"
                           "import socket; socket.create_server(('', 80)); print('listens')\n")
    mounts = {"volumeMounts": [{"name": "e", "mountPath": "/e"}]}
    out = run(r, "user", code, securityContext=context, container=mounts, volumes=[{"name": "e", "emptyDir": {}}]).split("\n")
    assert out[0] == "1000 1001 0", out
    assert out[-3:] == ["1000", "listens", ""], out
    if r.is_root:
        assert out[1] == "1000", out  # with a single mapped id, its owner owns the memory below / as well
        out = run(r, "groups", "import os; print(sorted(os.getgroups()), os.stat('/e').st_gid); open('/e/f', 'w'); print(os.stat('/e/f').st_gid)",
                  securityContext=dict(context, fsGroup=7, supplementalGroups=[8]), container=mounts, volumes=[{"name": "e", "emptyDir": {}}])
        assert out == "[7, 8] 7\n7\n", out
    out = run(r, "own", CAPABILITIES, securityContext=context, container={"securityContext": {"runAsUser": 5}})
    assert out == "5 1001 0\n", out
    r.create("nobody", container={"command": ["/no/such/program"]}, securityContext={"runAsUser": 65534})
    pod = r.wait("nobody", "StartError", lambda pod: status(pod).get("lastState", {}).get("terminated", {}).get("reason") == "StartError")
    assert "/no/such/program" in status(pod)["lastState"]["terminated"]["message"], status(pod)
    r.delete("nobody")


def a_read_only_root_is_read_only(r):
    code = ("for path in ('/x', '/tmp/x', '/run/x', '/dev/x', '/e/x', '/dev/shm/x'):\n try:\n  open(path, 'w'); print(path)\n except OSError: pass\n")
    more = {"volumes": [{"name": "e", "emptyDir": {}}]}
    mounts = {"volumeMounts": [{"name": "e", "mountPath": "/e"}]}
    assert run(r, "writable", code, container=mounts, **more) == "/x\n/tmp/x\n/run/x\n/e/x\n/dev/shm/x\n"
    assert run(r, "closed", code, container=dict(mounts, securityContext={"readOnlyRootFilesystem": True}), **more) == "/e/x\n/dev/shm/x\n"


FILTER = r"""
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, number, *args):
    ctypes.set_errno(0)
    rc = libc.syscall(number, *args)
    print(name, 'done' if rc >= 0 else errno.errorcode[ctypes.get_errno()])
tried('unshare', 272, 0x10000000)
tried('mount', 165, b'none', b'/tmp', b'tmpfs', 0, None)
tried('add_key', 248, b'user', b'from-inside', b'x', 1, -3)
tried('keyctl', 250, 1, None)
tried('request_key', 249, b'user', b'of-the-host', None, 0)
tried('open_by_handle_at', 304, -100, None, 0)
tried('bpf', 321, 0, None, 0)
try:
    socket.socket(40, socket.SOCK_STREAM)
    print('vsock done')
except OSError as error:
    print('vsock', errno.errorcode[error.errno])
print('seccomp', [l.split()[1] for l in open('/proc/self/status') if l.startswith('Seccomp:')][0])
for path in ('/proc/keys', '/proc/vmallocinfo', '/proc/slabinfo', '/proc/kallsyms', '/proc/sys/kernel/core_pattern'):
    try:
        found = open(path).read(4096)
        print(path, 'readable' if found.strip() else 'empty')
    except OSError as error:
        print(path, 'closed')
"""


def the_kernel_is_far_away(r):
    libc = ctypes.CDLL(None, use_errno=True)
    # A secret in the key rings of the user who runs the node.
    if os.uname().machine == "x86_64":
        libc.syscall(248, b"user", b"of-the-host", b"secret", 6, -3)
        libc.syscall(248, b"user", b"of-the-host", b"secret", 6, -4)
    out = dict(line.split() for line in run(r, "kernel", FILTER).splitlines())
    assert out["seccomp"] == "2", out
    for path in ("/proc/keys", "/proc/vmallocinfo", "/proc/slabinfo"):
        assert out[path] in ("empty", "closed"), out
    if os.uname().machine == "x86_64":
        for name in ("unshare", "mount", "add_key", "keyctl", "request_key", "open_by_handle_at", "bpf"):
            assert out[name] == "EPERM", out
        assert out["vsock"] == "ENOSYS", out


PROCESS_1 = r"""
import os, signal, subprocess, sys, time
print('pid', os.getpid(), flush=True)
subprocess.run(['/bin/sh', '-c', 'kill -TERM 1; kill -HUP 1; kill -KILL 1; true'])
print('alive', flush=True)
seen = []
signal.signal(signal.SIGTERM, lambda *_: seen.append('TERM'))
subprocess.run(['/bin/sh', '-c', 'kill -TERM 1'])
while not seen: time.sleep(0.01)
print(seen, flush=True)
# An orphan becomes ours, and stays a zombie until we look.
child = subprocess.Popen(['/bin/sh', '-c', '(sleep 0.1; exit 7) & echo $!'], stdout=subprocess.PIPE, text=True)
orphan = int(child.stdout.readline())
child.wait()
print(os.waitpid(orphan, 0)[1] >> 8, flush=True)
os.kill(os.getpid(), signal.SIGUSR1)   # no handler: nothing happens
print('still', flush=True)
sys.exit(9)
"""


def the_command_is_process_1(r):
    r.create("first", container={"command": ["/usr/bin/python3", "-c", PROCESS_1], "readinessProbe": None}, restartPolicy="Never")
    pod = r.wait("first", "ended", lambda pod: pod["status"]["phase"] == "Failed", timeout=60)
    out = r.k("logs", "first").stdout
    assert out == "pid 1\nalive\n['TERM']\n7\nstill\n", out
    assert status(pod)["state"]["terminated"]["exitCode"] == 9, status(pod)
    r.delete("first")
    # A handler runs at deletion; its exit code is the container's.
    code = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(3)))\nprint('up', flush=True)\nwhile True: time.sleep(1)"
    r.create("polite", container={"command": ["/usr/bin/python3", "-c", code], "readinessProbe": None})
    soon("it is up", lambda: r.k("logs", "polite", check=False).stdout == "up\n")
    pid = r.command_pid("polite")
    r.k("delete", "pod", "polite", "--grace-period=30")
    assert gone(pid)


FREE = r"""
import ctypes, os, time
libc = ctypes.CDLL(None)
libc.prctl(1, 0)   # the death of its parent is no concern of this process any more
print('free', flush=True)
if os.fork() == 0:
    os.setsid()
while True: time.sleep(1)
"""


def nothing_outlives_its_supervisor(r):
    r.create("free", container={"command": ["/usr/bin/python3", "-c", FREE], "readinessProbe": None})
    soon("it runs", lambda: r.k("logs", "free", check=False).stdout == "free\n")
    pid = r.command_pid("free")
    r.kill_supervisor("free")
    soon("the container is gone", lambda: gone(pid))
    r.k("delete", "pod", "free", "--force", "--grace-period=0")


def nothing_outlives_supervisor_and_helper(r):
    """As if somebody ended every process called kubectl-local."""
    for end in ("delete", "start"):
        r.create("left", container={"command": ["/usr/bin/python3", "-c", FREE], "readinessProbe": None})
        soon("it runs", lambda: r.k("logs", "left", check=False).stdout == "free\n")
        pid = r.command_pid("left")
        supervisor = r.supervisors()["left"]
        helpers = [child for child in children(supervisor) if comm(child) == "kubectl-pod-ns"]
        assert helpers, [comm(child) for child in children(supervisor)]
        for one in (supervisor, *helpers):
            os.kill(one, signal.SIGSTOP)  # neither may see the other's end
        for one in (*helpers, supervisor):
            os.kill(one, signal.SIGKILL)
        soon("both have ended", lambda: all(not alive(one) for one in (supervisor, *helpers)))
        if end == "start":  # the next command restarts the supervisor, which starts the container
            r.wait("left", "another run", lambda pod: r.command_pid("left") != pid)
            soon("the former one is gone", lambda: not alive(pid))
        r.delete("left")
        soon("nothing is left", lambda: not alive(pid))


def with_words(*words):
    """The processes of that command."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                if file.read().split(b"\0")[:-1] == [word.encode() for word in words]:
                    found.append(int(pid))
        except OSError:
            pass
    return found


def who_is_tied_to_nobody_ends_too(r):
    """The state of bwrap's child if bwrap is killed before the child has asked for a death signal."""
    seconds = "3000.%d" % os.getpid()

    def strays():
        return with_words("sleep", seconds)
    for host_network in (False, True):
        for end in ("delete", "kill"):
            with Allowed(r, "hostNetwork: %s\n" % ("true" if host_network else "false")):
                r.create("tied", ("idle",), container={"readinessProbe": None, "ports": []}, **({"hostNetwork": True} if host_network else {}))
                r.ready("tied")
            entered = ["--user", "--preserve-credentials"] if host_network else ["--user", "--preserve-credentials", "--net"]
            subprocess.run(["setsid", "--fork", "nsenter", "--target", str(r.command_pid("tied")), *entered, "sleep", seconds], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=60)
            soon("it is in the pod", strays)
            if end == "kill":
                r.kill_supervisor("tied")
                soon("it ended with the supervisor", lambda: not strays())
            r.delete("tied")
            soon("it ended with the pod", lambda: not strays())


def what_nests_deep_is_removed(r):
    code = ("import os\nos.chdir('/e')\nfor i in range(300):\n os.mkdir('d' * 200); os.chdir('d' * 200)\nopen('last', 'w')\n"
            "os.chdir('/e'); os.mkdir('closed'); open('closed/f', 'w'); os.chmod('closed/f', 0); os.chmod('closed', 0)\n"
            "try:\n os.chown('closed', 5, 5)\nexcept OSError: pass\nprint('done')")
    out = run(r, "deep", code, container={"volumeMounts": [{"name": "e", "mountPath": "/e"}]}, volumes=[{"name": "e", "emptyDir": {}}])
    assert out == "done\n", out
    assert os.listdir(os.path.join(r.state, "tmp")) == []
    assert not os.path.exists(os.path.join(r.state, "pods/default/deep"))


CASES = [a_spec_grants_nothing, the_owner_grants_by_file_or_by_the_caller, links_lead_nowhere_outside, root_is_not_root_outside, where_root_has_no_ids_to_give, users_are_who_the_spec_says,
         a_read_only_root_is_read_only, the_kernel_is_far_away, the_command_is_process_1, nothing_outlives_its_supervisor, nothing_outlives_supervisor_and_helper, who_is_tied_to_nobody_ends_too, what_nests_deep_is_removed]

main(CASES, [root_is_not_root_outside, users_are_who_the_spec_says, the_kernel_is_far_away, the_command_is_process_1, what_nests_deep_is_removed])
