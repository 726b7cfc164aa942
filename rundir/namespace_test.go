// SPDX-License-Identifier: MIT

package rundir

import (
	"strings"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

func TestNamespacesAreTheThreads(t *testing.T) {
	h := newHost(t)
	outside, err := currentNamespace()
	h.must(err)
	seen := map[Namespace]bool{outside: true}
	for range 3 {
		ns := netnstest.New(t)
		for range 2 {
			ns.Do(t, func() error {
				inside, err := currentNamespace()
				if err == nil && inside.BootID != outside.BootID {
					t.Errorf("boot ID %s inside, %s outside", inside.BootID, outside.BootID)
				}
				seen[inside] = true
				return err
			})
		}
	}
	if len(seen) != 4 {
		t.Errorf("4 namespaces have %d names: %v", len(seen), seen)
	}
}

func TestNamespaceNames(t *testing.T) {
	const boot = "01234567-89ab-cdef-0123-456789abcdef"
	for name, want := range map[string]Namespace{
		boot + "-0":                    {boot, 0},
		boot + "-4255":                 {boot, 4255},
		boot + "-18446744073709551615": {boot, 1<<64 - 1},
	} {
		if got, ok := parseNamespace(name); !ok || got != want || want.String() != name {
			t.Errorf("%s: %v, %v, written %s", name, got, ok, want)
		}
	}
	for _, name := range []string{
		"", boot, boot + "-", boot + "-01", boot + "-+1", boot + "-18446744073709551616", boot + "_1",
		strings.ToUpper(boot) + "-1", strings.ReplaceAll(boot, "-", "0") + "-1", "lost+found",
	} {
		if got, ok := parseNamespace(name); ok {
			t.Errorf("%q is %v", name, got)
		}
	}
}

func FuzzNamespaceNames(f *testing.F) {
	f.Add("01234567-89ab-cdef-0123-456789abcdef-4255")
	f.Add("01234567-89ab-cdef-0123-456789abcdef--1")
	f.Fuzz(func(t *testing.T, name string) {
		if n, ok := parseNamespace(name); ok && n.String() != name {
			t.Errorf("%q is read as %v", name, n)
		}
	})
}
