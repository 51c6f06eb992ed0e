#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pods without namespaces, in two environments that the test creates: a container with Docker's defaults, and a plain chroot. TAP.

Each case runs in a process of its own, in a mount namespace. Its root is a directory into which this machine's directories are bound. In
the container environment, that process has the capabilities and refused system calls of a default Docker container. A machine that does not
allow such an environment, for example because it is one itself, skips the cases and gives the reason.
"""
import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
import local  # noqa: E402
import transformers  # noqa: E402
from harness import Skip, until  # noqa: E402
from no_namespaces_pods import DAEMON, FETCH, HUNGRY, LOOK, REACH, SELF_ENDING, STATIC  # noqa: E402

PLACES = {"container": "a container as Docker runs it", "chroot": "a plain chroot"}
DOCKER_CAPABILITIES = "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,audit_write,setfcap"
DEMO_MD5 = "393c6706efb128fbc442d3f7d084a426"


# The environment.

def bind_everything(root):
    """This machine's directories at their paths below root; only the root directory itself, /tmp and links belong to root."""
    for name in sorted(os.listdir("/")):
        source, target = "/" + name, os.path.join(root, name)
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
        elif os.path.isdir(source) and name not in ("tmp", "lost+found"):
            os.mkdir(target)
            subprocess.run(["mount", "--rbind", source, target], check=True)
    os.mkdir(os.path.join(root, "tmp"))
    os.chmod(os.path.join(root, "tmp"), 0o1777)
    # If the build or the sources are below /tmp, bind them as well.
    for path in (harness.ROOT, harness.BUILD):
        if path.startswith("/tmp/"):
            os.makedirs(root + path, exist_ok=True)
            subprocess.run(["mount", "--rbind", path, root + path], check=True)


def refuse_as_docker():
    """unshare, setns, mount, umount2, pivot_root, and clone with namespaces fail with EPERM. clone3 fails with ENOSYS, so that it is no way
    around."""
    numbers = {"x86_64": (0xC000003E, 272, 308, 165, 166, 155, 56, 435), "aarch64": (0xC00000B7, 97, 268, 40, 39, 41, 220, 435)}.get(os.uname().machine)
    if numbers is None:
        raise Skip("the numbers of system calls of this processor are not in this test")
    arch, clone, clone3, refused = numbers[0], numbers[6], numbers[7], numbers[1:6]
    load, jump_equal, jump_any, give = 0x20, 0x15, 0x45, 0x06
    allow, eperm, enosys = 0x7FFF0000, 0x00050001, 0x00050026
    program = [(load, 0, 0, 4), (jump_equal, 1, 0, arch), (give, 0, 0, allow), (load, 0, 0, 0)]
    for number in refused:
        program += [(jump_equal, 0, 1, number), (give, 0, 0, eperm)]
    program += [(jump_equal, 0, 1, clone3), (give, 0, 0, enosys), (jump_equal, 1, 0, clone), (give, 0, 0, allow),
                (load, 0, 0, 16), (jump_any, 0, 1, 0x7E020000), (give, 0, 0, eperm), (give, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in program))
    about = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(22, 2, ctypes.c_char_p(about), 0, 0) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise Skip(f"this machine refuses the filter of a container: {os.strerror(ctypes.get_errno())}")


def enter(place, root, case):
    """Second step, in a mount namespace of its own."""
    bind_everything(root)
    os.chroot(root)
    os.chdir("/")
    environment = {name: value for name, value in os.environ.items() if name not in ("container", "TMPDIR", "KUBECTL_LOCAL_SANDBOX")}
    environment["ETLNODE_BUILD"] = harness.BUILD  # the working directory has changed
    words = [sys.executable, os.path.abspath(__file__), "--inside", place, case]
    if place == "container":
        refuse_as_docker()
        words = ["setpriv", "--inh-caps=-all", "--bounding-set=-all,+" + DOCKER_CAPABILITIES.replace(",", ",+")] + words
    os.execvpe(words[0], words, environment)


