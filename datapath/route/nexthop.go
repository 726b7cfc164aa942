// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// object is a nexthop object (`ip nexthop`): either a hop, or a group of other
// objects by ID. Groups do not nest.
type object struct {
	hop
	members []uint32
}

// objectHops returns the hops that a nexthop object stands for. Routes name
// objects instead of gateways where net.ipv4.nexthop_compat_mode is 0.
func (c *conn) objectHops(id uint32) ([]hop, error) {
	obj, err := c.object(id)
	if err != nil {
		return nil, err
	}
	if obj.members == nil {
		return []hop{obj.hop}, nil
	}
	var hops []hop
	for _, member := range obj.members {
		obj, err := c.object(member)
		if err != nil {
			return nil, err
		}
		hops = append(hops, obj.hop)
	}
	return hops, nil
}

// object asks for one object. One that has gone since the route was read is
// like a hop without gateway.
func (c *conn) object(id uint32) (object, error) {
	msg, err := c.get(unix.RTM_GETNEXTHOP, unix.RTM_NEWNEXTHOP,
		&nexthopHeader{}, nl.NewRtAttr(unix.NHA_ID, nl.Uint32Attr(id)))
	if errors.Is(err, unix.ENOENT) {
		return object{}, nil
	}
	if err != nil {
		return object{}, &Error{Op: "get nexthop object", Args: fmt.Sprintf("id %d", id), Err: err}
	}
	return parseObject(msg), nil
}

// parseObject reads an RTM_NEWNEXTHOP message: struct nhmsg (four bytes, then
// 32 bits of flags), then attributes.
func parseObject(msg []byte) object {
	if len(msg) < unix.SizeofNhmsg {
		return object{}
	}
	obj := object{hop: hop{dead: u32(msg[4:])&unix.RTNH_F_DEAD != 0}}
	for kind, value := range attributes(after(msg, unix.SizeofNhmsg)) {
		switch kind {
		case unix.NHA_OIF:
			obj.index = int(u32(value))
		case unix.NHA_GATEWAY:
			obj.gateway = addr(value)
		case unix.NHA_GROUP:
			obj.members = parseGroup(value)
		}
	}
	return obj
}

// parseGroup reads a list of struct nexthop_grp, which begins with the ID.
func parseGroup(b []byte) []uint32 {
	members := []uint32{}
	for ; len(b) >= unix.SizeofNexthopGrp; b = b[unix.SizeofNexthopGrp:] {
		members = append(members, u32(b))
	}
	return members
}

// nexthopHeader is struct nhmsg of a request: all zero.
type nexthopHeader struct{}

func (nexthopHeader) Len() int          { return unix.SizeofNhmsg }
func (nexthopHeader) Serialize() []byte { return make([]byte, unix.SizeofNhmsg) }
