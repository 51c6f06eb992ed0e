# SPDX-License-Identifier: MIT
# src/demo/cluster.sh: runs a proxy and targets on this machine, for demo.sh, up.sh and tests. Source it; it needs BUILD and STATE.
#   cluster_start TARGETS [PORT]   sets ENDPOINT; logs, data and pid files are in $STATE
#   cluster_stop                   stops what it started, by process id, and waits for it
BUILD=$(cd "$BUILD" && pwd)
ETLNODE=$BUILD/src/etlnode/etlnode
export PATH="$STATE/bin:$PATH"
export KUBECTL_LOCAL_STATE="$STATE/pods"

cluster_tools() {
    mkdir -p "$STATE/bin" "$STATE/log"
    ln -sfn "$BUILD/src/etlctl/etlctl" "$STATE/bin/ais"
    ln -sfn "$BUILD/src/etlctl/etlctl" "$STATE/bin/etlctl"
    ln -sfn "$BUILD/src/kubectl_local/kubectl-local" "$STATE/bin/kubectl-local"
}

# wait_line FILE PID: waits for the first line on a node's stdout, which contains its address.
wait_line() {
    local i
    for i in $(seq 200); do
        [ -s "$1" ] && return 0
        kill -0 "$2" 2>/dev/null || { cat "${1%.out}.log" >&2; return 1; }
        sleep 0.05
    done
    echo "$1: the node did not announce its address within 10 s" >&2
    return 1
}

json_field() { sed -n "s/.*\"$2\":\"\\{0,1\\}\\([^\",}]*\\).*/\\1/p" "$1" | head -n 1; }

# A zombie does not count as running.
is_running() { [ -r "/proc/$1/stat" ] && ! grep -q ') Z ' "/proc/$1/stat" 2>/dev/null; }

# Whether the process in the pid file is running and is that node. Process ids are reused, so this checks the command line.
node_is_up() {   # node_is_up NAME
    local pid
    pid=$(cat "$STATE/$1.pid" 2>/dev/null) && is_running "$pid" && tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qxF "$STATE/$1"
}

# Logs are appended to. A log above 10 MiB becomes NAME.log.1 and replaces the previous one.
rotate_log() {   # rotate_log FILE
    [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -lt 10485760 ] || mv -f "$1" "$1.1"
}

# Starts a node unless it is running. STARTED collects the names of started nodes.
node_start() {   # node_start NAME ARGUMENTS...
    local name=$1; shift
    node_is_up "$name" && return 0
    STARTED="${STARTED:-}${STARTED:+, }$name"
    rotate_log "$STATE/log/$name.log"
    rm -f "$STATE/log/$name.out"
    "$ETLNODE" --data-dir "$STATE/$name" "$@" >"$STATE/log/$name.out" 2>>"$STATE/log/$name.log" </dev/null &
    echo $! >"$STATE/$name.pid"
    wait_line "$STATE/log/$name.out" "$(cat "$STATE/$name.pid")"
}

# Starts the nodes that are not running.
cluster_start() {
    local targets=$1 port=${2:-0} i
    cluster_tools
    [ -f "$STATE/secret" ] || (umask 077; head -c 24 /dev/urandom | base64 >"$STATE/secret")
    node_start proxy --role proxy --listen "127.0.0.1:$port" --cluster-secret-file "$STATE/secret"
    ENDPOINT=$(json_field "$STATE/log/proxy.out" url)
    export AIS_ENDPOINT="$ENDPOINT"
    for i in $(seq "$targets"); do
        node_start "target$i" --role target --listen 127.0.0.1:0 --proxy "$ENDPOINT" --cluster-secret-file "$STATE/secret"
    done
    for i in $(seq 100); do
        [ "$("$BUILD/src/etlctl/etlctl" cluster show -o json 2>/dev/null | grep -o '"target"' | wc -l)" -ge "$targets" ] && return 0
        sleep 0.1
    done
    echo "the targets did not register within 10 s; see $STATE/log" >&2
    return 1
}

cluster_stop() {
    local file pid i
    for file in "$STATE"/target*.pid "$STATE"/proxy.pid; do
        [ -f "$file" ] || continue
        pid=$(cat "$file")
        kill "$pid" 2>/dev/null || true
        for i in $(seq 300); do is_running "$pid" || break; sleep 0.1; done
        is_running "$pid" && kill -KILL "$pid"
        rm -f "$file"
    done
    if [ -x "$STATE/bin/kubectl-local" ]; then
        "$STATE/bin/kubectl-local" get pods --no-headers 2>/dev/null | while read -r name _; do
            "$STATE/bin/kubectl-local" delete pod "$name" --now >/dev/null 2>&1 || true
        done
    fi
}
