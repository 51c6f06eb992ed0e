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
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
import local  # noqa: E402
import transformers  # noqa: E402
from harness import Skip, until  # noqa: E402

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


def inside_told(world):
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


FETCH = transformers.COMMON + '''
class H(Base):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        with urllib.request.urlopen(os.environ["AIS_TARGET_URL"] + self.path) as source:
            body = source.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
serve(H)
'''

# Checks everything that a container may rely on, and reports it as JSON. A section that fails reports its error.
LOOK = r'''#!/usr/bin/env python
import errno, json, os, signal, socket, subprocess, sys, tempfile, threading
def attempt(what):
    try:
        return what()
    except OSError as error:
        return errno.errorcode[error.errno]
def write(path):
    with open(path, "w") as file:
        file.write("x")
    return "written"
def threads():
    done = []
    def work(i):
        for _ in range(30):
            write("/tmp/thread%d" % i)
        done.append(os.stat("/tmp/thread%d" % i).st_size)
    all = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    [t.start() for t in all]
    [t.join() for t in all]
    return sum(done)
def sockets():
    a, b = socket.socket(), socket.socket(socket.AF_INET6)
    a.bind(("0.0.0.0", 80)); a.listen()
    b.bind(("::", 81)); b.listen()
    out = [a.getsockname()[:2], b.getsockname()[:2]]
    for host, port in (("127.0.0.1", 80), ("localhost", 81)):
        out.append(socket.create_connection((host, port), timeout=5).getpeername()[:2])
    return out
def unix_socket():
    path = "/tmp/" + "long" * 20 + ".sock"
    server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen()
    socket.socket(socket.AF_UNIX).connect(path)
    return server.getsockname() == path and os.path.exists(path)
def signal_all():
    child = subprocess.Popen(["sleep", "1000"])
    os.kill(-1, signal.SIGTERM)  # all of the container but the one that asks
    return child.wait()
print(json.dumps({
    "argv": sys.argv, "cwd": os.getcwd(), "env": os.environ.get("WHO"), "hostname": socket.gethostname(), "root": sorted(os.listdir("/")),
    "script": subprocess.run(["/code/hello.sh", "you"], capture_output=True, text=True).stdout,
    "shared": open("/shared/from-init").read(), "relative": open("../code/hello.sh").read(4),
    "usr": attempt(lambda: write("/usr/bin/kilroy")), "etc": attempt(lambda: write("/etc/kilroy")), "code": attempt(lambda: write("/code/kilroy")),
    "remove": attempt(lambda: os.unlink("/usr/bin/env")), "rename": attempt(lambda: os.rename("/usr/bin/env", "/tmp/env")),
    "chmod": attempt(lambda: os.chmod("/usr/bin/env", 0)), "access": os.access("/usr/bin/env", os.W_OK), "shadow": attempt(lambda: open("/etc/shadow").read()),
    "up": attempt(lambda: sorted(os.listdir("/../../.."))), "through root": attempt(lambda: sorted(os.listdir("/proc/self/root"))),
    "others": attempt(lambda: open("/proc/%s/environ" % os.environ["OUTSIDER"]).read()), "outsider": attempt(lambda: os.kill(int(os.environ["OUTSIDER"]), signal.SIGKILL)),
    "link": os.readlink("/proc/self/cwd"), "null": attempt(lambda: write("/dev/null")), "shm": attempt(lambda: write("/dev/shm/x")), "threads": threads(),
    "sockets": sockets(), "unix": unix_socket(), "missing": attempt(lambda: os.stat("/no/such")), "names": os.path.exists(os.environ["HOST_ONLY"]),
    "all": signal_all(),
}))
'''


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


