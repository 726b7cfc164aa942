// SPDX-License-Identifier: MIT

// Package netnstest gives a test network namespaces of its own.
//
// A namespace is made empty, with only its own loopback interface up, and is
// referred to by a file descriptor: no name in /run/netns, nothing to remove
// when a test is killed. Code enters it on an operating system thread that is
// used for nothing else and ends afterwards, so a forgotten setns can never
// leak into another test. The interfaces of the host are never touched:
// everything here that changes an interface does so inside a namespace that
// [New] made.
//
//	func TestPing(t *testing.T) {
//		netnstest.CheckFDs(t)
//		left, right := netnstest.New(t), netnstest.New(t)
//		netnstest.Veth(t,
//			&netnstest.End{NS: left, Name: "l0", Addrs: netnstest.Prefixes("10.0.0.1/24", "fd00::1/64")},
//			&netnstest.End{NS: right, Name: "r0", Addrs: netnstest.Prefixes("10.0.0.2/24", "fd00::2/64")})
//		left.Run(t, "ip", "route", "add", "default", "via", "10.0.0.2")
//		left.Do(t, func() error { return dial("10.0.0.2") })
//	}
//
// Duplicate address detection is off in these namespaces, so that an IPv6
// address can be used at once; a test that wants it turns accept_dad on again
// with [NS.Sysctl].
//
// Namespaces need root. Without it a test is skipped, and fails instead where
// REQUIRE_XDP=1 says that no test may be skipped.
package netnstest
