//! SLOWLOG and LATENCY.

use crate::dispatch::{Scope, Session};
use crate::latency::{self, DoctorSettings};
use crate::shared::unix_ms;
use redoubt_commands::spec::ServerOp;
use redoubt_commands::table::{self, Command};
use redoubt_commands::{Args, CommandError, introspect};
use redoubt_resp::Reply;

/// Entries SLOWLOG GET answers unless told otherwise.
const SLOWLOG_GET_COUNT: i64 = 10;
const BAD_COUNT: CommandError = CommandError::text("ERR count should be greater than or equal to -1");

impl Session {
    pub(super) fn slowlog_op(
        &mut self,
        op: ServerOp,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        let log = &self.shared.slowlog;
        match op {
            ServerOp::SlowlogGet => self.slowlog_get(args, scope)?,
            ServerOp::SlowlogLen => self.reply(scope).int(log.len() as i64),
            ServerOp::SlowlogReset => {
                log.reset();
                self.reply(scope).ok();
            }
            _ => introspect::help("slowlog", &mut self.reply(scope)),
        }
        Ok(())
    }

    fn slowlog_get(&self, args: &Args<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        let count = match args.len() {
            2 => SLOWLOG_GET_COUNT,
            3 => args.int(2).map_err(|_| BAD_COUNT)?,
            _ => return Err(CommandError::WrongArity("slowlog|get".into())),
        };
        let count = match count {
            -1 => usize::MAX,
            count => usize::try_from(count).map_err(|_| BAD_COUNT)?,
        };
        let entries = self.shared.slowlog.newest(count);
        let mut reply = self.reply(scope);
        reply.array(entries.len());
        for entry in entries {
            reply.array(6);
            reply.int(entry.id as i64);
            reply.int(entry.time);
            reply.int(entry.micros as i64);
            reply.array(entry.args.len());
            entry.args.iter().for_each(|arg| reply.bulk(arg));
            reply.bulk(entry.addr.as_bytes());
            reply.bulk(&entry.name);
        }
        Ok(())
    }

    pub(super) fn latency_op(
        &mut self,
        op: ServerOp,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        let monitor = &self.shared.latency;
        match op {
            ServerOp::LatencyLatest => self.latency_latest(scope),
            ServerOp::LatencyHistory => {
                let series = monitor.series(args.get(2)).unwrap_or_default();
                let mut reply = self.reply(scope);
                reply.array(series.samples().len());
                for sample in series.samples() {
                    reply.array(2);
                    reply.int(sample.time);
                    reply.int(sample.millis as i64);
                }
            }
            ServerOp::LatencyGraph => {
                let event = String::from_utf8_lossy(args.get(2));
                let series = monitor.series(args.get(2)).ok_or_else(|| {
                    CommandError::owned(format!("ERR No samples available for event '{event}'"))
                })?;
                let text = latency::graph(&event, &series, unix_ms() / 1000);
                self.reply(scope).verbatim("txt", text.as_bytes());
            }
            ServerOp::LatencyReset => {
                let count = monitor.reset(args.rest(2));
                self.reply(scope).int(count as i64);
            }
            ServerOp::LatencyDoctor => {
                let settings = DoctorSettings {
                    threshold: scope.values.latency_monitor_threshold,
                    slower_than: scope.values.slowlog_log_slower_than,
                };
                let text = latency::doctor(&monitor.all(), settings);
                self.reply(scope).verbatim("txt", text.as_bytes());
            }
            ServerOp::LatencyHistogram => self.latency_histogram(args, scope),
            _ => introspect::help("latency", &mut self.reply(scope)),
        }
        Ok(())
    }

    fn latency_latest(&self, scope: &mut Scope<'_>) {
        let events = self.shared.latency.all();
        let mut reply = self.reply(scope);
        reply.array(events.len());
        for (event, series) in events {
            let latest = series.latest();
            reply.array(4);
            reply.bulk(event.as_bytes());
            reply.int(latest.time);
            reply.int(latest.millis as i64);
            reply.int(series.max as i64);
        }
    }

    /// Commands that were never called are left out; a container stands for all its subcommands.
    fn latency_histogram(&self, args: &Args<'_>, scope: &mut Scope<'_>) {
        let table = table::table();
        let mut chosen: Vec<&Command> = Vec::new();
        if args.len() == 2 {
            chosen.extend((0..table.len()).map(|id| table.by_id(id)));
        }
        for command in args.rest(2).iter().filter_map(|name| table.lookup_full(name)) {
            chosen.push(command);
            chosen.extend(&command.subcommands);
        }
        let mut reply = self.reply(scope);
        let open = reply.open();
        let mut count = 0;
        for command in chosen {
            count += usize::from(self.write_histogram(command, &mut reply));
        }
        reply.close_map(open, count);
    }

    fn write_histogram(&self, command: &Command, reply: &mut Reply<'_>) -> bool {
        let latency = self.shared.stats.latency(command.id);
        if latency.total() == 0 {
            return false;
        }
        let rows = latency.cumulative();
        reply.bulk(command.full_name.as_bytes());
        reply.map(2);
        reply.bulk(b"calls");
        reply.int(latency.total() as i64);
        reply.bulk(b"histogram_usec");
        reply.map(rows.len());
        for (micros, calls) in rows {
            reply.int(micros as i64);
            reply.int(calls as i64);
        }
        true
    }
}
