//! SUBSCRIBE and its kin, PUBLISH, PUBSUB, MONITOR: <https://redis.io/docs/latest/commands/?group=pubsub>

use crate::client::flag;
use crate::dispatch::{Scope, Session};
use crate::log::Held;
use crate::pubsub::{Kind, Subscriptions};
use redoubt_commands::spec::PubsubOp;
use redoubt_commands::{Args, CommandError, Context, introspect};

impl Session {
    pub(super) fn pubsub_op(
        &mut self,
        ctx: &mut Context<'_>,
        op: PubsubOp,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        // Inside a transaction: what happened before this command is told before it.
        self.tell_events(ctx);
        match op {
            PubsubOp::Subscribe => self.subscribe(Kind::Channel, "subscribe", args, scope),
            PubsubOp::Psubscribe => self.subscribe(Kind::Pattern, "psubscribe", args, scope),
            PubsubOp::Ssubscribe => self.subscribe(Kind::Shard, "ssubscribe", args, scope),
            PubsubOp::Unsubscribe => self.unsubscribe(Kind::Channel, "unsubscribe", args, scope),
            PubsubOp::Punsubscribe => self.unsubscribe(Kind::Pattern, "punsubscribe", args, scope),
            PubsubOp::Sunsubscribe => self.unsubscribe(Kind::Shard, "sunsubscribe", args, scope),
            PubsubOp::Publish => {
                if self.is_sentinel {
                    return Err(CommandError::text(
                        "ERR Only HELLO messages are accepted by Sentinel instances.",
                    ));
                }
                let (hub, hold) = (&self.shared.hub, self.hold_of_message(ctx));
                let count = hub.publish(&mut self.delivery.borrow_mut(), args.get(1), args.get(2), hold);
                self.tell_replicas(ctx, args);
                self.reply(scope).int(count as i64);
            }
            PubsubOp::Spublish => {
                let (hub, hold) = (&self.shared.hub, self.hold_of_message(ctx));
                let count =
                    hub.publish_shard(&mut self.delivery.borrow_mut(), args.get(1), args.get(2), hold);
                self.tell_replicas(ctx, args);
                self.reply(scope).int(count as i64);
            }
            PubsubOp::Channels => self.pubsub_channels(Kind::Channel, "CHANNELS", args, scope)?,
            PubsubOp::Shardchannels => {
                self.pubsub_channels(Kind::Shard, "SHARDCHANNELS", args, scope)?;
            }
            PubsubOp::Numsub => self.pubsub_numsub(Kind::Channel, args, scope),
            PubsubOp::Shardnumsub => self.pubsub_numsub(Kind::Shard, args, scope),
            PubsubOp::Numpat => {
                let count = self.shared.hub.pattern_count();
                self.reply(scope).int(count as i64);
            }
            PubsubOp::Help => introspect::help("pubsub", &mut self.reply(scope)),
        }
        Ok(())
    }

    /// Replicas have subscribers too. In a transaction the message is told with its other effects.
    /// What a message waits for: its sender knows of what it has written itself, and of a transaction that has not been
    /// appended yet; of anything else it has been told.
    fn hold_of_message(&self, ctx: &Context<'_>) -> Held {
        let log = &self.shared.log;
        if !log.holds_replies() || self.applies.is_some() {
            return Held::default();
        }
        let end = log.end();
        log.held(if ctx.txn.effects.is_empty() { self.written.get().min(end) } else { end + 1 })
    }

    fn tell_replicas(&mut self, ctx: &mut Context<'_>, args: &Args<'_>) {
        let replication = &self.shared.replication;
        // Nobody but a primary writes a stream, whatever replication knows of that yet.
        let leads = !replication.follows() && self.shared.ha.as_ref().is_none_or(|ha| ha.gate.is_serving());
        if replication.is_active() && leads {
            ctx.txn.effect(args.words());
            // Outside of a transaction nothing is held.
            if ctx.txn.held().is_empty() {
                self.publish(ctx);
            }
        }
    }

