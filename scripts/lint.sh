#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# lint.sh - looks at the sources without changing them. Says all that is wrong before it fails.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

need_builder
need_tools shellcheck clang-format
failed=()

# check NAME COMMAND...: runs it, and remembers if it failed.
check() {
    local name=$1
    shift
    say "$name"
    "$@" || failed+=("$name")
}

# none WHAT: fails, and prints it, if the standard input has a line.
none() {
    local lines
    lines=$(cat)
    [[ -z $lines ]] && return 0
    warn "$1:" "$lines"
    return 1
}

check_gofmt() { gofmt_list | none "gofmt would change"; }

check_shell() { shell_files | xargs -0r shellcheck -x; }

check_c_format() { c_files | xargs -0r clang-format --dry-run -Werror; }

# In the first lines, after "#!" or "<!DOCTYPE".
check_spdx() {
    local file
    source_files | while IFS= read -r -d '' file; do
        head -n 5 "$file" | grep 'SPDX-License-Identifier"\?: ' >/dev/null || echo "$file"
    done | none "no SPDX line"
}

# named_in OPTION...: lines of any file that grep finds with these options.
named_in() { all_files | xargs -0r grep -nI "$@" -- || true; }

# The folder this tree lies in, the home of whoever works on it, and anybody's home.
check_paths() {
    named_in -P -e "$(path_pattern "$root/")|$(path_pattern "$HOME/")" | none "a path of this machine" &&
        named_in -E -e '/(home|Users)/[a-z]' | none "somebody's home"
}

check "go vet" go vet ./...
check "gofmt" check_gofmt
if have staticcheck; then check "staticcheck" staticcheck ./...; fi
check "shellcheck" check_shell
check "clang-format" check_c_format
check "SPDX lines" check_spdx
check "paths" check_paths
((${#failed[@]} == 0)) || die "lint: failed: $(printf '%s; ' "${failed[@]}")"
say "lint: passed"
