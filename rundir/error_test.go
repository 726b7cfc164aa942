// SPDX-License-Identifier: MIT

package rundir

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What to do is said, and once.
func TestRefusalSaysWhatToDo(t *testing.T) {
	for errno, hint := range map[unix.Errno]string{
		unix.EACCES: hintMayNot, unix.ENOENT: hintOwn, unix.ELOOP: hintRealPath, unix.EMFILE: "RLIMIT_NOFILE",
	} {
		if text := refusedBy("open", "/x", errno).Error(); strings.Count(text, hint) != 1 {
			t.Errorf("%q says %q %d times", text, hint, strings.Count(text, hint))
		}
	}
}
