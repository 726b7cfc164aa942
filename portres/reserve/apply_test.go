// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

func TestApplyMergesAndTakesBack(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		b.apply() // nothing there, nothing done
		writeSysctl(t, ephemeralPath, "100,4435,5000-5010")
		web := b.create(exclusive(udp(4433, 8)))
		dns := b.create(exclusive(tcp(4440, 2))) // shares the number 4440 with web
		a := b.apply()
		if a.Excluded != "4433-4441" || a.Added != "4433-4434,4436-4441" || a.Removed != "" {
			t.Errorf("applied %+v", a)
		}
		b.wantExcluded("100,4433-4441,5000-5010")
		if a = b.apply(); a.Added != "" || a.Removed != "" || a.Excluded != "4433-4441" {
			t.Errorf("applied again: %+v", a)
		}

		b.delete(web)
		if a = b.apply(); a.Removed != "4433-4434,4436-4439" || a.Added != "" || a.Excluded != "4440-4441" {
			t.Errorf("applied with one less: %+v", a)
		}
		b.wantExcluded("100,4435,4440-4441,5000-5010") // 4435 was there before us
		b.delete(dns)
		b.apply()
		b.wantExcluded("100,4435,5000-5010")
	})
}

func TestApplyPutsBackWhatOthersTookOut(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		token := b.create(exclusive(udp(4433, 2)))
		b.apply()
		writeSysctl(t, ephemeralPath, "9") // sysctl --system, say
		if a := b.apply(); a.Added != "4433-4434" {
			t.Errorf("%+v", a)
		}
		b.wantExcluded("9,4433-4434")
		b.delete(token)
		b.apply()
		b.wantExcluded("9")
	})
}

// TestApplyKeepsLongLists: more than the kernel takes in one write, and far
// more than os.ReadFile would get of it.
func TestApplyKeepsLongLists(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		var others, ours portSet
		for p := 10001; p < 65535; p += 2 {
			others.addRange(uint16(p), uint16(p))
		}
		f, err := openExcluded()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := replaceExcluded(f, &others); err != nil {
			t.Fatal(err)
		}
		var tokens []Token
		for i := range 20 {
			r := udp(uint16(20001+1000*i), 100)
			ours.addRange(r.Start, r.Last())
			tokens = append(tokens, b.create(exclusive(r)))
		}
		b.apply()
		b.wantExcluded(others.union(&ours).String())
		for _, token := range tokens {
			b.delete(token)
		}
		b.apply()
		b.wantExcluded(others.String())
	})
}

func TestApplyIsForOneNamespace(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		b.create(exclusive(udp(4433, 1)))
		b.apply()
		netnstest.New(t).Do(t, func() error {
			b.wantExcluded("")
			_, err := b.Store.Apply(b.dir, b.options())
			if err == nil || !strings.Contains(err.Error(), "namespace") {
				t.Errorf("with the state of another namespace: %v", err)
			}
			b.wantExcluded("")
			return nil
		})
	})
}

func TestApplyDamagedMemoryKeepsOthers(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		token := b.create(exclusive(udp(4433, 1)))
		writeSysctl(t, ephemeralPath, "7")
		b.apply()
		memory := filepath.Join(b.dir.Path(), memoryName)
		for _, content := range []string{"", "garbage", memoryTitle, memoryTitle + "7", memoryTitle + "0-70000\n", "7\n"} {
			if err := os.WriteFile(memory, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			b.apply()
			b.wantExcluded("7,4433")
		}
		b.delete(token)
		b.apply()
		b.wantExcluded("7,4433") // nobody knows whose it is
	})
}

func TestApplyUnprivileged(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		b.create(exclusive(udp(4433, 1)))
		openToAll(t, b.dir.Path())
		if err := os.Chown(b.dir.Path(), 1000, 1000); err != nil {
			t.Fatal(err)
		}
		asUser(t, 1000, func() {
			_, err := b.Store.Apply(b.dir, b.options())
			if !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
				t.Errorf("%v", err)
			}
		})
		b.wantExcluded("")
	})
}

func TestApplyCorruptStoreChangesNothing(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		b.create(exclusive(udp(4433, 1)))
		b.apply()
		if err := os.WriteFile(b.Path(), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		var corrupt *CorruptError
		if _, err := b.Store.Apply(b.dir, b.options()); !errors.As(err, &corrupt) {
			t.Errorf("%v", err)
		}
		b.wantExcluded("4433")
	})
}

