// SPDX-License-Identifier: MIT

package notice

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// The name of a notice is prefix, the process, a dot, random letters, and suffix.
const (
	prefix = "xdp."
	suffix = ".notice"
)

// heldAt is the byte that its writer has for itself. It does not exist.
const heldAt = 1 << 40

// Posted is a notice that others can read. Its methods may be called by several goroutines.
type Posted struct {
	mu   sync.Mutex
	dir  *rundir.Dir
	file *rundir.File // nil when it is withdrawn
}

// Post puts a notice up in the network namespace of dir, and takes down those of dead
// processes. dir stays the caller's, and open until [Posted.Withdraw].
func Post(dir *rundir.Dir, n Notice) (*Posted, error) {
	if err := sweep(dir); err != nil {
		return nil, err
	}
	file, err := dir.OpenLocked(fmt.Sprintf("%s%d.%s%s", prefix, n.PID, rand.Text(), suffix), heldAt, 1)
	if err != nil {
		return nil, err
	}
	p := &Posted{dir: dir, file: file}
	if err := p.Change(n); err != nil {
		return nil, errors.Join(err, p.Withdraw())
	}
	return p, nil
}

// Change writes another notice over it.
func (p *Posted) Change(n Notice) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil {
		return os.ErrClosed
	}
	_, err := p.file.WriteAt(n.encode(), 0)
	return err
}

// Withdraw takes the notice down, and does nothing the second time.
func (p *Posted) Withdraw() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil {
		return nil
	}
	err := errors.Join(remove(p.dir, p.file.Name()), p.file.Close())
	p.file = nil
	return err
}

func remove(dir *rundir.Dir, name string) error {
	err := os.Remove(dir.ShortPath(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return kerr.New("unlink", dir.Path()+"/"+name, err, "")
}

// names returns the names of notices, of the dead too.
func names(dir *rundir.Dir) (list []string, err error) {
	all, err := dir.Names()
	for _, name := range all {
		if strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix) {
			list = append(list, name)
		}
	}
	return list, err
}

// sweep removes the notices of dead processes. Who is just about to lock its own finds
// out that it has gone, and makes it anew.
func sweep(dir *rundir.Dir) error {
	list, err := names(dir)
	for _, name := range list {
		file, errOpen := dir.OpenExisting(name)
		if errOpen != nil { // it goes by itself, or is none of ours to remove
			continue
		}
		if ok, errLock := file.TryLock(heldAt, 1); ok && errLock == nil {
			err = errors.Join(err, remove(dir, name))
		}
		err = errors.Join(err, file.Close())
	}
	return err
}
