#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# fuzz.sh [PACKAGE...] - runs every Go fuzz target of the packages, each for FUZZTIME.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

need_builder
readonly fuzztime=${FUZZTIME:-60s}
found=0

for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' "${@:-./...}"); do
    list=$(go test -list '^Fuzz' "$package")
    while read -r target; do
        found=$((found + 1))
        say "$package $target, $fuzztime"
        go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" "$package"
    done < <(grep '^Fuzz' <<<"$list")
done
say "fuzz: $found targets, $fuzztime each"
