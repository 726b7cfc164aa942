// SPDX-License-Identifier: MIT

package reserve

import (
	"path/filepath"
	"strings"
)

// memoryName is a file of the state directory: the ports of the kernel's list
// that are there because of reservations. It goes when the list goes, with the
// namespace or the machine.
const memoryName = "reserved-ports"

const memoryTitle = "msquicxdp-reserved-ports 1\n"

// recall returns the ports that [remember] was given last. A file that it did
// not write says nothing: ports that nobody remembers stay in the kernel's
// list, which does no harm, and no port is taken out that may be another's.
func recall(state folder) (*portSet, error) {
	content, err := readFile(filepath.Join(state.Name(), memoryName))
	if err != nil {
		return nil, err
	}
	list, ok := strings.CutPrefix(string(content), memoryTitle)
	list, whole := strings.CutSuffix(list, "\n")
	if ports, err := parsePortSet(list); ok && whole && err == nil {
		return ports, nil
	}
	return &portSet{}, nil
}

// remember keeps the ports in mind, in the place of those that are there.
func remember(state folder, old, ports *portSet) error {
	if *old == *ports {
		return nil
	}
	return state.replace(memoryName, []byte(memoryTitle+ports.String()+"\n"), privateFile)
}
