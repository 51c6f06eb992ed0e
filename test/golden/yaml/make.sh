#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes the .json beside each .yaml: what kubectl reads there. Needs kubectl, no cluster.
set -eu
cd "$(dirname "$0")"
for spec in *.yaml; do
    kubectl patch --local --type=merge -p '{}' -f "$spec" -o json > "${spec%.yaml}.json"
done
