// SPDX-License-Identifier: MIT
// Writing the log of exits: see log.h. The record begun last is completed at the next exit, when it
// is known how long the way there took.
#include "kernel/vm/log.h"

#include "kernel/core/calls.h"
#include "kernel/core/event_log.h"
#include "kernel/memory/memory.h"
#include "kernel/thread/thread.h"

/*@
  predicate log_apart(struct vcpu *vcpu) =
    \valid_read(vcpu) && \valid(vcpu->log) && \valid_read(vcpu->thread) &&
    \valid_read(vcpu->virt.page) && \separated(vcpu->log, vcpu, vcpu->thread, vcpu->virt.page);
*/

// The n-th record that was begun. Before the first, some other slot: it is written and forgotten.
/*@
  requires \valid_read(vcpu) && \valid(vcpu->log);
  terminates \true;
  assigns \nothing;
  ensures \result == &vcpu->log->records[number % VCPU_LOG_RECORDS];
*/
static struct exit_record *record_at(const struct vcpu *vcpu, uint64_t number)
{
    return &vcpu->log->records[number % VCPU_LOG_RECORDS];
}

/*@
  requires \valid(values + (0 .. 3)) && \valid_read(page) && \separated(values + (0 .. 3), page);
  terminates \true;
  assigns values[0 .. 3];
  ensures values[0] == page->gpr[GPR_RAX] && values[1] == page->gpr[GPR_RCX];
  ensures values[2] == page->gpr[GPR_RDX] && values[3] == page->gpr[GPR_RBX];
*/
static void copy_registers(uint64_t *values, const struct vcpu_page *page)
{
    values[0] = page->gpr[GPR_RAX];
    values[1] = page->gpr[GPR_RCX];
    values[2] = page->gpr[GPR_RDX];
    values[3] = page->gpr[GPR_RBX];
}

/*@
  requires log_apart(vcpu);
  terminates \true;
  assigns vcpu->log->away_call;
  ensures vcpu->log->away_call == vcpu->thread->away;
*/
void vcpu_log_call(struct vcpu *vcpu)
{
    vcpu->log->away_call = vcpu->thread->away;
}

/*@
  requires log_apart(vcpu);
  terminates \true;
  assigns vcpu->log->guest_ticks, vcpu->log->away_return;
  ensures vcpu->log->guest_ticks == vcpu->virt.guest_ticks;
  ensures vcpu->log->away_return == vcpu->thread->away;
*/
void vcpu_log_return(struct vcpu *vcpu)
{
    vcpu->log->guest_ticks = vcpu->virt.guest_ticks;
    vcpu->log->away_return = vcpu->thread->away;
}

// For contracts: the record that is begun, and is to be completed.
#define LAST_RECORD(vcpu)                                                                          \
    ((vcpu)->log->records[(uint64_t)((vcpu)->log_begun - 1) % VCPU_LOG_RECORDS])

// Completes the last record, after `ticks` in the guest, and begins the next one.
/*@
  requires log_apart(vcpu);
  terminates \true;
  assigns LAST_RECORD(vcpu), vcpu->log->records[vcpu->log_begun % VCPU_LOG_RECORDS];
  ensures \result == &vcpu->log->records[vcpu->log_begun % VCPU_LOG_RECORDS];
  ensures \result->exited == vcpu->virt.page->exit_tsc && \result->away == vcpu->thread->away;
  ensures \result->before[0] == vcpu->virt.page->gpr[GPR_RAX] &&
          \result->before[1] == vcpu->virt.page->gpr[GPR_RCX] &&
          \result->before[2] == vcpu->virt.page->gpr[GPR_RDX] &&
          \result->before[3] == vcpu->virt.page->gpr[GPR_RBX];
  ensures LAST_RECORD(vcpu).resumed == (uint64_t)(vcpu->virt.page->exit_tsc - ticks);
  ensures LAST_RECORD(vcpu).away ==
    (uint64_t)(vcpu->thread->away - \old(LAST_RECORD(vcpu).away));
  ensures LAST_RECORD(vcpu).exited == \old(LAST_RECORD(vcpu).exited);
*/
static struct exit_record *next_record(struct vcpu *vcpu, uint64_t ticks)
{
    uint64_t away = vcpu->thread->away;
    uint64_t exited = vcpu->virt.page->exit_tsc;
    struct exit_record *last = record_at(vcpu, vcpu->log_begun - 1);
    struct exit_record *next = record_at(vcpu, vcpu->log_begun);

