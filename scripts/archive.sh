#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# archive.sh [-s address|thread] OUTPUT - builds the archive that MsQuic links.
#
# What Go makes of capi/ would do, but for two things that a library in a stranger's process must not do:
#   - start threads in every program that merely links it. Go's archive starts its runtime from an
#     .init_array entry, before main. The entry is taken out; capi/runtime.c makes the same call when
#     the first datapath is created.
#   - define hundreds of symbols that may meet others of the same name, those of a second Go archive above
#     all. Its members are joined to one object in which everything but the public functions is local.
#
# -s builds for tests whose C side is compiled with that sanitizer: "address" instruments Go and C, and adds
# the checks for undefined behaviour to C; "thread" instruments C alone, and cgo tells it of every crossing.
#
# The same sources and tools give the same bytes in any directory. OUTPUT is only replaced when its
# content changes, so that nobody links again for nothing.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

usage() { die "usage: scripts/archive.sh [-s address|thread] OUTPUT"; }

sanitize=plain
while getopts s: option; do
    case $option in
    s) sanitize=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
(($# == 1)) || usage
mkdir -p "$(dirname -- "$1")"
output=$(realpath -- "$1")
work=$(dirname -- "$output")/obj/$sanitize

need_builder
CC=$(go env CC)
export CC

# binutil NAME: the tool that belongs to the compiler, which may be a cross compiler.
binutil() { "$CC" -print-prog-name="$1"; }

# headers: a digest of the headers outside capi/. Go's cache looks at none of them, but at the flags.
headers() { cat "$root"/include/msquicxdp/*.h "$root"/datapath/batch/*.h | sha256sum | cut -c1-16; }

go_archive() {
    local flags=(-trimpath -buildvcs=false -ldflags=-buildid= -buildmode=c-archive)
    local cflags
    # Names are resolved in C; Go's own use of the C library's resolver would only add a library to link.
    flags+=("-tags=netgo,osusergo")
    cflags="$(go env CGO_CFLAGS) -ffile-prefix-map=$root=msquicxdp -DMQX_HEADERS=$(headers)"
    case $sanitize in
    plain) ;;
    address)
        flags+=(-asan)
        cflags+=" -fno-omit-frame-pointer -fsanitize=undefined -fno-sanitize-recover=undefined"
        ;;
    thread) cflags+=" -fno-omit-frame-pointer -fsanitize=thread" ;;
    *) usage ;;
    esac
    (cd "$root" && CGO_ENABLED=1 CGO_CFLAGS=$cflags go build "${flags[@]}" -o "$work/go.a" ./capi)
}

# start_symbol: the function that starts the Go runtime of a C archive.
start_symbol() { echo "_rt0_$(go env GOARCH)_linux_lib"; }

# entries FILE: the functions that the file's .init_array names.
entries() {
    "$(binutil readelf)" -rW "$1" | awk '/^Reloc/ {on = /\.rela\.init_array/} on && $3 ~ /^R_/ {print $5}'
}

go_changed() {
    die "archive.sh: $1. $(go version) starts the runtime of a C archive in another way" \
        "than Go $go_wanted did; scripts/archive.sh and capi/runtime.c must learn it."
}

# Go's table of signals: 65 entries of flags and name, as capi/runtime.c has it.
check_signal_table() {
    [[ $("$(binutil nm)" -S "$1" | awk '$4 == "runtime.sigtable" {print $2}') == 0000000000000618 ]] ||
        go_changed "runtime.sigtable does not have 65 entries of 24 bytes"
}

make_start_lazy() {
    local object=$1 start
    start=$(start_symbol)
    check_signal_table "$object"
    [[ $(entries "$object") == "$start" ]] || go_changed "the .init_array of go.o does not hold $start alone"
    "$(binutil objcopy)" --remove-section=.init_array --remove-section=.rela.init_array \
        --globalize-symbol="$start" --globalize-symbol=runtime.sigtable "$object"
    [[ -z $(entries "$object") ]] || go_changed "go.o still has an .init_array"
    "$(binutil nm)" "$object" | grep " T $start\$" >/dev/null || go_changed "$start could not be made global"
}

# join OBJECT: one object of all members, with only the public functions visible.
join() {
    public_functions >public.txt
    "$(binutil ld)" -r -d -o joined.o members/*.o
    "$(binutil objcopy)" --keep-global-symbols=public.txt joined.o "$1"
}

replace_if_changed() {
    if cmp -s "$1" "$2"; then return; fi
    mv "$1" "$2"
    say "built ${2#"$PWD/"}"
}

main() {
    mkdir -p "$(dirname -- "$work")"
    exec 9>"$work.lock" # another run for the same output waits
    flock 9
    rm -rf "$work"
    mkdir -p "$work/members"
    go_archive
    cd "$work"
    (cd members && "$(binutil ar)" x ../go.a)
    make_start_lazy members/go.o
    join msquicxdp.o
    "$(binutil ar)" rcsD new.a msquicxdp.o
    replace_if_changed new.a "$output"
}

main
