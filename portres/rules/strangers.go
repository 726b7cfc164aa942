// SPDX-License-Identifier: MIT

package rules

// strangers says what the kernel does with foreign sockets, which ask nobody.
// It compares sockets whose addresses overlap, and "same user" means that of
// the socket there, by the owner of its inode.
var strangers = table{
	columns: []column{
		{"bind", func(e encounter) bool { return !sameReusePort(e) && !e.ask.AutoPort }},
		{"to port 0", func(e encounter) bool { return !sameReusePort(e) }},
		{"bind with SO_REUSEPORT, same user", func(e encounter) bool { return !e.ask.DeviceBound && !e.ask.AutoPort }},
		{"to port 0", func(e encounter) bool { return !e.ask.DeviceBound }},
		{"the same, on an interface", func(e encounter) bool { return !e.ask.AutoPort }},
		{"to port 0", anything},
	},
	rows: []row{
		{"nobody", "", isNobody, []cell{granted, granted, granted, granted, granted, granted}},

		{"a socket without SO_REUSEPORT", "a foreign one, or that of a client of ours",
			isPlainSocket, []cell{keptOut, other, keptOut, other, keptOut, other}},
		{"a foreign socket with SO_REUSEPORT", "",
			isForeign, []cell{keptOut, other, shares, shares, shares, shares}},

		{"a listener of ours, unguarded", "", isTier(Unguarded), []cell{keptOut, other, shares, shares, shares, shares}},
		{"a listener of ours, guarded", "", isTier(Guarded), []cell{keptOut, other, keptOut, other, shares, shares}},
		{"a listener of ours, owned", "", isHolder, []cell{keptOut, other, keptOut, other, keptOut, other}},

		{"a reservation that permits the user", "",
			isPermitted, []cell{granted, other, granted, other, granted, other}},
		{"a reservation for others, enforced", "",
			isEnforced, []cell{no(NotPermitted), other, no(NotPermitted), other, no(NotPermitted), other}},
		{"a reservation for others, not enforced", "",
			anything, []cell{unenforced, other, unenforced, other, unenforced, other}},
	},
}

var (
	keptOut    = no(KeptOut)
	shares     = cell{Shares, SameUser}
	unenforced = cell{Granted, NotEnforced}
)

// sameReusePort is what the kernel asks for to let a socket in beside another.
// For port 0 it considers that of UDP sockets only.
func sameReusePort(e encounter) bool {
	return e.ask.ReusePort && (e.holder == nil || e.holder.UID == e.ask.UID) && (e.proto == UDP || !e.ask.AutoPort)
}

func isPlainSocket(e encounter) bool {
	return isHolder(e) && (e.holder.Kind == Client || e.holder.Kind == Foreign && !e.holder.ReusePort)
}

func isTier(t Tier) func(encounter) bool {
	return func(e encounter) bool { return isHolder(e) && e.holder.Tier == t }
}

func isPermitted(e encounter) bool { return e.reservation.Permitted }
func isEnforced(e encounter) bool  { return e.reservation.Enforced }
