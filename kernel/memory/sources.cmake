# SPDX-License-Identifier: MIT
set(SOURCES container.c container_link.c container_revoke.c page_allocator.c page_blocks.c page_locked.c page_stock.c memory.c object.c
    region_list.c address_space.c user_copy.c shootdown.c)
