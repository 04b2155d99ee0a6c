//! Arguments of `cargo xtask bench`.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// What `cargo xtask help` prints for it.
pub(crate) const USAGE: &str = "\
  bench                         speed and memory beside the peers; a Markdown table on stdout
      --only get,set            these tests of redis-benchmark's default run, or of streams, geo, fields and push
      --pipeline 1,16,64        requests in flight per connection
      --sizes 16,512,16384      value sizes of set and get, bytes
      --repeats 5               interleaved repeats
      --peers redis7,valkey9    against these (default: redis7, redis8, valkey9, where present); a path is another build
      --floor                   with a server that does nothing beside them: the kernel's share
      --keys 1000000            keys to begin with, and elements of the memory shapes
      --scale 1.0               factor on the number of requests
      --server PATH             this program as ours, instead of building a release
      --speed-only, --memory-only, --latency-only, --stall-only, --push-only, --blocked-only,
      --persistence-only, --forward-only, --replication-only
      --failover-only           what failover costs clients, which is not part of the other runs
      --rounds 20               faults of a kind in it
";

/// Chosen by the arguments.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) only: Option<Vec<String>>,
    pub(super) pipelines: Vec<u64>,
    pub(super) sizes: Vec<u64>,
    pub(super) repeats: usize,
    pub(super) peers: Option<Vec<String>>,
    /// Beside a server that does nothing.
    pub(super) floor: bool,
    pub(super) keys: u64,
    pub(super) scale: f64,
    pub(super) server: Option<PathBuf>,
    pub(super) speed: bool,
    pub(super) memory: bool,
    /// Streams, geo, field expiry and publishing.
    pub(super) push: bool,
    /// Blocked clients.
    pub(super) blocked: bool,
    /// What saving costs while clients write.
    pub(super) persistence: bool,
    /// What replicas cost.
    pub(super) replication: bool,
    /// How long clients wait that share a worker.
    pub(super) latency: bool,
    /// What a slow command costs others.
    pub(super) stall: bool,
    /// What carrying a client to the primary costs, beside HAProxy.
    pub(super) forward: bool,
    /// What failover costs.
    pub(super) failover: bool,
    /// How many faults of a kind.
    pub(super) rounds: usize,
}

impl Options {
    /// Reads the arguments.
    pub(super) fn parse(arguments: &[String]) -> Result<Options> {
        let mut options = Options {
            only: None,
            pipelines: vec![1, 16, 64],
            sizes: vec![16, 512, 16384],
            repeats: 5,
            peers: None,
            floor: false,
            keys: 1_000_000,
            scale: 1.0,
            server: None,
            speed: true,
            memory: true,
            push: true,
            blocked: true,
            persistence: true,
            replication: true,
            latency: true,
            stall: true,
            forward: true,
            failover: false,
            rounds: 20,
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            match name.as_str() {
                "--floor" => options.floor = true,
                "--speed-only" | "--memory-only" | "--latency-only" | "--stall-only" | "--push-only"
                | "--blocked-only" | "--persistence-only" | "--forward-only" | "--replication-only"
                | "--failover-only" => options.choose(name),
                name => {
                    let value = rest.next().with_context(|| format!("{name} needs a value\n{USAGE}"))?;
                    options.set(name, value).with_context(|| format!("{name} {value}"))?;
                }
            }
        }
        Ok(options)
    }

    fn choose(&mut self, name: &str) {
        self.speed = name == "--speed-only";
        self.memory = name == "--memory-only";
        self.latency = name == "--latency-only";
        self.stall = name == "--stall-only";
        self.failover = name == "--failover-only";
        self.push = name == "--push-only";
        self.blocked = name == "--blocked-only";
        self.persistence = name == "--persistence-only";
        self.forward = name == "--forward-only";
        self.replication = name == "--replication-only";
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let words = || value.split(',').map(str::to_lowercase).collect::<Vec<_>>();
        let numbers = || value.split(',').map(|word| Ok(word.parse::<u64>()?)).collect::<Result<Vec<_>>>();
        match name {
            "--only" => self.only = Some(words()),
            "--pipeline" => self.pipelines = numbers()?,
            "--sizes" => self.sizes = numbers()?,
            "--repeats" => self.repeats = value.parse::<usize>()?.max(1),
            "--peers" => self.peers = Some(value.split(',').map(str::to_string).collect()),
            "--keys" => self.keys = value.parse::<u64>()?.max(1000),
            "--rounds" => self.rounds = value.parse::<usize>()?.max(1),
            "--scale" => self.scale = value.parse()?,
            // Servers run in a folder of their own.
            "--server" => self.server = Some(std::fs::canonicalize(value)?),
            _ => bail!("no such option\n{USAGE}"),
        }
        Ok(())
    }
}
