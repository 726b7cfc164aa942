// SPDX-License-Identifier: MIT

package pool

// Census says where the chunks of a pool are.
type Census struct{}
