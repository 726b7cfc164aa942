#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# bench.sh [OPTION]... - measures the datapath through its C interface beside a plain C loop, see
# tests/bench/README.md; --help lists the options. Standard output holds nothing but the result.
#
# MSQUICXDP_ARCHIVE names an archive to measure instead of build/libmsquicxdp.a, for example that of another
# commit. The programs are built beside it, in bench/.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

archive=${MSQUICXDP_ARCHIVE:-$build/libmsquicxdp.a}
readonly archive out=${archive%/*}/bench
readonly flags=(-std=gnu11 -O2 -g -Wall -Wextra -Werror -D_GNU_SOURCE= -I"$root/include" -I"$root/tests")

# only_talks OPTION...: nothing will be measured, so that the C programs are not needed.
only_talks() {
    local option
    for option in "$@"; do
        [[ $option =~ ^--?(list|h|help)$ ]] && return 0
    done
    return 1
}

compile() { "$CC" "${flags[@]}" "$@"; }

# The C library that plays MsQuic's platform.
build_host() {
    local source
    rm -rf "$out/host"
    mkdir -p "$out/host"
    for source in "$root"/tests/host/*.c; do
        compile -c "$source" -o "$out/host/$(basename "$source" .c).o"
    done
    rm -f "$out/libhost.a"
    "$("$CC" -print-prog-name=ar)" rcsD "$out/libhost.a" "$out"/host/*.o
}

build_programs() {
    local src=$root/tests/bench/prog
    local common=("$src"/{options,worker,meter,syscalls}.c) bare=("$src"/{udp,reader,burst}.c)
    compile "$src"/peer*.c "${common[@]}" "${bare[@]}" -o "$out/peer"
    compile "$src"/bench_plain.c "$src"/plain_*.c "${common[@]}" "${bare[@]}" -o "$out/bench_plain"
    compile "$src"/bench_xdp_plain.c "$src"/{xdp_*,xsk}.c "${common[@]}" -o "$out/bench_xdp_plain"
    # The host calls the archive, and the archive the host.
    compile "$src"/bench_ours.c "$src"/ours*.c "${common[@]}" \
        "$out/libhost.a" "$archive" "$out/libhost.a" -lpthread -ldl -o "$out/bench_ours"
}

# What is measured in Go: rings, and the benchmarks of packages.
build_go() {
    cd "$root" || return
    go build -o "$out/bench_xdp_rings" ./tests/bench/rings
    go test -c -o "$out/xdp.test" ./datapath/xdp
    go test -c -o "$out/classifier.test" ./datapath/classifier
}

build_all() {
    CC=$(go env CC)
    [[ -n ${MSQUICXDP_ARCHIVE:-} ]] || "$root/scripts/archive.sh" "$archive"
    build_host
    build_programs
}

measures=true
if only_talks "$@"; then measures=false; fi
if $measures && ((EUID != 0)); then die "bench.sh: needs root, to make network namespaces of its own."; fi
need_builder
mkdir -p "$out"
(cd "$root" && go build -o "$out/bench" ./tests/bench/cmd) >&2
if $measures; then
    build_go >&2
    build_all >&2
fi
exec "$out/bench" -dir "$out" -archive "$archive" "$@"
