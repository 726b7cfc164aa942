// SPDX-License-Identifier: MIT

package inspect

import (
	"strings"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// KernelOnly is a claim whose port is served by kernel sockets only.
type KernelOnly struct {
	portres.Held
	Why string
}

// KernelOnly returns the claims whose ports AF_XDP does not serve, in the order of
// Claims.
func (r *Report) KernelOnly() (list []KernelOnly) {
	for _, c := range r.Claims {
		if c.Version == portres.Version && !r.directs(c) {
			list = append(list, KernelOnly{c, r.whyNot(c)})
		}
	}
	return list
}

// directs reports whether a rule of a program gives somebody what comes for the claim.
func (r *Report) directs(c portres.Held) bool {
	if c.Proto != rules.UDP {
		return false
	}
	for _, i := range r.Interfaces {
		if i.Rules != nil && i.InUse() && i.Rules.direct(c) {
			return true
		}
	}
	return false
}

func (rules *Rules) direct(c portres.Held) bool {
	for _, p := range rules.Ports {
		if p.Number != c.Port {
			continue
		}
		return !p.Rule.Shared || rules.has(c.Port, c.Party)
	}
	return false
}

func (r *Rules) has(port uint16, p rules.Party) bool {
	for _, i := range r.Identifiers {
		if i.Port == port && i.ID == p.ID {
			return true
		}
	}
	return false
}

// whyNot says why AF_XDP does not serve a port.
func (r *Report) whyNot(c portres.Held) string {
	if !c.Party.XDP {
		return "it did not ask for XDP"
	}
	for _, n := range r.Notices {
		if n.PID != c.Party.Process {
			continue
		}
		if len(n.Reasons) > 0 {
			return strings.Join(n.Reasons, "; ")
		}
		if len(n.Served) > 0 && !r.seesRules() {
			return "it has XDP on " + strings.Join(n.Served, ", ") + "; whether for this port cannot be seen"
		}
	}
	switch {
	case !r.inUse():
		return "XDP is not in use here"
	case !r.seesRules():
		return "whether it has XDP cannot be seen"
	}
	return "no rule directs its datagrams to an AF_XDP socket"
}

// seesRules reports whether the rules of all classifiers could be looked at.
func (r *Report) seesRules() bool {
	for _, i := range r.Interfaces {
		if i.Occupant.Program != 0 && i.Rules == nil && (i.Ours || i.Occupant.Name == "") {
			return false
		}
	}
	return true
}

// Reasons are all reasons by which classifiers count packets, in their order.
func Reasons() (list []classifier.Reason) {
	for n := range classifier.Reasons {
		list = append(list, classifier.Reason(n))
	}
	return list
}
