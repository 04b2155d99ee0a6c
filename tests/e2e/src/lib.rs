//! Real deployments under real faults: server processes, partitions, clients that write and read all the time, and a
//! checker of what they saw.
//!
//! The server is a program that is talked to over TCP; nothing of it is linked here.

pub mod checker;
pub mod clock;
pub mod deployment;
pub mod disk;
pub mod facts;
pub mod failover;
pub mod history;
pub mod link;
pub mod load;
pub mod network;
pub mod node;
pub mod outcome;
pub mod probe;
pub mod scenario;
pub mod torture;
pub mod watch;

pub use deployment::{Deployment, Options};
pub use load::{Aim, Load, LoadOptions};
