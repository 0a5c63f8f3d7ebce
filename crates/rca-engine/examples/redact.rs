//! Copies standard input to standard output without its secrets: `redact < LOG > CLEAN`.

use std::io::{self, Read, Write};

use rca_engine::Redactor;

fn main() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let (mut redactor, mut buffer, mut clean) = (Redactor::new(), vec![0; 128 * 1024], Vec::new());
    loop {
        let length = input.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        redactor.push(buffer.get(..length).unwrap_or_default(), &mut clean);
        output.write_all(&clean)?;
        clean.clear();
    }
    let redactions = redactor.finish(&mut clean);
    output.write_all(&clean)?;
    for (kind, count) in &redactions.kinds {
        writeln!(io::stderr(), "{count} {kind}")?;
    }
    Ok(())
}
