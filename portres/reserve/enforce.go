// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// defaultBPFFS is where systemd and most others mount the BPF file system.
const defaultBPFFS = "/sys/fs/bpf"

// The pins are in bpfFolder/pinFolder of the BPF file system. The number in the
// name goes up with every change of what the maps of bind.bpf.c mean.
const (
	bpfFolder = "msquicxdp"
	pinFolder = "bind-1"
)

// hooks are the four places where the kernel asks, by the names of their pins.
var hooks = []struct {
	name    string
	attach  ebpf.AttachType
	program func(*bpf.BindPrograms) *ebpf.Program
}{
	{"bind4", ebpf.AttachCGroupInet4Bind, func(p *bpf.BindPrograms) *ebpf.Program { return p.MsquicxdpBind4 }},
	{"bind6", ebpf.AttachCGroupInet6Bind, func(p *bpf.BindPrograms) *ebpf.Program { return p.MsquicxdpBind6 }},
	{"post_bind4", ebpf.AttachCGroupInet4PostBind, func(p *bpf.BindPrograms) *ebpf.Program { return p.MsquicxdpPost4 }},
	{"post_bind6", ebpf.AttachCGroupInet6PostBind, func(p *bpf.BindPrograms) *ebpf.Program { return p.MsquicxdpPost6 }},
}

// enforcer has the kernel refuse ports to those who are not permitted. The
// programs are attached by links only, and the links are pinned: they live on
// without us, and nobody's legacy attachment is touched.
type enforcer struct{ cgroup, bpffs string }

func newEnforcer(o ApplyOptions) enforcer {
	if o.BPFFS == "" {
		o.BPFFS = defaultBPFFS
	}
	return enforcer{cgroup: o.Cgroup, bpffs: filepath.Clean(o.BPFFS)}
}

// pin returns the path of a pin.
func (e enforcer) pin(name string) string {
	return filepath.Join(e.bpffs, bpfFolder, pinFolder, name)
}

// enforce makes the kernel refuse, in one network namespace, what the
// reservations say, and nothing else.
func (a *Applied) enforce(e enforcer, netns uint64, list []Reservation) error {
	want, enforced := grantsOf(netns, list)
	if len(enforced) == 0 && !e.pinned(bpf.BindMapPorts) {
		return nil // never was
	}
	pins, err := e.openPins()
	if err != nil {
		return err
	}
	defer pins.Close()
	var objects bpf.BindObjects
	err = bpf.LoadBindObjects(&objects, &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: pins.Name()}})
	if err != nil {
		return unavailable("load BPF programs", err)
	}
	defer objects.Close()
	if err := want.fill(&objects.BindMaps, netns); err != nil {
		return err
	}
	if len(enforced) == 0 {
		return e.retire(&objects.BindMaps)
	}
	if err := e.attachAll(&objects.BindPrograms); err != nil {
		return err
	}
	a.Enforced = enforced
	return nil
}

// pinned says whether there is such a pin, as far as this process may know.
func (e enforcer) pinned(name string) bool {
	_, err := os.Lstat(e.pin(name))
	return err == nil
}

// openPins opens the directory of the pins, and waits for who is at work in it.
// Others than root cannot keep us waiting: they cannot open it.
func (e enforcer) openPins() (folder, error) {
	var st unix.Statfs_t
	err := unix.Statfs(e.bpffs, &st)
	if err == nil && st.Type != unix.BPF_FS_MAGIC {
		err = unix.ENODEV
	}
	if err != nil {
		need := fmt.Sprintf("a BPF file system at %s (mount -t bpf bpf %[1]s)", e.bpffs)
		return folder{}, &UnavailableError{need, kerr.New("statfs", e.bpffs, err, "")}
	}
	above, err := openFolder(filepath.Join(e.bpffs, bpfFolder), publicFolder)
	if err != nil {
		return folder{}, err
	}
	defer above.Close()
	pins, err := openFolder(filepath.Join(e.bpffs, bpfFolder, pinFolder), privateFolder)
	if err != nil {
		return folder{}, err
	}
	if err := pins.flock(); err != nil {
		pins.Close()
		return folder{}, err
	}
	return pins, nil
}

