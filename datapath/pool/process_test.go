// SPDX-License-Identifier: MIT

package pool

// memberEnv makes the test program play a member.
const memberEnv = "POOL_TEST_MEMBER"

func memberMain() {}
