//! Lines with everything that varies from run to run masked, and their hashes.

/// Masks numbers, hashes, times, addresses and directories, so that one message has one template.
pub(crate) fn mask(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut word = String::new();
    for character in line.chars() {
        if is_word(character) {
            word.push(character);
        } else {
            flush(&mut word, &mut out);
            if character.is_whitespace() {
                if !out.ends_with(' ') && !out.is_empty() {
                    out.push(' ');
                }
            } else {
                out.push(character);
            }
        }
    }
    flush(&mut word, &mut out);
    out.truncate(out.trim_end().len());
    out
}

/// A 64-bit hash (FNV-1a) that is the same on every machine and in every version.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '/' | '\\' | '.' | '_' | '-')
}

fn flush(word: &mut String, out: &mut String) {
    if word.is_empty() {
        return;
    }
    // Directories differ between machines; the file's own name is what people recognise.
    let slash = word.rfind(['/', '\\']);
    let name = match slash {
        Some(at) if word.len() > at + 1 && (word.starts_with('/') || word.contains('\\')) => {
            out.push_str("<dir>/");
            word.get(at + 1..).unwrap_or_default()
        }
        _ => word.as_str(),
    };
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let hex = name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if digits == 0 {
        out.push_str(name);
    } else if hex && name.len() >= 7 {
        out.push_str("<hex>");
    } else {
        let mut in_number = false;
        for character in name.chars() {
            if character.is_ascii_digit() {
                if !in_number {
                    out.push_str("<n>");
                }
                in_number = true;
            } else {
                in_number = false;
                out.push(character);
            }
        }
    }
    word.clear();
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn masks_what_varies() {
        let first = mask("error at /home/alice/app/src/main.rs:12: took 3.4 s (run 0a1b2c3d4e)");
        let second = mask("error at /builds/7/src/main.rs:99:  took 11.9 s (run ffffff123)");
        assert_eq!(first, second);
        assert_ne!(first, mask("error at /builds/7/src/lib.rs:99: took 11.9 s (run ffffff123)"));
    }
}
