// SPDX-License-Identifier: MIT

package classifier

import "testing"

// occupant asks what is on the right end.
func (w *wire) occupant() (o Occupant) {
	w.t.Helper()
	w.right.NS.Do(w.t, func() (err error) {
		o, err = On(w.right.Index)
		return err
	})
	return o
}

// Who looks sees rules and counters, and does not keep the program where it is.
func TestLook(t *testing.T) {
	w := newWire(t)
	if o := w.occupant(); o.Program != 0 || o.Ours() || o.Interface != w.right.Name {
		t.Errorf("%+v", o)
	}
	c := newClassifier(t, Options{})
	a, err := w.attach(c, AnyMode)
	check(t, err, c.PutPort(443, Exclusive(5)), c.SetAddresses(addresses("10.0.0.2")))
	if o := w.occupant(); o.Program != a.Program || !o.Ours() || o.Mode != a.Mode {
		t.Errorf("%+v, attached as %+v", o, a)
	}
	seen, err := Look(a.Program)
	check(t, err)
	defer seen.Close()
	ports, err := seen.Ports()
	if err != nil || len(ports) != 1 || ports[0] != (Port{443, Exclusive(5)}) {
		t.Errorf("%v, %v", ports, err)
	}
	if _, _, err := seen.Counters(); err != nil {
		t.Error(err)
	}
	check(t, c.Close())
	until(t, "the program leaves", func() bool { return w.occupant().Program == 0 })
}

func TestLookAtAnother(t *testing.T) {
	w := newWire(t)
	program := passing(t, "foreign")
	w.right.NS.Do(t, func() error { return foreign["generic"].put(w, program) })
	o := w.occupant()
	if o.Program == 0 || o.Name != "foreign" || o.Ours() || o.Mode != Generic {
		t.Errorf("%+v", o)
	}
	if c, err := Look(o.Program); err == nil {
		c.Close()
		t.Error("it was taken for a classifier")
	}
}
