//! TIME, SHUTDOWN.

use crate::dispatch::{Scope, Session, Step};
use crate::ops::Outcome;
use redoubt_commands::{Args, CommandError, Context};
use std::time::{SystemTime, UNIX_EPOCH};

impl Session {
    pub(super) fn time(&mut self, _ctx: &Context<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut reply = self.reply(scope);
        reply.array(2);
        reply.bulk_int(now.as_secs() as i64);
        reply.bulk_int(i64::from(now.subsec_micros()));
        Ok(())
    }

    /// Ends the server. It cannot save: who asks for that is refused, unless FORCE says to go on in spite of it.
    pub(super) fn shutdown(&mut self, args: &Args<'_>) -> Outcome {
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
            return Err(CommandError::text("ERR No shutdown in progress."));
        }
        tracing::warn!("User requested shutdown...");
        if save && !force {
            tracing::warn!("SHUTDOWN SAVE is refused: this version keeps its data in memory only");
            return Err(CommandError::text("ERR Errors trying to SHUTDOWN. Check logs."));
        }
        self.shared.request_stop();
        Ok(Step::Close)
    }
}
