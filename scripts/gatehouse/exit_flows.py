# SPDX-License-Identifier: MIT
"""Which interprocessor interrupt of a log was injected where.

Known are those that a guest sends through x2APIC MSRs, whose value the log holds: the manual's
"Interrupt Command Register (ICR)" and "SELF IPI Register"."""
import bisect
import collections
import dataclasses

_WRMSR, _ICR, _SELF = 32, 0x830, 0x83F
_FIXED, _LOGICAL = 0, 1 << 11
_VALID = 1 << 31


@dataclasses.dataclass
class Flow:
    """An IPI: numbers of the entries that sent it and whose end injected it."""
    sent: int
    taken: int
    vector: int


def _logical_id(vcpu):
    return vcpu >> 4 << 16 | 1 << (vcpu & 15)


def _receivers(entry, vcpus):
    """The vCPUs that a write to an IPI register names, and the vector; none where it is no fixed
    interrupt."""
    if entry.reason != _WRMSR or entry.values[0] not in (_ICR, _SELF):
        return [], 0
    value = entry.values[1]
    if entry.values[0] == _SELF:
        return [entry.vcpu], value & 0xFF
    target, shorthand = value >> 32, value >> 18 & 3
    if value >> 8 & 7 != _FIXED:
        return [], 0
    if shorthand == 1:
        chosen = [entry.vcpu]
    elif shorthand:
        chosen = [vcpu for vcpu in vcpus if shorthand == 2 or vcpu != entry.vcpu]
    elif target == 0xFFFFFFFF:
        chosen = vcpus
    elif value & _LOGICAL:
        chosen = [vcpu for vcpu in vcpus if _logical_id(vcpu) >> 16 == target >> 16
                  and _logical_id(vcpu) & target & 0xFFFF]
    else:
        chosen = [vcpu for vcpu in vcpus if vcpu == target]
    return chosen, value & 0xFF


def flows(entries):
    """The flows of a list of entries."""
    taken = collections.defaultdict(list)  # (VM, vCPU, vector): [(tick of the injection, number)]
    vcpus = collections.defaultdict(set)
    for number, entry in enumerate(entries):
        vcpus[entry.vm].add(entry.vcpu)
        if entry.event & _VALID and entry.event >> 8 & 7 == 0:
            key = entry.vm, entry.vcpu, entry.event & 0xFF
            taken[key].append((entry.tick + entry.outside, number))
    for places in taken.values():
        places.sort()
    found = []
    for number, entry in enumerate(entries):
        chosen, vector = _receivers(entry, sorted(vcpus[entry.vm]))
        for vcpu in chosen:
            places = taken[entry.vm, vcpu, vector]
            at = bisect.bisect_right(places, (entry.tick, len(entries)))
            if at < len(places):
                found.append(Flow(number, places[at][1], vector))
    return found
