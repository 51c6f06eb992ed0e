#!/bin/bash
# SPDX-License-Identifier: MIT
# src/demo/down.sh: ends what up.sh started. Data stays under STATE; remove it by hand to start afresh.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build/release}
STATE=${STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/etlnode/up}
export BUILD STATE
[ -d "$STATE" ] || { echo "nothing is up"; exit 0; }
# shellcheck source=src/demo/cluster.sh
. src/demo/cluster.sh
cluster_stop
echo "down; data stays in $STATE"
