#!/bin/bash
# SPDX-License-Identifier: MIT
# test/tidy/lint.sh FOLDER...: clang-tidy over these folders below src, with the flags of build/clang; exit status 1 when it finds something.
set -euo pipefail
cd "$(dirname "$0")/../.."

lint_one() {
    clang-tidy -p build/clang --quiet --warnings-as-errors='*' "$1" 2>&1 | { grep -vE '^[0-9]+ warnings? (and [0-9]+ errors? )?(generated|treated as errors)' || true; }
}
export -f lint_one
git ls-files "${@/#/src/}" | grep '\.cc$' | xargs -P"$(nproc)" -I{} bash -o pipefail -c 'lint_one {}' || { echo "clang-tidy found something, see above" >&2; exit 1; }
