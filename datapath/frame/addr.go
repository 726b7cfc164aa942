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
	copy(ip[:], mappedPrefix[:])
	copy(ip[12:], v4[:])
	return ip
}

// Is4 says whether ip is an IPv4 address.
func (ip *IP) Is4() bool { return [12]byte(ip[:12]) == mappedPrefix }

// martian says whether ip cannot be the source of a datagram from another host
// that is to be answered: unspecified, multicast, broadcast, loopback. The
// kernel drops these too (RFC 1812 §5.3.7, RFC 4291 §2.5 and §2.7).
func (ip *IP) martian() bool {
	if ip.Is4() {
		first := ip[12]
		return first == 0 || first == 127 || first >= 224 && (first < 240 || [4]byte(ip[12:]) == [4]byte{255, 255, 255, 255})
	}
	return ip[0] == 0xff || [15]byte(ip[:15]) == [15]byte{} && ip[15] <= 1
}