# Calls that bypass a read-only mount through a descriptor, or leave the pod through a number, and calls that must still work.
REACH = r'''#!/usr/bin/env python
import ctypes, errno, fcntl, json, os, pty, resource, signal, socket, struct, subprocess, time
libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = {"x86_64": dict(tkill=200, tgkill=234, rt_sigqueueinfo=129, ioprio_set=251, sched_setparam=142, sched_setattr=314, get_robust_list=274, process_vm_readv=310, process_vm_writev=311,
                          kcmp=312, ptrace=101, move_pages=279, migrate_pages=256, pidfd_getfd=438, pidfd_send_signal=424, process_madvise=440, linkat=265, fchownat=260, utimensat=280, fchmodat2=452),
           "aarch64": dict(tkill=130, tgkill=131, rt_sigqueueinfo=138, ioprio_set=30, sched_setparam=118, sched_setattr=274, get_robust_list=100, process_vm_readv=270, process_vm_writev=271,
                           kcmp=272, ptrace=117, move_pages=239, migrate_pages=238, pidfd_getfd=438, pidfd_send_signal=424, process_madvise=440, linkat=37, fchownat=54, utimensat=88, fchmodat2=452)}[os.uname().machine]
def attempt(what):
    try:
        what()
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]
def call(name, *args):
    ctypes.set_errno(0)
    rc = libc.syscall(ctypes.c_long(NUMBERS[name]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return "done" if rc >= 0 else errno.errorcode[ctypes.get_errno()]
def write(path):
    os.close(os.open(path, os.O_WRONLY))
out = {}
fd = os.open("/code/words", os.O_RDONLY)
dirfd = os.open("/code", os.O_RDONLY | os.O_DIRECTORY)
pathfd = os.open("/code/words", os.O_PATH)
for name, at in (("fd", fd), ("pathfd", pathfd)):
    link = "/proc/self/fd/%d" % at
    out["reopen " + name] = attempt(lambda: write(link))
    out["reopen both " + name] = attempt(lambda: os.close(os.open("/dev/fd/%d" % at, os.O_RDWR)))
    out["empty " + name] = attempt(lambda: os.close(os.open(link, os.O_RDONLY | os.O_TRUNC)))
    out["truncate " + name] = attempt(lambda: os.truncate(link, 0))
    out["chmod " + name] = attempt(lambda: os.chmod(link, 0o600))
    out["chown " + name] = attempt(lambda: os.chown(link, 5, 5))
    out["xattr " + name] = attempt(lambda: os.setxattr(link, "user.x", b"y"))
    out["times " + name] = attempt(lambda: os.utime(link, (1, 1)))
    out["link " + name] = call("linkat", -100, link.encode(), -100, b"/tmp/linked-" + name.encode(), 0x400)
    out["linkat empty " + name] = call("linkat", at, b"", -100, b"/tmp/empty-" + name.encode(), 0x1000)
    out["fchownat empty " + name] = call("fchownat", at, b"", 5, 5, 0x1000)
out["thread reopen"] = attempt(lambda: write("/proc/thread-self/fd/%d" % fd))
out["fchmod"] = attempt(lambda: os.fchmod(fd, 0o600))
out["fchmod dir"] = attempt(lambda: os.fchmod(dirfd, 0o700))
out["fchown"] = attempt(lambda: os.fchown(fd, 5, 5))
out["fsetxattr"] = attempt(lambda: os.setxattr(fd, "user.x", b"y"))
out["fremovexattr"] = attempt(lambda: os.removexattr(fd, "user.x"))
out["futimens"] = attempt(lambda: os.utime(fd, (1, 1)))
out["fchmodat2"] = call("fchmodat2", fd, b"", 0o600, 0x1000)
os.chdir("/code")
out["chown here"] = call("fchownat", -100, b"", 5, 5, 0x1000)
os.chdir("/")
out["nameless"] = attempt(lambda: os.close(os.open("/code", os.O_TMPFILE | os.O_RDWR)))
out["lease"] = attempt(lambda: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK))
out["setflags"] = attempt(lambda: fcntl.ioctl(fd, 0x40086602, struct.pack("L", 0x40)))
out["exe"] = attempt(lambda: write("/proc/self/exe"))
out["volume"] = attempt(lambda: os.rmdir("/shared"))
out["volume renamed"] = attempt(lambda: os.rename("/shared", "/tmp/moved"))
out["device"] = attempt(lambda: os.chmod("/dev/full", 0o666))
with open("/dev/full") as full:
    out["device by descriptor"] = attempt(lambda: os.fchmod(full.fileno(), 0o666))

other = int(os.environ["OUTSIDER"])
a, b = socket.socketpair()
out["owner"] = attempt(lambda: fcntl.fcntl(a, fcntl.F_SETOWN, other))
out["owner group"] = attempt(lambda: fcntl.fcntl(a, fcntl.F_SETOWN, -other))
out["owner ex"] = attempt(lambda: fcntl.fcntl(a, 15, struct.pack("ii", 1, other)))
out["owner ex group"] = attempt(lambda: fcntl.fcntl(a, 15, struct.pack("ii", 2, other)))
out["FIOSETOWN"] = attempt(lambda: fcntl.ioctl(a, 0x8901, struct.pack("i", other)))
out["SIOCSPGRP"] = attempt(lambda: fcntl.ioctl(a, 0x8902, struct.pack("i", -other)))
out["prlimit"] = attempt(lambda: resource.prlimit(other, resource.RLIMIT_NOFILE, (7, 7)))
out["affinity"] = attempt(lambda: os.sched_setaffinity(other, {0}))
out["scheduler"] = attempt(lambda: os.sched_setscheduler(other, os.SCHED_IDLE, os.sched_param(0)))
out["sched_setparam"] = call("sched_setparam", other, ctypes.create_string_buffer(8))
out["sched_setattr"] = call("sched_setattr", other, ctypes.create_string_buffer(struct.pack("IIQiIQQQ", 48, 5, 0, 0, 0, 0, 0, 0)), 0)
out["priority"] = attempt(lambda: os.setpriority(os.PRIO_PROCESS, other, 19))
out["priority group"] = attempt(lambda: os.setpriority(os.PRIO_PGRP, other, 19))
out["priority user"] = attempt(lambda: os.setpriority(os.PRIO_USER, 0, 19))
out["io priority"] = call("ioprio_set", 1, other, 3 << 13)
out["io priority user"] = call("ioprio_set", 3, 0, 3 << 13)
out["pidfd_open"] = attempt(lambda: os.close(os.pidfd_open(other)))
out["tkill"] = call("tkill", other, signal.SIGKILL)
out["tgkill"] = call("tgkill", other, other, signal.SIGKILL)
out["sigqueue"] = call("rt_sigqueueinfo", other, signal.SIGKILL, ctypes.create_string_buffer(struct.pack("iii", signal.SIGKILL, 0, -1).ljust(128)))
out["killpg"] = attempt(lambda: os.killpg(other, signal.SIGKILL))
out["robust list"] = call("get_robust_list", other, ctypes.create_string_buffer(8), ctypes.create_string_buffer(8))
for name in ("process_vm_readv", "process_vm_writev"):
    out[name] = call(name, other, None, 0, None, 0, 0)
out["kcmp"] = call("kcmp", os.getpid(), other, 0, 0, 0)
out["ptrace"] = call("ptrace", 16, other, 0, 0)
out["move_pages"] = call("move_pages", other, 0, None, None, None, 0)
out["migrate_pages"] = call("migrate_pages", other, 1, None, None)
out["pidfd_getfd"] = call("pidfd_getfd", a.fileno(), 0, 0)
out["process_madvise"] = call("process_madvise", a.fileno(), None, 0, 0, 0)
out["others' socket"] = attempt(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", os.environ["SOCKET"]))
out["others' terminal"] = attempt(lambda: write(os.environ["TERMINAL"]))

# What a container may do goes on.
works = {}
with open("/tmp/own", "w") as own:
    works["fchmod"] = attempt(lambda: os.fchmod(own.fileno(), 0o600))
    works["futimens"] = attempt(lambda: os.utime(own.fileno(), (1, 1)))
    os.unlink("/tmp/own")
    works["removed"] = attempt(lambda: (write("/proc/self/fd/%d" % own.fileno()), os.fchmod(own.fileno(), 0o600)))
program = os.open("/tmp/program", os.O_CREAT | os.O_WRONLY, 0o6755)
modes = [os.stat("/tmp/program").st_mode & 0o7777]
for change in (lambda: os.chmod("/tmp/program", 0o6755), lambda: os.fchmod(program, 0o6755), lambda: call("fchmodat2", -100, b"/tmp/program", 0o6755, 0), lambda: os.mknod("/tmp/node", 0o106755)):
    change()
    modes.append(os.stat("/tmp/program").st_mode & 0o7777)
modes.append(os.stat("/tmp/node").st_mode & 0o7777)
os.mkdir("/tmp/shared-dir")
os.chmod("/tmp/shared-dir", 0o3777)
works["modes"] = [oct(mode) for mode in modes + [os.stat("/tmp/shared-dir").st_mode & 0o7777]]
memory = os.memfd_create("x")
works["memory"] = attempt(lambda: (write("/proc/self/fd/%d" % memory), os.fchmod(memory, 0o600)))
works["volume"] = attempt(lambda: (open("/shared/x", "w").close(), os.rename("/shared/x", "/shared/y"), os.unlink("/shared/y")))
read, written = os.pipe()
works["pipe"] = attempt(lambda: write("/proc/self/fd/%d" % written))
works["stdout"] = attempt(lambda: write("/dev/stdout"))
nameless = os.open("/tmp", os.O_TMPFILE | os.O_RDWR)
works["linked"] = call("linkat", -100, b"/proc/self/fd/%d" % nameless, -100, b"/tmp/linked", 0x400)
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
works["owner"] = attempt(lambda: (fcntl.fcntl(a, fcntl.F_SETOWN, os.getpid()), fcntl.fcntl(a, fcntl.F_SETOWN, -child.pid), fcntl.fcntl(a, 15, struct.pack("ii", 1, child.pid)), fcntl.ioctl(a, 0x8901, struct.pack("i", os.getpid()))))
works["owner is kept"] = fcntl.fcntl(a, fcntl.F_GETOWN) == os.getpid()
works["limits"] = attempt(lambda: (resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (64, 64)), os.sched_setaffinity(child.pid, {0}), os.setpriority(os.PRIO_PROCESS, child.pid, 19), os.setpriority(os.PRIO_PGRP, child.pid, 19)))
pidfd = os.pidfd_open(child.pid)
works["pidfd"] = attempt(lambda: signal.pidfd_send_signal(pidfd, signal.SIGTERM))
works["child"] = child.wait()
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(("127.0.0.1", 5353)); server.settimeout(30)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"to itself", ("127.0.0.1", 5353))
works["datagram"] = server.recv(100).decode()
local = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); local.bind("/tmp/dgram"); local.settimeout(30)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"local", "/tmp/dgram")
works["local datagram"] = local.recv(100).decode()
master, slave = pty.openpty()
works["terminal"] = attempt(lambda: os.close(os.open(os.ttyname(slave), os.O_RDWR | os.O_NOCTTY)))
print(json.dumps([out, works]))
'''


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


