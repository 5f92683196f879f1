//! Finding out what the driver is: a directory, one executable, or a runner `config.toml`.
