#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# test/e2e/test_local_limits.py: the limits of kubectl-local's pods, and what happens at each. TAP on stdout.
#
#   test_local_limits.py [PATH-TO-KUBECTL-LOCAL [CASE...]]
import json
import os
import re

from local import IMAGE, main, status


def python(code):
    return {"command": ["/usr/bin/python3", "-c", code], "args": [], "readinessProbe": None}


def limited(code, **limits):
    return dict(python(code), resources={"limits": {name.replace("_", "-"): value for name, value in limits.items()}})


def run(r, name, container, **more):
    """A script for a container that prints and succeeds."""
    spec = r.spec(name, container=container, restartPolicy="Never", **more)
    done = r.k("create", "-f", "-", stdin=json.dumps(spec))
    pod = r.wait(name, "ended", lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"), timeout=120)
    out = r.k("logs", name, check=False).stdout
    assert pod["status"]["phase"] == "Succeeded", (pod["status"], out)
    r.delete(name)
    return out, done.stderr


def ends(r, name, container, **more):
    """The pod, after its container has been ended."""
    spec = r.spec(name, container=container, restartPolicy="Never", **more)
    r.k("create", "-f", "-", stdin=json.dumps(spec))
    return r.wait(name, "Failed", lambda pod: pod["status"]["phase"] == "Failed", timeout=120)


GROW = "import time\nx = []\nfor i in range(64):\n x.append(bytearray(b'x') * (8 << 20)); print(i, flush=True); time.sleep(0.05)\n"
GROW_APART = "import os, time\nfor i in range(40):\n if os.fork() == 0:\n  x = bytearray(b'x') * (8 << 20); time.sleep(600)\n time.sleep(0.05)\ntime.sleep(600)\n"
GROW_FILES = "import time\nwith open('/tmp/big', 'wb') as f:\n for i in range(64):\n  f.write(b'x' * (8 << 20)); f.flush(); time.sleep(0.05)\ntime.sleep(600)\n"


def memory_is_kept(r):
    for name, code in (("grow", GROW), ("apart", GROW_APART), ("files", GROW_FILES)):
        pod = ends(r, name, limited(code, memory="64Mi"))
        end = status(pod)["state"]["terminated"]
        assert end["reason"] == "OOMKilled" and end["exitCode"] == 137, (name, end)
        assert "spec.containers[0].resources.limits.memory, 64Mi" in end["message"], end
        r.delete(name)
    # Usage below the limit: pages that processes share count once, and memory that is merely reserved does not count.
    fits = ("import mmap, os, time\nx = bytearray(b'x') * (24 << 20); y = mmap.mmap(-1, 1 << 33)\n"
            "for i in range(8):\n if os.fork() == 0:\n  time.sleep(2); os._exit(0)\n"
            "for i in range(8): os.wait()\nprint('fits')\n")
    out, _ = run(r, "fits", limited(fits, memory="96Mi"))
    assert out == "fits\n", out


FILL_BOTH = ("import time\nfor path in ('/m/a', '/tmp/a'):\n with open(path, 'wb') as f:\n  for i in range(40):\n   f.write(b'x' * (1 << 20)); f.flush(); time.sleep(0.01)\ntime.sleep(600)\n")
NAMELESS = "import os, time\nfd = os.memfd_create('x')\nfor i in range(100):\n os.write(fd, b'x' * (1 << 20)); time.sleep(0.02)\ntime.sleep(600)\n"
MAPPED = ("import mmap, os, time\nfd = os.open('/dev/shm/x', os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 40 << 20)\nm = mmap.mmap(fd, 40 << 20)\n"
          "for i in range(40): m[i << 20:(i + 1) << 20] = b'x' * (1 << 20)\ntime.sleep(3)\nprint('fits')\n")


def memory_without_a_process_counts(r):
    """Memory volumes and files without a name count. Files on disk do not, wherever they are mounted, and mapped memory counts once."""
    at = lambda path: {"volumeMounts": [{"name": "v", "mountPath": path}]}
    memory = [{"name": "v", "emptyDir": {"medium": "Memory"}}]
    for name, container, more in (("volume", dict(limited(FILL_BOTH, memory="64Mi"), **at("/m")), {"volumes": memory}), ("nameless", limited(NAMELESS, memory="64Mi"), {})):
        end = status(ends(r, name, container, **more))["state"]["terminated"]
        assert end["reason"] == "OOMKilled" and "spec.containers[0].resources.limits.memory, 64Mi" in end["message"], (name, end)
        r.delete(name)
    out, _ = run(r, "mapped", dict(limited(MAPPED, memory="80Mi"), **at("/dev/shm/")), volumes=memory)
    assert out == "fits\n", out
    on_disk = "import time\nopen('/tmp/big', 'wb').write(b'x' * (48 << 20))\ntime.sleep(3)\nprint('fits')\n"
    out, _ = run(r, "disk", dict(limited(on_disk, memory="120Mi"), **at("/tmp")), volumes=[{"name": "v", "emptyDir": {}}])
    assert out == "fits\n", out


def a_container_that_ran_out_of_memory_starts_again(r):
    r.k("create", "-f", "-", stdin=json.dumps(r.spec("again", container=limited(GROW, memory="48Mi"))))
    pod = r.wait("again", "restarted", lambda pod: status(pod).get("restartCount", 0) >= 1, timeout=120)
    assert status(pod)["lastState"]["terminated"]["reason"] == "OOMKilled", status(pod)
    r.delete("again")


BUSY = ("import time\nbegin = time.monotonic(); used = time.process_time()\nwhile time.monotonic() - begin < 3: pass\n"
        "print((time.process_time() - used) / (time.monotonic() - begin))\n")


def cpu_is_kept_or_warned_of(r):
    out, warned = run(r, "busy", limited(BUSY, cpu="200m"))
    if "Warning: spec.containers[0].resources.limits[cpu]: cannot be enforced" in warned:
        assert not r.is_root or not os.path.isdir("/sys/fs/cgroup/cpu"), warned
    else:
        assert float(out) < 0.4, out  # on a busy machine it only gets less
    _, warned = run(r, "free", python("print(1)"))
    assert warned == "", warned


def volumes_are_kept(r):
    code = "import os, time\nwith open('/e/big', 'wb') as f:\n for i in range(64):\n  f.write(os.urandom(1 << 20)); f.flush()\ntime.sleep(600)\n"
    mounts = {"volumeMounts": [{"name": "e", "mountPath": "/e"}]}
    pod = ends(r, "disk", dict(python(code), **mounts), volumes=[{"name": "e", "emptyDir": {"sizeLimit": "16Mi"}}])
    assert pod["status"]["reason"] == "Evicted", pod["status"]
    assert re.fullmatch(r'Usage of EmptyDir volume "e" exceeds the limit "16Mi"\. It holds [\d.]+Mi; the limit is spec\.volumes\[0\]\.emptyDir\.sizeLimit\. ', pod["status"]["message"]), pod["status"]
    assert status(pod)["state"]["terminated"]["exitCode"] == 137, status(pod)
    r.delete("disk")
    # Names without bytes that are too deep to be counted exceed any limit.
    deep = "import os, time\nos.chdir('/e')\nfor i in range(2000):\n os.mkdir('d'); os.chdir('d')\ntime.sleep(600)\n"
    pod = ends(r, "deep", dict(python(deep), **mounts), volumes=[{"name": "e", "emptyDir": {"sizeLimit": "1Gi"}}])
    assert pod["status"]["reason"] == "Evicted" and "more than can be counted: over 1000000 names, directories deeper than 256" in pod["status"]["message"], pod["status"]
    r.delete("deep")
    # Removing a name frees nothing while the file is open, and additional names take no space. Another volume is not blamed.
    hidden = "import os, time\nf = open('/e/big', 'wb'); os.unlink('/e/big')\nfor i in range(64):\n f.write(os.urandom(1 << 20)); f.flush()\ntime.sleep(600)\n"
    pod = ends(r, "hidden", dict(python(hidden), volumeMounts=[{"name": "f", "mountPath": "/f"}, {"name": "e", "mountPath": "/e", "subPath": "below"}]),
               volumes=[{"name": "f", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "e", "emptyDir": {"sizeLimit": "16Mi"}}])
    assert re.match(r'Usage of EmptyDir volume "e" exceeds the limit "16Mi"\. It holds [\d.]+Mi, [\d.]+Mi of that in files that were removed and are still open; the limit is spec\.volumes\[1\]', pod["status"]["message"]), pod["status"]
    r.delete("hidden")
    if r.is_root:
        # The same for a mapped file: eight times 4 MiB never exist together under a name or descriptor.
        mapped = ("import mmap, os, time\nheld = []\nfor i in range(8):\n fd = os.open('/e/f', os.O_RDWR | os.O_CREAT); os.write(fd, os.urandom(4 << 20))\n m = mmap.mmap(fd, 4096); held.append(m)\n os.unlink('/e/f'); os.close(fd)\n"
                  "for name in os.listdir('/proc/self/fd'):\n if int(name) > 2:\n  try: os.close(int(name))\n  except OSError: pass\ntime.sleep(600)\n")
        pod = ends(r, "mapped", dict(python(mapped), **mounts), volumes=[{"name": "e", "emptyDir": {"sizeLimit": "16Mi"}}])
        assert "in files that were removed and are still open" in pod["status"]["message"], pod["status"]
        r.delete("mapped")
    links = "import os, time\nopen('/e/0', 'wb').write(os.urandom(8 << 20))\nfor i in range(20): os.link('/e/0', '/e/l%d' % i)\ntime.sleep(3)\nprint('fits')\n"
    out, _ = run(r, "links", dict(python(links), **mounts), volumes=[{"name": "e", "emptyDir": {"sizeLimit": "16Mi"}}])
    assert out == "fits\n", out
    pod = ends(r, "storage", dict(limited(code, ephemeral_storage="16Mi"), **mounts), volumes=[{"name": "e", "emptyDir": {}}])
    assert re.fullmatch(r"Pod ephemeral local storage usage exceeds the total limit of containers 16Mi\. It holds [\d.]+Mi in volumes on disk; the limit is spec\.containers\[0\]\.resources\.limits\.ephemeral-storage\. ", pod["status"]["message"]), pod["status"]
    r.delete("storage")
    # A volume in memory: it has a fixed size, and survives the container that filled it.
    fill = ("import errno\nn = 0\ntry:\n with open('/e/big', 'wb') as f:\n  while True: n += f.write(b'x' * (1 << 20)); f.flush()\n"
            "except OSError as e: print(errno.errorcode[e.errno], n >> 20)\n")
    init = [{"name": "first", "image": IMAGE, "command": ["/bin/sh", "-c", "echo kept > /e/word"], "volumeMounts": mounts["volumeMounts"]}]
    out, _ = run(r, "memory", dict(python("print(open('/e/word').read().strip())\n" + fill), **mounts), initContainers=init,
                 volumes=[{"name": "e", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}])
    words = out.split()
    assert words[:2] == ["kept", "ENOSPC"] and int(words[2]) <= 16, out


def what_nobody_limits_is_bounded(r):
    fill = ("import errno, os\n"
            "for place in ('/tmp', '/dev/shm', '/run'):\n"
            " n = 0\n"
            " try:\n"
            "  with open(place + '/big', 'wb', buffering=0) as f:\n"
            "   while n < 2 << 30: n += f.write(b'x' * (1 << 20))\n"
            " except OSError as e: print(place, errno.errorcode[e.errno], n >> 20)\n"
            " os.unlink(place + '/big')\n"
            "n = 0\n"
            "try:\n"
            " while n < 500000: os.mknod('/tmp/n%d' % n); n += 1\n"
            "except OSError as e: print('names', errno.errorcode[e.errno])\n")
    out, _ = run(r, "memory", python(fill))
    lines = [line.split() for line in out.splitlines()]
    assert [line[:2] for line in lines] == [["/tmp", "ENOSPC"], ["/dev/shm", "ENOSPC"], ["/run", "ENOSPC"], ["names", "ENOSPC"]], out
    assert int(lines[0][2]) <= 1024 and int(lines[1][2]) <= 64, out
    out, _ = run(r, "small", limited(fill, ephemeral_storage="32Mi"))
    assert int(out.split()[2]) <= 32, out
    tasks = ("import errno, os, threading, time\n"
             "n = 0\n"
             "try:\n"
             " while n < 5000:\n"
             "  if os.fork() == 0: time.sleep(600)\n"
             "  n += 1\n"
             "except OSError as e: print(errno.errorcode[e.errno], n < 2100, n > 1900)\n")
    out, _ = run(r, "tasks", python(tasks))
    assert out == "EAGAIN True True\n", out
    files = ("import errno, os\nn = 0\ntry:\n while n < 200000: os.dup(0); n += 1\nexcept OSError as e: print(errno.errorcode[e.errno], n < 16384)\n")
    out, _ = run(r, "descriptors", python(files))
    assert out == "EMFILE True\n", out


def no_group_is_left(r):
    left = [os.path.join(top, name) for top, names, _ in os.walk("/sys/fs/cgroup") for name in names if name.startswith("kubectl-local-") and name[14:] in r.uids]
    assert not left, left


CASES = [memory_is_kept, memory_without_a_process_counts, a_container_that_ran_out_of_memory_starts_again, cpu_is_kept_or_warned_of, volumes_are_kept, what_nobody_limits_is_bounded, no_group_is_left]

# Without mounts, directories on disk replace memory.
main(CASES, [memory_is_kept, memory_without_a_process_counts, cpu_is_kept_or_warned_of, volumes_are_kept, what_nobody_limits_is_bounded])
