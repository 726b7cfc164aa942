// SPDX-License-Identifier: MIT

package reserve

import "github.com/msquicxdp/msquicxdp/portres/rules"

// For returns what the store that the environment names, or the default one,
// says of a port to a process of this user and these groups: see [Store.For].
func For(proto rules.Proto, port uint16, uid uint32, gids []uint32) (*rules.Reservation, error) {
	return Open("").For(proto, port, uid, gids)
}

// For returns the reservation of a port in the calling thread's network
// namespace, as the rules for claims want it, or nil when the port is not
// reserved. A claim must not be granted on an error: it means that nobody knows
// what is reserved.
//
// Whether it is enforced is what the kernel shows, and for those who may not
// look, what the administrator asked for.
func (s *Store) For(proto rules.Proto, port uint16, uid uint32, gids []uint32) (*rules.Reservation, error) {
	return s.ruleFor(newEnforcer(ApplyOptions{}), proto, port, uid, gids)
}

func (s *Store) ruleFor(e enforcer, proto rules.Proto, port uint16, uid uint32, gids []uint32) (*rules.Reservation, error) {
	r, err := s.Find(proto, port)
	if r == nil || err != nil {
		return nil, err
	}
	enforced := r.Enforce
	if enforced {
		netns, err := netnsCookie()
		if err != nil {
			return nil, err
		}
		if yes, known := e.enforces(netns, proto, port, r.Token); known {
			enforced = yes
		}
	}
	return &rules.Reservation{
		Token:     r.Token.String(),
		Name:      r.Name,
		Exclusive: r.Exclusive,
		Encoding:  r.Encoding,
		Permitted: r.Permits(uid, gids),
		Enforced:  enforced,
	}, nil
}
