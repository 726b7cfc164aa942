// SPDX-License-Identifier: MIT

package xdp

import (
	"fmt"
	"os"
)

// TransmitEnv is the environment variable that says by what sockets send that receive
// by AF_XDP: auto, kernel or xdp. Without it that is auto.
const TransmitEnv = "MSQUICXDP_TRANSMIT"

// Transmit is by what sockets send that receive by AF_XDP.
type Transmit uint8

const (
	// TransmitAuto is AF_XDP where the device itself reads the UMEM. Where the kernel
	// copies, each packet of AF_XDP costs it a buffer and a way through the driver of its
	// own, while a kernel socket hands over up to 64 datagrams at once (UDP_SEGMENT):
	// docs/PERFORMANCE.md has the figures.
	TransmitAuto Transmit = iota
	TransmitKernel
	TransmitXDP
)

var transmitNames = map[string]Transmit{"": TransmitAuto, "auto": TransmitAuto, "kernel": TransmitKernel, "xdp": TransmitXDP}

func transmitFromEnv() (Transmit, error) {
	text := os.Getenv(TransmitEnv)
	t, ok := transmitNames[text]
	if !ok {
		return 0, fmt.Errorf("%s=%q: use auto, kernel or xdp", TransmitEnv, text)
	}
	return t, nil
}

// byKernel reports whether sends on a queue go by the kernel's sockets.
func (t Transmit) byKernel(zeroCopy bool) bool {
	return t == TransmitKernel || t == TransmitAuto && !zeroCopy
}
