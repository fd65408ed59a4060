// SPDX-License-Identifier: MIT
// Encoding and decoding of paging-structure entries; see entry.h. Pure; no lock.
#include "arch/x86/paging/entry.h"

#define ADDRESS_MASK 0x000ffffffffff000ull
#define LARGE        (1ull << 7) // both formats

#define HOST_PRESENT  (1ull << 0)
#define HOST_WRITE    (1ull << 1)
#define HOST_USER     (1ull << 2)
#define HOST_PWT      (1ull << 3)
#define HOST_PCD      (1ull << 4)
#define HOST_ACCESSED (1ull << 5)
#define HOST_DIRTY    (1ull << 6)
#define HOST_GLOBAL   (1ull << 8)
#define HOST_NX       (1ull << 63)

#define EPT_READ       (1ull << 0)
#define EPT_WRITE      (1ull << 1)
#define EPT_EXECUTE    (1ull << 2)
#define EPT_TYPE_SHIFT 3u
#define EPT_TYPE_MASK  (7ull << EPT_TYPE_SHIFT)

#define PERMISSIONS_EPT  (PAGE_READ | PAGE_WRITE | PAGE_EXECUTE)
#define PERMISSIONS_HOST (PERMISSIONS_EPT | PAGE_USER | PAGE_GLOBAL)

/*@
  terminates \true;
  assigns \nothing;
  ensures \result <==> MEMORY_TYPE_EXISTS(type);
*/
static bool type_exists(enum memory_type type)
{
    return type == MEMORY_UNCACHEABLE || type == MEMORY_WRITE_COMBINING ||
           type == MEMORY_WRITE_THROUGH || type == MEMORY_WRITE_PROTECTED ||
           type == MEMORY_WRITE_BACK;
}

enum status entry_check(enum page_format format, uint32_t permissions, enum memory_type type)
{
    uint32_t allowed = format == PAGE_FORMAT_HOST ? PERMISSIONS_HOST : PERMISSIONS_EPT;
    if (!(permissions & PAGE_READ) || (permissions & ~allowed) || !type_exists(type)) {
        return STATUS_INVALID;
    }
    if (format == PAGE_FORMAT_HOST &&
        (type == MEMORY_WRITE_COMBINING || type == MEMORY_WRITE_PROTECTED)) {
        return STATUS_UNSUPPORTED; // HOST_PAT has no entry for them
    }
    return STATUS_OK;
}

bool entry_present(enum page_format format, uint64_t entry)
{
    uint64_t bits = format == PAGE_FORMAT_HOST ? HOST_PRESENT : EPT_READ | EPT_WRITE | EPT_EXECUTE;
    return (entry & bits) != 0;
}

bool entry_is_leaf(uint64_t entry, unsigned level)
{
    return level == 0 || (entry & LARGE) != 0;
}

uint64_t entry_table(enum page_format format, uint64_t physical, bool user)
{
    if (format == PAGE_FORMAT_EPT) {
        return physical | EPT_READ | EPT_WRITE | EPT_EXECUTE;
    }
    return physical | HOST_PRESENT | HOST_WRITE | HOST_ACCESSED | (user ? HOST_USER : 0);
}

/*@
  requires MEMORY_TYPE_EXISTS(type);
  terminates \true;
  assigns \nothing;
  ensures WORD_BIT(\result, 0) && !WORD_BIT(\result, 7);
  ensures SAME_BIT(\result, permissions, 1);
  ensures WORD_BIT(\result, 2) <==> WORD_BIT(permissions, 3);
  ensures WORD_BIT(\result, 63) <==> !WORD_BIT(permissions, 2);
  ensures WORD_BIT(\result, 3) <==> type == 4 || type == 0;
  ensures WORD_BIT(\result, 4) <==> type == 0;
  ensures (\result & FRAME_BITS) == 0;
*/
static uint64_t host_leaf(uint32_t permissions, enum memory_type type)
{
    // Accessed and dirty are set so that the processor never has to.
    uint64_t entry = HOST_PRESENT | HOST_ACCESSED | HOST_DIRTY;
    entry |= permissions & PAGE_WRITE ? HOST_WRITE : 0;
    entry |= permissions & PAGE_USER ? HOST_USER : 0;
    entry |= permissions & PAGE_GLOBAL ? HOST_GLOBAL : 0;
    entry |= permissions & PAGE_EXECUTE ? 0 : HOST_NX;
    entry |= type == MEMORY_WRITE_THROUGH ? HOST_PWT : 0;
    entry |= type == MEMORY_UNCACHEABLE ? HOST_PWT | HOST_PCD : 0;
    return entry;
}

/*@
  requires MEMORY_TYPE_EXISTS(type);
  terminates \true;
  assigns \nothing;
  ensures WORD_BIT(\result, 0) && SAME_BIT(\result, permissions, 1) &&
    SAME_BIT(\result, permissions, 2);
  ensures WORD_BIT(\result, 3) <==> WORD_BIT(type, 0);
  ensures WORD_BIT(\result, 4) <==> WORD_BIT(type, 1);
  ensures WORD_BIT(\result, 5) <==> WORD_BIT(type, 2);
  ensures FOR_EACH_TYPE(type, !WORD_BIT(\result, 6) && !WORD_BIT(\result, 7));
  ensures FOR_EACH_TYPE(type, (\result & FRAME_BITS) == 0);
*/
static uint64_t ept_leaf(uint32_t permissions, enum memory_type type)
{
    uint64_t entry = EPT_READ | (uint64_t)type << EPT_TYPE_SHIFT;
    entry |= permissions & PAGE_WRITE ? EPT_WRITE : 0;
    entry |= permissions & PAGE_EXECUTE ? EPT_EXECUTE : 0;
    return entry;
}

uint64_t entry_leaf(enum page_format format, uint64_t physical, uint32_t permissions,
                    enum memory_type type, unsigned level)
{
    uint64_t bits =
        format == PAGE_FORMAT_HOST ? host_leaf(permissions, type) : ept_leaf(permissions, type);
    return physical | bits | (level != 0 ? LARGE : 0);
}

uint64_t entry_address(uint64_t entry)
{
    return entry & ADDRESS_MASK;
}

uint64_t entry_leaf_address(uint64_t entry, unsigned level)
{
    return entry & ADDRESS_MASK & ~((PAGE_SIZE << (9 * level)) - 1);
}

uint32_t entry_permissions(enum page_format format, uint64_t entry)
{
    uint32_t permissions = PAGE_READ;
    if (format == PAGE_FORMAT_EPT) {
        permissions |= entry & EPT_WRITE ? PAGE_WRITE : 0;
        permissions |= entry & EPT_EXECUTE ? PAGE_EXECUTE : 0;
        return permissions;
    }
    permissions |= entry & HOST_WRITE ? PAGE_WRITE : 0;
    permissions |= entry & HOST_USER ? PAGE_USER : 0;
    permissions |= entry & HOST_GLOBAL ? PAGE_GLOBAL : 0;
    permissions |= entry & HOST_NX ? 0 : PAGE_EXECUTE;
    return permissions;
}

enum memory_type entry_type(enum page_format format, uint64_t entry)
{
    if (format == PAGE_FORMAT_EPT) {
        return (enum memory_type)((entry & EPT_TYPE_MASK) >> EPT_TYPE_SHIFT);
    }
    if (entry & HOST_PCD) {
        return MEMORY_UNCACHEABLE;
    }
    return entry & HOST_PWT ? MEMORY_WRITE_THROUGH : MEMORY_WRITE_BACK;
}
