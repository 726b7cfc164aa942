// SPDX-License-Identifier: MIT

package reserve

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// A test that needs another process runs this test program again, as an actor:
// these variables say which one, and give it words.
const (
	actorVariable = "MSQUICXDP_TEST_ACTOR"
	wordsVariable = "MSQUICXDP_TEST_WORDS"
)

// actors are what such a process can do. Each sits beside its test.
var actors = map[string]func(words string) error{
	"apply":          actApply,
	"apply and hang": actApplyAndHang,
	"apply stopped":  actApplyStopped,
	"change":         actChange,
	"create":         actCreate,
	"probe":          actProbe,
}

// act runs an actor and returns the exit status of its process.
func act(name string) int {
	if err := actors[name](os.Getenv(wordsVariable)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// actor returns the command that runs an actor.
func actor(t testing.TB, name, words string) *exec.Cmd {
	t.Helper()
	if actors[name] == nil {
		t.Fatalf("no actor %q", name)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	// GORACE: a program with the race detector would rest for a second before it ends.
	cmd.Env = append(os.Environ(), actorVariable+"="+name, wordsVariable+"="+words, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}
