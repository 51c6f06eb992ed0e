// SPDX-License-Identifier: MIT
// kubectl_local/help.cc: the help pages.
#include "kubectl_local/help.h"

namespace etlnode::kubectl_local {

const char *const help_main =
    R"(kubectl-local runs Kubernetes pods as sandboxed processes of this machine, without a cluster, a daemon or a registry.

It supports these commands with kubectl's flags and output:
  create      Create a pod from a file or stdin
  get         Show pods, or the node; --watch follows changes
  delete      Delete pods
  logs        Print the logs of a pod's container
  wait        Wait until a pod meets a condition
  describe    Show a pod in detail
  version     Show the version
and one of its own:
  image       Create, list and remove the images that pods run (instead of docker build and push)

How a pod runs
  Each pod has a small supervisor process, which starts the container with bubblewrap, probes it, writes its status, and keeps its
  log (10 MiB and one old file). It restarts the container according to restartPolicy: immediately the first time, then after 1 s,
  2 s, 4 s ... up to 30 s; a run of one minute resets this series. A supervisor that dies takes its container with it; the next
  create, get, wait or watch starts it again. A pod has one container, and may have init containers.
  Probes are tcpSocket, and httpGet with plain HTTP. A probe that waits for its first success tries every 10 to 100 ms instead of
  every periodSeconds, so a pod becomes Ready as soon as its server listens.

What is refused
  - What the API server of Kubernetes 1.33 refuses with strict field validation, in the same words and with the same field paths:
    unknown fields, wrong types, invalid names, mounts of undeclared volumes, probes without a handler and so on.
  - What only a cluster can run: Secrets, ConfigMaps, service accounts other than `default`, exec and grpc probes, sidecars and
    so on. The message says "cannot run here, on a real cluster it can".
  - What the Pod Security standard "baseline" forbids, unless the owner of this machine allows it (see `create --help`).

What a container sees
  It sees the files of its image, over this machine's /usr and /etc, read-only. /tmp, /run and /root are empty and writable.
  Volumes are emptyDir, and hostPath if the owner of this machine allows it; no link leads out of them. The command is process 1.
  Root inside is nobody outside. A pod that root runs has its own range of user ids, and the capabilities that container engines
  leave to root. A pod of any other user has a single id, which is that user. A system call filter blocks key rings, mounts and
  namespaces. The pod has its own processes, IPC and host name, and its own network:
  as root       a veth pair: the pod's address is reachable from this machine. With nft, the pod cannot open connections over it.
  otherwise     loopback only: the supervisor relays connections to the first containerPort, from the address in the annotation
                etlnode.local/address. A container that dies resets its connections.
  In both cases a pod that a node creates can connect to the address in its variable AIS_TARGET_URL, and to nothing else. Other
  pods cannot connect to anything, unless the owner of this machine allows that address (see `create --help`).
  hostNetwork: true uses this machine's network, if it is allowed.

What a container may use
  The spec limits memory, cpu, ephemeral-storage and sizeLimit. Too much memory ends the container (OOMKilled), too much disk ends
  the pod (Evicted). `create` warns about limits that cannot be enforced here, for example cpu without control groups.
  These limits always apply: 1 GiB in /tmp, /run and the like together, but at most an eighth of the memory; 64 MiB in /dev/shm;
  2,048 processes and threads; 16,384 open files per process.

Flags of every command:
  -n, --namespace=NAME    the namespace (default `default`)
      --sandbox=auto      `none` allows unsandboxed pods if namespaces cannot be created; `auto` allows that only for root in a
                          container
      --state-dir=DIR     directory of pods and images
      --node=NAME         the name of this node (default: K8S_HOST_NAME, otherwise the host name)
      --context, --kubeconfig, --request-timeout and other flags that name a server are accepted without effect

Environment:
  KUBECTL_LOCAL_SANDBOX   same as --sandbox
  KUBECTL_LOCAL_STATE     same as --state-dir (default: $XDG_STATE_HOME/etlnode/local, otherwise ~/.local/state/etlnode/local)
  KUBECTL_LOCAL_IMAGES    directory of images (default: STATE/images)
  KUBECTL_LOCAL_NETWORK   `relay`: use a relay instead of a veth pair, also as root
  KUBECTL_LOCAL_ALLOW_HOST_PATH     DIR[:rw], one per line: same as hostPaths in allow.yaml
  KUBECTL_LOCAL_ALLOW_HOST_NETWORK  `true`: same as hostNetwork in allow.yaml
  KUBECTL_LOCAL_ALLOW_TARGET        http://HOST:PORT: same as an entry of targets in allow.yaml; nodes set it for their pods
  K8S_HOST_NAME           the name of this node

Exit codes: 0 success, 1 any failure.

Use "kubectl-local COMMAND --help" for more information about a command.
)";

const char *const help_create = R"(Create a pod from a file or from stdin, in JSON or YAML.

Examples:
  # Create a pod from the JSON passed into stdin
  cat pod.json | kubectl-local create -f -

The command returns when the pod is recorded. Use `wait --for=condition=Ready` to wait until it serves.

A pod that violates the Pod Security standard "baseline" is refused, as in a namespace with that label. The owner of this machine
can allow two of the violations, hostPath volumes and the host's network, in allow.yaml in the state directory (or with the node's
--allow-host-path and --allow-host-network). allow.yaml can also allow connections to the address in AIS_TARGET_URL. A pod cannot
allow anything itself:

  hostPaths:
  - path: /srv/models       # includes everything below; links that lead out are not followed
  - path: /srv/scratch
    access: rw              # the default is ro: mounts must set readOnly: true
  hostNetwork: true
  targets:                  # addresses that AIS_TARGET_URL may name; pods of a node can always reach that node
  - http://127.0.0.1:8082

