// SPDX-License-Identifier: MIT

package killpoint

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/ptrace"
)

// Outcome is how a child ended.
type Outcome struct {
	Killed bool   // at the point that it was to be killed at; else it came to its end
	Points int    // that it came to
	Where  string // it was killed
}

// Run starts a child and kills it at its n-th point, from 1. Watched is called again and again
// while a thread is watched, and reports whether what others share with the child has changed
// since its last call; nil where nothing is watched. A child that ends in another way than
// with status 0 is an error.
//
// The child is started on the calling thread, in its namespaces, and must not be waited for
// by anybody else. Standard input and output must be files.
func Run(cmd *exec.Cmd, n int, watched func() bool) (Outcome, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer shareProcessor()()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Ptrace = true
	if err := cmd.Start(); err != nil {
		return Outcome{}, err
	}
	t := &tracer{pid: cmd.Process.Pid, n: n, watched: watched, inside: map[int]*call{}}
	late := time.AfterFunc(patience, func() { _ = unix.Kill(t.pid, unix.SIGKILL) })
	err := t.trace()
	late.Stop()
	_ = unix.Kill(t.pid, unix.SIGKILL)
	t.reap()
	_ = cmd.Process.Release()
	return t.Outcome, err
}

// shareProcessor lets the calling thread, and the child that it starts, run on one processor,
// until it is undone: it takes a fraction of the time to go to and fro between two threads there.
func shareProcessor() (undo func()) {
	var all, one unix.CPUSet
	if unix.SchedGetaffinity(0, &all) != nil {
		return func() {}
	}
	cpu := 0
	for !all.IsSet(cpu) {
		cpu++
	}
	one.Set(cpu)
	_ = unix.SchedSetaffinity(0, &one)
	return func() { _ = unix.SchedSetaffinity(0, &all) }
}

// patience is for a child that hangs: it is killed, and that is an error.
const patience = 2 * time.Minute

// tracer follows the threads of one child.
type tracer struct {
	Outcome
	pid      int
	n        int
	watched  func() bool
	began    bool
	stepping int           // the thread that is watched; 0: none
	inside   map[int]*call // what each thread is in
}

const options = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE

// trace returns when the child is to be killed, or has ended.
func (t *tracer) trace() error {
	status, err := waitFor(t.pid)
	if err != nil || !status.Stopped() {
		return fmt.Errorf("the child came to %#x instead of a stop: %w", status, err)
	}
	if err := ptrace.Request(unix.PTRACE_SETOPTIONS, t.pid, 0, options); err != nil {
		return err
	}
	for thread := t.pid; ; {
		if err := t.resume(thread, 0); err != nil {
			return err
		}
		if thread, err = t.next(); err != nil || thread == 0 {
			return err
		}
	}
}

// next lets the threads run until one has to be resumed, or there is none, or it is time to kill.
func (t *tracer) next() (thread int, err error) {
	for {
		var status unix.WaitStatus
		thread, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case !status.Stopped():
			delete(t.inside, thread)
			if thread != t.pid {
				continue
			}
			if status.Exited() && status.ExitStatus() == 0 {
				return 0, nil
			}
			return 0, fmt.Errorf("the child ended: %#x", status)
		}
		signal, err := t.stopped(thread, status)
		if err != nil || t.Killed {
			return 0, err
		}
		if signal == 0 {
			return thread, nil
		}
		if err := t.resume(thread, signal); err != nil {
			return 0, err
		}
	}
}

// stopped handles a stop, and returns the signal that the thread is to get.
func (t *tracer) stopped(thread int, status unix.WaitStatus) (unix.Signal, error) {
	switch s := status.StopSignal(); s {
	case unix.SIGTRAP | 0x80:
		return 0, t.called(thread)
	case unix.SIGTRAP: // an instruction, or a new thread
		if thread == t.stepping && t.watched() {
			t.point(func() string { return "after a change" })
		}
		return 0, nil
	case unix.SIGSTOP: // a new thread
		return 0, nil
	case markBegin, markEnd:
		t.began = s == markBegin
		return 0, nil
	case markWatch:
		t.stepping = thread
		t.watched()
		return 0, nil
	case markUnwatch:
		t.stepping = 0
		return 0, nil
	default:
		return s, nil
	}
}

// called handles the begin or end of a system call.
func (t *tracer) called(thread int) error {
	info, err := ptrace.CallOf(thread)
	if err != nil {
		return err
	}
	if info != nil {
		c := (*call)(info)
		t.inside[thread] = c
		if t.began && c.matters() {
			t.point(func() string { return "before " + c.String() })
		}
		return nil
	}
	if c := t.inside[thread]; c != nil && t.began && c.matters() {
		t.point(func() string { return "after " + c.String() })
	}
	delete(t.inside, thread)
	return nil
}

// point counts.
func (t *tracer) point(where func() string) {
	if t.Points++; t.Points == t.n {
		t.Killed, t.Where = true, where()
	}
}

func (t *tracer) resume(thread int, signal unix.Signal) error {
	request := unix.PTRACE_SYSCALL
	if thread == t.stepping {
		request = unix.PTRACE_SINGLESTEP
	}
	err := ptrace.Request(request, thread, 0, uintptr(signal))
	if errors.Is(err, unix.ESRCH) { // it ends
		return nil
	}
	return err
}

// reap waits for all threads of a child that is killed.
func (t *tracer) reap() {
	for {
		_, err := unix.Wait4(-1, nil, unix.WALL|unix.WNOTHREAD, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func waitFor(thread int) (status unix.WaitStatus, err error) {
	for {
		_, err := unix.Wait4(thread, &status, unix.WALL|unix.WNOTHREAD, nil)
		if !errors.Is(err, unix.EINTR) {
			return status, err
		}
	}
}
