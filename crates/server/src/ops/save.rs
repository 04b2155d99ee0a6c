//! SAVE, BGSAVE, LASTSAVE, SHUTDOWN.

use crate::dispatch::{Scope, Session, Step};
use crate::ops::Outcome;
use crate::snapshot::{self, Busy, Errand, Purpose, Shutdown};
use redoubt_commands::spec::ServerOp;
use redoubt_commands::{Args, CommandError, Context};
use std::sync::Arc;

const IN_PROGRESS: CommandError = CommandError::text("ERR Background save already in progress");
const OTHER_RUNS: CommandError = CommandError::text(
    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a \
     BGSAVE whenever possible.",
);
const NOT_SAVED: CommandError = CommandError::text("ERR");
const NO_SHUTDOWN: CommandError = CommandError::text("ERR Errors trying to SHUTDOWN. Check logs.");

impl Session {
    pub(super) fn save_op(
        &mut self,
        ctx: &Context<'_>,
        op: ServerOp,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Outcome {
        match op {
            ServerOp::Bgsave => self.bgsave(ctx, args, scope)?,
            ServerOp::Lastsave => {
                let last = self.shared.snapshots.saves.last();
                self.reply(scope).int(last);
            }
            ServerOp::Save => return self.save(scope),
            _ => return self.shutdown(args, scope),
        }
        Ok(Step::Done)
    }

    /// Has the client wait for work of another thread: its command runs again when that is done.
    pub(super) fn wait_for(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<(), CommandError> + Send + 'static,
    ) -> Step {
        let errand = Errand::start(&self.client, name, work);
        self.send_for(Some(errand));
        // It is counted when it has its answer.
        self.ran = None;
        Step::NotYet
    }

    /// How the work went that this command has waited for, if it has.
    pub(super) fn errand_done(&mut self) -> Option<Result<(), CommandError>> {
        let outcome = self.errand.as_ref()?.outcome().cloned();
        self.send_for(None);
        outcome
    }

    /// As `errand_done`, for commands that answer OK.
    pub(super) fn errand_answered(&mut self, scope: &mut Scope<'_>) -> Option<Outcome> {
        let outcome = self.errand_done()?;
        Some(outcome.map(|()| {
            self.reply(scope).ok();
            Step::Done
        }))
    }

    /// SAVE: the client waits, others go on.
    fn save(&mut self, scope: &mut Scope<'_>) -> Outcome {
        if let Some(outcome) = self.errand_answered(scope) {
            return outcome;
        }
        if self.shared.snapshots.running().is_some_and(|running| running.purpose == Purpose::Save) {
            return Err(IN_PROGRESS);
        }
        let shared = Arc::clone(&self.shared);
        Ok(self.wait_for("save", move || snapshot::save(&shared).map_err(|_| NOT_SAVED)))
    }

    fn bgsave(
        &mut self,
        ctx: &Context<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        let schedule = match args.rest(1) {
            [] => false,
            [word] if word.eq_ignore_ascii_case(b"schedule") => true,
            _ => return Err(CommandError::Syntax),
        };
        let in_transaction = !ctx.may_block;
        let running = self.shared.snapshots.running().map(|running| running.purpose);
        let begun = match running {
            Some(purpose) => Err(Busy(purpose)),
            // The cut is made while nothing is held.
            None if in_transaction => Err(Busy(Purpose::Copy)),
            None => snapshot::save_in_background(&self.shared),
        };
        match begun {
            Ok(ticket) => {
                self.shared.snapshots.wait_for_cut(ticket);
                self.reply(scope).simple("Background saving started");
            }
            Err(Busy(Purpose::Save)) => return Err(IN_PROGRESS),
            Err(_) if schedule || in_transaction => {
                self.shared.snapshots.saves.schedule();
                self.reply(scope).simple("Background saving scheduled");
            }
            Err(_) => return Err(OTHER_RUNS),
        }
        Ok(())
    }

    /// SHUTDOWN: the client waits until the data is saved, if it is to be.
    fn shutdown(&mut self, args: &Args<'_>, scope: &mut Scope<'_>) -> Outcome {
        match self.errand_done() {
            Some(Ok(())) => return Ok(Step::Close),
            Some(Err(error)) => return Err(error),
            None => {}
        }
        let mut cursor = args.cursor(1);
        let (mut save, mut nosave, mut abort, mut now, mut force) = (false, false, false, false, false);
        while let Some(word) = cursor.peek() {
            let seen = match word.to_ascii_lowercase().as_slice() {
                b"save" => &mut save,
                b"nosave" => &mut nosave,
                b"abort" => &mut abort,
                b"now" => &mut now,
                b"force" => &mut force,
                _ => return Err(CommandError::Syntax),
            };
            *seen = true;
            cursor.word()?;
        }
        if (save && nosave) || (abort && (save || nosave || now || force)) {
            return Err(CommandError::Syntax);
        }
        if abort {
            if !snapshot::abort(&self.shared) {
                return Err(CommandError::text("ERR No shutdown in progress."));
            }
            self.reply(scope).ok();
            return Ok(Step::Done);
        }
        tracing::warn!("User requested shutdown...");
        let how = Shutdown { save: (save || nosave).then_some(save), force, now };
        let shared = Arc::clone(&self.shared);
        Ok(self.wait_for("shutdown", move || snapshot::shut_down(&shared, how).map_err(|()| NO_SHUTDOWN)))
    }
}
