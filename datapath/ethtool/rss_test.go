// SPDX-License-Identifier: MIT

package ethtool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// card is a device that a test makes.
type card struct {
	rings     uint64
	table     []uint32
	key       []byte
	function  byte
	transform byte
	fields    map[uint32]uint64 // by flow
	refuses   map[uint32]error  // by command
}

func goodCard() *card {
	return &card{
		rings: 4, table: []uint32{0, 1, 2, 3, 3, 2, 1, 0}, key: bytes.Repeat([]byte{0x6d, 0x5a}, 20), function: hashToeplitz,
		fields:  map[uint32]uint64{ipv4Flow: hashAddresses, udpV4Flow: hashAddresses | hashPorts, tcpV4Flow: hashAddresses, udpV6Flow: hashAddresses | hashPorts},
		refuses: map[uint32]error{},
	}
}

func (c *card) rxfh() []byte {
	b := make([]byte, rxfhSize)
	binary.NativeEndian.PutUint32(b, getIndirection)
	binary.NativeEndian.PutUint32(b[rxfhTableSize:], uint32(len(c.table)))
	binary.NativeEndian.PutUint32(b[rxfhKeySize:], uint32(len(c.key)))
	b[rxfhFunction], b[rxfhTransform] = c.function, c.transform
	for _, ring := range c.table {
		b = binary.NativeEndian.AppendUint32(b, ring)
	}
	return append(b, c.key...)
}

// call does as the kernel does.
func (c *card) call(b []byte) error {
	command := binary.NativeEndian.Uint32(b)
	if err := c.refuses[command]; err != nil {
		return err
	}
	switch command {
	case getRings:
		binary.NativeEndian.PutUint64(b[rxnfcData:], c.rings)
	case getFields:
		fields, ok := c.fields[binary.NativeEndian.Uint32(b[rxnfcFlow:])]
		if !ok {
			return unix.EINVAL
		}
		binary.NativeEndian.PutUint64(b[rxnfcData:], fields)
	case getIndirection:
		copy(b, c.rxfh())
	default:
		return unix.EOPNOTSUPP
	}
	return nil
}

func TestACard(t *testing.T) {
	want := goodCard()
	c, err := read(device{call: want.call})
	if err != nil {
		t.Fatal(err)
	}
	if c.Types != IPv4|UDPIPv4|UDPIPv6 { // TCP without ports is not what MsQuic means
		t.Errorf("types %#x", c.Types)
	}
	if !bytes.Equal(c.Key, want.key) || len(c.Table) != len(want.table) || c.Table[3] != 3 || c.Table[6] != 1 {
		t.Errorf("key %x, table %v", c.Key, c.Table)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*card){
		"does not tell":       func(c *card) { c.refuses[getIndirection] = unix.EOPNOTSUPP },
		"GRXRINGS":            func(c *card) { c.refuses[getRings] = unix.EOPNOTSUPP },
		"not Toeplitz":        func(c *card) { c.function = 2 },
		"symmetric":           func(c *card) { c.transform = 1 },
		"power of two":        func(c *card) { c.table = c.table[:7] },
		"table of 0 entries":  func(c *card) { c.table = nil },
		"key of 0 bytes":      func(c *card) { c.key = nil },
		"at most 4096":        func(c *card) { c.table = make([]uint32, 8192) },
		"entry 2":             func(c *card) { c.rings = 2 },
		"at most 4096 and 25": func(c *card) { c.key = make([]byte, 300) },
		"what it hashes":      func(c *card) { c.fields = nil },
	} {
		c := goodCard()
		spoil(c)
		_, err := read(device{call: c.call})
		if !errors.Is(err, unix.EOPNOTSUPP) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsOfTheKernelStay(t *testing.T) {
	c := goodCard()
	c.refuses[getIndirection] = unix.ENODEV
	if _, err := read(device{call: c.call}); !errors.Is(err, unix.ENODEV) {
		t.Errorf("%v", err)
	}
}

// Drivers that have nothing say so: veth, tap, loopback.
func TestInterfacesWithoutRSS(t *testing.T) {
	netnstest.CheckFDs(t)
	ns := netnstest.New(t)
	netnstest.Veth(t, &netnstest.End{NS: ns, Name: "a"}, &netnstest.End{NS: ns, Name: "b"})
	ns.Run(t, "ip", "tuntap", "add", "dev", "d0", "mode", "tap")
	ns.Do(t, func() error {
		all, err := net.Interfaces()
		for _, i := range all {
			if _, err := GetRSS(i.Index); !errors.Is(err, unix.EOPNOTSUPP) || !strings.Contains(err.Error(), i.Name) {
				t.Errorf("%s: %v", i.Name, err)
			}
		}
		if _, err := GetRSS(0xdead); !errors.Is(err, unix.ENOENT) {
			t.Errorf("an interface that does not exist: %v", err)
		}
		return err
	})
}

func TestQueues(t *testing.T) {
	ns := netnstest.New(t)
	ns.Run(t, "ip", "link", "add", "dev", "a", "numrxqueues", "3", "numtxqueues", "3", "type", "veth", "peer", "name", "b")
	ns.Do(t, func() error {
		if n, err := Queues("a"); n != 3 || err != nil {
			t.Errorf("%d queues, want 3: %v", n, err)
		}
		if _, err := Queues("lo"); !errors.As(err, new(*UnsupportedError)) {
			t.Errorf("loopback: %v", err)
		}
		return nil
	})
}

func FuzzParse(f *testing.F) {
	good := goodCard().rxfh()
	f.Add(good, uint32(4))
	f.Add(good[:rxfhSize], uint32(4))
	f.Add([]byte{}, uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, rings uint32) {
		c, err := parse(b, rings)
		if err != nil {
			return
		}
		if len(c.Table)&(len(c.Table)-1) != 0 || len(c.Table) == 0 || len(c.Key) == 0 || rxfhSize+4*len(c.Table)+len(c.Key) > len(b) {
			t.Errorf("%d bytes: table of %d, key of %d", len(b), len(c.Table), len(c.Key))
		}
		for _, ring := range c.Table {
			if ring >= rings {
				t.Errorf("queue %d of %d", ring, rings)
			}
		}
	})
}
