#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# check-bpf.sh - compiles the BPF programs again, compares with what is committed, and prints how large they
# are. Where there is no clang-14 it only says so, unless CI=true.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Another version of the compiler makes other objects.
readonly packages=(clang-14 llvm-14 libbpf-dev linux-libc-dev)
readonly disassemble=(llvm-objdump-14 -d --no-show-raw-insn)

have_compiler() {
    have clang-14 && have llvm-strip-14 && have llvm-objdump-14 && [[ -e /usr/include/bpf/bpf_helpers.h ]]
}

need_compiler() {
    have_compiler && return 0
    if apt_serves clang-14 && apt_install "${packages[@]}" && have_compiler; then return 0; fi
    [[ ${CI:-} != true ]] || die "check-bpf: needs what Debian calls ${packages[*]}"
    say "check-bpf: not checked: there is no clang-14; it needs what Debian calls ${packages[*]}"
    exit 0
}

# rebuild: the committed sources, compiled in a copy of the module that has only bpf/.
rebuild() {
    cp "$root/go.mod" "$root/go.sum" "$work/"
    cp -R "$root/bpf" "$work/bpf"
    rm -f "$work"/bpf/*_bpfel.*
    (cd "$work" && go generate ./bpf)
}

# compare: says what differs, in instructions where it is they.
compare() {
    local object name
    diff -rq "$root/bpf" "$work/bpf" && return 0
    for object in "$root"/bpf/*_bpfel.o; do
        name=${object##*/}
        diff -u --label "committed $name" --label "compiled $name" \
            <(listing "$object") <(listing "$work/bpf/$name") || true
    done
    die "check-bpf: what is committed is not what the sources compile to; 'go generate ./bpf' makes it so"
}

listing() { "${disassemble[@]}" "$1" | sed 1,2d; }

# sizes OBJECT: for each program, its instructions and the bytes of stack that it addresses. A jump to a map
# or another 64-bit constant takes two instructions, of which one is shown: hence by their numbers.
sizes() {
    "${disassemble[@]}" "$1" | awk -v object="${1##*/}" '
        function report() {
            if (program) printf "%-22s %-20s %5d instructions %4d bytes of stack\n", object, program, last + 1, stack
            program = ""
        }
        function deeper(n) { if (n > stack) stack = n }
        /^[0-9a-f]+ <[^L]/ { report(); program = $2; gsub(/[<>:]/, "", program); stack = last = 0; copy = "" }
        /^ +[0-9]+:/ { last = $1 + 0 }
        /= r10$/ { copy = $2 }
        copy && $2 == copy && $3 == "+=" && $4 < 0 { deeper(-$4); copy = "" }
        match($0, /r10 - [0-9]+/) { deeper(substr($0, RSTART + 6, RLENGTH - 6) + 0) }
        END { report() }'
}

need_go
need_compiler
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rebuild
compare
for object in "$root"/bpf/*_bpfel.o; do sizes "$object"; done
say "check-bpf: passed"
