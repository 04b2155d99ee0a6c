//! INFO. <https://redis.io/docs/latest/commands/info/>

use crate::dispatch::{Scope, Session};
use crate::info::{Facts, KeyCount, report};
use redoubt_commands::{Args, CommandError, Context};
use redoubt_store::Txn;

impl Session {
    pub(super) fn info(
        &mut self,
        ctx: &mut Context<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        let text = self.report(ctx, args.rest(1), self.is_sentinel, scope);
        self.reply(scope).verbatim("txt", text.as_bytes());
        Ok(())
    }

    /// The text of sections, of this server or of its Sentinel.
    pub(super) fn report(
        &self,
        ctx: &mut Context<'_>,
        sections: &[&[u8]],
        sentinel: bool,
        scope: &Scope<'_>,
    ) -> String {
        let keys =
            if sentinel { Vec::new() } else { self.count_keys(ctx.txn.held().is_empty(), &mut ctx.txn) };
        let facts = Facts { shared: &self.shared, values: scope.values, keys, clock: scope.clock, sentinel };
        report(&facts, sections)
    }

    /// Keys by database. Holding nothing, it looks at one partition after the other; a transaction holds them all.
    pub(super) fn count_keys(&self, holds_nothing: bool, txn: &mut Txn<'_>) -> Vec<KeyCount> {
        let mut counts = vec![KeyCount::default(); self.shared.keyspace.databases()];
        let mut add = |txn: &Txn<'_>| {
            for (db, count) in counts.iter_mut().enumerate() {
                count.keys += txn.len(db);
                count.expires += txn.expires(db);
                count.expiring_hashes += txn.expiring_hashes(db);
            }
        };
        if !holds_nothing {
            add(txn);
            return counts;
        }
        for partition in 0..self.shared.keyspace.partitions() {
            txn.acquire_one(partition);
            add(txn);
            txn.release();
        }
        counts
    }
}
