//! BGREWRITEAOF. <https://redis.io/docs/latest/commands/bgrewriteaof/>

use crate::aof::rewrite::{self, NotBegun};
use crate::dispatch::{Scope, Session};
use crate::snapshot::Purpose;
use redoubt_commands::{CommandError, Context};

const IN_PROGRESS: CommandError =
    CommandError::text("ERR Background append only file rewriting already in progress");
const FAILED: CommandError = CommandError::text(
    "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
);

impl Session {
    /// Begins a rewrite; after another snapshot, or the transaction it is part of.
    pub(super) fn bgrewriteaof(
        &mut self,
        ctx: &Context<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        let running = self.shared.snapshots.running().map(|running| running.purpose);
        // Parking is off within EXEC.
        let begun = match running {
            Some(purpose) => Err(NotBegun::Busy(purpose)),
            None if !ctx.may_block => Err(NotBegun::Busy(Purpose::Save)),
            None => rewrite::begin(&self.shared).map(drop),
        };
        match begun {
            Ok(()) => self.reply(scope).simple("Background append only file rewriting started"),
            Err(NotBegun::Busy(Purpose::Rewrite)) => return Err(IN_PROGRESS),
            Err(NotBegun::Busy(_)) => {
                self.shared.aof.schedule_rewrite_at_once();
                self.reply(scope).simple("Background append only file rewriting scheduled");
            }
            Err(NotBegun::Failed) => return Err(FAILED),
        }
        Ok(())
    }
}
