//! Guards that read the command table: what a row promises (propagation, keys, read-only), its handler keeps. They run
//! every conversation file and random sequences, so a new command is covered as soon as it has either.

mod bench;
mod cuts;
mod effects;
mod keys;
mod live;
mod reads;
mod scripts;