// TestApplyConcurrently lets threads and processes change the store and apply
// it. Whoever is last has read the latest.
func TestApplyConcurrently(t *testing.T) {
	home := t.TempDir()
	ns := netnstest.New(t)
	netnstest.CheckFDs(t)
	store := Open(home + "/lib/reservations")
	ns.Do(t, func() error { writeSysctl(t, ephemeralPath, "7,59999"); return nil })
	const workers, turns = 3, 8
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			ns.Do(t, func() error { return reserveAndApply(store, home+"/run", ApplyOptions{}, i, turns) })
		})
		group.Go(func() {
			ns.Do(t, func() error {
				return actor(t, "apply", fmt.Sprint(store.Path(), " ", home+"/run ", workers+i, " ", turns)).Run()
			})
		})
	}
	group.Wait()
	want := setOf(t, "7,59999")
	for i := range 2 * workers {
		want.addRange(portOf(i, turns-1), portOf(i, turns-1))
	}
	ns.Do(t, func() error {
		if got := excludedNow(t); got != want.String() {
			t.Errorf("the kernel has %s, want %s", got, want)
		}
		return nil
	})
}

// reserveAndApply makes reservations and ends all but the last, each time
// applied. They are enforced where the options say how.
func reserveAndApply(s *Store, base string, o ApplyOptions, worker, turns int) error {
	dir, err := rundir.Open(base)
	if err != nil {
		return err
	}
	defer dir.Close()
	for j := range turns {
		r := enforced(udp(portOf(worker, j), 1))
		r.Enforce = o.Cgroup != ""
		token, err := s.Create(r)
		if err == nil {
			_, err = s.Apply(dir, o)
		}
		if err == nil && j < turns-1 {
			if err = s.Delete(token); err == nil {
				_, err = s.Apply(dir, o)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// actApply does so in a process. The last two words may be missing.
func actApply(words string) error {
	var path, base string
	var worker, turns int
	var o ApplyOptions
	if n, err := fmt.Sscan(words, &path, &base, &worker, &turns, &o.Cgroup, &o.BPFFS); n < 4 {
		return err
	}
	return reserveAndApply(Open(path), base, o, worker, turns)
}

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

// actApplyStopped applies once, watched.
func actApplyStopped(words string) error { return applyWords(words, stopAtCalls) }

// TestApplyKilledAtEveryCall kills a process before each system call with which
// it merges one port and takes back another. The next one finishes its work,
// and can take back all of it.
func TestApplyKilledAtEveryCall(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		prepare := func() {
			for _, r := range mustList(t, b.Store) {
				b.delete(r.Token)
			}
			b.apply()
			writeSysctl(t, ephemeralPath, "7,4434")
			old := b.create(exclusive(udp(4433, 2)))
			b.apply()
			b.delete(old)
			b.create(exclusive(udp(5000, 2)))
		}
		check := func([]int32) {
			now := setOf(t, excludedNow(t))
			if !setOf(t, "7,4434").minus(now).empty() {
				t.Fatalf("others' entries were lost: %v", now)
			}
			b.apply()
			b.wantExcluded("7,4434,5000-5001")
			if err := b.DeleteRange(udp(5000, 2)); err != nil {
				t.Fatal(err)
			}
			b.apply()
			b.wantExcluded("7,4434")
		}
		calls := atEveryCall(t, "apply stopped", b.words(), prepare, check)
		if !slices.Contains(calls, unix.SYS_PWRITE64) {
			t.Errorf("calls %v", calls)
		}
	})
}

// TestMergeAgainstModel compares the kernel's list with sets.
func TestMergeAgainstModel(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		drawPorts := func(t *rapid.T, label string) *portSet {
			var s portSet
			for _, p := range rapid.SliceOfN(rapid.Uint16Range(1, 20), 0, 8).Draw(t, label) {
				s.addRange(p, p)
			}
			return &s
		}
		rapid.Check(t, func(t *rapid.T) {
			f := must(openExcluded())
			defer f.Close()
			state := folder{must(os.Open(b.dir.Path()))}
			defer state.Close()
			os.Remove(filepath.Join(b.dir.Path(), memoryName))
			others := drawPorts(t, "others")
			if err := replaceExcluded(f, others); err != nil {
				t.Fatal(err)
			}
			for range rapid.IntRange(1, 5).Draw(t, "times") {
				wanted := drawPorts(t, "wanted")
				var a Applied
				if err := a.merge(state, f, wanted, must(recall(state))); err != nil {
					t.Fatal(err)
				}
				if now := must(readExcluded(f)); *now != *others.union(wanted) {
					t.Fatalf("the kernel has %v; others %v, wanted %v", now, others, wanted)
				}
			}
		})
	})
}
