#!/bin/bash
# SPDX-License-Identifier: MIT
# src/demo/down.sh: stops what up.sh started. The data stays in STATE; remove that directory to start afresh.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build/release}
STATE=${STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/etlnode/up}
export BUILD STATE
[ -d "$STATE" ] || { echo "no cluster is running"; exit 0; }
# shellcheck source=src/demo/cluster.sh
. src/demo/cluster.sh
cluster_stop
echo "The cluster is down. Its data stays in $STATE"