// attachAll attaches the programs, or puts them in the place of those of an
// earlier version, at each hook without a moment in between.
func (e enforcer) attachAll(programs *bpf.BindPrograms) error {
	path := e.cgroup
	if path == "" {
		var err error
		if path, err = cgroupTop(); err != nil {
			return err
		}
	}
	cgroup, err := os.Open(path)
	if err != nil {
		return kerr.New("open", "cgroup "+path, err, "")
	}
	defer cgroup.Close()
	for _, hook := range hooks {
		err := attach(cgroup, e.pin(hook.name), hook.attach, hook.program(programs))
		if errors.Is(err, unix.EPERM) { // ours were loaded, so we may attach
			need := fmt.Sprintf("that the program which is attached there for itself alone goes (bpftool cgroup show %s)", path)
			return &UnavailableError{need, fmt.Errorf("attach %s: %w", hook.name, err)}
		}
		if err != nil {
			return unavailable(fmt.Sprintf("attach %s at cgroup %s", hook.name, path), err)
		}
	}
	return nil
}

// attach makes the link that is pinned at path run a program at a cgroup.
func attach(cgroup *os.File, path string, at ebpf.AttachType, program *ebpf.Program) error {
	pinned, err := link.LoadPinnedLink(path, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return attachNew(cgroup, path, at, program)
	}
	if err != nil {
		return err
	}
	defer pinned.Close()
	if isAt(pinned, cgroup) {
		return pinned.Update(program)
	}
	if err := attachNew(cgroup, path, at, program); err != nil {
		return err
	}
	return pinned.Detach() // by itself it would go a little later
}

// attachNew makes a link and pins it, in the place of the pin that is there.
func attachNew(cgroup *os.File, path string, at ebpf.AttachType, program *ebpf.Program) error {
	l, err := link.AttachRawLink(link.RawLinkOptions{Target: int(cgroup.Fd()), Program: program, Attach: at})
	if err != nil {
		return err
	}
	defer l.Close()
	temporary := path + "_new" // no dot: the BPF file system takes none
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := l.Pin(temporary); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// isAt says whether a link is attached at a cgroup. A link whose cgroup was
// removed is attached nowhere.
func isAt(l link.Link, cgroup *os.File) bool {
	info, err := l.Info()
	if err != nil || info.Cgroup() == nil {
		return false
	}
	var st unix.Stat_t // a cgroup's number is its directory's inode
	return unix.Fstat(int(cgroup.Fd()), &st) == nil && info.Cgroup().CgroupId == st.Ino
}

// retire takes the programs away when no network namespace needs them any more.
func (e enforcer) retire(maps *bpf.BindMaps) error {
	var port bpf.BindPort
	if err := maps.Ports.NextKey(nil, &port); !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err // nil: another namespace has ports
	}
	for _, hook := range hooks {
		if err := unpin(e.pin(hook.name)); err != nil {
			return err
		}
	}
	return errors.Join(unpin(e.pin(bpf.BindMapPermits)), unpin(e.pin(bpf.BindMapPorts)))
}

func unpin(path string) error {
	err := unix.Unlink(path)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return kerr.New("unlink", path, err, "")
}

// enforces says whether the kernel refuses a port to all but those whom a
// reservation permits. known is false when this process may not look.
func (e enforcer) enforces(netns uint64, proto rules.Proto, port uint16, token Token) (yes, known bool) {
	ports, err := ebpf.LoadPinnedMap(e.pin(bpf.BindMapPorts), &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		return false, errors.Is(err, fs.ErrNotExist)
	}
	defer ports.Close()
	var found Token
	if err := ports.Lookup(portKey(netns, proto, port), &found); err != nil {
		return false, errors.Is(err, ebpf.ErrKeyNotExist)
	}
	for _, hook := range hooks {
		if !e.pinned(hook.name) {
			return false, true
		}
	}
	return found == token, true
}
