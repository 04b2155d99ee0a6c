//! CLUSTER, as far as a deployment with one shard has a use for it. <https://redis.io/docs/latest/commands/?group=cluster>

use crate::dispatch::{Scope, Session, Step};
use crate::ha::View;
use crate::ops::Outcome;
use crate::sentinel::run_id;
use redoubt_commands::spec::ServerOp;
use redoubt_commands::{Args, CommandError, Context, introspect};
use redoubt_ha::NodeId;
use std::sync::Arc;

impl Session {
    pub(super) fn cluster_op(
        &mut self,
        ctx: &Context<'_>,
        op: ServerOp,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Outcome {
        let shared = Arc::clone(&self.shared);
        // Connections that see the command are those of a server with failover.
        let Some(ha) = &shared.ha else { return Err(redoubt_commands::table::unknown_command(args)) };
        let view = ha.view();
        match op {
            ServerOp::ClusterFailover => {
                if args.len() > 2 {
                    return Err(CommandError::text(
                        "ERR FORCE and TAKEOVER would give up what was acknowledged: failover is built in, and what \
                         can be done without is done by itself",
                    ));
                }
                if !view.is_in_sync(view.me.node)
                    || view.shard().is_some_and(|shard| shard.primary == view.me)
                {
                    return Err(CommandError::text("ERR You should send CLUSTER FAILOVER to a replica"));
                }
                ha.fail_over(Some(view.me.node)).map_err(|why| CommandError::owned(format!("ERR {why}")))?;
                self.reply(scope).ok();
            }
            ServerOp::ClusterForget => return self.forget_node(ctx, &view, args, scope),
            ServerOp::ClusterMyid => self.reply(scope).bulk(run_id(view.me.node).as_bytes()),
            _ => introspect::help("cluster", &mut self.reply(scope)),
        }
        Ok(Step::Done)
    }

    /// CLUSTER FORGET: answered when the node is no member any more.
    fn forget_node(
        &mut self,
        ctx: &Context<'_>,
        view: &View,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Outcome {
        if let Some(outcome) = self.errand_answered(scope) {
            return outcome;
        }
        let node = named(view, args.get(2))?;
        if !ctx.may_block {
            return Err(CommandError::text("ERR CLUSTER FORGET is not allowed inside a transaction"));
        }
        let shared = Arc::clone(&self.shared);
        Ok(self.wait_for("forget", move || {
            let Some(ha) = &shared.ha else { return Ok(()) };
            ha.forget(node).map_err(|why| CommandError::owned(format!("ERR {why}")))
        }))
    }
}

/// The member of this id: 40 hex digits, or the first 16, as the log shows them.
fn named(view: &View, id: &[u8]) -> Result<NodeId, CommandError> {
    let id = String::from_utf8_lossy(id).to_ascii_lowercase();
    let is_it = |node: &&NodeId| id == run_id(**node) || id == run_id(**node)[..16];
    let found = view.topology.members.keys().find(is_it);
    let node = *found.ok_or_else(|| CommandError::owned(format!("ERR Unknown node {id}")))?;
    let now = crate::raft::now();
    match node {
        _ if node == view.me.node => Err(CommandError::text("ERR I tried hard but I can't forget myself...")),
        _ if !view.is_down(node, now) => {
            Err(CommandError::text("ERR This node is alive: stop it before it is forgotten"))
        }
        _ => Ok(node),
    }
}
