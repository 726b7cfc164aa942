#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# check-install.sh BUILD - installs the CMake build BUILD into a new prefix, moves it, and builds a program
# against what is there then: by find_package and by pkg-config.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

(($# == 1)) || die "usage: scripts/check-install.sh BUILD"
need_tools cmake ninja gcc pkg-config
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/moved

# give_up WORDS: with the log of the last step.
give_up() {
    cat "$work/log" >&2
    die "$*"
}

install_and_move() {
    cmake --install "$1" --prefix "$work/prefix" >"$work/log" || give_up "cmake --install failed"
    mv "$work/prefix" "$prefix"
    (cd "$prefix" && find . -type f | sort)
}

by_find_package() {
    cmake -G Ninja -S "$root/cmake/consumer" -B "$work/consumer" -DCMAKE_PREFIX_PATH="$prefix" \
        -DHOST_DIR="$root/tests" >"$work/log" 2>&1 || give_up "find_package failed"
    cmake --build "$work/consumer" >"$work/log" || give_up "does not build by find_package"
    "$work/consumer/consumer"
    say "find_package(msquicxdp): builds and runs"
}

by_pkg_config() {
    local pc
    pc=$(find "$prefix" -name msquicxdp.pc)
    export PKG_CONFIG_PATH=${pc%/*}
    # The output is a list of words on purpose.
    # shellcheck disable=SC2046
    gcc -I"$root/tests" -o "$work/program" "$root/cmake/consumer/main.c" \
        "$root"/tests/host/*.c $(pkg-config --cflags --libs msquicxdp)
    "$work/program"
    [[ -e $(pkg-config --variable=hook msquicxdp) ]] || die "pkg-config --variable=hook names no file"
    say "pkg-config msquicxdp: builds and runs"
}

install_and_move "$1"
by_find_package
by_pkg_config
say "check-install: passed"
