// SPDX-License-Identifier: MIT

package bpf

//go:generate go tool bpf2go -cc clang-14 -target bpfel -cflags "-Wall -Wextra -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu" -type format_magic -type format_version -type verdict -type port_kind Classifier classifier.bpf.c
//go:generate sed -i "1i // SPDX-License-Identifier: MIT\\n" classifier_bpfel.go
