// SPDX-License-Identifier: MIT

package hold

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// A test that needs another process runs this test program again, as an actor of
// that name. It takes orders on a unix socket, and every member that it has
// answers each datagram with the actor's name.
const (
	actorVariable = "MSQUICXDP_TEST_ACTOR"
	ordersFD      = 3
)

// order is what an actor is told to do. Descriptors go with it.
type order struct {
	Do    string // open, give, take, adopt, admit
	Most  rules.Tier
	Owned bool // adopt: the guard is the descriptor sent, if there is one
}

// report is the answer. Descriptors come with it: open gives the guard, if there is one.
type report struct {
	Tier  rules.Tier
	Owned bool
	Err   string
}

// act obeys until the test closes the socket.
func act(name string) int {
	var door *Door
	for {
		var o order
		fds, err := receive(ordersFD, &o)
		if err != nil {
			return 0
		}
		var r report
		give, err := obey(name, o, fds, &door)
		if door != nil {
			r.Tier, r.Owned = door.Tier(), door.Handover().Owned
		}
		if err != nil {
			r.Err = err.Error()
		}
		if err := send(ordersFD, r, give...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
}

func obey(name string, o order, fds []int, door **Door) (give []int, err error) {
	var members []int
	switch o.Do {
	case "open":
		options := most(group(rules.UDP, 1), o.Most)
		options.Spares = 2
		if *door, members, err = Open(options); err == nil {
			err = attachSteering(members[0])
		}
		if err == nil {
			give = (*door).Handover().FDs
		}
	case "give":
		return (*door).Admit(1)
	case "take":
		members = fds
	case "adopt":
		*door, err = Adopt(group(rules.UDP, 1), Handover{Owned: o.Owned, FDs: fds})
	case "admit":
		members, err = (*door).Admit(1)
	default:
		err = errors.New("no such order")
	}
	for _, fd := range members {
		go answer(fd, name)
	}
	return give, err
}

func answer(fd int, name string) {
	unix.SetNonblock(fd, false)
	for {
		_, from, err := unix.Recvfrom(fd, make([]byte, 16), 0)
		if err == nil {
			err = unix.Sendto(fd, []byte(name), 0, from)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, name, err)
			return
		}
	}
}

// send sends a value and descriptors over a unix socket.
func send(fd int, v any, fds ...int) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return unix.Sendmsg(fd, text, unix.UnixRights(fds...), nil, 0)
}

func receive(fd int, v any) (fds []int, err error) {
	text, control := make([]byte, 1024), make([]byte, unix.CmsgSpace(4*4))
	n, cn, _, _, err := unix.Recvmsg(fd, text, control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:cn])
	for _, m := range messages {
		more, rightsErr := unix.ParseUnixRights(&m)
		fds, err = append(fds, more...), errors.Join(err, rightsErr)
	}
	return fds, errors.Join(err, json.Unmarshal(text[:n], v))
}

// actor is such a process.
type actor struct {
	r    room
	cmd  *exec.Cmd
	fd   int // orders
	fds  []int
	gone bool
}

// actor starts a process as a user. It is killed with the test.
func (r room) actor(name string, uid uint32) *actor {
	r.t.Helper()
	return r.start(name, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}})
}

func (r room) start(name string, attr *syscall.SysProcAttr) *actor {
	r.t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "orders")
	defer theirs.Close()
	a := &actor{r: r, cmd: exec.Command("/proc/self/exe"), fd: pair[0]} // another user may not reach its path
	a.cmd.Env = append(os.Environ(), actorVariable+"="+name)
	a.cmd.Dir = "/"
	a.cmd.Stderr = os.Stderr
	a.cmd.ExtraFiles = []*os.File{theirs}
	a.cmd.SysProcAttr = attr
	r.ns.Do(r.t, a.cmd.Start)
	r.t.Cleanup(a.kill)
	return a
}

// tell gives an order and returns the report. What comes with it closes with the test.
func (a *actor) tell(o order, fds ...int) (r report, got []int) {
	a.r.t.Helper()
	if err := send(a.fd, o, fds...); err != nil {
		a.r.t.Fatal(err)
	}
	unix.SetsockoptTimeval(a.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience / time.Second)})
	got, err := receive(a.fd, &r)
	if err != nil {
		a.r.t.Fatal(err)
	}
	a.fds = append(a.fds, got...)
	return r, got
}

// forget closes what came from the actor, so that it alone has it.
func (a *actor) forget() {
	descriptors.CloseAll(a.fds)
	a.fds = nil
}

// kill ends the process as kill -9 does.
func (a *actor) kill() {
	a.forget()
	if a.gone {
		return
	}
	a.gone = true
	a.cmd.Process.Kill()
	a.cmd.Wait()
	unix.Close(a.fd)
}

// wantAnswer fails unless a datagram with this key is answered by an actor.
func (r room) wantAnswer(key byte, name string) {
	r.t.Helper()
	for _, ip := range []string{"127.0.0.1", "::1"} {
		r.as(root, func() error {
			fd, err := dial(rules.UDP, ip)
			defer unix.Close(fd)
			if err == nil {
				_, err = unix.Write(fd, []byte{key})
			}
			if err != nil {
				return err
			}
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience / time.Second)})
			text := make([]byte, 16)
			n, _, err := unix.Recvfrom(fd, text, 0)
			if err != nil || string(text[:n]) != name {
				r.t.Errorf("key %d at %s is answered by %q (%v), want %s", key, ip, text[:max(n, 0)], err, name)
			}
			return nil
		})
	}
}

func (a *actor) mustTell(t *testing.T, o order, fds ...int) (report, []int) {
	t.Helper()
	r, got := a.tell(o, fds...)
	if r.Err != "" {
		t.Fatalf("%s: %s", o.Do, r.Err)
	}
	return r, got
}
