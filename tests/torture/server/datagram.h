/* SPDX-License-Identifier: MIT */
/*
 * datagram.h - what the load is made of; load.go makes the same.
 *
 *     0      1           17     18           20         24         32
 *     | 0x40 | conn. ID  | kind | identifier | process  | sequence | pattern ...
 *
 * It looks like a short header of QUIC. A question leaves identifier and process empty; the answer is
 * the question with them filled in. Numbers are big-endian.
 */
#ifndef TORTURE_DATAGRAM_H
#define TORTURE_DATAGRAM_H

enum {
    DATAGRAM_FIRST = 0x40,
    DATAGRAM_ID = 1, /* the connection ID */
    DATAGRAM_KIND = 17,
    DATAGRAM_IDENTIFIER = 18,
    DATAGRAM_PROCESS = 20,
    DATAGRAM_LEAST = 32,
    QUESTION = 'q',
    ANSWER = 'a',
    IDENTIFIER_LENGTH = 2,
    IDENTIFIER_OFFSET = 2 /* in a connection ID, as the demo's servers have it */
};

#endif
