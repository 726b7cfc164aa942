// SPDX-License-Identifier: MIT

package pool

// point is a place between two steps that others can see, at which tests let a member stop
// or die.
type point int

const (
	beforePush point = 1 + iota // of a receive turn
	afterPush
	afterRelease
	afterMissing // of what is done for a dead member
	beforeRest
	afterRest
)

// at lets a test stop here.
func (q *Queue) at(p point) {
	if q.step != nil {
		q.step(p)
	}
}
