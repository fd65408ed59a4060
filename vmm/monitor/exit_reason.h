// SPDX-License-Identifier: MIT
// Numbers of the manual's appendix "Basic Exit Reasons" that statistics and the exit log tell
// apart; handlers never see them.
#pragma once

enum exit_reason {
    EXIT_REASON_EXCEPTION = 0,
    EXIT_REASON_INTERRUPT = 1,
    EXIT_REASON_CPUID = 10,
    EXIT_REASON_CR = 28,
    EXIT_REASON_DR = 29,
    EXIT_REASON_IO = 30,
    EXIT_REASON_RDMSR = 31,
    EXIT_REASON_WRMSR = 32,
    EXIT_REASON_APIC_ACCESS = 44,
    EXIT_REASON_EPT_VIOLATION = 48,
    EXIT_REASON_EPT_MISCONFIGURATION = 49,
    EXIT_REASON_APIC_WRITE = 56,
};
