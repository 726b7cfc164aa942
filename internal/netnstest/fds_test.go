// SPDX-License-Identifier: MIT

package netnstest

import (
	"os"
	"strings"
	"testing"
)

func TestCheckFDs(t *testing.T) {
	fake, _ := observe(func(fake *fakeTB) { CheckFDs(fake) })
	if fake.failed {
		t.Errorf("blamed a test that opened nothing: %s", fake.log)
	}
	var leak *os.File
	fake, _ = observe(func(fake *fakeTB) {
		CheckFDs(fake)
		leak, _ = os.Open("/dev/null")
	})
	defer leak.Close()
	if !fake.failed || !strings.Contains(fake.log, "/dev/null") {
		t.Errorf("missed the leak: failed %v, log %q", fake.failed, fake.log)
	}
}
