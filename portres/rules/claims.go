// SPDX-License-Identifier: MIT

package rules

// claims answers MsQuic's sockets. Neither XDP nor a socket's address is in it,
// nor the process: another datapath of the asking one is met like a stranger.
var claims = table{
	columns: []column{
		{"listener, client, QTIP listener", func(e encounter) bool { return e.ask.Kind != CIBIR && !e.ask.AutoPort }},
		{"with port 0", func(e encounter) bool { return e.ask.Kind != CIBIR }},
		{"CIBIR listener", func(e encounter) bool { return e.ask.Steering && !e.ask.AutoPort }},
		{"with port 0", func(e encounter) bool { return e.ask.Steering }},
		{"CIBIR listener without steering", func(e encounter) bool { return !e.ask.AutoPort }},
		{"with port 0", anything},
	},
	rows: []row{
		{"nobody", "free, its holder crashed, or held in another network namespace",
			isNobody, []cell{granted, granted, opens, opens, alone, alone}},

		{"a foreign socket", "of any user, with or without SO_REUSEPORT",
			isForeign, []cell{no(HeldByForeign), other, no(HeldByForeign), other, no(HeldByForeign), other}},
		{"a CIBIR listener that serves alone", "",
			isAlone, []cell{no(HeldExclusively), other, no(HeldAlone), other, no(HeldAlone), other}},
		{"a listener, client or QTIP listener", "",
			isExclusive, []cell{no(HeldExclusively), other, no(HeldExclusively), other, no(HeldExclusively), other}},

		{"a CIBIR listener of another user", "and no reservation for sharing permits the asker",
			isOtherUser, []cell{no(HeldShared), other, no(OtherUser), other, no(OtherUser), other}},
		{"a CIBIR listener with another encoding", "",
			isOtherEncoding, []cell{no(HeldShared), other, no(EncodingDiffers), other, no(EncodingDiffers), other}},
		{"a CIBIR listener with the same identifier", "",
			isSameIdentifier, []cell{no(HeldShared), other, no(IdentifierTaken), other, no(IdentifierTaken), other}},
		{"a CIBIR listener with another identifier", "",
			isHolder, []cell{no(HeldShared), other, joins, other, no(NoSteering), other}},

		{"a reservation for others", "",
			isForOthers, []cell{no(NotPermitted), other, no(NotPermitted), other, no(NotPermitted), other}},
		{"an exclusive reservation", "",
			isReservedExclusively, []cell{granted, other, no(ReservedExclusively), other, no(ReservedExclusively), other}},
		{"a reservation for sharing, another encoding", "",
			isReservedOtherEncoding, []cell{no(ReservedShared), other, no(ReservedEncoding), other, no(ReservedEncoding), other}},
		{"a reservation for sharing", "",
			anything, []cell{no(ReservedShared), other, opens, other, no(NoSteering), other}},
	},
}

func isNobody(e encounter) bool  { return e.holder == nil && e.reservation == nil }
func isHolder(e encounter) bool  { return e.holder != nil }
func isForeign(e encounter) bool { return isHolder(e) && e.holder.Kind == Foreign }
func isAlone(e encounter) bool   { return isHolder(e) && e.holder.Kind == CIBIR && e.holder.Alone }

// isExclusive holds of kinds that this version does not know, too.
func isExclusive(e encounter) bool { return isHolder(e) && e.holder.Kind != CIBIR }

func isOtherUser(e encounter) bool {
	return isHolder(e) && e.holder.UID != e.ask.UID && !e.sharingPermitted
}

func isOtherEncoding(e encounter) bool  { return isHolder(e) && e.holder.Encoding != e.ask.Encoding }
func isSameIdentifier(e encounter) bool { return isHolder(e) && e.holder.ID == e.ask.ID }

func isForOthers(e encounter) bool             { return !e.reservation.Permitted }
func isReservedExclusively(e encounter) bool   { return e.reservation.Exclusive }
func isReservedOtherEncoding(e encounter) bool { return e.reservation.Encoding != e.ask.Encoding }

var (
	granted = cell{Granted, PortFree}
	opens   = cell{Opens, PortFree}
	joins   = cell{Joins, OtherIdentifier}
	alone   = cell{ServesAlone, NoSteering}
	other   = cell{OtherPort, AnyPort}
)

func no(r Reason) cell { return cell{Refused, r} }
