#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# fmt.sh - formats Go and C.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

need_go
need_tools clang-format
go_files | xargs -0r gofmt -w
c_files | xargs -0r clang-format -i
