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
	server := flag.String("server", "", "the server `program`")
	handshakes := flag.Int("handshakes", 40, "connections that only come and go")
	bytes := flag.Int64("bytes", 64<<20, "bytes to transfer, in both directions together")
	workers := flag.Int("workers", 2, "workers of each server")
	timeout := flag.Duration("timeout", 60*time.Second, "limit for all of it")
	flag.Parse()
	if os.Geteuid() != 0 {
		return errors.New("it needs root, to make network namespaces")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, *timeout, fmt.Errorf("%w: more than %v", errTimeout, *timeout))
	defer cancel()
	summary, err := demo.Run(ctx, demo.Options{
		Server: *server, Workers: *workers, Handshakes: *handshakes, Bytes: *bytes, Log: os.Stdout,
	})
	if err != nil {
		return err
	}
	fmt.Println()
	summary.Print(os.Stdout)
	fmt.Println()
	fmt.Println(summary.Result())
	return nil
}