def play(place, case):
    """First step: the environment, the case in it, its output as TAP comments."""
    if os.geteuid() != 0:
        raise Skip("only root can make the place")
    if subprocess.run(["unshare", "-m", "--propagation", "private", "true"], capture_output=True).returncode != 0:
        raise Skip("this machine does not let root create a mount namespace: the environment cannot be created here")
    if place == "container" and not shutil.which("setpriv"):
        raise Skip("setpriv is missing (Debian: util-linux)")
    root = tempfile.mkdtemp(prefix="etlnode-place.")
    os.chmod(root, 0o755)
    process = subprocess.Popen(["unshare", "-m", "--propagation", "private", sys.executable, os.path.abspath(__file__), "--enter", place, root, case],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        out, _ = process.communicate(timeout=400)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(root, ignore_errors=True)  # the binds existed only in the other mount namespace
    text = out.decode(errors="replace")
    if process.returncode == 77:
        raise Skip(text.strip().splitlines()[-1])
    assert process.returncode == 0, text


# Inside.

class World:
    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="no-namespaces.", dir="/tmp")
        os.chmod(self.top, 0o755)
        self.binary = shutil.copy(harness.KUBECTL_LOCAL, os.path.join(self.top, "kubectl-local"))  # where an ordinary user can run it
        os.environ["HOME"] = self.top
        self.run = local.Run("none", self.binary, self.top)

    def image(self, name=local.IMAGE, files=None):
        folder = os.path.join(self.top, "image")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(os.path.join(folder, "usr/local/bin"))
        os.symlink(harness.PYTHON_LINK, os.path.join(folder, "usr/local/bin/python"))
        for path, content in (files or {"code/server.py": local.SERVER}).items():
            full = os.path.join(folder, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as file:
                file.write(content if isinstance(content, bytes) else content.encode())
            os.chmod(full, 0o755)
        self.run.k("image", name, folder, "/code/server.py")

    def processes(self):
        """Everything of a pod that is running."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = open(f"/proc/{pid}/cmdline", "rb").read()
                cwd = os.readlink(f"/proc/{pid}/cwd")
            except OSError:
                continue
            if (self.top.encode() in words and int(pid) != os.getpid()) or cwd.startswith(self.run.state):
                found.append((pid, words))
        return found


def inside_demo(_):
    """Both commands of the README as users type them, and their output."""
    environment = dict(os.environ, BUILD=harness.BUILD, TMPDIR="/tmp", HOME="/tmp")
    done = subprocess.run(["bash", "src/demo/demo.sh"], cwd=harness.ROOT, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert DEMO_MD5 in done.stdout, done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("transformer-md5-")]
    assert len(rows) == 2 and all(row[1] == "1/1" and row[-1] == "none" for row in rows), done.stdout
    state = "/tmp/up"
    environment.update(STATE=state, PORT="0")
    up = subprocess.run(["bash", "src/demo/up.sh"], cwd=harness.ROOT, env=environment, capture_output=True, text=True, timeout=200)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
    finally:
        down = subprocess.run(["bash", "src/demo/down.sh"], cwd=harness.ROOT, env=environment, capture_output=True, text=True, timeout=200)
    assert down.returncode == 0, down.stdout + down.stderr
    with open(state + "/log/target1.log", encoding="utf-8") as file:
        log = file.read()
    assert "sandbox=none" in log and "level=warn" in log, log


def inside_reported(world):
    """It is reported wherever a user may look."""
    r = world.run
    about = json.loads(r.k("version", "-o", "json").stdout)["sandbox"]
    assert about["pods"] == "none" and about["namespaces"] and about["container"], about
    assert "unsandboxed" in r.k("version").stdout
    world.image()
    done = r.k("create", "-f", "-", stdin=json.dumps(r.spec("loud")))
    assert done.stdout == "pod/loud created\n", done.stdout
    assert done.stderr.startswith("Warning: pod/loud runs unsandboxed"), done.stderr
    r.ready("loud")
    for words in ((), ("-o", "wide")):
        header, row = r.k("get", "pods", *words).stdout.splitlines()
        assert header.split()[-1] == "SANDBOX" and row.split()[-1] == "none", (header, row)
    described = r.k("describe", "pod", "loud").stdout
    assert any(line.split() == ["Sandbox:", "none"] for line in described.splitlines()), described
    # A spec cannot claim to be sandboxed.
    spec = r.spec("liar")
    spec["metadata"]["annotations"] = {"etlnode.local/sandbox": "namespaces"}
    r.k("create", "-f", "-", stdin=json.dumps(spec))
    assert r.get("liar")["metadata"]["annotations"]["etlnode.local/sandbox"] == "none"
    # Features that need namespaces are refused, not ignored.
    for context in ({"runAsUser": 1000}, {"sysctls": [{"name": "net.ipv4.ip_local_port_range", "value": "1024 65535"}]}):
        refused = r.k("create", "-f", "-", stdin=json.dumps(r.spec("other", securityContext=context)), check=False)
        assert refused.returncode == 1 and "needs namespaces" in refused.stderr and "securityContext" in refused.stderr, refused
    assert r.get("other") is None
    r.delete("loud", "liar")


def inside_cluster(_):
    """Both targets' pods on port 80, in every mode. The nodes report how pods run."""
    with harness.Cluster(targets=2) as c:
        c.image("example.org/echo:v1", {"code/server.py": transformers.ECHO_PUT}, ["/code/server.py"])
        c.image("example.org/fetch:v1", {"code/server.py": FETCH}, ["/code/server.py"])
        c.bucket("plain")
        bodies = {f"o{i}": os.urandom(200_000 + i) for i in range(8)}
        for name, body in bodies.items():
            assert c.put("plain", name, body).status == 200
        for mode, image in (("hpush://", "example.org/echo:v1"), ("hrev://", "example.org/fetch:v1"), ("hpull://", "example.org/fetch:v1")):
            etl = c.init(harness.pod_spec("same", image, mode=mode))
            for name, body in bodies.items():
                answer = c.get("plain", name, f"uuid={etl}")
                assert answer.status == 200 and answer.body == body, (mode, answer)
            assert len({local.address(pod)[0] for pod in c.pods()}) == 2, c.pods()
            c.stop_etl(etl)
        wide = c.run("etlctl", "cluster", "show", "-o", "wide").stdout.decode().splitlines()
        at = wide[0].split().index("SANDBOX")
        assert sorted(line.split()[at] for line in wide[1:]) == ["-", "none", "none"], wide


def inside_view(world):
    """A container sees what its image, its spec and a sandbox would show. It cannot touch what it may not."""
    r = world.run
    world.image(files={"code/server.py": LOOK, "code/hello.sh": "#!/bin/sh\necho hello $1 from $0\n"})
    outsider = subprocess.Popen(["sleep", "1000"])
    host_only = os.path.join(world.top, "host-only")
    open(host_only, "w").close()
    try:
        mount = {"name": "shared", "mountPath": "/shared"}
        container = {"name": "look", "image": local.IMAGE, "workingDir": "/shared", "volumeMounts": [mount], "ports": [{"containerPort": 80}],
                     "env": [{"name": "WHO", "value": "me"}, {"name": "OUTSIDER", "value": str(outsider.pid)}, {"name": "HOST_ONLY", "value": host_only}]}
        init = {"name": "first", "image": local.IMAGE, "command": ["/bin/sh", "-c", "echo made by init > /shared/from-init"], "volumeMounts": [mount]}
        spec = r.spec("look", initContainers=[init], volumes=[{"name": "shared", "emptyDir": {}}], restartPolicy="Never")
        spec["spec"]["containers"] = [container]
        r.k("create", "-f", "-", stdin=json.dumps(spec))
        pod = r.wait("look", "ended", lambda pod: pod["status"].get("phase") in ("Succeeded", "Failed"))
        log = r.k("logs", "look").stdout
        assert pod["status"]["phase"] == "Succeeded", log
        seen = json.loads(log)
        address = pod["status"]["podIP"]
        assert address.startswith("127."), pod["status"]
        for key, value in {
            "argv": ["/code/server.py"], "cwd": "/shared", "env": "me", "hostname": "look", "script": "hello you from /code/hello.sh\n", "shared": "made by init\n",
            "relative": "#!/b", "usr": "EROFS", "etc": "EROFS", "code": "EROFS", "remove": "EROFS", "rename": "EROFS", "chmod": "EROFS", "access": False, "shadow": "",
            "up": seen["root"], "through root": seen["root"], "others": "ENOENT", "outsider": "ESRCH", "link": "/shared", "null": "written", "shm": "written",
            "threads": 16, "unix": True, "missing": "ENOENT", "names": False, "all": -15,
            "sockets": [[address, 80], ["::ffff:" + address, 81], [address, 80], [address, 81]],
        }.items():
            assert seen[key] == value, (key, seen[key], value)
        assert "code" in seen["root"] and "home" not in seen["root"], seen["root"]
        assert outsider.poll() is None
        assert not os.path.exists("/usr/bin/kilroy")
    finally:
        outsider.kill()
        outsider.wait()
    r.delete("look")


def inside_reach(world):
    """Neither a descriptor nor a number reaches what a sandbox would protect."""
    r = world.run
    world.image(files={"code/server.py": REACH, "code/words": "untouched\n"})
    outsider = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    path = os.path.join(world.top, "others.sock")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(path)
    listener.setblocking(False)
    master, slave = os.openpty()

    def state():
        with open(f"/proc/{outsider.pid}/stat", encoding="ascii") as file:
            nice = file.read().rpartition(")")[2].split()[16]
        return nice, os.sched_getaffinity(outsider.pid), os.sched_getscheduler(outsider.pid), resource.prlimit(outsider.pid, resource.RLIMIT_NOFILE)
    before = state()
    words = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(r.state, "images")) for name in names if name == "words"]
    assert len(words) == 1, words
    about = os.stat(words[0])
    try:
        mount = {"name": "shared", "mountPath": "/shared"}
        env = {"OUTSIDER": str(outsider.pid), "SOCKET": path, "TERMINAL": os.ttyname(slave)}
        r.create("reach", (), restartPolicy="Never", volumes=[{"name": "shared", "emptyDir": {}}],
                 container={"readinessProbe": None, "volumeMounts": [mount], "env": [{"name": name, "value": value} for name, value in env.items()]})
        pod = r.wait("reach", "ended", lambda pod: pod["status"].get("phase") in ("Succeeded", "Failed"))
        log = r.k("logs", "reach").stdout
        assert pod["status"]["phase"] == "Succeeded", log
        out, works = json.loads(log.splitlines()[-1])
        wrong = {key: value for key, value in out.items() if value == "done"}
        assert not wrong, wrong
        for key, value in out.items():
            allowed = {"EROFS"} if key.split()[0] in ("reopen", "empty", "truncate", "chmod", "xattr", "times", "link", "fchmod", "fchown", "fsetxattr", "futimens", "nameless", "exe", "thread") else None
            allowed = allowed or ({"ESRCH"} if key in ("owner", "owner group", "owner ex", "owner ex group", "FIOSETOWN", "SIOCSPGRP", "prlimit", "affinity", "scheduler", "sched_setparam", "sched_setattr",
                                                       "priority", "priority group", "io priority", "pidfd_open", "tkill", "tgkill", "sigqueue", "killpg", "robust list") else None)
            allowed = allowed or {"volume": {"EBUSY"}, "volume renamed": {"EBUSY"}, "device": {"EPERM"}, "device by descriptor": {"EPERM"}, "others' socket": {"ENOENT"}, "others' terminal": {"ENOENT"}}.get(key, {"EROFS", "EPERM", "ENOSYS"})
            assert value in allowed, (key, value)
        assert works == {key: "done" for key in works} | {"modes": ["0o755"] * 6 + ["0o3777"], "owner is kept": True, "child": -signal.SIGTERM, "datagram": "to itself", "local datagram": "local"}, works
        assert outsider.poll() is None and state() == before, (before, state())
        after = os.stat(words[0])
        assert (after.st_mode, after.st_uid, after.st_mtime, after.st_nlink, after.st_size) == (about.st_mode, about.st_uid, about.st_mtime, about.st_nlink, about.st_size)
        try:
            raise AssertionError(f"a datagram came: {listener.recv(10)}")
        except BlockingIOError:
            pass
    finally:
        outsider.kill()
        outsider.wait()
        listener.close()
        os.close(master)
        os.close(slave)
    r.delete("reach")


