//! COMMAND and its subcommands: written by the table itself.

use crate::dispatch::{Scope, Session};
use redoubt_commands::introspect;
use redoubt_commands::spec::ServerOp;
use redoubt_commands::{Args, CommandError};

impl Session {
    pub(super) fn command_op(
        &mut self,
        op: ServerOp,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        let mut reply = self.reply(scope);
        match op {
            ServerOp::CommandCount => introspect::count(self.seen, args, &mut reply),
            ServerOp::CommandDocs => introspect::docs(self.seen, args, &mut reply),
            ServerOp::CommandGetkeys => introspect::getkeys(self.seen, args, &mut reply),
            ServerOp::CommandGetkeysandflags => introspect::getkeysandflags(self.seen, args, &mut reply),
            ServerOp::CommandHelp => {
                introspect::help("command", &mut reply);
                Ok(())
            }
            ServerOp::CommandInfo => introspect::info(self.seen, args, &mut reply),
            ServerOp::CommandList => introspect::list(self.seen, args, &mut reply),
            _ => introspect::command(self.seen, args, &mut reply),
        }
    }
}