STATIC = r'''
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0)
        return 1;
    for (;;) {
        int client = accept(fd, 0, 0);
        char request[1000], answer[200] = "HTTP/1.0 200 OK\r\n\r\n";
        if (read(client, request, sizeof request) > 0) {
            FILE *file = fopen("/code/words", "r");
            if (file && fgets(answer + strlen(answer), 100, file)) {}
            if (file) fclose(file);
            if (write(client, answer, strlen(answer)) < 0) return 2;
        }
        close(client);
    }
}
'''


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


DAEMON = r'''#!/usr/bin/env python
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("away", os.getpid(), flush=True)
        time.sleep(1000)
    os._exit(0)
os.wait()
time.sleep(1000)
'''


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


SELF_ENDING = r'''#!/usr/bin/env python
import atexit, socket, sys, time
server = socket.create_server(("0.0.0.0", 80), backlog=16)
while True:
    connection, _ = server.accept()
    with connection:
        asked = connection.recv(65536)
        if asked: connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhalf of it")
    if b"/end" in asked:
        atexit.register(time.sleep, 0.5)
        sys.exit(3)
'''


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


HUNGRY = r'''#!/usr/bin/env python
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        held = bytearray(os.urandom(1 << 20)) * 600
        time.sleep(1000)
    os._exit(0)
os.wait()
time.sleep(1000)
'''


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
    "it is told loudly": inside_told,
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
