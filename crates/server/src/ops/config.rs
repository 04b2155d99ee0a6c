//! CONFIG GET, SET, RESETSTAT, REWRITE, HELP. <https://redis.io/docs/latest/commands/config/>

use crate::aof::rewrite;
use crate::client::flag;
use crate::config::{Changed, Config, ConfigError, Values};
use crate::dispatch::{LOADING, Scope, Session, Step};
use crate::net::listener::Reopen;
use crate::ops::Outcome;
use crate::shared::Shared;
use crate::{logging, process};
use redoubt_commands::spec::ServerOp;
use redoubt_commands::{Args, CommandError, Context, introspect};
use redoubt_resp::Reply;
use std::sync::Arc;
use std::time::Duration;

/// Descriptors the server needs beside its clients'.
const FILES_RESERVED: u64 = 32;

impl Session {
    pub(super) fn config_op(
        &mut self,
        op: ServerOp,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        match op {
            ServerOp::ConfigGet => self.config_get(args, &mut self.reply(scope)),
            ServerOp::ConfigResetstat => {
                self.shared.reset_stats();
                self.reply(scope).ok();
            }
            ServerOp::ConfigRewrite => {
                self.config_rewrite()?;
                self.reply(scope).ok();
            }
            _ => introspect::help("config", &mut self.reply(scope)),
        }
        Ok(())
    }

    fn config_get(&self, args: &Args<'_>, reply: &mut Reply<'_>) {
        let found = self.shared.config.read().get(args.rest(2));
        reply.map(found.len());
        for (name, text) in found {
            reply.bulk(name.as_bytes());
            reply.bulk(text.as_bytes());
        }
    }

    /// CONFIG SET. Where failover is built in, settings of the whole deployment are agreed on first, and the client waits.
    pub(super) fn config_set(
        &mut self,
        ctx: &Context<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Outcome {
        if let Some(outcome) = self.errand_answered(scope) {
            return outcome;
        }
        let words = args.rest(2);
        if !words.len().is_multiple_of(2) {
            return Err(CommandError::Syntax);
        }
        let texts: Vec<String> =
            words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let pairs: Vec<(&str, &str)> = texts.chunks_exact(2).map(|pair| (&*pair[0], &*pair[1])).collect();
        if self.shared.is_loading() && pairs.iter().any(|(name, _)| Config::is_of_data(name)) {
            return Err(LOADING);
        }
        if self.shared.ha.is_none() {
            change(&self.shared, &pairs, self.is_local()).map_err(in_words)?;
            scope.settings_changed(&self.shared.values());
            self.reply(scope).ok();
            return Ok(Step::Done);
        }
        let local = self.is_local();
        let agreed = self.shared.config.read().of_deployment(&pairs, local).map_err(in_words)?;
        if !agreed.is_empty() && !ctx.may_block {
            return Err(CommandError::text(
                "ERR settings of the whole deployment cannot be set in a transaction",
            ));
        }
        let is_agreed = |name: &str| agreed.iter().any(|(other, _)| Config::is_same(other, name));
        let own: Vec<(&str, &str)> = pairs.iter().filter(|(name, _)| !is_agreed(name)).copied().collect();
        change(&self.shared, &own, local).map_err(in_words)?;
        scope.settings_changed(&self.shared.values());
        if agreed.is_empty() {
            self.reply(scope).ok();
            return Ok(Step::Done);
        }
        let shared = Arc::clone(&self.shared);
        Ok(self.wait_for("config-set", move || {
            crate::ha::agree(&shared, agreed).map_err(|error| CommandError::owned(format!("ERR {error}")))
        }))
    }

    fn config_rewrite(&self) -> Result<(), CommandError> {
        let outcome = self.shared.config.read().rewrite();
        if let Err(error) = &outcome {
            tracing::warn!("CONFIG REWRITE failed: {error}");
        }
        outcome.map_err(|error| CommandError::owned(error.to_string()))?;
        tracing::info!("CONFIG REWRITE executed with success.");
        Ok(())
    }

    /// Whether the client is on this machine.
    pub(super) fn is_local(&self) -> bool {
        let ip = self.client.addr.parse::<std::net::SocketAddr>().map(|addr| addr.ip().to_canonical());
        self.client.has(flag::UNIX) || ip.is_ok_and(|ip| ip.is_loopback())
    }
}

/// Changes settings of this server, all or none.
pub(crate) fn change(shared: &Arc<Shared>, pairs: &[(&str, &str)], local: bool) -> Result<(), ConfigError> {
    let mut config = shared.config.write();
    let changed = config.set(pairs, local)?;
    if let Err(error) = apply(shared, &config, &changed) {
        config.undo(changed);
        return Err(error);
    }
    if !changed.is_empty() {
        shared.publish(&config);
    }
    Ok(())
}

fn in_words(error: ConfigError) -> CommandError {
    CommandError::owned(error.to_string())
}

/// Acts on changes that reading the settings again does not cover; what can fail comes first.
fn apply(shared: &Arc<Shared>, config: &Config, changed: &Changed) -> Result<(), ConfigError> {
    let values = config.values();
    if changed.has("maxclients") {
        fit_open_files(&values)?;
    }
    if let Some(name) = ["bind", "port"].into_iter().find(|name| changed.has(name)) {
        listen_again(shared, &values).map_err(|()| ConfigError::refused(name, unbound(name)))?;
    }
    if changed.has("appendonly") {
        switch_append_only(shared, values.appendonly)?;
    }
    if changed.has("loglevel") {
        logging::set_level(values.loglevel);
    }
    if changed.has("jemalloc-bg-thread") {
        // Fails where the allocator was built without: then there is nothing to switch.
        let _ = tikv_jemalloc_ctl::background_thread::write(values.jemalloc_bg_thread);
    }
    Ok(())
}

fn switch_append_only(shared: &Arc<Shared>, on: bool) -> Result<(), ConfigError> {
    if !on {
        rewrite::disable(shared);
        return Ok(());
    }
    let refused = || ConfigError::refused("appendonly", "Unable to turn on AOF. Check server logs.");
    rewrite::enable(shared).map_err(|()| refused())
}

/// Longest time the control thread may take for new sockets.
const LISTEN_WITHIN: Duration = Duration::from_secs(5);

/// Has the control thread listen on the addresses of `values`; it logs why it cannot.
fn listen_again(shared: &Shared, values: &Values) -> Result<(), ()> {
    let (done, outcome) = std::sync::mpsc::channel();
    let request = Reopen { values: values.clone(), done };
    let reopen = shared.reopen.lock().clone().ok_or(())?;
    reopen.send(request).map_err(|_| ())?;
    outcome.recv_timeout(LISTEN_WITHIN).map_err(|_| ())?.map_err(|_| ())
}

fn unbound(name: &str) -> &'static str {
    match name {
        "bind" => "Failed to bind to specified addresses.",
        _ => "Unable to listen on this port. Check server logs.",
    }
}

fn fit_open_files(values: &Values) -> Result<(), ConfigError> {
    let wanted = values.maxclients as u64 + FILES_RESERVED;
    let open = process::raise_open_files(wanted);
    if open >= wanted {
        return Ok(());
    }
    let possible = open.saturating_sub(FILES_RESERVED);
    let reason = format!(
        "The operating system is not able to handle the specified number of clients, try with {possible}"
    );
    Err(ConfigError::refused("maxclients", reason))
}
