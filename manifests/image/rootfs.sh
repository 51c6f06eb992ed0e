#!/bin/bash
# SPDX-License-Identifier: MIT
# manifests/image/rootfs.sh: builds the root file system of the node's image without a container engine, like the Containerfile.
#   rootfs.sh DIR [BUILD]     DIR must not exist; BUILD (default build/release) contains the programs. Needs root and debootstrap.
# KUBECTL=/path/to/kubectl    is copied to /usr/local/bin, which precedes Debian's kubectl in PATH.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=${1:?usage: rootfs.sh DIR [BUILD]}
build=${2:-build/release}
[ ! -e "$dir" ] || { echo "rootfs.sh: $dir exists" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "rootfs.sh: debootstrap needs root" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "rootfs.sh: needs debootstrap" >&2; exit 2; }

# The Debian part depends only on the list of packages, so it is cached.
base=build/image-base-$(sha256sum manifests/image/packages.txt | cut -c1-12)
if [ ! -e "$base/.complete" ]; then
    rm -rf "$base"
    mkdir -p build
    debootstrap --variant=minbase --include="$(paste -sd, manifests/image/packages.txt)" bookworm "$base" >"$base.log" 2>&1 ||
        { tail -n 5 "$base.log" >&2; exit 1; }
    rm -rf "$base"/var/cache/apt "$base"/var/lib/apt/lists "$base"/debootstrap
    echo 'etlnode:x:10001:10001::/tmp:/usr/sbin/nologin' >> "$base/etc/passwd"
    echo 'etlnode:x:10001:' >> "$base/etc/group"
    touch "$base/.complete"
fi
mkdir -p "$(dirname "$dir")"
cp -a "$base" "$dir"
rm -f "$dir/.complete"
strip -o "$dir/usr/local/bin/etlnode" "$build/src/etlnode/etlnode"
strip -o "$dir/usr/local/bin/etlctl" "$build/src/etlctl/etlctl"
ln -s etlctl "$dir/usr/local/bin/ais"
[ -z "${KUBECTL:-}" ] || install -m 755 "$KUBECTL" "$dir/usr/local/bin/kubectl"
missing=$(chroot "$dir" ldd /usr/local/bin/etlnode /usr/local/bin/etlctl | grep 'not found' || true)
[ -z "$missing" ] || { echo "rootfs.sh: libraries are missing in packages.txt:" >&2; echo "$missing" >&2; exit 1; }
