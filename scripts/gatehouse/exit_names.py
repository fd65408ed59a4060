# SPDX-License-Identifier: MIT
"""Names for what stands in an exit: reasons, qualifications, MSRs, vectors."""

REASONS = {
    0: "exception or NMI", 1: "external interrupt", 2: "triple fault", 3: "INIT signal",
    4: "start-up IPI", 5: "I/O SMI", 6: "other SMI", 7: "interrupt window", 8: "NMI window",
    9: "task switch", 10: "CPUID", 11: "GETSEC", 12: "HLT", 13: "INVD", 14: "INVLPG", 15: "RDPMC",
    16: "RDTSC", 17: "RSM", 18: "VMCALL", 19: "VMCLEAR", 20: "VMLAUNCH", 21: "VMPTRLD",
    22: "VMPTRST", 23: "VMREAD", 24: "VMRESUME", 25: "VMWRITE", 26: "VMXOFF", 27: "VMXON",
    28: "CR access", 29: "DR access", 30: "I/O instruction", 31: "RDMSR", 32: "WRMSR",
    33: "invalid guest state", 34: "MSR loading", 36: "MWAIT", 37: "monitor trap flag",
    39: "MONITOR", 40: "PAUSE", 41: "machine check at entry", 43: "TPR below threshold",
    44: "APIC access", 45: "virtualised EOI", 46: "GDTR or IDTR access", 47: "LDTR or TR access",
    48: "EPT violation", 49: "EPT misconfiguration", 50: "INVEPT", 51: "RDTSCP",
    52: "preemption timer", 53: "INVVPID", 54: "WBINVD", 55: "XSETBV", 56: "APIC write",
    57: "RDRAND", 58: "INVPCID", 59: "VMFUNC", 60: "ENCLS", 61: "RDSEED",
    62: "page-modification log full", 63: "XSAVES", 64: "XRSTORS", 66: "sub-page permission",
    67: "UMWAIT", 68: "TPAUSE",
}
MSRS = {
    0x10: "TSC", 0x1B: "APIC_BASE", 0x3A: "FEATURE_CONTROL", 0x8B: "BIOS_SIGN_ID",
    0xFE: "MTRRCAP", 0x174: "SYSENTER_CS", 0x175: "SYSENTER_ESP", 0x176: "SYSENTER_EIP",
    0x179: "MCG_CAP", 0x17A: "MCG_STATUS", 0x1A0: "MISC_ENABLE", 0x1D9: "DEBUGCTL",
    0x277: "PAT", 0x2FF: "MTRR_DEF_TYPE", 0x6E0: "TSC_DEADLINE", 0xC0000080: "EFER",
    0xC0000081: "STAR", 0xC0000082: "LSTAR", 0xC0000083: "CSTAR", 0xC0000084: "SFMASK",
    0xC0000100: "FS_BASE", 0xC0000101: "GS_BASE", 0xC0000102: "KERNEL_GS_BASE",
    0xC0000103: "TSC_AUX", 0x802: "APIC ID", 0x803: "APIC version", 0x808: "APIC TPR",
    0x80A: "APIC PPR", 0x80B: "APIC EOI", 0x80D: "APIC LDR", 0x80F: "APIC SVR", 0x828: "APIC ESR",
    0x830: "APIC ICR", 0x832: "APIC LVT timer", 0x833: "APIC LVT thermal",
    0x834: "APIC LVT counters", 0x835: "APIC LVT LINT0", 0x836: "APIC LVT LINT1",
    0x837: "APIC LVT error", 0x838: "APIC initial count", 0x839: "APIC current count",
    0x83E: "APIC divide", 0x83F: "APIC self IPI",
}
EXCEPTIONS = ["#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "vector 9", "#TS",
              "#NP", "#SS", "#GP", "#PF", "vector 15", "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"]
REGISTERS = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11",
             "r12", "r13", "r14", "r15"]


def reason(number):
    """The name of a basic exit reason."""
    return REASONS.get(number, f"reason {number}")


