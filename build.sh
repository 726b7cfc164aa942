#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# build.sh - everything that is done with this source tree. './build.sh help' tells what.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/scripts/lib.sh"
cd "$root"

readonly commands=(deps build test demo bench torture fuzz lint fmt clean)

explain() {
    case $1 in
    deps) cat <<'EOF' ;;
deps    Installs what build and test need: a C and a C++ compiler, binutils, CMake, Ninja, pkg-config,
        iproute2, and the Go modules. As root on Debian or Ubuntu it asks apt for what is missing; else it
        says what is missing. Go 1.26 is found on PATH or in /usr/local/go, or comes with the distribution.
EOF
    build) cat <<'EOF' ;;
build   Makes build/libmsquicxdp.a, the headers in build/include/, and the programs in build/bin/.
EOF
    test) cat <<'EOF' ;;
test    Builds, and runs every test: go vet, gofmt, go test, go test -race, and under ctest the C tests
        (plain, and with the address and undefined behaviour sanitizers), the archive, the installation and
        the hook for MsQuic. As root, in network namespaces of its own.
        REQUIRE_XDP=1 makes a test that cannot run a failure. MSQUICXDP_TSAN=1 adds the C tests with the
        thread sanitizer. Arguments go to ctest, which comes last.
EOF
    demo) cat <<'EOF' ;;
demo    Two server processes share one UDP port, told apart by their CIBIR identifiers, on real QUIC: others
        are refused with the reason, and one server is killed and started again while the other serves on.
        First with one of them on AF_XDP and one on kernel sockets, then with both on one queue by AF_XDP;
        on kernel sockets where AF_XDP cannot be had. --path mixed, xdp or kernel asks for one of these.
        In network namespaces that it makes and removes. Needs root.
EOF
    bench) cat <<'EOF' ;;
bench   Measures the datapath beside plain C in the same run, and prints the ratios; --json for programs.
EOF
    torture) cat <<'EOF' ;;
torture Servers that share a port and a queue are killed, stopped, starved and disturbed at random, under load,
        while others look that nobody else notices. --seconds N says how long (60), --seed S what is done.
        Its last line begins with "torture ok", else it says what was violated. In namespaces of its own.
        Needs root.
EOF
    fuzz) cat <<'EOF' ;;
fuzz    Runs every fuzz target for --seconds N (60): those in Go, the BPF programs in the kernel against their
        references, and the C interface with the address sanitizer. Prints a table, and one line at the end.
        Other arguments name parts: Go packages, differential, c. As root.
EOF
    lint) cat <<'EOF' ;;
lint    Looks without changing anything: go vet, gofmt, staticcheck if it is there, shellcheck,
        clang-format, an SPDX line in every source file, no path of this machine in any file.
EOF
    fmt) cat <<'EOF' ;;
fmt     Formats Go by gofmt, C by clang-format.
EOF
    clean) cat <<'EOF' ;;
clean   Removes build/.
EOF
    *) die "no command '$1'; there are: ${commands[*]}" ;;
    esac
}

command_help() {
    local name
    echo "usage: ./build.sh COMMAND [ARGUMENT...], or help [COMMAND]"
    for name in "${@:-${commands[@]}}"; do
        echo
        explain "$name"
    done
}

command_deps() {
    need_builder
    need_test_tools
    scripts/demo.sh deps
    need_modules
    say "everything is there: $(go version)"
}

# A bare machine does not know whom to trust; others keep their certificates elsewhere.
need_modules() {
    go mod download && return 0
    need_file /etc/ssl/certs/ca-certificates.crt ca-certificates
    go mod download
}

command_build() {
    need_builder
    go list -deps ./capi >/dev/null 2>&1 || need_modules
    scripts/archive.sh "$build/libmsquicxdp.a"
    mkdir -p "$build/include/abi" "$build/include/msquicxdp" "$build/bin"
    cp include/msquicxdp/*.h "$build/include/msquicxdp/"
    cp include/abi/layout_asserts.h "$build/include/abi/"
    scripts/tool.sh "$build/bin"
    say "build/libmsquicxdp.a, build/include, build/bin"
}

command_test() {
    command_build
    scripts/test.sh "$@"
}

# from_script NAME [ARGUMENT...]: a command that needs the build and has a script of its own.
from_script() {
    local script=scripts/$1.sh
    shift
    [[ -x $script ]] || die "$script is not in this source tree yet."
    command_build >&2 # what bench prints is for programs
    "$script" "$@"
}

command_demo() { from_script demo "$@"; }
command_bench() { from_script bench "$@"; }
command_torture() { from_script torture "$@"; }
command_fuzz() { scripts/fuzz.sh "$@"; }
command_lint() { scripts/lint.sh "$@"; }
command_fmt() { scripts/fmt.sh "$@"; }
command_clean() { rm -rf "$build"; }

main() {
    local name=${1:-help}
    shift || true
    [[ " help ${commands[*]} " == *" $name "* ]] || die "no command '$name'; './build.sh help' lists them"
    "command_$name" "$@"
}

main "$@"
