#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# torture.sh [OPTION...]                   runs the torture of tests/torture; its options are those of
#                                          tests/torture/cmd.
# torture.sh server ARCHIVE OUTPUT         only builds its server.
#
# Called by './build.sh torture', which has built the archive before. Needs root, for namespaces.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

readonly sources=$root/tests/torture/server

build_server() {
    (($# == 2)) || die "usage: scripts/torture.sh server ARCHIVE OUTPUT"
    gcc -std=gnu11 -O2 -g -Wall -Wextra -Werror -I"$root/include" -I"$root/tests" -I"$sources" \
        -o "$2" "$sources"/*.c "$root"/tests/host/*.c "$1" -pthread -ldl
}

run_torture() {
    ((EUID == 0)) || die "the torture needs root, to make namespaces. It touches nothing of this" \
        "machine's own network."
    need_builder
    "$root/scripts/demo.sh" deps
    [[ -e $build/libmsquicxdp.a ]] || "$root/scripts/archive.sh" "$build/libmsquicxdp.a"
    mkdir -p "$build/bin"
    build_server "$build/libmsquicxdp.a" "$build/bin/torture-server"
    "$root/scripts/demo.sh" server "$build/libmsquicxdp.a" "$build/bin/demo-server"
    (cd "$root" && go build -trimpath -o "$build/bin/torture" ./tests/torture/cmd)
    exec "$build/bin/torture" -server "$build/bin/torture-server" \
        -quic-server "$build/bin/demo-server" "$@"
}

case ${1:-} in
server)
    shift
    build_server "$@"
    ;;
*) run_torture "$@" ;;
esac
