// SPDX-License-Identifier: MIT
// The one result type of functions that can refuse. System calls return -(int64_t)status.
#pragma once

enum status {
    STATUS_OK = 0,
    STATUS_INVALID,     // an argument is outside what the call documents
    STATUS_NO_MEMORY,   // no free page, or a fixed table is full
    STATUS_QUOTA,       // the container's quota does not allow it
    STATUS_NOT_FOUND,   // no such object, handle, module or mapping
    STATUS_DENIED,      // the caller is not the owner, or the handle is of another kind
    STATUS_BUSY,        // held, in use, or the slot is taken
    STATUS_EMPTY,       // nothing there to receive
    STATUS_TOO_SMALL,   // the caller's buffer cannot hold the message; the message is kept
    STATUS_FAULT,       // a user address range is not mapped as needed
    STATUS_UNSUPPORTED, // the processor or this build does not offer it
    STATUS_STATE,       // not allowed in the object's present state
    STATUS_MALFORMED,   // input data breaks the rules of its format
    STATUS_TIMEOUT,     // a bounded wait ended
    STATUS_DEAD,        // the object's owner or the device is gone
    STATUS_COUNT
};

// A short lower-case English name ("no memory"), never null; "unknown status" out of range.
const char *status_name(enum status status);
