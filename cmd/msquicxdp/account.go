// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// parseUser reads the name or the number of a user.
func parseUser(text string) (uint32, error) {
	return parseAccount("user", text, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

// parseGroup reads the name or the number of a group.
func parseGroup(text string) (uint32, error) {
	return parseAccount("group", text, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

// parseAccount takes what is no number for a name, as chown(1) does not: a name
// of digits cannot be given.
func parseAccount(what, text string, lookup func(string) (string, error)) (uint32, error) {
	number := text
	if strings.Trim(text, "0123456789") != "" {
		var err error
		if number, err = lookup(text); err != nil {
			return 0, fmt.Errorf("%w: name a %s that this machine knows, or its number", err, what)
		}
	}
	id, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no %s: want a name or a number up to %d", text, what, uint32(1<<32-2))
	}
	return uint32(id), nil
}

// accountsFlag collects users or groups, as pflag's Func wants it: the flag may
// be given again, and takes several with commas between them.
func accountsFlag(list *[]uint32, parse func(string) (uint32, error)) func(string) error {
	return func(text string) error {
		for item := range strings.SplitSeq(text, ",") {
			id, err := parse(item)
			if err != nil {
				return err
			}
			*list = append(*list, id)
		}
		return nil
	}
}

// groupsOf returns the groups of this process if it is the user's, else those in
// which the machine has the user.
func groupsOf(uid uint32) ([]uint32, error) {
	if uid == uint32(os.Geteuid()) {
		groups, err := os.Getgroups()
		gids := []uint32{uint32(os.Getegid())}
		for _, gid := range groups {
			gids = append(gids, uint32(gid))
		}
		return gids, err
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return nil, nil // whom the machine does not know it has in no group
	}
	groups, err := u.GroupIds()
	var gids []uint32
	for _, group := range groups {
		gid, parseErr := parseGroup(group)
		gids, err = append(gids, gid), errors.Join(err, parseErr)
	}
	return gids, err
}