    //@ assert vcpu->log_begun > 0 ==> (uint64_t)(vcpu->log_begun - 1) == vcpu->log_begun - 1;
    //@ assert vcpu->log_begun == 0 ==> (uint64_t)(vcpu->log_begun - 1) == UINT64_MAX;
    //@ assert vcpu->log_begun > 0 ==> (vcpu->log_begun - 1) % 16 != vcpu->log_begun % 16;
    //@ assert (uint64_t)(vcpu->log_begun - 1) % 16 != vcpu->log_begun % 16;
    last->resumed = exited - ticks;
    last->away = away - last->away;
    next->exited = exited;
    next->away = away;
    copy_registers(next->before, vcpu->virt.page);
    return next;
}

enum virt_outcome vcpu_log_enter(struct vcpu *vcpu, uint64_t deadline)
{
    struct exit_record *last = record_at(vcpu, vcpu->log_begun - 1);
    uint64_t before = vcpu->virt.guest_ticks;
    enum virt_outcome outcome;

    last->event = vcpu->virt.page->event.word;
    copy_registers(last->after, vcpu->virt.page);
    outcome = virt_backend->vcpu_enter(&vcpu->virt, deadline);
    if (vcpu->virt.guest_ticks == before) {
        return outcome; // the deadline had passed
    }
    if (vcpu_log_full(vcpu)) {
        vcpu->log->lost++;
    } else {
        virt_backend->vcpu_trace(&vcpu->virt, next_record(vcpu, vcpu->virt.guest_ticks - before));
        vcpu->log->written = vcpu->log_begun++;
    }
    return outcome;
}

static enum status make_log(struct vcpu *vcpu)
{
    struct vcpu_log *log = memory_allocate_object(vcpu->vm->container);
    enum status status = STATUS_QUOTA;

    if (log != NULL) {
        status = address_space_map_borrowed(&vcpu->vm->process->space, memory_address(log),
                                            PAGE_SIZE, USER_WRITE, &vcpu->log_address);
        if (status != STATUS_OK) {
            memory_free_object(vcpu->vm->container, log);
            return status;
        }
        vcpu->log = log;
        virt_backend->vcpu_trace_start(&vcpu->virt);
        vcpu_log_return(vcpu);
    }
    return status;
}

SYSTEM_CALL(sys_vcpu_log)
{
    struct vcpu *vcpu = current_thread()->vcpu;
    enum status status = STATUS_STATE;

    if (vcpu == NULL || vcpu->handle != a) {
        return call_error(STATUS_DENIED);
    }
    if (vcpu->log == NULL) {
        status = make_log(vcpu);
    }
    return call_result(status, vcpu->log_address);
}

void vcpu_log_free(struct vcpu *vcpu)
{
    if (vcpu->log != NULL) {
        (void)!address_space_free(&vcpu->vm->process->space, vcpu->log_address, PAGE_SIZE,
                                  REGION_BORROWED);
        memory_free_object(vcpu->vm->container, vcpu->log);
    }
}

// -- the log of events --------------------------------------------------------------------------

static const struct virt_ops *plain_ops;

static uint64_t finished_exits(const struct virt_vcpu *vcpu)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < VIRT_REASON_COUNT; i++) {
        sum += vcpu->finished[i];
    }
    return sum;
}

static enum virt_outcome enter_with_events(struct virt_vcpu *vcpu, uint64_t deadline)
{
    uint64_t before = finished_exits(vcpu);
    enum virt_outcome outcome;

    event_log_of(EVENT_HOSTOUT, vcpu, 0, EVENT_MODE_GUEST);
    outcome = plain_ops->vcpu_enter(vcpu, deadline);
    event_log_of(EVENT_HOSTIN, vcpu, finished_exits(vcpu) - before, EVENT_MODE_HOST_KERNEL);
    return outcome;
}

const struct virt_ops *vm_log_events(const struct virt_ops *ops)
{
    static struct virt_ops logged;

    plain_ops = ops;
    logged = *ops;
    logged.vcpu_enter = enter_with_events;
    return &logged;
}
