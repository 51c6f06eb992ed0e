#!/bin/bash
# SPDX-License-Identifier: MIT
# test/e2e/kubernetes.sh: runs the tests on a real Kubernetes, outside and inside of it, for `make test-kubernetes`. TAP.
# KUBECONFIG selects a cluster; test/e2e/kube.py lists the other variables. Otherwise ../shared/kubernetes/cluster starts a cluster on this
# machine and stops it afterwards (KEEP=1 keeps it). Exits with 2 if there is neither. CASE="name" runs one case.
set -euo pipefail
cd "$(dirname "$0")/../.."
script=../shared/kubernetes/cluster
build=${ETLNODE_BUILD:-build/release}

refuse() { echo "make test-kubernetes: $*" >&2; exit 2; }

start_cluster() {
    local why="KUBECONFIG is not set, and a cluster cannot be started here:"
    [ -x "$script" ] || refuse "$why $script is absent"
    [ "$(id -u)" = 0 ] || refuse "$why that needs root"
    grep -q . /proc/cgroups 2>/dev/null || [ -f /sys/fs/cgroup/cgroup.controllers ] || refuse "$why this machine has no cgroups"
    command -v go >/dev/null || [ -x "${KUBE_CACHE:-/var/tmp/etl-kube-cache}/1.33.13/kubelet" ] || refuse "$why the programs of Kubernetes are not built, and there is no go"
    command -v kubectl >/dev/null || refuse "$why there is no kubectl (Debian: kubernetes-client)"
    local state=${KUBE_STATE:-/var/tmp/etl-kube}
    # A cluster that is already up belongs to somebody else and is kept.
    if ! { [ -f "$state/kubelet.pid" ] && kill -0 "$(cat "$state/kubelet.pid")" 2>/dev/null; }; then
        [ -n "${KEEP:-}" ] || trap '"$script" down' EXIT
    fi
    local said
    said=$("$script" up) || refuse "the cluster did not come up"
    eval "$said"
    # A bridge takes the lowest MAC address of its ports, which change with the pods. Each change cuts pods off from the machine, its DNS and Services
    # until they resolve its address again. A fixed address that belongs to no port does not change.
    local bridge
    bridge=$(ip -o -4 address show to 10.88.0.1/32 | awk 'NR == 1 {print $2}')
    [ -z "$bridge" ] || ip link set dev "$bridge" address 02:00:0a:58:00:01
    export K8S_HOST_NAME=${K8S_HOST_NAME:-${KUBE_NODE:-node1}} ETLNODE_POD_HOST=${ETLNODE_POD_HOST:-10.88.0.1}
    export ETLNODE_IMAGE=${ETLNODE_IMAGE:-"$PWD/$script image"} ETLNODE_API_PID=${ETLNODE_API_PID:-$state/kube-apiserver.pid}
}

if [ -z "${KUBECONFIG:-}" ]; then
    start_cluster
else
    kubectl get --raw /readyz >/dev/null || refuse "the cluster in KUBECONFIG does not answer"
    for name in K8S_HOST_NAME ETLNODE_POD_HOST ETLNODE_IMAGE; do
        [ -n "${!name:-}" ] || refuse "with KUBECONFIG, $name must be set too: test/e2e/kube.py says to what"
    done
fi
status=0
for file in test_kubernetes test_kubernetes_inside; do
    echo "# $file"
    ETLNODE_BUILD=$build PYTHONDONTWRITEBYTECODE=1 python3 "test/e2e/$file.py" ${CASE:+"$CASE"} || status=1
done
exit $status
