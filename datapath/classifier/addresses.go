// SPDX-License-Identifier: MIT

package classifier

import (
	"net/netip"

	"github.com/msquicxdp/msquicxdp/bpf"
)

// SetAddresses says which addresses this host has: packets for others go to the
// kernel. It changes what differs, and adds before it removes. An address of IPv4 and
// its IPv6-mapped form are the same, and zones do not matter.
//
// Every process that has the classifier open may say so, each time it learns of a
// change.
func (c *Classifier) SetAddresses(addresses []netip.Addr) error {
	want := make(map[bpf.ClassifierAddress]bool, len(addresses))
	for _, a := range addresses {
		want[bpf.ClassifierAddress{Bytes: a.As16()}] = true
	}
	have, err := c.addresses()
	if err != nil {
		return err
	}
	for a := range want {
		if !have[a] {
			if err := failed("BPF_MAP_UPDATE_ELEM", addressName(a), c.objects.Addresses.Put(a, uint8(1))); err != nil {
				return err
			}
		}
	}
	for a := range have {
		if !want[a] {
			if err := deleted(addressName(a), c.objects.Addresses.Delete(a)); err != nil {
				return err
			}
		}
	}
	return nil
}

func addressName(a bpf.ClassifierAddress) string {
	return "address " + addressOf(a).String()
}

func addressOf(a bpf.ClassifierAddress) netip.Addr { return netip.AddrFrom16(a.Bytes).Unmap() }

func (c *Classifier) addresses() (map[bpf.ClassifierAddress]bool, error) {
	have := map[bpf.ClassifierAddress]bool{}
	err := each(c, c.objects.Addresses, func(a bpf.ClassifierAddress, _ []uint8) { have[a] = true })
	return have, err
}

// Addresses lists the addresses, in no order.
func (c *Classifier) Addresses() ([]netip.Addr, error) {
	have, err := c.addresses()
	list := make([]netip.Addr, 0, len(have))
	for a := range have {
		list = append(list, addressOf(a))
	}
	return list, err
}
