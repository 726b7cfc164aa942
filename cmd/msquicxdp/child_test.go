// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/hold"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// childEnv names what a test started this binary for.
const childEnv = "MSQUICXDP_TEST_CHILD"

func runChild(name string) int {
	switch name {
	case "holder":
		if err := serve(os.Args[1], os.Args[2]); err != nil {
			fmt.Println(err)
			return 1
		}
	case "member":
		if err := beMember(os.Args[1], os.Args[2]); err != nil {
			fmt.Println(err)
			return 1
		}
	case "tool":
		main()
	}
	return 0
}

// wish is what a holder is to have.
type wish struct {
	Proto    string
	Port     uint16
	Kind     rules.Kind
	ID       string
	Encoding string
	Steering bool
	Program  string
	Comm     string // what the process calls itself to the kernel

	Claimed bool
	Tier    rules.Tier // of the claim
	Socket  bool       // of UDP; that of a claim is as much guarded as the tier says
}

// serve does what a server does, says that it is ready, and goes at the end of its
// standard input, or when it is killed.
func serve(stateDir, wishes string) error {
	var list []wish
	if err := json.Unmarshal([]byte(wishes), &list); err != nil {
		return err
	}
	dir, err := rundir.Open(stateDir)
	if err != nil {
		return err
	}
	for _, w := range list {
		if err := w.fulfil(dir); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func (w *wish) fulfil(dir *rundir.Dir) error {
	if w.Comm != "" {
		if err := os.WriteFile("/proc/self/comm", []byte(w.Comm), 0); err != nil {
			return err
		}
	}
	if !w.Claimed {
		return bindReusable(w.Port)
	}
	spec := portres.Spec{Port: w.Port, Party: rules.Party{Kind: w.Kind, Steering: w.Steering, Program: w.Program}}
	if err := spec.Proto.UnmarshalText([]byte(w.Proto)); err != nil {
		return err
	}
	if w.ID != "" {
		var idErr, encodingErr error
		spec.Party.ID, idErr = cibir.ParseID(w.ID)
		spec.Party.Encoding, encodingErr = cibir.ParseEncoding(w.Encoding)
		if err := errors.Join(idErr, encodingErr); err != nil {
			return err
		}
	}
	claim, err := portres.Acquire(dir, spec)
	if err != nil {
		return err
	}
	if w.Socket {
		if err := w.open(); err != nil {
			return err
		}
	}
	return claim.SetTier(w.Tier)
}

// open binds two sockets as a listener does, which stay open as long as the
// process.
func (w *wish) open() error {
	door, _, err := hold.Open(hold.Options{
		Proto: rules.UDP, Addr: netip.AddrPortFrom(netip.IPv6Unspecified(), w.Port), Members: 2, Most: &w.Tier, NewSocket: newSocket,
	})
	if err == nil && door.Tier() != w.Tier {
		err = fmt.Errorf("the port is %v, not %v", door.Tier(), w.Tier)
	}
	return err
}

func newSocket() (int, error) {
	return unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
}

// bindReusable binds a socket that stays open as long as the process.
func bindReusable(port uint16) error {
	fd, err := newSocket()
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrInet6{Port: int(port)})
}

// child is a process that a test started. It is killed at the end of the test.
type child struct {
	*exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

// start starts this binary in h's namespace.
func (h *testHost) start(name string, args ...string) *child {
	h.Helper()
	c := &child{Cmd: exec.Command("/proc/self/exe", args...)}
	c.Env = append(os.Environ(), childEnv+"="+name)
	c.Stderr = os.Stderr
	var out io.ReadCloser
	h.ns.Do(h, func() (err error) {
		if c.in, err = c.StdinPipe(); err != nil {
			return err
		}
		if out, err = c.StdoutPipe(); err != nil {
			return err
		}
		return c.Start()
	})
	h.Cleanup(c.kill)
	c.lines = bufio.NewScanner(out)
	return c
}

// hold starts a process with claims and sockets, and returns when it has them.
func (h *testHost) hold(list ...wish) *child {
	h.Helper()
	wishes, err := json.Marshal(list)
	h.must(err)
	c := h.start("holder", h.base, string(wishes))
	if line := c.line(h); line != "ready" {
		h.Fatal(line)
	}
	return c
}

// line waits for the next line that the child prints.
func (c *child) line(t testing.TB) string {
	t.Helper()
	const patience = 10 * time.Second
	late := time.AfterFunc(patience, c.kill)
	defer late.Stop()
	if !c.lines.Scan() {
		t.Fatalf("%v ended, or was silent for %v: %v", c.Args, patience, c.lines.Err())
	}
	return strings.TrimSpace(c.lines.Text())
}

// kill is kill -9, and waits for the end.
func (c *child) kill() {
	_ = c.Process.Kill() // it may have ended
	_ = c.Wait()
}
