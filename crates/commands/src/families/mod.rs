//! Handlers of the data commands, one module per family.
