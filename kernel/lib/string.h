// SPDX-License-Identifier: MIT
// The freestanding subset of <string.h>, with the standard's contracts.
// In host tests the C library's own functions are linked instead of string.c.
#pragma once

#include <stddef.h>

void *memcpy(void *restrict destination, const void *restrict source, size_t size);
void *memmove(void *destination, const void *source, size_t size);
/*@
  logic integer byte_at(char *text, integer index) = (unsigned char)text[index];
*/
/*@
  requires \valid((char *)destination + (0 .. size - 1));
  terminates \true;
  assigns ((char *)destination)[0 .. size - 1];
  ensures \result == destination;
  ensures \forall integer i; 0 <= i < size ==>
    byte_at((char *)destination, i) == (unsigned char)byte;
*/
void *memset(void *destination, int byte, size_t size);
int memcmp(const void *left, const void *right, size_t size);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t limit);
int strcmp(const char *left, const char *right);
