// SPDX-License-Identifier: MIT

package frame

// MAC is an Ethernet address.
type MAC [6]byte

// IP is an address of either version; an IPv4 one is v4-mapped
// (::ffff:a.b.c.d). No such address can come out of an IPv6 header: [Parse]
// refuses it.
type IP [16]byte

var mappedPrefix = [12]byte{10: 0xff, 11: 0xff}

// From4 makes an IP of an IPv4 address.
func From4(v4 [4]byte) (ip IP) {
	ip.set4(v4)
	return ip
}

// set4 writes in place: the whole could not be read back at once so soon after its parts
// have been written.
func (ip *IP) set4(v4 [4]byte) {
	*(*[12]byte)(ip[:]) = mappedPrefix
	*(*[4]byte)(ip[12:]) = v4
}

// Is4 says whether ip is an IPv4 address.
func (ip *IP) Is4() bool { return [12]byte(ip[:12]) == mappedPrefix }

// martian4 says whether an IPv4 address cannot be the source of a datagram from another
// host that is to be answered: unspecified, multicast, broadcast, loopback. The kernel
// drops these too (RFC 1812 §5.3.7, RFC 4291 §2.5 and §2.7).
func martian4(v4 [4]byte) bool {
	first := v4[0]
	return first == 0 || first == 127 || first >= 224 && (first < 240 || v4 == [4]byte{255, 255, 255, 255})
}

// martian6 is the same for IPv6, where there are addresses of IPv4 besides: they must not
// be taken for what they look like.
func martian6(ip *IP) bool {
	return ip[0] == 0xff || [15]byte(ip[:15]) == [15]byte{} && ip[15] <= 1 || ip.Is4()
}
