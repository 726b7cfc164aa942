#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# test.sh [CTEST ARGUMENT...] - every test. Called by './build.sh test', which has built before.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

need_builder
need_test_tools

check_go_source() {
    local unformatted
    say "go vet"
    go vet ./...
    say "gofmt"
    unformatted=$(gofmt_list)
    [[ -z $unformatted ]] || die "gofmt would change, './build.sh fmt' does:" "$unformatted"
}

# The packages that hold no C entry point and start no program: what the race detector can see whole.
racy_packages() { go list ./... | grep -vE '/(capi|tests|cmd|scripts)(/|$)'; }

run_go_tests() {
    local packages
    say "go test"
    go test -count=1 ./...
    say "go test -race"
    readarray -t packages < <(racy_packages)
    go test -count=1 -race "${packages[@]}"
}

run_c_tests() {
    local tsan=OFF
    [[ ${MSQUICXDP_TSAN:-} == 1 ]] && tsan=ON
    say "ctest"
    cmake -G Ninja -S . -B "$build/cmake" -DMSQUICXDP_OUTPUT_DIR="$build" -DMSQUICXDP_TSAN="$tsan"
    cmake --build "$build/cmake"
    (cd "$build/cmake" && ctest --output-on-failure "$@")
}

check_go_source
scripts/check-bpf.sh
run_go_tests
run_c_tests "$@"
say "test: passed"
