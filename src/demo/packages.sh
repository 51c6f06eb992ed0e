#!/bin/sh
# SPDX-License-Identifier: MIT
# src/demo/packages.sh: installs the packages that the project's commands need and that are missing here (Debian 12).
#   packages.sh build|test|clients|check|lint|bench
set -eu

build="g++ meson ninja-build pkg-config libuv1-dev node-llhttp libcjson-dev libyaml-dev libcmocka-dev libsqlite3-dev libxxhash-dev libmsgpack-dev libcli11-dev libcurl4-openssl-dev zlib1g-dev libwslay-dev nettle-dev libarchive-dev libseccomp-dev bubblewrap iproute2 nftables python3"
test="curl openssl clang clang-format libclang-rt-14-dev procps util-linux wget libwww-perl python3-requests"
clients="python3-venv"
check="valgrind"
lint="clang-tidy"
bench="nginx-light wrk valgrind strace"

case "${1:-build}" in
    build) wanted="$build" ;;
    test) wanted="$build $test" ;;
    clients) wanted="$build $test $clients" ;;
    check) wanted="$build $test $check" ;;
    lint) wanted="$build $test $lint" ;;
    bench) wanted="$build $bench" ;;
    *) echo "usage: packages.sh build|test|clients|check|lint|bench" >&2; exit 2 ;;
esac

missing=""
for package in $wanted; do
    # Half-installed packages count as missing.
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1; then
        as_root="sudo"
    else
        echo "these packages are missing, and installing them needs root:$missing" >&2
        exit 1
    fi
fi
echo "installing:$missing" >&2
$as_root apt-get update -qq
# shellcheck disable=SC2086 # words on purpose
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
