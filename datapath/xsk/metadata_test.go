// SPDX-License-Identifier: MIT

package xsk

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// The datagrams of these tests: Ethernet, IPv4 and UDP without options.
const (
	udpAt      = 14 + 20
	checksumAt = 6 // of the UDP header
)

var source, destination = netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.1")

// datagram makes a frame with a UDP datagram, whose checksum is left to whoever sends
// it: only the sum of the pseudo-header is there.
func datagram(mac []byte, port uint16, payload []byte) []byte {
	p := slices.Concat(mac, []byte{2, 0, 0, 0, 0, 2, 8, 0}, make([]byte, 28), payload)
	ip, udp := p[14:], p[udpAt:]
	ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	copy(ip[12:], source.AsSlice())
	copy(ip[16:], destination.AsSlice())
	binary.BigEndian.PutUint16(ip[10:], ^sum(ip[:20]))
	binary.BigEndian.PutUint16(udp, 4433)
	binary.BigEndian.PutUint16(udp[2:], port)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	pseudo := slices.Concat(ip[12:20], []byte{0, unix.IPPROTO_UDP}, udp[4:6])
	binary.BigEndian.PutUint16(udp[checksumAt:], sum(pseudo))
	return p
}

// sum is the Internet checksum, not yet inverted.
func sum(b []byte) uint16 {
	total := uint32(0)
	for ; len(b) > 1; b = b[2:] {
		total += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		total += uint32(b[0]) << 8
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}

// checksumWorld is a wire with a UDP socket at its left end, and at its right end an
// AF_XDP socket that may ask for checksums.
type checksumWorld struct {
	*queue
	mac  []byte // of the left end
	udp  int
	port uint16
}

func newChecksumWorld(t *testing.T, software bool) *checksumWorld {
	t.Helper()
	w := newWire(t, attachModes[0].mode)
	umem := newUMEM(t)
	umem.Metadata, umem.SoftwareChecksum = true, software
	c := &checksumWorld{queue: create(t, &w.right, umem)}
	w.left.NS.Run(t, "ip", "addr", "add", destination.String()+"/24", "dev", w.left.Name)
	w.left.NS.Do(t, func() (err error) {
		c.udp, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(c.udp, &unix.SockaddrInet4{Addr: destination.As4()})
		}
		return err
	})
	t.Cleanup(func() { unix.Close(c.udp) })
	address, err := unix.Getsockname(c.udp)
	if err != nil {
		t.Fatal(err)
	}
	c.port = uint16(address.(*unix.SockaddrInet4).Port)
	c.mac = hardwareAddress(t, &w.left)
	return c
}

func hardwareAddress(t testing.TB, end *netnstest.End) (mac []byte) {
	t.Helper()
	end.NS.Do(t, func() error {
		link, err := net.InterfaceByIndex(end.Index)
		if err == nil {
			mac = link.HardwareAddr
		}
		return err
	})
	return mac
}

// submit puts a datagram into TX, and its request in front of it, which spoil may
// change.
func (c *checksumWorld) submit(t *testing.T, chunk uint32, payload string, options uint32, spoil func(metadata []byte)) {
	t.Helper()
	frame := datagram(c.mac, c.port, []byte(payload))
	d := Desc{Addr: uint64(chunk)*testChunk + 64, Len: uint32(len(frame)), Options: options}
	memory, _, _ := c.umem.Packet(d)
	copy(memory, frame)
	metadata := c.umem.Memory[d.Addr-MetadataSize : d.Addr]
	RequestChecksum(metadata, udpAt, checksumAt)
	if spoil != nil {
		spoil(metadata)
	}
	if n := c.TX.Submit([]Desc{d}); n != 1 {
		t.Fatal("TX is full")
	}
}

// wantDatagram waits for the next datagram that the peer's kernel takes for good.
func (c *checksumWorld) wantDatagram(t *testing.T, want string) {
	t.Helper()
	if err := waitReadable(c.udp); err != nil {
		t.Fatal(err)
	}
	if got := string(read(t, c.udp)); got != want {
		t.Errorf("received %q, want %q", got, want)
	}
}

func TestChecksumRequest(t *testing.T) {
	for _, software := range []bool{false, true} {
		c := newChecksumWorld(t, software)
		c.submit(t, rxChunks, "nobody completed the checksum", 0, nil)
		c.submit(t, rxChunks+1, "odd length", OptionMetadata, nil)
		c.submit(t, rxChunks+2, "even length ", OptionMetadata, nil)
		if err := c.Transmit(); err != 0 {
			t.Fatal(err)
		}
		c.wantDatagram(t, "odd length")
		c.wantDatagram(t, "even length ")
	}
}

// A member may find its metadata overwritten by another.
func TestSenselessMetadata(t *testing.T) {
	c := newChecksumWorld(t, false)
	for name, spoil := range map[string]func([]byte){
		"flags":  func(m []byte) { m[7] = 0x80 },
		"start":  func(m []byte) { binary.NativeEndian.PutUint16(m[8:], 5000) },
		"offset": func(m []byte) { binary.NativeEndian.PutUint16(m[10:], 5000) },
		"all of it": func(m []byte) {
			for i := range m {
				m[i] = 0xff
			}
		},
	} {
		c.submit(t, rxChunks, "before "+name, OptionMetadata, nil)
		c.submit(t, rxChunks+1, "spoilt", OptionMetadata, spoil)
		c.submit(t, rxChunks+2, "after "+name, OptionMetadata, nil)
		for range 2 {
			if err := c.Transmit(); err != unix.EINVAL {
				t.Errorf("%s: errno %v, want EINVAL", name, err)
			}
		}
		if n := c.TX.Len(); n != 2 {
			t.Errorf("%s: %d packets are held up, want 2", name, n)
		}
		c.Withdraw()
		if err := c.Transmit(); err != 0 || c.TX.Len() != 0 {
			t.Errorf("%s: errno %v, %d packets are held up after all", name, err, c.TX.Len())
		}
		c.Withdraw() // of nothing
		c.wantDatagram(t, "before "+name)
		c.wantDatagram(t, "after "+name)
		c.done.Reap(ringSize)
	}
}

func TestRequestChecksum(t *testing.T) {
	b := bytes.Repeat([]byte{0xee}, MetadataSize+4)
	RequestChecksum(b, 0x1234, 0x5678)
	want := make([]byte, MetadataSize)
	binary.NativeEndian.PutUint64(want, 2)
	binary.NativeEndian.PutUint16(want[8:], 0x1234)
	binary.NativeEndian.PutUint16(want[10:], 0x5678)
	if !bytes.Equal(b[:MetadataSize], want) || !bytes.Equal(b[MetadataSize:], []byte{0xee, 0xee, 0xee, 0xee}) {
		t.Errorf("% x, want % x", b, want)
	}
}
