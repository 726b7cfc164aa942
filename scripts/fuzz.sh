#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# fuzz.sh [--seconds N] [PART...] - runs the fuzzers one after the other, each for N seconds (60), then prints a
# table and one line that says it all. A part is a directory with Go packages (./portres/...), 'differential'
# (the BPF programs in the kernel against their references in Go) or 'c' (the C interface, with the address
# sanitizer); without, all. MSQUICXDP_FUZZ_SEED is where the last two begin.
#
# An input that fails stays: of a Go package in its testdata/fuzz/, where every go test tries it again.
set -uo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd "$root" || exit

seconds=60
if [[ ${1:-} == --seconds ]]; then
    seconds=${2:-}
    shift 2 || true
fi
[[ $seconds =~ ^[1-9][0-9]*$ ]] || die "--seconds wants a number"
need_builder

export MSQUICXDP_FUZZ_SECONDS=$seconds
log=$(mktemp)
readonly log
trap 'rm -f "$log"' EXIT

rows=()
targets=0 executions=0 packets=0 differences=0 crashes=0

# last NAME: the number that NAME= has in the log; 0 where there is none.
last() { grep -oE "\b$1=[0-9]+" "$log" | tail -1 | grep -oE '[0-9]+$' || echo 0; }

# record NAME STATUS EXECUTIONS PACKETS: one more target that has run.
record() {
    local outcome=ok
    (($2 == 0)) || outcome=FAILED
    targets=$((targets + 1)) executions=$((executions + $3)) packets=$((packets + $4))
    rows+=("$(printf '%-52s %12s %12s  %s' "$1" "$3" "$4" "$outcome")")
}

# run COMMAND...: keeps what it prints, and shows it where it fails.
run() {
    local status=0
    "$@" >"$log" 2>&1 || status=$?
    ((status == 0)) || cat "$log" >&2
    return "$status"
}

# go_targets DIRECTORY...: directories of packages and their fuzz targets, one a line.
go_targets() {
    local dir
    go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' "$@" | while read -r dir; do
        grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go 2>/dev/null | sed "s|^func |./${dir#"$root"/} |"
    done
}

fuzz_go() {
    local package target status execs
    while read -r package target; do
        say "$package $target, ${seconds}s"
        status=0
        run go test -run '^$' -fuzz "^$target\$" -fuzztime "${seconds}s" "$package" || status=$?
        execs=$(grep -oE 'execs: [0-9]+' "$log" | tail -1 | grep -oE '[0-9]+' || echo 0)
        ((status == 0)) || crashes=$((crashes + 1))
        record "$package $target" "$status" "$execs" 0
    done < <(go_targets "$@")
}

fuzz_differential() {
    local package status
    for package in ./datapath/classifier ./datapath/steering; do
        say "$package TestDifferential, ${seconds}s"
        status=0
        REQUIRE_XDP=1 run go test -count=1 -timeout 0 -v -run '^TestDifferential$' "$package" || status=$?
        ((status == 0)) || differences=$((differences + 1))
        record "$package TestDifferential" "$status" 0 "$(last packets)"
    done
}

fuzz_c() {
    local program=$build/cmake/fuzz_test.asan status=0
    say "the C interface, ${seconds}s"
    need_test_tools
    run cmake -G Ninja -S . -B "$build/cmake" -DMSQUICXDP_OUTPUT_DIR="$build" &&
        run cmake --build "$build/cmake" --target fuzz_test.asan || status=$?
    if ((status == 0)); then
        REQUIRE_XDP=1 CHECK_TIMEOUT=$((seconds + 300)) MSQUICXDP_STATE_DIR=$build/cmake/state run "$program" || status=$?
    fi
    ((status == 0)) || crashes=$((crashes + 1))
    record "the C interface" "$status" "$(last calls)" "$(last datagrams)"
}

main() {
    local part
    (($#)) || set -- ./... differential c
    for part in "$@"; do
        case $part in
        differential | c) "fuzz_$part" ;;
        *) fuzz_go "$part" ;;
        esac
    done
    ((targets)) || die "no fuzz target in: $*"
    printf '%-52s %12s %12s\n' TARGET EXECUTIONS PACKETS
    printf '%s\n' "${rows[@]}"
    local outcome=ok
    ((differences + crashes == 0)) || outcome=failed
    echo "fuzz $outcome: targets=$targets executions=$executions packets=$packets differences=$differences crashes=$crashes"
    [[ $outcome == ok ]]
}

main "$@"
