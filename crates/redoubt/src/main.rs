//! `redoubt-server`.

use redoubt_server::Server;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().skip_while(|word| word != "--port").nth(1).unwrap_or("6379".into());
    let config = redoubt_server::config::Config::new().with("port", &port)?;
    Server::builder().config(config).start()?.wait();
    Ok(())
}
