//! Three nodes of one deployment inside one process: `cargo run --example three_nodes -p redoubt-server`.
//!
//! Each is an ordinary server, built with `Server::builder()`; they find each other by `ha-peers` and fail over by themselves.

use redoubt_server::ha::Role;
use redoubt_server::{Handle, Server, config::Config};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let folder = std::env::temp_dir().join(format!("redoubt-three-nodes-{}", std::process::id()));
    let mut nodes = (0..3).map(|index| start(index, &folder)).collect::<Outcome<Vec<Handle>>>()?;
    let first = await_primary(&nodes)?;
    println!("node {first} is the primary");
    println!("SET answers {:?}", ask(&nodes[(first + 1) % 3], "SET greeting hello\r\n")?);
    // Its end hands over: another node is the primary before it is gone.
    nodes.remove(first).shutdown();
    let next = await_primary(&nodes)?;
    println!("node {first} has ended; GET answers {:?}", ask(&nodes[next], "GET greeting\r\n")?);
    drop(nodes);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn start(index: u16, folder: &std::path::Path) -> Outcome<Handle> {
    let dir = folder.join(index.to_string());
    std::fs::create_dir_all(&dir)?;
    let config = Config::new()
        .with("port", &(17_300 + index).to_string())?
        .with("bind", "127.0.0.1")?
        .with("dir", &dir.display().to_string())?
        .with("save", "")?
        .with("ha-enabled", "yes")?
        .with("ha-peers", "127.0.0.1:17300,127.0.0.1:17301,127.0.0.1:17302")?
        .with("ha-sentinel-port", "0")?;
    Ok(Server::builder().config(config).start()?)
}

/// Waits until a node serves with all that are left in sync; its place.
fn await_primary(nodes: &[Handle]) -> Outcome<usize> {
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        let serves = |node: &Handle| {
            let view = node.shared().ha.as_ref().map(|ha| ha.view());
            view.is_some_and(|view| {
                let in_sync = view.shard().map_or(0, |shard| shard.in_sync.len());
                matches!(view.role, Role::Primary { serving: true, .. }) && in_sync == nodes.len()
            })
        };
        if let Some(place) = nodes.iter().position(serves) {
            return Ok(place);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err("nobody leads".into())
}

fn ask(node: &Handle, line: &str) -> Outcome<String> {
    let mut client = TcpStream::connect(node.addresses()[0])?;
    client.write_all(line.as_bytes())?;
    let mut reply = [0; 256];
    let count = client.read(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply[..count]).into_owned())
}
