// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const layoutCheck = "../../cmake/layout_check.c"

// checkSyntax compiles layout_check.c as MsQuic's platform library would.
func checkSyntax(t *testing.T, compiler, tree string, flags ...string) (string, error) {
	t.Helper()
	args := append(msQuicFlags(tree), flags...)
	out, err := exec.Command(compiler, append(args, "-fsyntax-only", layoutCheck)...).CombinedOutput()
	return string(out), err
}

func msQuicFlags(tree string) []string {
	return []string{"-std=c11", "-fms-extensions", "-Wall", "-Wextra", "-Werror",
		"-Wno-unknown-pragmas", "-Wno-multichar", "-Wno-missing-field-initializers",
		"-Wno-missing-braces", "-Wno-type-limits", "-Wno-unknown-warning-option",
		"-Wno-microsoft-anon-tag", "-D_GNU_SOURCE", "-DCX_PLATFORM_LINUX", "-DNDEBUG",
		"-DQUIC_EVENTS_STUB", "-DQUIC_LOGS_STUB", "-I" + filepath.Join(tree, "src", "inc")}
}

// cCompilers returns those that cmake/layout_check.c is for.
func cCompilers(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, l := range languages(t) {
		if strings.HasSuffix(l.program, ".c") {
			found = append(found, l.compiler)
		}
	}
	return found
}

func msQuicTree(t *testing.T) string {
	t.Helper()
	tree := os.Getenv("MSQUICXDP_MSQUIC_TREE")
	if tree == "" {
		t.Skip("no-msquic-tree: MSQUICXDP_MSQUIC_TREE does not name a source tree of MsQuic")
	}
	return tree
}

func TestLayoutCheckRefusesIoUring(t *testing.T) {
	for _, compiler := range cCompilers(t) {
		out, err := checkSyntax(t, compiler, "/nonexistent", "-DCXPLAT_USE_IO_URING=1")
		if err == nil || !strings.Contains(out, "-DQUIC_LINUX_IOURING_ENABLED=OFF") {
			t.Errorf("%s: error %v, want one that names the option\n%s", compiler, err, out)
		}
	}
}

func TestMsQuicHasTheLayout(t *testing.T) {
	tree := msQuicTree(t)
	for _, compiler := range cCompilers(t) {
		if out, err := checkSyntax(t, compiler, tree); err != nil {
			t.Errorf("%s: %v\n%s", compiler, err, out)
		}
	}
}

func TestMsQuicHasTheBitFields(t *testing.T) {
	tree := msQuicTree(t)
	for _, compiler := range cCompilers(t) {
		source := filepath.Join(t.TempDir(), "bitfields.c")
		if err := os.WriteFile(source, []byte(`
			#include "../platform/platform_internal.h"
			#include "abi/layout_asserts.h"
			int main(void)
			{
			    const char *problem = cxplat_check_bitfields();
			    return problem != NULL && puts(problem);
			}`), 0o644); err != nil {
			t.Fatal(err)
		}
		l := language{compiler, append(msQuicFlags(tree), "-I../../include"), source}
		if out, err := l.compileAndRun(t); err != nil {
			t.Errorf("%s: %v\n%s", compiler, err, out)
		}
	}
}
