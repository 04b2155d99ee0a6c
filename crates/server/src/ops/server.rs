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

    /// Ends the server. There is nothing to save: SAVE, NOSAVE and FORCE make no difference.
    pub(super) fn shutdown(&mut self, args: &Args<'_>) -> Outcome {
        let mut cursor = args.cursor(1);
        let (mut save, mut nosave, mut abort, mut other) = (false, false, false, false);
        while let Some(word) = cursor.peek() {
            let seen = match word.to_ascii_lowercase().as_slice() {
                b"save" => &mut save,
                b"nosave" => &mut nosave,
                b"abort" => &mut abort,
                b"now" | b"force" => &mut other,
                _ => return Err(CommandError::Syntax),
            };
            *seen = true;
            cursor.word()?;
        }
        if (save && nosave) || (abort && (save || nosave || other)) {
            return Err(CommandError::Syntax);
        }
        if abort {
            return Err(CommandError::text("ERR No shutdown in progress."));
        }
        tracing::warn!("User requested shutdown...");
        self.shared.request_stop();
        Ok(Step::Close)
    }
}
