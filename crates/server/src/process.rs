//! What a server process asks of the operating system: signals, the background, limits, local time.
//!
//! For programs that are the server (`redoubt-server`); embedding it in another program needs none of this.
#![allow(unsafe_code, reason = "plain calls of libc, each with its own argument why it is sound")]

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A date and time of day where the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Year of the calendar.
    pub year: i32,
    /// 0 to 11.
    pub month: usize,
    /// 1 to 31.
    pub day: i32,
    /// 0 to 23.
    pub hour: i32,
    /// 0 to 59.
    pub minute: i32,
    /// 0 to 60.
    pub second: i32,
}

impl LocalTime {
    /// The local form of a Unix time in seconds.
    pub fn at(unix_seconds: i64) -> LocalTime {
        let mut broken_down = MaybeUninit::<libc::tm>::zeroed();
        // SAFETY: both pointers are to live values of the right types; all bytes zero is a valid `tm`, so it may be
        // read even if the call failed.
        let tm = unsafe {
            libc::localtime_r(&unix_seconds, broken_down.as_mut_ptr());
            broken_down.assume_init()
        };
        LocalTime {
            year: tm.tm_year + 1900,
            month: tm.tm_mon.clamp(0, 11) as usize,
            day: tm.tm_mday,
            hour: tm.tm_hour,
            minute: tm.tm_min,
            second: tm.tm_sec,
        }
    }
}

/// Puts the process in the background: a child goes on in a session of its own, without terminal; the parent ends here.
///
/// Must be called before any thread is started: only the calling thread goes on in the child.
pub fn daemonize() -> io::Result<()> {
    // SAFETY: no other thread exists (the contract above), so the child may go on as an ordinary process.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        _ => std::process::exit(0),
    }
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let null = std::os::fd::AsRawFd::as_raw_fd(&null);
    // SAFETY: plain system calls on descriptors this process owns.
    unsafe {
        libc::setsid();
        for standard in 0..=2 {
            libc::dup2(null, standard);
        }
    }
    Ok(())
}

/// A signal that asks the server to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// From a terminal.
    Int,
    /// From a service manager.
    Term,
}

impl Signal {
    /// Its name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Int => "SIGINT",
            Signal::Term => "SIGTERM",
        }
    }
}

/// The signals that end the server, held back from their default effect.
#[derive(Debug)]
pub struct Signals(());

impl Signals {
    /// Holds back SIGINT and SIGTERM in this thread and those it starts from now on, and ignores SIGHUP.
    pub fn hold() -> Signals {
        let set = signal_set();
        // SAFETY: the set is initialised; a null pointer says that the old mask is not wanted. SIG_IGN runs no code.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
        }
        Signals(())
    }

    /// Waits for the next one.
    pub fn wait(&self) -> Signal {
        let set = signal_set();
        let mut signal = 0;
        loop {
            // SAFETY: both pointers are to live, initialised values.
            let failed = unsafe { libc::sigwait(&set, &mut signal) };
            match (failed, signal) {
                (0, libc::SIGINT) => return Signal::Int,
                (0, libc::SIGTERM) => return Signal::Term,
                _ => {}
            }
        }
    }
}

fn signal_set() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: sigemptyset initialises the set before anything reads it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        set.assume_init()
    }
}

/// Memory in use from which on huge pages are worth what they waste at the edges, bytes.
const HUGE_PAGES_FROM: u64 = 32 * 1024 * 1024;

/// This process waits until it is large enough for huge pages.
static AWAITS_HUGE_PAGES: AtomicBool = AtomicBool::new(false);

/// Keeps the kernel from backing this process with huge pages: for ever, or until `grown_to` hears of enough memory.
pub fn hold_huge_pages(for_ever: bool) {
    permit_huge_pages(false);
    AWAITS_HUGE_PAGES.store(!for_ever, Relaxed);
}

/// Hears how many bytes of memory are in use.
pub(crate) fn grown_to(used: u64) {
    if used >= HUGE_PAGES_FROM && AWAITS_HUGE_PAGES.swap(false, Relaxed) {
        permit_huge_pages(true);
    }
}

fn permit_huge_pages(permitted: bool) {
    #[cfg(target_os = "linux")]
    // SAFETY: changes an attribute of this process, takes no pointers.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, libc::c_ulong::from(!permitted), 0, 0, 0);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = permitted;
}

/// Raises the limit of open files to `wanted`, or as far as the process may. Answers with what it is then.
pub fn raise_open_files(wanted: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live value of the right type.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return wanted;
    }
    if limit.rlim_cur >= wanted {
        return limit.rlim_cur;
    }
    let before = limit;
    // Beyond the hard limit only the superuser gets, so that comes first, the hard limit itself second.
    for target in [wanted, before.rlim_max.min(wanted)] {
        limit = libc::rlimit { rlim_cur: target, rlim_max: before.rlim_max.max(target) };
        // SAFETY: as above.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } == 0 {
            return target;
        }
    }
    before.rlim_cur
}

/// Processor time used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuSeconds {
    /// In the kernel.
    pub system: f64,
    /// Outside it.
    pub user: f64,
}

/// Whose processor time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// All threads of this process.
    Process,
    /// Children that have ended.
    Children,
    /// The calling thread.
    #[cfg(target_os = "linux")]
    Thread,
}

/// Processor time used so far by this process, its children or this thread.
pub fn cpu_seconds(whose: Whose) -> CpuSeconds {
    let who = match whose {
        Whose::Process => libc::RUSAGE_SELF,
        Whose::Children => libc::RUSAGE_CHILDREN,
        #[cfg(target_os = "linux")]
        Whose::Thread => libc::RUSAGE_THREAD,
    };
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to memory of the right size; all bytes zero is a valid `rusage`.
    let usage = unsafe {
        libc::getrusage(who, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    CpuSeconds { system: seconds(usage.ru_stime), user: seconds(usage.ru_utime) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_is_near_universal_time() {
        let noon = LocalTime::at(1_795_262_400); // 21 Nov 2026, 12:00 UTC
        assert_eq!((noon.year, noon.month), (2026, 10));
        assert!((20..=22).contains(&noon.day));
    }

    #[test]
    fn limits_only_rise() {
        let now = raise_open_files(1);
        assert!(raise_open_files(now) >= now);
    }

    #[test]
    fn processor_time_grows() {
        let before = cpu_seconds(Whose::Process);
        let mut sum = 0u64;
        while cpu_seconds(Whose::Process) == before {
            sum = std::hint::black_box(sum + 1);
        }
    }
}
