// SPDX-License-Identifier: MIT

// Package main is a Go library of somebody else's, for hosts that hold two Go
// runtimes: theirs and the archive's.
package main

import "C"

import (
	"fmt"
	"runtime"
	"time"
)

// otherGo makes the runtime work: goroutines, timers, garbage, a collection and
// a fault that turns into a panic. It returns 40.
//
//export otherGo
func otherGo() C.int {
	lengths := make(chan int)
	for range 8 {
		go func() {
			garbage := make([]byte, 1<<16)
			time.Sleep(100 * time.Microsecond)
			lengths <- len(fmt.Sprint(len(garbage)))
		}()
	}
	sum := 0
	for range 8 {
		sum += <-lengths
	}
	runtime.GC()
	if !recovers() {
		return -1
	}
	return C.int(sum)
}

func recovers() (recovered bool) {
	defer func() { recovered = recover() != nil }()
	var nowhere *int
	*nowhere = 1
	return
}

func main() {}
