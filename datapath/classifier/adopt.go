// SPDX-License-Identifier: MIT

package classifier

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// FDs are the descriptors of a classifier, in the order in which processes hand them
// over: the link, the program, and the maps addresses, generation, recent, ports,
// identifiers, short_ids, sockets, queues, config, verdicts and redirected.
type FDs [13]int

const ( // indexes in FDs; the maps follow
	linkFD = iota
	programFD
	mapFDs
)

// part is one map of a classifier.
type part struct {
	name string
	m    **ebpf.Map
}

// parts lists the maps in the order of [FDs].
func (c *Classifier) parts() []part {
	maps := &c.objects.ClassifierMaps
	return []part{
		{bpf.ClassifierMapAddresses, &maps.Addresses},
		{bpf.ClassifierMapGeneration, &maps.Generation},
		{bpf.ClassifierMapRecent, &maps.Recent},
		{bpf.ClassifierMapPorts, &maps.Ports},
		{bpf.ClassifierMapIdentifiers, &maps.Identifiers},
		{bpf.ClassifierMapShortIds, &maps.ShortIds},
		{bpf.ClassifierMapSockets, &maps.Sockets},
		{bpf.ClassifierMapQueues, &maps.Queues},
		{bpf.ClassifierMapConfig, &maps.Config},
		{bpf.ClassifierMapVerdicts, &maps.Verdicts},
		{bpf.ClassifierMapRedirected, &maps.Redirected},
	}
}

// FDs returns the descriptors, which stay the classifier's: they are valid until
// [Classifier.Close]. The first is -1 until it is attached.
func (c *Classifier) FDs() FDs {
	fds := FDs{linkFD: -1, programFD: c.objects.MsquicxdpClassify.FD()}
	if c.link != nil {
		fds[linkFD] = c.link.(interface{ FD() int }).FD()
	}
	for i, p := range c.parts() {
		fds[mapFDs+i] = (*p.m).FD()
	}
	return fds
}

// Adopt makes a Classifier of the descriptors of another, which a process has handed
// over. They belong to the new Classifier afterwards; when Adopt fails it has closed
// them. No privilege is needed.
//
// It refuses, and says which and why, descriptors that are not those of one classifier
// of this version of the maps: a program or map of another type, a map of another
// size, a configuration that can still be changed, a program that uses others, or a
// link of another program.
func Adopt(fds FDs) (*Classifier, error) {
	c := &Classifier{}
	err := adoption.Adopt(adopting, fds[:], func() error {
		if err := c.take(fds); err != nil {
			return err
		}
		return c.verify()
	})
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("classifier: adopt: %w", err)
	}
	return c, nil
}

// take wraps every descriptor, or closes it.
func (c *Classifier) take(fds FDs) error {
	var errs []error
	for i, fd := range fds {
		if slices.Contains(fds[:i], fd) { // two owners would close it twice
			errs = append(errs, fmt.Errorf("descriptor %d is there twice", fd))
			continue
		}
		var err error
		what := "program"
		switch i {
		case linkFD:
			what = "link"
			c.link, err = link.NewFromFD(fd)
		case programFD:
			c.objects.MsquicxdpClassify, err = ebpf.NewProgramFromFD(fd)
		default:
			p := c.parts()[i-mapFDs]
			*p.m, err = ebpf.NewMapFromFD(fd)
			what = "map " + p.name
		}
		errs = append(errs, kerr.New("bpf", fmt.Sprintf("BPF_OBJ_GET_INFO_BY_FD, %s, descriptor %d", what, fd), err,
			"it is no descriptor of a BPF object"))
	}
	return errors.Join(errs...)
}

// Open opens the classifier whose link has this number: see [Attachment]. It needs
// CAP_SYS_ADMIN.
func Open(linkID uint32) (*Classifier, error) {
	c := &Classifier{}
	err := c.open(link.ID(linkID))
	if err == nil {
		err = adoption.Do(adopting, c.verify)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("classifier: open link %d: %w", linkID, err)
	}
	return c, nil
}

// Look opens the classifier whose program has this number, to look at it: it does not
// keep it on its interface, and [Classifier.Attachment] knows of none. It needs
// CAP_SYS_ADMIN.
func Look(program uint32) (*Classifier, error) {
	c := &Classifier{}
	err := c.openProgram(ebpf.ProgramID(program))
	if err == nil {
		err = adoption.Do(adopting, c.verify)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("classifier: look at program %d: %w", program, err)
	}
	return c, nil
}

func (c *Classifier) open(id link.ID) (err error) {
	if c.link, err = link.NewFromID(id); err != nil {
		return kerr.New("bpf", fmt.Sprintf("BPF_LINK_GET_FD_BY_ID, %d", id), err, "")
	}
	info, err := c.link.Info()
	if err != nil {
		return err
	}
	return c.openProgram(info.Program)
}

