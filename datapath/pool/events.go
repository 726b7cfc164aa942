// SPDX-License-Identifier: MIT

package pool

// Event is something that happened to other members.
type Event struct{}
