# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# lib.sh - what build.sh and its scripts share. Sourced, never run.

# The version go.mod asks for.
readonly go_wanted=1.26

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
# The scripts that source this file use it.
# shellcheck disable=SC2034
readonly build=$root/build

# What tools print must not depend on the user's language, nor sorted lists on the locale.
export LC_ALL=C

say() { printf '== %s\n' "$*"; }

warn() { printf '%s\n' "$*" >&2; }

die() {
    warn "$*"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

can_apt() { ((EUID == 0)) && have apt-get; }

# apt_install PACKAGE...: tries the package lists that are there, and fetches new ones if they do not do.
apt_install() {
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends)
    say "apt-get install $*"
    "${install[@]}" "$@" || { apt-get update && "${install[@]}" "$@"; }
}

# apt_serves PACKAGE: the distribution has it, as far as its package lists tell.
apt_serves() {
    can_apt || return 1
    [[ -n $(apt-cache show "$1" 2>/dev/null) ]] && return 0
    apt-get update >/dev/null && [[ -n $(apt-cache show "$1" 2>/dev/null) ]]
}

# package_of TOOL: what Debian calls the packages that bring it.
package_of() {
    case $1 in
    gcc) echo gcc libc6-dev ;;
    g++) echo g++ libc6-dev ;;
    ld | ar | nm | objcopy | readelf) echo binutils ;;
    ninja) echo ninja-build ;;
    ip) echo iproute2 ;;
    *) echo "$1" ;;
    esac
}

# need_tools TOOL...: installs the packages of the tools that are missing, or names them.
need_tools() {
    local tool missing=() packages=()
    for tool in "$@"; do
        have "$tool" && continue
        missing+=("$tool")
        read -ra names <<<"$(package_of "$tool")"
        packages+=("${names[@]}")
    done
    ((${#missing[@]})) || return 0
    can_apt || die "missing: ${missing[*]}. './build.sh deps' installs them when root runs it on Debian" \
        "or Ubuntu; elsewhere install what Debian calls ${packages[*]}."
    apt_install "${packages[@]}"
}

# go_serves GO: this go command builds the module, if need be by fetching the toolchain that go.mod names.
go_serves() {
    local version
    version=$(cd "$root" && "$1" env GOVERSION 2>/dev/null) || return 1
    [[ -n $version ]] && printf '%s\n' "go$go_wanted" "${version#devel }" | sort -V -C
}

# find_go: puts a go command that serves first on PATH.
find_go() {
    local dir
    if have go && go_serves go; then return 0; fi
    for dir in /usr/local/go/bin "/usr/lib/go-$go_wanted/bin"; do
        if [[ -x $dir/go ]] && go_serves "$dir/go"; then
            PATH=$dir:$PATH
            return 0
        fi
    done
    return 1
}

# need_go: as find_go; installs the distribution's package where there is one, else says what to do.
need_go() {
    local package=golang-$go_wanted-go
    find_go && return 0
    if apt_serves "$package" && apt_install "$package" && find_go; then return 0; fi
    die "Go $go_wanted or newer is needed, and there is $(go version 2>/dev/null || echo none). Install it from" \
        "https://go.dev/dl/ so that 'go' is on PATH or in /usr/local/go/bin, or install the package $package" \
        "where the distribution has it. Go 1.21 and newer can also fetch it, with GOTOOLCHAIN=auto."
}

# need_builder: all that turns the sources into the archive.
need_builder() {
    need_tools gcc ld
    need_go
}

# abi_list KEY: the names in one list of the layout facts, one a line.
abi_list() {
    tr -d '\n' <"$root/include/abi/msquic.json" |
        sed -E "s/.*\"$1\": *\[([^]]*)\].*/\1/" | tr -d ' "' | tr ',' '\n' |
        grep -xE '[A-Za-z0-9_]+' | sort
}

# platform_stubs: in C, the functions that MsQuic's platform would bring, doing nothing, one a line.
platform_stubs() { abi_list functions_to_import | sed 's/.*/void &(void); void &(void) {}/'; }

# own_functions: the functions that msquicxdp.h declares, one a line.
own_functions() {
    "${CC:-gcc}" -E -P -I"$root/include" "$root/include/msquicxdp/msquicxdp.h" |
        tr '\n' ' ' | tr ';' '\n' | grep -v typedef |
        grep -oE '\bmsquicxdp_[a-z0-9_]+ *\(' | tr -d ' (' | sort
}

# public_functions: every symbol that the archive defines for the outside.
public_functions() {
    abi_list functions_to_define
    own_functions
}

# need_file FILE PACKAGE: as need_tools, for what is no program.
need_file() {
    [[ -e $1 ]] && return 0
    can_apt || die "missing: $1. './build.sh deps' installs it when root runs it on Debian or Ubuntu;" \
        "elsewhere install what Debian calls $2."
    apt_install "$2"
}

# need_test_tools: what the tests need besides; the names of protocols are for ip.
need_test_tools() {
    need_tools g++ cmake ninja pkg-config ip
    need_file /etc/protocols netbase
}

# path_pattern PATH: a pattern for grep -P that finds the path, but not as the end of another.
path_pattern() { printf '(?<![\\w./-])\\Q%s\\E' "$1"; }

# existing: of the files named on the standard input, those that are there.
existing() {
    local file
    while IFS= read -r -d '' file; do
        [[ ! -f $root/$file ]] || printf '%s\0' "$file"
    done
}

# all_files [PATTERN...]: the files of the tree, NUL between them: what git knows or would add, or where there
# is no git all but build/.
all_files() {
    if git -C "$root" rev-parse --git-dir >/dev/null 2>&1; then
        git -C "$root" ls-files -z --cached --others --exclude-standard -- "$@" | existing
        return
    fi
    local pattern names=()
    for pattern in "${@:-}"; do names+=(-o -path "./*$pattern"); done
    (cd "$root" && find . -path ./build -prune -o -type f \( "${names[@]:1}" \) -print0)
}

go_files() { all_files '*.go'; }

# written FILE... on the standard input: those that no program has generated.
written() { xargs -0r grep -LZ 'DO NOT EDIT'; }

c_files() { all_files '*.c' '*.h' '*.cc' | written; }

shell_files() { all_files '*.sh' .ci/run; }

source_files() {
    all_files '*.go' '*.c' '*.h' '*.cc' '*.sh' '*.cmake' '*.in' '*.json' \
        CMakeLists.txt '*/CMakeLists.txt' .ci/run .clang-format
}

# gofmt_list: the files that gofmt would change.
gofmt_list() { go_files | xargs -0r gofmt -l; }
