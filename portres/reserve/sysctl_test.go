// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// rival is another program that changes the kernel's list, at the worst
// moments: just before or just after we write.
type rival struct {
	excluded
	before, after func()
}

func (r *rival) WriteAt(p []byte, off int64) (n int, err error) {
	if r.before != nil {
		r.before()
	}
	n, err = r.excluded.WriteAt(p, off)
	if r.after != nil {
		r.after()
	}
	return n, err
}

func TestChangeExcludedAgainstRival(t *testing.T) {
	const start = "7,4433,4434"
	times := func(n int, f func()) func() {
		return func() {
			if n--; n >= 0 {
				f()
			}
		}
	}
	for _, test := range []struct {
		name        string
		add, remove string
		rival       func(write func(string)) *rival
		want        string // empty: we give up
	}{
		{"adds before we add", "5000", "",
			func(w func(string)) *rival { return &rival{before: times(1, func() { w("7,8,4433,4434") })} }, "7-8,4433-4434,5000"},
		{"undoes our adding", "5000", "",
			func(w func(string)) *rival { return &rival{after: times(5, func() { w("9") })} }, "9,5000"},
		{"undoes our removing", "", "4433-4434",
			func(w func(string)) *rival { return &rival{after: times(5, func() { w(start + ",9") })} }, "7,9"},
		{"undoes both", "5000", "4433-4434",
			func(w func(string)) *rival { return &rival{after: times(9, func() { w(start) })} }, "7,5000"},
		{"never stops", "5000", "",
			func(w func(string)) *rival { return &rival{after: func() { w(start) }} }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			inSandbox(t, func(b *sandbox) {
				writeSysctl(t, ephemeralPath, start)
				f, err := openExcluded()
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				r := test.rival(func(list string) { writeSysctl(t, ephemeralPath, list) })
				r.excluded = f
				err = changeExcluded(r, setOf(t, test.add), setOf(t, test.remove))
				if test.want == "" {
					if !errors.Is(err, unix.EBUSY) {
						t.Errorf("%v, want EBUSY", err)
					}
					return
				}
				if err != nil {
					t.Error(err)
				}
				b.wantExcluded(test.want)
			})
		})
	}
}

// TestApplyBesideCarelessWriter: another program reads, adds an entry of its
// own and writes all the time, and knows of no lock. Applied once more when it
// has stopped, ours are there, and so are all that it wrote.
func TestApplyBesideCarelessWriter(t *testing.T) {
	home := t.TempDir()
	ns := netnstest.New(t)
	netnstest.CheckFDs(t)
	store := Open(home + "/lib/reservations")
	const entries = 300
	done := make(chan struct{})
	go func() {
		defer close(done)
		ns.Do(t, func() error { return addCarelessly(entries) })
	}()
	ns.Do(t, func() error {
		dir, err := rundir.Open(home + "/run")
		if err != nil {
			return err
		}
		defer dir.Close()
		for stopped := false; !stopped; {
			select {
			case <-done:
				stopped = true
			default:
			}
			// Only additions: a removal could lose what it writes meanwhile.
			if list, err := store.List(); err == nil && len(list) < 100 {
				mustCreate(t, store, exclusive(udp(uint16(30000+2*len(list)), 1)))
			}
			if _, err := store.Apply(dir, ApplyOptions{}); err != nil && !errors.Is(err, unix.EBUSY) {
				return err
			}
		}
		now := setOf(t, excludedNow(t))
		for _, r := range mustList(t, store) {
			if now.next(int(r.Start), true) != int(r.Start) {
				t.Errorf("%v is not in the list", r.Range)
			}
		}
		for i := range entries {
			if p := 40000 + 2*i; now.next(p, true) != p {
				t.Errorf("the other program's %d is lost", p)
			}
		}
		return nil
	})
}

func addCarelessly(entries int) error {
	f, err := openExcluded()
	if err != nil {
		return err
	}
	defer f.Close()
	for i := range entries {
		now, err := readExcluded(f)
		if err != nil {
			return err
		}
		now.addRange(uint16(40000+2*i), uint16(40000+2*i))
		if err := replaceExcluded(f, now); err != nil {
			return err
		}
	}
	return nil
}
