// SPDX-License-Identifier: MIT

package ethtool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Of linux/ethtool.h. Numbers in structures are in the byte order of the machine.
const (
	getFields      = 0x29 // ETHTOOL_GRXFH
	getRings       = 0x2d // ETHTOOL_GRXRINGS
	getChannels    = 0x3c // ETHTOOL_GCHANNELS
	setChannels    = 0x3d // ETHTOOL_SCHANNELS
	getIndirection = 0x46 // ETHTOOL_GRSSH

	tcpV4Flow = 0x01
	udpV4Flow = 0x02
	tcpV6Flow = 0x05
	udpV6Flow = 0x06
	ipv4Flow  = 0x10
	ipv6Flow  = 0x11

	hashAddresses = 1<<4 | 1<<5 // RXH_IP_SRC | RXH_IP_DST
	hashPorts     = 1<<6 | 1<<7 // RXH_L4_B_0_1 | RXH_L4_B_2_3

	hashToeplitz = 1 // ETH_RSS_HASH_TOP
)

// struct ethtool_rxnfc: cmd, flow_type, data, and more that is of no use here.
const (
	rxnfcSize = 192
	rxnfcFlow = 4
	rxnfcData = 8
)

// struct ethtool_rxfh: cmd, rss_context, indir_size, key_size, hfunc, input_xfrm, and behind
// reserved space the table and the key.
const (
	rxfhSize      = 24
	rxfhTableSize = 8
	rxfhKeySize   = 12
	rxfhFunction  = 16
	rxfhTransform = 17
)

// device asks an interface. In tests call is a device of their own.
type device struct {
	socket int
	call   func(b []byte) error // b begins with a command
}

// open makes a device of an interface.
func open(name string) (device, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return device{}, kerr.New("socket", "AF_INET, for ethtool", err, "")
	}
	return device{fd, func(b []byte) error { return ioctl(fd, name, b) }}, nil
}

func (d device) close() { unix.Close(d.socket) }

// ifreq is struct ifreq with ifr_data.
type ifreq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

func ioctl(fd int, name string, b []byte) error {
	r := ifreq{data: unsafe.Pointer(&b[0])}
	copy(r.name[:len(r.name)-1], name)
	// Safety: the kernel reads and writes what the sizes in b say, which is not more than b.
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&r)))
	runtime.KeepAlive(b)
	if e != 0 {
		return e
	}
	return nil
}

// refusal words what the driver does not do.
func refusal(what string, err error) error {
	call := kerr.New("ioctl", "SIOCETHTOOL, "+what, err, "")
	if errors.Is(err, unix.EOPNOTSUPP) {
		return &UnsupportedError{Reason: "the driver does not tell", Err: call}
	}
	return call
}

// rings returns how many receive queues there are.
func (d device) rings() (uint32, error) {
	b := make([]byte, rxnfcSize)
	binary.NativeEndian.PutUint32(b, getRings)
	if err := d.call(b); err != nil {
		return 0, refusal("ETHTOOL_GRXRINGS", err)
	}
	return uint32(min(binary.NativeEndian.Uint64(b[rxnfcData:]), 1<<31)), nil
}

// fields returns what is hashed of a flow.
func (d device) fields(flow uint32) (uint64, error) {
	b := make([]byte, rxnfcSize)
	binary.NativeEndian.PutUint32(b, getFields)
	binary.NativeEndian.PutUint32(b[rxnfcFlow:], flow)
	if err := d.call(b); err != nil {
		return 0, refusal(fmt.Sprintf("ETHTOOL_GRXFH, flow %#x", flow), err)
	}
	return binary.NativeEndian.Uint64(b[rxnfcData:]), nil
}

// indirection asks for the sizes first, and then for table and key.
func (d device) indirection(rings uint32) (*RSS, error) {
	sizes := make([]byte, rxfhSize)
	binary.NativeEndian.PutUint32(sizes, getIndirection)
	if err := d.call(sizes); err != nil {
		return nil, refusal("ETHTOOL_GRSSH", err)
	}
	table := binary.NativeEndian.Uint32(sizes[rxfhTableSize:])
	key := binary.NativeEndian.Uint32(sizes[rxfhKeySize:])
	if table > MaxTable || key > MaxKey {
		return nil, unsupported("a table of %d entries and a key of %d bytes: at most %d and %d", table, key, MaxTable, MaxKey)
	}
	b := make([]byte, rxfhSize+4*table+key)
	binary.NativeEndian.PutUint32(b, getIndirection)
	binary.NativeEndian.PutUint32(b[rxfhTableSize:], table)
	binary.NativeEndian.PutUint32(b[rxfhKeySize:], key)
	if err := d.call(b); err != nil {
		return nil, refusal("ETHTOOL_GRSSH", err)
	}
	return parse(b, rings)
}

// parse reads a struct ethtool_rxfh, whose sizes need not be true.
func parse(b []byte, rings uint32) (*RSS, error) {
	if len(b) < rxfhSize {
		return nil, fmt.Errorf("%d bytes, where a struct ethtool_rxfh has %d at least", len(b), rxfhSize)
	}
	table := uint64(binary.NativeEndian.Uint32(b[rxfhTableSize:]))
	key := uint64(binary.NativeEndian.Uint32(b[rxfhKeySize:]))
	if uint64(len(b)) < rxfhSize+4*table+key {
		return nil, fmt.Errorf("%d bytes, where a table of %d entries and a key of %d bytes are announced", len(b), table, key)
	}
	if f := b[rxfhFunction]; f != 0 && f != hashToeplitz { // 0: the driver knows of one only
		return nil, unsupported("the hash is not Toeplitz (function %#x)", f)
	}
	if x := b[rxfhTransform]; x != 0 && x != 0xff { // 0xff: no change, says an old driver
		return nil, unsupported("what is hashed is made symmetric first (transformation %#x)", x)
	}
	c := &RSS{}
	rest := b[rxfhSize:]
	for range table {
		c.Table = append(c.Table, binary.NativeEndian.Uint32(rest))
		rest = rest[4:]
	}
	c.Key = append(c.Key, rest[:key]...)
	return c, c.check(rings)
}
