// SPDX-License-Identifier: MIT

package xdp

// TransmitEnv is the environment variable by which a C program's user chooses: auto, kernel or
// xdp (capi/options.c).
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

// byKernel reports whether sends on a queue go by the kernel's sockets.
func (t Transmit) byKernel(zeroCopy bool) bool {
	return t == TransmitKernel || t == TransmitAuto && !zeroCopy
}
