# SPDX-License-Identifier: MIT
"""Programs of the pods of test_no_namespaces.py, as texts that go into images."""
import transformers

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

# What a container may do still works.
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
