// SPDX-License-Identifier: MIT

package rundir

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// All opens the state directories of all network namespaces that were used
// since the machine started, in no order that means anything. It creates
// nothing. With an error it still returns those that can be used.
func All(base string) ([]*Dir, error) {
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	var dirs []*Dir
	err = eachNamespace(base, func(b *directory, ns Namespace) error {
		if ns.BootID != boot {
			return nil
		}
		d, err := b.namespace(ns, false)
		if err == nil {
			dirs = append(dirs, d)
		}
		return err
	})
	return dirs, err
}

// Sweep removes the directories that were left when the machine started anew,
// where the base does not vanish then, and returns their paths. What somebody
// has locked stays: several machines may share a base.
func Sweep(base string) (removed []string, err error) {
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	err = eachNamespace(base, func(b *directory, ns Namespace) error {
		if ns.BootID == boot {
			return nil
		}
		d, err := b.namespace(ns, false)
		if err != nil {
			return err
		}
		defer d.Close()
		if unused, err := d.empty(); err != nil || !unused {
			return err
		}
		if err := unix.Unlinkat(b.fd, ns.String(), unix.AT_REMOVEDIR); err != nil {
			return refusedBy("rmdir", d.path, err)
		}
		removed = append(removed, d.path)
		return nil
	})
	return removed, err
}

// eachNamespace calls f for every directory in the base that has the name of
// one, and joins the errors. A base that is not there has none.
func eachNamespace(base string, f func(b *directory, ns Namespace) error) error {
	b, err := openBase(base, false)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(b.fd)
	names, err := b.names()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if ns, ok := parseNamespace(name); ok {
			errs = append(errs, f(&b, ns))
		}
	}
	return errors.Join(errs...)
}

// empty removes the files that nobody has locked, and reports whether that were all.
func (d *Dir) empty() (unused bool, err error) {
	names, err := d.names()
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if ok, err := d.remove(name); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// remove removes a file unless somebody has a lock in it.
func (d *Dir) remove(name string) (ok bool, err error) {
	f, err := d.OpenExisting(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if ok, err := f.TryLock(0, 0); err != nil || !ok {
		return false, err
	}
	if err := unix.Unlinkat(d.fd, name, 0); err != nil {
		return false, refusedBy("unlink", f.path(), err)
	}
	return true, nil
}
