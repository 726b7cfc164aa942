// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// language is a C11 or C++17 compiler with the program that checks our header.
type language struct {
	compiler string
	flags    []string
	program  string
}

// languages returns what this machine can compile.
func languages(t *testing.T) []language {
	t.Helper()
	var found []language
	for _, l := range []language{
		{"gcc", []string{"-std=c11"}, "../../tests/abi/cxplat_c11.c"},
		{"clang", []string{"-std=c11"}, "../../tests/abi/cxplat_c11.c"},
		{"g++", []string{"-std=c++17"}, "../../tests/abi/cxplat_cpp17.cc"},
		{"clang++", []string{"-std=c++17"}, "../../tests/abi/cxplat_cpp17.cc"},
	} {
		if _, err := exec.LookPath(l.compiler); err == nil {
			l.flags = append(l.flags, "-Wall", "-Wextra", "-Werror", "-pedantic", "-I../../include")
			found = append(found, l)
		}
	}
	if len(found) == 0 {
		t.Skip("no-compiler: neither gcc nor clang is installed")
	}
	return found
}

// compileAndRun returns what the compiler, or else the program, said.
func (l language) compileAndRun(t *testing.T, flags ...string) (string, error) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	args := append(append(flags, l.flags...), l.program, "-o", binary)
	if out, err := exec.Command(l.compiler, args...).CombinedOutput(); err != nil {
		return string(out), err
	}
	out, err := exec.Command(binary).CombinedOutput()
	return string(out), err
}

func TestOurHeaderHasTheLayout(t *testing.T) {
	for _, l := range languages(t) {
		t.Run(l.compiler, func(t *testing.T) {
			t.Parallel()
			if out, err := l.compileAndRun(t); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// A fact that is not so stops the compiler, or for a bit field the program,
// with a message that names it.
func TestWrongFactIsFound(t *testing.T) {
	tests := []struct {
		name   string
		change func(*facts)
		want   string
	}{
		{"size", func(f *facts) { f.structure("CXPLAT_ROUTE").Size = 104 },
			"CXPLAT_ROUTE must have 104 bytes"},
		{"alignment", func(f *facts) { f.structure("CXPLAT_SQE").Align = 4 },
			"CXPLAT_SQE must be aligned to 4"},
		{"offset", func(f *facts) { f.field("CXPLAT_ROUTE", "State").Offset = 84 },
			"CXPLAT_ROUTE.State must be at byte 84"},
		{"field size", func(f *facts) { f.field("CXPLAT_UDP_CONFIG", "CibirId").Size = 8 },
			"CXPLAT_UDP_CONFIG.CibirId must have 8 bytes"},
		{"enum", func(f *facts) { *find(f.Enums, "CXPLAT_ECN_TYPE") = ordered[int64]{{"CXPLAT_ECN_CE", 1}} },
			"CXPLAT_ECN_CE must be 1"},
		{"constant", func(f *facts) { *find(f.Constants, "CXPLAT_MAX_MTU") = 9000 },
			"CXPLAT_MAX_MTU must be 9000"},
		{"status", func(f *facts) { *find(f.Status, "PENDING") = -3 },
			"QUIC_STATUS_PENDING must be -3"},
		{"type", func(f *facts) { *find(f.Types, "QUIC_XDP_MAP_HANDLE") = "void *" },
			"QUIC_XDP_MAP_HANDLE must be void *"},
		{"signature", func(f *facts) { *find(f.Signatures, "CxPlatSocketDelete") = "int (*)(CXPLAT_SOCKET *)" },
			"CxPlatSocketDelete must be int (*)(CXPLAT_SOCKET *)"},
		{"variable", func(f *facts) { *find(f.Signatures, "CxPlatProcessorCount") = "uint16_t *" },
			"CxPlatProcessorCount must be uint16_t *"},
		{"bit field moved", func(f *facts) { f.field("CXPLAT_ROUTE", "UseQTIP").BitOffset = 6 },
			"CXPLAT_ROUTE.UseQTIP must be 1 bit(s) wide and start at bit 6 of byte 77"},
		{"bit field wider", func(f *facts) { f.field("CXPLAT_RECV_DATA", "DatapathType").BitSize = 1 },
			"CXPLAT_RECV_DATA.DatapathType must be 1 bit(s) wide and start at bit 2 of byte 30"},
		{"bit field narrower", func(f *facts) { f.field("CXPLAT_RECV_DATA", "Reserved").BitSize = 5 },
			"CXPLAT_RECV_DATA.Reserved must be 5 bit(s) wide and start at bit 4 of byte 30"},
	}
	for _, test := range tests {
		for _, l := range languages(t) {
			t.Run(test.name+"/"+l.compiler, func(t *testing.T) {
				t.Parallel()
				f := committedFacts(t)
				test.change(f)
				out, err := l.compileAndRun(t, "-I"+writeHeader(t, f))
				message := "msquicxdp: " + test.want +
					": this MsQuic has another layout than the archive was built for; see docs/LINKING.md"
				if err == nil || !strings.Contains(out, message) {
					t.Errorf("error %v, want one that says\n%s\nin\n%s", err, message, out)
				}
			})
		}
	}
}

// writeHeader returns a new include path with a layout_asserts.h of these facts.
func writeHeader(t *testing.T, f *facts) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "abi"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "abi", "layout_asserts.h"), header(f), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func find[T any](o ordered[T], name string) *T {
	for i := range o {
		if o[i].Name == name {
			return &o[i].Value
		}
	}
	panic("no fact " + name)
}

func (f *facts) structure(name string) *structure { return find(f.Structs, name) }

func (f *facts) field(structure, name string) *field {
	s := f.structure(structure)
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return &s.Fields[i]
		}
	}
	panic("no field " + structure + "." + name)
}
