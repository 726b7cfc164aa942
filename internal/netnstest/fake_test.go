// SPDX-License-Identifier: MIT

package netnstest

import (
	"fmt"
	"runtime"
	"testing"
)

// fakeTB records what a helper does to the test that it is given.
type fakeTB struct {
	testing.TB
	failed, skipped bool
	log             string
	cleanups        []func()
}

func (f *fakeTB) Helper()           {}
func (f *fakeTB) Skipped() bool     { return f.skipped }
func (f *fakeTB) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }
func (f *fakeTB) FailNow()          { f.failed = true; runtime.Goexit() }
func (f *fakeTB) SkipNow()          { f.skipped = true; runtime.Goexit() }
func (f *fakeTB) Fatal(args ...any) { f.log += fmt.Sprint(args...); f.FailNow() }
func (f *fakeTB) Skip(args ...any)  { f.log += fmt.Sprint(args...); f.SkipNow() }
func (f *fakeTB) Fatalf(s string, args ...any) {
	f.log += fmt.Sprintf(s, args...)
	f.FailNow()
}
func (f *fakeTB) Errorf(s string, args ...any) {
	f.log += fmt.Sprintf(s, args...)
	f.failed = true
}

// observe runs f as a test of its own, with its clean-up, and reports whether
// f returned.
func observe(f func(t *fakeTB)) (t *fakeTB, returned bool) {
	t = &fakeTB{}
	returned = inGoroutine(func() { f(t) })
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		inGoroutine(t.cleanups[i])
	}
	return t, returned
}

func inGoroutine(f func()) (returned bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
		returned = true
	}()
	<-done
	return returned
}
