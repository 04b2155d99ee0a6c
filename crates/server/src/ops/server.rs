//! TIME.

use crate::dispatch::{Scope, Session};
use redoubt_commands::{CommandError, Context};
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
}
