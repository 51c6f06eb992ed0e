# SPDX-License-Identifier: MIT
# src/demo/nodes.sh: stops and starts single nodes of the cluster that up.sh started. Source it; docs/OPERATING.md uses it.
#   stop NAME                ends a node (proxy, target1, ...) in order, and waits for it
#   start NAME [OPTION...]   starts it at the address that it had; a new name is a new target
#   address NAME             prints its URL
#   id NAME                  prints its id in the cluster
BUILD=${BUILD:-build/release}
STATE=${STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/etlnode/up}
export BUILD STATE
# shellcheck source=src/demo/cluster.sh
. src/demo/cluster.sh

address() { json_field "$STATE/log/$1.out" url; }
id() { etlctl target ls --no-headers 2>/dev/null | awk -v url="$(address "$1")" '$NF == url { print $1 }'; }

# What the commands below need: where the proxy is, and which secret the nodes share.
AIS_ENDPOINT=$(address proxy)
ETLNODE_CLUSTER_SECRET_FILE=$STATE/secret
export AIS_ENDPOINT ETLNODE_CLUSTER_SECRET_FILE

stop() {
    local pid i
    pid=$(cat "$STATE/$1.pid")
    kill "$pid"
    for i in $(seq 300); do is_running "$pid" || return 0; sleep 0.1; done
    echo "$1 did not end within 30 s" >&2
    return 1
}

start() {
    local name=$1 at role=target; shift
    at=$(address "$name" 2>/dev/null) || true
    at=${at:-http://127.0.0.1:0}
    [ "$name" != proxy ] || role=proxy
    if [ $role = proxy ]; then
        node_start proxy --role proxy --listen "${at#http://}" --cluster-secret-file "$STATE/secret" "$@"
    else
        node_start "$name" --role target --listen "${at#http://}" --proxy "$AIS_ENDPOINT" --cluster-secret-file "$STATE/secret" "$@"
    fi
}
