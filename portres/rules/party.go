// SPDX-License-Identifier: MIT

package rules

import (
	"time"

	"github.com/msquicxdp/msquicxdp/cibir"
)

// Proto is a transport protocol, by its number (IPPROTO_). UDP and TCP ports
// have nothing to do with each other.
type Proto uint8

const (
	TCP Proto = 6
	UDP Proto = 17
)

var protoNames = []string{TCP: "tcp", UDP: "udp"}

func (p Proto) String() string                { return name(protoNames, p) }
func (p Proto) MarshalText() ([]byte, error)  { return []byte(p.String()), nil }
func (p *Proto) UnmarshalText(b []byte) error { return parse(protoNames, b, p) }

// Kind is what somebody has, or wants, a port for.
type Kind uint8

const (
	Foreign  Kind = iota // a socket of a program that knows nothing of us
	Listener             // a MsQuic listener without CIBIR
	Client               // a MsQuic client socket
	CIBIR                // a MsQuic listener with CIBIR
	QTIP                 // a MsQuic listener that takes QUIC over TCP as well
)

var kindNames = []string{"foreign", "listener", "client", "cibir", "qtip"}

func (k Kind) String() string                { return name(kindNames, k) }
func (k Kind) MarshalText() ([]byte, error)  { return []byte(k.String()), nil }
func (k *Kind) UnmarshalText(b []byte) error { return parse(kindNames, b, k) }

// Tier is how well the kernel keeps foreign programs off a port. A higher one
// keeps out all that a lower one does.
type Tier uint8

const (
	Unguarded Tier = iota // all but SO_REUSEPORT sockets of the holder's user
	Guarded               // all but those of them that are bound to an interface
	Owned                 // everybody
)

var tierNames = []string{"unguarded", "guarded", "owned"}

func (t Tier) String() string                { return name(tierNames, t) }
func (t Tier) MarshalText() ([]byte, error)  { return []byte(t.String()), nil }
func (t *Tier) UnmarshalText(b []byte) error { return parse(tierNames, b, t) }

// Party is somebody who has a port, or asks for it.
type Party struct {
	Kind Kind
	XDP  bool // no rule depends on it: a port is had with or without XDP
	UID  uint32

	// Of a foreign socket: it has set SO_REUSEPORT, and it is bound to an
	// interface (SO_BINDTODEVICE, SO_BINDTOIFINDEX).
	ReusePort   bool
	DeviceBound bool

	// Of a CIBIR listener.
	ID       cibir.ID
	Encoding cibir.Encoding
	Steering bool // asking: it can have BPF steering or XDP
	Alone    bool // holding: without steering, so under an exclusive claim

	// Of a holder, for people. Zero is unknown.
	Process int
	Program string
	Since   time.Time

	Tier        Tier // of a holder of ours
	SameProcess bool // the holder is the asking process, in another datapath
}
