// SPDX-License-Identifier: MIT

package steering

const memberEnv = "STEERING_TEST_MEMBER"

func memberMain() {}
