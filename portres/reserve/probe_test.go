// SPDX-License-Identifier: MIT

package reserve

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// prober is a process that binds sockets: in the network namespace of the
// thread that started it, and in a cgroup of its own.
type prober struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// newProber starts one, until stop is called. cgroup may be empty.
func newProber(t *testing.T, cgroup string) (p *prober, stop func()) {
	t.Helper()
	cmd := actor(t, "probe", "")
	if cgroup != "" {
		dir, err := os.Open(cgroup)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	}
	return startProber(t, cmd)
}

func startProber(t *testing.T, cmd *exec.Cmd) (p *prober, stop func()) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &prober{in, bufio.NewReader(out)}, func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("prober: %v", err)
		}
	}
}

// bind binds a socket for a moment, as a user and a group, and returns the port
// that it got. kind is "udp/4", "udp/6", which takes IPv4 as well, "udp/6only"
// or the same for TCP or MPTCP.
func (p *prober) bind(t *testing.T, kind, at string, uid, gid int) (port int, errno unix.Errno) {
	t.Helper()
	if _, err := fmt.Fprintln(p.in, kind, at, uid, gid); err != nil {
		t.Fatal(err)
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscan(line, &port, &n); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return port, unix.Errno(n)
}

// may says whether a user and a group can bind a UDP port.
func (p *prober) may(t *testing.T, port uint16, uid, gid int) bool {
	t.Helper()
	_, errno := p.bind(t, "udp/6", fmt.Sprintf("[::]:%d", port), uid, gid)
	if errno != 0 && errno != unix.EADDRINUSE {
		t.Fatalf("bind to %d: %v", port, errno)
	}
	return errno == 0
}

// actProbe is the other side.
func actProbe(string) error {
	for {
		var kind, at string
		var uid, gid int
		if _, err := fmt.Scanln(&kind, &at, &uid, &gid); err != nil {
			return nil // no more
		}
		to, err := netip.ParseAddrPort(at)
		if err != nil {
			return err
		}
		type result struct {
			port  int
			errno error
		}
		done := make(chan result)
		go func() {
			runtime.LockOSThread() // it ends with its user
			port, err := bindAs(kind, to, uid, gid)
			done <- result{port, err}
		}()
		r := <-done
		errno, _ := r.errno.(unix.Errno)
		if r.errno != nil && errno == 0 {
			return r.errno
		}
		fmt.Println(r.port, int(errno))
	}
}

func bindAs(kind string, at netip.AddrPort, uid, gid int) (port int, err error) {
	if err := becomeUser(uid, gid); err != nil {
		return 0, fmt.Errorf("become user %d: %w", uid, err)
	}
	transport, family, _ := strings.Cut(kind, "/")
	fd, sa, err := newSocket(transport, family, at)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if family == "6only" {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return 0, err
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return 0, err
	}
	name, err := unix.Getsockname(fd)
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		port = name.Port
	case *unix.SockaddrInet6:
		port = name.Port
	}
	return port, err
}

func newSocket(transport, family string, at netip.AddrPort) (fd int, sa unix.Sockaddr, err error) {
	domain := unix.AF_INET6
	sa = &unix.SockaddrInet6{Addr: at.Addr().As16(), Port: int(at.Port())}
	if family == "4" {
		domain = unix.AF_INET
		sa = &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}
	}
	kind, protocol := unix.SOCK_STREAM, 0
	switch transport {
	case "udp":
		kind = unix.SOCK_DGRAM
	case "mptcp":
		protocol = unix.IPPROTO_MPTCP
	}
	fd, err = unix.Socket(domain, kind|unix.SOCK_CLOEXEC, protocol)
	return fd, sa, err
}

// becomeUser makes the calling thread, and no other, run as a user with one
// group and no privilege.
func becomeUser(uid, gid int) error {
	if err := unix.Setgroups(nil); err != nil {
		return err
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
		return errno
	}
	return nil
}
