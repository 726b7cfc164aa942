// SPDX-License-Identifier: MIT

// Package rundir keeps the state that processes share while they run: one
// directory for each network namespace, with files that serve as locks.
//
//	<base>/<boot ID>-<cookie of the network namespace>/<file>
//
// The base is what the caller names, else MSQUICXDP_STATE_DIR, else
// [DefaultBase]. Boot ID and cookie together never name two namespaces: the
// kernel gives no cookie twice between two boots, while the inode of a
// namespace and its name are used again.
//
// # Locks
//
// Locks are open file description locks (fcntl(2), F_OFD_SETLK) on ranges of
// bytes, which need not exist. They belong to the open file, go with its last
// descriptor, whatever kills the process, and cannot be lost by closing another
// descriptor of the same file.
//
// # Other users
//
// Whoever can open a lock file can keep others from their locks: to read it is
// enough for a read lock. So a state directory belongs to one user, root or the
// one who asks, and nobody else may write into it; its files have mode 0600.
// Root can share a directory with a group, by making it writable for that
// group; its members then trust each other, and the files have mode 0660.
// Anything else is refused with an [UnavailableError], never repaired: a
// directory that others can change, an owner who is somebody else, a symbolic
// link anywhere on the path, files that are none, that have a second name, or
// that others can open.
//
// # Threads
//
// A [Dir] and a [File] may be used by several goroutines, but not while or
// after they are closed. Every call works at once, except [File.Lock] and
// [Dir.OpenLocked]. All descriptors are close-on-exec.
package rundir
