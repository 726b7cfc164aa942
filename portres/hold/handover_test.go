// SPDX-License-Identifier: MIT

package hold

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// A worker of another user gets a member and the guard. The port outlives the
// opener's death with it, as well guarded as before, and is free when it is gone.
func TestHandoverToAnotherUser(t *testing.T) {
	for _, tier := range tiers {
		t.Run(fmt.Sprintf("%s by uid %d", tier.Tier, tier.uid), func(t *testing.T) {
			r := newRoom(t)
			opener, worker := r.actor("opener", uint32(tier.uid)), r.actor("worker", other)
			opened, guard := opener.mustTell(t, order{Do: "open", Most: tier.most})
			if opened.Tier != tier.Tier {
				t.Fatalf("opened as %s, want %s", opened.Tier, tier.Tier)
			}
			_, member := opener.mustTell(t, order{Do: "give"})
			worker.mustTell(t, order{Do: "take"}, member...)
			if adopted, _ := worker.mustTell(t, order{Do: "adopt", Owned: opened.Owned}, guard...); adopted.Tier != tier.Tier {
				t.Errorf("the worker proves %s", adopted.Tier)
			}
			opener.forget()
			r.wantAnswer(0, "opener")
			r.wantAnswer(1, "worker")

			// It cannot bind a member of its own.
			if refused, _ := worker.tell(order{Do: "admit"}); refused.Err == "" {
				t.Error("the worker, of another user, bound a member")
			}

			opener.kill()
			r.wantAnswer(0, "worker") // the only one left has number 0
			strangers := &Door{o: group(rules.UDP, 1), shape: newShape(at("[::]:0").Addr(), false, 0)}
			r.wantKept(strangers, tier.uid, tier.Tier)
			worker.kill()
			r.wantFree()
		})
	}
}

// A second process of the same user stands at the same door.
func TestHandoverToTheSameUser(t *testing.T) {
	for _, tier := range tiers {
		t.Run(fmt.Sprintf("%s by uid %d", tier.Tier, tier.uid), func(t *testing.T) {
			r := newRoom(t)
			first, second := r.actor("first", uint32(tier.uid)), r.actor("second", uint32(tier.uid))
			opened, guard := first.mustTell(t, order{Do: "open", Most: tier.most})
			second.mustTell(t, order{Do: "adopt", Owned: opened.Owned}, guard...)
			first.forget()
			if joined, _ := second.mustTell(t, order{Do: "admit"}); joined.Tier != tier.Tier {
				t.Errorf("the tier is %s after the second joined", joined.Tier)
			}
			r.wantAnswer(0, "first")
			behind := byte(1)
			if tier.Tier == rules.Guarded {
				behind += 2 // spares
			}
			r.wantAnswer(behind, "second")
			first.mustTell(t, order{Do: "admit"})
			first.kill()
			r.wantAnswer(0, "second")
			second.mustTell(t, order{Do: "admit"})
			second.kill()
			r.wantFree()
		})
	}
}

func TestAdoptRefuses(t *testing.T) {
	r := newRoom(t)
	d, members := r.mustOpen(user, group(rules.UDP, 2), rules.Guarded)
	_, tcp := r.mustOpen(user, group(rules.TCP, 2), rules.Unguarded)
	elsewhere := group(rules.UDP, 1)
	elsewhere.Addr = at("[::]:4434")
	noPort := group(rules.UDP, 1)
	noPort.Addr = at("[::]:0")
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	for _, test := range []struct {
		name  string
		o     Options
		guard int
		says  string
	}{
		{"a member", group(rules.UDP, 1), members[0], "is no guard of udp port 4433, but a udp socket at [::]:4433 on interface 0"},
		{"of TCP", group(rules.UDP, 1), tcp[0], "but a tcp socket"},
		{"of another port", elsewhere, d.guard, "no guard of udp port 4434"},
		{"no socket", group(rules.UDP, 1), null, "getsockname"},
		{"no port", noPort, d.guard, "name the port"},
		{"no function", Options{Proto: rules.UDP, Addr: at("[::]:4433")}, d.guard, "makes a socket"},
	} {
		guard, _ := unix.FcntlInt(uintptr(test.guard), unix.F_DUPFD_CLOEXEC, 0)
		_, err := Adopt(test.o, Handover{FDs: []int{guard}})
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v", test.name, err)
		}
		if _, err := unix.FcntlInt(uintptr(guard), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
			t.Errorf("%s: the descriptor is still open", test.name)
		}
	}
	if _, err := Adopt(group(rules.UDP, 1), Handover{FDs: []int{-1, -1}}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("two guards: %v", err)
	}
	r.wantKept(d, user, rules.Guarded)
}
