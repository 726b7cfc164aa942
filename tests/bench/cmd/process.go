// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// result is the line with which a program ends: what it did between the end of
// its warm-up and its own end. ../prog/meter.h explains the fields.
type result struct {
	Datagrams   float64 `json:"datagrams"`
	Bytes       float64 `json:"bytes"`
	RxCalls     float64 `json:"rx_calls"`
	TxCalls     float64 `json:"tx_calls"`
	Lost        float64 `json:"lost"`
	ByKernel    float64 `json:"by_kernel"`
	SystemCalls float64 `json:"system_calls"`
	Allocations float64 `json:"allocations"`
	CallbackNs  float64 `json:"callback_ns"`
	WallNs      float64 `json:"wall_ns"`
	CPUNs       float64 `json:"cpu_ns"`
	ThreadCPUNs float64 `json:"thread_cpu_ns"`
	Trips       float64 `json:"trips"`
	P50Ns       float64 `json:"p50_ns"`
	P99Ns       float64 `json:"p99_ns"`

	LaneNs       float64 `json:"lane_ns"`
	WakeUpNs     float64 `json:"wake_up_ns"`
	ColdWakeUpNs float64 `json:"cold_wake_up_ns"`
	SyscallNs    float64 `json:"syscall_ns"`

	Stages metrics `json:"stages"`
}

// add adds what another process did to what is counted.
func (r *result) add(o result) {
	r.Datagrams += o.Datagrams
	r.Bytes += o.Bytes
	r.RxCalls += o.RxCalls
	r.TxCalls += o.TxCalls
	r.Lost += o.Lost
	r.ByKernel += o.ByKernel
	r.SystemCalls += o.SystemCalls
	r.Allocations += o.Allocations
	r.CallbackNs += o.CallbackNs
	r.WallNs += o.WallNs
	r.CPUNs += o.CPUNs
	r.ThreadCPUNs += o.ThreadCPUNs
	r.Stages = o.Stages
}

// A process is a program of ../prog that runs.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr bytes.Buffer
}

// start runs a program in a namespace. It is killed when ctx ends, and when
// this program dies.
func start(ctx context.Context, ns *namespace, dir, program string, args ...string) (*process, error) {
	return startWith(ctx, nil, ns, dir, program, args...)
}

// startWith is start with more in the environment.
func startWith(ctx context.Context, env []string, ns *namespace, dir, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, filepath.Join(dir, program), args...)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdout = bufio.NewReader(out)
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return p, ns.do(p.cmd.Start)
}

// ready waits until the program has its socket, and returns the port.
func (p *process) ready() (port int, err error) {
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		return 0, p.failed(err)
	}
	if _, err := fmt.Sscanf(line, "ready %d", &port); err != nil {
		return 0, fmt.Errorf("%s: said %q instead of its port", p, line)
	}
	return port, nil
}

// release lets a program begin that was told to hold.
func (p *process) release() { _, _ = p.stdin.Write([]byte{'\n'}) }

// stop asks the program to end. One that has ended already is no error.
func (p *process) stop() { _ = p.cmd.Process.Signal(os.Interrupt) }

// kill ends it in any case. After a result it does nothing.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// result waits for the end of the program and returns what it printed last.
func (p *process) result() (result, error) {
	var r result
	out, err := io.ReadAll(p.stdout)
	if err != nil {
		return r, p.failed(err)
	}
	if err := p.cmd.Wait(); err != nil {
		return r, fmt.Errorf("%s: %w\n%s", p, err, p.stderr.Bytes())
	}
	d := json.NewDecoder(bytes.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("%s: result %q: %w", p, out, err)
	}
	return r, nil
}

// failed explains why there is nothing to read.
func (p *process) failed(err error) error {
	p.kill()
	return fmt.Errorf("%s: %w (%v)\n%s", p, err, p.cmd.ProcessState, p.stderr.Bytes())
}

func (p *process) String() string {
	return fmt.Sprint(filepath.Base(p.cmd.Path), p.cmd.Args[1:])
}
