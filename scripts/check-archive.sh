#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# check-archive.sh ARCHIVE - holds the archive to what docs/LINKING.md promises of it: what it defines, what it
# needs, that it is position independent, idle until it is used, reproducible, and gets along with a second Go
# archive. Prints what it found; the first promise broken ends it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

(($# == 1)) || die "usage: scripts/check-archive.sh ARCHIVE"
archive=$(realpath -- "$1")
need_builder
CC=$(go env CC)
export CC
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

binutil() { "$CC" -print-prog-name="$1"; }

# symbols FILE: "TYPE NAME" of the external symbols of an archive or object.
symbols() { "$(binutil nm)" -g "$1" 2>/dev/null | awk 'NF >= 2 {print $(NF - 1), $NF}' | sort -u; }

# exports LIBRARY: the names that a shared or static library of the toolchain defines.
exports() {
    local file dynamic=()
    file=$("$CC" -print-file-name="$1")
    [[ -e $file ]] || return 0
    [[ $file == *.a ]] || dynamic=(-D)
    "$(binutil nm)" "${dynamic[@]}" --defined-only "$file" 2>/dev/null |
        awk 'NF >= 3 {sub(/@.*/, "", $3); print $3}'
}

# c_library: every name that a program gets from the C library and the compiler's own.
c_library() {
    local library
    for library in libc.so.6 libc_nonshared.a libpthread.so.0 libdl.so.2 libm.so.6 \
        ld-linux-x86-64.so.2 ld-linux-aarch64.so.1 libgcc.a libgcc_s.so.1; do
        exports "$library"
    done | sort -u
    echo _GLOBAL_OFFSET_TABLE_
}

check_members() {
    [[ $("$(binutil ar)" t "$archive") == msquicxdp.o ]] || die "the archive must hold one object, msquicxdp.o"
}

check_defined() {
    symbols "$archive" | awk '$1 != "U" && $1 != "w" {print $2}' | sort >"$work/defined"
    public_functions | sort >"$work/public"
    diff "$work/public" "$work/defined" ||
        die "the archive must define its public functions and nothing else (< missing, > too many)"
    say "defines $(abi_list functions_to_define | wc -l) functions of MsQuic's datapath and" \
        "$(own_functions | wc -l) of msquicxdp.h, and nothing else"
}

check_needed() {
    symbols "$archive" | awk '$1 == "U" || $1 == "w" {print $2}' | sort >"$work/needed"
    abi_list functions_to_import >"$work/imports"
    c_library | sort -u >"$work/libc"
    comm -23 "$work/needed" "$work/imports" >"$work/foreign"
    comm -23 "$work/foreign" "$work/libc" >"$work/unknown"
    [[ ! -s $work/unknown ]] ||
        die "the archive needs what neither MsQuic's platform nor the C library has:" "$(<"$work/unknown")"
    say "needs of MsQuic's platform:" "$(comm -12 "$work/needed" "$work/imports" | tr '\n' ' ')"
    say "needs of the C library:" "$(tr '\n' ' ' <"$work/foreign")"
}

check_no_paths() {
    local path
    for path in "$root/" "$HOME/" "$(go env GOROOT)/"; do
        grep -aqP -- "$(path_pattern "$path")" "$archive" && die "the archive names $path, a folder of the machine that built it"
    done
    say "names no folder of this machine"
}

# A program that prints how many threads and open files it has when main begins; with the archive or
# without it, and perhaps with a second Go archive that it then calls.
host() {
    cat <<'EOF'
#include <dirent.h>
#include <stdio.h>
#include "msquicxdp/msquicxdp.h"
static int count(const char *directory)
{
    int n = 0;
    DIR *entries = opendir(directory);
    while (readdir(entries) != NULL) {
        n++;
    }
    closedir(entries);
    return n - 2;
}
int second_archive(void);
int main(void)
{
    printf("%d threads, %d files\n", count("/proc/self/task"), count("/proc/self/fd"));
#ifdef WITH_ARCHIVE
    if (msquicxdp_version() == 0) {
        return 1;
    }
#endif
#ifdef WITH_SECOND
    return second_archive() == 7 ? 0 : 1;
#endif
    return 0;
}
EOF
}

# link_host OUTPUT [ARGUMENT...]: the program with the platform and the archive.
link_host() {
    local out=$1
    shift
    "$CC" -I"$root/include" -DWITH_ARCHIVE -o "$out" host.c platform.c "$archive" "$@" -pthread -ldl
}

check_idle() {
    "$CC" -I"$root/include" -o bare host.c
    link_host idle
    ./bare >bare.txt
    ./idle >idle.txt || die "a program that links the archive does not run"
    diff bare.txt idle.txt ||
        die "a program that links the archive and does not use it has threads or files of it"
    say "starts no thread and opens no file in a program that does not use it"
}

check_shared() {
    "$CC" -shared -o shared.so platform.c -Wl,--whole-archive "$archive" -Wl,--no-whole-archive \
        -Wl,-z,text,-z,defs,-z,nodelete,--as-needed,--fatal-warnings -pthread -ldl
    say "links into a shared object: position independent, nothing undefined"
    "$(binutil readelf)" -nW shared.so | grep -w msquicxdp >/dev/null ||
        die "a shared object that holds the archive has lost the note by which copies find each other"
    say "leaves the note by which several copies in one process find each other"
}

check_second_go_archive() {
    mkdir second
    printf 'module second\n\ngo %s\n' "$go_wanted" >second/go.mod
    cat >second/main.go <<'EOF'
package main

import "C"

//export second_archive
func second_archive() C.int { return 7 }

func main() {}
EOF
    (cd second && CGO_ENABLED=1 go build -buildvcs=false -buildmode=c-archive -o second.a .)
    link_host two -DWITH_SECOND second/second.a
    ./two >two.txt || die "a program that holds another Go archive beside ours does not run"
    say "links beside another Go archive, which runs"
}

check_reproducible() {
    mkdir elsewhere
    (cd "$root" && tar -cf - --exclude=./build --exclude=./.git .) | tar -xf - -C elsewhere
    elsewhere/scripts/archive.sh elsewhere/build/libmsquicxdp.a >/dev/null
    cmp "$archive" elsewhere/build/libmsquicxdp.a || die "built again in another folder the archive differs"
    say "built again in another folder: the same bytes"
}

cd "$work"
platform_stubs >platform.c
host >host.c
check_members
check_defined
check_needed
check_no_paths
check_idle
check_shared
check_second_go_archive
check_reproducible
say "check-archive: passed"
