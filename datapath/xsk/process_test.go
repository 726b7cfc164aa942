// SPDX-License-Identifier: MIT

package xsk

// memberEnv makes the test program play a member.
const memberEnv = "XSK_TEST_MEMBER"

func memberMain() {}
