//! Log lines through `tracing`: text in Redis's form or JSON, to standard output, a file, the system log.
//!
//! One line is `PID:ROLE DATE MARK MESSAGE`; marks are `.` debug, `-` verbose, `*` notice, `#` warning. In code these are
//! `trace!`, `debug!`, `info!`, and `warn!` or `error!`.

use crate::config::{LogFormat, LogLevel, Values};
use crate::process::LocalTime;
use crate::version::{REDIS_VERSION, REDOUBT_VERSION};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;

/// What the process is to others, a letter in every text line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Not serving yet.
    Starting = b'C' as isize,
    /// Primary.
    Primary = b'M' as isize,
    /// Replica.
    Replica = b'S' as isize,
}

static ROLE: AtomicU8 = AtomicU8::new(b'C');
static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Changes the letter of lines to come.
pub fn set_role(role: Role) {
    ROLE.store(role as u8, Relaxed);
}

/// Changes what is logged, if `init` was called.
pub fn set_level(level: LogLevel) {
    if let Some(handle) = LEVEL.get() {
        // Fails only when the subscriber is gone, and then nothing logs.
        let _ = handle.reload(filter(level));
    }
}

/// openraft tells of every heartbeat that fails, on every node: what an operator should know of Raft is logged here, once.
fn filter(level: LogLevel) -> Targets {
    let (own, openraft) = match level {
        LogLevel::Debug => (LevelFilter::TRACE, LevelFilter::DEBUG),
        LogLevel::Verbose => (LevelFilter::DEBUG, LevelFilter::OFF),
        LogLevel::Notice => (LevelFilter::INFO, LevelFilter::OFF),
        LogLevel::Warning => (LevelFilter::WARN, LevelFilter::OFF),
    };
    Targets::new().with_default(own).with_target("openraft", openraft)
}

/// Makes this process log as the settings say. Once per process; the error is for the operator.
pub fn init(values: &Values) -> Result<(), String> {
    let path = values.logfile.as_ref().map(|file| values.dir.join(file));
    if let Some(path) = &path {
        open(path)
            .map_err(|error| format!("Can't open the log file: {}", crate::config::os_reason(&error)))?;
    }
    let (level, handle) = reload::Layer::new(filter(values.loglevel));
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Target(path));
    let lines: Box<dyn Layer<_> + Send + Sync> = match values.log_format {
        LogFormat::Text => layer.event_format(TextLine).boxed(),
        LogFormat::Json => {
            layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    };
    let system = values.syslog_enabled.then(|| {
        let target = SystemLog::new(SYSTEM_LOG, &values.syslog_ident, values.syslog_facility);
        tracing_subscriber::fmt::layer().with_ansi(false).event_format(Bare).with_writer(target)
    });
    let subscriber = Registry::default().with(level).with(lines).with(system);
    tracing::subscriber::set_global_default(subscriber).map_err(|error| error.to_string())?;
    let _ = LEVEL.set(handle);
    Ok(())
}

/// The lines every start begins with. `mode` is "standalone", "ha" or "cluster".
pub fn banner(values: &Values, mode: &str, config_file: Option<&std::path::Path>) {
    let pid = std::process::id();
    tracing::warn!("oO0OoO0OoO0Oo Redoubt is starting oO0OoO0OoO0Oo");
    tracing::warn!(
        "Redoubt version={REDOUBT_VERSION}, redis_version={REDIS_VERSION}, bits={}, pid={pid}, just started",
        usize::BITS
    );
    match config_file {
        Some(file) => tracing::warn!("Configuration loaded from {}", file.display()),
        None => tracing::warn!("No config file specified, using the default config and the command line"),
    }
    let port = values.port;
    if values.always_show_logo {
        for line in LOGO {
            tracing::info!("{line}");
        }
    }
    // Test suites and tools wait for "PID: <number>".
    tracing::info!("Running mode={mode}, port={port}, PID: {pid}, io-threads={}.", values.io_threads);
}

const LOGO: [&str; 5] = [
    "  |_|_|_|_|   Redoubt",
    "  |       |",
    " _|  ___  |_  A Redis-compatible server with failover built in",
    "|    | |    |",
    "|____|_|____|",
];

/// Where lines go: a file, or standard output.
struct Target(Option<PathBuf>);

