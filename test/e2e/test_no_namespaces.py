#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pods where no namespaces can be made, in two kinds of place that the test makes: a container as Docker runs it by default, and a plain chroot. TAP.

Each case runs in a process of its own whose root is a directory with this machine's directories bound into it, in a mount namespace of its own. In the
container that process has the capabilities and the refused system calls of a default Docker container. A machine that does not let us make
such a place, one that is such a place itself for instance, skips the cases and says so.
"""
import ctypes
import json
import os
import shutil
import signal
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


# The place.

def bind_everything(root):
    """This machine's directories at their places below root; only the root directory itself, /tmp and links are root's own."""
    for name in sorted(os.listdir("/")):
        source, target = "/" + name, os.path.join(root, name)
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
        elif os.path.isdir(source) and name not in ("tmp", "lost+found"):
            os.mkdir(target)
            subprocess.run(["mount", "--rbind", source, target], check=True)
    os.mkdir(os.path.join(root, "tmp"))
    os.chmod(os.path.join(root, "tmp"), 0o1777)
    # Where the build or the sources lie below /tmp they are needed too.
    for path in (harness.ROOT, harness.BUILD):
        if path.startswith("/tmp/"):
            os.makedirs(root + path, exist_ok=True)
            subprocess.run(["mount", "--rbind", path, root + path], check=True)


def refuse_as_docker():
    """unshare, setns, mount, umount2, pivot_root, and clone with namespaces: EPERM; clone3: ENOSYS, so that nobody gets around that."""
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
    """Second stage, in a mount namespace of its own."""
    bind_everything(root)
    os.chroot(root)
    os.chdir("/")
    environment = {name: value for name, value in os.environ.items() if name not in ("container", "TMPDIR", "KUBECTL_LOCAL_SANDBOX")}
    environment["ETLNODE_BUILD"] = harness.BUILD  # the working directory is another one now
    words = [sys.executable, os.path.abspath(__file__), "--inside", place, case]
    if place == "container":
        refuse_as_docker()
        words = ["setpriv", "--inh-caps=-all", "--bounding-set=-all,+" + DOCKER_CAPABILITIES.replace(",", ",+")] + words
    os.execvpe(words[0], words, environment)


def play(place, case):
    """First stage: the place, the case in it, its output as remarks."""
    if os.geteuid() != 0:
        raise Skip("only root can make the place")
    if subprocess.run(["unshare", "-m", "--propagation", "private", "true"], capture_output=True).returncode != 0:
        raise Skip("this machine lets root make no mount namespace: the place cannot be made here")
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
        shutil.rmtree(root, ignore_errors=True)  # what was bound there was bound in the other mount namespace only
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
        """Whatever of a pod runs."""
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
    """Both commands of the README as somebody types them, and what they say."""
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
    """It is told at every place where somebody looks."""
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
    # A spec cannot say that it is sandboxed.
    spec = r.spec("liar")
    spec["metadata"]["annotations"] = {"etlnode.local/sandbox": "namespaces"}
    r.k("create", "-f", "-", stdin=json.dumps(spec))
    assert r.get("liar")["metadata"]["annotations"]["etlnode.local/sandbox"] == "none"
    # What only namespaces can give is refused, not left out.
    for context in ({"runAsUser": 1000}, {"sysctls": [{"name": "net.ipv4.ip_local_port_range", "value": "1024 65535"}]}):
        refused = r.k("create", "-f", "-", stdin=json.dumps(r.spec("other", securityContext=context)), check=False)
        assert refused.returncode == 1 and "needs namespaces" in refused.stderr and "securityContext" in refused.stderr, refused
    assert r.get("other") is None
    r.delete("loud", "liar")


def inside_cluster(_):
    """Both targets' pods on port 80, in every way of communication; the nodes say how pods run."""
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

# Looks at everything that a container may count on, and tells it as JSON; sections that fail tell their error.
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
    """What a container sees is what its image, its spec and a sandbox would show; what it may not touch it cannot."""
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
    """A program without any library, which no preloaded one could move, listens on port 80 beside another."""
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
    """Processes that left their parents end with the pod: when it is deleted, when its supervisor is killed, when its command ends."""
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
    """A container that dies is started again at the same address; while it is away connections are refused."""
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


def inside_user(world):
    """An ordinary user is refused, at once and with the flag's name; with the flag the pod runs, on a low port too."""
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
    """The trial is made once: what it found is kept until what it depends on changes."""
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
    """Memory is counted for all of a pod's processes, those that left the command too, and nothing else is: not what lies in the machine's /tmp."""
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
    "a static program is moved too": inside_static,
    "restarts keep the address": inside_restart,
    "nothing is left": inside_nothing_left,
    "memory is counted": inside_memory,
    "an ordinary user is refused without the flag": inside_user,
    "the trial is made once": inside_once,
}


def case_flag_changes_nothing():
    """Where namespaces can be made pods have them, whatever the flag says."""
    state = tempfile.mkdtemp(prefix="no-namespaces.")
    try:
        for words in (["--sandbox=none"], []):
            done = subprocess.run([harness.KUBECTL_LOCAL, "--state-dir", state, *words, "version", "-o", "json"], capture_output=True, timeout=60)
            about = json.loads(done.stdout)["sandbox"]
            if about["pods"] != "namespaces":
                raise Skip("no namespaces can be made here: " + about["message"])
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
            print(f"the place cannot be made here: {reason}")
            sys.exit(77)
    cases = [(f"{place}: {case}", lambda place=place, case=case: play(place, case)) for place in PLACES for case in INSIDE]
    harness.run(cases + [("the flag changes nothing where namespaces exist", case_flag_changes_nothing)], limit=420)


if __name__ == "__main__":
    main()
