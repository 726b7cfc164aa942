// SPDX-License-Identifier: MIT

package torture

import (
	"testing"
	"time"
)

func TestWeather(t *testing.T) {
	now := time.Now()
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	w := &weather{storms: []storm{{at(10), at(20)}, {at(30), at(31)}, {from: at(40)}}}
	for _, test := range []struct {
		from, to int
		clear    bool
	}{
		{0, 9, true}, {0, 10, false}, {11, 12, false}, {5, 25, false}, {21, 22, false},
		{22, 29, true}, {22, 30, false}, {33, 39, true}, {35, 40, false}, {50, 60, false},
	} {
		if got := w.clear(at(test.from), at(test.to)); got != test.clear {
			t.Errorf("clear from %d to %d: %v", test.from, test.to, got)
		}
	}
	if since := w.since(); since.Before(now) {
		t.Errorf("since %v, while it lasts", since)
	}
	w.end()
	w.end()
	if until := w.storms[2].until; len(w.storms) != 3 || until.IsZero() || w.since() != until {
		t.Errorf("%+v", w.storms)
	}
}

func TestWeatherForgets(t *testing.T) {
	w := &weather{}
	for range 3 * maxStorms {
		w.begin()
		w.begin()
		w.end()
	}
	if len(w.storms) > maxStorms || !w.clear(time.Now().Add(2*afterStorm), time.Now().Add(3*afterStorm)) {
		t.Errorf("%d storms", len(w.storms))
	}
}
