//! The root cause of a failed job from its log: `cargo run -p examples --example analyse_log -- build.log`.

use std::{fs::File, io::Read};

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("usage: analyse_log LOG"))?;
    let mut log = File::open(path)?;
    let mut analyzer = rca_engine::Analyzer::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = log.read(&mut buffer)?;
        let Some(chunk) = buffer.get(..length).filter(|chunk| !chunk.is_empty()) else { break };
        analyzer.push(chunk);
    }
    #[expect(clippy::print_stdout, reason = "an example prints its result")]
    {
        println!("{}", analyzer.finish().to_json());
    }
    Ok(())
}
