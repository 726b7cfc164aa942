// SPDX-License-Identifier: MIT

// Command cmd runs the demo, see package demo. scripts/demo.sh builds it and
// the server, and starts it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/msquicxdp/msquicxdp/tests/demo"
)

var errTimeout = errors.New("the demo takes too long")

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "demo failed:", err)
		os.Exit(1)
	}
}

func run() error {
	o := demo.Options{Log: os.Stdout}
	path := flag.String("path", auto, "the servers' `path`: xdp, mixed (one of them on kernel sockets), kernel,\n"+
		"or auto: mixed and then xdp, or kernel where AF_XDP cannot be had")
	flag.StringVar(&o.Server, "server", "", "the server `program`")
	flag.IntVar(&o.Handshakes, "handshakes", 40, "connections that only come and go")
	flag.Int64Var(&o.Bytes, "bytes", 64<<20, "bytes to transfer, in both directions together")
	flag.IntVar(&o.Workers, "workers", 2, "workers of each server")
	timeout := flag.Duration("timeout", 60*time.Second, "limit for all of it")
	flag.Parse()
	if os.Geteuid() != 0 {
		return errors.New("it needs root, to make network namespaces")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, *timeout, fmt.Errorf("%w: more than %v", errTimeout, *timeout))
	defer cancel()
	if *path == auto {
		return runAll(ctx, o)
	}
	var err error
	if o.Path, err = demo.ParsePath(*path); err != nil {
		return err
	}
	return runOne(ctx, o)
}

const auto = "auto"

// runAll runs the demo on AF_XDP, or says why not and runs it on kernel sockets.
func runAll(ctx context.Context, o demo.Options) error {
	o.Path = demo.Mixed
	err := runOne(ctx, o)
	if errors.Is(err, demo.ErrUnavailable) {
		fmt.Printf("\n== %v\n== so the demo runs on kernel sockets:\n", err)
		o.Path = demo.Kernel
		return runOne(ctx, o)
	}
	if err != nil {
		return err
	}
	fmt.Println()
	o.Path = demo.XDP
	return runOne(ctx, o)
}

// runOne runs the demo once.
func runOne(ctx context.Context, o demo.Options) error {
	summary, err := demo.Run(ctx, o)
	if err != nil {
		return err
	}
	fmt.Println()
	summary.Print(os.Stdout)
	fmt.Println()
	fmt.Println(summary.Result())
	return nil
}