def event(word):
    """An interruption word as text; empty where it is not valid."""
    if not word & 1 << 31:
        return ""
    vector = word & 0xFF
    if word >> 8 & 7 in (0, 4):
        return f"{'interrupt' if word >> 8 & 7 == 0 else 'int'} 0x{vector:x}"
    return EXCEPTIONS[vector] if vector < len(EXCEPTIONS) else f"vector {vector}"


def _io(entry):
    word, port, size = entry.word, entry.word >> 16 & 0xFFFF, (entry.word & 7) + 1
    name = "in" if word & 8 else "out"
    if word & 16:
        count = f" rcx=0x{entry.values[1]:x}" if word & 32 else ""
        return f"{'rep ' if word & 32 else ''}{name}s port=0x{port:x} size={size}{count}"
    return f"{name} port=0x{port:x} size={size} value=0x{entry.values[0]:x}"


def _msr(entry):
    index = entry.values[0]
    name = f" ({MSRS[index]})" if index in MSRS else ""
    verb = "rdmsr" if entry.reason == 31 else "wrmsr"
    return f"{verb} msr=0x{index:x}{name} value=0x{entry.values[1]:x}"


def _cpuid(entry):
    (leaf, outputs), rest = entry.values, entry.word
    low = 0xFFFFFFFF
    return (f"cpuid leaf=0x{leaf & low:x} subleaf=0x{leaf >> 32:x} eax=0x{outputs & low:x} "
            f"ebx=0x{outputs >> 32:x} ecx=0x{rest & low:x} edx=0x{rest >> 32:x}")


def _control(entry):
    word = entry.word
    number, access, register = word & 15, word >> 4 & 3, REGISTERS[word >> 8 & 15]
    if access == 2:
        return "clts"
    if access == 3:
        return f"lmsw source=0x{word >> 16 & 0xFFFF:x}"
    if access == 1:
        return f"mov {register}, cr{number}"
    return f"mov cr{number}, {register} value=0x{entry.values[0]:x}"


def _debug(entry):
    word = entry.word
    number, register = word & 7, REGISTERS[word >> 8 & 15]
    if word & 16:
        return f"mov {register}, dr{number}"
    return f"mov dr{number}, {register} value=0x{entry.values[0]:x}"


def _memory(entry):
    word = entry.word
    access = "".join(name for bit, name in enumerate("rwx") if word >> bit & 1)
    allowed = "".join(name for bit, name in enumerate("rwx") if word >> bit + 3 & 1)
    return (f"gpa=0x{entry.values[0]:x} access={access or '-'} allowed={allowed or '-'} "
            f"rax=0x{entry.values[1]:x}")


def _apic_access(entry):
    how = {0: "read", 1: "write", 2: "fetch", 3: "event delivery"}.get(entry.word >> 12 & 15, "other")
    return f"apic offset=0x{entry.word & 0xFFF:x} access={how!r}"


def _apic_write(entry):
    return f"apic offset=0x{entry.word & 0xFFF:x}"


def _end_of_interrupt(entry):
    return f"vector=0x{entry.word & 0xFF:x}"


def _interrupted(entry):
    text = event(entry.values[0])
    return f"{text} address=0x{entry.word:x}" if text == "#PF" else text


def _task(entry):
    how = ["call", "iret", "jmp", "task gate"][entry.word >> 30 & 3]
    return f"{how} selector=0x{entry.word & 0xFFFF:x}"


def _registers(entry):
    return f"rax=0x{entry.values[0]:x} rbx=0x{entry.values[1]:x}"


def _address(entry):
    return f"address=0x{entry.word:x}"


_DETAILS = {0: _interrupted, 1: _interrupted, 9: _task, 10: _cpuid, 14: _address,
            18: _registers, 28: _control, 44: _apic_access, 45: _end_of_interrupt, 56: _apic_write, 29: _debug, 30: _io, 31: _msr, 32: _msr, 48: _memory,
            49: _memory}


def details(entry):
    """The qualification and registers of an exit in words."""
    function = _DETAILS.get(entry.reason)
    return function(entry) if function else ""