func (c *Classifier) openProgram(id ebpf.ProgramID) (err error) {
	if c.objects.MsquicxdpClassify, err = ebpf.NewProgramFromID(id); err != nil {
		return kerr.New("bpf", fmt.Sprintf("BPF_PROG_GET_FD_BY_ID, %d", id), err, "it needs the capability CAP_SYS_ADMIN")
	}
	program, err := c.objects.MsquicxdpClassify.Info()
	if err != nil {
		return err
	}
	ids, _ := program.MapIDs()
	for _, id := range ids {
		if err := c.openMap(id); err != nil {
			return err
		}
	}
	for _, p := range c.parts() {
		if *p.m == nil {
			return fmt.Errorf("its program has no map %s: it is no classifier", p.name)
		}
	}
	return nil
}

// openMap opens the map with this number, and knows it by its name.
func (c *Classifier) openMap(id ebpf.MapID) error {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return kerr.New("bpf", fmt.Sprintf("BPF_MAP_GET_FD_BY_ID, %d", id), err, "")
	}
	info, err := m.Info()
	for _, p := range c.parts() {
		if err == nil && p.name == info.Name && *p.m == nil {
			*p.m = m
			return nil
		}
	}
	m.Close()
	return err
}

// verify finds out whether the parts are what [Load] and [Classifier.Attach] make.
func (c *Classifier) verify() (err error) {
	if c.cpus, err = ebpf.PossibleCPU(); err != nil {
		return err
	}
	if err := c.verifyFormat(); err != nil { // of another format all else may differ
		return err
	}
	if err := c.verifyMaps(); err != nil {
		return err
	}
	var configuration bpf.ClassifierConfiguration
	if err := c.objects.Config.Lookup(uint32(0), &configuration); err != nil {
		return failed("BPF_MAP_LOOKUP_ELEM", "config[0]", err)
	}
	c.longest = configuration.Longest
	return c.mapPorts()
}

// verifyFormat reads how the configuration begins in every version.
func (c *Classifier) verifyFormat() error {
	const begin = 8 // bytes: magic and version
	raw, err := c.objects.Config.LookupBytes(uint32(0))
	if err != nil {
		return failed("BPF_MAP_LOOKUP_ELEM", "config[0]", err)
	}
	if len(raw) < begin {
		return fmt.Errorf("map %s has %d bytes: it is none of ours", bpf.ClassifierMapConfig, len(raw))
	}
	if magic := bpf.ClassifierFormatMagic(binary.NativeEndian.Uint32(raw)); magic != bpf.ClassifierFormatMagicFORMAT_MAGIC {
		return fmt.Errorf("the configuration begins with %#x, not %#x: it is none of ours", magic, bpf.ClassifierFormatMagicFORMAT_MAGIC)
	}
	if version := bpf.ClassifierFormatVersion(binary.NativeEndian.Uint32(raw[4:])); version != bpf.ClassifierFormatVersionFORMAT_VERSION {
		return fmt.Errorf("the maps have format %d, and this program knows format %d: "+
			"all who share an interface must run versions that agree", version, bpf.ClassifierFormatVersionFORMAT_VERSION)
	}
	return nil
}

// verifyMaps finds out whether the maps are as [Load] makes them, and belong together.
func (c *Classifier) verifyMaps() error {
	spec, err := bpf.LoadClassifier()
	if err != nil {
		return err
	}
	var ids []ebpf.MapID
	for _, p := range c.parts() {
		if err := spec.Maps[p.name].Compatible(*p.m); err != nil {
			return fmt.Errorf("map %s: %w", p.name, err)
		}
		info, err := (*p.m).Info()
		if err != nil {
			return fmt.Errorf("map %s: %w", p.name, err)
		}
		if p.name == bpf.ClassifierMapConfig && !info.Frozen() {
			return fmt.Errorf("map %s is not frozen: whoever holds it could change it", p.name)
		}
		id, _ := info.ID()
		ids = append(ids, id)
	}
	return c.verifyProgram(ids)
}

// verifyProgram finds out whether the program uses the maps with these ids, and the link the program.
func (c *Classifier) verifyProgram(ids []ebpf.MapID) error {
	program := c.objects.MsquicxdpClassify
	if program.Type() != ebpf.XDP {
		return fmt.Errorf("the program is of type %v, not %v", program.Type(), ebpf.XDP)
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
	if c.link == nil { // only looked at
		return nil
	}
	l, err := c.link.Info()
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	if id, _ := info.ID(); l.Type != link.XDPType || l.Program != id {
		return fmt.Errorf("the link is of type %v for program %d, and this is program %d", l.Type, l.Program, id)
	}
	return nil
}
