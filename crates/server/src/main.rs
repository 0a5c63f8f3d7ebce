//! The binary `forge-rca`.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::cli::main()
}