def inside_static(world):
    """A statically linked program, which a preloaded library could not redirect, listens on port 80 next to another one."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Skip("no C compiler to make a static program with")
    source, program = os.path.join(world.top, "static.c"), os.path.join(world.top, "static")
    with open(source, "w", encoding="ascii") as file:
        file.write(STATIC)
    subprocess.run([compiler, "-static", "-O1", "-o", program, source], check=True, timeout=100)
    with open(program, "rb") as file:
        code = file.read()
    r = world.run
    for name in ("one", "two"):
        world.image(f"example.org/static/{name}:v1", {"code/server.py": code, "code/words": f"words of {name}\n"})
        r.k("create", "-f", "-", stdin=json.dumps(r.spec(name, container={"image": f"example.org/static/{name}:v1"})))
    for name in ("one", "two"):
        assert r.http(r.ready(name), "/") == f"words of {name}\n".encode()
    r.delete("one", "two")


def inside_nothing_left(world):
    """Detached processes end with the pod: when it is deleted, when its supervisor is killed, when its command ends."""
    r = world.run
    world.image(files={"code/server.py": DAEMON})
    for how in ("deleted", "supervisor killed", "command killed"):
        spec = r.spec("spread", (), restartPolicy="Never")
        del spec["spec"]["containers"][0]["readinessProbe"]
        r.k("create", "-f", "-", stdin=json.dumps(spec))
        line = until(lambda: r.k("logs", "spread", check=False).stdout, "the process that goes away", 60)
        away = int(line.split()[1])
        assert os.path.exists(f"/proc/{away}")
        if how == "supervisor killed":
            os.kill(until(lambda: r.supervisors().get("spread"), "a supervisor", 30), signal.SIGKILL)
        elif how == "command killed":
            os.kill(r.command_pid("spread"), signal.SIGKILL)
        if how != "deleted":
            until(lambda: not local.alive(away), f"{how}: the end of {away}", 60)
        r.delete("spread")
        until(lambda: not local.alive(away), f"{how}: the end of {away}", 60)
        assert not os.path.exists(os.path.join(r.state, "pods/default/spread")), how
    until(lambda: not world.processes(), "no process is left", 60)


def inside_restart(world):
    """A container that dies is restarted at the same address. Meanwhile connections are refused."""
    r = world.run
    world.image()
    r.create("again")
    pod = r.ready("again")
    os.kill(r.command_pid("again"), signal.SIGKILL)
    after = r.wait("again", "restarted", lambda pod: local.status(pod).get("restartCount") == 1 and local.is_ready(pod))
    assert local.address(after) == local.address(pod)
    assert local.status(after)["lastState"]["terminated"]["exitCode"] == 137, local.status(after)
    assert r.http(after, "/") == b"hello\n"
    r.create("missing", ("serve",), container={"command": ["/no/such/program"]})
    missing = r.wait("missing", "told", lambda pod: local.waiting(pod).get("reason") in ("RunContainerError", "CrashLoopBackOff"))
    assert "/no/such/program" in local.waiting(missing)["message"], missing["status"]
    r.delete("again", "missing")


def witness(pod):
    """The answer of the pod's witness; empty if it closes without one."""
    host, port = pod["metadata"]["annotations"]["etlnode.local/witness"].rsplit(":", 1)
    said = b""
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        while piece := connection.recv(4096):
            said += piece
    return said.decode().split(" ")[-1].strip()


