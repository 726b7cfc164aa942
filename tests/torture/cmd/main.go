// SPDX-License-Identifier: MIT

// Command cmd tortures, see package torture. scripts/torture.sh builds it and the servers, and
// starts it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/tests/torture"
)

func main() {
	err := run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		os.Exit(1) // it has said why
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture failed:", err)
		os.Exit(1)
	}
}

func run() error {
	var o torture.Options
	flag.StringVar(&o.Server, "server", "", "the small servers' `program`")
	flag.StringVar(&o.QUICServer, "quic-server", "", "the demo's server `program`; without, there is no QUIC")
	seconds := flag.Int("seconds", 60, "how long")
	flag.Uint64Var(&o.Seed, "seed", 0, "of what is done; 0: any")
	flag.DurationVar(&o.Recovery, "recovery", 100*time.Millisecond, "that 99 of 100 recoveries may take at most")
	verbose := flag.Bool("v", false, "say what is done")
	dir := flag.String("dir", "", "a directory that is there already; for the program itself")
	flag.Parse()
	if os.Geteuid() != 0 {
		return errors.New("it needs root, to make namespaces")
	}
	if *dir == "" {
		return runInside()
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	o.Length = time.Duration(*seconds) * time.Second
	if o.Seed == 0 {
		o.Seed = rand.Uint64()>>32 + 1
	}
	if *verbose {
		o.Log = os.Stdout
	}
	var err error
	if o.Dir, o.State, err = mounts(*dir); err != nil {
		return err
	}
	fmt.Printf("== seed %d\n", o.Seed)
	s, err := torture.Run(o)
	if s != nil {
		fmt.Printf("== %+v\n", *s)
	}
	if err != nil {
		return err
	}
	fmt.Println(s.Result())
	return nil
}

// runInside starts the program again, as the first process of a PID namespace with mounts of its own:
// whatever ends it, nothing is left.
func runInside() error {
	dir, err := os.MkdirTemp("", "msquicxdp-torture-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // claims allow none
		return err
	}
	cmd := exec.Command("/proc/self/exe", append(os.Args[1:], "-dir", dir)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	leash, err := cmd.StdinPipe() // at its end the program inside ends, and with it all others
	if err != nil {
		return err
	}
	defer leash.Close()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Setpgid: true}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		<-signals
		_ = cmd.Process.Kill()
	}()
	return cmd.Wait()
}

// stateSize is small, to be filled quickly.
const stateSize = "size=4m"

// mounts gives the process namespace its own /proc, and the servers a file system for their state.
func mounts(dir string) (private, state string, err error) {
	private, state = filepath.Join(dir, "private"), filepath.Join(dir, "state")
	for _, d := range []string{private, state} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return "", "", err
		}
	}
	for _, m := range []struct {
		source, to, kind string
		flags            uintptr
		data             string
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"tmpfs", state, "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755," + stateSize},
	} {
		if err := unix.Mount(m.source, m.to, m.kind, m.flags, m.data); err != nil {
			return "", "", fmt.Errorf("mount %s on %s: %w", m.kind, m.to, err)
		}
	}
	return private, state, nil
}
