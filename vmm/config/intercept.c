// SPDX-License-Identifier: MIT
// See intercept.h.
#include "vmm/config/intercept.h"

#include "kernel/lib/format.h"

static const struct {
    const char *word;
    uint32_t bit;
} words[] = {
    {"invlpg", VM_INTERCEPT_INVLPG},
    {"rdtsc", VM_INTERCEPT_RDTSC},
    {"cr3", VM_INTERCEPT_CR3},
    {"dr", VM_INTERCEPT_DR},
    {"pause", VM_INTERCEPT_PAUSE},
    {"step", VM_INTERCEPT_STEP},
    {"tables", VM_INTERCEPT_TABLES},
    {"rdrand", VM_INTERCEPT_RDRAND},
    {"rdseed", VM_INTERCEPT_RDSEED},
    {"vmfunc", VM_INTERCEPT_VMFUNC},
    {"user-wait", VM_INTERCEPT_USER_WAIT},
    {"getsec", VM_INTERCEPT_GETSEC},
    {"dirty", VM_INTERCEPT_DIRTY},
    {"apic-page", VM_INTERCEPT_APIC_PAGE},
    {"tpr", VM_INTERCEPT_TPR},
    {"bad-msr", VM_INTERCEPT_BAD_MSR},
    {"bad-nested", VM_INTERCEPT_BAD_NESTED},
    {"bad-state", CONFIG_INTERCEPT_BAD_STATE},
    {"exceptions", CONFIG_INTERCEPT_EXCEPTIONS},
};

static struct config_text next_word(struct config_text *rest)
{
    struct config_text word = {rest->start, 0};

    while (word.length < rest->length && word.start[word.length] != ',') {
        word.length++;
    }
    rest->start += word.length;
    rest->length -= word.length;
    return word;
}

bool config_take_intercepts(struct config_text text, uint32_t *intercepts,
                            struct config_text *unknown)
{
    *intercepts = 0;
    for (;;) {
        uint32_t bit = 0;

        *unknown = next_word(&text);
        for (uint32_t i = 0; i < ARRAY_COUNT(words); i++) {
            bit |= config_text_is(*unknown, words[i].word) ? words[i].bit : 0;
        }
        if (bit == 0) {
            return false;
        }
        *intercepts |= bit;
        if (text.length == 0) {
            return true;
        }
        text.start++; // the comma
        text.length--;
    }
}

void config_intercept_words(uint32_t intercepts, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < ARRAY_COUNT(words) && used < size; i++) {
        if ((intercepts & words[i].bit) != 0) {
            used +=
                format_text(text + used, size - used, "%s%s", used > 0 ? " " : "", words[i].word);
        }
    }
}
