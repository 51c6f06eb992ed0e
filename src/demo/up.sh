#!/bin/bash
# SPDX-License-Identifier: MIT
# src/demo/up.sh: starts a small cluster that keeps running: a proxy on port 8080 (PORT) and two targets, with data in STATE.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build/release}
usual_state=${XDG_STATE_HOME:-$HOME/.local/state}/etlnode/up
STATE=${STATE:-$usual_state}
stop="make down"
if [ "$STATE" != "$usual_state" ] || [ "$BUILD" != build/release ]; then # what the user chose here, the end must know too
    stop="$(printf 'STATE=%q BUILD=%q bash %q' "$(realpath -m "$STATE")" "$(realpath -m "$BUILD")" "$PWD/src/demo/down.sh")"
fi
mkdir -p "$STATE"
export BUILD STATE
# shellcheck source=src/demo/cluster.sh
. src/demo/cluster.sh
was_up=no
! node_is_up proxy || was_up=yes
[ $was_up = yes ] || trap 'cluster_stop' ERR
cluster_start "${TARGETS:-2}" "${PORT:-8080}"
if [ $was_up = yes ]; then
    [ -z "${STARTED:-}" ] && echo "already up: $ENDPOINT" || echo "already up: $ENDPOINT; restarted: $STARTED"
    exit 0
fi
mkdir -p "$STATE/image/code"
install -m 755 manifests/etl/md5/server.py "$STATE/image/code/server.py"
kubectl-local image etlnode.example/md5_server:v1 "$STATE/image" /code/server.py >/dev/null
cat <<TEXT
The cluster is up: proxy $ENDPOINT, ${TARGETS:-2} targets. Data and logs: $STATE

Try:
  export PATH=$STATE/bin:\$PATH AIS_ENDPOINT=$ENDPOINT KUBECTL_LOCAL_STATE=$STATE/pods
  etlctl bucket create demo
  echo "some text :)" | etlctl put - demo/hello
  id=\$(etlctl etl init -f manifests/etl/md5/spec.yaml)
  etlctl etl object \$id demo/hello -
  kubectl-local get pods
  etlctl etl stop \$id

Stop it with: $stop
TEXT