def inside_ends_itself(world):
    """A server that exits closes its connection first and listens for half a second more: its witness is not misled."""
    r = world.run
    world.image(files={"code/server.py": SELF_ENDING})
    r.create("ends")
    pod = r.ready("ends")
    for restarts in range(3):
        assert r.http(pod, "/") == b"half of it" and witness(pod) == "server"
        assert r.http(pod, "/end") == b"half of it" and witness(pod) == ""
        pod = r.wait("ends", "again", lambda pod: local.status(pod).get("restartCount") == restarts + 1 and local.is_ready(pod))
    r.delete("ends")


def inside_user(world):
    """An ordinary user is refused immediately, with the flag's name. With the flag the pod runs, also on a low port."""
    world.image()
    for path, folders, files in os.walk(world.top):
        for name in [path] + [os.path.join(path, one) for one in folders + files]:
            os.chown(name, 65534, 65534, follow_symlinks=False)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            r = world.run
            refused = r.k("create", "-f", "-", stdin=json.dumps(r.spec("user")), check=False)
            assert refused.returncode == 1 and "--sandbox=none" in refused.stderr and refused.stderr.startswith("error: "), refused
            assert r.get("user") is None
            assert json.loads(r.k("version", "-o", "json").stdout)["sandbox"]["pods"] == "refused"
            allowed = r.k("--sandbox=none", "create", "-f", "-", stdin=json.dumps(r.spec("user")))
            assert "Warning: " in allowed.stderr, allowed
            assert r.http(r.ready("user"), "/") == b"hello\n"
            assert witness(r.get("user")) == "server"  # its port differs outside
            r.delete("user")
            wrong = r.k("--sandbox=maybe", "get", "pods", check=False)
            assert wrong.returncode == 1 and "auto or none" in wrong.stderr, wrong
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def inside_once(world):
    """The trial runs once: its result is cached until something that it depends on changes."""
    r = world.run
    r.k("version")
    path = os.path.join(r.state, "sandbox.json")
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    assert found["namespaces"], found
    found["namespaces"] = "kept from an earlier trial"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file)
    assert "kept from an earlier trial" in r.k("version").stdout
    found["circumstances"] = "another machine"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file)
    assert "kept from an earlier trial" not in r.k("version").stdout


