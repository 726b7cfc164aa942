#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# demo.sh [OPTION...]     runs the demo of tests/demo; its options are those of tests/demo/cmd.
# demo.sh deps            installs the QUIC library of the server, or says what is missing.
# demo.sh missing         prints what of it is missing; nothing when all is there.
# demo.sh server [-s address|thread] ARCHIVE OUTPUT
#                         only builds the server, with an archive that was made with the same -s.
#
# Called by './build.sh demo', which has built the archive before. Needs root, for network namespaces.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

readonly quic_packages=(libngtcp2-dev libngtcp2-crypto-gnutls-dev libgnutls28-dev)
readonly quic_libraries=(-lngtcp2_crypto_gnutls -lngtcp2 -lgnutls)
readonly sources=$root/tests/demo/server

# missing: what the compiler says that is not there, or is too old.
missing() {
    local program='#include "compat.h"
        int main(void) { return ngtcp2_version(0) == NULL || gnutls_check_version(NULL) == NULL; }'
    gcc -I"$sources" -x c - -o /dev/null "${quic_libraries[@]}" <<<"$program" 2>&1 |
        grep -E 'error|cannot find' || true
}

need_libraries() {
    local lacking
    need_tools gcc ar
    lacking=$(missing)
    [[ -z $lacking ]] && return 0
    can_apt || die "the demo's server needs ngtcp2 with GnuTLS: $lacking" \
        "Install what Debian calls ${quic_packages[*]}."
    apt_install "${quic_packages[@]}"
    lacking=$(missing)
    [[ -z $lacking ]] || die "${quic_packages[*]} do not serve: $lacking"
}

build_server() {
    local sanitize=() archive output
    if [[ ${1:-} == -s ]]; then
        case $2 in
        address) sanitize=(-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=undefined) ;;
        thread) sanitize=(-fsanitize=thread) ;;
        *) die "demo.sh: -s is address or thread" ;;
        esac
        shift 2
    fi
    (($# == 2)) || die "usage: scripts/demo.sh server [-s address|thread] ARCHIVE OUTPUT"
    archive=$1 output=$2
    gcc -std=gnu11 -O2 -g -Wall -Wextra -Werror "${sanitize[@]}" \
        -I"$root/include" -I"$root/tests" -I"$sources" -o "$output" \
        "$sources"/*.c "$root"/tests/host/*.c "$archive" "${quic_libraries[@]}" -pthread -ldl
}

run_demo() {
    ((EUID == 0)) || die "the demo needs root, to make network namespaces. It touches nothing" \
        "of this machine's own network."
    need_builder
    need_libraries
    [[ -e $build/libmsquicxdp.a ]] || "$root/scripts/archive.sh" "$build/libmsquicxdp.a"
    mkdir -p "$build/bin"
    build_server "$build/libmsquicxdp.a" "$build/bin/demo-server"
    (cd "$root" && go build -trimpath -o "$build/bin/demo" ./tests/demo/cmd)
    exec "$build/bin/demo" -server "$build/bin/demo-server" "$@"
}

case ${1:-} in
deps) need_libraries ;;
missing) missing ;;
server)
    shift
    build_server "$@"
    ;;
*) run_demo "$@" ;;
esac
