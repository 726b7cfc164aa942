#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tool.sh DIRECTORY - builds the msquicxdp command into a directory. It needs no C library.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

(($# == 1)) || die "usage: scripts/tool.sh DIRECTORY"
need_go
mkdir -p "$1"
output=$(cd -- "$1" && pwd)/msquicxdp
cd "$root"
CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags=-s -o "$output" ./cmd/msquicxdp
