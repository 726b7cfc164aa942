// SPDX-License-Identifier: MIT

package torture

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/portres"
)

// objects are the BPF objects that servers have had, by kind and ID.
type objects map[string]map[uint32]bool

var objectKinds = []string{"map_id", "prog_id", "link_id"}

func (o *objects) init() {
	*o = objects{}
	for _, kind := range objectKinds {
		(*o)[kind] = map[uint32]bool{}
	}
}

// look takes down what a process has.
func (o objects) look(pid int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			kind, value, _ := strings.Cut(line, ":")
			if id, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32); err == nil && o[kind] != nil {
				o[kind][uint32(id)] = true
			}
		}
	}
}

// left returns those that are still there.
func (o objects) left() (all []string) {
	for _, kind := range objectKinds {
		for id := range o[kind] {
			if objectExists(kind, id) {
				all = append(all, fmt.Sprintf("%s %d", kind, id))
			}
		}
	}
	return all
}

func objectExists(kind string, id uint32) bool {
	var object interface{ Close() error }
	var err error
	switch kind {
	case "map_id":
		object, err = ebpf.NewMapFromID(ebpf.MapID(id))
	case "prog_id":
		object, err = ebpf.NewProgramFromID(ebpf.ProgramID(id))
	default:
		object, err = link.NewFromID(link.ID(id))
	}
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	_ = object.Close()
	return true
}

// processes returns those of our PID namespace, but for ourselves.
func processes() (all []string, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		name, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "comm"))
		all = append(all, e.Name()+" "+strings.TrimSpace(string(name)))
	}
	return all, nil
}

// checkLeaks wants nothing to be left when all servers have ended.
func (c *Conductor) checkLeaks() {
	_ = c.await("nothing that is left", func() error {
		c.reap()
		left, err := processes()
		if err != nil || len(left) > 0 {
			return fmt.Errorf("processes: %q, %w", left, err)
		}
		if left := c.objects.left(); len(left) > 0 {
			return fmt.Errorf("BPF objects: %q", left)
		}
		view, err := pool.Observe(c.dir)
		if err != nil || len(view.Members) > 0 || len(view.Pools) > 0 {
			return fmt.Errorf("locks of pools: %+v, %w", view, err)
		}
		held, err := portres.List(c.dir)
		if err != nil || len(held) > 0 {
			return fmt.Errorf("claims: %+v, %w", held, err)
		}
		return nil
	})
}

// checkPort wants the port to be free for whoever comes first: a foreign program, a server that
// has it for itself, and servers that share it.
func (c *Conductor) checkPort() error {
	err := c.net.Server.Do(func() error { return bind(10, c.port, 0) })
	if err != nil {
		c.violate("stuck port: a foreign program: %v", err)
		return nil
	}
	for _, how := range [][2]string{{"kernel", "-"}, {"xdp", "-"}, {"xdp", cast[0].id.String()}} {
		p, err := launch(c.net.Server, c.environ(), c.Server, fmt.Sprint(c.port), "1", how[0], how[1])
		if err != nil {
			return err
		}
		if _, err := p.answer(); err != nil {
			c.violate("stuck port: a server that comes when all have ended, %v: %v", how, err)
		}
		if err := p.quit(); err != nil {
			c.violate("the last server: %v", err)
		}
	}
	return nil
}
