// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// ephemeralPath is where the kernel keeps the ports of the calling thread's
// network namespace that it gives to nobody who asks for any port. UDP and TCP,
// IPv4 and IPv6 have one list.
const ephemeralPath = "/proc/sys/net/ipv4/ip_local_reserved_ports"

// ephemeralSize is more than the longest list: 32768 ports of up to five digits
// with a comma each. The kernel gives the list to one read, cut off to fit; a
// second read gets nothing.
const ephemeralSize = 256 << 10

// excluded is the kernel's list of ports that it does not choose by itself.
//
// A write at offset 0 replaces the list, a write at any other offset adds to
// it: that is how the kernel takes lists in several parts. Adding therefore
// loses nothing that others write at the same time.
type excluded interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

func openExcluded() (excluded, error) {
	f, err := os.OpenFile(ephemeralPath, os.O_RDWR, 0)
	if err != nil {
		return nil, kerr.New("open", ephemeralPath, err, hintExcluded(err))
	}
	return f, nil
}

func hintExcluded(err error) string {
	switch kerr.Errno(err) {
	case unix.EACCES, unix.EPERM:
		return "run as root, or with CAP_NET_ADMIN in the network namespace"
	case unix.EROFS:
		return "/proc/sys may only be read here, as in most containers: apply from outside, in this network namespace"
	case unix.ENOENT:
		return "mount /proc"
	}
	return ""
}

func readExcluded(f excluded) (*portSet, error) {
	buf := make([]byte, ephemeralSize)
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, kerr.New("read", ephemeralPath, err, "")
	}
	return parsePortSet(strings.TrimSuffix(string(buf[:n]), "\n"))
}

// addExcluded puts ports into the list.
func addExcluded(f excluded, ports *portSet) error {
	return writeExcluded(f, ports, 1)
}

// replaceExcluded puts ports in the place of the list.
func replaceExcluded(f excluded, ports *portSet) error {
	return writeExcluded(f, ports, 0)
}

func writeExcluded(f excluded, ports *portSet, offset int64) error {
	// The kernel takes 4 KiB at a time; WriteAt goes on behind it, which adds.
	_, err := f.WriteAt([]byte(ports.String()+"\n"), offset)
	return kerr.New("write", ephemeralPath, err, hintExcluded(err))
}

// changeExcluded adds ports to the list and removes others from it, until it
// reads so, and leaves the rest as it is. When nothing is to be done, nothing
// is written.
//
// To remove is to read and replace, and what another program writes in between,
// some microseconds, is lost. What it writes afterwards from an older reading
// undoes a change, which is seen and made good as long as we look.
func changeExcluded(f excluded, add, remove *portSet) error {
	const tries = 50
	for range tries {
		now, err := readExcluded(f)
		if err != nil {
			return err
		}
		missing, left := add.minus(now), now.intersection(remove)
		switch {
		case !missing.empty():
			err = addExcluded(f, missing)
		case !left.empty():
			err = replaceExcluded(f, now.minus(left))
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
	return kerr.New("write", ephemeralPath, unix.EBUSY, "another program changes it all the time: find and stop it")
}
