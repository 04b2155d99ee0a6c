//! What a change sets off while its locks are held: the log, parked clients, keyspace events, held replies.

use crate::dispatch::{Scope, Session};
use redoubt_commands::Context;

impl Session {
    /// Ends a command or transaction whose reply begins at `position` of the output.
    #[inline(always)]
    pub(super) fn commit(&mut self, ctx: &mut Context<'_>, scope: &mut Scope<'_>, position: usize) {
        if scope.source.is_some() && self.multi.is_none() {
            self.hand_on(ctx, scope);
        }
        let txn = &ctx.txn;
        let changed = !(txn.effects.is_empty() && txn.signalled.is_empty() && txn.events.is_empty());
        if changed {
            self.commit_changes(ctx);
        }
        if self.shared.log.holds_replies() {
            // While the disk refuses, reads go on from memory, and tell of writes that are not safe there yet.
            let spares_disk = !changed && self.shared.refusal.append_fails();
            self.hold_reply(ctx, scope, position, spares_disk);
        }
    }

    #[inline(never)]
    fn commit_changes(&mut self, ctx: &mut Context<'_>) {
        self.publish(ctx);
        if !ctx.txn.signalled.is_empty() {
            // A transaction may have taken long, and what it left may have expired.
            ctx.txn.set_now_ms(crate::shared::unix_ms());
            self.serve_parked(ctx);
        }
    }

    /// Appends the effects to the log and hands on the events.
    pub(crate) fn publish(&self, ctx: &mut Context<'_>) {
        let txn = &mut ctx.txn;
        if !txn.effects.is_empty() {
            let end = self.shared.log.append(&txn.effects);
            txn.effects.clear();
            txn.set_log_offset(end);
            self.written.set(end);
        }
        self.tell_events(ctx);
    }

    /// Hands the keyspace events to their subscribers. They tell of writes, so they wait for the log as replies do;
    /// of a transaction that has not been appended yet, for whatever its next byte will be.
    pub(crate) fn tell_events(&self, ctx: &mut Context<'_>) {
        let txn = &mut ctx.txn;
        if txn.events.is_empty() {
            return;
        }
        let log = &self.shared.log;
        let hold = log.held_if_any(log.end() + u64::from(!txn.effects.is_empty()));
        self.shared.hub.notify(&mut self.delivery.borrow_mut(), &txn.events, hold);
        txn.events.clear();
    }

    /// A reply, of a read too, must not leave before the log has released all that it could have seen.
    #[inline(never)]
    fn hold_reply(&self, ctx: &Context<'_>, scope: &mut Scope<'_>, position: usize, spares_disk: bool) {
        let offset = ctx.txn.log_offset();
        if !self.shared.log.released().has(offset, spares_disk) {
            let held = self.shared.log.held(offset);
            scope.output.hold(position, if spares_disk { held.sparing_disk() } else { held });
        }
    }
}
