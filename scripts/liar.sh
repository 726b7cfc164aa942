#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# liar.sh OUTPUT - builds the member that lies, of the tests of datapath/pool, for c.liar.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

(($# == 1)) || die "usage: scripts/liar.sh OUTPUT"
need_go
output=$(realpath -m -- "$1")
cd "$root"
CGO_ENABLED=0 go test -c -trimpath -buildvcs=false -o "$output" ./datapath/pool
