//! The laboratory from the command line.

use std::process::ExitCode;

use assay_localnet::lab::{self, Lab};
use clap::Parser;

fn main() -> ExitCode {
    match lab::run(Lab::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
