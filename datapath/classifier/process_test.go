// SPDX-License-Identifier: MIT

package classifier

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// holderEnv makes the test program hold a classifier: the descriptors are behind the standard ones, or its value is
// the number of the link.
const holderEnv = "CLASSIFIER_TEST_HOLDER"

// holderMain adopts or opens the classifier, says so, and has it until its standard input ends.
func holderMain() {
	if err := hold(os.Getenv(holderEnv)); err != nil {
		fmt.Fprintln(os.Stderr, "holder:", err)
		os.Exit(1)
	}
}

func hold(which string) error {
	c, err := heldBy(which)
	if err != nil {
		return err
	}
	if _, err := c.Attachment(); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func heldBy(which string) (*Classifier, error) {
	var id uint32
	if _, err := fmt.Sscan(which, &id); err == nil {
		return Open(id)
	}
	var fds FDs
	for i := range fds {
		fds[i] = 3 + i
	}
	return Adopt(fds)
}

// hold starts a holder; it opens the link with this number where that is not 0.
func (w *wire) hold(c *Classifier, linkID uint32) *netnstest.Child {
	w.t.Helper()
	if linkID != 0 {
		return w.right.NS.StartChild(w.t, fmt.Sprintf("%s=%d", holderEnv, linkID))
	}
	fds := c.FDs()
	return w.right.NS.StartChild(w.t, holderEnv+"=adopt", fds[:]...)
}

// The classifier is there as long as anybody has it open, and goes with the last one, who may be killed.
func TestHolders(t *testing.T) {
	w, c := attached(t, Options{})
	a, err := w.attachment(c)
	check(t, err)
	wantOn := func() {
		t.Helper()
		if on := w.on(); on.program != a.Program {
			t.Errorf("%+v on the interface, want program %d", on, a.Program)
		}
	}
	first := w.hold(c, 0)
	second := w.hold(c, a.Link)
	check(t, c.Close()) // who has made it
	wantOn()
	third := w.hold(nil, a.Link)
	first.Kill()
	wantOn()
	third.Kill()
	wantOn()
	second.Kill()
	w.wantOff()
	_, err = Open(a.Link)
	wantError(t, err, unix.ENOENT)
}

// Whoever is killed in the middle of anything leaves nothing on the interface.
func TestKilledAlone(t *testing.T) {
	w, c := attached(t, Options{})
	h := w.hold(c, 0)
	check(t, c.Close())
	h.Kill()
	w.wantOff()
	// And the next one finds it free.
	next := newClassifier(t, Options{})
	_, err := w.attach(next, AnyMode)
	check(t, err)
}

// Many come and go, and nothing stays behind in this process.
func TestNothingLeaks(t *testing.T) {
	w, c := attached(t, Options{})
	a, err := w.attachment(c)
	check(t, err)
	before, err := netnstest.OpenFDs()
	check(t, err)
	for range 20 {
		adopted, err := Adopt(handOver(t, c))
		check(t, err)
		opened, err := Open(a.Link)
		check(t, err)
		other := newClassifier(t, Options{})
		if _, err := w.attach(other, AnyMode); err == nil {
			t.Fatal("attached twice")
		}
		check(t, adopted.Close(), opened.Close(), other.Close())
	}
	after, err := netnstest.OpenFDs()
	check(t, err)
	if len(after) != len(before) {
		t.Errorf("%d descriptors, were %d", len(after), len(before))
	}
	if maps := mappings(t); maps != 1 {
		t.Errorf("%d maps are in memory, want that of one classifier", maps)
	}
}

// mappings counts the BPF maps in the memory of this process.
func mappings(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/maps")
	check(t, err)
	return strings.Count(string(b), "bpf-map")
}
