// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Kill points: the kernel stops an actor before its system calls that touch
// files or BPF, by a seccomp filter with user notification, and the test decides
// whether the call goes on or the process dies by SIGKILL. So each moment
// between two calls is tried, with no seam in the code under test. Passed over
// is a call that makes no difference: to die before it or before the next one is
// the same.

// stopped are the system calls at which an actor stops.
var stopped = []uint32{
	unix.SYS_OPENAT, unix.SYS_FCNTL, unix.SYS_FLOCK,
	unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_FTRUNCATE, unix.SYS_FSYNC,
	unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2,
	unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_BPF,
}

// matters says whether somebody else could notice a call. Closing does not: to
// die closes as well.
func (n *notification) matters() bool {
	switch n.call {
	case unix.SYS_OPENAT:
		return n.args[2]&unix.O_CREAT != 0
	case unix.SYS_FCNTL:
		return n.args[1] == unix.F_OFD_SETLKW
	case unix.SYS_BPF:
		return slices.Contains([]uint64{
			unix.BPF_MAP_UPDATE_ELEM, unix.BPF_MAP_UPDATE_BATCH, unix.BPF_MAP_DELETE_ELEM, unix.BPF_OBJ_PIN,
			unix.BPF_LINK_CREATE, unix.BPF_LINK_UPDATE, unix.BPF_LINK_DETACH,
		}, n.args[0])
	}
	return true
}

// notification is struct seccomp_notif.
type notification struct {
	id         uint64
	pid, flags uint32
	call       int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

// answer is struct seccomp_notif_resp.
type answer struct {
	id    uint64
	value int64
	err   int32
	flags uint32
}

// stopAtCalls is called by an actor, on the thread that it works on: from now
// on the process at the other end of descriptor 3 decides about its calls.
func stopAtCalls() error {
	runtime.LockOSThread()
	listener, err := installFilter()
	if err != nil {
		return err
	}
	return unix.Sendmsg(3, []byte{0}, unix.UnixRights(listener), nil, 0)
}

func installFilter() (listener int, err error) {
	var filter []unix.SockFilter
	filter = append(filter, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}) // offset 0: the number
	for i, call := range stopped {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jt: uint8(len(stopped) - i)})
	}
	filter = append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	// Safety: the kernel copies the program during the call.
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return 0, fmt.Errorf("seccomp: %w", errno)
	}
	return int(fd), nil
}

// runKilled runs an actor that calls stopAtCalls, and kills it before its call
// number last, counted from 0. It returns the calls that were let through, and
// whether the actor came to its end instead.
func runKilled(t *testing.T, name, words string, last int) (calls []int32, ended bool) {
	t.Helper()
	cmd := actor(t, name, words)
	// The runtime would interrupt a call that waits for its answer.
	cmd.Env = append(cmd.Env, "GODEBUG=asyncpreemptoff=1")
	listener := startWithListener(t, cmd)
	defer listener.Close()
	for {
		note, ok := receive(t, listener)
		if !ok {
			break
		}
		if note.matters() {
			if len(calls) == last {
				cmd.Process.Kill()
				break
			}
			calls = append(calls, note.call)
		}
		resume(t, listener, note)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != -1) {
		t.Fatalf("actor %s: %v", name, err)
	}
	return calls, err == nil
}

// startWithListener starts an actor and returns where its calls are notified.
func startWithListener(t *testing.T, cmd *exec.Cmd) *os.File {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "pair")
	cmd.ExtraFiles = []*os.File{theirs}
	err = cmd.Start()
	theirs.Close()
	defer unix.Close(pair[0])
	if err != nil {
		t.Fatal(err)
	}
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(pair[0], make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	if err == nil && n == 0 {
		err = net.ErrClosed
	}
	if err != nil {
		cmd.Wait()
		t.Fatalf("no listener from the actor: %v", err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "listener")
}

// receive waits for the next call, and reports false when the actor has ended.
func receive(t *testing.T, listener *os.File) (note notification, ok bool) {
	t.Helper()
	for {
		poll := []unix.PollFd{{Fd: int32(listener.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, int(patience.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			t.Fatalf("no call of the actor, and no end: %v", err)
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			return note, false
		}
		err = ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&note))
		if err == nil {
			return note, true
		}
		if err != unix.EINTR && err != unix.ENOENT {
			t.Fatalf("SECCOMP_IOCTL_NOTIF_RECV: %v", err)
		}
	}
}

// resume lets a call go on.
func resume(t *testing.T, listener *os.File, note notification) {
	t.Helper()
	a := answer{id: note.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	if err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a)); err != nil {
		t.Fatalf("SECCOMP_IOCTL_NOTIF_SEND: %v", err)
	}
}

// ioctl passes a structure of the size that the request says.
func ioctl(f *os.File, request uint, arg unsafe.Pointer) error {
	// Safety: arg is alive during the call, and as large as the request encodes.
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), uintptr(request), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// atEveryCall runs an actor again and again, killed before its first call,
// before its second, and so on until it comes to its end. prepare runs before
// each run, check after it.
func atEveryCall(t *testing.T, name, words string, prepare func(), check func(after []int32)) (all []int32) {
	t.Helper()
	const most = 2000
	for last := range most {
		prepare()
		calls, ended := runKilled(t, name, words, last)
		check(calls)
		if ended {
			t.Logf("%d moments", len(calls)+1)
			return calls
		}
	}
	t.Fatalf("the actor makes more than %d calls", most)
	return nil
}

// inOrder says whether these calls are among all, in this order.
func inOrder(all []int32, want ...int32) bool {
	for _, call := range want {
		i := slices.Index(all, call)
		if i < 0 {
			return false
		}
		all = all[i+1:]
	}
	return true
}
