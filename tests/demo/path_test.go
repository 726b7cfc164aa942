// SPDX-License-Identifier: MIT

package demo

import "testing"

func TestParsePath(t *testing.T) {
	for _, want := range Paths {
		if got, err := ParsePath(string(want)); got != want || err != nil {
			t.Errorf("ParsePath(%q) = %v, %v", want, got, err)
		}
	}
	if got, err := ParsePath("sea"); err == nil {
		t.Errorf("ParsePath of nonsense = %v", got)
	}
}

func TestXDPServers(t *testing.T) {
	for path, want := range map[Path]int{Kernel: 0, XDP: 2, Mixed: 1} {
		if got := path.xdpServers(); got != want {
			t.Errorf("%d servers of path %s are on AF_XDP, want %d", got, path, want)
		}
	}
}
