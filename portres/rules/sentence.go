// SPDX-License-Identifier: MIT

package rules

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// sentences has the text for every cell that the tables have.
var sentences = map[cell]string{
	granted:    "{port} is free: {asker} gets it",
	unenforced: "{port} is {reserved} for others, which is not enforced: the kernel gives it to {asker}",
	opens:      "{port} is free: {asker} opens it, and others may share it",
	alone:      "{port} is free: {asker} serves it alone and shares it with nobody, since it has no steering ({steering})",
	joins:      "{port} is shared: {asker} joins {holder}",
	shares:     "{port} is held by {holder}, and the kernel lets {asker} in beside it, since both are of one user and set SO_REUSEPORT",
	other:      "{port} is {taken}: the kernel chooses another for {asker}",

	no(BadRequest): "{port} cannot be given to {asker}: there is no such kind, or the identifier does not fit the encoding",

	no(NotPermitted):        "{port} is {reserved} for other users than {uid}: choose another port, or have the administrator permit the user",
	no(ReservedExclusively): "{port} is {reserved} for one exclusive holder, which {asker} is not: choose another port, or have it reserved for sharing",
	no(ReservedEncoding):    "{port} is {reserved} for CIBIR listeners with encoding {reserved encoding}, not {encoding}: use that encoding, or choose another port",
	no(ReservedShared):      "{port} is {reserved} for CIBIR listeners, which {asker} is not: choose another port",

	no(HeldByForeign):   "{port} is held by {holder}: stop that program, or choose another port",
	keptOut:             "{port} is held by {holder}: the kernel keeps {asker} off it",
	no(HeldExclusively): "{port} is held exclusively by {holder}: stop that, or choose another port",
	no(HeldAlone):       "{port} is served by {holder}, which shares it with nobody, since it has no steering: give it that ({steering}) and start it again, or choose another port",
	no(HeldShared):      "{port} is shared by {holder}, and {asker} cannot share: choose another port",
	no(OtherUser):       "{port} is shared by {holder}, and not with {uid}: choose another port, or have the administrator reserve it for sharing by both users",
	no(EncodingDiffers): "{port} is shared by {holder}, and not with encoding {encoding}: use the same encoding, or choose another port",
	no(IdentifierTaken): "{port} is shared by {holder}, which has the identifier that is asked for: choose another identifier",
	no(NoSteering):      "{port} is {taken}, and {asker} has no steering to share it: give it that ({steering}), or choose another port",
}

const steering = "BPF needs root or CAP_BPF"

// Sentence says to a person what the decision is and why, and for a refusal
// what to do, in one sentence without a full stop. It is safe to print: what
// programs call themselves is quoted.
func (d Decision) Sentence() string {
	words := []string{
		"{port}", d.port(),
		"{asker}", d.Asker.what(),
		"{uid}", fmt.Sprintf("uid %d", d.Asker.UID),
		"{encoding}", d.Asker.Encoding.String(),
		"{steering}", steering,
	}
	if d.Holder != nil {
		holder := d.Holder.who()
		words = append(words, "{holder}", holder, "{taken}", "held by "+holder)
	}
	if r := d.Reservation; r != nil {
		words = append(words, "{reserved}", r.String(), "{taken}", r.String(), "{reserved encoding}", r.Encoding.String())
	}
	return strings.NewReplacer(words...).Replace(sentences[cell{d.Outcome, d.Reason}])
}

func (d Decision) port() string {
	proto := strings.ToUpper(d.Proto.String())
	if d.Port == 0 {
		return "the " + proto + " port that the kernel chooses"
	}
	return fmt.Sprintf("%s port %d", proto, d.Port)
}

var whats = []string{
	Foreign:  "a foreign program",
	Listener: "a MsQuic listener",
	Client:   "a MsQuic client",
	CIBIR:    "a MsQuic CIBIR listener",
	QTIP:     "a MsQuic QTIP listener",
}

// what says what somebody is.
func (p Party) what() string {
	s := name(whats, p.Kind)
	if p.Kind == CIBIR && p.ID.Len() != 0 {
		s += " with identifier " + p.ID.String()
	}
	return s
}

// who says also which one, as far as it is known.
func (p Party) who() string {
	s := p.what()
	if p.SameProcess {
		s += " in another datapath of the same process"
	}
	var details []string
	if p.Process != 0 {
		details = append(details, fmt.Sprintf("pid %d", p.Process))
	}
	if p.Program != "" {
		details = append(details, strconv.Quote(p.Program))
	}
	details = append(details, fmt.Sprintf("uid %d", p.UID))
	if p.Kind == CIBIR {
		details = append(details, "encoding "+p.Encoding.String())
	}
	if !p.Since.IsZero() {
		details = append(details, "since "+p.Since.Format(time.RFC3339))
	}
	return s + " (" + strings.Join(details, ", ") + ")"
}

func (r Reservation) String() string {
	if r.Name == "" {
		return "reserved"
	}
	return "reserved (" + strconv.Quote(r.Name) + ")"
}