def inside_last_words(world):
    """The termination message of a container is in its status."""
    r = world.run
    world.image()
    for path, said in (("/dev/termination-log", "bye"), ("/tmp/deep/words", "deep")):
        spec = r.spec("words", (), restartPolicy="Never", container={"command": ["/bin/sh", "-c", f"rm -f {path}; echo {said} > {path}; exit 3"], "terminationMessagePath": path})
        del spec["spec"]["containers"][0]["readinessProbe"]
        r.k("create", "-f", "-", stdin=json.dumps(spec))
        pod = r.wait("words", "ended", lambda pod: pod["status"].get("phase") == "Failed")
        assert local.status(pod)["state"]["terminated"]["message"] == said + "\n", pod["status"]
        r.delete("words")


def inside_memory(world):
    """The memory of all of a pod's processes counts, including detached ones, and nothing else: not the files in the machine's /tmp."""
    r = world.run
    limits = {"resources": {"limits": {"memory": "200Mi"}}}
    world.image("example.org/hungry:v1", {"code/server.py": HUNGRY})
    world.image()
    with open("/tmp/of-others", "wb") as file:
        file.write(bytes(300 << 20))
    r.create("modest", container=limits)
    r.ready("modest")
    r.create("hungry", (), restartPolicy="Never", container=dict(limits, image="example.org/hungry:v1"))
    hungry = r.wait("hungry", "ended", lambda pod: pod["status"].get("phase") == "Failed")
    assert local.status(hungry)["state"]["terminated"]["reason"] == "OOMKilled", hungry["status"]
    modest = r.get("modest")
    assert local.is_ready(modest) and local.status(modest)["restartCount"] == 0, modest["status"]
    os.unlink("/tmp/of-others")
    r.delete("modest", "hungry")


