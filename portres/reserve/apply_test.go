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
	inside := func(f func() error) func() {
		return func() {
			ns.Do(t, func() error {
				if err := f(); err != nil {
					t.Error(err) // not by Do, which would end the test from another goroutine
				}
				return nil
			})
		}
	}
	for i := range workers {
		group.Go(inside(func() error { return reserveAndApply(store, home+"/run", ApplyOptions{}, i, turns) }))
		group.Go(inside(func() error {
			return actor(t, "apply", fmt.Sprint(store.Path(), " ", home+"/run ", workers+i, " ", turns)).Run()
		}))
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