/// Opens the log for one line. Like Redis, the file is opened for every line: a rotated log is followed at once.
fn open(path: &std::path::Path) -> io::Result<std::fs::File> {
    std::fs::OpenOptions::new().create(true).append(true).open(path)
}

impl MakeWriter<'_> for Target {
    type Writer = Box<dyn Write>;

    fn make_writer(&self) -> Box<dyn Write> {
        match &self.0 {
            None => Box::new(io::stdout()),
            // A log that cannot be written must not stop the server.
            Some(path) => {
                open(path).map_or_else(|_| Box::new(io::sink()) as Box<dyn Write>, |file| Box::new(file))
            }
        }
    }
}

/// Redis's line.
struct TextLine;

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = LocalTime::at(now.as_secs() as i64);
        write!(
            line,
            "{}:{} {:02} {} {} {:02}:{:02}:{:02}.{:03} {} ",
            std::process::id(),
            char::from(ROLE.load(Relaxed)),
            time.day,
            MONTHS[time.month],
            time.year,
            time.hour,
            time.minute,
            time.second,
            now.subsec_millis(),
            mark(event.metadata().level())
        )?;
        ctx.format_fields(line.by_ref(), event)?;
        line.write_char('\n')
    }
}

fn mark(level: &Level) -> char {
    match *level {
        Level::TRACE => '.',
        Level::DEBUG => '-',
        Level::INFO => '*',
        _ => '#',
    }
}

/// The message alone, for the system log, which adds the rest.
struct Bare;

impl<S, N> FormatEvent<S, N> for Bare
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        ctx.format_fields(line.by_ref(), event)
    }
}

/// Where the system takes log messages.
const SYSTEM_LOG: &str = "/dev/log";

/// The system log's socket. Format of a message: RFC 3164, section 4.1.
struct SystemLog {
    socket: Option<UnixDatagram>,
    ident: String,
    facility: u8,
}

impl SystemLog {
    /// Messages go to the datagram socket `path`.
    fn new(path: &str, ident: &str, facility: &str) -> SystemLog {
        let facility = match facility.strip_prefix("local").and_then(|digit| digit.parse::<u8>().ok()) {
            Some(local) => 16 + local,
            None => 1,
        };
        let socket = UnixDatagram::unbound().and_then(|socket| {
            socket.connect(path)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        SystemLog { socket: socket.ok(), ident: ident.into(), facility }
    }
}

impl<'a> MakeWriter<'a> for SystemLog {
    type Writer = SystemLine<'a>;

    fn make_writer(&'a self) -> SystemLine<'a> {
        SystemLine { log: self, severity: 6 }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> SystemLine<'a> {
        let severity = match *meta.level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 5,
            Level::DEBUG => 6,
            Level::TRACE => 7,
        };
        SystemLine { log: self, severity }
    }
}

/// One message to the system log.
struct SystemLine<'a> {
    log: &'a SystemLog,
    severity: u8,
}

impl Write for SystemLine<'_> {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        if let Some(socket) = &self.log.socket {
            let priority = u32::from(self.log.facility) * 8 + u32::from(self.severity);
            let mut text = String::new();
            let _ = write!(text, "<{priority}>{}[{}]: ", self.log.ident, std::process::id());
            let mut datagram = text.into_bytes();
            datagram.extend_from_slice(message);
            // A full or missing system log must not stop the server.
            let _ = socket.send(&datagram);
        }
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_log_gets_priority_name_and_process() {
        let path = std::env::temp_dir().join(format!("redoubt-syslog-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("a folder for sockets");
        let log = SystemLog::new(&path.display().to_string(), "mine", "local3");
        let mut lines = Vec::new();
        for severity in [4, 6] {
            SystemLine { log: &log, severity }.write_all(b"a message").expect("never fails");
            let mut datagram = [0; 256];
            let length = socket.recv(&mut datagram).expect("the line was sent");
            lines.push(String::from_utf8_lossy(&datagram[..length]).into_owned());
        }
        let process = std::process::id();
        // Facility local3 is 19, times 8, and the severity.
        assert_eq!(lines, [156, 158].map(|priority| format!("<{priority}>mine[{process}]: a message")));
        std::fs::remove_file(&path).expect("bound above");
        // Without a system log the server goes on.
        let log = SystemLog::new("/nonexistent", "mine", "user");
        SystemLine { log: &log, severity: 4 }.write_all(b"lost").expect("never fails");
    }
}
