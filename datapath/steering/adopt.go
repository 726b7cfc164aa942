// SPDX-License-Identifier: MIT

package steering

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// FDs are the descriptors of a group, in the order in which processes hand them
// over: the program, and the maps identifiers, slots, members, config, verdicts
// and delivered.
type FDs [7]int

const programFD = 0 // index in FDs; the maps follow

// part is one map of a group.
type part struct {
	name string
	m    **ebpf.Map
}

// parts lists the maps in the order of [FDs].
func (g *Group) parts() []part {
	maps := &g.objects.ReuseportMaps
	return []part{
		{bpf.ReuseportMapIdentifiers, &maps.Identifiers},
		{bpf.ReuseportMapSlots, &maps.Slots},
		{bpf.ReuseportMapMembers, &maps.Members},
		{bpf.ReuseportMapConfig, &maps.Config},
		{bpf.ReuseportMapVerdicts, &maps.Verdicts},
		{bpf.ReuseportMapDelivered, &maps.Delivered},
	}
}

// FDs returns the descriptors, which stay the group's: they are valid until
// [Group.Close].
func (g *Group) FDs() FDs {
	fds := FDs{programFD: g.objects.MsquicxdpSteer.FD()}
	for i, p := range g.parts() {
		fds[programFD+1+i] = (*p.m).FD()
	}
	return fds
}

// Adopt makes a Group of the descriptors of another, which a process of the same
// port has handed over. They belong to the new Group afterwards; when Adopt fails
// it has closed them. No privilege is needed.
//
// It refuses, and says which and why, descriptors that are not those of one group
// of this version of the maps: a program or map of another type, a map of another
// size, a configuration that can still be changed, or a program that uses others.
func Adopt(fds FDs) (*Group, error) {
	g := &Group{}
	err := adoption.Adopt(adopting, fds[:], func() error {
		if err := g.take(fds); err != nil {
			return err
		}
		return g.verify()
	})
	if err != nil {
		g.Close()
		return nil, fmt.Errorf("steering: adopt: %w", err)
	}
	return g, nil
}

// take wraps every descriptor, or closes it.
func (g *Group) take(fds FDs) error {
	var errs []error
	for i, fd := range fds {
		if slices.Contains(fds[:i], fd) { // two owners would close it twice
			errs = append(errs, fmt.Errorf("descriptor %d is there twice", fd))
			continue
		}
		var err error
		what := "program"
		if i == programFD {
			g.objects.MsquicxdpSteer, err = ebpf.NewProgramFromFD(fd)
		} else {
			p := g.parts()[i-1-programFD]
			*p.m, err = ebpf.NewMapFromFD(fd)
			what = "map " + p.name
		}
		errs = append(errs, kerr.New("bpf", fmt.Sprintf("BPF_OBJ_GET_INFO_BY_FD, %s, descriptor %d", what, fd), err,
			"it is no descriptor of a BPF object"))
	}
	return errors.Join(errs...)
}

// verify finds out whether the parts are what [Create] makes.
func (g *Group) verify() error {
	spec, err := bpf.LoadReuseport()
	if err != nil {
		return err
	}
	var ids []ebpf.MapID
	for _, p := range g.parts() {
		if err := spec.Maps[p.name].Compatible(*p.m); err != nil {
			return fmt.Errorf("map %s: %w", p.name, err)
		}
		info, err := (*p.m).Info()
		if err != nil {
			return fmt.Errorf("map %s: %w", p.name, err)
		}
		if p.name == bpf.ReuseportMapConfig && !info.Frozen() {
			return fmt.Errorf("map %s is not frozen: whoever holds it could change it", p.name)
		}
		id, _ := info.ID()
		ids = append(ids, id)
	}
	if err := g.verifyProgram(ids); err != nil {
		return err
	}
	return g.readConfiguration()
}

// verifyProgram finds out whether the program uses the maps with these ids.
func (g *Group) verifyProgram(ids []ebpf.MapID) error {
	program := g.objects.MsquicxdpSteer
	if program.Type() != ebpf.SkReuseport {
		return fmt.Errorf("the program is of type %v, not %v", program.Type(), ebpf.SkReuseport)
	}
	info, err := program.Info()
	if err != nil {
		return fmt.Errorf("program: %w", err)
	}
	used, _ := info.MapIDs()
	slices.Sort(used)
	slices.Sort(ids)
	if !slices.Equal(used, ids) {
		return fmt.Errorf("the program uses the maps %v, and these are the maps %v", used, ids)
	}
	return nil
}

func (g *Group) readConfiguration() error {
	var c bpf.ReuseportConfiguration
	if err := g.objects.Config.Lookup(uint32(0), &c); err != nil {
		return kerr.New("bpf", "BPF_MAP_LOOKUP_ELEM, config[0]", err, "")
	}
	if c.Magic != bpf.ReuseportFormatMagicFORMAT_MAGIC {
		return fmt.Errorf("the configuration begins with %#x, not %#x: it is none of ours", c.Magic, bpf.ReuseportFormatMagicFORMAT_MAGIC)
	}
	if c.Version != bpf.ReuseportFormatVersionFORMAT_VERSION {
		return fmt.Errorf("the maps have format %d, and this program knows format %d: "+
			"all who share a port must run versions that agree", c.Version, bpf.ReuseportFormatVersionFORMAT_VERSION)
	}
	g.encoding = cibir.Encoding{
		Length:            c.Encoding.Length,
		SourceOffset:      c.Encoding.SourceOffset,
		DestinationOffset: c.Encoding.DestinationOffset,
	}
	return g.encoding.Validate()
}
