//! Handlers of the data commands, one module per family.

pub mod string;