    fn subscribe(&mut self, kind: Kind, word: &str, args: &Args<'_>, scope: &mut Scope<'_>) {
        for name in args.rest(1) {
            let subscriptions = self.subscriptions.get_or_insert_default();
            subscriptions.add(self.shared.hub_of(&self.client), kind, name, &self.client);
            let count = subscriptions.count(kind);
            self.confirm(word, Some(name), count, scope);
        }
        self.listen();
    }

    fn unsubscribe(&mut self, kind: Kind, word: &str, args: &Args<'_>, scope: &mut Scope<'_>) {
        let all = match &self.subscriptions {
            Some(subscriptions) if args.len() == 1 => subscriptions.all(kind),
            _ => Vec::new(),
        };
        let names: Vec<&[u8]> =
            if args.len() == 1 { all.iter().map(|name| &**name).collect() } else { args.rest(1).to_vec() };
        for name in &names {
            if let Some(subscriptions) = &mut self.subscriptions {
                subscriptions.remove(self.shared.hub_of(&self.client), kind, name, &self.client);
                // What was sent to the channel before comes before the confirmation.
                let place = scope.place();
                self.take_inbox(scope.output, place);
            }
            let count = self.subscription_count(kind);
            self.confirm(word, Some(name), count, scope);
        }
        if names.is_empty() {
            let count = self.subscription_count(kind);
            self.confirm(word, None, count, scope);
        }
        self.listen();
    }

    fn subscription_count(&self, kind: Kind) -> usize {
        self.subscriptions.as_ref().map_or(0, |subscriptions| subscriptions.count(kind))
    }

    fn confirm(&self, word: &str, name: Option<&[u8]>, count: usize, scope: &mut Scope<'_>) {
        let mut reply = self.reply(scope);
        reply.push(3);
        reply.bulk(word.as_bytes());
        match name {
            Some(name) => reply.bulk(name),
            None => reply.null(),
        }
        reply.int(count as i64);
    }

    /// Stops listening to anything, MONITOR included (RESET, the end of the connection).
    pub(crate) fn leave_channels(&mut self) {
        if let Some(mut subscriptions) = self.subscriptions.take() {
            subscriptions.clear(self.shared.hub_of(&self.client), &self.client);
        }
        if self.client.has(flag::MONITOR) {
            self.shared.hub.remove_monitor(&self.client);
            self.client.set(flag::MONITOR, false);
        }
        self.listen();
    }

    /// Draws the consequences of a change of what the connection listens to, or of its protocol version.
    pub(crate) fn listen(&mut self) {
        if self.subscriptions.as_ref().is_some_and(Subscriptions::is_empty) {
            self.subscriptions = None;
        }
        let subscribed = self.subscriptions.is_some();
        let monitors = self.client.has(flag::MONITOR);
        self.client.set(flag::PUBSUB, subscribed);
        self.listens = subscribed || monitors;
        self.restricted = monitors || (subscribed && !self.resp3);
    }

    fn pubsub_channels(
        &self,
        kind: Kind,
        word: &str,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        if args.len() > 3 {
            return Err(CommandError::owned(format!(
                "ERR unknown subcommand or wrong number of arguments for '{word}'. Try PUBSUB HELP."
            )));
        }
        let pattern = (args.len() == 3).then(|| args.get(2));
        let names = self.shared.hub.channels(kind, pattern);
        let mut reply = self.reply(scope);
        reply.array(names.len());
        names.iter().for_each(|name| reply.bulk(name));
        Ok(())
    }

    fn pubsub_numsub(&self, kind: Kind, args: &Args<'_>, scope: &mut Scope<'_>) {
        let channels = args.rest(2);
        let mut reply = self.reply(scope);
        reply.array(channels.len() * 2);
        for channel in channels {
            reply.bulk(channel);
            reply.int(self.shared.hub.subscribers(kind, channel) as i64);
        }
    }

    /// A client that monitors already is not answered, as in Redis.
    pub(super) fn monitor(&mut self, ctx: &Context<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        if !ctx.may_block {
            return Err(CommandError::text("ERR MONITOR isn't allowed for DENY BLOCKING client"));
        }
        if !self.client.has(flag::MONITOR) {
            self.reply(scope).ok();
            self.client.set(flag::MONITOR, true);
            self.shared.hub.add_monitor(&self.client);
            self.listen();
        }
        Ok(())
    }
}