INSIDE = {
    "the demo runs and says how": inside_demo,
    "it is reported loudly": inside_reported,
    "a cluster transforms in every way": inside_cluster,
    "the view of a container": inside_view,
    "neither descriptors nor numbers reach out": inside_reach,
    "a static program is moved too": inside_static,
    "restarts keep the address": inside_restart,
    "a server that ends itself": inside_ends_itself,
    "last words": inside_last_words,
    "nothing is left": inside_nothing_left,
    "memory is counted": inside_memory,
    "an ordinary user is refused without the flag": inside_user,
    "the trial is made once": inside_once,
}


def case_flag_changes_nothing():
    """Where namespaces can be created pods get them, whatever the flag says."""
    state = tempfile.mkdtemp(prefix="no-namespaces.")
    try:
        for words in (["--sandbox=none"], []):
            done = subprocess.run([harness.KUBECTL_LOCAL, "--state-dir", state, *words, "version", "-o", "json"], capture_output=True, timeout=60)
            about = json.loads(done.stdout)["sandbox"]
            if about["pods"] != "namespaces":
                raise Skip("namespaces cannot be created here: " + about["message"])
    finally:
        shutil.rmtree(state)


def inside_main(place, case):
    world = World()
    try:
        INSIDE[case](world)
    except Skip as reason:
        print(reason)
        sys.exit(77)
    except BaseException:
        for name in world.run.supervisors():
            print(f"--- supervisor of {name}\n{world.run.supervisor_log(name)}\n{world.run.k('logs', name, check=False).stdout[-2000:]}")
        raise
    finally:
        for name in list(world.run.supervisors()):
            world.run.k("delete", "pod", name, "--now", check=False)
    sys.exit(0)


def main():
    if sys.argv[1:2] == ["--inside"]:
        inside_main(*sys.argv[2:])
    if sys.argv[1:2] == ["--enter"]:
        try:
            enter(*sys.argv[2:])
        except (Skip, subprocess.CalledProcessError) as reason:
            print(f"the environment cannot be created here: {reason}")
            sys.exit(77)
    cases = [(f"{place}: {case}", lambda place=place, case=case: play(place, case)) for place in PLACES for case in INSIDE]
    harness.run(cases + [("the flag changes nothing where namespaces exist", case_flag_changes_nothing)], limit=420)


if __name__ == "__main__":
    main()
