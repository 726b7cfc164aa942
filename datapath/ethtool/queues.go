// SPDX-License-Identifier: MIT

package ethtool

import (
	"encoding/binary"
	"fmt"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// struct ethtool_channels: cmd, the most of each kind, and then how many there are: rx, tx,
// other, combined.
const (
	channelsSize     = 36
	channelsRX       = 20
	channelsTX       = 24
	channelsCombined = 32
)

// Queues returns how many receive queues the interface of a name has now.
//
// Errors: [UnsupportedError] where the driver tells nothing: then it has one, as a rule.
func Queues(name string) (int, error) {
	d, err := open(name)
	if err != nil {
		return 0, err
	}
	defer d.close()
	b := make([]byte, channelsSize)
	binary.NativeEndian.PutUint32(b, getChannels)
	if err := d.call(b); err != nil {
		return 0, refusal("ETHTOOL_GCHANNELS", err)
	}
	return int(binary.NativeEndian.Uint32(b[channelsRX:])) + int(binary.NativeEndian.Uint32(b[channelsCombined:])), nil
}

// SetQueues sets how many queues the interface of a name receives and sends by, as
// ethtool -L does.
//
// Errors: EINVAL among others where it has not as many, or AF_XDP sockets are bound to those that would go.
func SetQueues(name string, receive, send int) error {
	d, err := open(name)
	if err != nil {
		return err
	}
	defer d.close()
	b := make([]byte, channelsSize)
	binary.NativeEndian.PutUint32(b, setChannels)
	binary.NativeEndian.PutUint32(b[channelsRX:], uint32(receive))
	binary.NativeEndian.PutUint32(b[channelsTX:], uint32(send))
	return kerr.New("ioctl", fmt.Sprintf("SIOCETHTOOL, ETHTOOL_SCHANNELS of %s to %d and %d", name, receive, send), d.call(b), "")
}
