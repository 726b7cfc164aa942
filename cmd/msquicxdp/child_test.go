// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// childEnv names what a test started this binary for.
const childEnv = "MSQUICXDP_TEST_CHILD"

func runChild(name string) int {
	switch name {
	case "holder":
		if err := hold(os.Args[1], os.Args[2]); err != nil {
			fmt.Println(err)
			return 1
		}
	case "tool":
		main()
	}
	return 0
}

// wish is what a holder is to claim.
type wish struct {
	Proto    string
	Port     uint16
	Kind     rules.Kind
	ID       string
	Encoding string
	Steering bool
	Program  string
	Comm     string // what the process calls itself to the kernel
	Claimed  bool   // make a claim
	Socket   bool   // bind a socket of UDP, with SO_REUSEPORT
	Tier     rules.Tier
}

// hold does what a server does, says that it is ready, and goes at the end of its
// standard input, or when it is killed.
func hold(stateDir, wishes string) error {
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
	if w.Socket {
		if err := bindReusable(w.Port); err != nil {
			return err
		}
	}
	if !w.Claimed {
		return nil
	}
	var proto rules.Proto
	if err := proto.UnmarshalText([]byte(w.Proto)); err != nil {
		return err
	}
	p := rules.Party{Kind: w.Kind, Steering: w.Steering, Program: w.Program}
	if w.ID != "" {
		var err error
		if p.ID, err = cibir.ParseID(w.ID); err != nil {
			return err
		}
		if p.Encoding, err = cibir.ParseEncoding(w.Encoding); err != nil {
			return err
		}
	}
	claim, err := portres.Acquire(dir, portres.Spec{Proto: proto, Port: w.Port, Party: p})
	if err != nil {
		return err
	}
	return claim.SetTier(w.Tier)
}

// bindReusable binds a socket that stays open as long as the process.
func bindReusable(port uint16) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
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
