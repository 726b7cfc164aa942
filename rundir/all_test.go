// SPDX-License-Identifier: MIT

package rundir

import (
	"errors"
	"os"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

const otherBoot = "01234567-89ab-cdef-0123-456789abcdef"

func TestAll(t *testing.T) {
	h := newHost(t)
	base := h.at("base")
	if dirs, err := All(base); err != nil || len(dirs) != 0 {
		t.Errorf("%v, %v without a base", dirs, err)
	}
	if _, err := os.Stat(base); err == nil {
		t.Error("created the base")
	}
	a := h.open(base)
	b := (&host{t, netnstest.New(t), h.dir}).open(base)
	h.mkdir("base/"+otherBoot+"-3", 0, 0, 0o755)
	h.mkdir("base/something else", 0, 0, 0o755)
	want := []string{a.Path(), b.Path()}
	slices.Sort(want)

	got, err := pathsOfAll(base)
	if slices.Sort(got); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	h.must(os.Chmod(a.Path(), 0o777))
	got, err = pathsOfAll(base)
	wantUnavailable(t, err, a.Path())
	if !slices.Equal(got, []string{b.Path()}) {
		t.Errorf("%v beside one that cannot be used", got)
	}
}

// Find creates nothing, and finds what others have created.
func TestFind(t *testing.T) {
	h := newHost(t)
	base := h.at("base")
	find := func() (d *Dir, err error) {
		h.ns.Do(t, func() error {
			d, err = Find(base)
			return nil
		})
		return d, err
	}
	if _, err := find(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a base: %v", err)
	}
	(&host{t, netnstest.New(t), h.dir}).open(base)
	if _, err := find(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("beside another namespace: %v", err)
	}
	a := h.open(base)
	d, err := find()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Path() != a.Path() || d.Namespace() != a.Namespace() {
		t.Errorf("%s, %v", d.Path(), d.Namespace())
	}
}

func pathsOfAll(base string) (paths []string, err error) {
	dirs, err := All(base)
	for _, d := range dirs {
		paths = append(paths, d.Path())
		d.Close()
	}
	return paths, err
}

func TestSweep(t *testing.T) {
	h := newHost(t)
	base := h.at("base")
	if removed, err := Sweep(base); err != nil || len(removed) != 0 {
		t.Errorf("%v, %v without a base", removed, err)
	}
	here := h.open(base)
	h.file(here, "udp-1")
	for _, name := range []string{"-3", "-4", "-5", "-6"} {
		path := h.mkdir("base/"+otherBoot+name, 0, 0, 0o755)
		h.must(os.WriteFile(path+"/udp-1", []byte("old"), 0o600))
	}
	h.mkdir("base/something else", 0, 0, 0o755)
	h.mkdir("base/"+otherBoot+"-5", mallory, 0, 0o755)
	h.must(os.Symlink("udp-1", base+"/"+otherBoot+"-6/link"))
	b, err := openBase(base, false)
	h.must(err)
	used, err := b.namespace(Namespace{otherBoot, 4}, false)
	h.must(err)
	ok, err := h.file(used, "udp-1").TryShare(5, 1)
	h.wantLock("share", ok, err, true)
	used.Close()
	h.must(unix.Close(b.fd))

	removed, err := Sweep(base)
	if !slices.Equal(removed, []string{base + "/" + otherBoot + "-3"}) {
		t.Errorf("removed %v", removed)
	}
	wantUnavailable(t, err, otherBoot+"-5", otherBoot+"-6/link")
	left, err := os.ReadDir(base)
	h.must(err)
	if len(left) != 5 {
		t.Errorf("left %v", left)
	}
	for _, file := range []string{here.Path() + "/udp-1", base + "/" + otherBoot + "-4/udp-1"} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
}

// A file that is removed while it is opened is made anew.
func TestOpenWhileOthersRemove(t *testing.T) {
	h := newHost(t)
	d := h.open(h.at("base"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				os.Remove(d.Path() + "/udp-1")
			}
		}
	})
	for range 1000 {
		f, err := d.OpenFile("udp-1")
		if err != nil {
			t.Error(err)
			break
		}
		f.Close()
	}
	close(stop)
	wg.Wait()
}
