// SPDX-License-Identifier: MIT
// kubectl_local/help.cc: the help pages.
#include "kubectl_local/help.h"

namespace etlnode::kubectl_local {

const char
    *const help_main = R"(kubectl-local runs Kubernetes pods as sandboxed processes of this machine: no cluster, no daemon, no registry.

It takes the commands, flags and output of kubectl, as far as it has them:
  create      Make a pod from a file or stdin
  get         Show pods, or the node; --watch follows changes
  delete      Delete pods
  logs        Print the output of a pod's container
  wait        Wait until a pod meets a condition
  describe    Show one pod in detail
  version     Show the version
and one of its own:
  image       Make, list and remove the images pods run (instead of docker build and push)

How a pod runs
  One small supervisor process per pod starts the container with bubblewrap, probes it, starts it again by restartPolicy (at once
  the first time, then after 1 s, 2 s, 4 s ... up to 30 s; a run of a minute starts the series anew), keeps its log (10 MiB and one
  old file) and writes its status. A supervisor that dies takes its container with it; the next create, get, wait or watch
  starts it again. One container a pod, and init containers before it.
  A probe that waits for its first success tries every 10 to 100 ms instead of every periodSeconds; so Ready comes as soon as the
  server listens. Probes: tcpSocket, and httpGet with plain HTTP.

What is refused
  What the API server of Kubernetes 1.33 refuses with strict field validation, in its words and with its field paths: unknown fields,
  wrong types, names, mounts of undeclared volumes, probes without a handler and so on. And what only a cluster can run (Secrets,
  ConfigMaps, service accounts besides `default`, exec and grpc probes, sidecars ...): "cannot run here, on a real cluster it can". And what
  the Pod Security standard "baseline" forbids, unless the owner of this machine allows it (see `create --help`).

What a container sees
  The files of its image, over the /usr and /etc of this machine, read-only; /tmp, /run and /root are empty and writable. Volumes:
  emptyDir, and hostPath where the owner of this machine allows it; no link leads out of them. The command is process 1.
  Root inside is nobody outside: a pod that root runs has user ids of its own, and what container engines leave to root; a pod of
  anybody else has one id, of that user. A system call filter keeps key rings, mounts and namespaces away. Its own process, IPC and
  host names, and its own network:
  as root       a veth pair; the pod's address is reachable from this machine. With nft the pod cannot open connections over it.
  otherwise     loopback only; the supervisor passes connections in to the first containerPort, on the address in the annotation
                etlnode.local/address. A container that dies resets its connections.
  In both cases a pod that a node makes reaches the address in its environment variable AIS_TARGET_URL, and nothing else. Other pods
  reach nothing, whatever the variable says, unless the owner of this machine allows the address (see `create --help`).
  hostNetwork: true, where it is allowed, uses the network of this machine.

What a container may use
  memory, cpu, ephemeral-storage and sizeLimit as the spec says: more memory ends it (OOMKilled), more disk ends the pod (Evicted).
  `create` warns of what cannot be kept here (cpu, where no control group may be made). What no spec limits: 1 GiB in /tmp, /run and
  the like together, at most an eighth of the memory; 64 MiB in /dev/shm; 2,048 processes and threads; 16,384 open files of a process.

Flags for every command:
  -n, --namespace=NAME    the namespace, `default` if not given
      --sandbox=auto      `none`: where no namespaces can be made pods may run unsandboxed; by itself that happens only
                          for root in a container
      --state-dir=DIR     where pods and images are kept
      --node=NAME         the name of this node (else K8S_HOST_NAME, else the host's name)
      --context, --kubeconfig, --request-timeout and others that name a server are accepted and have no effect

Environment:
  KUBECTL_LOCAL_SANDBOX   --sandbox
  KUBECTL_LOCAL_STATE     --state-dir; else $XDG_STATE_HOME/etlnode/local, else ~/.local/state/etlnode/local
  KUBECTL_LOCAL_IMAGES    another place for images than STATE/images
  KUBECTL_LOCAL_NETWORK   `relay`: root, too, relays instead of making a veth pair
  KUBECTL_LOCAL_ALLOW_HOST_PATH     DIR[:rw], one a line: as hostPaths in allow.yaml
  KUBECTL_LOCAL_ALLOW_HOST_NETWORK  `true`: as hostNetwork in allow.yaml
  KUBECTL_LOCAL_ALLOW_TARGET        http://HOST:PORT: one more of targets in allow.yaml; nodes set it for the pods that they make
  K8S_HOST_NAME           the name of this node

Exit code: 0 done, 1 anything else.

Use "kubectl-local COMMAND --help" for more about a command.
)";

const char *const help_create = R"(Create a pod from a file or from stdin, JSON or YAML.

Examples:
  # Create a pod from the JSON passed into stdin
  cat pod.json | kubectl-local create -f -

Returns when the pod is on record; use `wait --for=condition=Ready` to wait until it serves.

What the Pod Security standard "baseline" forbids is refused, as an API server does where a namespace is labelled so. The owner of
this machine can allow two things that it forbids, in allow.yaml in the state directory (or by the node's --allow-host-path and
--allow-host-network), and a way to what AIS_TARGET_URL names; a pod cannot:

