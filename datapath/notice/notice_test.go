// SPDX-License-Identifier: MIT

package notice

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/internal/doctest"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// posterEnv makes the test program post a notice in this directory and wait.
const posterEnv = "NOTICE_TEST_POSTER"

func TestMain(m *testing.M) {
	if base := os.Getenv(posterEnv); base != "" {
		dir, err := rundir.Open(base)
		if err == nil {
			_, err = Post(dir, of(os.Getpid()))
		}
		fmt.Println(err)
		select {}
	}
	os.Exit(m.Run())
}

var asked = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func of(pid int) Notice {
	return Notice{PID: pid, Program: "server", UID: 33, Since: asked, Served: []string{"eth0"}, Reasons: []string{"eth1: it is down"}}
}

func open(t *testing.T, base string) *rundir.Dir {
	t.Helper()
	dir, err := rundir.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dir.Close)
	return dir
}

func list(t *testing.T, dir *rundir.Dir) []Notice {
	t.Helper()
	got, err := List(dir)
	if err != nil {
		t.Error(err)
	}
	return got
}

func TestPostChangeWithdraw(t *testing.T) {
	netnstest.CheckFDs(t)
	dir := open(t, t.TempDir())
	if got := list(t, dir); got != nil {
		t.Errorf("%+v", got)
	}
	two, err := Post(dir, of(2))
	if err != nil {
		t.Fatal(err)
	}
	one, err := Post(dir, of(1))
	if err != nil {
		t.Fatal(err)
	}
	if got := list(t, dir); !reflect.DeepEqual(got, []Notice{of(1), of(2)}) {
		t.Errorf("%+v", got)
	}
	if err := two.Change(Notice{PID: 2}); err != nil {
		t.Error(err)
	}
	if got := list(t, dir); !reflect.DeepEqual(got, []Notice{of(1), {PID: 2}}) {
		t.Errorf("a shorter notice over a longer one: %+v", got)
	}
	for range 2 {
		if err := one.Withdraw(); err != nil {
			t.Error(err)
		}
	}
	if err := two.Withdraw(); err != nil {
		t.Error(err)
	}
	if left, err := dir.Names(); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A notice counts as long as its writer lives, and the next who posts one removes it.
func TestPostedByTheDead(t *testing.T) {
	netnstest.CheckFDs(t)
	base := t.TempDir()
	dir := open(t, base)
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), posterEnv+"="+base)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 100)
	n, _ := out.Read(said)
	if string(said[:n]) != "<nil>\n" {
		t.Errorf("%s", said[:n])
	}
	if got := list(t, dir); len(got) != 1 || got[0].PID != cmd.Process.Pid {
		t.Errorf("%+v", got)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	if got := list(t, dir); got != nil {
		t.Errorf("of the dead: %+v", got)
	}
	p, err := Post(dir, of(1))
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := dir.Names(); len(left) != 1 {
		t.Errorf("files: %v", left)
	}
	if err := p.Withdraw(); err != nil {
		t.Error(err)
	}
}

// However long it is, something that can be read is posted.
func TestLongNotice(t *testing.T) {
	netnstest.CheckFDs(t)
	dir := open(t, t.TempDir())
	for _, r := range []string{"x", "ü", "\x00", "\xff", "\u202e"} {
		long := strings.Repeat(r, 5000)
		n := Notice{PID: 1, Program: long}
		for range 200 {
			n.Served = append(n.Served, long)
			n.Reasons = append(n.Reasons, long)
		}
		p, err := Post(dir, n)
		if err != nil {
			t.Fatal(err)
		}
		if got := list(t, dir); len(got) != 1 || got[0].PID != 1 || got[0].Program == "" {
			t.Errorf("%q: %+v", r, got)
		}
		if err := p.Withdraw(); err != nil {
			t.Error(err)
		}
	}
}

// Files that are no notices are not read, and what is garbage is said.
func TestGarbage(t *testing.T) {
	netnstest.CheckFDs(t)
	dir := open(t, t.TempDir())
	for _, name := range []string{"xdp.1.x.member", "udp-443", prefix + "1.dead" + suffix} {
		f, err := dir.OpenFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	f, err := dir.OpenLocked(prefix+"1.x"+suffix, heldAt, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := Post(dir, of(2))
	if err != nil {
		t.Fatal(err)
	}
	got, err := List(dir)
	if err == nil || !reflect.DeepEqual(got, []Notice{of(2)}) {
		t.Errorf("%v, %+v", err, got)
	}
	if err := p.Withdraw(); err != nil {
		t.Error(err)
	}
}

// docs/PROTOCOL.md has the numbers and an example.
func TestDocument(t *testing.T) {
	n := of(4711)
	doctest.Says(t, "PROTOCOL.md",
		fmt.Sprintf("blanks to %d bytes", size),
		fmt.Sprintf("a lock at `%#x` (2^40)", int64(heldAt)),
		"`"+prefix+"`*pid*`.`*26 random letters and digits*`"+suffix+"`",
		strings.TrimSpace(string(n.encode())),
	)
}

// Whatever is in the file of somebody else, it is a notice that can be written again, or none.
func FuzzDecode(f *testing.F) {
	f.Add(bytes.TrimSpace(of(7).encode()))
	f.Add(bytes.TrimSpace(Notice{}.encode()))
	f.Add([]byte("{\"pid\":1}"))
	f.Add([]byte("[]"))
	f.Add([]byte(`{"pid":1e99,"since":"0000-00-00T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > size/4 {
			return // so long an input costs the fuzzer its time
		}
		if _, err := decode(b); err == nil {
			t.Errorf("%q is taken, and has %d bytes", b, len(b))
		}
		b = append(append(slices.Clone(b), strings.Repeat(" ", size-1-len(b))...), '\n') // past the length, to the text
		n, err := decode(b)
		if err != nil {
			return
		}
		if again, err := decode(n.encode()); err != nil || again.PID != n.PID || again.UID != n.UID {
			t.Errorf("%+v is read again as %+v, %v", n, again, err)
		}
	})
}
