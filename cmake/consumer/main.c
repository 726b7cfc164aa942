/* SPDX-License-Identifier: MIT */
/* Uses both headers and both kinds of function; exit status 0 if they are there and work together. */
#include <stdio.h>

#include <msquicxdp/cxplat.h>
#include <msquicxdp/msquicxdp.h>

int main(void)
{
    if (msquicxdp_version() != MSQUICXDP_VERSION) {
        fprintf(stderr, "the header is of another version than the archive\n");
        return 1;
    }
    QUIC_STATUS status = CxPlatDataPathInitialize(0, NULL, NULL, NULL, NULL, NULL);
    if (status != QUIC_STATUS_INVALID_PARAMETER) {
        fprintf(stderr, "CxPlatDataPathInitialize without arguments: %d\n", (int)status);
        return 1;
    }
    char reason[256];
    msquicxdp_last_reason(reason, sizeof reason);
    printf("refused, as it should: %s\n", reason);
    return 0;
}
