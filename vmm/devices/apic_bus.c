// SPDX-License-Identifier: MIT
// Routing of interrupt messages. See apic_bus.h.
#include "vmm/devices/apic_bus.h"

#include <stddef.h>
#include "kernel/lib/string.h"

#define SHORTHAND_MASK   (3u << 18)
#define SHORTHAND_SELF   (1u << 18)
#define SHORTHAND_OTHERS (3u << 18)
#define ICR_LOGICAL      (1u << 11)
#define ICR_ASSERT       (1u << 14)
#define ICR_LEVEL        (1u << 15)
#define VECTOR_FIRST     16u
#define BROADCAST        0xffu
#define BROADCAST_WIDE   0xffffffffu
#define FORMAT_CLUSTER   0u // DFR bits 31-28; flat: all set

void apic_bus_init(struct apic_bus *bus)
{
    memset(bus, 0, sizeof(*bus));
}

static bool is_broadcast(const struct apic_message *message)
{
    return message->destination == (message->wide ? BROADCAST_WIDE : BROADCAST);
}

static bool logical_x2apic(const struct local_apic *apic, uint32_t destination)
{
    return destination >> 16 == apic->index >> 4 && (destination & 1u << (apic->index & 15)) != 0;
}

static bool logical_xapic(const struct local_apic *apic, uint32_t destination)
{
    uint32_t logical = apic->logical >> 24;
    if (destination > 0xff)
        return false;
    if (apic->format >> 28 != FORMAT_CLUSTER)
        return (logical & destination) != 0;
    return logical >> 4 == destination >> 4 && (logical & destination & 0xf) != 0;
}

static bool is_for(const struct local_apic *apic, const struct apic_message *message)
{
    bool x2apic = local_apic_is_x2apic(apic);
    if (!local_apic_enabled(apic))
        return false;
    if (is_broadcast(message))
        return true;
    if (message->logical)
        return x2apic ? logical_x2apic(apic, message->destination)
                      : logical_xapic(apic, message->destination);
    return message->destination == (x2apic ? apic->index : apic->id >> 24);
}

static void raise(struct local_apic *apic, uint32_t attention)
{
    apic->attention |= attention;
    apic->bus->wake |= 1u << apic->index;
}

bool apic_bus_deliver(struct local_apic *apic, const struct apic_message *message)
{
    switch (message->mode) {
    case APIC_MODE_FIXED:
    case APIC_MODE_LOWEST:
        return local_apic_accept(apic, message->vector, message->level);
    case APIC_MODE_NMI:
        raise(apic,
              apic->attention & APIC_ATTENTION_NMI ? APIC_ATTENTION_NMI2 : APIC_ATTENTION_NMI);
        return true;
    case APIC_MODE_INIT:
        apic->attention &= ~(APIC_ATTENTION_SIPI | APIC_ATTENTION_NMI | APIC_ATTENTION_NMI2);
        raise(apic, APIC_ATTENTION_INIT);
        return true;
    case APIC_MODE_SIPI:
        apic->startup_page = (uint8_t)message->vector;
        raise(apic, APIC_ATTENTION_SIPI);
        return true;
    default:
        return false; // there is no system-management mode; ExtINT comes from the PIC alone
    }
}

// Of those that it is for the one of lowest priority; among equals they take turns.
static struct local_apic *lowest(struct apic_bus *bus, const struct apic_message *message)
{
    struct local_apic *best = NULL;
    for (uint32_t i = 1; i <= bus->count; i++) {
        struct local_apic *apic = bus->apic[(bus->round_robin + i) % bus->count];
        if (is_for(apic, message) && apic->spurious & 1u << 8 &&
            (!best || local_apic_priority(apic) < local_apic_priority(best)))
            best = apic;
    }
    if (best)
        bus->round_robin = best->index;
    return best;
}

bool apic_bus_send(struct apic_bus *bus, const struct apic_message *message)
{
    bool taken = false;
    if (message->mode == APIC_MODE_LOWEST) {
        struct local_apic *apic = lowest(bus, message);
        return apic && apic_bus_deliver(apic, message);
    }
    for (uint32_t i = 0; i < bus->count; i++)
        if (is_for(bus->apic[i], message))
            taken |= apic_bus_deliver(bus->apic[i], message);
    return taken;
}

static void send_to_all(struct apic_bus *bus, const struct local_apic *but,
                        const struct apic_message *message)
{
    for (uint32_t i = 0; i < bus->count; i++)
        if (bus->apic[i] != but && local_apic_enabled(bus->apic[i]))
            apic_bus_deliver(bus->apic[i], message);
}

// "all including self" and "self" are for fixed interrupts only, "Interrupt Command Register".
static void send_shorthand(struct apic_bus *bus, struct local_apic *from, uint32_t low,
                           struct apic_message *message)
{
    uint32_t shorthand = low & SHORTHAND_MASK;
    if (shorthand == SHORTHAND_OTHERS)
        send_to_all(bus, from, message);
    else if (message->mode != APIC_MODE_FIXED)
        return;
    else if (shorthand == SHORTHAND_SELF)
        apic_bus_deliver(from, message);
    else
        send_to_all(bus, NULL, message);
}

void apic_bus_send_ipi(struct apic_bus *bus, struct local_apic *from, uint32_t low, uint32_t high)
{
    bool wide = local_apic_is_x2apic(from);
    struct apic_message message = {
        .vector = low & 0xff,
        .mode = low & APIC_MODE_MASK,
        .destination = wide ? high : high >> 24,
        .logical = (low & ICR_LOGICAL) != 0,
        .wide = wide,
    };
    bool fixed = message.mode == APIC_MODE_FIXED || message.mode == APIC_MODE_LOWEST;
    if (fixed && message.vector < VECTOR_FIRST) {
        local_apic_error(from, APIC_ERROR_SEND_VECTOR);
        return;
    }
    if (message.mode == APIC_MODE_INIT && (low & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL)
        return; // "INIT level de-assert" only synchronised arbitration
    if (low & SHORTHAND_MASK)
        send_shorthand(bus, from, low, &message);
    else
        apic_bus_send(bus, &message);
}
