// SPDX-License-Identifier: MIT
// Names of the status values, for logs and reports. Pure data.
#include "kernel/lib/status.h"
#include "kernel/lib/compiler.h"

static const char *const names[STATUS_COUNT] = {
    [STATUS_OK] = "ok",
    [STATUS_INVALID] = "invalid argument",
    [STATUS_NO_MEMORY] = "no memory",
    [STATUS_QUOTA] = "quota exceeded",
    [STATUS_NOT_FOUND] = "not found",
    [STATUS_DENIED] = "denied",
    [STATUS_BUSY] = "busy",
    [STATUS_EMPTY] = "empty",
    [STATUS_TOO_SMALL] = "buffer too small",
    [STATUS_FAULT] = "bad user address",
    [STATUS_UNSUPPORTED] = "unsupported",
    [STATUS_STATE] = "wrong state",
    [STATUS_MALFORMED] = "malformed",
    [STATUS_TIMEOUT] = "timeout",
    [STATUS_DEAD] = "dead",
};

/*@
  terminates \true;
  assigns \nothing;
  ensures \result != \null;
  ensures 0 <= status < STATUS_COUNT ==> \result == names[status];
*/
const char *status_name(enum status status)
{
    return (unsigned)status < STATUS_COUNT ? names[status] : "unknown status";
}
