#!/bin/bash
# SPDX-License-Identifier: MIT
# src/demo/demo.sh: plays the example document on this machine, with the document's commands. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build/release}
STATE=$(mktemp -d "${TMPDIR:-/tmp}/etlnode-demo.XXXXXX")
export BUILD STATE
# shellcheck source=src/demo/cluster.sh
. src/demo/cluster.sh

finish() {
    local code=$?
    cluster_stop || true
    if [ $code -ne 0 ]; then
        echo "demo: failed; the last log lines:" >&2
        tail -n 15 "$STATE"/log/*.log >&2 || true
    fi
    rm -rf "$STATE"
    exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '\n# %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; }

say "one proxy and two targets; pods run as local processes, no Kubernetes needed"
cluster_start 2
echo "proxy at $ENDPOINT"

say "create an image with the transformer (replaces docker build and docker push)"
mkdir -p "$STATE/image/code" "$STATE/image/usr/local/bin"
cp manifests/etl/md5/server.py "$STATE/image/code/server.py"
chmod 755 "$STATE/image/code/server.py"
show "kubectl-local image etlnode.example/md5_server:v1 DIR"
kubectl-local image etlnode.example/md5_server:v1 "$STATE/image" /code/server.py

say "start the ETL: every target starts a pod next to itself"
cp manifests/etl/md5/spec.yaml "$STATE/spec.yaml"
cd "$STATE"
show "kubectl-local get pods"
kubectl-local get pods
show "ais transform init spec.yaml"
id=$(ais transform init spec.yaml)
echo "$id"
show "kubectl-local get pods"
kubectl-local get pods

say "store an object, and read it transformed"
show "ais create bucket transform"
ais create bucket transform
show 'echo "some text :)" | ais put - transform/shard.in'
echo "some text :)" | ais put - transform/shard.in
show "ais etl object $id transform/shard.in -"
md5=$(ais etl object "$id" transform/shard.in -)
echo "$md5"

say "stop the ETL: its pods are removed"
show "ais etl stop $id"
ais etl stop "$id"
show "kubectl-local get pods"
kubectl-local get pods

[ "$md5" = 393c6706efb128fbc442d3f7d084a426 ] || { echo "demo: expected 393c6706efb128fbc442d3f7d084a426" >&2; exit 1; }
