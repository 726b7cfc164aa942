// SPDX-License-Identifier: MIT

package classifier

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/msquicxdp/msquicxdp/bpf"
)

// SetAddresses says which addresses this host has: packets for others go to the
// kernel. It changes what differs, and adds before it removes. An address of IPv4 and
// its IPv6-mapped form are the same, and zones do not matter. Addresses by which no
// packet may come from a wire, such as those of loopback, are left out.
//
// Every process that has the classifier open may say so, each time it learns of a
// change: the last one to learn of it has the last word.
func (c *Classifier) SetAddresses(addresses []netip.Addr) error {
	want := make(map[bpf.ClassifierAddress]bool, len(addresses))
	for _, a := range addresses {
		if a = a.Unmap(); a.IsGlobalUnicast() || a.IsLinkLocalUnicast() {
			want[addressKey(a)] = true
		}
	}
	have, err := c.addresses()
	if err != nil {
		return err
	}
	for a := range want {
		if !have[a] {
			if err := put(c.objects.Addresses, addressName(a), a, uint8(1), ebpf.UpdateAny); err != nil {
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
	// Also when nothing differs: somebody may have died between the two.
	return c.renew()
}

func addressName(a bpf.ClassifierAddress) string {
	return "address " + addressOf(a).String()
}

// addressKey is an address as the maps have it.
func addressKey(a netip.Addr) (k bpf.ClassifierAddress) {
	b := a.As16()
	for i := range k.Halves {
		k.Halves[i] = binary.NativeEndian.Uint64(b[8*i:])
	}
	return k
}

func addressOf(k bpf.ClassifierAddress) netip.Addr {
	var b [16]byte
	for i, half := range k.Halves {
		binary.NativeEndian.PutUint64(b[8*i:], half)
	}
	return netip.AddrFrom16(b).Unmap()
}

// renew lets no CPU rely any more on what it has found out before.
func (c *Classifier) renew() error {
	return failed("BPF_MAP_UPDATE_ELEM", "generation", c.objects.Generation.Put(uint32(0), rand.Uint64()))
}

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