Options:
  -f, --filename=FILE     the file, or - for stdin; may be repeated
  -o, --output=FORMAT     json, yaml or name
      --dry-run=none      `client` or `server`: only print what would be created

Usage:
  kubectl-local create -f FILENAME [options]
)";

const char *const help_get = R"(Show pods, or this node.

Examples:
  kubectl-local get pods
  kubectl-local get pods -l app=md5 -o json
  kubectl-local get pods --watch --output-watch-events -o json
  kubectl-local get node $K8S_HOST_NAME --template={{.metadata.name}}

Options:
  -A, --all-namespaces          pods of all namespaces
      --ignore-not-found        do not fail if a pod does not exist
      --no-headers              print tables without the header line
  -o, --output=FORMAT           json, yaml, name, wide, go-template=... or jsonpath=... (only paths such as {.status.podIP})
      --output-watch-events     with --watch: print {"type": ADDED|MODIFIED|DELETED, "object": ...}
  -l, --selector=QUERY          a=b, a!=b, a, !a, a in (x,y) or a notin (x,y), separated by commas
      --template=TEMPLATE       {{.path.to.field}}
  -w, --watch                   after the list, follow changes until interrupted
      --watch-only              follow changes without the list

Usage:
  kubectl-local get (pods|pod|po|node) [NAME...] [options]
)";

const char *const help_delete =
    R"(Delete pods. The container gets SIGTERM, and SIGKILL when the grace period is over. Then everything of the pod is removed.

Options:
      --all                     all pods of the namespace
      --force                   with --grace-period=0: send SIGKILL immediately
      --grace-period=-1         seconds from SIGTERM to SIGKILL; negative: the pod's terminationGracePeriodSeconds
      --ignore-not-found        do not fail if a pod does not exist
      --now                     same as --grace-period=1
  -o, --output=name             print only names
  -l, --selector=QUERY          pods that match
      --timeout=0s              how long to wait; 0s: forever
      --wait=true               return when the pods have been removed

Usage:
  kubectl-local delete pod (NAME... | -l QUERY | --all) [options]
)";

const char *const help_logs = R"(Print the logs of a pod's container.

Options:
  -c, --container=NAME    the container, for example an init container
  -f, --follow            follow the log until the container ends
      --limit-bytes=0     print at most this many bytes
  -p, --previous          print the log of the run before the last restart
  -l, --selector=QUERY    all pods that match
      --since=0s          only lines newer than this (5s, 2m, 3h)
      --tail=-1           only this many of the last lines
      --timestamps        print each line's time before it

Usage:
  kubectl-local logs [-f] [-p] (POD | pod/POD) [-c CONTAINER] [options]
)";

const char *const help_wait = R"(Wait until pods meet a condition.

Examples:
  kubectl-local wait --for=condition=Ready pod/md5 --timeout=45s
  kubectl-local wait --for=delete pod/md5

Options:
      --for=WHAT          condition=NAME[=VALUE], create or delete
  -l, --selector=QUERY    all pods that match
      --timeout=30s       how long to wait; negative: a week

Usage:
  kubectl-local wait --for=WHAT (pod/NAME... | pods -l QUERY) [options]
)";

const char *const help_describe = R"(Show pods in detail: state, reasons, addresses, and the location of their files.

Usage:
  kubectl-local describe pod [NAME...] [-l QUERY]
)";

const char *const help_version = R"(Show the version of this program, and of the Kubernetes API whose objects it prints.

Options:
      --client            show only the client's version
  -o, --output=FORMAT     json or yaml

Usage:
  kubectl-local version [--client] [-o json]

Without --client it also reports whether pods are sandboxed here (sandbox.pods: namespaces, none or refused), and the reason.
)";

const char *const help_image =
    R"(Create, list and remove images. An image consists of the files in DIR and the command to run. A container sees the files at the
same paths, over this machine's /usr and /etc. This replaces docker build and docker push.

Examples:
  # Equivalent to a Dockerfile that copies server.py to /code and runs it
  mkdir -p image/code && cp server.py image/code/
  kubectl-local image quay.io/user/md5_server:v1 image /code/server.py --listen 0.0.0.0 --port 80

  # A script that begins with `#!/usr/bin/env python` needs `python`, which Debian does not have, so add it to the image
  mkdir -p image/usr/local/bin && ln -s /usr/bin/python3 image/usr/local/bin/python

  kubectl-local image ls
  kubectl-local image rm quay.io/user/md5_server:v1

DIR is copied. The image replaces an older one of the same name in one step. Running pods keep their files until their container
is restarted. The directory usr/local of DIR replaces this machine's /usr/local. Containers cannot write to the directories of the
image. The default tag is `latest`; digests (name@sha256:...) are not supported.

Options (before NAME DIR; everything after DIR is the entrypoint, including flags):
  -e, --env=NAME=VALUE    a variable of the container's environment; may be repeated
  -w, --workdir=DIR       the working directory
      --no-headers        with ls: omit the header line

Usage:
  kubectl-local image [options] NAME DIR [ENTRYPOINT...]
  kubectl-local image ls
  kubectl-local image rm NAME...
)";

} // namespace etlnode::kubectl_local
