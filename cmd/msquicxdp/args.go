// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msquicxdp/msquicxdp/portres/reserve"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// portArgs makes the two arguments PROTO PORT of a command fill in one port.
func portArgs(port *reserve.Range) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) (err error) {
		if *port, err = parsePorts(args); err == nil && port.Count != 1 {
			err = fmt.Errorf("%v is more than one port: name one", *port)
		}
		return err
	}
}

// rangeArgs makes the two arguments PROTO PORT[-PORT] of a command fill in a range.
func rangeArgs(ports *reserve.Range) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) (err error) {
		*ports, err = parsePorts(args)
		return err
	}
}

func parsePorts(args []string) (reserve.Range, error) {
	if len(args) != 2 {
		return reserve.Range{}, fmt.Errorf("%d arguments: a protocol and a port are wanted, such as udp 4433", len(args))
	}
	proto, err := parseProto(args[0])
	if err != nil {
		return reserve.Range{}, err
	}
	first, last, isRange := strings.Cut(args[1], "-")
	start, err := parsePort(first)
	if err != nil {
		return reserve.Range{}, err
	}
	end := start
	if isRange {
		if end, err = parsePort(last); err != nil {
			return reserve.Range{}, err
		}
	}
	if end < start {
		return reserve.Range{}, fmt.Errorf("ports %s: the first is behind the last", args[1])
	}
	return reserve.Range{Proto: proto, Start: start, Count: end - start + 1}, nil
}

func parseProto(text string) (proto rules.Proto, err error) {
	if err = proto.UnmarshalText([]byte(strings.ToLower(text))); err != nil {
		err = fmt.Errorf("protocol %w", err)
	}
	return proto, err
}

// parsePort reads the number of a port. Port 0 is none: it stands for any.
func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no port: want a number from 1 to 65535", text)
	}
	return uint16(n), nil
}

// completeProto completes the first argument of a command.
func completeProto(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{rules.UDP.String(), rules.TCP.String()}, cobra.ShellCompDirectiveNoFileComp
}
