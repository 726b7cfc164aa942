// SPDX-License-Identifier: MIT

package portres

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// childEnv names what a test started this binary for.
const childEnv = "MSQUICXDP_TEST_CHILD"

// child is a process that a test started.
type child struct {
	*exec.Cmd
	in  io.WriteCloser // it ends at its end
	out *bufio.Scanner
}

// start starts a child in h's namespace.
func (h *host) start(name string, args ...string) (c child) {
	h.Helper()
	h.ns.Do(h, func() error {
		c = h.startHere(name, args...)
		return nil
	})
	return c
}

// startHere starts a child from the calling thread, which is in h's namespace.
func (h *host) startHere(name string, args ...string) child {
	h.Helper()
	exe, err := os.Executable()
	h.must(err)
	c := child{Cmd: exec.Command(exe, args...)}
	c.Env = append(os.Environ(), childEnv+"="+name, rundir.Env+"="+h.base, "GODEBUG=asyncpreemptoff=1")
	c.Stderr = os.Stderr
	c.in, err = c.StdinPipe()
	h.must(err)
	out, err := c.StdoutPipe()
	h.must(err)
	c.out = bufio.NewScanner(out)
	h.must(c.Start())
	return c
}

// number reads a number that the child prints.
func (h *host) number(c child) int {
	h.Helper()
	if !c.out.Scan() {
		h.Fatalf("the child ended: %v", c.Wait())
	}
	n, err := strconv.Atoi(c.out.Text())
	h.must(err)
	return n
}

// kill kills a child and waits for its end.
func (h *host) kill(c child) {
	h.Helper()
	h.must(c.Process.Kill())
	h.wantKilled(c)
}

// wantKilled waits for the end of a child, which nothing but a kill may have brought.
func (h *host) wantKilled(c child) {
	h.Helper()
	if err := c.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		h.Errorf("the child ended before: %v", err)
	}
}

// runChild does not return.
func runChild(name string) {
	dir, err := rundir.Open("")
	if err == nil {
		switch name {
		case "step":
			err = childStep(dir)
		case "fork":
			err = childFork(dir)
		case "many":
			err = childMany(dir, os.Args[1])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// childStep makes a claim and releases it, and stops before, between and after
// for whoever traces its thread.
func childStep(dir *rundir.Dir) error {
	runtime.LockOSThread()
	if _, _, errno := unix.RawSyscall(unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0); errno != 0 {
		return errno
	}
	spec := member(1)
	if os.Args[1] == "exclusive" {
		spec = exclusively(rules.Listener)
	}
	if err := stop(); err != nil {
		return err
	}
	c, err := Acquire(dir, spec)
	if err != nil {
		return err
	}
	if err := stop(); err != nil {
		return err
	}
	return errors.Join(c.Release(), stop())
}

// stop stops the calling thread, when it is traced.
func stop() error { return unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP) }

// childFork makes a claim, forks, prints the child's pid and waits to be killed.
func childFork(dir *rundir.Dir) error {
	if _, err := Acquire(dir, member(1)); err != nil {
		return err
	}
	pid, err := fork(0)
	if err != nil {
		return err
	}
	fmt.Println(pid)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// childMany makes many claims at once, from the moment that it reads a byte,
// prints the number that it got, and keeps them until its input ends.
func childMany(dir *rundir.Dir, kind string) error {
	specs := manySpecs(kind)
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		return err
	}
	granted, err := acquireAll(dir, specs)
	if err != nil {
		return err
	}
	fmt.Println(granted)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// acquireAll makes claims, each in a goroutine of its own, and counts those it got.
func acquireAll(dir *rundir.Dir, specs []Spec) (granted int, err error) {
	results := make(chan error, len(specs))
	for _, spec := range specs {
		go func() {
			_, err := Acquire(dir, spec)
			results <- err
		}()
	}
	for range specs {
		var refused *Refused
		switch e := <-results; {
		case e == nil:
			granted++
		case !errors.As(e, &refused):
			err = errors.Join(err, e)
		}
	}
	return granted, err
}