  hostPaths:
  - path: /srv/models       # and what lies below; a link that leads out is not followed
  - path: /srv/scratch
    access: rw              # the default is ro: mounts must say readOnly: true
  hostNetwork: true
  targets:                  # a pod whose AIS_TARGET_URL begins so can reach it; pods of a node reach that node anyway
  - http://127.0.0.1:8082

Options:
  -f, --filename=FILE     the file, - for stdin; may be repeated
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
      --ignore-not-found        a pod that does not exist is no error
      --no-headers              tables without the first line
  -o, --output=FORMAT           json, yaml, name, wide, go-template=..., jsonpath=... (paths only, as {.status.podIP})
      --output-watch-events     with --watch: {"type": ADDED|MODIFIED|DELETED, "object": ...}
  -l, --selector=QUERY          a=b, a!=b, a, !a, a in (x,y), a notin (x,y), joined by commas
      --template=TEMPLATE       {{.path.to.field}}
  -w, --watch                   then follow changes until interrupted
      --watch-only              changes only

Usage:
  kubectl-local get (pods|pod|po|node) [NAME...] [options]
)";

const char *const help_delete =
    R"(Delete pods. The container gets TERM, and KILL when the grace period is over; then everything of the pod is removed.

Options:
      --all                     all pods of the namespace
      --force                   with --grace-period=0: KILL at once
      --grace-period=-1         seconds from TERM to KILL; negative: what the pod says (terminationGracePeriodSeconds)
      --ignore-not-found        a pod that does not exist is no error
      --now                     the same as --grace-period=1
  -o, --output=name             print names only
  -l, --selector=QUERY          pods that match
      --timeout=0s              how long to wait; 0s: for ever
      --wait=true               return when the pods are gone

Usage:
  kubectl-local delete pod (NAME... | -l QUERY | --all) [options]
)";

const char *const help_logs = R"(Print the output of a pod's container.

Options:
  -c, --container=NAME    an init container, for instance
  -f, --follow            go on until the container ends
      --limit-bytes=0     print at most so many bytes
  -p, --previous          of the container before the last restart
  -l, --selector=QUERY    of all pods that match
      --since=0s          only lines that are younger (5s, 2m, 3h)
      --tail=-1           the last lines only
      --timestamps        the time in front of each line

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
      --timeout=30s       how long; negative: a week

Usage:
  kubectl-local wait --for=WHAT (pod/NAME... | pods -l QUERY) [options]
)";

const char *const help_describe = R"(Show pods in detail: state, reasons, addresses, where their files are.

Usage:
  kubectl-local describe pod [NAME...] [-l QUERY]
)";

const char *const help_version = R"(Show the version, and the Kubernetes version whose objects are printed.

Options:
      --client            the client's only
  -o, --output=FORMAT     json or yaml

Usage:
  kubectl-local version [--client] [-o json]

Without --client it also says whether pods are sandboxed here (sandbox.pods: namespaces, none or refused), and why not.
)";

const char *const help_image =
    R"(Make, list and remove images. An image is the files of DIR, which a container sees at the same paths over this machine's /usr and
/etc, and the command to run. It stands in for docker build and docker push.

Examples:
  # The counterpart of a Dockerfile that copies server.py to /code and runs it
  mkdir -p image/code && cp server.py image/code/
  kubectl-local image quay.io/user/md5_server:v1 image /code/server.py --listen 0.0.0.0 --port 80

  # A server that begins with `#!/usr/bin/env python` needs a `python`, which Debian does not have: the image brings one
  mkdir -p image/usr/local/bin && ln -s /usr/bin/python3 image/usr/local/bin/python

  kubectl-local image ls
  kubectl-local image rm quay.io/user/md5_server:v1

DIR is copied; the image replaces an older one of the same name in one step, and pods that run keep the files they started with
until their container is started again. usr/local of DIR takes the place of this machine's /usr/local. Directories that DIR brings are
read-only to the container. The tag is `latest` if none is given; digests (name@sha256:...) are not supported.

Options (before NAME DIR; what follows DIR is the entrypoint, flags included):
  -e, --env=NAME=VALUE    a variable of the container's environment; may be repeated
  -w, --workdir=DIR       the working directory
      --no-headers        with ls: without the first line

Usage:
  kubectl-local image [options] NAME DIR [ENTRYPOINT...]
  kubectl-local image ls
  kubectl-local image rm NAME...
)";

} // namespace etlnode::kubectl_local
