//! `redoubt-server`, also under the name `redis-server`: command line, log, signals around the embeddable server. Under
//! the names `redoubt-check-rdb` and `redoubt-check-aof`, or those of Redis, it checks files.

mod check;
mod cli;
mod demo;
mod run;

use cli::{Request, Sources};
use redoubt_server::config::Config;
use redoubt_server::version;
use std::io::Read;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the allocator starts with: it asks for huge pages (docs/decisions/0014-huge-pages.md).
// SAFETY: this is the symbol jemalloc reads its options from, once, as the address of a text that ends in a zero byte;
// the address is the first word of a slice.
#[allow(unsafe_code)]
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_OPTIONS: &[u8] = b"thp:always\0";

fn main() -> ExitCode {
    let mut args = std::env::args();
    let program = args.next().unwrap_or_else(|| "redoubt-server".into());
    let args: Vec<String> = args.collect();
    if let Some(code) = check::asked(&program, &args) {
        return code;
    }
    let request = cli::parse(&args);
    match request {
        Ok(Request::Version) => {
            let (own, redis) = (version::REDOUBT_VERSION, version::REDIS_VERSION);
            println!("Redoubt server v={own} redis_version={redis} malloc=jemalloc bits={}", usize::BITS);
            ExitCode::SUCCESS
        }
        Ok(Request::Help) => {
            print!("{}", cli::help(&program));
            ExitCode::SUCCESS
        }
        Ok(Request::CheckConfig(sources)) => end(load(&sources).map(|_| println!("Configuration OK"))),
        Ok(Request::Demo(options)) => end(demo::run(&options)),
        Ok(Request::Run(sources)) => end(load(&sources).and_then(run::run)),
        Err(error) => end(Err(error)),
    }
}

fn end(outcome: Result<(), String>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn load(sources: &Sources) -> Result<Config, String> {
    cli::load(sources, || {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    })
}
