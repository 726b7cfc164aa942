#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# check-hook.sh ARCHIVE - tries cmake/MsQuicDatapath.cmake on a small project that is built the way MsQuic is:
# what it makes of a static and of a shared build, and each thing that it must refuse.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

(($# == 1)) || die "usage: scripts/check-hook.sh ARCHIVE"
need_tools cmake ninja gcc readelf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/msquic
# A copy, because the test changes its time.
archive=$work/libmsquicxdp.a
cp -- "$1" "$archive"

# give_up WORDS: with the log of the last step.
give_up() {
    cat "$work/log" >&2
    die "$*"
}

# The stand-in: its own datapath does not compile, its platform is in two files, of which nobody but the
# archive needs the second, and a static msquic is one archive of everything.
make_tree() {
    mkdir -p "$tree/src/platform" "$tree/src/inc" "$tree/src/bin"
    cat >"$tree/CMakeLists.txt" <<'EOF'
cmake_minimum_required(VERSION 3.16)
project(msquic C)
set(BUILD_SHARED_LIBS ${QUIC_BUILD_SHARED})
add_subdirectory(src/platform)
add_subdirectory(src/bin)
EOF
    cat >"$tree/src/platform/CMakeLists.txt" <<'EOF'
set(sources platform_posix.c pcp.c)
foreach(name epoll linux unix xplat raw_dummy ${EXTRA_DATAPATH})
    list(APPEND sources datapath_${name}.c)
endforeach()
list(REMOVE_ITEM sources datapath_${WITHOUT_DATAPATH}.c)
if(NOT WITHOUT_PLATFORM)
    add_library(msquic_platform STATIC ${sources})
    target_include_directories(msquic_platform PUBLIC ../inc PRIVATE ${INTERFACE_DIR})
    set_property(TARGET msquic_platform PROPERTY POSITION_INDEPENDENT_CODE ON)
endif()
EOF
    cat >"$tree/src/bin/CMakeLists.txt" <<'EOF'
if(WITHOUT_PLATFORM)
    return()
endif()
if(BUILD_SHARED_LIBS)
    add_library(msquic SHARED open.c)
    target_link_libraries(msquic PRIVATE msquic_platform)
    set_property(TARGET msquic PROPERTY LINK_FLAGS "-Wl,--no-undefined -Wl,--as-needed")
else()
    set(library ${CMAKE_CURRENT_BINARY_DIR}/$<IF:$<CONFIG:Debug>,d,r>libmsquic.a)
    add_library(core STATIC open.c)
    file(GENERATE OUTPUT members.txt CONTENT
        "create ${library}\naddlib $<TARGET_FILE:core>\naddlib $<TARGET_FILE:msquic_platform>\nsave\nend\n")
    add_custom_command(OUTPUT ${library} COMMAND ${CMAKE_AR} -M < members.txt DEPENDS core msquic_platform)
    add_custom_target(msquic_lib DEPENDS ${library})
    add_library(msquic INTERFACE)
    target_link_libraries(msquic INTERFACE ${library})
    add_dependencies(msquic msquic_lib)
endif()
add_executable(tool tool.c)
target_link_libraries(tool msquic)
add_executable(inner tool.c open.c)
target_link_libraries(inner msquic_platform)
EOF
    local name
    for name in epoll linux unix xplat raw_dummy new; do
        echo "#error MsQuic's own datapath_$name.c is being compiled" >"$tree/src/platform/datapath_$name.c"
    done
    platform_stubs | grep -v Pcp >"$tree/src/platform/platform_posix.c"
    platform_stubs | grep Pcp >"$tree/src/platform/pcp.c"
    cat >"$tree/src/platform/platform_internal.h" <<'EOF'
#include "msquicxdp/cxplat.h"
EOF
    cat >"$tree/src/bin/open.c" <<'EOF'
int CxPlatDataPathInitialize(int, void *, void *, void *, void *, void *);
int CxPlatAlloc(void);
int MsQuicOpen(void);
int MsQuicOpen(void)
{
    CxPlatAlloc();
    return CxPlatDataPathInitialize(0, 0, 0, 0, 0, 0);
}
EOF
    cat >"$tree/src/bin/tool.c" <<'EOF'
int MsQuicOpen(void);
int main(void)
{
    return MsQuicOpen() == 22 /* INVALID_PARAMETER */ ? 0 : 1;
}
EOF
}

# configure BUILD [OPTION...]
configure() {
    local to=$1
    shift
    cmake -G Ninja -S "$tree" -B "$to" -DCMAKE_PROJECT_msquic_INCLUDE="$root/cmake/MsQuicDatapath.cmake" \
        -DMSQUICXDP_ARCHIVE="$archive" -DINTERFACE_DIR="$root/include" "$@" >"$work/log" 2>&1
}

# accepted NAME [OPTION...]: configures, builds, runs, and links again when the archive changes.
accepted() {
    local to=$work/$1 program
    shift
    configure "$to" "$@" || give_up "refused"
    ninja -C "$to" >"$work/log" || give_up "does not build"
    for program in tool inner; do
        "$to/src/bin/$program" || die "$program does not reach the archive"
    done
    touch "$archive"
    for program in tool inner; do
        ninja -C "$to" -n "src/bin/$program" >"$work/log"
        grep Linking "$work/log" >/dev/null || give_up "$program is not linked again when the archive changes"
    done
    say "accepted, built and run: $*"
}

# refused PATTERN [OPTION...]: configuring ends with a message that has the pattern.
refused() {
    local pattern=$1
    shift
    rm -rf "$work/refused"
    if configure "$work/refused" "$@"; then die "not refused: $*"; fi
    # CMake wraps messages.
    tr -s ' \n' ' ' <"$work/log" | grep -E "$pattern" >/dev/null || give_up "refused in other words: $*"
    say "refused: $*"
}

refuses_other_layout() {
    mkdir -p "$work/other/msquicxdp"
    sed -E 's/(CXPLAT_SOCKET_FLAG_XDP = )[^,]*/\10x7/' "$root/include/msquicxdp/cxplat.h" \
        >"$work/other/msquicxdp/cxplat.h"
    configure "$work/layout" -DINTERFACE_DIR="$work/other" || give_up "refused"
    if ninja -C "$work/layout" >"$work/log"; then die "another layout is not refused"; fi
    grep "msquicxdp: CXPLAT_SOCKET_FLAG_XDP must be" "$work/log" >/dev/null ||
        give_up "another layout is refused in other words"
    say "refused while building: another layout"
}

keeps_own_datapath() {
    configure "$work/own" -DMSQUICXDP_DATAPATH=OFF || give_up "refused"
    if ninja -C "$work/own" >"$work/log"; then die "MSQUICXDP_DATAPATH=OFF takes sources away"; fi
    grep "MsQuic's own datapath_epoll.c is being compiled" "$work/log" >/dev/null ||
        give_up "MSQUICXDP_DATAPATH=OFF does not leave MsQuic's own datapath alone"
    say "left alone: MSQUICXDP_DATAPATH=OFF"
}

make_tree
accepted static -DQUIC_BUILD_SHARED=OFF
accepted shared -DQUIC_BUILD_SHARED=ON
readelf -d "$work/shared/src/bin/libmsquic.so" | grep NODELETE >/dev/null ||
    die "libmsquic.so could be unloaded"
refused "QUIC_LINUX_IOURING_ENABLED=OFF" -DQUIC_LINUX_IOURING_ENABLED=ON
refused "no target msquic_platform.*v2\.6\.x and main" -DWITHOUT_PLATFORM=ON
refused "datapath_xplat\.c.*v2\.6\.x and main" -DWITHOUT_DATAPATH=xplat
refused "datapath_new\.c.*v2\.6\.x and main" -DEXTRA_DATAPATH=new
refused "not built.*build\.sh build.*nowhere\.a" -DMSQUICXDP_ARCHIVE="$work/nowhere.a"
refused "for Linux.*Generic" -DCMAKE_SYSTEM_NAME=Generic
refuses_other_layout
keeps_own_datapath
say "check-hook: passed"
