// SPDX-License-Identifier: MIT

package rundir

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

const bootIDFile = "/proc/sys/kernel/random/boot_id"

// Namespace identifies a network namespace of this machine, for ever.
type Namespace struct {
	BootID string // a UUID, in lower case
	Cookie uint64 // SO_NETNS_COOKIE
}

// String returns the name of the namespace's directory.
func (n Namespace) String() string { return n.BootID + "-" + strconv.FormatUint(n.Cookie, 10) }

// parseNamespace is the reverse of String.
func parseNamespace(name string) (Namespace, bool) {
	if len(name) <= uuidLength || !isUUID(name[:uuidLength]) {
		return Namespace{}, false
	}
	cookie, err := strconv.ParseUint(name[uuidLength+1:], 10, 64)
	n := Namespace{BootID: name[:uuidLength], Cookie: cookie}
	return n, err == nil && n.String() == name
}

const uuidLength = len("01234567-89ab-cdef-0123-456789abcdef")

func isUUID(s string) bool {
	for i, c := range s {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !strings.ContainsRune("0123456789abcdef", c) {
				return false
			}
		}
	}
	return len(s) == uuidLength
}

// currentNamespace identifies the network namespace of the calling thread. A
// new socket is asked: /proc/self is about the process's first thread.
func currentNamespace() (Namespace, error) {
	boot, err := bootID()
	if err != nil {
		return Namespace{}, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Namespace{}, kerr.New("socket", "AF_UNIX, SOCK_DGRAM", err, "")
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	hint := ""
	if errors.Is(err, unix.ENOPROTOOPT) {
		hint = "needs Linux 5.14 or newer"
	}
	return Namespace{BootID: boot, Cookie: cookie}, kerr.New("getsockopt", "SO_NETNS_COOKIE", err, hint)
}

func bootID() (string, error) {
	text, err := os.ReadFile(bootIDFile)
	if err != nil {
		return "", kerr.New("read", bootIDFile, err, "mount /proc")
	}
	id := strings.TrimSpace(string(text))
	if !isUUID(id) {
		return "", errors.New(bootIDFile + " holds no UUID; mount a /proc that does")
	}
	return id, nil
}
